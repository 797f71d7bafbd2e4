// SPDX-License-Identifier: Apache-2.0
// nba_word_param: takes a parameter word apart: what the channels of a drain step are requantised with.
// Wires only: latency 0, no state, no reset. The first port holds the lowest bits.
// Written from nba/machine/layout.py by python -m benchmarks.render_layout; do not edit.
// PQ: channels that are requantised per cycle.
// ACC_BITS 3..46: bits of an accumulator.
`default_nettype none
module nba_word_param #(
  parameter integer PQ       = 1,
  parameter integer ACC_BITS = 24
) (
  input  wire [PQ*ACC_BITS+PQ*16-1:0] s_word,
  output wire [PQ*ACC_BITS-1:0]       cfg_bias,
  output wire [PQ*16-1:0]             cfg_mult
);
  assign {
    cfg_mult,
    cfg_bias
  } = s_word;
endmodule
`default_nettype wire
