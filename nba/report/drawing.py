# SPDX-License-Identifier: Apache-2.0
"""Geometry of the pictures, in SVG user units; templates/report draws them."""

from __future__ import annotations

from dataclasses import dataclass

from nba.cost.cycles import OVERHEAD_CYCLES
from nba.ir.network import Layer, Network
from nba.ir.program import Program
from nba.report.account import CAUSES, ChunkAccount
from nba.report.inputs import SearchCurves
from nba.report.steady import SteadyFrames

WIDTH = 1160
N_COLOURS = 7
"""Colours of chunks and operators; further ones begin again."""
N_FRAME_COLOURS = 5
CHAR = 6.2
"""Width of a character of a label."""
SMALLEST = 0.6
"""Bars closer than this are drawn as one, waits shorter than this not at all."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Mark:
    """A rectangle with a CSS class, a tooltip, and a label if there is room for one."""

    x: float
    y: float
    w: float
    h: float
    css: str
    tip: str
    label: str = ""
    detail: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Path:
    """A line: SVG path data and CSS class."""

    d: str
    css: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Text:
    """A free text; anchor is that of SVG."""

    x: float
    y: float
    text: str
    css: str = ""
    anchor: str = "start"


@dataclass(frozen=True, kw_only=True, slots=True)
class Picture:
    """A whole picture; `title` is read out in its place."""

    title: str
    height: float
    marks: tuple[Mark, ...]
    paths: tuple[Path, ...] = ()
    texts: tuple[Text, ...] = ()
    width: float = WIDTH


def describe(layer: Layer) -> str:
    """Operator, kernel and stride, as in `dense 3x3 /2`."""
    return f"{layer.op} {layer.kernel_h}x{layer.kernel_w}" + (f" /{layer.stride}" if layer.stride > 1 else "")


def _short(text: str, width: float) -> str:
    room = int(width / CHAR)
    return text if len(text) <= room else text[: room - 1] + "…" if room > 3 else ""


def layer_graph(network: Network, program: Program) -> Picture:
    """The layer graph: a column per chunk, time of dependence downwards, residual operands dashed."""
    n_chunks = len(program.chunks)
    column = min(290.0, WIDTH / n_chunks)
    box, height, pitch, top = column - 56, 34.0, 46.0, 26.0
    left = (WIDTH - n_chunks * column) / 2
    place = {job.layer: k for k, chunk in enumerate(program.chunks) for job in chunk.jobs}
    middle = left + n_chunks * column / 2

    def at(tensor: int) -> tuple[float, float]:
        x = middle if tensor == 0 else left + (place[tensor - 1] + 0.5) * column
        return x, top + tensor * pitch

    marks, paths = [], []
    texts = [
        Text(x=left + (k + 0.5) * column, y=14, text=f"chunk {k}", css=f"head t{k % N_COLOURS}", anchor="middle")
        for k in range(n_chunks)
    ]
    for tensor, map_ in enumerate(network.tensors):
        x, y = at(tensor)
        shape = f"{map_.height}x{map_.width}x{map_.channels}"
        if tensor == 0:
            marks.append(Mark(x=x - box / 2, y=y, w=box, h=height, css="host", tip="", label="host input", detail=shape))
            continue
        layer = network.layers[tensor - 1]
        detail = f"{describe(layer)} → {shape}, {layer.act_bits}x{layer.weight_bits} bits"
        marks.append(
            Mark(
                x=x - box / 2, y=y, w=box, h=height, css=f"c{place[tensor - 1] % N_COLOURS}",
                tip=f"layer {tensor - 1} {layer.name}: {detail}, {network.macs(tensor - 1):,} MACs",
                label=_short(f"{tensor - 1} {layer.name}", box), detail=_short(detail, box),
            )
        )  # fmt: skip
    for i, layer in enumerate(network.layers):
        for source, css in ((layer.input, "flow"), (layer.residual, "residual")):
            if source is not None:
                paths.append(Path(d=_arrow(at(source), at(i + 1), box, height, source == i), css=css))
    x, y = at(len(network.layers))
    end = y + pitch
    marks.append(Mark(x=middle - box / 2, y=end, w=box, h=24, css="host", tip="", label="host output"))
    paths.append(Path(d=_arrow((x, y), (middle, end), box, height, True), css="flow"))
    return Picture(
        title="layer graph, one column per chunk", height=end + 30, marks=tuple(marks), paths=tuple(paths),
        texts=tuple(texts),
    )  # fmt: skip


def _arrow(source: tuple[float, float], target: tuple[float, float], box: float, height: float, near: bool) -> str:
    (x0, y0), (x1, y1) = source, target
    if near or x0 != x1:
        y0, bend = y0 + height, min(60.0, (y1 - y0 - height) / 2 + 4)
        if near and x0 == x1:
            return f"M{x0:.1f} {y0:.1f}V{y1 - 2:.1f}"
        return f"M{x0:.1f} {y0:.1f}C{x0:.1f} {y0 + bend:.1f} {x1:.1f} {y1 - bend:.1f} {x1:.1f} {y1 - 2:.1f}"
    side, reach = x0 + box / 2, x0 + box / 2 + min(26.0, 8 + (y1 - y0) / 24)
    y0, y1 = y0 + height / 2, y1 + height / 2
    return f"M{side:.1f} {y0:.1f}C{reach:.1f} {y0:.1f} {reach:.1f} {y1:.1f} {side + 2:.1f} {y1:.1f}"


def ticks(low: float, high: float, wanted: int = 10) -> list[int]:
    """About `wanted` round integers in low..high."""
    step = 1
    while (high - low) / step > wanted:
        step = {1: 2, 2: 5, 5: 10}[int(str(step)[0])] * 10 ** (len(str(step)) - 1)
    first = -int(-low // step) * step
    return list(range(first, int(high) + 1, step))


def gantt(network: Network, program: Program, frames: SteadyFrames, begin: int, end: int, *, two: bool) -> Picture:
    """Lanes of the agents in cycles begin..end of the schedule; the axis counts from the steady frame's first row.

    two: only the steady frame and the next are coloured; otherwise all frames are, in turn.
    """
    n_chunks = len(program.chunks)
    order = [n_chunks, *range(n_chunks), n_chunks + 1]
    left, lane, bar, top = 96.0, 40.0, 26.0, 8.0
    scale = (WIDTH - left - 4) / (end - begin)
    origin = int(frames.rows[n_chunks][0][frames.frame, 0])
    marks, texts, paths = [], [], []
    bottom = top + lane * len(order)
    for tick in ticks(begin - origin, end - origin, 12):
        x = left + (tick + origin - begin) * scale
        paths.append(Path(d=f"M{x:.1f} {top}V{bottom:.1f}", css="grid"))
        texts.append(Text(x=x, y=bottom + 14, text=f"{tick:,}", anchor="middle"))
    for lane_no, agent in enumerate(order):
        y = top + lane_no * lane + (lane - bar) / 2
        name = f"chunk {agent}" if agent < n_chunks else "input" if agent == n_chunks else "output"
        css = f"head t{agent % N_COLOURS}" if agent < n_chunks else "head"
        texts.append(Text(x=left - 10, y=y + bar / 2 + 4, text=name, css=css, anchor="end"))
        marks += _lane(network, program, frames, agent, (begin, end), (left, y, bar, scale), two)
    texts.append(Text(x=WIDTH - 4, y=bottom + 30, text="cycles since the frame's first input row", anchor="end"))
    return Picture(
        title="rows of every chunk over time", height=bottom + 38, marks=tuple(marks), paths=tuple(paths),
        texts=tuple(texts),
    )  # fmt: skip


def _lane(
    network: Network, program: Program, frames: SteadyFrames, agent: int, window: tuple[int, int],
    frame_of: tuple[float, float, float, float], two: bool,
) -> list[Mark]:  # fmt: skip
    begin, end = window
    left, y, bar, scale = frame_of
    overhead = OVERHEAD_CYCLES if agent < len(program.chunks) else 0
    rows = sorted(
        (int(start), start + frames.row_cycles[agent][j], j, f, row)
        for j, starts in enumerate(frames.rows[agent])
        for (f, row), start in _within(starts, begin - frames.row_cycles[agent][j], end)
    )
    marks: list[Mark] = []
    run: list[int] = []

    def draw(x0: int, x1: int, css: str, tip: str, label: str, thin: bool) -> None:
        x0, x1 = max(x0, begin), min(x1, end)
        w = (x1 - x0) * scale
        if x1 > x0 and (not thin or w >= SMALLEST):
            h = 6.0 if thin else bar
            room = "" if thin or len(label) * CHAR + 4 > w else label
            marks.append(
                Mark(x=left + (x0 - begin) * scale, y=y + (bar - h) / 2, w=max(w, 0.4), h=h, css=css, tip=tip, label=room)
            )

    def flush() -> None:
        if run:
            x0, x1, j, f, first, last = run
            name = f"layer {program.chunks[agent].jobs[j].layer}" if overhead else ("input", "output")[agent - len(program.chunks)]
            label = ""
            if overhead:
                layer = program.chunks[agent].jobs[j].layer
                long = f"{layer} {network.layers[layer].name}"
                label = long if (min(x1, end) - max(x0, begin)) * scale >= len(long) * CHAR + 6 else str(layer)
                name = f"layer {long}"
            shade = f"f{(f - frames.frame) % N_FRAME_COLOURS}" if not two or 0 <= f - frames.frame <= 1 else "other"
            origin = int(frames.rows[len(program.chunks)][0][frames.frame, 0])
            tip = f"{name}, frame {f - frames.frame:+d}, rows {first}..{last}: cycles {x0 - origin:,}..{x1 - 1 - origin:,}"
            draw(x0, x1, shade, tip, label, False)

    for start, stop, j, f, row in rows:
        if run and run[2:4] == [j, f] and (start - run[1]) * scale < SMALLEST:
            run[1], run[5] = stop, row
            continue
        flush()
        if run:
            waited = start - run[1] - (0 if run[2:4] == [j, f] else overhead)
            if waited > 0 and (agent < len(program.chunks)):
                layer = program.chunks[agent].jobs[j].layer
                draw(start - waited, start, "wait", f"layer {layer} waits {waited:,} cycles", "", True)
        run = [start, stop, j, f, row, row]
    flush()
    return marks


def _within(starts, low: int, high: int):  # type: ignore[no-untyped-def]
    chosen = (starts >= low) & (starts < high)
    for f, row in zip(*chosen.nonzero(), strict=True):
        yield (int(f), int(row)), int(starts[f, row])


def shares(chunks: tuple[ChunkAccount, ...]) -> Picture:
    """A bar per chunk: the interval, split by cause."""
    left, lane, bar = 96.0, 34.0, 22.0
    marks, texts = [], []
    for n, chunk in enumerate(chunks):
        x, y = left, 4 + n * lane
        texts.append(Text(x=left - 10, y=y + 16, text=f"chunk {chunk.chunk}", css=f"head t{n % N_COLOURS}", anchor="end"))
        for cause, name in CAUSES.items():
            share = float(chunk.part(cause) / chunk.turn)
            w = share * (WIDTH - left - 4)
            if w > 0:
                label = f"{100 * share:.0f} %"
                fits = len(label) * CHAR + 4 <= w
                tip = f"chunk {chunk.chunk}, {name}: {float(chunk.part(cause)):,.1f} cycles, {100 * share:.1f} %"
                marks.append(Mark(x=x, y=y, w=w, h=bar, css=f"k_{cause}", tip=tip, label=label if fits else ""))
            x += w
    return Picture(
        title="use of every chunk's time", height=8 + lane * len(chunks), marks=tuple(marks), texts=tuple(texts)
    )  # fmt: skip


def architecture(curves: SearchCurves) -> Picture:
    """A lane per block: the operator and bitwidth derived after every epoch; colours are operators."""
    left, lane, bar = 96.0, 26.0, 20.0
    n_epochs, n_blocks = len(curves.epochs), len(curves.ops[0])
    names = sorted({op for ops in curves.ops for op in ops})
    step = (WIDTH - left - 4) / n_epochs
    marks, texts = [], []
    for block in range(n_blocks):
        y = 4 + block * lane
        texts.append(Text(x=left - 10, y=y + 14, text=f"block {block}", css="head", anchor="end"))
        begin = 0
        for e in range(1, n_epochs + 1):
            op, bits = curves.ops[begin][block], curves.bits[begin][block]
            if e < n_epochs and (curves.ops[e][block], curves.bits[e][block]) == (op, bits):
                continue
            w = (e - begin) * step
            label = op if op == "skip" else f"{op} {bits}b"
            marks.append(
                Mark(
                    x=left + begin * step, y=y, w=w, h=bar, css=f"o{names.index(op) % N_COLOURS}",
                    tip=f"block {block}: {op}, {bits} bits, epochs {curves.epochs[begin]}..{curves.epochs[e - 1]}",
                    label=label if len(label) * CHAR + 4 <= w else str(bits) if w > 12 else "",
                )
            )  # fmt: skip
            begin = e
    bottom = 4 + n_blocks * lane
    for e in ticks(0, n_epochs - 1, 12):
        texts.append(Text(x=left + (e + 0.5) * step, y=bottom + 12, text=str(curves.epochs[e]), anchor="middle"))
    texts.append(Text(x=left - 10, y=bottom + 12, text="epoch", anchor="end"))
    return Picture(title="architecture over epochs", height=bottom + 20, marks=tuple(marks), texts=tuple(texts))
