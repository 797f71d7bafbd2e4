// SPDX-License-Identifier: Apache-2.0
// nba_ring: tokens and row pointers of one ring of rows in an edge buffer (docs/template.md, row tokens).
// Latency: a pulse moves pointers and counters in the next cycle, and the flags stat_free and stat_avail, which are
// registers, in the cycle after; so two decisions (start_pulse or hold_pulse) are at least two cycles apart, and
// `need` is that of a decision from the cycle before it on.
// ROWS [rows] 1..32767; ROW_WORDS, RING_WORDS = ROWS*ROW_WORDS, BASE, INIT_WORDS, STEP_WORDS, LAST_WORDS
// [words, < 65536]; INIT, STEP and LAST are below RING_WORDS: the read pointer's first value, its step per
// consumer row and its step after a frame's last row.
// The producer never starts more than ROWS rows beyond the released ones. A consumer may release rows that it
// skips before they are written (kernel smaller than stride), so both differences are signed.
// Reset: all counters to 0, pointers to the start of the ring.
`default_nettype none
module nba_ring #(
  parameter integer ROWS       = 2,
  parameter integer ROW_WORDS  = 1,
  parameter integer RING_WORDS = 2,
  parameter integer BASE       = 0,
  parameter integer INIT_WORDS = 0,
  parameter integer STEP_WORDS = 1,
  parameter integer LAST_WORDS = 1
) (
  input  wire        clk,
  input  wire        rst,
  // producer: decision, then rows written
  input  wire        start_pulse,
  output wire        stat_free,
  input  wire        wnext_pulse,
  output wire [15:0] w_row_addr,
  input  wire        done_pulse,
  // consumer: decision, row pointer, release
  input  wire [15:0] need,
  output wire        stat_avail,
  input  wire        hold_pulse,
  input  wire [15:0] hold_rows,
  input  wire        rnext_pulse,
  input  wire        rnext_last,
  output wire [15:0] r_row_off,
  output wire [15:0] r_row_addr,
  input  wire        release_pulse,
  input  wire [15:0] release_rows
);
  localparam [31:0] ROWS_C = ROWS;
  localparam [31:0] ROW_C  = ROW_WORDS;
  localparam [31:0] RING_C = RING_WORDS;
  localparam [31:0] BASE_C = BASE;
  localparam [31:0] INIT_C = INIT_WORDS;
  localparam [31:0] STEP_C = STEP_WORDS;
  localparam [31:0] LAST_C = LAST_WORDS;

  localparam [16:0] W_OVER    = {1'b0, ROW_C[15:0]} - {1'b0, RING_C[15:0]};
  localparam [16:0] STEP_OVER = {1'b0, STEP_C[15:0]} - {1'b0, RING_C[15:0]};
  localparam [16:0] LAST_OVER = {1'b0, LAST_C[15:0]} - {1'b0, RING_C[15:0]};

  // Both signed: rows started and not released; rows written and not held.
  reg [15:0] in_use_q;
  reg [15:0] ready_q;
  reg        free_q;
  reg        avail_q;
  reg [15:0] w_off_q;
  reg [15:0] w_addr_q;
  reg [15:0] r_off_q;
  reg [15:0] r_addr_q;

  // Offsets wrap at the end of the ring: the sum with and without the ring's length, 17 bits wide so that nothing
  // is lost.
  wire [15:0] w_sum  = w_off_q + ROW_C[15:0];
  wire [16:0] w_over = {1'b0, w_off_q} + W_OVER;
  wire [15:0] w_next = w_over[16] ? w_sum : w_over[15:0];
  wire [15:0] r_sum  = r_off_q + (rnext_last ? LAST_C[15:0] : STEP_C[15:0]);
  wire [16:0] r_over = {1'b0, r_off_q} + (rnext_last ? LAST_OVER : STEP_OVER);
  wire [15:0] r_next = r_over[16] ? r_sum : r_over[15:0];

  always @(posedge clk) begin
    in_use_q <= in_use_q + {15'd0, start_pulse} - (release_pulse ? release_rows : 16'd0);
    ready_q  <= ready_q + {15'd0, done_pulse} - (hold_pulse ? hold_rows : 16'd0);
    free_q   <= in_use_q[15] || in_use_q < ROWS_C[15:0];
    avail_q  <= !ready_q[15] && ready_q >= need;
    if (wnext_pulse) begin
      w_off_q  <= w_next;
      w_addr_q <= BASE_C[15:0] + w_next;
    end
    if (rnext_pulse) begin
      r_off_q  <= r_next;
      r_addr_q <= BASE_C[15:0] + r_next;
    end
    if (rst) begin
      in_use_q <= 16'd0;
      ready_q  <= 16'd0;
      free_q   <= 1'b1;
      avail_q  <= 1'b0;
      w_off_q  <= 16'd0;
      w_addr_q <= BASE_C[15:0];
      r_off_q  <= INIT_C[15:0];
      r_addr_q <= BASE_C[15:0] + INIT_C[15:0];
    end
  end

  assign stat_free  = free_q;
  assign stat_avail = avail_q;
  assign w_row_addr = w_addr_q;
  assign r_row_off  = r_off_q;
  assign r_row_addr = r_addr_q;

`ifdef FORMAL
  // With users that keep the rules, no row is overwritten before its release and none is read unwritten.
  // Rules: decisions need their tokens, are two cycles apart and take what was needed a cycle before; at least one
  // row is needed, at most 4095 are released at once and only held ones, and at most ROWS rows are under way.
  reg f_init_q = 1'b1;
  reg f_start_q;
  reg f_hold_q;
  reg [15:0] f_need_q;
  reg [15:0] f_live_q;
  reg [15:0] f_kept_q;
  always @(posedge clk) begin
    f_init_q  <= 1'b0;
    f_start_q <= start_pulse && !rst;
    f_hold_q  <= hold_pulse && !rst;
    f_need_q  <= need;
    f_live_q  <= f_live_q + {15'd0, start_pulse} - {15'd0, done_pulse};
    f_kept_q  <= f_kept_q + (hold_pulse ? hold_rows : 16'd0) - (release_pulse ? release_rows : 16'd0);
    if (rst) begin
      f_live_q <= 16'd0;
      f_kept_q <= 16'd0;
    end
  end
  always @* begin
    if (f_init_q) assume (rst);
    assume (need != 16'd0 && !need[15]);
    assume (!start_pulse || (stat_free && !f_start_q));
    assume (!done_pulse || f_live_q != 16'd0);
    assume (!hold_pulse || (stat_avail && !f_hold_q && need == f_need_q && hold_rows < 16'd4096));
    assume (!hold_pulse || f_kept_q < 16'd8192);
    assume (!release_pulse || release_rows <= f_kept_q);
  end
  wire signed [15:0] f_in_use = in_use_q;
  wire signed [15:0] f_ready  = ready_q;
  wire signed [15:0] f_need   = need;
  wire signed [15:0] f_rows   = ROWS_C[15:0];
  wire signed [15:0] f_prior  = f_need_q;
  always @(posedge clk) begin
    if (!f_init_q) begin
      assert (in_use_q == f_live_q + ready_q + f_kept_q);
      assert (!in_use_q[15] || in_use_q >= 16'hf000);
      assert (f_in_use <= f_rows && f_in_use > -16'sd4096);
      assert (f_ready <= f_rows && f_ready > -16'sd4096);
      assert (f_kept_q < 16'd12288);
      assert (f_live_q < 16'd4096 + ROWS_C[15:0]);
      // What a flag says holds still, unless it was used a cycle ago.
      if (stat_free && !f_start_q) assert (f_in_use < f_rows);
      if (stat_avail && !f_hold_q) assert (f_ready >= f_prior);
      assert (w_off_q < RING_C[15:0]);
      assert (r_off_q < RING_C[15:0]);
      assert (w_row_addr == BASE_C[15:0] + w_off_q);
      assert (r_row_addr == BASE_C[15:0] + r_off_q);
      if ($past(!rst)) begin
        assert (stat_free == ($past(f_in_use) < f_rows));
        assert (stat_avail == ($past(f_ready) >= $past(f_need)));
      end
    end
  end
`endif
endmodule
`default_nettype wire
