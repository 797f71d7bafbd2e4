// SPDX-License-Identifier: Apache-2.0
// nba_word_turn: takes the word of a turn apart: the next rows that a chunk computes.
// Wires only: latency 0, no state, no reset. The first port holds the lowest bits.
// Written from nba/machine/layout.py by python -m benchmarks.render_layout; do not edit.
`default_nettype none
module nba_word_turn (
  input  wire [75:0] s_word,
  output wire [7:0]  cfg_job,
  output wire [11:0] cfg_rows,
  output wire [7:0]  cfg_stage,
  output wire [12:0] cfg_top,
  output wire        cfg_opens,
  output wire        cfg_ends,
  output wire        cfg_closes,
  output wire [15:0] cfg_first_step,
  output wire [15:0] cfg_first_weight
);
  assign {
    cfg_first_weight,
    cfg_first_step,
    cfg_closes,
    cfg_ends,
    cfg_opens,
    cfg_top,
    cfg_stage,
    cfg_rows,
    cfg_job
  } = s_word;
endmodule
`default_nettype wire
