// SPDX-License-Identifier: Apache-2.0
// nba_chunk: a sub-accelerator: sequencer, MAC array, weight and parameter memories, drain and requantiser,
// executing the program in PROGRAM_FILE job by job, row by row (docs/template.md: cycles, pipeline of a chunk).
// Throughput: one step (PM x PN x PP or PM x PP MACs) per cycle. Every latency is a constant of the template.
// DEPTHWISE 0/1; PM, PN (1 if depthwise), PP 1/2/4/8, PQ | PM; C_BITS 8, 16 (codes);
// A_BITS, W_BITS, W_STORE 2..8, 16; ACC_BITS 3..46. N_SRC, N_RES, N_DST 1..15 edges (unused ones: 0);
// N_JOBS 1..128; N_MODES 1..16 sets of jobs and parameters, of which cfg_mode (stable while busy) chooses one.
// Depths in words; *_BLOCK: block RAM.
// Program word, low bits first: issue fields, drain fields, then per destination; see the assigns below and
// nba/emit/program_rom.py. Weight word: weight (m, n) at (m*PN+n)*W_STORE. Parameter word: PQ biases of
// ACC_BITS bits, then PQ multipliers of 16 bits. Program address: mode, then job number in the fewest bits that
// hold it (at least one) where there are several modes. Codes: channel m of column p is number p*PQ+m.
// Reset (or a batch's start after it) begins with empty rings. Files are bare names resolved by the runner.
`default_nettype none
module nba_chunk #(
  parameter integer DEPTHWISE   = 0,
  parameter integer PM          = 2,
  parameter integer PN          = 2,
  parameter integer PP          = 1,
  parameter integer PQ          = 1,
  parameter integer C_BITS      = 8,
  parameter integer A_BITS      = 8,
  parameter integer A_NEST      = 0,
  parameter integer W_BITS      = 8,
  parameter integer W_STORE     = 8,
  parameter integer W_NEST      = 0,
  parameter integer ACC_BITS    = 24,
  parameter integer HAS_RES     = 0,
  parameter integer N_SRC       = 1,
  parameter integer N_RES       = 1,
  parameter integer N_DST       = 1,
  parameter integer N_JOBS      = 1,
  parameter integer N_MODES     = 1,
  parameter integer MAX_STAGE   = 0,
  parameter integer W_DEPTH     = 4,
  parameter integer W_BLOCK     = 0,
  parameter integer P_DEPTH     = 4,
  parameter integer P_BLOCK     = 0,
  parameter         PROGRAM_FILE = "program.mem",
  parameter         WEIGHT_FILE  = "weights.mem",
  parameter         PARAM_FILE   = "params.mem"
) (
  input  wire                                          clk,
  input  wire                                          rst,
  // input edges
  input  wire [N_SRC-1:0]                              src_avail,
  input  wire [N_SRC*16-1:0]                           src_row_off,
  input  wire [N_SRC*PP*((DEPTHWISE != 0) ? PM : PN)*C_BITS-1:0] src_data,
  output wire [5:0]                                    src_ring,
  output wire [15:0]                                   src_need,
  output wire [N_SRC-1:0]                              src_hold_pulse,
  output wire [15:0]                                   src_hold_rows,
  output wire                                          src_next_last,
  output wire [PP*16-1:0]                              src_addr,
  output wire [N_SRC-1:0]                              src_release_pulse,
  output wire [15:0]                                   src_release_rows,
  // residual edges
  input  wire [N_RES-1:0]                              res_avail,
  input  wire [N_RES*16-1:0]                           res_row_addr,
  input  wire [N_RES*PP*PQ*C_BITS-1:0]                 res_data,
  output wire [5:0]                                    res_ring,
  output wire [N_RES-1:0]                              res_hold_pulse,
  output wire [5:0]                                    res_read_ring,
  output wire [N_RES-1:0]                              res_next_pulse,
  output wire [15:0]                                   res_addr,
  // output edges: decision, then steps for their writers
  input  wire [N_DST-1:0]                              dst_free,
  output wire [N_DST*6-1:0]                            dst_ring,
  output wire [N_DST-1:0]                              dst_start_pulse,
  output wire                                          step_valid,
  output wire [PP*PQ*C_BITS-1:0]                       step_data,
  output wire                                          step_col_last,
  output wire                                          step_row_last,
  output wire [N_DST-1:0]                              step_en,
  output wire [N_DST*6-1:0]                            step_ring,
  output wire [N_DST*12-1:0]                           step_words,
  output wire [N_DST-1:0]                              step_split,
  output wire [N_DST*16-1:0]                           step_parity_words,
  // control, counters
  input  wire                                          start_pulse,
  input  wire [31:0]                                   cfg_frames,
  input  wire [3:0]                                    cfg_mode,
  input  wire [31:0]                                   cfg_cycle,
  input  wire [7:0]                                    cnt_job,
  input  wire                                          cnt_end,
  output wire [31:0]                                   cnt_data,
  output wire                                          stat_busy,
  output wire                                          stat_start_pulse,
  output wire [7:0]                                    stat_start_job,
  output wire                                          stat_end_pulse,
  output wire [7:0]                                    stat_end_job
);
  localparam integer LANES    = (DEPTHWISE != 0) ? PM : PN;
  localparam integer WORD_W   = PP * LANES * C_BITS;
  localparam integer RES_W    = PP * PQ * C_BITS;
  localparam integer ISSUE_W  = 255 + C_BITS;
  localparam integer DRAIN_W  = 149 + 3 * C_BITS;
  localparam integer DST_W    = 36;
  localparam integer PROG_W   = ISSUE_W + DRAIN_W + N_DST * DST_W;
  localparam integer LATE_W   = DRAIN_W + N_DST * DST_W;
  localparam integer N_W      = PM * PN;
  localparam integer PARAM_W  = PQ * (ACC_BITS + 16);
  localparam integer JOB_W    = (N_JOBS > 1) ? $clog2(N_JOBS) : 1;
  localparam integer PROG_D   = (N_MODES > 1) ? N_MODES << JOB_W : N_JOBS;
  localparam integer PROG_AW  = (N_MODES > 1) ? JOB_W + 4 : 8;

  integer i;
  genvar  gi;

  // ---------------------------------------------------------------- program
  wire [7:0]         job;
  wire [PROG_W-1:0]  word;
  wire [ISSUE_W-1:0] issue = word[ISSUE_W-1:0];
  wire [LATE_W-1:0]  late  = word[PROG_W-1:ISSUE_W];

  // The word is read in the cycle after the address: in the first of the four cycles of a fetch.
  wire [PROG_AW-1:0] prog_addr;
  generate
    if (N_MODES > 1) begin : g_modes
      assign prog_addr = {cfg_mode, job[JOB_W-1:0]};
    end else begin : g_one_mode
      wire unused = &{1'b0, cfg_mode};
      assign prog_addr = job;
    end
  endgenerate

  nba_rom #(
    .WIDTH(PROG_W),
    .DEPTH(PROG_D),
    .AW   (PROG_AW),
    .FILE (PROGRAM_FILE),
    .BLOCK(0)
  ) u_program (
    .clk (clk),
    .addr(prog_addr),
    .data(word)
  );

  wire [7:0]  f_stage;
  wire [11:0] f_height;
  wire [11:0] f_width;
  wire        f_stride2;
  wire [5:0]  f_pad_top;
  wire [5:0]  f_pad_left;
  wire [5:0]  f_kx_last;
  wire [5:0]  f_ky_last;
  wire [11:0] f_c_last;
  wire [11:0] f_slot_extra;
  wire [2:0]  f_rot0;
  wire        f_par0;
  wire [15:0] f_qoff0;
  wire [11:0] f_col_words;
  wire [15:0] f_parity_words;
  wire [15:0] f_base;
  wire [15:0] f_row_words;
  wire [15:0] f_ring_words;
  wire [11:0] f_half_words;
  wire        f_half_first;
  wire [11:0] f_m_lo_last;
  wire [11:0] f_m_hi_last;
  wire [3:0]  f_src_sel;
  wire [5:0]  f_src_ring;
  wire [3:0]  f_a_shift;
  wire        f_a_signed;
  wire [C_BITS-1:0] f_a_pad;
  wire [15:0] f_w_base;
  wire        f_w_step;
  wire [3:0]  f_w_shift;
  wire [4:0]  f_w_bits;
  assign {f_w_bits, f_w_shift, f_w_step, f_w_base, f_a_pad, f_a_signed, f_a_shift, f_src_ring,
          f_src_sel, f_m_hi_last, f_m_lo_last, f_half_first, f_half_words, f_ring_words,
          f_row_words, f_base, f_parity_words, f_col_words, f_qoff0, f_par0, f_rot0,
          f_slot_extra, f_c_last, f_ky_last, f_kx_last, f_pad_left, f_pad_top, f_stride2,
          f_width, f_height, f_stage} = issue;

  // Drain fields of the job being issued: those that the decision needs.
  wire [11:0] f_rows   = late[11:0];
  wire [11:0] f_m_last = late[23:12];
  wire [11:0] f_g_last = late[35:24];
  wire        f_res_en = late[52];
  wire [3:0]  f_res_sel = late[56:53];
  assign res_ring = late[62:57];

  // ---------------------------------------------------------------- decision
  wire        walk_run;
  wire        walk_last;
  wire        go;
  wire        go_first;
  wire [12:0] go_top;
  wire        release_row;
  wire        seq_busy;
  wire        start_row;
  wire [N_DST-1:0] dst_en;
  reg         src_ok;
  reg         res_ok;
  reg [15:0]  row_off;
  always @* begin
    src_ok  = 1'b0;
    row_off = 16'd0;
    for (i = 0; i < N_SRC; i = i + 1) begin
      if (f_src_sel == i[3:0]) begin
        src_ok  = src_avail[i];
        row_off = src_row_off[i*16 +: 16];
      end
    end
    res_ok = !f_res_en;
    for (i = 0; i < N_RES; i = i + 1) begin
      if (f_res_en && f_res_sel == i[3:0]) res_ok = res_avail[i];
    end
  end
  wire tok_ready = src_ok && res_ok && (&(dst_free | ~dst_en));

  generate
    for (gi = 0; gi < N_SRC; gi = gi + 1) begin : g_src
      localparam [31:0] ID = gi;
      assign src_hold_pulse[gi]    = go && f_src_sel == ID[3:0];
      assign src_release_pulse[gi] = release_row && f_src_sel == ID[3:0];
    end
    for (gi = 0; gi < N_RES; gi = gi + 1) begin : g_res
      localparam [31:0] ID = gi;
      assign res_hold_pulse[gi] = go && f_res_en && f_res_sel == ID[3:0];
    end
    for (gi = 0; gi < N_DST; gi = gi + 1) begin : g_dst
      assign dst_en[gi]          = late[DRAIN_W + gi*DST_W];
      assign dst_ring[gi*6 +: 6] = late[DRAIN_W + gi*DST_W + 1 +: 6];
      assign dst_start_pulse[gi] = go && dst_en[gi];
    end
  endgenerate

  nba_seq #(
    .N_JOBS   (N_JOBS),
    .MAX_STAGE(MAX_STAGE)
  ) u_seq (
    .clk             (clk),
    .rst             (rst),
    .start_pulse     (start_pulse),
    .cfg_frames      (cfg_frames),
    .job             (job),
    .cfg_stage       (f_stage),
    .cfg_rows        (f_rows),
    .cfg_height      (f_height),
    .cfg_stride2     (f_stride2),
    .cfg_pad_top     (f_pad_top),
    .cfg_ky_last     (f_ky_last),
    .tok_ready       (tok_ready),
    .walk_run        (walk_run),
    .walk_last       (walk_last),
    .need_rows       (src_need),
    .go_pulse        (go),
    .go_first        (go_first),
    .go_last         (src_next_last),
    .go_rows         (src_hold_rows),
    .go_top          (go_top),
    .release_pulse   (release_row),
    .release_rows    (src_release_rows),
    .stat_busy       (seq_busy),
    .stat_start_pulse(start_row)
  );
  assign src_ring = f_src_ring;

  // ---------------------------------------------------------------- row walk (i, i+1)
  wire [15:0]   w_addr;
  wire [PP-1:0] ok_q1;
  wire [3:0]    rot_q1;
  wire          valid_q1;
  wire          first_q1;
  wire          slot_end_q1;
  wire          first_slot_q1;
  nba_walk #(
    .DEPTHWISE(DEPTHWISE),
    .PP       (PP)
  ) u_walk (
    .clk             (clk),
    .rst             (rst),
    .row_go          (go),
    .row_first       (go_first),
    .row_off         (row_off),
    .row_top         (go_top),
    .walk_run        (walk_run),
    .walk_last       (walk_last),
    .cfg_c_last      (f_c_last),
    .cfg_kx_last     (f_kx_last),
    .cfg_ky_last     (f_ky_last),
    .cfg_m_last      (f_m_last),
    .cfg_half_words  (f_half_words),
    .cfg_half_first  (f_half_first),
    .cfg_m_lo_last   (f_m_lo_last),
    .cfg_m_hi_last   (f_m_hi_last),
    .cfg_g_last      (f_g_last),
    .cfg_slot_extra  (f_slot_extra),
    .cfg_width       (f_width),
    .cfg_height      (f_height),
    .cfg_stride2     (f_stride2),
    .cfg_pad_left    (f_pad_left),
    .cfg_rot0        (f_rot0),
    .cfg_par0        (f_par0),
    .cfg_qoff0       (f_qoff0),
    .cfg_col_words   (f_col_words),
    .cfg_parity_words(f_parity_words),
    .cfg_base        (f_base),
    .cfg_row_words   (f_row_words),
    .cfg_ring_words  (f_ring_words),
    .cfg_w_base      (f_w_base),
    .cfg_w_step      (f_w_step),
    .m_addr          (src_addr),
    .m_w_addr        (w_addr),
    .m_ok            (ok_q1),
    .m_rot           (rot_q1),
    .m_valid         (valid_q1),
    .m_first         (first_q1),
    .m_slot_end      (slot_end_q1),
    .m_first_slot    (first_slot_q1)
  );

  // Side information of a step, i+1 -> i+2 -> i+3; the job may change while its last steps are under way.
  reg [3:0]    sel_q1;
  reg [C_BITS+4:0] nest_a_q1;
  reg [8:0]    nest_w_q1;
  reg [3:0]    sel_q2;
  reg [C_BITS+4:0] nest_a_q2;
  reg [8:0]    nest_w_q2;
  reg [PP-1:0] ok_q2;
  reg [3:0]    rot_q2;
  reg [1:0]    valid_q;
  reg [1:0]    first_q;
  always @(posedge clk) begin
    sel_q1    <= f_src_sel;
    nest_a_q1 <= {f_a_pad, f_a_signed, f_a_shift};
    nest_w_q1 <= {f_w_bits, f_w_shift};
    sel_q2    <= sel_q1;
    nest_a_q2 <= nest_a_q1;
    nest_w_q2 <= nest_w_q1;
    ok_q2     <= ok_q1;
    rot_q2    <= rot_q1;
    valid_q   <= {valid_q[0], valid_q1};
    first_q   <= {first_q[0], first_q1};
    if (rst) valid_q <= 2'd0;
  end

  // Slot ends travel from i+1 (for e) to the transfer in e+6.
  reg [4:0] xfer_q;
  reg [4:0] xfer_first_q;
  always @(posedge clk) begin
    xfer_q       <= {xfer_q[3:0], slot_end_q1};
    xfer_first_q <= {xfer_first_q[3:0], first_slot_q1};
    if (rst) xfer_q <= 5'd0;
  end
  wire xfer       = xfer_q[4];
  wire xfer_first = xfer_q[4] && xfer_first_q[4];

  // ---------------------------------------------------------------- operands (i+2 -> i+3)
  reg [WORD_W-1:0] src_word;
  always @* begin
    src_word = {WORD_W{1'b0}};
    for (i = 0; i < N_SRC; i = i + 1) begin
      if (sel_q2 == i[3:0]) src_word = src_data[i*WORD_W +: WORD_W];
    end
  end

  wire [PP*LANES*(A_BITS+1)-1:0] op_a;
  nba_align #(
    .PP    (PP),
    .LANES (LANES),
    .C_BITS(C_BITS),
    .A_BITS(A_BITS),
    .NEST  (A_NEST)
  ) u_align (
    .clk     (clk),
    .s_data  (src_word),
    .s_rot   (rot_q2),
    .s_ok    (ok_q2),
    .s_pad   (nest_a_q2[C_BITS+4:5]),
    .s_signed(nest_a_q2[4]),
    .s_shift (nest_a_q2[3:0]),
    .m_data  (op_a)
  );

  wire [N_W*W_STORE-1:0] w_word;
  nba_rom #(
    .WIDTH(N_W * W_STORE),
    .DEPTH(W_DEPTH),
    .AW   (16),
    .FILE (WEIGHT_FILE),
    .BLOCK(W_BLOCK)
  ) u_weights (
    .clk (clk),
    .addr(w_addr),
    .data(w_word)
  );

  wire [N_W*W_BITS-1:0] op_w;
  nba_wnest #(
    .N         (N_W),
    .STORE_BITS(W_STORE),
    .W_BITS    (W_BITS),
    .NEST      (W_NEST)
  ) u_wnest (
    .clk    (clk),
    .s_data (w_word),
    .s_shift(nest_w_q2[3:0]),
    .s_bits (nest_w_q2[8:4]),
    .m_data (op_w)
  );

  // ---------------------------------------------------------------- MAC array (i+3 .. i+6)
  wire [PM*PP*ACC_BITS-1:0] acc;
  nba_array #(
    .DEPTHWISE(DEPTHWISE),
    .PM       (PM),
    .PN       (PN),
    .PP       (PP),
    .A_BITS   (A_BITS),
    .W_BITS   (W_BITS),
    .ACC_BITS (ACC_BITS)
  ) u_array (
    .clk    (clk),
    .rst    (rst),
    .s_a    (op_a),
    .s_w    (op_w),
    .s_valid(valid_q[1]),
    .s_first(first_q[1]),
    .m_acc  (acc)
  );

  // ---------------------------------------------------------------- drain and requantise
  // The drain works on a job while the next one is being fetched, so it has its own copy of the job's fields:
  // taken when the job starts, in force from its first group on.
  reg [LATE_W+7:0] next_q;
  reg [LATE_W+7:0] own_q;
  always @(posedge clk) begin
    if (start_row) next_q <= {job, late};
    if (xfer_first) own_q <= next_q;
  end

  wire [11:0] o_rows;
  wire [11:0] o_m_last;
  wire [11:0] o_g_last;
  wire [15:0] o_p_base;
  wire        o_res_en;
  wire [3:0]  o_res_sel;
  wire [11:0] o_res_words;
  wire [15:0] o_res_mult;
  wire        o_res_signed;
  wire [47:0] o_round;
  wire [5:0]  o_shift;
  wire [C_BITS:0] o_zero;
  wire [C_BITS:0] o_min;
  wire [C_BITS:0] o_max;
  wire [7:0]  o_job = own_q[LATE_W +: 8];
  assign {o_max, o_min, o_zero, o_shift, o_round, o_res_signed, o_res_mult, o_res_words,
          res_read_ring, o_res_sel, o_res_en, o_p_base, o_g_last, o_m_last, o_rows}
       = own_q[DRAIN_W-1:0];

  wire [15:0]               param_addr;
  wire [15:0]               res_off;
  wire                      res_row;
  wire                      res_here;
  wire [PQ*PP*ACC_BITS-1:0] lanes;
  wire                      code_valid;
  wire                      code_col_last;
  wire                      code_row_last;
  wire                      code_job_last;
  nba_drain #(
    .PM      (PM),
    .PQ      (PQ),
    .PP      (PP),
    .ACC_BITS(ACC_BITS)
  ) u_drain (
    .clk            (clk),
    .rst            (rst),
    .xfer           (xfer),
    .xfer_first     (xfer_first),
    .s_acc          (acc),
    .cfg_m_last     (o_m_last),
    .cfg_g_last     (o_g_last),
    .cfg_rows       (o_rows),
    .load_p_base    (next_q[51:36]),
    .cfg_p_base     (o_p_base),
    .cfg_res_en     (o_res_en),
    .d_param_addr   (param_addr),
    .d_res_off      (res_off),
    .cfg_res_words  (o_res_words),
    .d_res_row_pulse(res_row),
    .m_res_ok       (res_here),
    .m_acc          (lanes),
    .m_valid        (code_valid),
    .m_col_last     (code_col_last),
    .m_row_last     (code_row_last),
    .m_job_last     (code_job_last)
  );

  reg [15:0]      res_row_sel;
  reg [RES_W-1:0] res_word;
  always @* begin
    res_row_sel = 16'd0;
    res_word    = {RES_W{1'b0}};
    for (i = 0; i < N_RES; i = i + 1) begin
      if (o_res_sel == i[3:0]) begin
        res_row_sel = res_row_addr[i*16 +: 16];
        if (res_here) res_word = res_data[i*RES_W +: RES_W];
      end
    end
  end
  assign res_addr = res_row_sel + res_off;
  generate
    for (gi = 0; gi < N_RES; gi = gi + 1) begin : g_res_next
      localparam [31:0] ID = gi;
      assign res_next_pulse[gi] = res_row && o_res_sel == ID[3:0];
    end
  endgenerate

  wire [PARAM_W-1:0] param;
  nba_rom #(
    .WIDTH(PARAM_W),
    .DEPTH(P_DEPTH),
    .AW   (16),
    .FILE (PARAM_FILE),
    .BLOCK(P_BLOCK)
  ) u_params (
    .clk (clk),
    .addr(param_addr),
    .data(param)
  );

  nba_requant #(
    .PQ      (PQ),
    .PP      (PP),
    .C_BITS  (C_BITS),
    .ACC_BITS(ACC_BITS),
    .HAS_RES (HAS_RES)
  ) u_requant (
    .clk         (clk),
    .s_acc       (lanes),
    .s_bias      (param[PQ*ACC_BITS-1:0]),
    .s_mult      (param[PARAM_W-1:PQ*ACC_BITS]),
    .s_res       (res_word),
    .c_res_mult  (o_res_mult),
    .c_res_signed(o_res_signed),
    .c_round     (o_round),
    .c_shift     (o_shift),
    .c_zero      (o_zero),
    .c_min       (o_min),
    .c_max       (o_max),
    .m_code      (step_data)
  );

  assign step_valid    = code_valid;
  assign step_col_last = code_col_last;
  assign step_row_last = code_row_last;
  generate
    for (gi = 0; gi < N_DST; gi = gi + 1) begin : g_step
      assign step_en[gi]                    = own_q[DRAIN_W + gi*DST_W];
      assign step_ring[gi*6 +: 6]           = own_q[DRAIN_W + gi*DST_W + 1 +: 6];
      assign step_words[gi*12 +: 12]        = own_q[DRAIN_W + gi*DST_W + 7 +: 12];
      assign step_split[gi]                 = own_q[DRAIN_W + gi*DST_W + 19];
      assign step_parity_words[gi*16 +: 16] = own_q[DRAIN_W + gi*DST_W + 20 +: 16];
    end
  endgenerate

  // Rows between their decision and their last memory write: at most 8, as a row takes at least as long as its drain,
  // and at least two cycles.
  reg [3:0] rows_q;
  wire      row_done = code_valid && code_row_last;
  always @(posedge clk) begin
    if (go && !row_done) rows_q <= rows_q + 4'd1;
    if (row_done && !go) rows_q <= rows_q - 4'd1;
    if (rst) rows_q <= 4'd0;
  end
  assign stat_busy = seq_busy || rows_q != 4'd0;

  // ---------------------------------------------------------------- cycle counters of every job
  reg       end_q;
  reg [7:0] end_job_q;
  always @(posedge clk) begin
    end_q     <= code_valid && code_job_last && !rst;
    end_job_q <= o_job;
  end
  assign stat_start_pulse = start_row;
  assign stat_start_job   = job;
  assign stat_end_pulse   = end_q;
  assign stat_end_job     = end_job_q;

  wire [31:0] cnt_start_data;
  wire [31:0] cnt_end_data;
  nba_ram #(
    .WIDTH(32),
    .DEPTH(N_JOBS),
    .AW   (8),
    .SUB_W(32),
    .BLOCK(0)
  ) u_cnt_start (
    .clk   (clk),
    .w_en  (start_row),
    .w_addr(job),
    .w_data(cfg_cycle),
    .r_addr(cnt_job),
    .r_data(cnt_start_data)
  );
  nba_ram #(
    .WIDTH(32),
    .DEPTH(N_JOBS),
    .AW   (8),
    .SUB_W(32),
    .BLOCK(0)
  ) u_cnt_end (
    .clk   (clk),
    .w_en  (end_q),
    .w_addr(end_job_q),
    .w_data(cfg_cycle),
    .r_addr(cnt_job),
    .r_data(cnt_end_data)
  );
  assign cnt_data = cnt_end ? cnt_end_data : cnt_start_data;
endmodule
`default_nettype wire
