// SPDX-License-Identifier: Apache-2.0
// nba_seq: a chunk's sequencer: fetches the jobs of its program in order, round after round, and decides in which
// cycle each output row may start (docs/template.md, row tokens and cycles).
// A decision (go_pulse) in cycle t starts the row in t+1; a fetch takes four cycles; a skipped job costs a fetch.
// N_JOBS 1..255; MAX_STAGE [rounds] 0..255, the largest stage of the program.
// cfg_frames: frames of this batch, 0 = without end. cfg_* fields arrive from the program ROM one cycle after
// `job`, are stable from the second fetch cycle on and until the next fetch.
// Reset: idle.
`default_nettype none
module nba_seq #(
  parameter integer N_JOBS    = 2,
  parameter integer MAX_STAGE = 0
) (
  input  wire        clk,
  input  wire        rst,
  input  wire        start_pulse,
  input  wire [31:0] cfg_frames,
  output wire [7:0]  job,
  input  wire [7:0]  cfg_stage,
  input  wire [11:0] cfg_rows,
  input  wire [11:0] cfg_height,
  input  wire        cfg_stride2_h,
  input  wire [6:0]  cfg_pad_top,
  input  wire [6:0]  cfg_ky_last,
  input  wire        tok_ready,
  input  wire        walk_run,
  input  wire        walk_last,
  output wire [15:0] need_rows,
  output wire        go_pulse,
  output wire        go_first,
  output wire        go_last,
  output wire [15:0] go_rows,
  output wire [12:0] go_top,
  output wire        release_pulse,
  output wire [15:0] release_rows,
  output wire        stat_busy,
  output wire        stat_start_pulse
);
  localparam [1:0] ST_IDLE  = 2'd0;
  localparam [1:0] ST_FETCH = 2'd1;
  localparam [1:0] ST_ROWS  = 2'd2;

  localparam [31:0] LAST_JOB  = N_JOBS - 1;
  localparam [31:0] STAGE_MAX = MAX_STAGE;

  reg [1:0]  state_q;
  reg [1:0]  fetch_q;
  reg [7:0]  job_q;
  reg [31:0] round_q;
  reg [11:0] row_q;
  reg [12:0] top_q;
  reg [12:0] need_q;
  reg [12:0] rel_q;
  reg [12:0] run_rel_q;
  reg        started_q;

  // Frame of this job in this round; skipped if it lies before the first or after the last frame.
  wire [32:0] frame      = {1'b0, round_q} - {25'd0, cfg_stage};
  wire        skip       = frame[32] || (cfg_frames != 32'd0 && frame[31:0] >= cfg_frames);
  wire        last_job   = job_q == LAST_JOB[7:0];
  wire        last_round = cfg_frames != 32'd0
                        && ({1'b0, round_q} + 33'd1) == ({1'b0, cfg_frames} + {1'b0, STAGE_MAX});

  // Rows needed and released by output row row_q, from the first input row that is still held.
  wire        row_last = row_q + 12'd1 == cfg_rows;
  wire        rows_end = row_q == cfg_rows;
  wire [12:0] after    = top_q + (cfg_stride2_h ? 13'd2 : 13'd1);
  wire [12:0] bottom   = top_q + {6'd0, cfg_ky_last} + 13'd1;
  wire [12:0] height   = {1'b0, cfg_height};
  wire [12:0] first    = top_q[12] ? 13'd0 : top_q;
  wire [12:0] limit    = (bottom < height) ? bottom : height;
  wire [12:0] kept     = row_last ? height : (after[12] ? 13'd0 : after);

  wire in_rows = state_q == ST_ROWS;
  wire go      = in_rows && !rows_end && (!walk_run || walk_last) && tok_ready;
  wire done    = in_rows && rows_end && walk_last;
  wire fetched = state_q == ST_FETCH && fetch_q == 2'd3;
  wire advance = done || (fetched && skip);

  always @(posedge clk) begin
    fetch_q   <= fetch_q + 2'd1;
    started_q <= go && row_q == 12'd0;
    need_q    <= limit - first;
    rel_q     <= kept - first;
    if (state_q == ST_FETCH) begin
      row_q <= 12'd0;
      top_q <= 13'd0 - {6'd0, cfg_pad_top};
    end
    if (go) begin
      row_q     <= row_q + 12'd1;
      top_q     <= after;
      run_rel_q <= rel_q;
    end
    if (fetched && !skip) state_q <= ST_ROWS;
    if (advance) begin
      state_q <= ST_FETCH;
      fetch_q <= 2'd0;
      job_q   <= last_job ? 8'd0 : job_q + 8'd1;
      if (last_job) begin
        round_q <= round_q + 32'd1;
        if (last_round) state_q <= ST_IDLE;
      end
    end
    if (start_pulse && state_q == ST_IDLE) begin
      state_q <= ST_FETCH;
      fetch_q <= 2'd0;
      job_q   <= 8'd0;
      round_q <= 32'd0;
    end
    if (rst) begin
      state_q   <= ST_IDLE;
      started_q <= 1'b0;
    end
  end

  assign job              = job_q;
  assign need_rows        = {3'd0, need_q};
  assign go_pulse         = go;
  assign go_first         = row_q == 12'd0;
  assign go_last          = row_last;
  assign go_rows          = {3'd0, rel_q};
  assign go_top           = top_q;
  assign release_pulse    = walk_last;
  assign release_rows     = {3'd0, run_rel_q};
  assign stat_busy        = state_q != ST_IDLE;
  assign stat_start_pulse = started_q;
`ifdef FORMAL
  // The walk of a row begins in the cycle after its decision and ends in the cycle of walk_last; program fields are
  // stable while rows are decided. Then jobs change only between rows, and every job runs cfg_rows rows.
  reg       f_init_q = 1'b1;
  reg       f_run_q;
  reg [2:0] f_fetch_q;
  always @(posedge clk) begin
    f_init_q  <= 1'b0;
    f_run_q   <= go || (f_run_q && !walk_last);
    f_fetch_q <= (state_q == ST_FETCH && !advance) ? f_fetch_q + 3'd1 : 3'd0;
    if (rst) begin
      f_run_q   <= 1'b0;
      f_fetch_q <= 3'd0;
    end
  end
  always @* begin
    if (f_init_q) assume (rst);
    assume (walk_run == f_run_q);
    assume (!walk_last || walk_run);
    assume (cfg_rows != 12'd0);
  end
  always @(posedge clk) begin
    if (!f_init_q && state_q == ST_ROWS) assume (cfg_rows == $past(cfg_rows));
    if (!f_init_q) begin
      assert (state_q != 2'd3);
      if (state_q == ST_FETCH) assert (f_fetch_q == {1'b0, fetch_q});
      if (state_q == ST_ROWS && $past(state_q) == ST_FETCH) assert ($past(f_fetch_q) == 3'd3);
      if (go_pulse) assert (tok_ready && state_q == ST_ROWS && (!f_run_q || walk_last));
      if (state_q != ST_ROWS) assert (!f_run_q);
      if (state_q == ST_ROWS) begin
        assert (row_q <= cfg_rows);
        assert (f_run_q || row_q != cfg_rows);
        if (row_q == 12'd0) assert (!f_run_q);
      end
      if (state_q != ST_IDLE) assert (job_q <= LAST_JOB[7:0]);
      if (stat_start_pulse) assert (f_run_q && (row_q == 12'd1));
    end
  end
`endif
endmodule
`default_nettype wire
