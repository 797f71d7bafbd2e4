// SPDX-License-Identifier: Apache-2.0
// nba_issue: the issue side of a chunk: decides when the rows of the job start (nba_decide), walks them (nba_walk),
// and says for every step where its operands lie and how they are read (docs/template.md, pipeline rows i to i+2).
// Latency 2 cycles from a step's cycle i to its addresses (i+2); its fields are the job's in cycle i; one step per cycle.
// xfer: the accumulators of a group are finished two cycles later; XFER cycles after the last cycle e of its slot.
// XFER: 4 or more. AW: bits of an address of the input edges. PER_CHANNEL 0/1, PP, BANKS, DEGREE, WIDE, C_BITS, N_SRC, N_RES, N_DST, N_TURNS, MAX_STAGE as nba_chunk;
// ISSUE_W, ROW_W, DST_W: bits of the sections of a program word for C_BITS (nba_word_*). s_issue, s_row, s_dst: word of `job`, a cycle later; s_turn: that of `turn`.
// turn_*: as nba_seq. SLICED: 1 if any job has slices: a turn's weights then begin next_weight words behind its job's.
// Reset: idle; no step is under way.
`default_nettype none
module nba_issue #(
  parameter integer PER_CHANNEL = 0,
  parameter integer PP          = 1,
  parameter integer BANKS       = 1,
  parameter integer DEGREE      = 1,
  parameter integer WIDE        = 0,
  parameter integer C_BITS      = 8,
  parameter integer N_SRC       = 1,
  parameter integer N_RES       = 1,
  parameter integer N_DST       = 1,
  parameter integer N_TURNS     = 1,
  parameter integer MAX_STAGE   = 0,
  parameter integer XFER        = 8,
  parameter integer AW          = 16,
  parameter integer ISSUE_W     = 260,
  parameter integer ROW_W       = 54,
  parameter integer DST_W       = 37,
  parameter integer TURN_W      = 76,
  parameter integer SLICED      = 0
) (
  input  wire                   clk,
  input  wire                   rst,
  input  wire                   start_pulse,
  input  wire [31:0]            cfg_frames,
  output wire [11:0]            turn,
  input  wire [TURN_W-1:0]      s_turn,
  output wire [7:0]             job,
  input  wire [ISSUE_W-1:0]     s_issue,
  input  wire [ROW_W-1:0]       s_row,
  input  wire [N_DST*DST_W-1:0] s_dst,
  // edges
  input  wire [N_SRC-1:0]       src_avail,
  input  wire [N_SRC*16-1:0]    src_row_off,
  output wire [5:0]             src_ring,
  output wire [15:0]            src_need,
  output wire [N_SRC-1:0]       src_hold_pulse,
  output wire [15:0]            src_hold_rows,
  output wire                   src_next_last,
  output wire [BANKS*16-1:0]    src_addr,
  output wire [N_SRC-1:0]       src_release_pulse,
  output wire [15:0]            src_release_rows,
  input  wire [N_RES-1:0]       res_avail,
  output wire [5:0]             res_ring,
  output wire [N_RES-1:0]       res_hold_pulse,
  input  wire [N_DST-1:0]       dst_free,
  output wire [N_DST*6-1:0]     dst_ring,
  output wire [N_DST-1:0]       dst_start_pulse,
  input  wire                   store_avail,
  output wire                   store_hold_pulse,
  output wire                   store_done_pulse,
  // fields that go with a step (i)
  output wire [3:0]             m_sel,
  output wire [C_BITS-1:0]      m_pad,
  output wire                   m_signed,
  output wire [3:0]             m_a_shift,
  output wire [3:0]             m_w_shift,
  output wire [4:0]             m_w_bits,
  output wire                   m_max,
  output wire [1:0]             m_degree,
  output wire [12:0]            m_word,
  output wire                   m_stream,
  // steps (i+2)
  output wire                   m_valid,
  output wire                   m_first,
  output wire [15:0]            m_w_addr,
  output wire [BANKS-1:0]       m_ok,
  output wire [3:0]             m_rot,
  // groups (e+XFER)
  output wire                   xfer,
  output wire                   xfer_first,
  output wire                   row_go_pulse,
  output wire                   turn_pulse,
  output wire [11:0]            turn_rows,
  output wire                   turn_closes,
  output wire [15:0]            turn_step,
  output wire                   stat_busy,
  output wire                   stat_start_pulse
);
  wire [11:0]       f_height;
  wire [11:0]       f_width;
  wire [WIDE:0]     f_stride_h;
  wire [WIDE:0]     f_stride_w;
  wire [6:0]        f_pad_left;
  wire [6:0]        f_kx_last;
  wire [6:0]        f_ky_last;
  wire [12:0]       f_c_last;
  wire [11:0]       f_slot_extra;
  wire [2+WIDE:0]   f_rot0;
  wire [WIDE:0]     f_class0;
  wire [15:0]       f_qoff0;
  wire [12:0]       f_col_words;
  wire [15:0]       f_class_words;
  wire [15:0]       f_base;
  wire [15:0]       f_row_words;
  wire [15:0]       f_ring_words;
  wire [12:0]       f_half_words;
  wire              f_half_first;
  wire [12:0]       f_m_lo_last;
  wire [12:0]       f_m_hi_last;
  wire [15:0]       f_w_base;
  wire              f_w_step;
  nba_word_issue #(
    .C_BITS(C_BITS),
    .WIDE  (WIDE)
  ) u_word_issue (
    .s_word          (s_issue),
    .cfg_height      (f_height),
    .cfg_width       (f_width),
    .cfg_stride_h    (f_stride_h),
    .cfg_stride_w    (f_stride_w),
    .cfg_pad_left    (f_pad_left),
    .cfg_kx_last     (f_kx_last),
    .cfg_ky_last     (f_ky_last),
    .cfg_c_last      (f_c_last),
    .cfg_slot_extra  (f_slot_extra),
    .cfg_rot0        (f_rot0),
    .cfg_class0      (f_class0),
    .cfg_qoff0       (f_qoff0),
    .cfg_col_words   (f_col_words),
    .cfg_class_words (f_class_words),
    .cfg_base        (f_base),
    .cfg_row_words   (f_row_words),
    .cfg_ring_words  (f_ring_words),
    .cfg_half_words  (f_half_words),
    .cfg_half_first  (f_half_first),
    .cfg_m_lo_last   (f_m_lo_last),
    .cfg_m_hi_last   (f_m_hi_last),
    .cfg_src_sel     (m_sel),
    .cfg_src_ring    (src_ring),
    .cfg_a_shift     (m_a_shift),
    .cfg_a_signed    (m_signed),
    .cfg_a_pad       (m_pad),
    .cfg_w_base      (f_w_base),
    .cfg_w_step      (f_w_step),
    .cfg_w_shift     (m_w_shift),
    .cfg_w_bits      (m_w_bits),
    .cfg_take_max    (m_max),
    .cfg_w_stream    (m_stream)
  );

  wire [12:0]       row_m_last;
  wire [11:0]       row_g_last;
  wire [15:0]       row_p_base;
  wire              row_res_en;
  wire [3:0]        row_res_sel;
  nba_word_row u_word_row (
    .s_word      (s_row),
    .cfg_m_last  (row_m_last),
    .cfg_g_last  (row_g_last),
    .cfg_degree  (m_degree),
    .cfg_p_base  (row_p_base),
    .cfg_res_en  (row_res_en),
    .cfg_res_sel (row_res_sel),
    .cfg_res_ring(res_ring)
  );

  wire [N_DST-1:0]    dst_en;
  wire [N_DST*13-1:0] dst_words;
  wire [N_DST*(1+WIDE)-1:0] dst_split;
  wire [N_DST*16-1:0] dst_class_words;
  genvar gi;
  generate
    for (gi = 0; gi < N_DST; gi = gi + 1) begin : g_dst
      nba_word_dst #(
        .WIDE(WIDE)
      ) u_word_dst (
        .s_word          (s_dst[gi*DST_W +: DST_W]),
        .cfg_en          (dst_en[gi]),
        .cfg_ring        (dst_ring[gi*6 +: 6]),
        .cfg_words       (dst_words[gi*13 +: 13]),
        .cfg_split       (dst_split[gi*(1+WIDE) +: 1+WIDE]),
        .cfg_class_words (dst_class_words[gi*16 +: 16])
      );
    end
  endgenerate
  // The drain side takes its fields from its own copy of the word.
  wire unused = &{1'b0, row_p_base, dst_words, dst_split, dst_class_words, stride_h_long};

  wire [7:0]  next_job;
  wire [7:0]  next_stage;
  wire [11:0] next_rows;
  wire [12:0] next_top;
  wire        next_opens;
  wire        next_ends;
  wire        next_closes;
  wire [15:0] next_step;
  wire [15:0] next_weight;
  nba_word_turn u_word_turn (
    .s_word    (s_turn),
    .cfg_job   (next_job),
    .cfg_rows  (next_rows),
    .cfg_stage (next_stage),
    .cfg_top   (next_top),
    .cfg_opens (next_opens),
    .cfg_ends  (next_ends),
    .cfg_closes(next_closes),
    .cfg_first_step  (next_step),
    .cfg_first_weight(next_weight)
  );
  wire [2+WIDE:0] stride_h_long = {2'b00, f_stride_h};
  wire        go;
  wire        go_first;
  wire [12:0] go_top;
  wire [15:0] go_off;
  wire        walk_ready;
  wire        walk_last;
  assign row_go_pulse = go;
  wire [15:0] turn_weight;
  nba_decide #(
    .N_SRC    (N_SRC),
    .N_RES    (N_RES),
    .N_DST    (N_DST),
    .N_TURNS  (N_TURNS),
    .MAX_STAGE(MAX_STAGE)
  ) u_decide (
    .clk              (clk),
    .rst              (rst),
    .start_pulse      (start_pulse),
    .cfg_frames       (cfg_frames),
    .turn             (turn),
    .next_job         (next_job),
    .next_stage       (next_stage),
    .next_rows        (next_rows),
    .next_top         (next_top),
    .next_opens       (next_opens),
    .next_ends        (next_ends),
    .next_closes      (next_closes),
    .next_step        (next_step),
    .next_weight      (next_weight),
    .job              (job),
    .cfg_height       (f_height),
    .cfg_stride_h     (stride_h_long[1:0]),
    .cfg_ky_last      (f_ky_last),
    .cfg_src_sel      (m_sel),
    .cfg_res_en       (row_res_en),
    .cfg_res_sel      (row_res_sel),
    .cfg_dst_en       (dst_en),
    .cfg_stream       (m_stream),
    .src_avail        (src_avail),
    .src_row_off      (src_row_off),
    .src_need         (src_need),
    .src_hold_pulse   (src_hold_pulse),
    .src_hold_rows    (src_hold_rows),
    .src_next_last    (src_next_last),
    .src_release_pulse(src_release_pulse),
    .src_release_rows (src_release_rows),
    .res_avail        (res_avail),
    .res_hold_pulse   (res_hold_pulse),
    .dst_free         (dst_free),
    .dst_start_pulse  (dst_start_pulse),
    .store_avail      (store_avail),
    .store_hold_pulse (store_hold_pulse),
    .store_done_pulse (store_done_pulse),
    .go_pulse         (go),
    .go_first         (go_first),
    .go_top           (go_top),
    .go_off           (go_off),
    .walk_ready       (walk_ready),
    .walk_last        (walk_last),
    .turn_pulse       (turn_pulse),
    .turn_rows        (turn_rows),
    .turn_closes      (turn_closes),
    .turn_step        (turn_step),
    .turn_weight      (turn_weight),
    .stat_busy        (stat_busy),
    .stat_start_pulse (stat_start_pulse)
  );
  // Both lie still from the second fetch cycle on: their sum does three cycles before the first decision.
  wire [15:0] w_base;
  generate
    if (SLICED != 0) begin : g_slice
      reg [15:0] w_base_q;
      always @(posedge clk) w_base_q <= f_w_base + turn_weight;
      assign w_base = w_base_q;
    end else begin : g_whole
      wire unused_weight = &{1'b0, turn_weight};
      assign w_base = f_w_base;
    end
  endgenerate
  wire slot_end_q2;
  wire first_slot_q2;
  nba_walk #(
    .PER_CHANNEL(PER_CHANNEL),
    .PP         (PP),
    .BANKS      (BANKS),
    .DEGREE     (DEGREE),
    .WIDE       (WIDE),
    .AW         (AW)
  ) u_walk (
    .clk             (clk),
    .rst             (rst),
    .row_go          (go),
    .row_first       (go_first),
    .row_off         (go_off),
    .row_top         (go_top),
    .walk_ready       (walk_ready),
    .walk_last       (walk_last),
    .cfg_c_last      (f_c_last),
    .cfg_kx_last     (f_kx_last),
    .cfg_ky_last     (f_ky_last),
    .cfg_m_last      (row_m_last),
    .cfg_half_words  (f_half_words),
    .cfg_half_first  (f_half_first),
    .cfg_m_lo_last   (f_m_lo_last),
    .cfg_m_hi_last   (f_m_hi_last),
    .cfg_g_last      (row_g_last),
    .cfg_degree      (m_degree),
    .cfg_slot_extra  (f_slot_extra),
    .cfg_width       (f_width),
    .cfg_height      (f_height),
    .cfg_stride_w    (f_stride_w),
    .cfg_pad_left    (f_pad_left),
    .cfg_rot0        (f_rot0),
    .cfg_class0      (f_class0),
    .cfg_qoff0       (f_qoff0),
    .cfg_col_words   (f_col_words),
    .cfg_class_words (f_class_words),
    .cfg_base        (f_base),
    .cfg_row_words   (f_row_words),
    .cfg_ring_words  (f_ring_words),
    .cfg_w_base      (w_base),
    .cfg_w_step      (f_w_step),
    .m_word          (m_word),
    .m_addr          (src_addr),
    .m_w_addr        (m_w_addr),
    .m_ok            (m_ok),
    .m_rot           (m_rot),
    .m_valid         (m_valid),
    .m_first         (m_first),
    .m_slot_end      (slot_end_q2),
    .m_first_slot    (first_slot_q2)
  );

  // Slot ends travel from i+2 (for e) to the transfer in e+XFER.
  localparam integer WAIT = XFER - 2;
  reg [WAIT-1:0] xfer_q;
  reg [WAIT-1:0] xfer_first_q;
  always @(posedge clk) begin
    xfer_q       <= {xfer_q[WAIT-2:0], slot_end_q2};
    xfer_first_q <= {xfer_first_q[WAIT-2:0], first_slot_q2};
    // The last stage is reset too, so that this is no memory cell, whose output would be late.
    if (rst) begin
      xfer_q               <= {WAIT{1'b0}};
      xfer_first_q[WAIT-1] <= 1'b0;
    end
  end
  assign xfer       = xfer_q[WAIT-1];
  assign xfer_first = xfer_q[WAIT-1] && xfer_first_q[WAIT-1];
endmodule
`default_nettype wire
