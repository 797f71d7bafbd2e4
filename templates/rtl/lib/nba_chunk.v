// SPDX-License-Identifier: Apache-2.0
// nba_chunk: a sub-accelerator, executing the turns in TURN_FILE row by row, each of a job in PROGRAM_FILE: the wiring of its
// datapath (docs/template.md: block diagram, cycles, pipeline of a chunk).
// Throughput: one step (PM x PN x PP or PM x PP MACs; packed, up to DEGREE times as many) per cycle. Every latency is a constant of the template.
// PER_CHANNEL: 1 if an output channel sees its own input channel alone (PN = 1). PM, PN, PP 1..16, PQ | PM;
// SPREAD as nba_operands. BANKS, a multiple of PP, at most 16: of the edges; WIDE: 1 if they are more than 8, or any stride is above 2, else 0;
// DEGREE 1..BANKS/PP: a job of degree 2^cfg works on so many times PP columns
// (PACK only; A_BITS, W_BITS <= 8, and 8 / 2^cfg of that job).
// C_BITS 8, 16 (codes); A_BITS, W_BITS, W_STORE 2..8, 16; ACC_BITS 3..46. N_SRC, N_RES, N_DST 1..15 edges (unused
// ones: 0); N_JOBS 1..128; N_MODES 1..16 sets of jobs and parameters, of which cfg_mode (stable while busy) chooses
// one. HAS_RES, HAS_MAX: 1 if any job has a residual operand, or takes the largest product of a window (PER_CHANNEL).
// PACK: 1 if two output channels share a multiplier (not PER_CHANNEL; A_BITS, W_BITS <= 8). CHAIN: 1 if two inputs are
// added in a chain of two multipliers (nba_array, with its limits; no job packs columns). PRODUCT_LUT (PER_CHANNEL),
// REQUANT_LUT: 1 if the products, those of the requantisers, are made of adders instead of DSP blocks.
// SLICED: 1 if any job is computed slice after slice (docs/template.md): its parameters then begin with its slice's.
// SLOT_WORDS, SLOTS, BUS, ext_*: weights from external memory (nba_operands); SLOT_WORDS 0: none.
// SHIFT_BITS 0..6: of a channel's shift in the parameter word, 0: all channels have their job's;
// SHIFT_LEAST, SHIFT_MOST: of any job and channel (nba_requant).
// PAD_DEPTH, PAD_TABLE: pad codes per channel, 0: none (nba_operands).
// AW 4..16: bits of an address of the edges. Depths in words; *_BLOCK: block RAM (W_BLOCK 2: nba_store).
// Program word, low bits first: issue, row, drain, then dst per output edge; parameter word: see docs/template.md
// (nba_word_*). Weight word: weight (m, n) at (m*PN+n)*W_STORE. Codes: channel m of column p is number p*PQ+m.
// Reset (or a batch's start after it) begins with empty rings. Files are bare names resolved by the runner.
`default_nettype none
module nba_chunk #(
  parameter integer PER_CHANNEL = 0,
  parameter integer PM          = 2,
  parameter integer PN          = 2,
  parameter integer PP          = 1,
  parameter integer BANKS       = PP,
  parameter integer DEGREE      = 1,
  parameter integer SPREAD      = (PER_CHANNEL == 0 && BANKS > PP) ? 1 : 0,
  parameter integer WIDE        = 0,
  parameter integer PQ          = 1,
  parameter integer C_BITS      = 8,
  parameter integer A_BITS      = 8,
  parameter integer A_NEST      = 0,
  parameter integer W_BITS      = 8,
  parameter integer W_STORE     = 8,
  parameter integer W_NEST      = 0,
  parameter integer ACC_BITS    = 24,
  parameter integer PACK        = 0,
  parameter integer CHAIN       = 0,
  parameter integer PRODUCT_LUT = 0,
  parameter integer REQUANT_LUT = 0,
  parameter integer HAS_RES     = 0,
  parameter integer HAS_MAX     = 0,
  parameter integer N_SRC       = 1,
  parameter integer N_RES       = 1,
  parameter integer N_DST       = 1,
  parameter integer N_JOBS      = 1,
  parameter integer N_TURNS     = 1,
  parameter integer N_MODES     = 1,
  parameter integer MAX_STAGE   = 0,
  parameter integer SLICED      = 0,
  parameter integer SLOT_WORDS  = 0,
  parameter integer SLOTS       = 2,
  parameter integer BUS         = 32,
  parameter integer W_DEPTH     = 4,
  parameter integer W_BLOCK     = 0,
  parameter integer P_DEPTH     = 4,
  parameter integer P_BLOCK     = 0,
  parameter         TURN_FILE    = "turns.mem",
  parameter         PROGRAM_FILE = "program.mem",
  parameter         WEIGHT_FILE  = "weights.mem",
  parameter         PARAM_FILE   = "params.mem",
  parameter integer AW          = 16,
  parameter integer SHIFT_BITS  = 0,
  parameter integer SHIFT_LEAST = 1,
  parameter integer SHIFT_MOST  = 47,
  parameter integer PAD_DEPTH   = 0,
  parameter integer PAD_BLOCK   = 0,
  parameter [N_JOBS*17-1:0] PAD_TABLE = {N_JOBS{17'd0}},
  parameter         PAD_FILE     = "pads.mem"
) (
  input  wire                                          clk,
  input  wire                                          rst,
  // input edges
  input  wire [N_SRC-1:0]                              src_avail,
  input  wire [N_SRC*16-1:0]                           src_row_off,
  input  wire [N_SRC*BANKS*((PER_CHANNEL != 0) ? PM : PN)*C_BITS-1:0] src_data,
  output wire [5:0]                                    src_ring,
  output wire [15:0]                                   src_need,
  output wire [N_SRC-1:0]                              src_hold_pulse,
  output wire [15:0]                                   src_hold_rows,
  output wire                                          src_next_last,
  output wire [BANKS*16-1:0]                           src_addr,
  output wire [N_SRC-1:0]                              src_release_pulse,
  output wire [15:0]                                   src_release_rows,
  // residual edges
  input  wire [N_RES-1:0]                              res_avail,
  input  wire [N_RES*16-1:0]                           res_row_addr,
  input  wire [N_RES*BANKS*PQ*C_BITS-1:0]              res_data,
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
  output wire                                          step_again,
  output wire                                          step_group_last,
  output wire                                          step_col_last,
  output wire                                          step_row_last,
  output wire [N_DST-1:0]                              step_en,
  output wire [N_DST*6-1:0]                            step_ring,
  output wire [N_DST*13-1:0]                           step_words,
  output wire [N_DST*2-1:0]                            step_split,
  output wire [N_DST*16-1:0]                           step_class_words,
  // weights from external memory
  input  wire                                          ext_take_pulse,
  output wire                                          ext_free,
  input  wire                                          ext_valid,
  input  wire [BUS-1:0]                                ext_data,
  input  wire                                          ext_last,
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
  localparam integer LANES = (PER_CHANNEL != 0) ? PM : PN;
  // generated: widths of the program word
  localparam integer ISSUE_W   = 252 + 4 * WIDE + C_BITS;
  localparam integer ROW_W     = 54;
  localparam integer DRAIN_W   = 87 + 3 * C_BITS;
  localparam integer DST_W     = 37 + WIDE;
  localparam integer TURN_W    = 76;
  localparam integer P_BASE_AT = 27;
  // end of generated
  localparam integer DSTS_W = N_DST * DST_W;
  // The sum over the lanes takes a cycle for every level of its tree, the packing of operands one.
  localparam integer XFER   = 8 + ((PN > 1) ? $clog2(PN) : 0) + SPREAD;
  localparam integer OP_W   = (DEGREE == 1) ? A_BITS + 1 : (DEGREE == 2) ? 13 : 15;
  localparam integer PROG_W = ISSUE_W + ROW_W + DRAIN_W + DSTS_W;

  wire [11:0]        turn;
  wire [TURN_W-1:0]  turn_word;
  wire [7:0]         job;
  wire [PROG_W-1:0]  word;
  wire [ROW_W-1:0]   row  = word[ISSUE_W +: ROW_W];
  wire [DSTS_W-1:0]  dsts = word[ISSUE_W+ROW_W+DRAIN_W +: DSTS_W];
  nba_program #(
    .WIDTH    (PROG_W),
    .N_JOBS   (N_JOBS),
    .N_MODES  (N_MODES),
    .TURN_W   (TURN_W),
    .N_TURNS  (N_TURNS),
    .FILE     (PROGRAM_FILE),
    .TURN_FILE(TURN_FILE)
  ) u_program (
    .clk     (clk),
    .cfg_mode(cfg_mode),
    .turn    (turn),
    .m_turn  (turn_word),
    .job     (job),
    .m_word  (word)
  );

  // ---------------------------------------------------------------- issue (i .. i+2)
  wire [3:0]        src_sel;
  wire [C_BITS-1:0] a_pad;
  wire              a_signed;
  wire [3:0]        a_shift;
  wire [3:0]        w_shift;
  wire [4:0]        w_bits;
  wire              take_max;
  wire              valid_q2;
  wire              first_q2;
  wire [15:0]       w_addr;
  wire [1:0]        degree;
  wire [12:0]       channel_word;
  wire [BANKS-1:0]  ok_q2;
  wire [3:0]        rot_q2;
  wire              xfer;
  wire              xfer_first;
  wire              row_go;
  wire              stream;
  wire              store_avail;
  wire              store_hold;
  wire              store_done;
  wire              issue_busy;
  wire              start_row;
  wire              start_turn;
  wire [11:0]       turn_rows;
  wire              turn_closes;
  wire [15:0]       turn_step;
  nba_issue #(
    .PER_CHANNEL(PER_CHANNEL),
    .PP         (PP),
    .BANKS      (BANKS),
    .DEGREE     (DEGREE),
    .WIDE       (WIDE),
    .C_BITS     (C_BITS),
    .N_SRC      (N_SRC),
    .N_RES      (N_RES),
    .N_DST      (N_DST),
    .N_TURNS    (N_TURNS),
    .MAX_STAGE  (MAX_STAGE),
    .XFER       (XFER),
    .AW         (AW),
    .ISSUE_W    (ISSUE_W),
    .ROW_W      (ROW_W),
    .DST_W      (DST_W),
    .TURN_W     (TURN_W),
    .SLICED     (SLICED)
  ) u_issue (
    .clk              (clk),
    .rst              (rst),
    .start_pulse      (start_pulse),
    .cfg_frames       (cfg_frames),
    .turn             (turn),
    .s_turn           (turn_word),
    .job              (job),
    .s_issue          (word[ISSUE_W-1:0]),
    .s_row            (row),
    .s_dst            (dsts),
    .src_avail        (src_avail),
    .src_row_off      (src_row_off),
    .src_ring         (src_ring),
    .src_need         (src_need),
    .src_hold_pulse   (src_hold_pulse),
    .src_hold_rows    (src_hold_rows),
    .src_next_last    (src_next_last),
    .src_addr         (src_addr),
    .src_release_pulse(src_release_pulse),
    .src_release_rows (src_release_rows),
    .res_avail        (res_avail),
    .res_ring         (res_ring),
    .res_hold_pulse   (res_hold_pulse),
    .dst_free         (dst_free),
    .dst_ring         (dst_ring),
    .dst_start_pulse  (dst_start_pulse),
    .store_avail      (store_avail),
    .store_hold_pulse (store_hold),
    .store_done_pulse (store_done),
    .m_stream         (stream),
    .m_sel            (src_sel),
    .m_pad            (a_pad),
    .m_signed         (a_signed),
    .m_a_shift        (a_shift),
    .m_w_shift        (w_shift),
    .m_w_bits         (w_bits),
    .m_max            (take_max),
    .m_degree         (degree),
    .m_word           (channel_word),
    .m_valid          (valid_q2),
    .m_first          (first_q2),
    .m_w_addr         (w_addr),
    .m_ok             (ok_q2),
    .m_rot            (rot_q2),
    .xfer             (xfer),
    .xfer_first       (xfer_first),
    .row_go_pulse     (row_go),
    .turn_pulse       (start_turn),
    .turn_rows        (turn_rows),
    .turn_closes      (turn_closes),
    .turn_step        (turn_step),
    .stat_busy        (issue_busy),
    .stat_start_pulse (start_row)
  );

  // ---------------------------------------------------------------- operands (i .. i+7, packed i+8), MAC array
  wire                           valid_q7;
  wire                           first_q7;
  wire                           max_q7;
  wire [1:0]                     degree_q7;
  wire [PP*LANES*OP_W-1:0]       op_a;
  wire [PM*PN*W_BITS-1:0]        op_w;
  nba_operands #(
    .PER_CHANNEL(PER_CHANNEL),
    .PM         (PM),
    .PN         (PN),
    .PP         (PP),
    .BANKS      (BANKS),
    .DEGREE     (DEGREE),
    .SPREAD     (SPREAD),
    .C_BITS     (C_BITS),
    .A_BITS     (A_BITS),
    .A_NEST     (A_NEST),
    .W_BITS     (W_BITS),
    .W_STORE    (W_STORE),
    .W_NEST     (W_NEST),
    .N_SRC      (N_SRC),
    .PACK       (PACK),
    .HAS_MAX    (HAS_MAX),
    .W_DEPTH    (W_DEPTH),
    .W_BLOCK    (W_BLOCK),
    .WEIGHT_FILE(WEIGHT_FILE),
    .SLOT_WORDS (SLOT_WORDS),
    .SLOTS      (SLOTS),
    .BUS        (BUS),
    .N_JOBS     (N_JOBS),
    .PAD_DEPTH  (PAD_DEPTH),
    .PAD_BLOCK  (PAD_BLOCK),
    .PAD_TABLE  (PAD_TABLE),
    .PAD_FILE   (PAD_FILE)
  ) u_operands (
    .clk        (clk),
    .rst        (rst),
    .cfg_sel    (src_sel),
    .cfg_pad    (a_pad),
    .cfg_signed (a_signed),
    .cfg_a_shift(a_shift),
    .cfg_w_shift(w_shift),
    .cfg_w_bits (w_bits),
    .cfg_max    (take_max),
    .cfg_degree (degree),
    .job        (job),
    .s_word     (channel_word),
    .cfg_stream (stream),
    .ext_take_pulse(ext_take_pulse),
    .ext_free   (ext_free),
    .ext_valid  (ext_valid),
    .ext_data   (ext_data),
    .ext_last   (ext_last),
    .store_avail(store_avail),
    .store_hold_pulse(store_hold),
    .store_done_pulse(store_done),
    .s_valid    (valid_q2),
    .s_first    (first_q2),
    .s_w_addr   (w_addr),
    .s_ok       (ok_q2),
    .s_rot      (rot_q2),
    .src_data   (src_data),
    .m_valid    (valid_q7),
    .m_first    (first_q7),
    .m_max      (max_q7),
    .m_degree   (degree_q7),
    .m_a        (op_a),
    .m_w        (op_w)
  );

  localparam integer SHARE = (PACK != 0) ? 2 : 1;
  wire [PP*((PM+SHARE-1)/SHARE)*SHARE*DEGREE*ACC_BITS-1:0] acc;
  nba_array #(
    .PER_CHANNEL(PER_CHANNEL),
    .PM         (PM),
    .PN         (PN),
    .PP         (PP),
    .DEGREE     (DEGREE),
    .A_BITS     (A_BITS),
    .W_BITS     (W_BITS),
    .ACC_BITS   (ACC_BITS),
    .PACK       (PACK),
    .CHAIN      (CHAIN),
    .HAS_MAX    (HAS_MAX),
    .MUL_LUT    (PRODUCT_LUT)
  ) u_array (
    .clk    (clk),
    .rst    (rst),
    .s_a    (op_a),
    .s_w    (op_w),
    .s_valid(valid_q7),
    .s_first(first_q7),
    .s_max  (max_q7),
    .s_degree(degree_q7),
    .m_acc  (acc)
  );

  // ---------------------------------------------------------------- drain and requantise (e+XFER+1 ..)
  // The row section with the first parameter of the slice: it and the turn's fields lie still long before a turn starts.
  wire [ROW_W-1:0] slice_row;
  generate
    if (SLICED != 0) begin : g_slice
      reg [15:0] p_base_q;
      always @(posedge clk) p_base_q <= row[P_BASE_AT +: 16] + turn_step;
      assign slice_row = {row[ROW_W-1:P_BASE_AT+16], p_base_q, row[P_BASE_AT-1:0]};
    end else begin : g_whole
      wire unused = &{1'b0, turn_step};
      assign slice_row = row;
    end
  endgenerate
  wire       job_last;
  wire [7:0] job_done;
  nba_results #(
    .PM        (PM),
    .SHARE     (SHARE),
    .PQ        (PQ),
    .PP        (PP),
    .BANKS     (BANKS),
    .DEGREE    (DEGREE),
    .WIDE      (WIDE),
    .C_BITS    (C_BITS),
    .ACC_BITS  (ACC_BITS),
    .HAS_RES   (HAS_RES),
    .MUL_LUT   (REQUANT_LUT),
    .N_RES     (N_RES),
    .N_DST     (N_DST),
    .P_DEPTH   (P_DEPTH),
    .P_BLOCK   (P_BLOCK),
    .PARAM_FILE(PARAM_FILE),
    .SHIFT_BITS(SHIFT_BITS),
    .SHIFT_LEAST(SHIFT_LEAST),
    .SHIFT_MOST(SHIFT_MOST),
    .AW        (AW),
    .ROW_W     (ROW_W),
    .DRAIN_W   (DRAIN_W),
    .DST_W     (DST_W)
  ) u_results (
    .clk              (clk),
    .rst              (rst),
    .s_start_pulse    (start_turn),
    .s_job            (job),
    .s_rows           (turn_rows),
    .s_closes         (turn_closes),
    .s_row            (slice_row),
    .s_drain          (word[ISSUE_W+ROW_W +: DRAIN_W]),
    .s_dst            (dsts),
    .xfer             (xfer),
    .xfer_first       (xfer_first),
    .s_acc            (acc),
    .res_row_addr     (res_row_addr),
    .res_data         (res_data),
    .res_read_ring    (res_read_ring),
    .res_next_pulse   (res_next_pulse),
    .res_addr         (res_addr),
    .step_valid       (step_valid),
    .step_data        (step_data),
    .step_again       (step_again),
    .step_group_last  (step_group_last),
    .step_col_last    (step_col_last),
    .step_row_last    (step_row_last),
    .step_job_last    (job_last),
    .step_job         (job_done),
    .step_en          (step_en),
    .step_ring        (step_ring),
    .step_words       (step_words),
    .step_split       (step_split),
    .step_class_words (step_class_words)
  );

  nba_stats #(
    .N_JOBS(N_JOBS)
  ) u_stats (
    .clk             (clk),
    .rst             (rst),
    .row_go_pulse    (row_go),
    .row_done_pulse  (step_valid && step_row_last),
    .s_busy          (issue_busy),
    .s_start_pulse   (start_row),
    .s_start_job     (job),
    .s_end_pulse     (step_valid && job_last),
    .s_end_job       (job_done),
    .cfg_cycle       (cfg_cycle),
    .cnt_job         (cnt_job),
    .cnt_end         (cnt_end),
    .cnt_data        (cnt_data),
    .stat_busy       (stat_busy),
    .stat_start_pulse(stat_start_pulse),
    .stat_start_job  (stat_start_job),
    .stat_end_pulse  (stat_end_pulse),
    .stat_end_job    (stat_end_job)
  );
endmodule
`default_nettype wire
