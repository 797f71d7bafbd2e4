// SPDX-License-Identifier: Apache-2.0
// nba_word_shift: takes the shifts of a parameter word apart: how the shifts of the channels of a drain step differ.
// Wires only: latency 0, no state, no reset. The first port holds the lowest bits.
// Written from nba/machine/layout.py by python -m benchmarks.render_layout; do not edit.
// PQ: channels that are requantised per cycle.
// SHIFT_BITS 1..6: bits of a channel's shift.
`default_nettype none
module nba_word_shift #(
  parameter integer PQ         = 1,
  parameter integer SHIFT_BITS = 1
) (
  input  wire [PQ*SHIFT_BITS-1:0] s_word,
  output wire [PQ*SHIFT_BITS-1:0] cfg_shift
);
  assign {
    cfg_shift
  } = s_word;
endmodule
`default_nettype wire
