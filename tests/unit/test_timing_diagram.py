# SPDX-License-Identifier: Apache-2.0
"""The worked example of docs/template.md and docs/cycle-model.md: diagram and table are what the model gives."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from nba.explore.turns import with_rows, with_turns
from nba.ir.accelerator import HOST, Accelerator, Chunk, Job
from nba.ir.network import Layer, Network
from nba.machine.program import Program, lower
from nba.machine.schedule import schedule
from nba.machine.steady import steady_interval
from tests.token_machine import Machine, Work
from tests.unit.test_pipeline import conv, dense_chunk, legal, ring, square

DOCS = Path(__file__).resolve().parents[2] / "docs"
WIDTH = 112
"""Cycles that the diagram shows."""
PART, PARTS = 110, 3
"""Cycles of a part of the diagram of a row program, and parts."""


def example(between: int = 3, host: int = 1) -> tuple[Network, Accelerator]:
    """Two chunks on maps of 4 x 4: a 3x3 convolution, and a depthwise one behind it."""
    second = Layer(
        name="second", op="depthwise", input=1, kernel_h=3, kernel_w=3, pad_top=1, pad_left=1, shift=1, q_min=0,
        q_max=255,
    )  # fmt: skip
    network = Network(
        name="n", tensors=tuple(square(name, 4, 1) for name in ("in", "middle", "out")),
        layers=(conv("first", 0, kernel=3), second),
    )  # fmt: skip
    chunks = (dense_chunk(Job(layer=0)), Chunk(kind="depthwise", pm=1, pn=1, pq=1, jobs=(Job(layer=1),)))
    rings = (ring(0, 0, 8), ring(1, 1, between), ring(2, HOST, host))
    return legal(network, Accelerator(pp=4, chunks=chunks, rings=rings, out_lanes=1))


def diagram() -> str:
    """The rows of the first frame, as the docs show them."""
    network, accelerator = example()
    machine = Machine(network, accelerator, 2)
    assert machine.run()
    shown: list[tuple[str, dict[int, str]]] = []
    agents = (
        ("in", machine.input),
        ("chunk 0", machine.chunks[0]),
        ("chunk 1", machine.chunks[1]),
        ("out", machine.output),
    )
    for name, agent in agents:
        work, fetched = agent.works[0], dict.fromkeys(range(agent.fetch), "f")
        rows = {y: start for (frame, y), start in work.starts.items() if frame == 0}
        busy = {start + i: str(y) for y, start in rows.items() for i in range(work.row_cycles)}
        shown.append((name, fetched | busy))
        if name in ("chunk 1", "out"):
            # Of the rows that a 3x3 kernel reads, row y - 1 is the last that row y needs.
            gone = {y: (y - 1 if name == "chunk 1" else y) for y in rows}
            ends = {start + work.row_cycles - 1 + 2: str(gone[y]) for y, start in rows.items() if gone[y] >= 0}
            shown.append(("  released", ends))
        if name != "out":
            shown.append(("  written", {start + work.written_after: str(y) for y, start in rows.items()}))
    return drawn(shown, range(WIDTH))


def drawn(shown: list[tuple[str, dict[int, str]]], cycles: range) -> str:
    """Named rows of marks by cycle."""
    ticks = "".join(f"{cycle:<10}" for cycle in cycles[::10])
    marks = "".join("|" if i % 10 == 0 else "." if i % 5 == 0 else " " for i in cycles)
    lines = [f"    {'cycle':<12}{ticks}"[: 16 + len(cycles)], f"    {'':<12}{marks}"]
    lines += [f"    {name:<12}" + "".join(cells.get(i, ".") for i in cycles) for name, cells in shown]
    return "\n".join(line.rstrip() for line in lines)


def row_program() -> tuple[Network, Accelerator]:
    """One chunk on maps of 4 x 4 that computes two 3x3 convolutions, row by row in turns."""
    names = ("in", "middle", "out")
    layers = (conv("first", 0, kernel=3), conv("second", 1, kernel=3))
    network = Network(name="n", tensors=tuple(square(name, 4, 1) for name in names), layers=layers)
    chunks = (dense_chunk(Job(layer=0), Job(layer=1)),)
    rings = (ring(0, 0, 4), ring(1, 1, 4), ring(2, HOST, 1))
    found, rows = with_turns(network, Accelerator(pp=4, chunks=chunks, rings=rings, out_lanes=1), Fraction(0))
    return legal(network, with_rows(found, rows))


def row_program_diagram() -> str:
    """Its first round and the beginning of the second one, rows of the second layer in letters."""
    network, accelerator = row_program()
    machine = Machine(network, accelerator, 2)
    assert machine.run()
    (chunk,) = machine.chunks
    shown = []
    for name, agent in (("in", machine.input), ("chunk", chunk), ("out", machine.output)):
        cells: dict[int, str] = {}
        for work, marks in zip(agent.works, ("0123", "abcd"), strict=False):
            for (_, y), start in work.starts.items():
                cells |= {start + i: marks[y] for i in range(work.row_cycles)}
        shown.append((name, cells))
        if name == "chunk":
            first, second = agent.works
            shown.append(("  written", _written(first, "0123") | _written(second, "abcd")))
    return "\n\n".join(drawn(shown, range(at, at + PART)) for at in range(0, PARTS * PART, PART))


def _written(work: Work, marks: str) -> dict[int, str]:
    return {start + work.written_after: marks[y] for (_, y), start in work.starts.items()}


def program(between: int, host: int) -> Program:
    return lower(*example(between, host))


def test_the_diagrams_are_the_docs() -> None:
    for text in (diagram(), row_program_diagram()):
        assert text in (DOCS / "template.md").read_text(), "\n" + text


def test_the_row_program_is_that_of_the_docs() -> None:
    network, accelerator = row_program()
    (chunk,) = accelerator.chunks
    marks = [f"{'first' if t.job == 0 else 'second'}{' (late)' if t.late else ''}" for t in chunk.turns]
    rows = [r.rows for r in accelerator.rings]
    found = lower(network, accelerator)
    text = (DOCS / "template.md").read_text()
    assert ", ".join(marks) in text, marks
    assert f"rings of {rows[0]}, {rows[1]} and {rows[2]} rows" in text.replace("1 row,", "1 rows,"), rows
    latency = schedule(found, 4).first_output_latency_cycles
    line = (
        f"A frame takes {steady_interval(found)} cycles in steady state, and the first output is there after {latency}"
    )
    assert line in text, line


@pytest.mark.parametrize(("between", "host"), [(3, 1), (4, 1), (8, 2)])
def test_rings_and_intervals(between: int, host: int) -> None:
    found = program(between, host)
    first = schedule(found, 4).first_output_latency_cycles
    rows = [f"{n} row{'s' if n > 1 else ''}" for n in (between, host)]
    line = f"| {rows[0]} | {rows[1]} | {steady_interval(found)} | {first} |"
    assert line in (DOCS / "cycle-model.md").read_text(), line


def test_events_of_the_first_rows() -> None:
    """The events that docs/cycle-model.md lists, cycle by cycle."""
    network, accelerator = example()
    machine = Machine(network, accelerator, 2)
    assert machine.run()
    text = (DOCS / "cycle-model.md").read_text()
    first, second = (chunk.works[0] for chunk in machine.chunks)
    out = machine.output.works[0].starts
    for start, expected in (
        (first.starts[0, 0], "chunk 0 row 0:  needs rows 0, 1 -> decision 6, t_s = {}"),
        (first.starts[0, 1], "chunk 0 row 1:  t_s = {}"),
        (second.starts[0, 0], "t_s = {0}  written seen {0} + 9 + 1 + "),
        (out[0, 0], "out row 0:      decision {1}, t_s = {0}, two cycles"),
        (second.starts[0, 1], "chunk 1 row 1:  free row in {1} -> t_s = {0}"),
        (first.starts[0, 3], "chunk 0 row 3:  free row in {1} -> t_s = {0}"),
    ):
        line = expected.format(start, start - 1) if "{0}" in expected else expected.format(start)
        assert line in text, line
    last = schedule(program(3, 1), 4).first_output_latency_cycles
    assert f"leaves in cycle {last - 1}, so the latency is {last} cycles" in text, last
