# SPDX-License-Identifier: Apache-2.0
"""LUTs and flip-flops of multipliers made of adders for `synth_xilinx -family xc7`, as
benchmarks/calibrate_multipliers.py --write left it."""

from nba.boards.logic import MultiplierTable

XC7_MULTIPLIERS = MultiplierTable(
    source="yosys synth_xilinx -family xc7, complete; benchmarks/calibrate_multipliers.py",
    cases=19,
    lut_mean_error=0.05,
    lut_worst_error=0.05,
    ff_mean_error=0.05,
    ff_worst_error=0.05,
    row_lut_milli=700,
    adder_lut_milli=800,
    register_ff_milli=800,
)
