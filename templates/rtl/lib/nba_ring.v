// SPDX-License-Identifier: Apache-2.0
// nba_ring: tokens and row pointers of one ring of rows in an edge buffer (docs/template.md, row tokens).
// Latency: a pulse moves pointers and counters in the next cycle, and the flags stat_free and stat_avail, which are
// registers, in the cycle after; so two decisions (start_pulse or hold_pulse) are at least two cycles apart, and
// `need` is that of a decision from the cycle before it on.
// ROWS [rows] 1..16383; HEIGHT [rows] 1..4095: the most that are needed, held or released at once. ROW_WORDS, RING_WORDS = ROWS*ROW_WORDS, BASE, INIT_WORDS, STEP_WORDS, LAST_WORDS
// [words, < 65536; INIT, STEP and LAST are below RING_WORDS: the read pointer's first value, its step per
// consumer row and its step after a frame's last row.
// W_SLICES, R_SLICES 1..255: slices in which the producer and the consumer compute a frame of MAP rows; with more than
// one, ROWS are at least MAP. Rows are taken in the first slice of the producer and written in its last; the consumer
// holds and releases them in its last slice, and waits for all of the map in the others. R_ROWS: rows that the consumer
// computes of a slice. W_BACK, R_BACK [words]: as ROW_WORDS and LAST_WORDS, behind the last row of a slice that others
// follow; W_LAST: behind that of the last slice, where there are several. R_COUNT: 1 if the read pointer moves with
// release_pulse and has no rnext_last (residual operands), so that rows are counted; else with hold_pulse.
// SHARED 1: the ring has its memory in turns with others, W_SLICES * MAP <= 1048575. A frame's first row then also needs
// a turn, which take_pulse of another ring brings (OWNS 1: there is one after reset); it goes on with give_pulse, a
// cycle behind the release of the frame's last row. Every row of a frame is read before its last one is released.
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
  parameter integer LAST_WORDS = 1,
  parameter integer HEIGHT     = 4095,
  parameter integer MAP        = 1,
  parameter integer W_SLICES   = 1,
  parameter integer W_BACK     = 0,
  parameter integer W_LAST     = 0,
  parameter integer R_SLICES   = 1,
  parameter integer R_ROWS     = 1,
  parameter integer R_BACK     = 0,
  parameter integer R_COUNT    = 0,
  parameter integer SHARED     = 0,
  parameter integer OWNS       = 0
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
  input  wire [15:0] release_rows,
  // the memory, where others have it too
  input  wire        take_pulse,
  output wire        give_pulse
);
  localparam [31:0] ROWS_C = ROWS;
  localparam [31:0] ROW_C  = ROW_WORDS;
  localparam [31:0] RING_C = RING_WORDS;
  localparam [31:0] BASE_C = BASE;
  localparam [31:0] INIT_C = INIT_WORDS;
  localparam [31:0] FIRST_C = BASE + INIT_WORDS;
  localparam [31:0] STEP_C = STEP_WORDS;
  localparam [31:0] LAST_C = LAST_WORDS;
  localparam [31:0] MAP_C    = MAP;
  localparam [31:0] W_BACK_C = W_BACK;
  localparam [31:0] W_LAST_C = W_LAST;
  localparam [31:0] R_BACK_C = R_BACK;

  // Bits of a signed number of rows, of an offset in the ring, and of an address.
  localparam integer MOST  = (ROWS > HEIGHT) ? ROWS : HEIGHT;
  localparam integer CNT_W = $clog2(MOST + 1) + 1;
  localparam integer OFF_W = (RING_WORDS > 1) ? $clog2(RING_WORDS) : 1;
  localparam integer ADR_W = (BASE + RING_WORDS > 1) ? $clog2(BASE + RING_WORDS) : 1;

  localparam [OFF_W:0] W_OVER    = ROW_C[OFF_W:0] - RING_C[OFF_W:0];
  localparam [OFF_W:0] STEP_OVER = STEP_C[OFF_W:0] - RING_C[OFF_W:0];
  localparam [OFF_W:0] LAST_OVER = LAST_C[OFF_W:0] - RING_C[OFF_W:0];
  localparam [OFF_W:0] W_BACK_OVER = W_BACK_C[OFF_W:0] - RING_C[OFF_W:0];
  localparam [OFF_W:0] W_LAST_OVER = W_LAST_C[OFF_W:0] - RING_C[OFF_W:0];
  localparam [OFF_W:0] R_BACK_OVER = R_BACK_C[OFF_W:0] - RING_C[OFF_W:0];

  // Both signed: rows started and not released; rows written and not held.
  reg [CNT_W-1:0] in_use_q;
  reg [CNT_W-1:0] ready_q;
  reg             free_q;
  reg             avail_q;
  reg [OFF_W-1:0] w_off_q;
  reg [ADR_W-1:0] w_addr_q;
  reg [OFF_W-1:0] r_off_q;
  reg [ADR_W-1:0] r_addr_q;

  // Which rows count in the slices of the producer, when it decides and when it writes, and in those of the consumer.
  wire start_first;
  wire start_last;
  wire start_end;
  wire write_first;
  wire write_last;
  wire write_end;
  wire hold_first;
  wire hold_last;
  wire hold_end;
  wire release_first;
  wire release_last;
  wire release_end;
  nba_slices #(
    .ROWS  (MAP),
    .SLICES(W_SLICES)
  ) u_start (
    .clk       (clk),
    .rst       (rst),
    .row_pulse (start_pulse),
    .stat_first(start_first),
    .stat_last (start_last),
    .stat_end  (start_end)
  );
  nba_slices #(
    .ROWS  (MAP),
    .SLICES(W_SLICES)
  ) u_write (
    .clk       (clk),
    .rst       (rst),
    .row_pulse (done_pulse),
    .stat_first(write_first),
    .stat_last (write_last),
    .stat_end  (write_end)
  );
  nba_slices #(
    .ROWS  (R_ROWS),
    .SLICES(R_SLICES)
  ) u_hold (
    .clk       (clk),
    .rst       (rst),
    .row_pulse (hold_pulse),
    .stat_first(hold_first),
    .stat_last (hold_last),
    .stat_end  (hold_end)
  );
  nba_slices #(
    .ROWS  (R_ROWS),
    .SLICES(R_SLICES)
  ) u_release (
    .clk       (clk),
    .rst       (rst),
    .row_pulse (release_pulse),
    .stat_first(release_first),
    .stat_last (release_last),
    .stat_end  (release_end)
  );
  wire taken    = start_pulse && start_first;
  wire written  = done_pulse && write_last;
  wire held     = hold_pulse && hold_last;
  wire released = release_pulse && release_last;
  wire [CNT_W-1:0] need_now = hold_last ? need[CNT_W-1:0] : MAP_C[CNT_W-1:0];

  // Whose the memory is: a frame takes the turn with its first row and gives it on when all of its rows are released.
  wire may_start;
  generate
    if (SHARED != 0) begin : g_shared
      localparam [31:0]  FRAME = MAP * W_SLICES - 1;
      localparam integer FRM_W = (FRAME > 0) ? $clog2(FRAME + 1) : 1;
      localparam integer MAP_W = $clog2(MAP + 1);
      reg             own_q;
      reg             open_q;
      reg [FRM_W-1:0] begun_q;
      reg [MAP_W-1:0] freed_q;
      wire            ends  = begun_q == FRAME[FRM_W-1:0];
      wire            empty = freed_q == MAP_C[MAP_W-1:0];
      always @(posedge clk) begin
        own_q   <= take_pulse || (own_q && !(start_pulse && open_q));
        freed_q <= (empty ? {MAP_W{1'b0}} : freed_q) + (released ? release_rows[MAP_W-1:0] : {MAP_W{1'b0}});
        if (start_pulse) begin
          open_q  <= ends;
          begun_q <= ends ? {FRM_W{1'b0}} : begun_q + 1'b1;
        end
        if (rst) begin
          own_q   <= OWNS != 0;
          open_q  <= 1'b1;
          begun_q <= {FRM_W{1'b0}};
          freed_q <= {MAP_W{1'b0}};
        end
      end
      assign may_start  = own_q || !open_q;
      assign give_pulse = empty;
`ifdef FORMAL
      // A turn is given on when nothing of the frame is left, and once only. Rules: none is taken while there is one; the
      // last rows of a frame are released when all of them are written. (Of producers without slices.)
      reg             f_begun_q = 1'b0;
      reg             f_alive_q;
      reg [MAP_W-1:0] f_taken_q;
      reg [MAP_W-1:0] f_written_q;
      wire [15:0]     f_freed = {{(16-MAP_W){1'b0}}, freed_q};
      wire [15:0]     f_taken = {{(16-MAP_W){1'b0}}, f_taken_q};
      wire [15:0]     f_count = {{(16-CNT_W){in_use_q[CNT_W-1]}}, in_use_q};
      always @(posedge clk) begin
        f_begun_q   <= 1'b1;
        f_alive_q   <= !rst && ((f_alive_q && !give_pulse) || (start_pulse && open_q));
        f_taken_q   <= (rst || give_pulse) ? {MAP_W{1'b0}} : f_taken_q + {{(MAP_W-1){1'b0}}, taken};
        f_written_q <= (rst || give_pulse) ? {MAP_W{1'b0}} : f_written_q + {{(MAP_W-1){1'b0}}, written};
      end
      always @* begin
        if (f_begun_q) begin
          assume (!take_pulse || (!own_q && !f_alive_q));
          assume (!released || (f_alive_q && f_freed + release_rows <= MAP));
          assume (!released || f_freed + release_rows < MAP || f_written_q == MAP_C[MAP_W-1:0]);
          assume (!released || !empty);
          assume (!written || f_written_q < f_taken_q);
        end
      end
      if (W_SLICES == 1 && R_SLICES == 1) begin : g_turn
        always @(posedge clk) begin
          if (f_begun_q) begin
            assert (!(own_q && f_alive_q));
            assert (f_freed <= MAP && f_taken <= MAP && f_written_q <= f_taken_q);
            assert (f_count == f_taken - f_freed);
            if (!f_alive_q) assert (open_q && f_taken == 16'd0 && f_freed == 16'd0);
            if (open_q) assert (begun_q == {FRM_W{1'b0}});
            if (!open_q) assert (f_alive_q && begun_q == f_taken_q && f_taken < MAP && begun_q != {FRM_W{1'b0}});
            if (open_q && f_alive_q) assert (f_taken == MAP);
            if (f_freed == MAP) assert (f_written_q == MAP_C[MAP_W-1:0]);
            if (give_pulse) assert (f_alive_q && open_q && in_use_q == {CNT_W{1'b0}});
          end
        end
      end
`endif
    end else begin : g_own
      wire unused_own = &{1'b0, take_pulse};
      assign may_start  = 1'b1;
      assign give_pulse = 1'b0;
    end
  endgenerate

  // Offsets wrap at the end of the ring: the sum with and without the ring's length, a bit wider so that nothing is
  // lost.
  wire             r_end  = (R_COUNT != 0) ? release_end : rnext_last;
  wire             r_last = (R_COUNT != 0) ? release_last : hold_last;
  wire [OFF_W-1:0] w_sum  = w_off_q + (!write_end ? ROW_C[OFF_W-1:0] : write_last ? W_LAST_C[OFF_W-1:0] : W_BACK_C[OFF_W-1:0]);
  wire [OFF_W:0]   w_over = {1'b0, w_off_q} + (!write_end ? W_OVER : write_last ? W_LAST_OVER : W_BACK_OVER);
  wire [OFF_W-1:0] w_next = w_over[OFF_W] ? w_sum : w_over[OFF_W-1:0];
  wire [OFF_W-1:0] r_sum  = r_off_q + (!r_end ? STEP_C[OFF_W-1:0] : r_last ? LAST_C[OFF_W-1:0] : R_BACK_C[OFF_W-1:0]);
  wire [OFF_W:0]   r_over = {1'b0, r_off_q} + (!r_end ? STEP_OVER : r_last ? LAST_OVER : R_BACK_OVER);
  wire [OFF_W-1:0] r_next = r_over[OFF_W] ? r_sum : r_over[OFF_W-1:0];
  wire [16:0]      w_next_long = {{(17-OFF_W){1'b0}}, w_next};
  wire [16:0]      r_next_long = {{(17-OFF_W){1'b0}}, r_next};

  always @(posedge clk) begin
    in_use_q <= in_use_q + {{(CNT_W-1){1'b0}}, taken} - (released ? release_rows[CNT_W-1:0] : {CNT_W{1'b0}});
    ready_q  <= ready_q + {{(CNT_W-1){1'b0}}, written} - (held ? hold_rows[CNT_W-1:0] : {CNT_W{1'b0}});
    free_q   <= may_start && (in_use_q[CNT_W-1] || in_use_q < ROWS_C[CNT_W-1:0] || !start_first);
    avail_q  <= !ready_q[CNT_W-1] && ready_q >= need_now;
    if (wnext_pulse) begin
      w_off_q  <= w_next;
      w_addr_q <= BASE_C[ADR_W-1:0] + w_next_long[ADR_W-1:0];
    end
    if (rnext_pulse) begin
      r_off_q  <= r_next;
      r_addr_q <= BASE_C[ADR_W-1:0] + r_next_long[ADR_W-1:0];
    end
    if (rst) begin
      in_use_q <= {CNT_W{1'b0}};
      ready_q  <= {CNT_W{1'b0}};
      free_q   <= SHARED == 0 || OWNS != 0;
      avail_q  <= 1'b0;
      w_off_q  <= {OFF_W{1'b0}};
      w_addr_q <= BASE_C[ADR_W-1:0];
      r_off_q  <= INIT_C[OFF_W-1:0];
      r_addr_q <= FIRST_C[ADR_W-1:0];
    end
  end

  wire [16:0] w_addr_long = {{(17-ADR_W){1'b0}}, w_addr_q};
  wire [16:0] r_off_long  = {{(17-OFF_W){1'b0}}, r_off_q};
  wire [16:0] r_addr_long = {{(17-ADR_W){1'b0}}, r_addr_q};
  assign stat_free  = free_q;
  assign stat_avail = avail_q;
  assign w_row_addr = w_addr_long[15:0];
  assign r_row_off  = r_off_long[15:0];
  assign r_row_addr = r_addr_long[15:0];
  wire unused = &{1'b0, start_last, start_end, write_first, hold_first, hold_end, release_first, release_end, need, hold_rows, release_rows, w_next_long, r_next_long, w_addr_long, r_off_long, r_addr_long};

`ifdef FORMAL
  // With users that keep the rules, no row is overwritten before its release and none is read unwritten.
  // Rules: decisions need their tokens, are two cycles apart and take what was needed a cycle before; at least one
  // row is needed, at most HEIGHT are needed, held or released at once, and at most ROWS rows are under way.
  reg f_init_q = 1'b1;
  reg f_start_q;
  reg f_hold_q;
  reg [15:0] f_need_q;
  reg [15:0] f_live_q;
  reg [15:0] f_kept_q;
  reg        f_early_q;
  reg        f_turn_q;
  always @(posedge clk) begin
    f_init_q  <= 1'b0;
    f_start_q <= start_pulse && !rst;
    f_hold_q  <= hold_pulse && !rst;
    f_early_q <= !start_first;
    f_turn_q  <= may_start;
    f_need_q  <= need;
    f_live_q  <= f_live_q + {15'd0, taken} - {15'd0, written};
    f_kept_q  <= f_kept_q + (held ? hold_rows : 16'd0) - (released ? release_rows : 16'd0);
    if (rst) begin
      f_live_q <= 16'd0;
      f_kept_q <= 16'd0;
    end
  end
  always @* begin
    if (f_init_q) assume (rst);
    assume (need != 16'd0 && need <= HEIGHT);
    assume (!start_pulse || (stat_free && !f_start_q));
    assume (!written || f_live_q != 16'd0);
    assume (!hold_pulse || (stat_avail && !f_hold_q && need == f_need_q && hold_rows <= HEIGHT));
    assume (!hold_pulse || f_kept_q < 16'd8192);
    assume (!released || (release_rows <= f_kept_q && release_rows <= HEIGHT));
  end
  wire signed [15:0] f_in_use = {{(16-CNT_W){in_use_q[CNT_W-1]}}, in_use_q};
  wire signed [15:0] f_ready  = {{(16-CNT_W){ready_q[CNT_W-1]}}, ready_q};
  wire signed [15:0] f_least  = -HEIGHT;
  wire signed [15:0] f_need   = need;
  wire signed [15:0] f_rows   = ROWS_C[15:0];
  wire signed [15:0] f_prior  = f_need_q;
  wire signed [15:0] f_map    = MAP_C[15:0];
  always @(posedge clk) begin
    if (!f_init_q) begin
      assert (f_in_use[15:0] == f_live_q + f_ready[15:0] + f_kept_q);
      assert (f_in_use <= f_rows && f_in_use > f_least);
      assert (f_ready <= f_rows && f_ready > f_least);
      assert (f_kept_q < 16'd12288);
      assert (f_live_q < 16'd4096 + ROWS_C[15:0]);
      // What a flag says holds still, unless it was used a cycle ago.
      if (stat_free && !f_start_q && start_first) assert (f_in_use < f_rows);
      if (stat_avail && !f_hold_q) assert (f_ready >= (hold_last ? f_prior : f_map));
      assert (w_off_q < RING_C[15:0] && r_off_q < RING_C[15:0]);
      assert (w_row_addr == BASE_C[15:0] + w_off_q);
      assert (r_row_addr == BASE_C[15:0] + r_off_q);
      if ($past(!rst)) begin
        assert (stat_free == (f_turn_q && ($past(f_in_use) < f_rows || f_early_q)));
        assert (stat_avail == ($past(f_ready) >= $past(hold_last ? f_need : f_map)));
      end
    end
  end
`endif
endmodule
`default_nettype wire
