// SPDX-License-Identifier: Apache-2.0
// nba_results: the drain side of a chunk: finished accumulators (nba_drain) with the parameters and the residual
// operand of their job, requantised (nba_requant), and handed to the writers of the output edges.
// xfer in cycle x announces accumulators in x+2: drain steps in x+1.., their flags (step_*) eleven cycles later, their codes
// (step_data) another cycle later (docs/template.md, pipeline).
// The drain works on a job while later ones are fetched and started, so it has its own copies of the job's fields: put
// by when the job starts (s_start_pulse: s_job and the word; at most four jobs wait), in force from its first group
// (xfer_first) on, and for what is used from d0+6 on five cycles later. A job's last group and the first of the next one
// are at least PM/PQ + 6 cycles apart.
// SHARE as nba_drain; PM, PQ, PP, BANKS, DEGREE, WIDE, C_BITS, ACC_BITS as nba_chunk; HAS_RES, MUL_LUT (of nba_requant)
// 0/1; N_RES, N_DST 1..15 edges; P_DEPTH: words of PARAM_FILE; P_BLOCK: block RAM; SHIFT_BITS 0..6: of a channel's shift
// behind the other parameters, SHIFT_LEAST, SHIFT_MOST (nba_requant); AW: bits
// of an address of the residual edges; ROW_W, DRAIN_W, DST_W: bits of the sections of a program word for C_BITS
// (nba_word_*).
// Codes: channel m of column p is number p*PQ+m. Reset: no step is under way.
`default_nettype none
module nba_results #(
  parameter integer PM         = 2,
  parameter integer SHARE      = 1,
  parameter integer PQ         = 1,
  parameter integer PP         = 1,
  parameter integer BANKS      = 1,
  parameter integer DEGREE     = 1,
  parameter integer WIDE       = 0,
  parameter integer C_BITS     = 8,
  parameter integer ACC_BITS   = 24,
  parameter integer HAS_RES    = 0,
  parameter integer MUL_LUT    = 0,
  parameter integer N_RES      = 1,
  parameter integer N_DST      = 1,
  parameter integer P_DEPTH    = 4,
  parameter integer P_BLOCK    = 0,
  parameter         PARAM_FILE = "params.mem",
  parameter integer SHIFT_BITS = 0,
  parameter integer SHIFT_LEAST = 1,
  parameter integer SHIFT_MOST = 47,
  parameter integer AW         = 16,
  parameter integer ROW_W      = 54,
  parameter integer DRAIN_W    = 111,
  parameter integer DST_W      = 37
) (
  input  wire                          clk,
  input  wire                          rst,
  input  wire                          s_start_pulse,
  input  wire [7:0]                    s_job,
  input  wire [11:0]                   s_rows,
  input  wire                          s_closes,
  input  wire [ROW_W-1:0]              s_row,
  input  wire [DRAIN_W-1:0]            s_drain,
  input  wire [N_DST*DST_W-1:0]        s_dst,
  input  wire                          xfer,
  input  wire                          xfer_first,
  input  wire [PP*((PM+SHARE-1)/SHARE)*SHARE*DEGREE*ACC_BITS-1:0] s_acc,
  // residual edges
  input  wire [N_RES*16-1:0]           res_row_addr,
  input  wire [N_RES*BANKS*PQ*C_BITS-1:0] res_data,
  output wire [5:0]                    res_read_ring,
  output wire [N_RES-1:0]              res_next_pulse,
  output wire [15:0]                   res_addr,
  // output edges
  output wire                          step_valid,
  output wire [PP*PQ*C_BITS-1:0]       step_data,
  output wire                          step_again,
  output wire                          step_group_last,
  output wire                          step_col_last,
  output wire                          step_row_last,
  output wire                          step_job_last,
  output wire [7:0]                    step_job,
  output wire [N_DST-1:0]              step_en,
  output wire [N_DST*6-1:0]            step_ring,
  output wire [N_DST*13-1:0]           step_words,
  output wire [N_DST*2-1:0]            step_split,
  output wire [N_DST*16-1:0]           step_class_words
);
  localparam integer RES_W   = PP * PQ * C_BITS;
  localparam integer PARAM_W = PQ * (ACC_BITS + 16 + SHIFT_BITS);
  localparam integer P_AW    = (P_DEPTH > 4) ? $clog2(P_DEPTH) : 2;
  localparam integer SHIFT_W = (SHIFT_BITS != 0) ? SHIFT_BITS : 1;
  localparam integer DSTS_W  = N_DST * DST_W;
  localparam integer LATE_W  = ROW_W + DRAIN_W + DSTS_W;

  integer i;
  genvar  gi;

  // ---------------------------------------------------------------- fields of the job
  localparam integer TAIL_W = DRAIN_W + DSTS_W + 9;

  wire [LATE_W+20:0] next_word;
  reg [LATE_W+8:0]   own_q;
  reg [TAIL_W-1:0]   tail_q;
  reg [4:0]          renew_q;
  always @(posedge clk) begin
    renew_q <= {renew_q[3:0], xfer_first};
    if (xfer_first) own_q <= next_word[LATE_W+8:0];
    if (renew_q[4]) tail_q <= own_q[LATE_W+8:ROW_W];
    if (rst) renew_q <= 5'd0;
  end
  wire [DSTS_W-1:0] tail_dst = tail_q[DRAIN_W +: DSTS_W];
  wire              turn_last;
  assign step_job      = tail_q[DRAIN_W+DSTS_W +: 8];
  assign step_job_last = turn_last && tail_q[DRAIN_W+DSTS_W+8];

  wire       words_s_ready;
  wire       words_m_valid;
  wire [2:0] words_count;
  nba_fifo #(
    .W    (LATE_W + 21),
    .DEPTH(4)
  ) u_words (
    .clk    (clk),
    .rst    (rst),
    .s_data ({s_rows, s_closes, s_job, s_dst, s_drain, s_row}),
    .s_valid(s_start_pulse),
    .s_ready(words_s_ready),
    .m_data (next_word),
    .m_valid(words_m_valid),
    .m_ready(xfer_first),
    .count  (words_count)
  );

  wire [12:0]       o_m_last;
  wire [11:0]       o_g_last;
  wire [1:0]        o_degree;
  wire [15:0]       o_p_base;
  wire              o_res_en;
  wire [3:0]        o_res_sel;
  wire [12:0]       o_res_words;
  wire [15:0]       o_res_mult;
  wire              o_res_signed;
  wire [47:0]       o_round;
  wire [5:0]        o_shift;
  wire [C_BITS:0]   o_zero;
  wire [C_BITS:0]   o_min;
  wire [C_BITS:0]   o_max;
  wire [5:0]        early_shift;
  wire [C_BITS:0]   early_zero;
  wire [C_BITS:0]   early_min;
  wire [C_BITS:0]   early_max;
  wire [12:0]       late_res_words;
  wire [15:0]       late_res_mult;
  wire              late_res_signed;
  wire [47:0]       late_round;
  nba_word_row u_word_row (
    .s_word      (own_q[ROW_W-1:0]),
    .cfg_m_last  (o_m_last),
    .cfg_g_last  (o_g_last),
    .cfg_degree  (o_degree),
    .cfg_p_base  (o_p_base),
    .cfg_res_en  (o_res_en),
    .cfg_res_sel (o_res_sel),
    .cfg_res_ring(res_read_ring)
  );
  nba_word_drain #(
    .C_BITS(C_BITS)
  ) u_word_drain (
    .s_word        (own_q[ROW_W +: DRAIN_W]),
    .cfg_res_words (o_res_words),
    .cfg_res_mult  (o_res_mult),
    .cfg_res_signed(o_res_signed),
    .cfg_round     (o_round),
    .cfg_shift     (early_shift),
    .cfg_zero      (early_zero),
    .cfg_min       (early_min),
    .cfg_max       (early_max)
  );
  nba_word_drain #(
    .C_BITS(C_BITS)
  ) u_word_tail (
    .s_word        (tail_q[DRAIN_W-1:0]),
    .cfg_res_words (late_res_words),
    .cfg_res_mult  (late_res_mult),
    .cfg_res_signed(late_res_signed),
    .cfg_round     (late_round),
    .cfg_shift     (o_shift),
    .cfg_zero      (o_zero),
    .cfg_min       (o_min),
    .cfg_max       (o_max)
  );
  generate
    for (gi = 0; gi < N_DST; gi = gi + 1) begin : g_dst
      wire [WIDE:0]   split;
      wire [2+WIDE:0] split_long = {2'b00, split};
      wire            unused     = &{1'b0, split_long};
      assign step_split[gi*2 +: 2] = split_long[1:0];
      nba_word_dst #(
        .WIDE(WIDE)
      ) u_word_dst (
        .s_word          (tail_dst[gi*DST_W +: DST_W]),
        .cfg_en          (step_en[gi]),
        .cfg_ring        (step_ring[gi*6 +: 6]),
        .cfg_words       (step_words[gi*13 +: 13]),
        .cfg_split       (split),
        .cfg_class_words (step_class_words[gi*16 +: 16])
      );
    end
  endgenerate

  // Of the job that comes next, what the drain counts is looked at when its first group comes.
  wire [11:0]       next_rows = next_word[LATE_W+9 +: 12];
  wire [12:0]       next_m_last;
  wire [11:0]       next_g_last;
  wire [1:0]        next_degree;
  wire [15:0]       next_p_base;
  wire              next_res_en;
  wire [3:0]        next_res_sel;
  wire [5:0]        next_res_ring;
  nba_word_row u_word_next (
    .s_word      (next_word[ROW_W-1:0]),
    .cfg_m_last  (next_m_last),
    .cfg_g_last  (next_g_last),
    .cfg_degree  (next_degree),
    .cfg_p_base  (next_p_base),
    .cfg_res_en  (next_res_en),
    .cfg_res_sel (next_res_sel),
    .cfg_res_ring(next_res_ring)
  );
  wire [12:0]       next_res_words;
  wire [15:0]       next_res_mult;
  wire              next_res_signed;
  wire [47:0]       next_round;
  wire [5:0]        next_shift;
  wire [C_BITS:0]   next_zero;
  wire [C_BITS:0]   next_min;
  wire [C_BITS:0]   next_max;
  nba_word_drain #(
    .C_BITS(C_BITS)
  ) u_word_drain_next (
    .s_word        (next_word[ROW_W +: DRAIN_W]),
    .cfg_res_words (next_res_words),
    .cfg_res_mult  (next_res_mult),
    .cfg_res_signed(next_res_signed),
    .cfg_round     (next_round),
    .cfg_shift     (next_shift),
    .cfg_zero      (next_zero),
    .cfg_min       (next_min),
    .cfg_max       (next_max)
  );
  wire unused = &{1'b0, next_degree, res_pos, next_res_en, next_res_sel, next_res_ring, words_s_ready,
                  words_m_valid, words_count, early_zero, early_min, early_max, late_res_words,
                  late_res_mult, late_res_signed, late_round, next_res_mult, next_res_signed, next_round,
                  next_shift, next_zero, next_min, next_max};

  // ---------------------------------------------------------------- drain
  wire [15:0]               param_addr;
  wire [15:0]               res_off;
  wire                      res_row;
  wire                      res_here;
  wire [2:0]                res_pos;
  wire [PQ*PP*ACC_BITS-1:0] lanes;
  nba_drain #(
    .PM      (PM),
    .SHARE   (SHARE),
    .PQ      (PQ),
    .PP      (PP),
    .BANKS   (BANKS),
    .DEGREE  (DEGREE),
    .ACC_BITS(ACC_BITS),
    .P_AW    (P_AW),
    .AW      (AW)
  ) u_drain (
    .clk            (clk),
    .rst            (rst),
    .xfer           (xfer),
    .xfer_first     (xfer_first),
    .s_acc          (s_acc),
    .cfg_degree     (o_degree),
    .load_m_last    (next_m_last),
    .load_g_last    (next_g_last),
    .load_rows      (next_rows),
    .load_p_base    (next_p_base),
    .load_res_words (next_res_words),
    .cfg_m_last     (o_m_last),
    .cfg_g_last     (o_g_last),
    .cfg_p_base     (o_p_base),
    .cfg_res_en     (o_res_en),
    .d_param_addr   (param_addr),
    .d_res_off      (res_off),
    .cfg_res_words  (o_res_words),
    .d_res_row_pulse(res_row),
    .m_res_ok       (res_here),
    .m_res_pos      (res_pos),
    .m_acc          (lanes),
    .m_valid        (step_valid),
    .m_again        (step_again),
    .m_group_last   (step_group_last),
    .m_col_last     (step_col_last),
    .m_row_last     (step_row_last),
    .m_turn_last    (turn_last)
  );

  // ---------------------------------------------------------------- residual operand, parameters
  // The columns of the step, of all banks.
  wire [N_RES*RES_W-1:0] res_banks;
  generate
    for (gi = 0; gi < N_RES; gi = gi + 1) begin : g_res_banks
      if (BANKS > PP) begin : g_choose
        wire [BANKS*PQ*C_BITS-1:0] word;
        assign word = res_data[gi*BANKS*PQ*C_BITS +: BANKS*PQ*C_BITS];
        assign res_banks[gi*RES_W +: RES_W] = word[res_pos*RES_W +: RES_W];
      end else begin : g_all
        assign res_banks[gi*RES_W +: RES_W] = res_data[gi*RES_W +: RES_W];
      end
    end
  endgenerate
  // One cycle later than own_q is early enough, and spares the way from the FIFO's memory to all multipliers.
  reg [15:0]      res_mult_q;
  always @(posedge clk) res_mult_q <= o_res_mult;
  reg [15:0]      res_row_sel;
  reg [RES_W-1:0] res_word;
  always @* begin
    res_row_sel = 16'd0;
    res_word    = {RES_W{1'b0}};
    for (i = 0; i < N_RES; i = i + 1) begin
      if (o_res_sel == i[3:0]) begin
        res_row_sel = res_row_addr[i*16 +: 16];
        if (res_here) res_word = res_banks[i*RES_W +: RES_W];
      end
    end
  end
  reg [AW-1:0]   res_addr_q;
  reg [P_AW-1:0] param_addr_q;
  wire [16:0]    res_addr_long   = {{(17-AW){1'b0}}, res_addr_q};
  wire [16:0]    param_addr_long = {{(17-P_AW){1'b0}}, param_addr_q};
  always @(posedge clk) begin
    res_addr_q   <= res_row_sel[AW-1:0] + res_off[AW-1:0];
    param_addr_q <= param_addr[P_AW-1:0];
  end
  assign res_addr = res_addr_long[15:0];
  wire unused_addr = &{1'b0, res_row_sel, res_off, param_addr, res_addr_long, param_addr_long};
  generate
    for (gi = 0; gi < N_RES; gi = gi + 1) begin : g_res_next
      localparam [31:0] ID = gi;
      assign res_next_pulse[gi] = res_row && o_res_sel == ID[3:0];
    end
  endgenerate

  wire [PARAM_W-1:0]     param;
  wire [PQ*ACC_BITS-1:0] bias;
  wire [PQ*16-1:0]       mult;
  wire [PQ*SHIFT_W-1:0]  more;
  nba_rom #(
    .WIDTH(PARAM_W),
    .DEPTH(P_DEPTH),
    .AW   (16),
    .FILE (PARAM_FILE),
    .BLOCK(P_BLOCK),
    .OUT_REG(1)
  ) u_params (
    .clk (clk),
    .addr(param_addr_long[15:0]),
    .data(param)
  );
  nba_word_param #(
    .PQ      (PQ),
    .ACC_BITS(ACC_BITS)
  ) u_word_param (
    .s_word  (param[PQ*(ACC_BITS+16)-1:0]),
    .cfg_bias(bias),
    .cfg_mult(mult)
  );
  generate
    if (SHIFT_BITS != 0) begin : g_shifts
      nba_word_shift #(
        .PQ        (PQ),
        .SHIFT_BITS(SHIFT_BITS)
      ) u_word_shift (
        .s_word   (param[PARAM_W-1:PQ*(ACC_BITS+16)]),
        .cfg_shift(more)
      );
    end else begin : g_one_shift
      assign more = {PQ*SHIFT_W{1'b0}};
    end
  endgenerate

  nba_requant #(
    .PQ      (PQ),
    .PP      (PP),
    .C_BITS  (C_BITS),
    .ACC_BITS(ACC_BITS),
    .HAS_RES (HAS_RES),
    .SHIFT_BITS(SHIFT_BITS),
    .SHIFT_LEAST(SHIFT_LEAST),
    .SHIFT_MOST(SHIFT_MOST),
    .MUL_LUT (MUL_LUT)
  ) u_requant (
    .clk         (clk),
    .s_acc       (lanes),
    .s_bias      (bias),
    .s_mult      (mult),
    .s_shift     (more),
    .s_res       (res_word),
    .c_res_mult  (res_mult_q),
    .c_res_signed(o_res_signed),
    .c_round     (o_round),
    .c_least     (early_shift),
    .c_shift     (o_shift),
    .c_zero      (o_zero),
    .c_min       (o_min),
    .c_max       (o_max),
    .m_code      (step_data)
  );
endmodule
`default_nettype wire
