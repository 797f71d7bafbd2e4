# SPDX-License-Identifier: Apache-2.0
"""LUTs and flip-flops of multipliers made of adders for `synth_xilinx -family xc7`, as
benchmarks/calibrate_multipliers.py --write left it."""

from nba.boards.logic import MultiplierTable

XC7_MULTIPLIERS = MultiplierTable(
    source="yosys synth_xilinx -family xc7, complete; benchmarks/calibrate_multipliers.py",
    cases=17,
    lut_mean_error=0.0390,
    lut_worst_error=0.1191,
    ff_mean_error=0.0473,
    ff_worst_error=0.1889,
    requant=(800, 731, 901),
    products=(250, 981, 989),
)
