// SPDX-License-Identifier: Apache-2.0
// nba_word_dst: takes the dst section of a program word apart: where the edge stores the job's output.
// Wires only: latency 0, no state, no reset. The first port holds the lowest bits.
// Written from nba/machine/layout.py by python -m benchmarks.render_layout; do not edit.
`default_nettype none
module nba_word_dst (
  input  wire [36:0] s_word,
  output wire        cfg_en,
  output wire [5:0]  cfg_ring,
  output wire [12:0] cfg_words,
  output wire        cfg_split,
  output wire [15:0] cfg_parity_words
);
  assign {
    cfg_parity_words,
    cfg_split,
    cfg_words,
    cfg_ring,
    cfg_en
  } = s_word;
endmodule
`default_nettype wire
