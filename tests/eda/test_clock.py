# SPDX-License-Identifier: Apache-2.0
"""The timing of benchmarks/clock.py finds the path that was planted, in a module and not in the wrapper around it."""

from __future__ import annotations

from pathlib import Path

import pytest

from nba.synth import xc7
from nba.synth.yosys import Port, ports_of, wrapper

pytestmark = pytest.mark.eda

ADDERS = """module nba_t #(parameter integer W = 4) (input wire clk, input wire [W-1:0] s_a, output wire [W-1:0] m_sum);
  reg [W-1:0] slow_q;
  reg [W-1:0] result_q;
  always @(posedge clk) begin
    slow_q <= s_a;
    result_q <= slow_q + {slow_q[0], slow_q[W-1:1]};
  end
  assign m_sum = result_q;
endmodule
"""


def _timed(width: int, work: Path) -> xc7.TimingPath:
    (work / "rtl").mkdir(parents=True)
    (work / "rtl" / "nba_t.v").write_text(ADDERS)
    values = {"W": str(width)}
    ports = ports_of("nba_t", values, work)
    assert ports == (
        Port(name="clk", bits=1, is_input=True),
        Port(name="s_a", bits=width, is_input=True),
        Port(name="m_sum", bits=width, is_input=False),
    )
    (work / "pins.v").write_text(wrapper("nba_t", values, ports))
    return xc7.xc7_path(work)


def test_the_longest_path_is_the_planted_one_and_grows_with_the_carry_chain(tmp_path: Path) -> None:
    narrow, wide = _timed(12, tmp_path / "12"), _timed(32, tmp_path / "32")
    for found in (narrow, wide):
        assert found.start.startswith("slow_q")
        assert found.end.startswith("m_sum")  # Another name of result_q; the wrapper's register is out_m_sum.
    # A CARRY4, four bits, takes 0.114 ns from carry to carry.
    assert wide.delay_ns - narrow.delay_ns == pytest.approx(5 * 0.114)
    assert wide.levels - narrow.levels == 5
