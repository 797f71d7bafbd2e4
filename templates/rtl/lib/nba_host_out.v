// SPDX-License-Identifier: Apache-2.0
// nba_host_out: reads output rows from an edge buffer, under row tokens, into the output stream.
// A row may start in cycle t (tok_start_pulse) if tok_avail is high, from the cycle after the start
// pulse on; r_row_addr is sampled in t, its beats are issued from t + 1 on, one per cycle. It takes
// max(beats, 2) cycles; rel_pulse marks the last, in which the next row may be decided: no bubble.
// A beat issued in cycle i: r_addr in i + 1, r_data in i + 3, on m_* from i + 5. A stalled output
// stops the issue (credits for a FIFO of 5), so nothing is lost. The flag tok_avail answers a start two cycles later.
// PP: columns read. OUT_COLS: columns per beat: of one group of columns the first of PP; of several groups they divide
// PP, and PP/OUT_COLS groups lie side by side. LANES: channels per beat.
// DATA_W: code [bits]. AW: address [bits]. ROWS, COL_GROUPS, CHAN_WORDS, cfg_frames: nba_host_in.
// stat_frame_pulse: a frame's last beat is being handed over; stat_frames counts since start.
// Packing: column c, lane l at [(c*LANES + l)*DATA_W +: DATA_W].
// Reset: idle; beats inside are dropped.
`default_nettype none

module nba_host_out #(
  parameter integer PP         = 1,
  parameter integer OUT_COLS   = 1,
  parameter integer LANES      = 1,
  parameter integer DATA_W     = 8,
  parameter integer AW         = 8,
  parameter integer ROWS       = 4,
  parameter integer COL_GROUPS = 2,
  parameter integer CHAN_WORDS = 2
) (
  input  wire                             clk,
  input  wire                             rst,
  output wire [OUT_COLS*LANES*DATA_W-1:0] m_data,
  output wire                             m_valid,
  input  wire                             m_ready,
  output wire                             m_last,
  input  wire                             start_pulse,
  input  wire [31:0]                      cfg_frames,
  input  wire                             tok_avail,
  output wire                             tok_start_pulse,
  output wire                             rel_pulse,
  input  wire [AW-1:0]                    r_row_addr,
  output wire [AW-1:0]                    r_addr,
  input  wire [PP*LANES*DATA_W-1:0]       r_data,
  output wire [31:0]                      stat_frames,
  output wire                             stat_frame_pulse,
  output wire                             stat_busy
);

  localparam integer BEATS  = COL_GROUPS * CHAN_WORDS;
  localparam integer BEAT_W = (BEATS > 1) ? $clog2(BEATS) : 1;
  localparam integer ROW_W  = (ROWS > 1) ? $clog2(ROWS) : 1;
  localparam integer OUT_W  = OUT_COLS * LANES * DATA_W;
  // Groups of columns that lie side by side in the words that are read.
  localparam integer PLACES = (COL_GROUPS > 1) ? PP / OUT_COLS : 1;
  localparam [2:0]   N_CREDITS = 3'd5;
  localparam [31:0]  BEAT_LAST = BEATS - 1;
  localparam [31:0]  ROW_LAST  = ROWS - 1;

  localparam [1:0] ST_IDLE = 2'd0;
  localparam [1:0] ST_WAIT = 2'd1;
  localparam [1:0] ST_RUN  = 2'd2;
  localparam [1:0] ST_PAD  = 2'd3;

  reg [1:0]        state_q;
  reg [1:0]        state_d;
  reg [BEAT_W-1:0] beat_q;
  reg [ROW_W-1:0]  row_q;
  reg [31:0]       left_q;
  reg [AW-1:0]     addr_q;
  reg [AW-1:0]     r_addr_q;
  reg              issued_q;
  reg              issued_q2;
  reg              issued_q3;
  reg              last_q;
  reg              last_q2;
  reg              last_q3;
  reg [2:0]        credit_q;
  reg              busy_q;
  reg [31:0]       frames_q;
  reg [31:0]       out_left_q;

  wire           fifo_s_ready;
  wire           fifo_m_valid;
  wire [OUT_W:0] fifo_m_data;
  wire [2:0]     fifo_count;
  wire           skid_s_ready;
  wire [OUT_W:0] skid_m_data;

  wire issue      = state_q == ST_RUN && credit_q != 3'd0;
  wire pop        = fifo_m_valid && skid_s_ready;
  wire row_last   = beat_q == BEAT_LAST[BEAT_W-1:0];
  wire frame_last = row_q == ROW_LAST[ROW_W-1:0];
  // The last cycle of a row: its last beat, or the second cycle of a row of one beat.
  wire row_end    = (BEATS == 1) ? state_q == ST_PAD : issue && row_last;
  wire more       = !(frame_last && left_q == 32'd1);
  wire want       = state_q == ST_WAIT || (row_end && more);
  wire start      = start_pulse && !busy_q;

  assign tok_start_pulse = want && tok_avail;
  assign rel_pulse       = row_end;

  always @* begin
    state_d = state_q;
    case (state_q)
      ST_IDLE: if (start) state_d = ST_WAIT;
      ST_RUN:  if (issue && BEATS == 1) state_d = ST_PAD;
      default: state_d = state_q;
    endcase
    if (row_end) state_d = more ? ST_WAIT : ST_IDLE;
    if (tok_start_pulse) state_d = ST_RUN;
  end

  always @(posedge clk) begin
    state_q <= state_d;
    if (start) left_q <= cfg_frames;
    if (issue) beat_q <= row_last ? {BEAT_W{1'b0}} : beat_q + 1'b1;
    if (row_end) begin
      row_q <= frame_last ? {ROW_W{1'b0}} : row_q + 1'b1;
      // Zero stays zero: a run without end.
      if (frame_last && left_q != 32'd0) left_q <= left_q - 32'd1;
    end
    if (rst) begin
      state_q <= ST_IDLE;
      left_q  <= 32'd0;
      beat_q  <= {BEAT_W{1'b0}};
      row_q   <= {ROW_W{1'b0}};
    end
  end

  // Beats of a row lie in consecutive words, column groups outer, channel words inner; column groups side by side, in
  // the same words.
  wire [OUT_W-1:0] out_data;
`ifdef FORMAL
  // f_beat_q and f_age_q count, by themselves, the beats of the row and its cycles.
  reg          f_past_q = 1'b0;
  reg          f_row_q = 1'b0;
  reg [31:0]   f_beat_q;
  reg [1:0]    f_age_q;
  reg [AW-1:0] f_base_q;
