// SPDX-License-Identifier: Apache-2.0
// nba_host_in: takes the input stream row by row, under row tokens, as steps for the edge writers.
// A row may start in cycle t (tok_start_pulse) if tok_free is high, from the cycle after the start
// pulse on; its beats are taken from t + 1 on, one per cycle with s_valid. It takes max(beats, 2)
// cycles, a late beat makes it longer; the next row may be decided in its last cycle: no bubble.
// A beat taken in cycle i has its flags on step_* in cycle i + 1, its codes on step_data in cycle i + 2. The flag tok_free
// answers a start two cycles later.
// PP: columns per beat. LANES: channels per beat. DATA_W: code [bits]. ROWS: rows of a frame.
// COL_GROUPS = ceil(width/PP), CHAN_WORDS = ceil(channels/LANES): beats = COL_GROUPS*CHAN_WORDS.
// All 1 or more. cfg_frames: frames to take, 0 = without end; sampled by start_pulse, which is
// ignored while stat_busy.
// Packing: column c, lane l at [(c*LANES + l)*DATA_W +: DATA_W]; column groups outer, words inner.
// Reset: idle, s_ready low; a frame that was under way is forgotten.
`default_nettype none

module nba_host_in #(
  parameter integer PP         = 1,
  parameter integer LANES      = 1,
  parameter integer DATA_W     = 8,
  parameter integer ROWS       = 4,
  parameter integer COL_GROUPS = 2,
  parameter integer CHAN_WORDS = 2
) (
  input  wire                       clk,
  input  wire                       rst,
  input  wire [PP*LANES*DATA_W-1:0] s_data,
  input  wire                       s_valid,
  output wire                       s_ready,
  input  wire                       start_pulse,
  input  wire [31:0]                cfg_frames,
  input  wire                       tok_free,
  output wire                       tok_start_pulse,
  output wire                       step_valid,
  output wire [PP*LANES*DATA_W-1:0] step_data,
  output wire                       step_col_last,
  output wire                       step_row_last,
  output wire                       stat_busy
);

  localparam integer BEATS  = COL_GROUPS * CHAN_WORDS;
  localparam integer ROW_W  = (ROWS > 1) ? $clog2(ROWS) : 1;
  localparam integer COL_W  = (COL_GROUPS > 1) ? $clog2(COL_GROUPS) : 1;
  localparam integer WORD_W = (CHAN_WORDS > 1) ? $clog2(CHAN_WORDS) : 1;
  localparam [31:0]  ROW_LAST  = ROWS - 1;
  localparam [31:0]  COL_LAST  = COL_GROUPS - 1;
  localparam [31:0]  WORD_LAST = CHAN_WORDS - 1;

  localparam [1:0] ST_IDLE = 2'd0;
  localparam [1:0] ST_WAIT = 2'd1;
  localparam [1:0] ST_RUN  = 2'd2;
  localparam [1:0] ST_PAD  = 2'd3;

  reg [1:0]        state_q;
  reg [1:0]        state_d;
  reg [ROW_W-1:0]  row_q;
  reg [COL_W-1:0]  col_q;
  reg [WORD_W-1:0] word_q;
  reg [31:0]       left_q;

  reg                       step_valid_q;
  reg                       step_col_last_q;
  reg                       step_row_last_q;
  reg [PP*LANES*DATA_W-1:0] data_q;
  reg [PP*LANES*DATA_W-1:0] step_data_q;

  wire fire       = s_valid && state_q == ST_RUN;
  wire col_last   = word_q == WORD_LAST[WORD_W-1:0];
  wire row_last   = col_last && col_q == COL_LAST[COL_W-1:0];
  wire frame_last = row_q == ROW_LAST[ROW_W-1:0];
  // The last cycle of a row: its last beat, or the second cycle of a row of one beat.
  wire row_end    = (BEATS == 1) ? state_q == ST_PAD : fire && row_last;
  wire more       = !(frame_last && left_q == 32'd1);
  wire want       = state_q == ST_WAIT || (row_end && more);
  wire start      = start_pulse && state_q == ST_IDLE;

  assign tok_start_pulse = want && tok_free;

  always @* begin
    state_d = state_q;
    case (state_q)
      ST_IDLE: if (start_pulse) state_d = ST_WAIT;
      ST_RUN:  if (fire && BEATS == 1) state_d = ST_PAD;
      default: state_d = state_q;
    endcase
    if (row_end) state_d = more ? ST_WAIT : ST_IDLE;
    if (tok_start_pulse) state_d = ST_RUN;
  end

  always @(posedge clk) begin
    state_q <= state_d;
    if (start) left_q <= cfg_frames;
    if (fire) begin
      word_q <= col_last ? {WORD_W{1'b0}} : word_q + 1'b1;
      if (col_last) col_q <= row_last ? {COL_W{1'b0}} : col_q + 1'b1;
    end
    if (row_end) begin
      row_q <= frame_last ? {ROW_W{1'b0}} : row_q + 1'b1;
      // Zero stays zero: a run without end.
      if (frame_last && left_q != 32'd0) left_q <= left_q - 32'd1;
    end
    if (rst) begin
      state_q <= ST_IDLE;
      left_q  <= 32'd0;
      row_q   <= {ROW_W{1'b0}};
      col_q   <= {COL_W{1'b0}};
      word_q  <= {WORD_W{1'b0}};
    end
  end

  always @(posedge clk) begin
    step_valid_q    <= fire;
    step_col_last_q <= col_last;
    step_row_last_q <= row_last;
    data_q          <= s_data;
    step_data_q     <= data_q;
    if (rst) step_valid_q <= 1'b0;
  end

  assign s_ready       = state_q == ST_RUN;
  assign step_valid    = step_valid_q;
  assign step_data     = step_data_q;
  assign step_col_last = step_col_last_q;
  assign step_row_last = step_row_last_q;
  assign stat_busy     = state_q != ST_IDLE;

`ifdef FORMAL
  // f_beat_q and f_age_q count, by themselves, the beats of the row and its cycles.
  reg        f_past_q = 1'b0;
  reg        f_row_q = 1'b0;
  reg [31:0] f_beat_q;
  reg [1:0]  f_age_q;

  always @(posedge clk) begin
    f_past_q <= 1'b1;
    if (f_age_q != 2'd3) f_age_q <= f_age_q + 2'd1;
    if (s_valid && s_ready) f_beat_q <= f_beat_q + 32'd1;
    if (row_end) f_row_q <= 1'b0;
    if (tok_start_pulse) begin
      f_row_q  <= 1'b1;
      f_age_q  <= 2'd1;
      f_beat_q <= 32'd0;
    end
    if (rst) f_row_q <= 1'b0;
  end

  always @* if (!f_past_q) assume (rst);

  always @(posedge clk) if (f_past_q) begin
    assert (row_q <= ROW_LAST[ROW_W-1:0]);
    assert (col_q <= COL_LAST[COL_W-1:0]);
    assert (word_q <= WORD_LAST[WORD_W-1:0]);
    assert (f_row_q == (state_q == ST_RUN || state_q == ST_PAD));
    if (BEATS != 1) assert (state_q != ST_PAD);
    if (state_q == ST_RUN) assert (f_beat_q == col_q * CHAN_WORDS + word_q);
    if (state_q == ST_RUN) assert (f_beat_q < BEATS);
    if (state_q != ST_RUN) assert (col_q == 0 && word_q == 0);
    if (state_q == ST_PAD) assert (f_beat_q == 1 && f_age_q >= 2'd2);
    if (state_q == ST_RUN) assert (f_age_q != 2'd0 && (f_beat_q == 0 || f_age_q >= 2'd2));
    if (state_q == ST_IDLE) assert (row_q == 0);
    // Rows are whole, last at least two cycles, and start only with a token.
    if (row_end) assert (f_row_q && f_age_q >= 2'd2);
    if (row_end) assert (f_beat_q + (s_valid && s_ready) == BEATS);
    if (tok_start_pulse) assert (tok_free && (!f_row_q || row_end));
    if (!$past(rst)) begin
      assert (step_valid == $past(s_valid && s_ready));
      if (step_valid) begin
        if ($past(step_valid)) assert (step_data == $past($past(s_data)));
        assert (step_row_last == ($past(f_beat_q) == BEATS - 1));
        assert (step_col_last || !step_row_last);
        assert (step_col_last == ($past(word_q) == CHAN_WORDS - 1));
      end
      if ($past(s_ready && !s_valid)) assert (s_ready);
      if ($past(row_end && more && tok_free)) assert (s_ready);
      if ($past(row_end && !more)) assert (!stat_busy);
    end
  end
`endif

endmodule

`default_nettype wire
