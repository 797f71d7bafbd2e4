# SPDX-License-Identifier: Apache-2.0
"""Boards: the built-in ones, board files with every error that they may have, and designs for boards of the user."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from typer.testing import CliRunner

from nba.api import load_spec, make_design
from nba.boards import FAMILIES, ExternalMemory, Platform, get, load_board, names
from nba.boards.clocks import SEVEN_SERIES
from nba.boards.schema import BoardText, parse_board
from nba.boards.table import board_files
from nba.cli import app
from nba.core.errors import DesignError, SpecError
from nba.emit.bundle import render_bundle
from nba.explore.choose import Mapped
from nba.flow.digests import inputs_digest
from nba.flow.limits import BOARDS, platform_of
from nba.flow.pipelines import MIXED, SWITCHABLE
from nba.flow.stages import architecture
from nba.flow.stages.map import STAGE as MAP
from nba.ir.design import Design
from nba.ir.network import Weights
from nba.machine import resources
from nba.machine.design_file import load_design, save_design
from nba.machine.designs import ACC_BITS, layer_table
from nba.machine.resources import searched_exactly
from nba.report.page import write_report
from tests.tiny import tiny_design

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs" / "boards.md").read_text(encoding="utf-8")
EXAMPLE = DOCUMENT.partition("```yaml\n")[2].partition("```")[0]

GOLDEN = {
    # part, clock, DSP, block RAMs of 18 Kbit, LUTs, flip-flops; the first nine as they were before there were files
    "zc706": ("xc7z045ffg900-2", 160.0, 900, 1090, 218_600, 437_200),
    "pynq-z2": ("xc7z020clg400-1", 160.0, 220, 280, 53_200, 106_400),
    "zedboard": ("xc7z020clg484-1", 160.0, 220, 280, 53_200, 106_400),
    "zybo-z7-10": ("xc7z010clg400-1", 160.0, 80, 120, 17_600, 35_200),
    "arty-a7-35": ("xc7a35ticsg324-1L", 160.0, 90, 100, 20_800, 41_600),
    "arty-a7-100": ("xc7a100tcsg324-1", 160.0, 240, 270, 63_400, 126_800),
    "kc705": ("xc7k325tffg900-2", 160.0, 840, 890, 203_800, 407_600),
    "vc707": ("xc7vx485tffg1761-2", 160.0, 2800, 2060, 303_600, 607_200),
    "generic-xc7": ("xc7vx690tffg1761-2", 160.0, 3600, 2940, 433_200, 866_400),
    "kv260": ("xck26-sfvc784-2LV-c", 160.0, 1248, 288, 117_120, 234_240),
    "zcu104": ("xczu7ev-ffvc1156-2-e", 160.0, 1728, 624, 230_400, 460_800),
    "zcu102": ("xczu9eg-ffvb1156-2-e", 160.0, 2520, 1824, 274_080, 548_160),
}
SPEC = """
name: s
dataset: {name: digits}
network: {stem_channels: 4, stages: [{channels: 4, blocks: 1}], operators: [k3_e1, k3_e3], head_channels: 8}
platform: my-board.yaml
budgets: {dsp: 40, bram: 20}
"""


def read(*changes: tuple[str, str], text: str = EXAMPLE) -> BoardText:
    """The example of the document, with changes, each of which must find its place."""
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return parse_board(text, where="b.yaml")


def mine() -> Platform:
    """The board of the example."""
    return get("my-board", read())


def test_built_in_boards_are_what_they_were() -> None:
    found = {name: get(name) for name in names()}
    assert set(board_files()) == set(found) == set(GOLDEN)
    values = {name: (p.part, p.clock_mhz, p.dsp, p.bram18, p.lut, p.ff) for name, p in found.items()}
    assert values == GOLDEN
    assert {name: p.uram for name, p in found.items() if p.uram} == {"kv260": 64, "zcu104": 96}
    assert {name for name, p in found.items() if p.family.name == "ultrascale+"} == {"kv260", "zcu104", "zcu102"}
    assert found["zc706"].source == "DS190 (Z-7045), UG954"
    assert all(p.described is None for p in found.values())


def test_memory_beside_the_device() -> None:
    zc706, pynq = get("zc706").memory, get("pynq-z2").memory
    assert zc706 is not None
    assert pynq is not None
    assert replace(zc706, source="") == ExternalMemory(
        ports=1, bytes_per_cycle=32, latency_cycles=100, at_clock_mhz=200.0, source=""
    )
    assert (pynq.ports, pynq.bytes_per_cycle, pynq.mbytes_per_s) == (2, 8, 2 * 8 * pynq.at_clock_mhz)
    assert {name for name in names() if get(name).memory is None} == {"generic-xc7"}
    assert all("not" in m.source or "Nothing" in m.source for n in names() if (m := get(n).memory) is not None)


def test_families() -> None:
    seven, plus = FAMILIES["7-series"], FAMILIES["ultrascale+"]
    assert (seven.yosys, plus.yosys, seven.wide_bits, plus.wide_bits) == ("xc7", "xcup", 25, 27)
    assert plus.clock.clock_mhz == seven.clock.clock_mhz == SEVEN_SERIES.clock_mhz
    assert plus.clock.note.startswith("an estimate: that of 7-series, whose silicon is slower, ")
    assert "that of" not in seven.clock.note
    assert "7-series" in plus.logic_note
    assert not seven.logic_note
    assert {family.name: name for name, family in FAMILIES.items()} == {name: name for name in FAMILIES}


def test_the_example_of_the_document() -> None:
    board = mine()
    assert (board.name, board.part, board.family.name) == ("my-board", "xczu3eg-sbva484-1-e", "ultrascale+")
    assert (board.dsp, board.bram18, board.uram, board.lut, board.ff) == (360, 432, 0, 70_560, 141_120)
    assert board.source == "DS891 (ZU3EG), order of the carrier"
    assert board.memory is not None
    assert board.memory.mbytes_per_s == 4800
    assert board.described == read()
    bare = read(text=EXAMPLE.partition("memory:")[0])
    assert get("my-board", bare).memory is None


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("dsp: 360", "dsp: 360\n  dps: 1", "device.dps: unknown field (did you mean 'dsp'?); legal here: dsp, bram, "),
        ("dsp: 360", "dsp: 1.5", "device.dsp: input should be a valid integer (found 1.5)"),
        ("dsp: 360", "dsp: '360'", "device.dsp: input should be a valid integer (found '360')"),
        ("dsp: 360", "dsp: true", "device.dsp: input should be a valid integer (found True)"),
        ("dsp: 360", "dsp: 0", "device.dsp: input should be greater than or equal to 1 (found 0)"),
        ("dsp: 360", "dsp: 1000000000", "device.dsp: input should be less than or equal to 100000000"),
        ("  lut: 70560\n", "", "device.lut: missing"),
        ("  source: DS891 (ZU3EG)\n", "", "device.source: missing; say where the figures are from"),
        ("source: DS891 (ZU3EG)", "source: ''", "device.source: string should have at least 1 character"),
        ("source: DS891 (ZU3EG)", f"source: {'x' * 2001}", "device.source: string should have at most 2000 characters"),
        ("family: ultrascale+", "family: virtex", "family: input should be '7-series' or 'ultrascale+' (found 'vir"),
        ("name: my-board\n", "name: my board\n", "name: letters, digits, `_`, `.` and `-` only, at most 64"),
        ("at_clock_mhz: 150", "at_clock_mhz: 0.5", "memory.at_clock_mhz: input should be greater than or equal to 1"),
        ("ports: 2", "ports: 65", "memory.ports: input should be less than or equal to 64 (found 65)"),
        ("latency_cycles: 150", "latency_cycles: -1", "memory.latency_cycles: input should be greater than or equal"),
        ("bytes_per_cycle: 16", "bytes_per_cycle: [8]", "memory.bytes_per_cycle: input should be a valid integer"),
        ("family: ultrascale+", "family: 7-series", "part.name: 'xczu3eg-sbva484-1-e' is no device of 7-series (these "
         "begin with xc7); it is one of ultrascale+: correct `family`"),
        ("name: xczu3eg", "name: ice40hx", "part.name: 'ice40hx-sbva484-1-e' is no device of ultrascale+ (these "),
        ("name: xczu3eg", "name: 'xczu3eg; exit'", "part.name: 'xczu3eg; exit-sbva484-1-e' has ' ', ';'; legal: "),
        ("part:\n  name: xczu3eg-sbva484-1-e\n  source: order of the carrier", "part: xczu3eg", "part: a section is "
         "needed; legal here: name, source"),
    ],
)  # fmt: skip
def test_each_error_is_named(old: str, new: str, line: str) -> None:
    text = EXAMPLE.replace(old, new) if "exit" not in new else EXAMPLE.replace(
        "name: xczu3eg-sbva484-1-e", "name: 'xczu3eg; exit-sbva484-1-e'"
    )  # fmt: skip
    assert text != EXAMPLE
    with pytest.raises(SpecError) as caught:
        parse_board(text, where="b.yaml")
    assert str(caught.value).startswith("b.yaml: 1 error\n  - " + line)


def test_blocks_that_a_family_lacks() -> None:
    seven = (("family: ultrascale+", "family: 7-series"), ("xczu3eg-sbva484-1-e", "xc7z020clg400-1"))
    assert read(*seven).family == "7-series"
    with pytest.raises(SpecError, match=r"device\.uram: 3, but devices of 7-series have no UltraRAM; leave it out"):
        read(*seven, ("lut: 70560", "uram: 3\n  lut: 70560"))


def test_all_errors_at_once() -> None:
    with pytest.raises(SpecError) as caught:
        read(("dsp: 360", "dsp: 0"), ("ports: 2", "prots: 2"), ("notes:", "note:"))
    assert str(caught.value).startswith("b.yaml: 4 errors\n")


BOMB = "a: &a [1,1,1,1,1,1,1,1,1,1]\n" + "".join(
    f"{b}: &{b} [{','.join([f'*{a}'] * 10)}]\n" for a, b in zip("abcde", "bcdef", strict=True)
)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (
            EXAMPLE.replace("dsp: 360", "dsp: 360\n  dsp: 361").encode(),
            ":10:3: `dsp` is given twice (first in line 9)",
        ),
        (b"name: caf\xe9\n", ": not UTF-8 text (byte 9); save it as UTF-8"),
        (b"#" * 200_000, "': cannot be read: it has 200,000 bytes; legal: at most 131,072"),
        (BOMB.encode(), "more than 20,000 values, every use of an alias counted"),
        (b"a: &a [*a]\n", "an alias stands inside its own value"),
        (b"", ": the file is empty; it must hold the fields name, notes, family, part, device, memory"),
        (b"- 1\n", ": the file is a list; it must hold the fields"),
        (b"name: !!python/object:x {}\n", "could not determine a constructor"),
        (b"a: [" * 3000, ": nested too deeply for a board"),
        (None, ": no such file; give the path of a board, as nba/boards/platforms/zc706.yaml"),
    ],
    ids=["twice", "latin", "huge", "bomb", "circle", "empty", "list", "tag", "deep", "absent"],
)
def test_files_that_are_no_board(content: bytes | None, said: str, tmp_path: Path) -> None:
    """One message, exit status 2 and no traceback, from the command line."""
    (tmp_path / "s.yaml").write_text(SPEC)
    if content is not None:
        (tmp_path / "my-board.yaml").write_bytes(content)
    done = CliRunner().invoke(app, ["spec", str(tmp_path / "s.yaml")])
    assert done.exit_code == 2
    text = done.output.replace("\n", "")
    assert text.startswith("nba-codesign: platform: ")
    assert text.count(f"{tmp_path / 'my-board.yaml'}") == 1
    assert said in text
    assert "Traceback" not in text


def test_pipes_and_folders_are_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    with pytest.raises(SpecError, match="a pipe, socket or device; give a plain file"):
        load_board(str(tmp_path / "pipe.yaml"))
    with pytest.raises(SpecError, match="is a folder; give the path of a board file"):
        load_board(f"{tmp_path}/")


def test_names_stay_names() -> None:
    assert load_board("zc706") is get("zc706")
    with pytest.raises(SpecError, match=r"'zcu14' is not known \(did you mean 'zcu104'\?\); legal: arty-a7-100, .*ya"):
        load_board("zcu14")


def test_a_built_in_board_is_not_redefined(tmp_path: Path) -> None:
    copy = tmp_path / "copy.yaml"
    text = board_files()["zc706"].read_text()
    copy.write_text(text)
    assert load_board(str(copy)) is get("zc706")
    copy.write_text(text.replace("dsp: 900", "dsp: 901"))
    with pytest.raises(SpecError, match="'zc706' is a built-in board with other figures; give the board a name of its"):
        load_board(str(copy))


def test_the_path_is_relative_to_the_spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "specs"
    folder.mkdir()
    (folder / "s.yaml").write_text(SPEC)
    (folder / "my-board.yaml").write_text(EXAMPLE)
    monkeypatch.chdir(tmp_path)
    spec = load_spec("specs/s.yaml")
    assert spec.platform == str(folder / "my-board.yaml")
    assert platform_of(spec) == mine()
    (folder / "s.yaml").write_text(SPEC.replace("bram: 20}", "bram: 20, clock_mhz: 100}"))
    assert platform_of(load_spec("specs/s.yaml")) == replace(mine(), clock_mhz=100.0)
    done = CliRunner().invoke(app, ["spec", "specs/s.yaml"])
    assert done.exit_code == 0
    (folder / "s.yaml").write_text(SPEC.replace("dsp: 40", "dsp: 361"))
    done = CliRunner().invoke(app, ["spec", "specs/s.yaml"])
    assert done.exit_code == 2
    assert "budgets.dsp: 361, but my-board has 360; give at most that" in done.output


def test_a_stage_is_done_anew_where_the_file_changes(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text(SPEC)
    board = tmp_path / "my-board.yaml"
    board.write_text(EXAMPLE)
    spec, stage = load_spec(tmp_path / "s.yaml"), replace(MAP, after=())
    before = inputs_digest(stage, spec, {})
    assert inputs_digest(stage, spec, {}) == before
    board.write_text(EXAMPLE.replace("dsp: 360", "dsp: 361"))
    assert inputs_digest(stage, spec, {}) != before


def test_every_stage_that_asks_a_board_depends_on_the_files() -> None:
    stages = {stage.name: stage for stage in (*MIXED, *SWITCHABLE, architecture.STAGE)}
    without = {name for name, stage in stages.items() if BOARDS not in stage.package_data}
    assert without == {"train", "cascade", "baselines"}
    assert (ROOT / "nba" / BOARDS / "zc706.yaml").is_file()


def design_for(board: Platform) -> tuple[Design, Weights]:
    """The tiny design, for another board."""
    design, weights = tiny_design()
    return replace(design, platform=board.name, board=board.described), weights


def test_a_design_carries_its_board(tmp_path: Path) -> None:
    design, weights = design_for(mine())
    save_design(design, weights, tmp_path)
    raw = json.loads((tmp_path / "design.json").read_text())
    assert raw["platform"] == raw["board"]["name"] == "my-board"
    again, _ = load_design(tmp_path / "design.json")
    assert (again, again.id) == (design, design.id)
    assert get(again.platform, again.board) == mine()
    built_in, _ = design_for(get("kv260"))
    assert "board" not in built_in.document()
    ids = {tiny_design()[0].id, design.id, built_in.id}
    assert len(ids | {replace(design, board=read(("lut: 70560", "lut: 70561"))).id}) == 4


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"name": "other"}, "board.name is 'other', but platform is 'my-board'"),
        ({"family": "7-series"}, "board.part.name: 'xczu3eg-sbva484-1-e' is no device of 7-series"),
        ({"family": "x"}, "design.board.family: input should be '7-series' or 'ultrascale+'"),
        ({"more": 1}, "design.board.more: unknown field"),
        ({"device": 5}, "design.board.device: a section is needed"),
        ({"part": {"name": "xczu3\n;x", "source": "x"}}, "board.part.name: 'xczu3\\n;x' has '\\n', ';'; legal: "),
    ],
)
def test_a_board_in_a_design_is_checked(changes: dict[str, Any], said: str, tmp_path: Path) -> None:
    save_design(*design_for(mine()), tmp_path)
    path = tmp_path / "design.json"
    raw = json.loads(path.read_text())
    raw["board"] |= changes
    path.write_text(json.dumps(raw))
    with pytest.raises(DesignError) as caught:
        load_design(path)
    assert said in str(caught.value)


def test_a_design_cannot_redefine_a_built_in_board(tmp_path: Path) -> None:
    design, weights = design_for(mine())
    forged = replace(design, platform="zc706", board=read(("name: my-board", "name: zc706")))
    save_design(forged, weights, tmp_path)
    with pytest.raises(DesignError, match=r"board\.name: 'zc706' is a built-in board with other figures"):
        load_design(tmp_path / "design.json")


def test_the_api_takes_a_file(tmp_path: Path) -> None:
    (tmp_path / "b.yaml").write_text(EXAMPLE)
    design, weights = tiny_design()
    mapped = Mapped(accelerator=design.accelerator, cost=design.cost, certificate=None)
    made = make_design(design.network, weights, mapped, str(tmp_path / "b.yaml"))
    assert (made.platform, made.board) == ("my-board", read())


def test_a_bundle_is_for_its_family() -> None:
    """Of the example's board, which no file of this machine holds."""
    for board, family in ((mine(), "xcup"), (get("kv260"), "xcup"), (get("zc706"), "xc7")):
        bundle = render_bundle(*design_for(board))
        paths = ("synth/yosys.ys", "synth/yosys_count.ys", "synth/vivado.tcl", "README.md", "design.json")
        text = {path: bundle[path].decode() for path in paths}
        for name in ("synth/yosys.ys", "synth/yosys_count.ys"):
            assert f"\nsynth_xilinx -family {family} -top nba_tiny " in text[name]
        assert f"-part {board.part}\n" in text["synth/vivado.tcl"]
        assert f"| target | {board.name} ({board.part})" in text["README.md"]
        assert f"| {board.family.dsp} | " in text["README.md"]
        assert f"# {board.family.title}, with yosys" in text["README.md"]
        assert ("board" in json.loads(text["design.json"])) == (board.described is not None)


