# SPDX-License-Identifier: Apache-2.0
"""The report: its numbers are those of the models, it is self-contained, deterministic, and safe against odd names."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nba.boards import get
from nba.core.errors import DesignError, NbaError
from nba.core.figures import clock_text
from nba.core.sources import PACKAGE
from nba.emit.predicted import predicted_cycles
from nba.explore.turns import with_rows, with_turns
from nba.flow.stages.report import write
from nba.ir.accelerator import WeightMemory
from nba.ir.design import Design
from nba.machine.check import check_accelerator
from nba.machine.design_file import save_design
from nba.machine.energy import energy_aj
from nba.machine.logic import logic
from nba.machine.program import Program, lower
from nba.machine.resources import predict
from nba.machine.schedule import schedule
from nba.machine.steady import steady_interval, steady_state
from nba.machine.timing import HOST_OUT_CYCLES
from nba.machine.total import exact_cost
from nba.report.curves import panels, svg
from nba.report.cycle_breakdown import CAUSES, WORK, account
from nba.report.drawing import bits_by_epoch
from nba.report.inputs import SCALARS, SearchCurves
from nba.report.page import limits, number
from nba.report.steady import steady_frames
from tests.strategies import Pair, random_pair
from tests.tiny import tiny_design
from tests.token_machine import Machine

pytestmark = pytest.mark.xdist_group("report")

HOSTILE = "<script>alert('1')</script>\"&amp;{{ 7 * 7 }}"
VOID = {"meta", "br", "hr", "img", "input", "link"}
SEED = 8
TURNED = 25
"""A tiny design in whose chunks many layers take turns."""
STREAMED = 3
"""A tiny design one of whose chunks may stream weights."""


class Page(HTMLParser):
    """The page's tags, its tables by section, its text; tags must be closed in order."""

    def __init__(self, text: str):
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.tables: dict[str, list[list[list[str]]]] = {}
        self.words: list[str] = []
        self.titles: list[str] = []
        self.section = ""
        self._open: list[str] = []
        self._cell: list[str] | None = None
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)
        if tag == "section":
            self.section = str(dict(attrs)["id"])
        elif tag == "table":
            self.tables.setdefault(self.section, []).append([])
        elif tag == "tr":
            self.tables[self.section][-1].append([])
        elif tag in ("td", "th"):
            self._cell = []

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag
        if tag in ("td", "th"):
            assert self._cell is not None
            self.tables[self.section][-1][-1].append("".join(self._cell).strip())
            self._cell = None

    def handle_data(self, data: str) -> None:
        if self._cell is not None:
            self._cell.append(data)
        if self._open[-1:] == ["title"]:
            self.titles.append(data)
        self.words.append(data)

    @property
    def text(self) -> str:
        """All text, blanks collapsed."""
        return " ".join("".join(self.words).split())

    def body(self, section: str, table: int) -> list[list[str]]:
        """Rows of a table without its head."""
        return self.tables[section][table][1:]


def odd(design: Design) -> Design:
    """The design with names that no page may take at their word."""
    network = design.network
    layers = tuple(replace(layer, name=f"{HOSTILE}{i}") for i, layer in enumerate(network.layers))
    return replace(design, name=HOSTILE, network=replace(network, layers=layers), versions=((HOSTILE, HOSTILE),))


