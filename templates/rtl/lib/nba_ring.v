// SPDX-License-Identifier: Apache-2.0
// nba_ring: tokens and row pointers of one ring of rows in an edge buffer (docs/template.md, row tokens).
// Latency: every pulse takes effect in the next cycle; outputs are functions of registers and `need`.
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

  reg [15:0] started_q;
  reg [15:0] written_q;
  reg [15:0] held_q;
  reg [15:0] released_q;
  reg [15:0] w_off_q;
  reg [15:0] r_off_q;

  wire [15:0] in_use = started_q - released_q;
  wire [15:0] ready  = written_q - held_q;

  // Offsets wrap at the end of the ring: one conditional subtraction, 17 bits wide so that nothing is lost.
  wire [16:0] w_sum  = {1'b0, w_off_q} + {1'b0, ROW_C[15:0]};
  wire [16:0] w_over = w_sum - {1'b0, RING_C[15:0]};
  wire [16:0] r_sum  = {1'b0, r_off_q} + {1'b0, rnext_last ? LAST_C[15:0] : STEP_C[15:0]};
  wire [16:0] r_over = r_sum - {1'b0, RING_C[15:0]};

  always @(posedge clk) begin
    if (start_pulse) started_q <= started_q + 16'd1;
    if (done_pulse) written_q <= written_q + 16'd1;
    if (hold_pulse) held_q <= held_q + hold_rows;
    if (release_pulse) released_q <= released_q + release_rows;
    if (wnext_pulse) w_off_q <= w_over[16] ? w_sum[15:0] : w_over[15:0];
    if (rnext_pulse) r_off_q <= r_over[16] ? r_sum[15:0] : r_over[15:0];
    if (rst) begin
      started_q  <= 16'd0;
      written_q  <= 16'd0;
      held_q     <= 16'd0;
      released_q <= 16'd0;
      w_off_q    <= 16'd0;
      r_off_q    <= INIT_C[15:0];
    end
  end

  assign stat_free  = in_use[15] || in_use < ROWS_C[15:0];
  assign stat_avail = !ready[15] && ready >= need;
  assign w_row_addr = BASE_C[15:0] + w_off_q;
  assign r_row_off  = r_off_q;
  assign r_row_addr = BASE_C[15:0] + r_off_q;

`ifdef FORMAL
  // With users that keep the rules, no row is overwritten before its release and none is read unwritten.
  // Rules: decisions need their tokens, at least one row is needed, at most 4095 are released at once and
  // only held ones, and at most ROWS rows are under way.
  reg f_init_q = 1'b1;
  always @(posedge clk) f_init_q <= 1'b0;
  wire [15:0] f_live = started_q - written_q;
  wire [15:0] f_kept = held_q - released_q;
  wire [15:0] f_sum  = f_live + ready + f_kept;
  always @* begin
    if (f_init_q) assume (rst);
    assume (need != 16'd0 && !need[15]);
    assume (!start_pulse || stat_free);
    assume (!done_pulse || f_live != 16'd0);
    assume (!hold_pulse || (stat_avail && hold_rows < 16'd4096));
    assume (!hold_pulse || f_kept < 16'd8192);
    assume (!release_pulse || release_rows <= f_kept);
  end
  wire signed [15:0] f_in_use = in_use;
  wire signed [15:0] f_ready  = ready;
  wire signed [15:0] f_need   = need;
  wire signed [15:0] f_rows   = ROWS_C[15:0];
  always @(posedge clk) begin
    if (!f_init_q) begin
      assert (in_use == f_sum);
      assert (!in_use[15] || in_use >= 16'hf000);
      assert (f_in_use <= f_rows && f_in_use > -16'sd4096);
      assert (f_ready <= f_rows && f_ready > -16'sd4096);
      assert (f_kept < 16'd12288);
      assert (f_live < 16'd4096 + ROWS_C[15:0]);
      assert (stat_free == (f_in_use < f_rows));
      assert (stat_avail == (f_ready >= f_need));
      assert (w_off_q < RING_C[15:0]);
      assert (r_off_q < RING_C[15:0]);
    end
  end
`endif
endmodule
`default_nettype wire
