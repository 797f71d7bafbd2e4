# SPDX-License-Identifier: Apache-2.0
"""Row programs: what a round of turns may be, what becomes of it, and that rings of rows suffice."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from nba.boards import get
from nba.core import assets
from nba.emit.program_rom import program_bits
from nba.explore.turns import phases, serial_rows, turns_of, with_rows, with_turns
from nba.ir.accelerator import HOST, Accelerator, Chunk, Job, Turn
from nba.ir.network import Network, Tensor
from nba.machine.check import check_accelerator
from nba.machine.design_file import load_design, save_design
from nba.machine.layout import TURN, program_width
from nba.machine.program import lower, min_ring_rows
from nba.machine.resources import predict
from nba.machine.schedule import schedule
from nba.machine.settled import long_run
from nba.machine.steady import steady_interval
from nba.machine.total import exact_cost
from tests.strategies import random_accelerator, random_network
from tests.tiny import tiny_design
from tests.token_machine import Machine
from tests.unit.hw_networks import TINY
from tests.unit.test_pipeline import assert_bundle_predicts, assert_equal


def drawn(seed: int) -> tuple[Network, Accelerator]:
    """A random network on a random accelerator, with a row program in every chunk."""
    rng = np.random.default_rng([seed, 21])
    network, _ = random_network(rng)
    accelerator = random_accelerator(rng, network)
    slack, spare, burst = Fraction(int(rng.integers(0, 5)), 2), int(rng.integers(0, 3)), int(rng.integers(1, 4))
    return network, with_rows(*with_turns(network, accelerator, slack, burst), spare)


@pytest.mark.parametrize("group", range(10))
def test_equals_the_token_machine(group: int) -> None:
    """Row by row, in a simulator whose jobs count their own rows. Rings of what a serial execution needs suffice."""
    for seed in range(10 * group, 10 * group + 10):
        network, accelerator = drawn(seed)
        n_frames = 1 + seed % 4
        machine = Machine(network, accelerator, n_frames)
        assert machine.run()
        assert_equal(schedule(lower(network, accelerator), n_frames), machine)


@pytest.mark.parametrize("seed", range(20))
def test_exact_rate_is_that_of_a_long_run(seed: int) -> None:
    program = lower(*drawn(seed))
    run = long_run(program)
    assert run.settled
    assert run.state.interval_cycles == steady_interval(program)


@pytest.mark.parametrize("seed", range(10))
def test_a_bundle_predicts_the_same_cycles(seed: int) -> None:
    assert_bundle_predicts(*drawn(seed))


@pytest.mark.parametrize("seed", range(20))
def test_rings_are_those_of_a_serial_execution(seed: int) -> None:
    """Every row alone in the order of virtual times: the most rows that a ring holds, counted one by one."""
    network, _ = random_network(np.random.default_rng([seed, 22]))
    n_layers = len(network.layers)
    burst = 1 + seed // 3 % 3
    begins = phases(network, Fraction(seed % 3, 2), burst)
    frames = 3 + int(max(begins))
    events = [
        (Fraction(f) + Fraction(y, network.tensors[0].height), -1, f, y)
        for f in range(frames)
        for y in range(network.tensors[0].height)
    ]
    for i in range(n_layers):
        rows = network.result(i).height
        events += [(f + begins[i] + Fraction(y - y % burst, rows), i, f, y) for f in range(frames) for y in range(rows)]
    uses = [(t, c, p) for t in range(n_layers + 1) for c, p in network.consumers(t)] + [(n_layers, HOST, "main")]
    held, most = dict.fromkeys(uses, 0), dict.fromkeys(uses, 0)
    written = dict.fromkeys(uses, 0)
    for _, i, f, y in sorted(events):
        if i >= 0:
            layer = network.layers[i]
            height = network.tensors[layer.input].height
            top = y * layer.stride_h - layer.pad_top
            use = (layer.input, i, "main")
            assert written[use] >= f * height + min(height, top + layer.kernel_h)
        for use in uses:
            if use[0] == i + 1:
                held[use] += 1
                written[use] += 1
                most[use] = max(most[use], held[use])
        if i >= 0:
            last = y == network.result(i).height - 1
            held[layer.input, i, "main"] -= (height if last else max(0, top + layer.stride_h)) - max(0, top)
            if layer.residual is not None:
                held[layer.residual, i, "residual"] -= 1
                assert held[layer.residual, i, "residual"] >= 0
        if i == n_layers - 1:
            held[n_layers, HOST, "main"] -= 1
    found = serial_rows(network, begins, burst)
    assert most[uses[-1]] <= found[uses[-1]]
    for tensor, consumer, port in uses[:-1]:
        least = min_ring_rows(network, consumer, port)
        assert found[tensor, consumer, port] == max(most[tensor, consumer, port], least)


def test_the_example_of_the_documentation() -> None:
    """docs/template.md, Turns."""
    tensors = tuple(Tensor(name=f"t{i}", height=8, width=8, channels=2, signed=True) for i in range(4))
    layers = tuple(replace(TINY.layers[0], name=f"l{i}", input=i, act_bits=8) for i in range(3))
    network = Network(name="three", tensors=tensors, layers=layers)
    begins = phases(network, Fraction(0))
    assert begins == (Fraction(1, 8), Fraction(2, 8), Fraction(3, 8))
    chunk = Chunk(kind="dense", pm=2, pn=2, pq=2, jobs=tuple(Job(layer=i) for i in range(3)))
    turns = turns_of(network, chunk, begins).turns
    assert [(turn.job, turn.rows) for turn in turns] == [(0, 1), (1, 1), (2, 1)] * 8
    assert [sum(turn.late for turn in turns if turn.job == j) for j in range(3)] == [1, 2, 3]
    rows = serial_rows(network, begins)
    assert rows[1, 1, "main"] == rows[2, 2, "main"] == 3


def _one(turns: tuple[Turn, ...], k: int = 0) -> Callable[[Accelerator], Accelerator]:
    def change(accelerator: Accelerator) -> Accelerator:
        chunks = list(accelerator.chunks)
        chunks[k] = replace(chunks[k], turns=turns)
        return replace(accelerator, chunks=tuple(chunks))

    return change


def _whole(chunk: Chunk, network: Network) -> list[Turn]:
    return [Turn(job=j, rows=network.result(job.layer).height) for j, job in enumerate(chunk.jobs)]


def test_illegal_turns_are_refused_by_name() -> None:
    network, accelerator = drawn(6)
    k, chunk = max(enumerate(accelerator.chunks), key=lambda found: len(found[1].jobs))
    whole = _whole(chunk, network)
    j = next(j for j, turn in enumerate(whole) if turn.rows > 2)
    rows = whole[j].rows
    others = [turn for turn in whole if turn.job != j]
    assert check_accelerator(network, _one(tuple(whole), k)(accelerator)) == ()
    cases: dict[str, list[Turn]] = {
        f"have {rows - 1} rows; legal: {rows}": [*others, Turn(job=j, rows=rows - 1)],
        f"turn 0: job is {len(chunk.jobs)}": [Turn(job=len(chunk.jobs), rows=1), *whole],
        "turn 0: late is 2": [Turn(job=j, rows=1, late=2), *whole],
        f"turn 0: rows of job {j} is 0": [Turn(job=j, rows=0), *whole],
        "all late turns of a job before its others": [
            *others, Turn(job=j, rows=rows - 1), Turn(job=j, rows=1, late=1)
        ],
    }  # fmt: skip
    for message, turns in cases.items():
        problems = check_accelerator(network, _one(tuple(turns), k)(accelerator))
        assert any(message in problem for problem in problems), (message, problems)


def test_a_design_file_keeps_them(tmp_path: Path) -> None:
    design, weights = tiny_design()
    accelerator = with_rows(*with_turns(design.network, design.accelerator))
    cost = exact_cost((lower(design.network, accelerator),), get(design.platform))
    turned = replace(design, accelerator=accelerator, cost=cost)
    save_design(turned, weights, tmp_path)
    assert load_design(tmp_path / "design.json")[0] == turned
    assert "turns" not in json.dumps(design.document())


def test_programs_take_bits_and_no_block_ram() -> None:
    """A word for every turn and every job; in a design with row programs of hundreds of words the block RAM is that of
    weights, parameters and buffers."""
    rng, plain = np.random.default_rng(70), 0
    while True:
        network, _ = random_network(rng)
        accelerator = with_rows(*with_turns(network, random_accelerator(rng, network), Fraction(1), 1), 1)
        if sum(len(chunk.turns) for chunk in accelerator.chunks) > 30:
            break
    program = lower(network, accelerator)
    sizes = {"C_BITS": program.code_bits, "WIDE": int(program.wide)}
    for k, chunk in enumerate(program.chunks):
        outputs = sum(edge.producer == k for edge in program.edges)
        plain += len(chunk.turns) * TURN.width({}) + len(chunk.jobs) * program_width(sizes, outputs)
    assert program_bits(network, program) == plain
    short = replace(program, chunks=tuple(replace(c, turns=c.turns[:1]) for c in program.chunks))
    assert predict(program, get("zc706")).bram18 == predict(short, get("zc706")).bram18
    rom = (assets.root("templates") / "rtl" / "lib" / "nba_program.v").read_text()
    assert rom.count("nba_rom #(") == rom.count(".BLOCK(0)") == 2