def save_build(
    folder: Path, change: Callable[[Design], Design] = lambda design: design, *, whole: bool = True
) -> Design:
    """A build folder as `run` leaves it; without search, training, verification, synthesis unless `whole`."""
    design, weights = tiny_design(SEED)
    design = change(design)
    save_design(design, weights, folder / "design")
    program = lower(design.network, design.accelerator)
    metrics: dict[str, Any] = {
        "name": design.name, "design_id": design.id, "platform": design.platform, "clock_mhz": design.clock_mhz,
        "seed": 5, "fps": 12345.0, "steady_interval_cycles": 1010.0, "first_output_latency_cycles": 2020,
        "resources": {
            "predicted": {"dsp": design.cost.dsp, "bram": design.cost.bram}, "budget": {"dsp": 777, "bram": 55.5}
        },
        "versions": {"numpy": HOSTILE}, "seconds": {"map": 1.25, "report": 9.75},
    }  # fmt: skip
    if whole:
        cycles = predicted_cycles(design.network, program, 4)
        metrics["accuracy"] = {"integer": 0.9876, "fake_quant": 0.98, "images": 2500, "standard_error": 0.0022}
        metrics["bit_exact"] = {
            "verilator": {"images": 31, "mismatches": 0}, "icarus": {"images": 2, "mismatches": 3},
        }  # fmt: skip
        metrics["cycles"] = {"predicted": cycles, "simulated": {"verilator": cycles}}
        metrics["resources"]["synthesised"] = {"dsp": design.cost.dsp, "bram": design.cost.bram + 1}
        records = [
            {
                "epoch": e, "joint": e > 1, "train_loss": 2.0 / (e + 1),
                "valid_loss": 2.5 / (e + 1) if e > 1 else None, "valid_accuracy": 0.1 * e if e > 1 else None,
                "temperature": 5.0 - e, "alpha_entropy": 1.0, "beta_entropy": 0.5,
                "gamma_entropy": 0.25, "cost": 250.5 * e, "interval_cycles": 100 * e, "dsp": e, "bram18": 2 * e,
                "macs": 1000 + e, "bit_operations": 64_000 + e,
                "feasible": e > 2,
                "ops": [HOSTILE, "skip"], "bits": [4, 2 + e % 2],
            }
            for e in range(5)
        ]  # fmt: skip
        training = [{"epoch": e, "loss": 1.0, "accuracy": 0.5, "learning_rate": 0.1} for e in range(3)]
        agreement = {"equal": 0.875, "largest": 1, "same_class": 1.0}
        netlist = {"tool": "Yosys 0.70", "lut": 4321, "ff": None}
        for name, raw in (
            ("search/search.json", {"records": records, "seed": 1, "objective": "energy"}),
            ("train/curves.json", {"records": training, "agreement": agreement}),
            ("synth/synthesised.json", netlist),
        ):
            (folder / name).parent.mkdir()
            (folder / name).write_text(json.dumps(raw))
        (folder / ".nba").mkdir()
        (folder / ".nba" / "spec.yaml").write_text(f"name: {HOSTILE}\n")
    (folder / "metrics.json").write_text(json.dumps(metrics))
    return design


def report(build: Path) -> tuple[str, Page]:
    """The page of a build, as text and parsed."""
    page = build / "report" / "report.html"
    write(build, page)
    text = page.read_text(encoding="utf-8")
    return text, Page(text)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Design, Program, str, Page]:
    """A complete build with ordinary names, and its page."""
    build = tmp_path_factory.mktemp("build")
    design = save_build(build)
    return design, lower(design.network, design.accelerator), *report(build)


def test_headline_is_that_of_the_metrics(whole: tuple[Design, Program, str, Page]) -> None:
    design, _, _, page = whole
    rows = {row[0]: row[1:] for row in page.body("headline", 0)}
    assert rows["accuracy"][0].startswith("98.76 ± 0.22 % on 2,500 test images (integer network)")
    assert rows["frames per second"][0].startswith(f"12,345 {clock_text(design.clock_mhz)}, steady ")
    assert page.text.count(f"{design.clock_mhz:g} MHz") == page.text.count(clock_text(design.clock_mhz)) >= 4
    assert rows["bit-exact, Verilator"] == ["yes, 31 images", "yes"]
    assert rows["bit-exact, Icarus"][1] == "NO"
    assert rows["cycles predicted = simulated, Verilator"][1] == "yes"
    assert rows["DSP"][1] == "yes"
    assert rows["BRAM"][1] == "NO"
    assert f"{number(design.cost.dsp)} / 777" in page.text


def test_network_table_is_the_network(whole: tuple[Design, Program, str, Page]) -> None:
    design, _, _, page = whole
    network, place = design.network, design.accelerator.place()
    *rows, total = page.body("network", 0)
    assert [r[1] for r in rows] == [layer.name for layer in network.layers]
    assert [r[8] for r in rows] == [number(network.macs(i)) for i in range(len(rows))]
    assert [int(r[9]) for r in rows] == [place[i] for i in range(len(rows))]
    assert total[8] == number(sum(network.macs(i) for i in range(len(rows))))


def test_cycles_are_those_of_the_schedule(whole: tuple[Design, Program, str, Page]) -> None:
    _, program, _, page = whole
    interval = steady_interval(program)
    exact = schedule(program, 60)
    rows = iter(page.body("cycles", 0))
    starts = []
    for k, chunk in enumerate(program.chunks):
        for j, job in enumerate(chunk.jobs):
            row = next(rows)
            start, _, end = row[2].replace(",", "").split()
            assert int(end) - int(start) == exact.job_end[k][j, 40] - exact.job_start[k][j, 40]
            starts.append(int(start) - int(exact.job_start[k][j, 40]))
            assert row[5] == number(job.rows_out * job.row_cycles)
        assert next(rows)[6] == number(interval)
    assert len(set(starts)) == 1, "all jobs are shown relative to one cycle"
    assert page.body("cycles", 2)[0][1:] == [number(interval), number(exact.first_output_latency_cycles)]


