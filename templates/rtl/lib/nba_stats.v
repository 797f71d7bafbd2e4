// SPDX-License-Identifier: Apache-2.0
// nba_stats: what a chunk reports: whether it is busy, and the cycles in which each job last started and ended.
// A job's start is the first cycle of its first row (s_start_pulse), its end the cycle behind s_end_pulse, in which its
// last row counts as written. cnt_data answers cnt_job and cnt_end a cycle later.
// N_JOBS 1..255. row_go_pulse: a row is decided; row_done_pulse: it is written. At most 24 rows are between the
// two, as a row takes at least as long as its drain, and at least two cycles.
// Reset: not busy; the counters keep their values.
`default_nettype none
module nba_stats #(
  parameter integer N_JOBS = 2
) (
  input  wire        clk,
  input  wire        rst,
  input  wire        row_go_pulse,
  input  wire        row_done_pulse,
  input  wire        s_busy,
  input  wire        s_start_pulse,
  input  wire [7:0]  s_start_job,
  input  wire        s_end_pulse,
  input  wire [7:0]  s_end_job,
  input  wire [31:0] cfg_cycle,
  input  wire [7:0]  cnt_job,
  input  wire        cnt_end,
  output wire [31:0] cnt_data,
  output wire        stat_busy,
  output wire        stat_start_pulse,
  output wire [7:0]  stat_start_job,
  output wire        stat_end_pulse,
  output wire [7:0]  stat_end_job
);
  reg [4:0] rows_q;
  always @(posedge clk) begin
    if (row_go_pulse && !row_done_pulse) rows_q <= rows_q + 5'd1;
    if (row_done_pulse && !row_go_pulse) rows_q <= rows_q - 5'd1;
    if (rst) rows_q <= 5'd0;
  end
  assign stat_busy = s_busy || rows_q != 5'd0;

  reg       end_q;
  reg [7:0] end_job_q;
  always @(posedge clk) begin
    end_q     <= s_end_pulse && !rst;
    end_job_q <= s_end_job;
  end
  assign stat_start_pulse = s_start_pulse;
  assign stat_start_job   = s_start_job;
  assign stat_end_pulse   = end_q;
  assign stat_end_job     = end_job_q;

  wire [31:0] start_data;
  wire [31:0] end_data;
  nba_ram #(
    .WIDTH(32),
    .DEPTH(N_JOBS),
    .AW   (8),
    .SUB_W(32),
    .BLOCK(0)
  ) u_start (
    .clk   (clk),
    .w_en  (s_start_pulse),
    .w_addr(s_start_job),
    .w_data(cfg_cycle),
    .r_addr(cnt_job),
    .r_data(start_data)
  );
  nba_ram #(
    .WIDTH(32),
    .DEPTH(N_JOBS),
    .AW   (8),
    .SUB_W(32),
    .BLOCK(0)
  ) u_end (
    .clk   (clk),
    .w_en  (end_q),
    .w_addr(end_job_q),
    .w_data(cfg_cycle),
    .r_addr(cnt_job),
    .r_data(end_data)
  );
  assign cnt_data = cnt_end ? end_data : start_data;
`ifdef FORMAL
  // At most 24 rows are under way, and only such a row ends. Then the chunk is busy exactly while there is one. f_rows_q
  // has a bit for every row under way, the low ones.
  reg        f_init_q = 1'b1;
  reg [24:0] f_rows_q;
  reg [4:0]  f_count;
  integer    f_i;
  always @* begin
    f_count = 5'd0;
    for (f_i = 0; f_i < 25; f_i = f_i + 1) f_count = f_count + {4'd0, f_rows_q[f_i]};
  end
  always @(posedge clk) begin
    f_init_q <= 1'b0;
    if (row_go_pulse) f_rows_q <= {f_rows_q[23:0], 1'b1};
    if (row_done_pulse) f_rows_q <= {1'b0, f_rows_q[24:1]};
    if (row_go_pulse && row_done_pulse) f_rows_q <= f_rows_q;
    if (rst) f_rows_q <= 25'd0;
  end
  always @* begin
    if (f_init_q) assume (rst);
    assume (!row_done_pulse || f_rows_q[0]);
    assume (!row_go_pulse || row_done_pulse || !f_rows_q[23]);
  end
  always @(posedge clk) begin
    if (!f_init_q) begin
      assert ((f_rows_q & (f_rows_q + 25'd1)) == 25'd0);
      assert (rows_q == f_count && rows_q <= 5'd24);
      assert (stat_busy == (s_busy || f_rows_q[0]));
      assert (stat_end_pulse == ($past(s_end_pulse) && !$past(rst)));
    end
  end
`endif
endmodule
`default_nettype wire
