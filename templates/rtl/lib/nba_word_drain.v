// SPDX-License-Identifier: Apache-2.0
// nba_word_drain: takes the drain section of a program word apart: what the requantiser needs.
// Wires only: latency 0, no state, no reset. The first port holds the lowest bits.
// Written from nba/machine/layout.py by python -m benchmarks.render_layout; do not edit.
// C_BITS 8, 16: bits of a code.
`default_nettype none
module nba_word_drain #(
  parameter integer C_BITS = 8
) (
  input  wire [87+3*C_BITS-1:0] s_word,
  output wire [12:0]            cfg_res_words,
  output wire [15:0]            cfg_res_mult,
  output wire                   cfg_res_signed,
  output wire [47:0]            cfg_round,
  output wire [5:0]             cfg_shift,
  output wire [C_BITS:0]        cfg_zero,
  output wire [C_BITS:0]        cfg_min,
  output wire [C_BITS:0]        cfg_max
);
  assign {
    cfg_max,
    cfg_min,
    cfg_zero,
    cfg_shift,
    cfg_round,
    cfg_res_signed,
    cfg_res_mult,
    cfg_res_words
  } = s_word;
endmodule
`default_nettype wire