def test_resources_are_those_of_the_model(whole: tuple[Design, Program, str, Page]) -> None:
    design, program, _, page = whole
    found = predict(program, get(design.platform))
    dsp, bram, lut, ff = page.body("resources", 0)
    assert dsp[1:6] == [number(found.dsp), number(found.dsp), "yes", "777", "yes"]
    assert bram[1:6] == [number(found.bram), number(found.bram + 1), "NO", "55.5", "yes"]
    estimated = logic(program, get(design.platform))
    assert (lut[:3], ff[:3]) == (
        ["LUT", f"≈ {estimated[0]:,}", "4,321"], ["flip-flops", f"≈ {estimated[1]:,}", "\N{EN DASH}"]
    )  # fmt: skip
    assert "off by" in page.text
    spent = energy_aj(program, get(design.platform))
    assert [row[1] for row in page.body("resources", 1)] == [
        number(aj / 1e6) for aj in (*spent.values(), sum(spent.values()))
    ]  # fmt: skip
    assert "not measured on any board" in page.text
    total = [float(cell.replace(",", "")) for cell in page.body("resources", 2)[-1][1:]]
    assert sum(total[:2]) == found.dsp
    assert sum(total[2:]) == found.bram


def test_curves_and_provenance_are_there(whole: tuple[Design, Program, str, Page]) -> None:
    design, _, text, page = whole
    assert "search: loss" in page.text
    assert "search: energy (the objective)" in page.text
    assert "pJ per frame" in page.text
    assert "search: interval" in page.text
    assert "training: loss" in page.text
    assert "87.5 % of all output codes equal" in page.text
    assert design.id in page.text
    assert "map 1.2 s" in page.text
    assert "report 9.8 s" not in text, "the page may not depend on how long it took"
    assert len(text.encode()) < 2_000_000


def test_curves_show_the_objective_and_its_limit() -> None:
    values = (1.0, 2.0)
    search = SearchCurves(
        objective="latency", epochs=(0, 1), scalars=dict.fromkeys(SCALARS, values) | {"cost": (7.0, 5.0)},
        joint=(False, True), feasible=(False, True), ops=((), ()), bits=((), ()),
    )  # fmt: skip
    found = {p.title: p for p in panels(search, None, limits({"budgets": {"latency_us": 2, "fps": 1000}}, 50.0))}
    latency = found["search: latency (the objective)"]
    assert (latency.unit, latency.epochs, latency.lines[0][1]) == ("cycles", (1,), (5.0,))
    assert latency.limit == ("budget", 100.0)
    assert found["search: interval"].limit == ("budget", 50_000.0)
    assert found["search: DSP"].limit is None
    assert (found["search: multiply-accumulates"].unit, found["search: multiply-accumulates"].limit) == (
        "MAC per frame", None,
    )  # fmt: skip


def test_nothing_is_loaded_from_anywhere(whole: tuple[Design, Program, str, Page]) -> None:
    _, _, text, page = whole
    assert not {tag for tag, _ in page.tags} & {"script", "link", "img", "iframe", "object", "embed", "base", "image"}
    for tag, attributes in page.tags:
        for name, value in attributes.items():
            if name in ("src", "href", "xlink:href", "data", "srcset", "action"):
                assert str(value).startswith("#"), (tag, name, value)
            elif not name.startswith("xmlns"):
                assert "//" not in str(value), (tag, name, value)
            assert not name.startswith("on"), (tag, name)
    style = text[text.index("<style>") : text.index("</style>")]
    assert "url(" not in style
    assert "@import" not in style
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    links = {str(value)[1:] for _, attributes in page.tags if (value := attributes.get("href"))}
    assert links <= set(ids)


def test_hostile_names_are_only_text(tmp_path: Path) -> None:
    design = save_build(tmp_path, odd)
    text, page = report(tmp_path)
    assert "<script" not in text
    assert HOSTILE in page.titles[0]
    assert [row[1] for row in page.body("network", 0)[:-1]] == [layer.name for layer in design.network.layers]
    assert f"name: {HOSTILE}" in page.text
    assert f"numpy {HOSTILE}" in page.text


