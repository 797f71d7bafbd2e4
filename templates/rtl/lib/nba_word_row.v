// SPDX-License-Identifier: Apache-2.0
// nba_word_row: takes the row section of a program word apart: what the decision and the walk need, and later the drain.
// Wires only: latency 0, no state, no reset. The first port holds the lowest bits.
// Written from nba/machine/layout.py by python -m benchmarks.render_layout; do not edit.
`default_nettype none
module nba_word_row (
  input  wire [53:0] s_word,
  output wire [12:0] cfg_m_last,
  output wire [11:0] cfg_g_last,
  output wire [1:0]  cfg_degree,
  output wire [15:0] cfg_p_base,
  output wire        cfg_res_en,
  output wire [3:0]  cfg_res_sel,
  output wire [5:0]  cfg_res_ring
);
  assign {
    cfg_res_ring,
    cfg_res_sel,
    cfg_res_en,
    cfg_p_base,
    cfg_degree,
    cfg_g_last,
    cfg_m_last
  } = s_word;
endmodule
`default_nettype wire
