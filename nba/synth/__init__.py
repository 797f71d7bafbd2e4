# SPDX-License-Identifier: Apache-2.0
"""Synthesis of a bundle with yosys (PyPI package pyosys), and the comparison with the prediction."""

from nba.synth.compare import Comparison, Difference, compare
from nba.synth.run import Mode, ModuleCells, Synthesised, require_yosys, synthesise_bundle, synthesise_rtl

__all__ = [
    "Comparison", "Difference", "Mode", "ModuleCells", "Synthesised", "compare", "require_yosys", "synthesise_bundle",
    "synthesise_rtl",
]  # fmt: skip
