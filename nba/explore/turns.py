# SPDX-License-Identifier: Apache-2.0
"""Row programs: all layers of a chunk advance together over the frame, so that rings hold rows and not maps.

Every layer has a virtual time: a frame takes the time 1, the rows of a map of H rows follow each other every 1 / H, and
a layer begins as soon as the rows that its windows need are there, plus a slack (`phases`). The rows of all layers in
the order of their virtual times are a serial execution of the machine: what every ring holds in it is enough
(`serial_rows`), and since every chunk keeps to that order, a machine with such rings never stands still.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction

from nba.explore.modulo import uses_of
from nba.explore.rings import Use
from nba.ir.accelerator import HOST, Accelerator, Chunk, Job, Port, Turn
from nba.ir.network import Network
from nba.machine.program import min_ring_rows


@dataclass(frozen=True, kw_only=True, slots=True)
class Window:
    """What row y of a layer does to the `height` rows of its input: it needs those before `needed(y)`, and releases
    those before `passed(y)`, of every frame."""

    stride: int
    pad: int
    kernel: int
    rows: int
    height: int

    def needed(self, y: int) -> int:
        """Input rows that row y needs, counted from the first of the frame."""
        return min(self.height, y * self.stride - self.pad + self.kernel)

    def passed(self, y: int) -> int:
        """Input rows that nobody needs after row y."""
        return self.height if y == self.rows - 1 else max(0, (y + 1) * self.stride - self.pad)


def window(network: Network, consumer: int, port: Port, tensor: int) -> Window:
    """The window of a use of `tensor`; the host, and residual operands, take row after row."""
    height = network.tensors[tensor].height
    if consumer == HOST or port == "residual":
        return Window(stride=1, pad=0, kernel=1, rows=height, height=height)
    layer = network.layers[consumer]
    rows = network.result(consumer).height
    return Window(stride=layer.stride_h, pad=layer.pad_top, kernel=layer.kernel_h, rows=rows, height=height)


def phases(network: Network, slack: Mapping[int, Fraction]) -> tuple[Fraction, ...]:
    """The virtual time at which every layer begins with a frame that enters at 0: row y of layer i comes at the time
    phases[i] + y / (its rows), slack[i] rows of its input later than the rows that it needs."""
    begins: list[Fraction] = []
    for i, layer in enumerate(network.layers):
        rows = network.result(i).height
        begin = Fraction(0)
        uses: list[tuple[int, Port]] = [(layer.input, "main")]
        if layer.residual is not None:
            uses.append((layer.residual, "residual"))
        for tensor, port in uses:
            height = network.tensors[tensor].height
            source = Fraction(0) if tensor == 0 else begins[tensor - 1]
            seen = window(network, i, port, tensor)
            wait = max(Fraction(seen.needed(y) - 1, height) - Fraction(y, rows) for y in range(rows))
            begin = max(begin, source + wait + slack[i] / height)
        begins.append(begin)
    return tuple(begins)


def turns_of(network: Network, chunk: Chunk, begins: tuple[Fraction, ...]) -> Chunk:
    """`chunk` with its jobs' rows in the order of their virtual times, and the stages that these have."""
    first = min(begins[job.layer] // 1 for job in chunk.jobs)
    stages = [int(begins[job.layer] // 1 - first) for job in chunk.jobs]
    order: list[tuple[Fraction, int, int]] = []
    for j, job in enumerate(chunk.jobs):
        rows = network.result(job.layer).height
        at = begins[job.layer] % 1
        for y in range(rows):
            time = at + Fraction(y, rows)
            order.append((time % 1, job.layer, j if time < 1 else ~j))
    turns: list[Turn] = []
    for _, _, code in sorted(order):
        j, late = (code, 0) if code >= 0 else (~code, 1)
        if turns and (turns[-1].job, turns[-1].late) == (j, late):
            turns[-1] = replace(turns[-1], rows=turns[-1].rows + 1)
        else:
            turns.append(Turn(job=j, rows=1, late=late))
    jobs = tuple([Job(layer=job.layer, stage=stage) for job, stage in zip(chunk.jobs, stages, strict=True)])
    return replace(chunk, jobs=jobs, turns=tuple(turns))


def most_held(seen: Window, start: Fraction, begin: Fraction) -> int:
    """The most rows that a ring holds in a serial execution, the one that is being written among them: row r of a frame
    is written at the time start + r / height, and row y of its reader computed at begin + y / rows."""
    released, y = [], 0
    for r in range(seen.height):
        while seen.passed(y) <= r:
            y += 1
        released.append(begin + Fraction(y, seen.rows))
    most = 1
    for r in range(seen.height):
        now, held = start + Fraction(r, seen.height), 1
        # Rows before r that are not yet released, those of earlier frames too.
        while True:
            frame, row = divmod(r - held, seen.height)
            if released[row] + frame < now:
                break
            held += 1
        most = max(most, held)
    return most


def serial_rows(network: Network, begins: tuple[Fraction, ...]) -> dict[Use, int]:
    """The rows of every ring that the serial execution in the order of virtual times needs."""
    found: dict[Use, int] = {}
    for tensor, consumer, port in uses_of(network):
        start = Fraction(0) if tensor == 0 else begins[tensor - 1]
        seen = window(network, consumer, port, tensor)
        held = most_held(seen, start, start if consumer == HOST else begins[consumer])
        found[tensor, consumer, port] = max(held, min_ring_rows(network, consumer, port))
    return found


def with_turns(
    network: Network, accelerator: Accelerator, slack: Fraction = Fraction(1), spare: int = 1
) -> Accelerator:
    """`accelerator` with a row program in every chunk, `slack` [rows of the input] after what a layer needs, and rings
    of `spare` rows more than a serial execution needs."""
    begins = phases(network, dict.fromkeys(range(len(network.layers)), slack))
    rows = serial_rows(network, begins)
    rings = tuple([replace(r, rows=rows[r.tensor, r.consumer, r.port] + spare) for r in accelerator.rings])
    return replace(accelerator, chunks=tuple([turns_of(network, c, begins) for c in accelerator.chunks]), rings=rings)
