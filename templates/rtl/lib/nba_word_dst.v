// SPDX-License-Identifier: Apache-2.0
// nba_word_dst: takes the dst section of a program word apart: where the edge stores the job's output.
// Wires only: latency 0, no state, no reset. The first port holds the lowest bits.
// Written from nba/machine/layout.py by python -m benchmarks.render_layout; do not edit.
// WIDE 0, 1: 1 in designs of more than 8 banks, or with strides above 2.
`default_nettype none
module nba_word_dst #(
  parameter integer WIDE = 0
) (
  input  wire [37+WIDE-1:0] s_word,
  output wire               cfg_en,
  output wire [5:0]         cfg_ring,
  output wire [12:0]        cfg_words,
  output wire [WIDE:0]      cfg_split,
  output wire [15:0]        cfg_class_words
);
  assign {
    cfg_class_words,
    cfg_split,
    cfg_words,
    cfg_ring,
    cfg_en
  } = s_word;
endmodule
`default_nettype wire
