// SPDX-License-Identifier: Apache-2.0
// nba_word_fetch: takes the word of a fetch apart: a slice of weights that comes from external memory.
// Wires only: latency 0, no state, no reset. The first port holds the lowest bits.
// Written from nba/machine/layout.py by python -m benchmarks.render_layout; do not edit.
`default_nettype none
module nba_word_fetch (
  input  wire [51:0] s_word,
  output wire [3:0]  cfg_target,
  output wire [7:0]  cfg_stage,
  output wire [23:0] cfg_first,
  output wire [15:0] cfg_beats
);
  assign {
    cfg_beats,
    cfg_first,
    cfg_stage,
    cfg_target
  } = s_word;
endmodule
`default_nettype wire
