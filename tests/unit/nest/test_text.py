# SPDX-License-Identifier: Apache-2.0
"""The readable loop nest and the table of costs, against recorded ones."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from nba.loopnest.cost import cost
from nba.loopnest.description import load_hierarchy
from nba.loopnest.layer import DIMS, NestLayer
from nba.loopnest.mapping import Mapping, fanout, is_trivial, problems
from nba.loopnest.reference import execute
from nba.loopnest.text import cost_text, nest_text
from tests.unit.nest import draws

GOLDEN = Path(__file__).parent / "loop_nests.txt"


def loops(**extents: int) -> tuple[int, ...]:
    """One number per loop; 1 where none is given."""
    return tuple(extents.get(name.lower(), 1) for name in DIMS)


def order(names: str) -> tuple[int, ...]:
    """An order that ends with the loops in `names`."""
    return tuple(DIMS.index(d) for d in [*(d for d in DIMS if d not in names), *names])


def cases() -> list[tuple[NestLayer, str, Mapping]]:
    """Rows stay in the PEs of an Eyeriss, weights in those of a TPU."""
    conv = NestLayer(name="conv", m=20, c=8, p=13, q=13, r=3, s=3)
    buffer = loops(m=20, c=8, p=6, q=13, r=3, s=3)
    rows = Mapping(
        arrays=(conv.extents, buffer, loops(m=8, c=2, p=6, r=3, s=3)),
        tiles=(conv.extents, buffer, loops(m=8, c=2, s=3)),
        axes=((0,) * 8, (0,) * 8, (0, 0, 0, 0, 1, 0, 0, 0)),
        orders=(order("PMC"), order("MCQ")),
    )
    narrow = NestLayer(name="narrow", n=2, m=40, c=24, p=4, q=4, weight_bits=4, act_bits=4)
    whole = narrow.extents
    weights = Mapping(
        arrays=(whole, whole, loops(n=2, m=40, c=24, p=4, q=4), loops(m=32, c=24)),
        tiles=(whole, whole, loops(n=2, m=40, c=24, p=4, q=4), loops()),
        axes=((0,) * 8, (0,) * 8, (0,) * 8, (0, 0, 1, 0, 0, 0, 0, 0)),
        orders=(order(""), order(""), order("MNPQ")),
    )
    return [(conv, "eyeriss-like", rows), (narrow, "tpu-like", weights)]


@pytest.mark.golden
def test_text_is_as_recorded() -> None:
    parts = []
    for layer, name, mapping in cases():
        hierarchy = load_hierarchy(name)
        assert problems(layer, hierarchy, mapping) == []
        found = cost(layer, hierarchy, mapping, execute(layer, hierarchy, mapping))
        parts += [nest_text(layer, hierarchy, mapping), cost_text(hierarchy, found)]
    text = "\n".join(parts)
    if os.environ.get("NBA_RECORD"):
        GOLDEN.write_text(text)
    assert GOLDEN.read_text() == text


def test_every_loop_and_load_is_shown() -> None:
    for seed in range(200):
        layer, hierarchy, mapping = draws.numbered(seed)
        text = nest_text(layer, hierarchy, mapping)
        assert text.isascii()
        walked = sum(not is_trivial(mapping, level, d) for level in range(len(mapping.orders)) for d in range(8))
        inside = sum(extent > 1 for extent in mapping.tiles[-1])
        assert len(re.findall(r"^ *for ", text, re.MULTILINE)) == walked + inside
        unrolled = [n for a, t in zip(mapping.arrays, mapping.tiles, strict=True) for n in fanout(a, t) if n > 1]
        assert text.count("parallel-for") == len(unrolled)
        held = [spec.memory(operand) for spec in hierarchy.levels[1:] for operand in range(3)]
        moves = text.count("load weights") + text.count("load inputs") + text.count("start outputs")
        assert moves == sum(memory is not None for memory in held)
