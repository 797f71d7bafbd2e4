# SPDX-License-Identifier: Apache-2.0
"""The worked layer of docs/mapping-model.md: every number on the page is that of the reference and of the model."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from nba.loopnest import model, reference
from nba.loopnest.cost import AccessCounts, cost
from nba.loopnest.hierarchy import Axis, Hierarchy, Level, LevelMemory, Link, Mac
from nba.loopnest.layer import DIMS, NestLayer
from nba.loopnest.mapping import Mapping, problems

ALL = tuple(range(len(DIMS)))
N, G, M, C, P, Q, R, S = ALL
LAYER = NestLayer(name="worked", m=4, c=2, p=4, q=4, r=3, s=3)


def memory(name: str, size_bytes: int | None, pj: float) -> LevelMemory:
    bits = None if size_bytes is None else 8 * size_bytes
    return LevelMemory(
        name=name, operands=(0, 1, 2), size_bits=bits, word_bits=16, read_pj=pj, write_pj=pj, area_mm2=0.0
    )  # fmt: skip


def link(fill: int, drain: int, *operands: int) -> Link:
    return Link(operands=operands, fill_bits_per_cycle=fill, drain_bits_per_cycle=drain, pj_per_bit=0.0)


HIERARCHY = Hierarchy(
    name="worked",
    clock_mhz=100.0,
    levels=(
        Level(name="dram", memories=(memory("dram", None, 100.0),)),
        Level(name="buffer", memories=(memory("buffer", 512, 6.0),), links=(link(16, 16, 0, 1, 2),)),
        Level(
            name="pe",
            memories=(memory("pe", 64, 1.0),),
            axes=(Axis(name="rows", size=2, dims=(M,)), Axis(name="columns", size=2, dims=(C,))),
            links=(link(32, 16, 0, 1), link(32, 16, 2)),
        ),
    ),
    macs=(Mac(bits=8, pj=0.5, area_mm2=0.0, accumulator_bits=16),),
)
MAPPING = Mapping(
    arrays=((1, 1, 4, 2, 4, 4, 3, 3), (1, 1, 4, 2, 2, 4, 3, 3), (1, 1, 2, 2, 1, 1, 3, 3)),
    tiles=((1, 1, 4, 2, 4, 4, 3, 3), (1, 1, 4, 2, 2, 4, 3, 3), (1, 1, 1, 1, 1, 1, 3, 3)),
    axes=((0,) * 8, (0,) * 8, (0, 0, 0, 1, 0, 0, 0, 0)),
    orders=((P, N, G, M, C, Q, R, S), (N, G, C, R, S, M, P, Q)),
)
COUNTS = AccessCounts(
    cycles=404, outer=((0, 0, 0), (72, 72, 64), (144, 288, 64)), inner=((0,) * 3, (72, 72, 64), (144, 576, 128))
)


def test_counts() -> None:
    assert problems(LAYER, HIERARCHY, MAPPING) == []
    assert reference.execute(LAYER, HIERARCHY, MAPPING) == COUNTS
    assert model.access_counts(LAYER, HIERARCHY, MAPPING) == COUNTS


def test_cost() -> None:
    """All numbers are multiples of a half: sums of floats are exact."""
    found = cost(LAYER, HIERARCHY, MAPPING, COUNTS)
    by_level = {name: sum(a.energy_pj for a in found.accesses if a.level == name) for name in ("dram", "buffer", "pe")}
    assert by_level == {"dram": 10_400.0, "buffer": 2_112.0, "pe": 3_816.0}
    assert (found.mac_pj, found.energy_pj, found.edp_pj_cycles) == (576.0, 16_904.0, 6_829_216.0)
    pe = {a.operand: (a.writes, a.reads) for a in found.accesses if a.level == "pe"}
    assert pe == {"weights": (144, 1_152), "inputs": (576, 1_152), "outputs": (1_152, 1_152)}
    assert round(100 * found.utilisation) == 71


@pytest.mark.parametrize("level", ["dram", "buffer", "pe"])
def test_the_page_says_so(level: str) -> None:
    """The page's table of accesses, against the accesses."""
    page = (Path(__file__).parents[3] / "docs" / "mapping-model.md").read_text(encoding="utf-8")
    row = next(line for line in page.splitlines() if line.startswith(f"| {level} ("))
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    found = cost(LAYER, HIERARCHY, MAPPING, COUNTS)
    for operand, cell in zip(("weights", "inputs", "outputs"), cells[1:4], strict=True):
        (access,) = [a for a in found.accesses if (a.level, a.operand) == (level, operand)]
        said = {kind: int(n.replace(",", "")) for n, kind in re.findall(r"([\d,]+) (reads|writes)", cell)}
        assert said == {k: n for k, n in (("reads", access.reads), ("writes", access.writes)) if n}
