# SPDX-License-Identifier: Apache-2.0
"""What the estimate of LUTs and flip-flops of a synthesis family consists of (nba.machine.logic)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Coefficient:
    """Thousandths of a LUT and of a flip-flop per unit of one feature of one kind of part."""

    part: str
    feature: str
    lut_milli: int
    ff_milli: int


@dataclass(frozen=True, kw_only=True, slots=True)
class MultiplierTable:
    """What multipliers made of adders (nba_mul) take beyond the same module with its products in DSP blocks:
    thousandths of a LUT per bit of a row and of an adder, of a flip-flop per bit of a register
    (nba.machine.multipliers), in requantisers and for products. cases: how many it was fitted to. The errors are shares
    of the difference that synthesis found."""

    source: str
    cases: int
    lut_mean_error: float
    lut_worst_error: float
    ff_mean_error: float
    ff_worst_error: float
    requant: tuple[int, int, int]
    products: tuple[int, int, int]


@dataclass(frozen=True, kw_only=True, slots=True)
class LogicTable:
    """A calibration. designs: how many it was fitted to. The errors are shares of what synthesis found, of designs that
    the fit had not seen (leave-one-out): mean of the absolute values, and the worst. multipliers: what is added where
    these are made of adders. deep_ram_lut_milli: thousandths of a LUT per bit and 64 words of a buffer that is built of
    LUTs because block RAM is dear, beyond its features: multiplexers of what it reads."""

    source: str
    designs: int
    lut_mean_error: float
    lut_worst_error: float
    ff_mean_error: float
    ff_worst_error: float
    coefficients: tuple[Coefficient, ...]
    multipliers: MultiplierTable
    deep_ram_lut_milli: int