`endif
  generate
    if (PLACES > 1) begin : g_places
      localparam integer WORD_W  = (CHAN_WORDS > 1) ? $clog2(CHAN_WORDS) : 1;
      localparam integer PLACE_W = $clog2(PLACES);
      localparam [31:0]  WORD_LAST  = CHAN_WORDS - 1;
      localparam [31:0]  PLACE_LAST = PLACES - 1;
      reg [WORD_W-1:0]    word_q;
      reg [PLACE_W-1:0]   place_q;
      reg [3*PLACE_W-1:0] places_q;
      wire word_last  = word_q == WORD_LAST[WORD_W-1:0];
      wire place_last = place_q == PLACE_LAST[PLACE_W-1:0];
      wire back       = word_last && !place_last;
      always @(posedge clk) begin
        if (issue) begin
          addr_q <= back ? addr_q - WORD_LAST[AW-1:0] : addr_q + 1'b1;
          word_q <= word_last ? {WORD_W{1'b0}} : word_q + 1'b1;
          if (word_last) place_q <= place_last ? {PLACE_W{1'b0}} : place_q + 1'b1;
        end
        if (tok_start_pulse) begin
          addr_q  <= r_row_addr;
          word_q  <= {WORD_W{1'b0}};
          place_q <= {PLACE_W{1'b0}};
        end
        places_q <= {places_q[2*PLACE_W-1:0], place_q};
      end
      assign out_data = r_data[places_q[2*PLACE_W +: PLACE_W]*OUT_W +: OUT_W];
`ifdef FORMAL
      // f_words_q counts the words of whole groups: the place of every beat and its address follow.
      reg [31:0] f_words_q;
      wire [31:0] f_addr = f_base_q + f_words_q * CHAN_WORDS + word_q;
      always @(posedge clk) begin
        if (issue && word_last && place_last) f_words_q <= f_words_q + 32'd1;
        if (tok_start_pulse) f_words_q <= 32'd0;
        if (f_past_q && state_q == ST_RUN) begin
          assert (word_q <= WORD_LAST[WORD_W-1:0] && place_q <= PLACE_LAST[PLACE_W-1:0]);
          assert (f_beat_q == (f_words_q * PLACES + place_q) * CHAN_WORDS + word_q);
          assert (addr_q == f_addr[AW-1:0]);
        end
      end
`endif
    end else begin : g_whole
      always @(posedge clk) begin
        if (issue) addr_q <= addr_q + 1'b1;
        if (tok_start_pulse) addr_q <= r_row_addr;
      end
      assign out_data = r_data[OUT_W-1:0];
`ifdef FORMAL
      always @(posedge clk) if (f_past_q) begin
        if (state_q == ST_RUN) assert (addr_q == f_base_q + f_beat_q[AW-1:0]);
        if (!$past(rst) && $past(issue)) assert (r_addr == $past(f_base_q) + $past(f_beat_q[AW-1:0]));
      end