def test_the_report_needs_no_file(tmp_path: Path) -> None:
    design, weights = design_for(mine())
    (tmp_path / "design").mkdir()
    save_design(design, weights, tmp_path / "design")
    page = write_report(tmp_path, tmp_path / "page.html", metrics={}, claims=()).read_text()
    assert "DSP48E2" in page
    assert "my-board<small>whole device" in page
    assert FAMILIES["ultrascale+"].logic_note in page


def test_what_the_exact_search_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sums of 42 and 43 bits, which codes of 16 bits may have, on multipliers of 27 bits."""
    network = tiny_design()[0].network
    assert searched_exactly(network, get("kv260"))
    rows = layer_table(network)
    for bits in range(2, 47):
        rows[:, ACC_BITS] = bits
        monkeypatch.setattr(resources, "layer_table", lambda network: rows)
        assert searched_exactly(network, get("zc706"))
        assert searched_exactly(network, get("kv260")) == (bits not in (42, 43))


def fields(model: type[BaseModel], where: str = "") -> Iterator[tuple[str, str]]:
    """Every key of a board file, and what is legal, as the document has it."""
    schema = model.model_json_schema()
    for name, field in model.model_fields.items():
        inner = [kind for kind in (field.annotation, *getattr(field.annotation, "__args__", ())) if kind is not None]
        section = next((kind for kind in inner if isinstance(kind, type) and issubclass(kind, BaseModel)), None)
        optional = "" if field.is_required() else ", optional"
        if section is not None:
            if optional:
                yield f"{where}{name}", f"section{optional}"
            yield from fields(section, f"{where}{name}.")
            continue
        said = schema["properties"][name]
        if "enum" in said:
            yield f"{where}{name}", ", ".join(f"`{word}`" for word in said["enum"])
        elif "minimum" in said:
            yield f"{where}{name}", f"{said['minimum']:g}..{int(said['maximum'])}{optional}"
        else:
            yield f"{where}{name}", f"text{optional}"


def test_the_document_has_every_key() -> None:
    rows = re.findall(r"^\| `([a-z_.]+)` \| ([^|]+) \| [^|]+ \|$", DOCUMENT, flags=re.MULTILINE)
    assert rows == list(fields(BoardText))


def test_the_document_has_every_board() -> None:
    rows = []
    for name in names():
        p = get(name)
        memory = "none" if p.memory is None else f"{p.memory.mbytes_per_s:,.0f}"
        totals = (p.dsp, p.bram18 // 2, p.uram, p.lut, p.ff)
        rows.append(f"| `{name}` | {p.part} | {p.family.name} | {' | '.join(f'{n:,}' for n in totals)} | {memory} |\n")
    assert "".join(rows) + "\n" in DOCUMENT


def test_help_and_readme_list_every_board() -> None:
    done = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "200"})
    shown, readme = " ".join(done.output.split()), (ROOT / "README.md").read_text(encoding="utf-8")
    assert f"Boards: {', '.join(names())}, or a YAML file" in shown
    (row,) = re.findall(r"^\| `platform`, `budgets` \|.*$", readme, flags=re.MULTILINE)
    assert ", ".join(f"`{name}`" for name in names()) in row
