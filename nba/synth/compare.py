# SPDX-License-Identifier: Apache-2.0
"""Predicted against synthesised resources."""

from __future__ import annotations

from dataclasses import dataclass

from nba.boards import Platform
from nba.machine.program import Program
from nba.machine.resources import predict
from nba.synth.run import Synthesised


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """One resource whose two numbers differ."""

    resource: str
    predicted: int
    synthesised: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """Empty `differences`: prediction and netlist agree."""

    differences: tuple[Difference, ...]

    @property
    def equal(self) -> bool:
        """Every predicted number is the synthesised one."""
        return not self.differences


def compare(program: Program, platform: Platform, synthesised: Synthesised) -> Comparison:
    """Predict `program` and compare DSP blocks, 18 Kib block RAMs and UltraRAM blocks with the netlist's."""
    want = predict(program, platform)
    pairs = (
        ("dsp", want.dsp, synthesised.dsp),
        ("bram18", want.bram18, synthesised.bram18),
        ("uram", want.uram, synthesised.uram),
    )
    return Comparison(
        differences=tuple(
            Difference(resource=name, predicted=predicted, synthesised=made)
            for name, predicted, made in pairs
            if predicted != made
        )
    )
