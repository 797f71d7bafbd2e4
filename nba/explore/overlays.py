# SPDX-License-Identifier: Apache-2.0
"""Which rings of an edge share memory (`Ring.share`): those that the serial execution of a plan never fills at once."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from nba.explore.modulo import make_rings
from nba.explore.turns import Times
from nba.ir.accelerator import HOST, Accelerator, Port
from nba.ir.network import Network
from nba.machine.geometry import bank_columns, ceil_div, edge_of, reader_word
from nba.machine.windows import Use, window


@dataclass(frozen=True, kw_only=True, slots=True)
class Life:
    """When a ring holds rows of a frame in a serial execution: from its first row to the last read, each as (ticks,
    layer), the order of the execution."""

    use: Use
    words: int
    begin: tuple[int, int]
    end: tuple[int, int]


def ring_words(network: Network, use: Use, rows: int, banks: int, lanes: int, parts: int = 1) -> int:
    """Words of a bank that a ring of `rows` rows has in an edge of `lanes` channels a word."""
    tensor, consumer, port = use
    source = network.tensors[tensor]
    stride = 1 if consumer == HOST or port != "main" else network.layers[consumer].stride_w
    return rows * bank_columns(source.width, banks, stride) * (ceil_div(source.channels, lanes) // parts)


def life(network: Network, times: Times, use: Use, words: int) -> Life | None:
    """The life of a ring between two chunks; None if its reader does not read the last row, so that nothing says that
    it is written."""
    tensor, consumer, port = use
    seen = window(network, consumer, port, tensor)
    if seen.needed(seen.rows - 1) < seen.height:
        return None
    begin, end = int(times.rows[tensor][0, 0]), int(times.rows[consumer + 1][-1, -1])
    return Life(use=use, words=words, begin=(begin, tensor - 1), end=(end, consumer))


def follows(first: Life, second: Life, apart: int) -> bool:
    """Whether the second ring begins so many ticks behind the end of the first, or later."""
    return (first.end[0] + apart, first.end[1]) < second.begin


def sharing_rings(edges: Sequence[Sequence[Life]], ticks: int, apart: int) -> Mapping[Use, int]:
    """`Ring.share` of rings that share memory, by the edges' rings in their order. ticks: of a frame; apart: between
    the end of one ring and the beginning of the next, at least.

    The largest rings come first, and each joins the first group that has room for it in time.
    """
    found: dict[Use, int] = {}
    for rings in edges:
        order = {ring.use: place for place, ring in enumerate(rings)}
        groups: list[list[Life]] = []
        for ring in sorted(rings, key=lambda r: (-r.words, r.use)):
            for group in groups:
                place = bisect([order[r.use] for r in group], order[ring.use])
                trial = [*group[:place], ring, *group[place:]]
                whole = (trial[0].begin[0] + ticks, trial[0].begin[1])
                if all(follows(a, b, apart) for a, b in pairwise(trial)) and (
                    (trial[-1].end[0] + apart, trial[-1].end[1]) < whole
                ):
                    group[:] = trial
                    break
            else:
                groups.append([ring])
        for number, group in enumerate([g for g in groups if len(g) > 1], start=1):
            found.update((ring.use, number) for ring in group)
    return found


def shares_of(
    network: Network, bare: Accelerator, times: Times, rows: Mapping[Use, int], apart: int,
    parts: Mapping[Use, int] | None = None,
) -> Mapping[Use, int]:  # fmt: skip
    """`Ring.share` of the rings of `rows` that share memory in `bare`, whose own rings do not matter, if its chunks
    keep to the order of `times`. apart: ticks between two of them at least. parts: as of `make_rings`."""
    place = bare.place()
    edges: dict[tuple[int, int, Port, int], list[Life]] = {}
    for ring in make_rings(network, bare, dict(rows), parts=parts):
        if ring.tensor == 0 or ring.consumer == HOST:
            continue
        reader = bare.chunks[place[ring.consumer]]
        use = ring.tensor, ring.consumer, ring.port
        words = ring_words(network, use, ring.rows, bare.banks, reader_word(reader, ring.port), ring.parts)
        one = life(network, times, use, words)
        if one is not None:
            edges.setdefault(edge_of(ring, place), []).append(one)
    return sharing_rings(list(edges.values()), times.ticks, apart)
