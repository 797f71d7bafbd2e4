// SPDX-License-Identifier: Apache-2.0
// nba_word_issue: takes the issue section of a program word apart: what the decision and the row walk need.
// Wires only: latency 0, no state, no reset. The first port holds the lowest bits.
// Written from nba/machine/layout.py by python -m benchmarks.render_layout; do not edit.
// WIDE 0, 1: 1 in designs of more than 8 banks, or with strides above 2.
// C_BITS 8, 16: bits of a code.
`default_nettype none
module nba_word_issue #(
  parameter integer WIDE   = 0,
  parameter integer C_BITS = 8
) (
  input  wire [252+4*WIDE+C_BITS-1:0] s_word,
  output wire [11:0]                  cfg_height,
  output wire [11:0]                  cfg_width,
  output wire [WIDE:0]                cfg_stride_h,
  output wire [WIDE:0]                cfg_stride_w,
  output wire [6:0]                   cfg_pad_left,
  output wire [6:0]                   cfg_kx_last,
  output wire [6:0]                   cfg_ky_last,
  output wire [12:0]                  cfg_c_last,
  output wire [11:0]                  cfg_slot_extra,
  output wire [3+WIDE-1:0]            cfg_rot0,
  output wire [WIDE:0]                cfg_class0,
  output wire [15:0]                  cfg_qoff0,
  output wire [12:0]                  cfg_col_words,
  output wire [15:0]                  cfg_class_words,
  output wire [15:0]                  cfg_base,
  output wire [15:0]                  cfg_row_words,
  output wire [15:0]                  cfg_ring_words,
  output wire [12:0]                  cfg_half_words,
  output wire                         cfg_half_first,
  output wire [12:0]                  cfg_m_lo_last,
  output wire [12:0]                  cfg_m_hi_last,
  output wire [3:0]                   cfg_src_sel,
  output wire [5:0]                   cfg_src_ring,
  output wire [3:0]                   cfg_a_shift,
  output wire                         cfg_a_signed,
  output wire [C_BITS-1:0]            cfg_a_pad,
  output wire [15:0]                  cfg_w_base,
  output wire                         cfg_w_step,
  output wire [3:0]                   cfg_w_shift,
  output wire [4:0]                   cfg_w_bits,
  output wire                         cfg_take_max,
  output wire                         cfg_w_stream
);
  assign {
    cfg_w_stream,
    cfg_take_max,
    cfg_w_bits,
    cfg_w_shift,
    cfg_w_step,
    cfg_w_base,
    cfg_a_pad,
    cfg_a_signed,
    cfg_a_shift,
    cfg_src_ring,
    cfg_src_sel,
    cfg_m_hi_last,
    cfg_m_lo_last,
    cfg_half_first,
    cfg_half_words,
    cfg_ring_words,
    cfg_row_words,
    cfg_base,
    cfg_class_words,
    cfg_col_words,
    cfg_qoff0,
    cfg_class0,
    cfg_rot0,
    cfg_slot_extra,
    cfg_c_last,
    cfg_ky_last,
    cfg_kx_last,
    cfg_pad_left,
    cfg_stride_w,
    cfg_stride_h,
    cfg_width,
    cfg_height
  } = s_word;
endmodule
`default_nettype wire
