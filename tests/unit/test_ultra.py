# SPDX-License-Identifier: Apache-2.0
"""UltraRAM in designs: files, lowering, resources, and which memories lie in it."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from nba.boards import get
from nba.core import assets
from nba.core.errors import DesignError
from nba.core.tools import run_tool
from nba.emit.bundle import render_bundle
from nba.explore.budgets import Budgets
from nba.explore.streaming import StreamEffort, map_streamed
from nba.explore.ultra import candidates, greedy_saving, ultra_memories
from nba.flow.artifacts import device_blocks
from nba.flow.metrics import table
from nba.ir.accelerator import HOST, Accelerator, UltraMemory, WeightMemory
from nba.ir.design import Design
from nba.machine import kernels
from nba.machine.check import check_accelerator
from nba.machine.design_file import load_design, save_design
from nba.machine.logic import logic
from nba.machine.program import Program, lower, with_ultra
from nba.machine.resources import banks, predict, style, weight_rom
from nba.machine.total import exact_cost
from nba.report.inputs import Inputs
from nba.report.page import render
from tests.strategies import random_pair, streamed
from tests.tiny import tiny_design
from tests.unit.test_report import Page
from tests.unit.test_streaming import small

BOARD = replace(get("kv260"), min_block_words=2, min_block_bits=1)
"""Where the small memories of random designs are in block RAM."""


MOST = 10
"""Memories all of whose subsets are tried."""


def every_memory(program: Program) -> tuple[UltraMemory, ...]:
    return tuple(name for name, _, _ in candidates(program, BOARD))


def streaming(seed: int) -> tuple[Accelerator, Program]:
    rng = np.random.default_rng([seed, 77])
    pair = random_pair(rng)
    accelerator = streamed(rng, pair.network, pair.accelerator)
    return accelerator, lower(pair.network, accelerator)


def in_ultra() -> tuple[Design, tuple[np.ndarray, ...]]:
    """The tiny design on a board with UltraRAM, its first buffer in it."""
    design, weights = tiny_design()
    program = lower(design.network, design.accelerator)
    accelerator = replace(design.accelerator, ultra=(program.edges[0].memory,))
    cost = exact_cost((lower(design.network, accelerator),), get("kv260"))
    clock = get("kv260").clock_mhz
    return replace(design, platform="kv260", clock_mhz=clock, accelerator=accelerator, cost=cost), weights


def test_a_design_file_names_the_memories(tmp_path: Path) -> None:
    design, weights = in_ultra()
    assert design.cost.uram > 0
    save_design(design, weights, tmp_path)
    found, _ = load_design(tmp_path / "design.json")
    assert found == design
    path = tmp_path / "design.json"
    raw = json.loads(path.read_text())
    (named,) = raw["accelerator"]["ultra"]
    first = design.accelerator.ultra[0]
    assert named == {"producer": HOST, "consumer": first.consumer, "port": "main", "lane": 0}
    named["port"] = "side"
    path.write_text(json.dumps(raw))
    with pytest.raises(DesignError, match=r"ultra\[0\].port: 'side' is not one of 'main', 'residual', 'weights'"):
        load_design(path)


def test_a_design_without_says_nothing_of_it() -> None:
    design, _ = tiny_design()
    assert "ultra" not in design.document()["accelerator"]
    assert "uram" not in design.document()["cost"]


@pytest.mark.parametrize("seed", range(12))
def test_lowering_and_counts(seed: int) -> None:
    """UltraRAM and block RAM by memory; what lies in neither, and everything else, stays as it was."""
    accelerator, program = streaming(seed)
    names = every_memory(program)[seed % 2 :: 2]
    moved = with_ultra(program, names)
    network = random_pair(np.random.default_rng([seed, 77])).network
    assert moved == lower(network, replace(accelerator, ultra=names))
    assert with_ultra(moved, ()) == program
    before, after = predict(program, BOARD), predict(moved, BOARD)
    saved = {name: (less, more) for name, less, more in candidates(program, BOARD)}
    assert before.uram == 0
    assert after.bram18 == before.bram18 - sum(saved[name][0] for name in names)
    assert after.uram == sum(saved[name][1] for name in names)
    assert after.dsp == before.dsp
    for edge, found in zip(moved.edges, after.edges, strict=True):
        bank = banks(edge, moved.banks)
        assert (style(bank, BOARD) == "ultra") == (edge.memory in names)
        if edge.memory in names:
            count = moved.banks * kernels.uram(bank.width_bits, bank.words, bank.sub_width_bits)
            assert (found.bram18, found.uram) == (0, count)
    for k, (chunk, part) in enumerate(zip(moved.chunks, after.chunks, strict=True)):
        assert (style(weight_rom(chunk), BOARD) == "ultra") == any(
            n.port == "weights" and n.consumer == k for n in names
        )
        assert (part.weight_uram > 0) == chunk.ultra


def test_a_memory_in_ultra_ram_takes_no_luts() -> None:
    """Where the board would have it of LUTs."""
    _, program = streaming(0)
    plain = replace(BOARD, min_block_words=1 << 30)
    edge = program.edges[0]
    assert logic(with_ultra(program, (edge.memory,)), plain)[0] < logic(program, plain)[0]


@pytest.mark.parametrize("seed", range(20))
def test_the_choice_is_the_best_one(seed: int) -> None:
    """Against all subsets: the fewest blocks that bring block RAM within its budget, or else the most saved."""
    rng = np.random.default_rng([seed, 5])
    program = streaming(seed)[1]
    items = list(candidates(program, BOARD))
    while len(items) > MOST:
        program = replace(program, edges=program.edges[1:])
        items = list(candidates(program, BOARD))
    everything = predict(program, BOARD).bram18
    bram18, uram = int(everything * rng.uniform(0.2, 1.1)), int(rng.integers(0, 40))
    picks = [pick for n in range(len(items) + 1) for pick in combinations(items, n)]
    sums = [(everything - sum(saved for _, saved, _ in p), sum(taken for _, _, taken in p)) for p in picks]
    within = [(left, taken) for left, taken in sums if taken <= uram]
    enough = [taken for left, taken in within if left <= bram18]
    chosen = predict(with_ultra(program, ultra_memories(program, BOARD, bram18, uram)), BOARD)
    if enough:
        assert chosen.bram18 <= bram18
        assert chosen.uram == min(enough)
    else:
        assert chosen.bram18 == min(left for left, _ in within)
        assert chosen.uram <= uram


def test_a_greedy_saving_is_one_of_a_choice() -> None:
    items = [(10, 7), (9, 3), (4, 4), (100, 80)]
    assert greedy_saving(items, 0) == 0
    assert greedy_saving(items, 10) == 19
    assert greedy_saving(items, 14) == 23
    assert greedy_saving(items, 1000) == 123


QUICK = StreamEffort(sift_steps=300, start_steps=600, starts=1, rounds=((2, 20), (1, 60)))


def test_the_mapper_moves_memories_where_block_ram_is_short() -> None:
    network, platform, memory = small(32), get("kv260"), WeightMemory(bus_bits=64, latency=60)
    roomy = Budgets(dsp=128, bram=100, lut=53_200)
    plain = map_streamed(network, platform, roomy, memory=memory, effort=QUICK)
    assert plain.cost.uram == 0
    assert plain.accelerator.ultra == ()
    short = roomy.but(bram=plain.cost.bram / 3)
    found = map_streamed(network, platform, short, memory=memory, effort=QUICK)
    assert check_accelerator(network, found.accelerator) == ()
    assert 0 < found.cost.uram <= platform.uram
    assert found.cost.bram <= short.bram
    assert found.cost == exact_cost((lower(network, found.accelerator),), platform)
    few = map_streamed(network, platform, short.but(uram=found.cost.uram), memory=memory, effort=QUICK)
    assert few.cost.uram <= found.cost.uram


def test_budgets_say_how_many_blocks() -> None:
    design, _ = in_ultra()
    limits = Budgets(dsp=1000, bram=1000, uram=design.cost.uram)
    assert limits.excess_of(design.cost)["uram"] == 1.0
    none = limits.but(uram=0)
    assert none.excess_of(design.cost)["uram"] > 1.0
    assert none.excess_of(replace(design.cost, uram=0))["uram"] == 0.0
    assert none.field("uram") == "budgets.uram: 0"
    assert limits.describe(design.cost, ("uram",)) == f"{design.cost.uram} UltraRAM (288 Kbit)"
    assert "uram" not in Budgets(dsp=1, bram=1).names()


def test_the_closing_table_shows_it() -> None:
    shown = {
        "predicted": device_blocks(4, 1.5, 7),
        "synthesised": device_blocks(4, 1.5, 7),
        "budget": device_blocks(10, 5, 64),
    }
    lines = {line.label: line for line in table({"resources": shown})}
    assert lines["URAM"].value == "predicted 7 = synthesised 7, budget 64"
    assert lines["URAM"].holds
    none = {
        "predicted": device_blocks(4, 1.5, 0),
        "synthesised": device_blocks(4, 1.5, 0),
        "budget": device_blocks(10, 5, 0),
    }
    assert "URAM" not in {line.label for line in table({"resources": none})}


def test_the_report_and_the_bundle_show_it() -> None:
    design, weights = in_ultra()
    found = predict(lower(design.network, design.accelerator), get("kv260"))
    resources = {"predicted": device_blocks(design.cost.dsp, design.cost.bram, design.cost.uram)}
    resources |= {
        "synthesised": device_blocks(found.dsp, found.bram, found.uram + 1),
        "budget": device_blocks(99, 99, 64),
    }
    inputs = Inputs(
        design=design, metrics={"name": design.name, "resources": resources}, claims=(), search=None, train=None,
        switchable=None, netlist=None, spec_yaml=None,
    )  # fmt: skip
    page = Page(render(inputs))
    rows = {row[0]: row for row in page.body("resources", 0)}
    wanted = [str(found.uram), str(found.uram + 1), "NO", "64", "yes", "64"]
    assert rows["UltraRAM (288 Kbit)"][1:7] == wanted
    parts = page.body("resources", 2)
    assert [row[-1] for row in parts[-1 - len(found.edges) :]] == [*(str(e.uram) for e in found.edges), str(found.uram)]
    files = render_bundle(design, weights)
    assert f"| UltraRAM (288 Kbit) | {found.uram} |" in files["README.md"].decode()
    plain = render_bundle(*tiny_design())
    assert "UltraRAM (288" not in plain["README.md"].decode()


SCRIPT = assets.root("templates") / "synth" / "run_yosys.py"


@pytest.mark.parametrize(
    ("predicted", "made", "said"),
    [(5, 5, "synthesised 5: ="), (5, 0, "synthesised 0: DIFFERS"), (0, 5, "synthesised 5: DIFFERS"), (0, 0, "")],
)
def test_the_script_of_a_bundle_compares_it(predicted: int, made: int, said: str, tmp_path: Path) -> None:
    (tmp_path / "synth").mkdir()
    cells = {"DSP48E2": 3, "RAMB18E2": 1, **({"URAM288": made} if made else {})}
    stat = tmp_path / "synth" / "yosys.json"
    stat.write_text(json.dumps({"design": {"num_cells_by_type": cells}}))
    cost = {"dsp": 3, "bram": 0.5, **({"uram": predicted} if predicted else {})}
    (tmp_path / "design.json").write_text(json.dumps({"cost": cost}))
    compare = "import run_yosys, pathlib, sys; sys.exit(run_yosys.compare(pathlib.Path('yosys.json')))"
    done = run_tool(
        [sys.executable, "-c", compare], cwd=tmp_path / "synth", env={"PYTHONPATH": str(SCRIPT.parent)}, check=False
    )  # fmt: skip
    assert done.returncode == int(predicted != made)
    assert (f"UltraRAM: predicted {predicted}, {said}\n" in done.output) if said else ("UltraRAM" not in done.output)