def test_row_programs_are_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[__name__], "SEED", TURNED)

    def change(design: Design) -> Design:
        accelerator = with_rows(*with_turns(design.network, design.accelerator), spare=1)
        cost = exact_cost((lower(design.network, accelerator),), get(design.platform))
        return replace(design, accelerator=accelerator, cost=cost)

    design = save_build(tmp_path, change)
    text, _ = report(tmp_path)
    assert any(len(chunk.turns) > len(chunk.jobs) for chunk in design.accelerator.chunks)
    assert design.id[:12] in text


def test_streamed_weights_are_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reader of weights is what the design is as slow as, and the page says so."""
    monkeypatch.setattr(sys.modules[__name__], "SEED", STREAMED)

    def change(design: Design) -> Design:
        engines = lower(design.network, design.accelerator).chunks
        chunks = []
        for chunk, engine in zip(design.accelerator.chunks, engines, strict=True):
            may = chunk.mixes and not engine.nested_weight
            chunks.append(replace(chunk, jobs=tuple([replace(job, streamed=may) for job in chunk.jobs])))
        memory = WeightMemory(bus_bits=32, latency=4000)
        accelerator = replace(design.accelerator, chunks=tuple(chunks), memory=memory)
        assert check_accelerator(design.network, accelerator) == ()
        cost = exact_cost((lower(design.network, accelerator),), get(design.platform))
        return replace(design, accelerator=accelerator, cost=cost)

    design = save_build(tmp_path, change)
    program = lower(design.network, design.accelerator)
    assert any(agent == len(program.chunks) + 2 for agent, _, _ in steady_state(program).critical)
    text, page = report(tmp_path)
    assert design.id[:12] in text
    assert "reader of weights" in page.text
    assert "wait: weights" in page.text
    assert program.memory is not None
    beats = sum(fetch.beats for fetch in program.fetches)
    busy = f"{100 * beats / float(steady_interval(program)):.1f}\N{NO-BREAK SPACE}%"
    *_, memory, _ = page.tables["chunks"]
    assert memory[1:] == [[number(4 * beats), "4", busy, "4,000", str(program.memory.slots)]]
    streams = [job for chunk in program.chunks for job in chunk.jobs if job.streamed]
    cells = [row[8] for row in page.body("chunks", 1) if row[8].startswith("streamed")]
    assert cells == [f"streamed: {job.slices} x {number(job.slice_words)}" for job in streams]


def test_same_inputs_same_bytes(tmp_path: Path) -> None:
    save_build(tmp_path)
    text, _ = report(tmp_path)
    code = (
        "import sys; from pathlib import Path; from nba.flow.stages.report import write; "
        "write(Path(sys.argv[1]), Path(sys.argv[2]))"
    )
    again = tmp_path / "again.html"
    env = {**os.environ, "PYTHONHASHSEED": "77", "LC_ALL": "C", "TZ": "Asia/Tokyo"}
    subprocess.run([sys.executable, "-c", code, str(tmp_path), str(again)], check=True, cwd=PACKAGE.parent, env=env)
    assert again.read_bytes() == text.encode()


def test_what_is_missing_is_said_and_left_out(tmp_path: Path) -> None:
    save_build(tmp_path, whole=False)
    _, page = report(tmp_path)
    for what in ("No simulation", "No synthesis", "No search", "No training", "The spec was not recorded"):
        assert what in page.text
    assert "search: loss" not in page.text
    assert page.body("cycles", 0)


def test_errors_name_the_file(tmp_path: Path) -> None:
    save_build(tmp_path)
    (tmp_path / "search" / "search.json").write_text('{"records": [{"epoch": 1}]}')
    with pytest.raises(NbaError, match=r"search\.json: damaged"):
        report(tmp_path)
    (tmp_path / "metrics.json").write_text(json.dumps({"design_id": "f" * 64}))
    with pytest.raises(NbaError, match="is about design ffffffffffff"):
        report(tmp_path)
    (tmp_path / "design" / "design.json").unlink()
    with pytest.raises(DesignError, match=r"design\.json"):
        report(tmp_path)


def turned(pair: Pair) -> Pair:
    """The pair with a row program in every chunk."""
    accelerator = with_rows(*with_turns(pair.network, pair.accelerator), spare=1)
    return replace(pair, accelerator=accelerator, program=lower(pair.network, accelerator))


@pytest.mark.parametrize("rows", [False, True], ids=["jobs", "rows"])
@pytest.mark.parametrize("seed", [*range(9), 20])
def test_the_account_adds_up(seed: int, rows: bool) -> None:
    pair = random_pair(np.random.default_rng(seed))
    if rows:
        pair = turned(pair)
    design, _ = tiny_design(SEED)
    design = replace(design, network=pair.network, accelerator=pair.accelerator)
    frames = steady_frames(pair.program)
    found = account(design, pair.program, frames)
    assert frames.settled
    assert found.interval == steady_interval(pair.program) >= found.interval_bound
    assert frames.schedule.first_output_latency_cycles >= found.latency_bound
    for chunk in found.chunks:
        assert chunk.total == found.interval >= chunk.bound
        for job in chunk.jobs:
            assert set(job.parts) == set(CAUSES)
            assert min(job.parts.values()) >= 0
            assert job.parts[WORK] == Fraction(job.products, chunk.multipliers)
            engine = sum(job.parts[cause] for cause in ("work", "columns", "outputs", "inputs", "drain", "short"))
            assert engine == job.engine


@pytest.mark.parametrize("seed", range(6))
def test_stream_rows_are_those_of_the_token_machine(seed: int) -> None:
    pair = random_pair(np.random.default_rng(seed))
    frames = steady_frames(pair.program)
    machine = Machine(pair.network, pair.accelerator, 4)
    assert machine.run()
    n_chunks = len(pair.program.chunks)
    for agent, sequencer in ((n_chunks, machine.input), (n_chunks + 1, machine.output)):
        (rows,) = frames.rows[agent]
        for (frame, row), start in sequencer.works[0].starts.items():
            # The last frame of a short run goes faster: no later frame is in its way.
            if frame < 2:
                assert rows[frame, row] == start, (agent, frame, row)
    beats = pair.program.out_col_groups * pair.program.out_chan_words
    last = frames.rows[n_chunks + 1][0][:, -1] + beats - 1 + HOST_OUT_CYCLES
    assert np.array_equal(last, frames.schedule.output_cycle)


def test_heat_map_of_bits_skips_what_is_left_out() -> None:
    """Runs of equal bits are one mark each, blank where the block is skipped; more bits are darker."""
    ops = (("k3_e1", "skip"), ("k3_e3", "k3_e1"), ("k3_e1", "k3_e1"))
    found = SearchCurves(
        objective="interval", epochs=(0, 1, 2), scalars={}, joint=(False,) * 3, feasible=(False,) * 3, ops=ops,
        bits=((4, 8), (4, 6), (8, 6)),
    )  # fmt: skip
    tips = [m.tip for m in bits_by_epoch(found).marks if m.tip]
    assert tips == [
        "block 0: 4 bits, epochs 0..1",
        "block 0: 8 bits, epochs 2..2",
        "block 1: 6 bits, epochs 1..2",
    ]
    shades = {m.tip.split(",")[0]: m.css for m in bits_by_epoch(found).marks if m.tip}
    assert shades["block 0: 4 bits"] < shades["block 1: 6 bits"] < shades["block 0: 8 bits"]


def test_epochs_that_measured_nothing_are_not_drawn_as_zero() -> None:
    """Before the joint epochs there is no loss and no accuracy of the other half: a gap, not a line at 0."""
    gap = (None, None, 2.0, 1.5)
    search = SearchCurves(
        objective="interval", epochs=(0, 1, 2, 3),
        scalars=dict.fromkeys(SCALARS, (3.0, 2.0, 1.0, 0.5)) | dict.fromkeys(("valid_loss", "valid_accuracy"), gap),
        joint=(False, False, True, True), feasible=(False,) * 4, ops=((),) * 4, bits=((),) * 4,
    )  # fmt: skip
    found = {p.title: p for p in panels(search, None, {})}
    assert dict(found["search: loss"].lines) == {
        "images for the weights": (3.0, 2.0, 1.0, 0.5),
        "images for alpha and beta": gap,
    }
    accuracy = found["search: accuracy of sampled paths"]
    joint = replace(accuracy, epochs=(2, 3), lines=(("images for alpha and beta", (2.0, 1.5)),))
    for diagram in (accuracy, joint):
        (curve,) = re.findall(r'<path d="([^"]*)"[^>]*stroke: #4477aa', svg([diagram]))
        assert (curve.count("M "), curve.count("L ")) == (1, 1), "two points, one stroke"
