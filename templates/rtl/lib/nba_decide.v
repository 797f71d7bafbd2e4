// SPDX-License-Identifier: Apache-2.0
// nba_decide: decides in which cycle each output row of a chunk starts: the sequencer (nba_seq) and the tokens of
// the edges that the job reads and writes (docs/template.md, row tokens).
// A decision in cycle t (go) starts the row in t+1. Its pulses to the edges come in cycle t, the release of input
// rows in the last cycle of the row.
// N_SRC, N_RES, N_DST 1..15 edges (unused ones: 0); N_TURNS, MAX_STAGE, turn, next_*, turn_* as nba_seq.
// store_*: of the weights that come from external memory (nba_store), for jobs with cfg_stream: avail, hold as those of the
// edges; done in the last cycle of the last row of a slice.
// cfg_*: fields of the job that is issued, stable from the second fetch cycle on and until the next fetch; the flags
// of the edges answer src_need a cycle later. Rows take at least two cycles.
// Edge i of a kind is bit i, and lane i of a packed port. Reset: idle.
`default_nettype none
module nba_decide #(
  parameter integer N_SRC     = 1,
  parameter integer N_RES     = 1,
  parameter integer N_DST     = 1,
  parameter integer N_TURNS   = 2,
  parameter integer MAX_STAGE = 0
) (
  input  wire                clk,
  input  wire                rst,
  input  wire                start_pulse,
  input  wire [31:0]         cfg_frames,
  output wire [11:0]         turn,
  input  wire [7:0]          next_job,
  input  wire [7:0]          next_stage,
  input  wire [11:0]         next_rows,
  input  wire [12:0]         next_top,
  input  wire                next_opens,
  input  wire                next_ends,
  input  wire                next_closes,
  input  wire [15:0]         next_step,
  input  wire [15:0]         next_weight,
  output wire [7:0]          job,
  // job
  input  wire [11:0]         cfg_height,
  input  wire [1:0]          cfg_stride_h,
  input  wire [6:0]          cfg_ky_last,
  input  wire [3:0]          cfg_src_sel,
  input  wire                cfg_res_en,
  input  wire [3:0]          cfg_res_sel,
  input  wire [N_DST-1:0]    cfg_dst_en,
  input  wire                cfg_stream,
  // tokens
  input  wire [N_SRC-1:0]    src_avail,
  input  wire [N_SRC*16-1:0] src_row_off,
  output wire [15:0]         src_need,
  output wire [N_SRC-1:0]    src_hold_pulse,
  output wire [15:0]         src_hold_rows,
  output wire                src_next_last,
  output wire [N_SRC-1:0]    src_release_pulse,
  output wire [15:0]         src_release_rows,
  input  wire [N_RES-1:0]    res_avail,
  output wire [N_RES-1:0]    res_hold_pulse,
  input  wire [N_DST-1:0]    dst_free,
  output wire [N_DST-1:0]    dst_start_pulse,
  input  wire                store_avail,
  output wire                store_hold_pulse,
  output wire                store_done_pulse,
  // row walk
  output wire                go_pulse,
  output wire                go_first,
  output wire [12:0]         go_top,
  output wire [15:0]         go_off,
  input  wire                walk_ready,
  input  wire                walk_last,
  output wire                turn_pulse,
  output wire [11:0]         turn_rows,
  output wire                turn_closes,
  output wire [15:0]         turn_step,
  output wire [15:0]         turn_weight,
  output wire                stat_busy,
  output wire                stat_start_pulse
);
  integer i;
  genvar  gi;

  wire       go;
  wire       release_row;

  // The edges that the job uses. Its fields lie still long before its first decision.
  reg [N_SRC-1:0] src_is_q;
  reg [N_RES-1:0] res_is_q;
  reg [N_DST-1:0] dst_is_q;
  reg             stream_q;
  always @(posedge clk) dst_is_q <= cfg_dst_en;
  always @(posedge clk) stream_q <= cfg_stream;
  wire src_ok    = |(src_avail & src_is_q);
  wire res_ok    = !cfg_res_en || (|(res_avail & res_is_q));
  wire tok_ready = src_ok && res_ok && (&(dst_free | ~dst_is_q)) && (store_avail || !stream_q);

  // The last row of a slice takes its weights, and its last cycle is the last that reads them.
  reg  slice_end_q;
  always @(posedge clk) begin
    if (go) slice_end_q <= stream_q && src_next_last;
  end
  assign store_hold_pulse = go && stream_q && src_next_last;
  assign store_done_pulse = release_row && slice_end_q;

  // The ring's pointer moves with a decision, and the next decision comes two cycles later at the earliest.
  reg [15:0] row_off;
  reg [15:0] row_off_q;
  always @* begin
    row_off = 16'd0;
    for (i = 0; i < N_SRC; i = i + 1) begin
      if (src_is_q[i]) row_off = row_off | src_row_off[i*16 +: 16];
    end
  end
  always @(posedge clk) row_off_q <= row_off;

  generate
    for (gi = 0; gi < N_SRC; gi = gi + 1) begin : g_src
      localparam [31:0] ID = gi;
      always @(posedge clk) src_is_q[gi] <= cfg_src_sel == ID[3:0];
      assign src_hold_pulse[gi]    = go && src_is_q[gi];
      assign src_release_pulse[gi] = release_row && src_is_q[gi];
    end
    for (gi = 0; gi < N_RES; gi = gi + 1) begin : g_res
      localparam [31:0] ID = gi;
      always @(posedge clk) res_is_q[gi] <= cfg_res_sel == ID[3:0];
      assign res_hold_pulse[gi] = go && cfg_res_en && res_is_q[gi];
    end
    for (gi = 0; gi < N_DST; gi = gi + 1) begin : g_dst
      assign dst_start_pulse[gi] = go && dst_is_q[gi];
    end
  endgenerate
  assign go_pulse = go;
  assign go_off   = row_off_q;

  nba_seq #(
    .N_TURNS  (N_TURNS),
    .MAX_STAGE(MAX_STAGE)
  ) u_seq (
    .clk             (clk),
    .rst             (rst),
    .start_pulse     (start_pulse),
    .cfg_frames      (cfg_frames),
    .turn            (turn),
    .next_job        (next_job),
    .next_stage      (next_stage),
    .next_rows       (next_rows),
    .next_top        (next_top),
    .next_opens      (next_opens),
    .next_ends       (next_ends),
    .next_closes     (next_closes),
    .next_step       (next_step),
    .next_weight     (next_weight),
    .job             (job),
    .cfg_height      (cfg_height),
    .cfg_stride_h    (cfg_stride_h),
    .cfg_ky_last     (cfg_ky_last),
    .tok_ready       (tok_ready),
    .walk_ready       (walk_ready),
    .walk_last       (walk_last),
    .need_rows       (src_need),
    .go_pulse        (go),
    .go_first        (go_first),
    .go_last         (src_next_last),
    .go_rows         (src_hold_rows),
    .go_top          (go_top),
    .release_pulse   (release_row),
    .release_rows    (src_release_rows),
    .turn_pulse      (turn_pulse),
    .turn_rows       (turn_rows),
    .turn_closes     (turn_closes),
    .turn_step       (turn_step),
    .turn_weight     (turn_weight),
    .stat_busy       (stat_busy),
    .stat_start_pulse(stat_start_pulse)
  );
`ifdef FORMAL
  // The fields of a job lie still before its first decision. Then no row starts without the tokens of every edge that
  // it needs, and it takes exactly those.
  reg       f_init_q = 1'b1;
  reg [4:0] f_held;
  reg [4:0] f_chosen;
  // Whether the latest row took weights: only then its end frees their room.
  reg       f_taken_q;
  always @(posedge clk) begin
    f_init_q <= 1'b0;
    if (go_pulse) f_taken_q <= store_hold_pulse;
  end
  always @* begin
    f_held   = 5'd0;
    f_chosen = 5'd0;
    for (i = 0; i < N_SRC; i = i + 1) begin
      f_held   = f_held + {4'd0, src_hold_pulse[i]};
      f_chosen = f_chosen + {4'd0, src_is_q[i]};
    end
  end
  always @(posedge clk) begin
    if (!f_init_q && go_pulse) begin
      assume (cfg_dst_en == $past(cfg_dst_en) && cfg_src_sel == $past(cfg_src_sel));
      assume (cfg_res_sel == $past(cfg_res_sel) && cfg_stream == $past(cfg_stream));
      assert (store_hold_pulse == (cfg_stream && src_next_last));
      if (cfg_stream) assert (store_avail);
      assert (dst_start_pulse == cfg_dst_en);
      for (i = 0; i < N_SRC; i = i + 1) assert (src_hold_pulse[i] == (cfg_src_sel == i));
      for (i = 0; i < N_RES; i = i + 1) assert (res_hold_pulse[i] == (cfg_res_en && cfg_res_sel == i));
    end
  end
  always @* begin
    if (!f_init_q) assert (f_chosen <= 5'd1);
    if (f_init_q) begin
      // The registers hold nothing yet.
    end else if (go_pulse) begin
      assert (f_held == 5'd1);
      assert ((src_hold_pulse & ~src_avail) == {N_SRC{1'b0}});
      assert ((res_hold_pulse & ~res_avail) == {N_RES{1'b0}});
      assert ((dst_start_pulse & ~dst_free) == {N_DST{1'b0}});
      if (cfg_res_en) assert (res_hold_pulse != {N_RES{1'b0}});
    end else begin
      assert ({src_hold_pulse, res_hold_pulse, dst_start_pulse} == {(N_SRC+N_RES+N_DST){1'b0}});
      assert (!store_hold_pulse);
    end
    if (f_init_q) assume (f_taken_q == slice_end_q);
    else assert (f_taken_q == slice_end_q);
    if (!f_init_q && store_done_pulse) assert (walk_last && f_taken_q);
    if (!cfg_res_en) assert (res_hold_pulse == {N_RES{1'b0}});
    if (!walk_last) assert (src_release_pulse == {N_SRC{1'b0}});
  end
`endif
endmodule
`default_nettype wire
