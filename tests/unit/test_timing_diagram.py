# SPDX-License-Identifier: Apache-2.0
"""The worked example of docs/template.md and docs/cycle-model.md: diagram and table are what the model gives."""

from __future__ import annotations

from pathlib import Path

import pytest

from nba.ir.accelerator import HOST, Accelerator, Chunk, Job
from nba.ir.network import Layer, Network
from nba.machine.program import Program, lower
from nba.machine.schedule import schedule
from nba.machine.steady import steady_interval
from tests.token_machine import Machine
from tests.unit.test_pipeline import conv, dense_chunk, legal, ring, square

DOCS = Path(__file__).resolve().parents[2] / "docs"
WIDTH = 112
"""Cycles that the diagram shows."""


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
    ticks = "".join(f"{cycle:<10}" for cycle in range(0, WIDTH, 10))
    marks = "".join("|" if i % 10 == 0 else "." if i % 5 == 0 else " " for i in range(WIDTH))
    lines = [f"    {'cycle':<12}{ticks}"[: 16 + WIDTH], f"    {'':<12}{marks}"]
    lines += [f"    {name:<12}" + "".join(cells.get(i, ".") for i in range(WIDTH)) for name, cells in shown]
    return "\n".join(line.rstrip() for line in lines)


def program(between: int, host: int) -> Program:
    return lower(*example(between, host))


def test_the_diagram_is_the_docs() -> None:
    assert diagram() in (DOCS / "template.md").read_text(), "\n" + diagram()


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
