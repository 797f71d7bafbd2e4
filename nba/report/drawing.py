# SPDX-License-Identifier: Apache-2.0
"""Geometry of the pictures, in SVG user units; templates/report draws them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from nba.ir import graph
from nba.ir.network import Layer, Network
from nba.machine.program import Program
from nba.machine.schedule import WAIT_REASONS
from nba.machine.timing import OVERHEAD_CYCLES
from nba.report.cycle_breakdown import CAUSES, ChunkAccount
from nba.report.inputs import SearchCurves
from nba.report.steady import SteadyFrames

_WIDTH = 1160
N_COLOURS = 7
"""Colours of chunks and operators; further ones begin again."""
N_FRAME_COLOURS = 5
N_SHADES = 6
"""Shades of the heat map, light to dark."""
CHAR = 6.2
"""Width of a character of a label."""
LEFT = 96.0
"""Width of the names of lanes."""
BAR = 26.0
"""Height of the bars of a schedule."""
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
    width: float = _WIDTH


def describe(layer: Layer) -> str:
    """Operator, kernel, stride and groups, as in `dense 3x3 /2 g2`; `/2x1`: two rows, one column."""
    strides = (layer.stride_h, layer.stride_w)
    stride = (
        "" if strides == (1, 1) else f" /{strides[0]}" if strides[0] == strides[1] else f" /{strides[0]}x{strides[1]}"
    )
    groups = " g2" if layer.groups == 2 else ""
    return f"{layer.op} {layer.kernel_h}x{layer.kernel_w}{stride}{groups}"


def _short(text: str, width: float, char: float) -> str:
    room = int(width / char)
    return text if len(text) <= room else text[: room - 1] + "…" if room > 3 else ""


def draw_layers(network: Network, program: Program) -> Picture:
    """The layer graph: a column per chunk, time of dependence downwards, residual operands dashed."""
    n_chunks = len(program.chunks)
    column = max(170.0, min(290.0, _WIDTH / n_chunks))
    width = max(_WIDTH, n_chunks * column)
    box, height, pitch, top = column - 56, 34.0, 56.0, 26.0
    left = (width - n_chunks * column) / 2
    place = {job.layer: k for k, chunk in enumerate(program.chunks) for job in chunk.jobs}
    middle = left + n_chunks * column / 2

    def at(tensor: int) -> tuple[float, float]:
        x = middle if tensor == 0 else left + (place[tensor - 1] + 0.5) * column
        return x, top + tensor * pitch

    marks, paths = [], []
    texts = [
        Text(x=left + (k + 0.5) * column, y=14, text=f"chunk {k}", css="head", anchor="middle") for k in range(n_chunks)
    ]
    for tensor, map_ in enumerate(network.tensors):
        x, y = at(tensor)
        shape = f"{map_.height}x{map_.width}x{map_.channels}"
        if tensor == 0:
            marks.append(
                Mark(x=x - box / 2, y=y, w=box, h=height, css="host", tip="", label="host input", detail=shape)
            )
            continue
        layer = network.layers[tensor - 1]
        detail = f"{describe(layer)} → {shape}, {layer.act_bits}x{layer.operator.counted_bits(layer)} bits"
        marks.append(
            Mark(
                x=x - box / 2, y=y, w=box, h=height, css=f"c{place[tensor - 1] % N_COLOURS}",
                tip=f"layer {tensor - 1} {layer.name}: {detail}, {network.macs(tensor - 1):,} MACs",
                label=_short(f"{tensor - 1} {layer.name}", box - 18, 7.0), detail=_short(detail, box - 16, 5.6),
            )
        )  # fmt: skip
    for source, result, port in graph.layer_graph(network).edges(data="port"):
        css = "flow" if port == "main" else "residual"
        paths.append(Path(d=_arrow(at(source), at(result), box, height, result == source + 1), css=css))
    x, y = at(len(network.layers))
    end = y + pitch
    marks.append(Mark(x=middle - box / 2, y=end, w=box, h=24, css="host", tip="", label="host output"))
    paths.append(Path(d=_arrow((x, y), (middle, end), box, height, True), css="flow"))
    return Picture(
        width=width,
        title="layer graph, one column per chunk", height=end + 30, marks=tuple(marks), paths=tuple(paths),
        texts=tuple(texts),
    )  # fmt: skip


def _arrow(source: tuple[float, float], target: tuple[float, float], box: float, height: float, near: bool) -> str:
    (x0, y0), (x1, y1) = source, target
    if near or x0 != x1:
        y0, bend = y0 + height, min(60.0, (y1 - y0 - height) / 2 + 6)
        if near and x0 == x1:
            return f"M{x0:.1f} {y0:.1f}V{y1 - 2:.1f}"
        return f"M{x0:.1f} {y0:.1f}C{x0:.1f} {y0 + bend:.1f} {x1:.1f} {y1 - bend:.1f} {x1:.1f} {y1 - 2:.1f}"
    side, reach = x0 + box / 2, x0 + box / 2 + min(26.0, 8 + (y1 - y0) / 24)
    y0, y1 = y0 + height / 2, y1 + height / 2
    return f"M{side:.1f} {y0:.1f}C{reach:.1f} {y0:.1f} {reach:.1f} {y1:.1f} {side + 2:.1f} {y1:.1f}"


TICKS = 12
"""Marks of an axis, at most."""


def ticks(low: float, high: float) -> list[int]:
    """Up to about `TICKS` round integers in low..high."""
    step = 1
    while (high - low) / step > TICKS:
        step = {1: 2, 2: 5, 5: 10}[int(str(step)[0])] * 10 ** (len(str(step)) - 1)
    first = -int(-low // step) * step
    return list(range(first, int(high) + 1, step))


@dataclass(frozen=True, kw_only=True, slots=True)
class _Window:
    """Cycles begin..end of the schedule as a horizontal axis that counts from cycle `origin`."""

    begin: int
    end: int
    origin: int

    @property
    def scale(self) -> float:
        """Units per cycle."""
        return (_WIDTH - LEFT - 4) / (self.end - self.begin)

    def span(self, start: int, end: int) -> tuple[float, float]:
        """Place and width of the cycles start..end - 1, as far as they can be seen."""
        start, end = max(start, self.begin), min(end, self.end)
        return LEFT + (start - self.begin) * self.scale, max(0, end - start) * self.scale


def gantt(network: Network, program: Program, frames: SteadyFrames, begin: int, end: int, *, two: bool) -> Picture:
    """Lanes of the agents in cycles begin..end of the schedule; the axis counts from the steady frame's first row.

    two: only the steady frame and the next are coloured; otherwise all frames are, in turn.
    """
    n_chunks = len(program.chunks)
    window = _Window(begin=begin, end=end, origin=int(frames.rows[n_chunks][0][frames.frame, 0]))
    lane, top = 40.0, 8.0
    marks: list[Mark] = []
    texts, paths = [], []
    bottom = top + lane * (n_chunks + 2)
    for tick in ticks(begin - window.origin, end - window.origin):
        x, _ = window.span(tick + window.origin, tick + window.origin)
        paths.append(Path(d=f"M{x:.1f} {top}V{bottom:.1f}", css="grid"))
        texts.append(Text(x=x, y=bottom + 14, text=f"{tick:,}", anchor="middle" if x < _WIDTH - 30 else "end"))
    for place, agent in enumerate((n_chunks, *range(n_chunks), n_chunks + 1)):
        y = top + place * lane + (lane - BAR) / 2
        name = f"chunk {agent}" if agent < n_chunks else ("input", "output")[agent - n_chunks]
        texts.append(Text(x=LEFT - 10, y=y + BAR / 2 + 4, text=name, css="head", anchor="end"))
        marks += _lane(network, program, frames, agent, y, window, two)
    texts.append(Text(x=_WIDTH - 4, y=bottom + 30, text="cycles since the frame's first input row", anchor="end"))
    return Picture(
        title="rows of every chunk over time", height=bottom + 38, marks=tuple(marks), paths=tuple(paths),
        texts=tuple(texts),
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class _Run:
    """Rows of one job and frame that follow each other without a gap that could be seen; end is exclusive."""

    job: int
    frame: int
    start: int
    end: int
    first: int
    last: int


def _runs(frames: SteadyFrames, agent: int, begin: int, end: int, smallest: float) -> list[_Run]:
    """Runs of `agent` in time order, cut where a gap is at least `smallest` cycles."""
    found: list[tuple[int, int, int, int, int]] = []
    for job, starts in enumerate(frames.rows[agent]):
        cycles = frames.row_cycles[agent][job]
        for frame, row in np.argwhere((starts > begin - cycles) & (starts < end)).tolist():
            start = int(starts[frame, row])
            found.append((start, start + cycles, job, frame, row))
    runs: list[_Run] = []
    for start, stop, job, frame, row in sorted(found):
        same = bool(runs) and (runs[-1].job, runs[-1].frame) == (job, frame)
        if same and start - runs[-1].end < smallest:
            runs[-1] = replace(runs[-1], end=stop, last=row)
        else:
            runs.append(_Run(job=job, frame=frame, start=start, end=stop, first=row, last=row))
    return runs


def _lane(
    network: Network, program: Program, frames: SteadyFrames, agent: int, y: float, window: _Window, two: bool
) -> list[Mark]:
    """Bars and waits of one agent."""
    streaming = agent >= len(program.chunks)
    marks: list[Mark] = []
    before: _Run | None = None
    for run in _runs(frames, agent, window.begin, window.end, SMALLEST / window.scale):
        offset = run.frame - frames.frame
        x, w = window.span(run.start, run.end)
        if streaming:
            name, label = ("input", "output")[agent - len(program.chunks)], ""
        else:
            layer = program.chunks[agent].jobs[run.job].layer
            name = f"layer {layer} {network.layers[layer].name}"
            label = next((t for t in (name.removeprefix("layer "), str(layer)) if len(t) * CHAR + 4 <= w), "")
            waited = 0 if before is None else run.start - before.end
            if before is not None and (before.job, before.frame) != (run.job, run.frame):
                waited -= OVERHEAD_CYCLES
            x0, w0 = window.span(run.start - waited, run.start)
            if waited > 0 and w0 >= SMALLEST:
                causes = frames.schedule.job_wait[agent][run.job, run.frame].tolist()
                what = ", ".join(f"{r} {c:,}" for r, c in zip(WAIT_REASONS, causes, strict=True) if c)
                tip = f"{name} waits {waited:,} cycles (all its waits in this frame: {what})"
                marks.append(Mark(x=x0, y=y + 10, w=w0, h=6, css="wait", tip=tip))
        shade = "other" if two and offset not in (0, 1) else f"f{offset % N_FRAME_COLOURS}"
        tip = (
            f"{name}, frame {offset:+d}, rows {run.first}..{run.last}: "
            f"cycles {run.start - window.origin:,}..{run.end - 1 - window.origin:,}"
        )
        marks.append(Mark(x=x, y=y, w=max(w, 1.8 if streaming else 0.8), h=BAR, css=shade, tip=tip, label=label))
        before = run
    return marks


def shares(chunks: tuple[ChunkAccount, ...]) -> Picture:
    """A bar per chunk: the interval, split by cause."""
    lane, bar = 34.0, 22.0
    marks, texts = [], []
    for n, chunk in enumerate(chunks):
        x, y = LEFT, 4 + n * lane
        texts.append(Text(x=LEFT - 10, y=y + 16, text=f"chunk {chunk.chunk}", css="head", anchor="end"))
        for cause, name in CAUSES.items():
            share = float(chunk.part(cause) / chunk.total)
            w = share * (_WIDTH - LEFT - 4)
            if w > 0:
                label = f"{100 * share:.0f} %"
                fits = len(label) * CHAR + 4 <= w
                tip = f"chunk {chunk.chunk}, {name}: {float(chunk.part(cause)):,.1f} cycles, {100 * share:.1f} %"
                marks.append(Mark(x=x, y=y, w=w, h=bar, css=f"k_{cause}", tip=tip, label=label if fits else ""))
            x += w
    return Picture(
        title="use of every chunk's time", height=8 + lane * len(chunks), marks=tuple(marks), texts=tuple(texts)
    )  # fmt: skip


def bits_by_epoch(curves: SearchCurves) -> Picture:
    """A heat map: a row per block, a column per epoch, the darker the more bits, blank where it is skipped."""
    row = 13.0
    n_epochs, n_blocks = len(curves.epochs), len(curves.bits[0])
    # 0 where the block was left out: no layer has its bits
    seen = [
        [0 if o == "skip" else b for o, b in zip(*e, strict=True)] for e in zip(curves.ops, curves.bits, strict=True)
    ]
    widths = sorted({b for bits in seen for b in bits} - {0})
    step = (_WIDTH - LEFT - 4) / n_epochs
    marks, texts = [], []
    for n, bits in enumerate(widths):
        x = LEFT + 90.0 * n
        marks.append(Mark(x=x, y=2, w=14, h=row - 1, css=_shade(n, len(widths)), tip=""))
        texts.append(Text(x=x + 20, y=row, text=f"{bits} bits"))
    top = 24.0
    for block in range(n_blocks):
        y = top + block * row
        texts.append(Text(x=LEFT - 10, y=y + 10, text=f"block {block}", anchor="end"))
        begin = 0
        for e in range(1, n_epochs + 1):
            bits = seen[begin][block]
            if e < n_epochs and seen[e][block] == bits:
                continue
            first, begin = begin, e
            if bits == 0:
                continue
            tip = f"block {block}: {bits} bits, epochs {curves.epochs[first]}..{curves.epochs[e - 1]}"
            css = _shade(widths.index(bits), len(widths))
            marks.append(Mark(x=LEFT + first * step, y=y, w=(e - first) * step, h=row - 1, css=css, tip=tip))
    bottom = top + n_blocks * row
    for e in ticks(0, n_epochs - 1):
        texts.append(Text(x=LEFT + (e + 0.5) * step, y=bottom + 12, text=str(curves.epochs[e]), anchor="middle"))
    texts.append(Text(x=LEFT - 10, y=bottom + 12, text="epoch", anchor="end"))
    return Picture(title="bitwidths over epochs", height=bottom + 20, marks=tuple(marks), texts=tuple(texts))


def _shade(rank: int, count: int) -> str:
    """CSS class of the shade of the `rank`-th of `count` ascending values."""
    return f"heat{round(rank * (N_SHADES - 1) / max(1, count - 1))}"


def architecture(
    epochs: tuple[int, ...], ops_by_epoch: tuple[tuple[str, ...], ...], bits_by_epoch: tuple[tuple[int, ...], ...]
) -> Picture:
    """A lane per block: the operator and bitwidth derived after every epoch; colours are operators. No bitwidths: the
    blocks have none of their own."""
    lane, bar = 26.0, 20.0
    n_epochs, n_blocks = len(epochs), len(ops_by_epoch[0])
    names = sorted({op for ops in ops_by_epoch for op in ops})
    seen = [
        [(op, bits_by_epoch[e][b] if bits_by_epoch else None) for b, op in enumerate(ops)]
        for e, ops in enumerate(ops_by_epoch)
    ]
    step = (_WIDTH - LEFT - 4) / n_epochs
    marks, texts = [], []
    for block in range(n_blocks):
        y = 4 + block * lane
        texts.append(Text(x=LEFT - 10, y=y + 14, text=f"block {block}", css="head", anchor="end"))
        begin = 0
        for e in range(1, n_epochs + 1):
            op, bits = seen[begin][block]
            if e < n_epochs and seen[e][block] == (op, bits):
                continue
            w = (e - begin) * step
            label = op if op == "skip" or bits is None else f"{op} {bits}b"
            short = "" if bits is None else str(bits)
            what = op if bits is None else f"{op}, {bits} bits"
            marks.append(
                Mark(
                    x=LEFT + begin * step, y=y, w=w, h=bar, css=f"o{names.index(op) % N_COLOURS}",
                    tip=f"block {block}: {what}, epochs {epochs[begin]}..{epochs[e - 1]}",
                    label=label if len(label) * CHAR + 4 <= w else short if w > 12 else "",
                )
            )  # fmt: skip
            begin = e
    bottom = 4 + n_blocks * lane
    for e in ticks(0, n_epochs - 1):
        texts.append(Text(x=LEFT + (e + 0.5) * step, y=bottom + 12, text=str(epochs[e]), anchor="middle"))
    texts.append(Text(x=LEFT - 10, y=bottom + 12, text="epoch", anchor="end"))
    return Picture(title="architecture over epochs", height=bottom + 20, marks=tuple(marks), texts=tuple(texts))
