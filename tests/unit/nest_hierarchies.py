# SPDX-License-Identifier: Apache-2.0
"""Hierarchies for the tests of the searches over mappings: made up, no technology's numbers."""

from __future__ import annotations

import random

from nba.loopnest.hierarchy import Axis, Hierarchy, Level, LevelMemory, Link, Mac
from nba.loopnest.layer import INPUTS, OUTPUTS, WEIGHTS, C, G, M, N, NestLayer, P, Q, R, S

ALL = (WEIGHTS, INPUTS, OUTPUTS)
MACS = tuple(Mac(bits=bits, pj=0.125 * bits, area_mm2=0.001, accumulator_bits=32) for bits in (8, 16))


def memory(name: str, operands: tuple[int, ...], size: int | None, word: int, pj: float) -> LevelMemory:
    """A memory of `size` bits."""
    return LevelMemory(
        name=name, operands=operands, size_bits=size, word_bits=word, read_pj=pj, write_pj=pj * 1.125, area_mm2=0.01
    )


def row_stationary_array(rows: int = 12, columns: int = 14, buffer_bytes: int = 108 * 1024) -> Hierarchy:
    """DRAM, one buffer and an array whose places have a memory for each operand."""
    return Hierarchy(
        name="rows",
        clock_mhz=200.0,
        macs=MACS,
        levels=(
            Level(name="dram", memories=(memory("dram", ALL, None, 64, 400.0),)),
            Level(
                name="buffer",
                memories=(memory("buffer", ALL, buffer_bytes * 8, 64, 20.0),),
                links=(Link(operands=ALL, fill_bits_per_cycle=64, drain_bits_per_cycle=64, pj_per_bit=0.0),),
            ),
            Level(
                name="place",
                memories=(
                    memory("w", (WEIGHTS,), 224 * 16, 16, 1.0),
                    memory("i", (INPUTS,), 12 * 16, 16, 0.5),
                    memory("o", (OUTPUTS,), 24 * 32, 32, 0.7),
                ),
                axes=(
                    Axis(name="rows", size=rows, dims=(R, C, M, S, G)),
                    Axis(name="columns", size=columns, dims=(P, Q, M, C, G, N)),
                ),
                links=(
                    Link(operands=(WEIGHTS,), fill_bits_per_cycle=64, drain_bits_per_cycle=64, pj_per_bit=0.01),
                    Link(operands=(INPUTS,), fill_bits_per_cycle=64, drain_bits_per_cycle=64, pj_per_bit=0.01),
                    Link(operands=(OUTPUTS,), fill_bits_per_cycle=64, drain_bits_per_cycle=64, pj_per_bit=0.01),
                ),
                double_buffered=False,
            ),
        ),
    )


def random_layer(rng: random.Random, most: int = 4) -> NestLayer:
    """A small layer of any kind."""
    return NestLayer(
        name="layer",
        n=rng.choice((1, 1, 2)),
        g=rng.choice((1, 1, 2)),
        m=rng.randint(1, most),
        c=rng.randint(1, most),
        p=rng.randint(1, most),
        q=rng.randint(1, most),
        r=rng.randint(1, min(3, most)),
        s=rng.randint(1, min(3, most)),
        stride_h=rng.randint(1, 2),
        stride_w=rng.randint(1, 2),
        weight_bits=8,
        act_bits=8,
    )


def random_hierarchy(rng: random.Random, depth: int = 3) -> Hierarchy:
    """Two to four levels with little memory, few instances and slow links. Energies are multiples of a power of two:
    sums of them are exact in any order, and can be compared with ==."""

    def level(number: int) -> Level:
        inside, last = number > 0, number == depth - 1
        held = ALL
        if inside and not last and rng.random() < 0.4:
            held = tuple(sorted(rng.sample(ALL, 2)))
        split = rng.random() < 0.5
        groups = tuple((operand,) for operand in held) if split else (held,)
        size = None if not inside else rng.choice((16, 32, 64, 128)) * 8 * (1 if last else 4)
        axes = []
        if inside and (last or rng.random() < 0.3):
            for name in ("x", "y")[: rng.randint(1, 2)]:
                dims = tuple(sorted(rng.sample(range(8), rng.randint(2, 6))))
                axes.append(Axis(name=name, size=rng.randint(2, 5), dims=dims))
        links = tuple(
            Link(
                operands=group,
                fill_bits_per_cycle=rng.choice((4, 16, 64)),
                drain_bits_per_cycle=rng.choice((4, 16, 64)),
                pj_per_bit=rng.choice((0.0, 0.0625)),
            )
            for group in (((operand,) for operand in held) if rng.random() < 0.5 else (held,))
        )
        return Level(
            name=f"level{number}",
            memories=tuple(
                memory(f"m{i}", group, size, rng.choice((8, 16, 64)), rng.choice((1.0, 7.0, 60.0)))
                for i, group in enumerate(groups)
            ),
            axes=tuple(axes),
            links=links if inside else (),
            double_buffered=rng.random() < 0.5,
            innermost=tuple(sorted(rng.sample(range(8), rng.randint(1, 3)))) if rng.random() < 0.15 else (),
            unit_tiles=(rng.randrange(8),) if last and rng.random() < 0.15 else (),
        )

    return Hierarchy(name="random", clock_mhz=100.0, levels=tuple(level(i) for i in range(depth)), macs=MACS)
