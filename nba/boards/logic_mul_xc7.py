# SPDX-License-Identifier: Apache-2.0
"""LUTs and flip-flops of multipliers made of adders for `synth_xilinx -family xc7`, as
benchmarks/calibrate_multipliers.py --write left it."""

from nba.boards.logic import MultiplierTable

XC7_MULTIPLIERS = MultiplierTable(
    source="yosys synth_xilinx -family xc7, complete; benchmarks/calibrate_multipliers.py",
    cases=17,
    lut_mean_error=0.0373,
    lut_worst_error=0.1173,
    ff_mean_error=0.0558,
    ff_worst_error=0.2353,
    requant=(776, 733, 821),
    products=(253, 976, 989),
)