`endif
    end
  endgenerate
  always @(posedge clk) r_addr_q <= addr_q;

  always @(posedge clk) begin
    issued_q  <= issue;
    issued_q2 <= issued_q;
    issued_q3 <= issued_q2;
    last_q    <= row_last && frame_last;
    last_q2   <= last_q;
    last_q3   <= last_q2;
    if (issue && !pop) credit_q <= credit_q - 3'd1;
    if (pop && !issue) credit_q <= credit_q + 3'd1;
    if (rst) begin
      issued_q  <= 1'b0;
      issued_q2 <= 1'b0;
      issued_q3 <= 1'b0;
      credit_q  <= N_CREDITS;
    end
  end

  nba_fifo #(
    .W     (OUT_W + 1),
    .DEPTH (5)
  ) u_fifo (
    .clk     (clk),
    .rst     (rst),
    .s_data  ({last_q3, out_data}),
    .s_valid (issued_q3),
    .s_ready (fifo_s_ready),
    .m_data  (fifo_m_data),
    .m_valid (fifo_m_valid),
    .m_ready (skid_s_ready),
    .count   (fifo_count)
  );

  nba_skid #(
    .W (OUT_W + 1)
  ) u_skid (
    .clk     (clk),
    .rst     (rst),
    .s_data  (fifo_m_data),
    .s_valid (fifo_m_valid),
    .s_ready (skid_s_ready),
    .m_data  (skid_m_data),
    .m_valid (m_valid),
    .m_ready (m_ready)
  );

  always @(posedge clk) begin
    if (stat_frame_pulse) begin
      frames_q <= frames_q + 32'd1;
      if (out_left_q != 32'd0) out_left_q <= out_left_q - 32'd1;
      if (out_left_q == 32'd1) busy_q <= 1'b0;
    end
    if (start) begin
      busy_q     <= 1'b1;
      frames_q   <= 32'd0;
      out_left_q <= cfg_frames;
    end
    if (rst) begin
      busy_q     <= 1'b0;
      frames_q   <= 32'd0;
      out_left_q <= 32'd0;
    end
  end

  wire unused = &{1'b0, fifo_s_ready, fifo_count, r_data};

  assign r_addr           = r_addr_q;
  assign m_data           = skid_m_data[OUT_W-1:0];
  assign m_last           = skid_m_data[OUT_W];
  assign stat_frame_pulse = m_valid && m_ready && m_last;
  assign stat_frames      = frames_q;
  assign stat_busy        = busy_q;

`ifdef FORMAL
  wire [3:0]   f_inside = issued_q + issued_q2 + issued_q3 + fifo_count;

  always @(posedge clk) begin
    f_past_q <= 1'b1;
    if (f_age_q != 2'd3) f_age_q <= f_age_q + 2'd1;
    if (issue) f_beat_q <= f_beat_q + 32'd1;
    if (row_end) f_row_q <= 1'b0;
    if (tok_start_pulse) begin
      f_row_q  <= 1'b1;
      f_age_q  <= 2'd1;
      f_beat_q <= 32'd0;
      f_base_q <= r_row_addr;
    end
    if (rst) f_row_q <= 1'b0;
  end

  always @* if (!f_past_q) assume (rst);

  always @(posedge clk) if (f_past_q) begin
    assert (row_q <= ROW_LAST[ROW_W-1:0]);
    assert (beat_q <= BEAT_LAST[BEAT_W-1:0]);
    assert (f_row_q == (state_q == ST_RUN || state_q == ST_PAD));
    if (BEATS != 1) assert (state_q != ST_PAD);
    if (state_q != ST_RUN) assert (beat_q == 0);
    if (state_q == ST_RUN) assert (f_beat_q == beat_q);
    if (state_q == ST_PAD) assert (f_beat_q == 1 && f_age_q >= 2'd2);
    if (state_q == ST_RUN) assert (f_age_q != 2'd0 && (f_beat_q == 0 || f_age_q >= 2'd2));
    if (state_q == ST_IDLE) assert (row_q == 0);
    // Credits are exact, so the FIFO always has room.
    assert (credit_q + f_inside == N_CREDITS);
    if (issued_q3 && !$past(rst)) assert (fifo_s_ready);
    if (row_end) assert (f_row_q && f_age_q >= 2'd2);
    if (row_end) assert (f_beat_q + issue == BEATS);
    if (tok_start_pulse) assert (tok_avail && (!f_row_q || row_end));
    if (!$past(rst)) begin
      if ($past(m_valid && !m_ready)) begin
        assert (m_valid && m_data == $past(m_data) && m_last == $past(m_last));
      end
      if ($past(issue)) assert (r_addr == $past(addr_q));
      if ($past(row_end && more && tok_avail)) assert (state_q == ST_RUN);
      if ($past(stat_frame_pulse) && !$past(start)) assert (frames_q == $past(frames_q) + 1);
    end
  end
`endif

endmodule

`default_nettype wire
