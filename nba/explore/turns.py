# SPDX-License-Identifier: Apache-2.0
"""Row programs: all layers of a chunk advance together over the frame, so that rings hold rows and not maps.

Every layer has a virtual time: a frame takes the time 1, the rows of a map of H rows follow each other every 1 / H, or
some of them at once every so many times 1 / H (a burst), and a layer begins as soon as the rows that its windows need
are there, plus a slack (`phases`). The rows of all layers in the order of their virtual times, those of a layer before
those of later ones, are a serial execution of the machine: what every ring holds in it is enough (`serial_rows`), and
since every chunk keeps to that order, a machine with such rings never stands still.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import lru_cache

from nba.ir.accelerator import HOST, Accelerator, Chunk, Job, Port, Turn
from nba.ir.network import Network
from nba.machine.program import min_ring_rows
from nba.machine.windows import Use, Window, uses_of, window


def row_times(begin: Fraction, rows: int, burst: int) -> list[Fraction]:
    """The virtual times of the rows of a layer that begins at `begin` and computes `burst` of them at a time."""
    return [begin + Fraction(y - y % burst, rows) for y in range(rows)]


@lru_cache
def phases(network: Network, slack: Fraction, burst: int = 1) -> tuple[Fraction, ...]:
    """The virtual time at which every layer begins with a frame that enters at 0: all that it needs is there then, and
    before each of its later bursts, and it waits `slack` rows of its input longer."""
    begins: list[Fraction] = []
    for i, layer in enumerate(network.layers):
        mine = row_times(Fraction(0), network.result(i).height, burst)
        begin = Fraction(0)
        uses: list[tuple[int, Port]] = [(layer.input, "main")]
        if layer.residual is not None:
            uses.append((layer.residual, "residual"))
        for tensor, port in uses:
            there, seen = produced(network, tensor, begins, burst), window(network, i, port, tensor)
            wait = max(there[seen.needed(y) - 1] - at for y, at in enumerate(mine))
            begin = max(begin, wait + slack / network.tensors[tensor].height)
        begins.append(begin)
    return tuple(begins)


def produced(network: Network, tensor: int, begins: Sequence[Fraction], burst: int) -> list[Fraction]:
    """When every row of `tensor` is written; those of the input of the network one by one."""
    height = network.tensors[tensor].height
    return row_times(Fraction(0), height, 1) if tensor == 0 else row_times(begins[tensor - 1], height, burst)


def turns_of(network: Network, chunk: Chunk, begins: Sequence[Fraction], burst: int = 1) -> Chunk:
    """`chunk` with its jobs' rows in the order of their virtual times, and the stages that these have."""
    first = min(begins[job.layer] // 1 for job in chunk.jobs)
    jobs, order = [], []
    for j, job in enumerate(chunk.jobs):
        begin = begins[job.layer]
        jobs.append(Job(layer=job.layer, stage=int(begin // 1 - first)))
        for time in row_times(begin % 1, network.result(job.layer).height, burst):
            order.append((time % 1, job.layer, j, int(time // 1)))
    turns: list[Turn] = []
    for _, _, j, late in sorted(order):
        if turns and (turns[-1].job, turns[-1].late) == (j, late):
            turns[-1] = replace(turns[-1], rows=turns[-1].rows + 1)
        else:
            turns.append(Turn(job=j, rows=1, late=late))
    return replace(chunk, jobs=tuple(jobs), turns=tuple(turns))


def most_held(seen: Window, written: Sequence[Fraction], read: Sequence[Fraction]) -> int:
    """The most rows that a ring holds in a serial execution, the one that is being written among them. written: when
    each row of a frame is written; read: when each row of its reader is computed."""
    released, y = [], 0
    for r in range(seen.height):
        while seen.passed(y) <= r:
            y += 1
        released.append(read[y])
    most = 1
    for r, now in enumerate(written):
        held = 1
        # Rows before r that are not yet released, those of earlier frames too.
        while True:
            frame, row = divmod(r - held, seen.height)
            if released[row] + frame < now:
                break
            held += 1
        most = max(most, held)
    return most


@lru_cache
def serial_rows(network: Network, begins: tuple[Fraction, ...], burst: int = 1) -> Mapping[Use, int]:
    """The rows of every ring that the serial execution in the order of virtual times needs."""
    found: dict[Use, int] = {}
    for tensor, consumer, port in uses_of(network):
        written, seen = produced(network, tensor, begins, burst), window(network, consumer, port, tensor)
        read = written if consumer == HOST else row_times(begins[consumer], seen.rows, burst)
        held = most_held(seen, written, read)
        found[tensor, consumer, port] = max(held, min_ring_rows(network, consumer, port))
    return found


def with_turns(
    network: Network, accelerator: Accelerator, slack: Fraction = Fraction(1), burst: int = 1
) -> tuple[Accelerator, Mapping[Use, int]]:
    """`accelerator` with a row program in every chunk, in which layers compute `burst` rows at a time, `slack` [rows of
    the input] later than they could; and the rows that its rings need at least (those of the result are the old
    ones)."""
    begins = phases(network, slack, burst)
    chunks = tuple([turns_of(network, chunk, begins, burst) for chunk in accelerator.chunks])
    return replace(accelerator, chunks=chunks), serial_rows(network, begins, burst)


def with_rows(accelerator: Accelerator, rows: Mapping[Use, int], spare: int = 0) -> Accelerator:
    """`accelerator` with rings of `rows`, and `spare` rows more."""
    rings = [replace(r, rows=rows[r.tensor, r.consumer, r.port] + spare) for r in accelerator.rings]
    return replace(accelerator, rings=tuple(rings))
