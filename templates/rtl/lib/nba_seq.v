// SPDX-License-Identifier: Apache-2.0
// nba_seq: a chunk's sequencer: takes the turns of its program in order, round after round, and decides in which
// cycle each output row may start (docs/template.md, row tokens and cycles). A turn is some rows of a job.
// A decision (go_pulse) in cycle t starts the row in t+1; rows take at least two cycles. A fetch takes five cycles; a
// skipped turn costs a fetch. need_rows is that of the next decision from the cycle before it on: what a row needs and
// releases is computed while the row before it waits (*_n_q).
// N_TURNS 1..4096; MAX_STAGE [rounds] 0..255, the largest stage of a turn.
// turn: the turn that comes next; its fields next_* arrive from the program ROM one cycle later. start_pulse comes
// three cycles after a reset, or after the chunk was busy, at the earliest.
// cfg_frames: frames of this batch, 0 = without end. cfg_* fields arrive from the program ROM one cycle after
// `job`, are stable from the second fetch cycle on and until the next fetch.
// go_first: the row is the first of its turn; go_last: the last of the map. turn_pulse: the first row of a turn
// starts, of which turn_rows come and, with turn_closes, the last is that of its frame, in the last slice. turn_step,
// turn_weight: next_step and next_weight of the present turn, from the second fetch cycle on.
// Reset: idle.
`default_nettype none
module nba_seq #(
  parameter integer N_TURNS   = 2,
  parameter integer MAX_STAGE = 0
) (
  input  wire        clk,
  input  wire        rst,
  input  wire        start_pulse,
  input  wire [31:0] cfg_frames,
  output wire [11:0] turn,
  input  wire [7:0]  next_job,
  input  wire [7:0]  next_stage,
  input  wire [11:0] next_rows,
  input  wire [12:0] next_top,
  input  wire        next_opens,
  input  wire        next_ends,
  input  wire        next_closes,
  input  wire [15:0] next_step,
  input  wire [15:0] next_weight,
  output wire [7:0]  job,
  input  wire [11:0] cfg_height,
  input  wire [1:0]  cfg_stride_h,
  input  wire [6:0]  cfg_ky_last,
  input  wire        tok_ready,
  input  wire        walk_ready,
  input  wire        walk_last,
  output wire [15:0] need_rows,
  output wire        go_pulse,
  output wire        go_first,
  output wire        go_last,
  output wire [15:0] go_rows,
  output wire [12:0] go_top,
  output wire        release_pulse,
  output wire [15:0] release_rows,
  output wire        turn_pulse,
  output wire [11:0] turn_rows,
  output wire        turn_closes,
  output wire [15:0] turn_step,
  output wire [15:0] turn_weight,
  output wire        stat_busy,
  output wire        stat_start_pulse
);
  localparam [1:0] ST_IDLE  = 2'd0;
  localparam [1:0] ST_FETCH = 2'd1;
  localparam [1:0] ST_ROWS  = 2'd2;

  localparam [31:0] LAST_TURN = N_TURNS - 1;
  localparam [31:0] STAGE_MAX = MAX_STAGE;
  localparam integer S_W      = (MAX_STAGE > 0) ? $clog2(MAX_STAGE + 1) : 1;
  localparam [31:0] STAGE_LAST = STAGE_MAX - 32'd1;
  localparam [2:0]  FETCH_LAST = 3'd4;
  localparam [2:0]  FETCH_LOAD = 3'd3;

  reg [1:0]  state_q;
  reg [2:0]  fetch_q;
  // In this round: frames that have not begun before it, and whether these are the last one, or none; rounds before it,
  // and those of them without a frame that begins; both at most MAX_STAGE.
  reg [31:0]    left_q;
  reg           one_q;
  reg           none_q;
  reg           endless_q;
  reg [S_W-1:0] begun_q;
  reg [S_W-1:0] over_q;
  // The number of the next turn, and the fields of the present one.
  reg [11:0] turn_q;
  reg [7:0]  job_q;
  reg [7:0]  stage_q;
  reg [11:0] rows_q;
  reg [12:0] begin_q;
  reg        opens_q;
  reg        ends_q;
  reg        closes_q;
  reg [15:0] step_q;
  reg [15:0] weight_q;
  reg        started_q;
  // The frame of this turn in this round lies before the first or behind the last.
  reg        skip_q;
  // The row that is decided next; whether there is one (ST_ROWS).
  reg        first_q;
  reg        last_q;
  reg        open_q;
  reg [12:0] top_q;
  reg [12:0] need_q;
  reg [12:0] rel_q;
  reg [12:0] run_rel_q;
  // The row behind it: rows that follow, first and last input row of its window, first of the next window.
  reg [11:0] left_n_q;
  reg        last_n_q;
  reg [12:0] top_n_q;
  reg [12:0] bottom_n_q;
  reg [12:0] after_n_q;
  reg [12:0] need_n_q;
  reg [12:0] rel_n_q;
  reg        first_row_n_q;

  wire last_turn  = turn_q == 12'd0;
  wire last_round = (MAX_STAGE == 0) ? one_q : none_q && over_q == STAGE_LAST[S_W-1:0];
  wire unused     = &{1'b0, stage_q};

  // Rows needed and released, from the first input row that is still held:
  // min(bottom, height) - max(top, 0), and (last row of the frame ? height : max(after, 0)) - max(top, 0).
  wire [12:0] stride   = cfg_stride_h[1] ? (cfg_stride_h[0] ? 13'd4 : 13'd3) : (cfg_stride_h[0] ? 13'd2 : 13'd1);
  wire [12:0] kernel   = {6'd0, cfg_ky_last} + 13'd1;
  wire [12:0] height   = {1'b0, cfg_height};
  wire [12:0] to_end   = height - (top_n_q[12] ? 13'd0 : top_n_q);
  wire [12:0] window   = top_n_q[12] ? bottom_n_q : kernel;
  wire [12:0] passed   = after_n_q[12] ? 13'd0 : top_n_q[12] ? after_n_q : stride;

  wire in_rows = state_q == ST_ROWS;
  wire go      = open_q && walk_ready && tok_ready;
  wire done    = in_rows && !open_q && walk_last;
  wire fetched = state_q == ST_FETCH && fetch_q == FETCH_LAST;
  wire load    = state_q == ST_FETCH && fetch_q == FETCH_LOAD;
  wire advance = done || (fetched && skip_q);
  wire start   = start_pulse && state_q == ST_IDLE;
  // The job changes with the end of a turn, which is known late; all else that does, in the cycle after it.
  reg  advance_q;

  always @(posedge clk) begin
    fetch_q      <= fetch_q + 3'd1;
    started_q    <= go && first_q;
    skip_q       <= begun_q < stage_q[S_W-1:0] || (none_q && over_q >= stage_q[S_W-1:0]);
    need_n_q     <= (bottom_n_q < height) ? window : to_end;
    rel_n_q      <= (last_n_q && ends_q) ? to_end : passed;
    if (go || load) begin
      first_q    <= first_row_n_q;
      last_q     <= last_n_q;
      top_q      <= top_n_q;
      need_q     <= need_n_q;
      rel_q      <= rel_n_q;
      first_row_n_q <= 1'b0;
      left_n_q   <= left_n_q - 12'd1;
      last_n_q   <= left_n_q == 12'd1;
      top_n_q    <= after_n_q;
      bottom_n_q <= bottom_n_q + stride;
      after_n_q  <= after_n_q + stride;
    end
    if (go) begin
      run_rel_q  <= rel_q;
      open_q     <= !last_q;
    end
    if (state_q == ST_FETCH && !load && !fetched) begin
      first_row_n_q <= 1'b1;
      left_n_q      <= rows_q - 12'd1;
      last_n_q      <= rows_q == 12'd1;
      top_n_q       <= begin_q;
      bottom_n_q    <= begin_q + kernel;
      after_n_q     <= begin_q + stride;
    end
    if (fetched && !skip_q) begin
      state_q <= ST_ROWS;
      open_q  <= 1'b1;
    end
    advance_q <= advance;
    if (advance) begin
      state_q <= ST_FETCH;
      fetch_q <= 3'd0;
      job_q   <= next_job;
    end
    if (advance_q && last_turn) begin
      left_q <= left_q - 32'd1;
      one_q  <= left_q == 32'd2 && !endless_q;
      if (one_q) none_q <= 1'b1;
      if (none_q) over_q <= over_q + 1'b1;
      if (begun_q != STAGE_MAX[S_W-1:0]) begun_q <= begun_q + 1'b1;
    end
    if (start) begin
      state_q   <= ST_FETCH;
      fetch_q   <= 3'd0;
      left_q    <= cfg_frames;
      one_q     <= cfg_frames == 32'd1;
      none_q    <= 1'b0;
      endless_q <= cfg_frames == 32'd0;
      begun_q   <= {S_W{1'b0}};
      over_q    <= {S_W{1'b0}};
      job_q     <= next_job;
    end
    if (advance_q || start) begin
      turn_q  <= (turn_q == LAST_TURN[11:0]) ? 12'd0 : turn_q + 12'd1;
      stage_q <= next_stage;
      rows_q  <= next_rows;
      begin_q <= next_top;
      opens_q <= next_opens;
      ends_q  <= next_ends;
      closes_q <= next_closes;
      step_q   <= next_step;
      weight_q <= next_weight;
    end
    if (advance && last_turn && last_round) begin
      state_q   <= ST_IDLE;
      advance_q <= 1'b0;
    end
    if (rst) begin
      state_q   <= ST_IDLE;
      turn_q    <= 12'd0;
      advance_q <= 1'b0;
      open_q    <= 1'b0;
      started_q <= 1'b0;
    end
  end

  assign turn             = turn_q;
  assign job              = job_q;
  assign need_rows        = {3'd0, need_q};
  assign go_pulse         = go;
  assign go_first         = first_q;
  assign go_last          = last_q && ends_q;
  assign go_rows          = {3'd0, rel_q};
  assign go_top           = top_q;
  assign release_pulse    = walk_last;
  assign release_rows     = {3'd0, run_rel_q};
  assign stat_busy        = state_q != ST_IDLE;
  assign turn_pulse       = started_q;
  assign turn_rows        = rows_q;
  assign turn_closes      = closes_q;
  assign turn_step        = step_q;
  assign turn_weight      = weight_q;
  assign stat_start_pulse = started_q && opens_q;
`ifdef FORMAL
  // The walk of a row begins in the cycle after its decision, takes at least two cycles and ends in the cycle of
  // walk_last; program fields are stable but for the first fetch cycle. Then the rows of a turn are decided one by one,
  // each with what its window needs and leaves behind, as the plain formulae say.
  reg        f_init_q = 1'b1;
  reg        f_run_q;
  reg        f_go_q;
  reg [2:0]  f_fetch_q;
  reg [11:0] f_row_q;
  reg [31:0] f_round_q;
  wire [31:0] f_frame = f_round_q - {24'd0, stage_q};
  wire [31:0] f_over  = f_round_q - cfg_frames;
  wire        f_skip  = f_round_q < {24'd0, stage_q} || (cfg_frames != 32'd0 && f_frame >= cfg_frames);
  always @(posedge clk) begin
    if (advance_q && last_turn) f_round_q <= f_round_q + 32'd1;
    if (start) f_round_q <= 32'd0;
    f_init_q  <= 1'b0;
    f_run_q   <= go || (f_run_q && !walk_last);
    f_go_q    <= go;
    f_fetch_q <= (state_q == ST_FETCH && !advance) ? f_fetch_q + 3'd1 : 3'd0;
    if (go) f_row_q <= f_row_q + 12'd1;
    if (state_q == ST_FETCH) f_row_q <= 12'd0;
    if (rst) begin
      f_run_q   <= 1'b0;
      f_go_q    <= 1'b0;
      f_fetch_q <= 3'd0;
    end
  end
  wire        f_fields = !f_init_q && (state_q == ST_ROWS || (state_q == ST_FETCH && fetch_q > 3'd1));
  wire [12:0] f_height = {1'b0, cfg_height};
  wire [12:0] f_once   = {1'b0, f_row_q};
  wire [12:0] f_place  = cfg_stride_h[1] ? (cfg_stride_h[0] ? {f_once[10:0], 2'b00} : {f_once[11:0], 1'b0} + f_once)
                                         : (cfg_stride_h[0] ? {f_once[11:0], 1'b0} : f_once);
  wire [12:0] f_top    = f_place + begin_q;
  wire [12:0] f_bottom = f_top + {6'd0, cfg_ky_last} + 13'd1;
  wire [12:0] f_after  = f_top + stride;
  wire [12:0] f_first  = f_top[12] ? 13'd0 : f_top;
  wire [12:0] f_limit  = (f_bottom < f_height) ? f_bottom : f_height;
  wire        f_last   = f_row_q + 12'd1 == rows_q;
  wire [12:0] f_kept   = (f_last && ends_q) ? f_height : f_after[12] ? 13'd0 : f_after;
  wire [12:0] f_place_n = f_place + stride;
  wire [12:0] f_top_n  = f_place_n + begin_q;
  // The highest place that the windows of the turn reach.
  wire [15:0] f_reach  = {{3{begin_q[12]}}, begin_q} + {4'd0, rows_q} * {13'd0, stride[2:0]} + {9'd0, cfg_ky_last};
  always @* begin
    if (f_init_q) assume (rst);
    assume (walk_ready == (!f_run_q || walk_last));
    assume (!walk_last || (f_run_q && !f_go_q));
    assume (next_rows != 12'd0 && next_rows < 12'd2048 && cfg_height < 12'd2048);
    assume (next_stage <= STAGE_MAX[7:0] && f_round_q < 32'hfffffe00 && cfg_frames < 32'hfffffe00);
    assume (next_top[12] ? next_top >= 13'd8065 : next_top < 13'd2048);
    if (f_fields) assume (f_reach[15] || f_reach < 16'd4094);
  end
  always @(posedge clk) begin
    if (f_fields) begin
      assume (cfg_height == $past(cfg_height));
      assume (cfg_ky_last == $past(cfg_ky_last) && cfg_stride_h == $past(cfg_stride_h));
    end
    if (!f_init_q && state_q != ST_IDLE && $past(state_q) != ST_IDLE) assume (cfg_frames == $past(cfg_frames));
    if (!f_init_q && $past(start)) assume (cfg_frames == $past(cfg_frames));
    // A turn has its frame in a round, or is skipped, as the plain formulae say; so does the last round.
    if (!f_init_q && state_q != ST_IDLE) begin
      assert (stage_q <= STAGE_MAX[7:0] && endless_q == (cfg_frames == 32'd0));
      assert (begun_q == ((f_round_q < STAGE_MAX) ? f_round_q[S_W-1:0] : STAGE_MAX[S_W-1:0]));
      assert (none_q == (!endless_q && f_round_q >= cfg_frames));
      assert (one_q == (!endless_q && f_round_q + 32'd1 == cfg_frames));
      assert (left_q == cfg_frames - f_round_q);
      assert (!none_q || (f_over < STAGE_MAX && over_q == f_over[S_W-1:0]));
      assert (none_q || over_q == {S_W{1'b0}});
      if (fetch_q > 3'd1 && state_q == ST_FETCH) assert (skip_q == f_skip);
      assert (last_round == (!endless_q && f_round_q == cfg_frames + STAGE_MAX - 32'd1));
    end
    if (!f_init_q) begin
      assert (state_q != 2'd3);
      if (advance_q) assert (state_q == ST_FETCH && fetch_q == 3'd0);
      if (state_q == ST_FETCH) assert (f_fetch_q == fetch_q && fetch_q <= FETCH_LAST);
      if (state_q == ST_ROWS && $past(state_q) == ST_FETCH) assert ($past(f_fetch_q) == FETCH_LAST);
      if (go_pulse) assert (tok_ready && state_q == ST_ROWS && (!f_run_q || walk_last));
      if (state_q != ST_ROWS) assert (!f_run_q && !open_q);
      if (state_q == ST_ROWS) begin
        assert (f_row_q <= rows_q);
        assert (open_q == (f_row_q != rows_q));
        assert (f_run_q || open_q);
        assert (first_q == (f_row_q == 12'd0));
        assert (!first_row_n_q);
        if (first_q) assert (!f_run_q);
        if (open_q) begin
          assert (last_q == f_last);
          assert (left_n_q == rows_q - f_row_q - 12'd2);
          assert (top_q == f_top);
          assert (need_q == f_limit - f_first);
          assert (rel_q == f_kept - f_first);
          if (!f_last) begin
            assert (last_n_q == (f_row_q + 12'd2 == rows_q));
            assert (top_n_q == f_top_n);
            assert (bottom_n_q == f_top_n + {6'd0, cfg_ky_last} + 13'd1);
            assert (after_n_q == f_top_n + stride);
          end
        end
      end
      if (state_q == ST_FETCH && (fetch_q == 3'd2 || fetch_q == 3'd3)) begin
        assert (first_row_n_q && left_n_q == rows_q - 12'd1 && last_n_q == (rows_q == 12'd1));
        assert (top_n_q == begin_q);
        assert (bottom_n_q == top_n_q + {6'd0, cfg_ky_last} + 13'd1);
        assert (after_n_q == top_n_q + stride);
      end
      assert (turn_q <= LAST_TURN[11:0]);
      if (state_q == ST_IDLE) assert (turn_q == 12'd0);
      if (state_q != ST_IDLE) begin
        assert (rows_q != 12'd0 && rows_q < 12'd2048);
        assert (begin_q[12] ? begin_q >= 13'd8065 : begin_q < 13'd2048);
      end
      if (turn_pulse) assert (f_run_q && f_row_q == 12'd1);
    end
  end
`endif
endmodule
`default_nettype wire
