// SPDX-License-Identifier: Apache-2.0
// nba_store: a chunk's weight memory: words that are always there, and slots that slices from external memory fill in
// turn (docs/template.md, weights from external memory).
// Read latency 3 cycles: s_addr, the sum with the slot's first word, the memory, its output register; throughput one
// word per cycle. s_slot 1: s_addr is a word of the slice in the slot that is being read; 0: a word from 0 on. From the
// cycle after next_pulse on that is the next slot.
// Beats (s_valid, s_data, s_last) fill a slot from its word 0 on: ceil(WIDTH/BUS) beats a word, low bits first, the bits
// above WIDTH ignored; s_last ends the slice. One beat per cycle at any time.
// Tokens: those of a ring (nba_ring) of SLOTS rows. take_pulse reserves a slot, and stat_free is valid again two cycles
// later; s_last in cycle b is seen in stat_avail from b+2 on; hold_pulse starts to use a slice (the next one two cycles
// later at the earliest), release_pulse frees its slot: it may come with its last address.
// WIDTH: word [bits]. BUS: beat [bits]. DEPTH [words]: those of FILE, a bare name; 0: none. SLOT_WORDS [words] 1 or
// more; SLOTS 2..8. DEPTH + SLOTS*SLOT_WORDS < 65536. BLOCK: 1 block memory, 0 distributed;
// 2 UltraRAM, which no file fills: DEPTH 0.
// Layout: words of FILE from address 0 on, slot s at DEPTH + s*SLOT_WORDS.
// Reset: all slots are free and nothing is in them; words stay.
`default_nettype none
module nba_store #(
  parameter integer WIDTH      = 64,
  parameter integer BUS        = 32,
  parameter integer DEPTH      = 0,
  parameter integer SLOT_WORDS = 4,
  parameter integer SLOTS      = 2,
  parameter integer BLOCK      = 0,
  parameter         FILE       = "weights.mem"
) (
  input  wire             clk,
  input  wire             rst,
  // producer: reservation, beats
  input  wire             take_pulse,
  output wire             stat_free,
  input  wire             s_valid,
  input  wire [BUS-1:0]   s_data,
  input  wire             s_last,
  // consumer: tokens, slot pointer, addresses
  output wire             stat_avail,
  input  wire             hold_pulse,
  input  wire             release_pulse,
  input  wire             next_pulse,
  input  wire             s_slot,
  input  wire [15:0]      s_addr,
  output wire [WIDTH-1:0] m_word
);
  localparam integer COLS  = (WIDTH + BUS - 1) / BUS;
  localparam integer WORDS = DEPTH + SLOTS * SLOT_WORDS;
  localparam integer AW    = $clog2(WORDS);
  localparam integer PART  = (WIDTH < BUS) ? WIDTH : BUS;
  localparam integer REST  = WIDTH - (COLS - 1) * BUS;

  wire [15:0] w_slot;
  wire [15:0] r_slot;
  wire [15:0] r_off;
  wire        give;
  wire        done = s_valid && s_last;
  nba_ring #(
    .ROWS      (SLOTS),
    .ROW_WORDS (SLOT_WORDS),
    .RING_WORDS(SLOTS * SLOT_WORDS),
    .BASE      (DEPTH),
    .INIT_WORDS(0),
    .STEP_WORDS(SLOT_WORDS),
    .LAST_WORDS(SLOT_WORDS),
    .HEIGHT    (1)
  ) u_slots (
    .clk          (clk),
    .rst          (rst),
    .start_pulse  (take_pulse),
    .stat_free    (stat_free),
    .wnext_pulse  (done),
    .w_row_addr   (w_slot),
    .done_pulse   (done),
    .need         (16'd1),
    .stat_avail   (stat_avail),
    .hold_pulse   (hold_pulse),
    .hold_rows    (16'd1),
    .rnext_pulse  (next_pulse),
    .rnext_last   (1'b0),
    .r_row_off    (r_off),
    .r_row_addr   (r_slot),
    .release_pulse(release_pulse),
    .release_rows (16'd1),
    .take_pulse   (1'b0),
    .give_pulse   (give)
  );

  // ---------------------------------------------------------------- write: a beat into its column, a cycle later
  // The next beat is the first of a slice; else it goes to this word. One bit per column: where the next beat goes.
  reg            first_q;
  reg [AW-1:0]   word_q;
  reg [COLS-1:0] col_q;
  reg [COLS-1:0] w_en_q;
  reg [AW-1:0]   w_addr_q;
  reg [BUS-1:0]  w_data_q;

  wire [AW-1:0]   w_addr  = first_q ? w_slot[AW-1:0] : word_q;
  wire            col_end = s_last || col_q[COLS-1];
  wire [COLS-1:0] col_next;
  wire [COLS-1:0] col_zero;
  generate
    if (COLS > 1) begin : g_cols
      assign col_next = {col_q[COLS-2:0], 1'b0};
      assign col_zero = {{(COLS-1){1'b0}}, 1'b1};
    end else begin : g_col
      assign col_next = 1'b1;
      assign col_zero = 1'b1;
    end
  endgenerate

  always @(posedge clk) begin
    w_en_q   <= col_q & {COLS{s_valid}};
    w_addr_q <= w_addr;
    w_data_q <= s_data;
    if (s_valid) begin
      first_q <= s_last;
      word_q  <= col_q[COLS-1] ? w_addr + 1'b1 : w_addr;
      col_q   <= col_end ? col_zero : col_next;
    end
    if (rst) begin
      first_q <= 1'b1;
      col_q   <= col_zero;
      w_en_q  <= {COLS{1'b0}};
    end
  end

  // ---------------------------------------------------------------- read
  reg [15:0] r_addr_q;
  always @(posedge clk) r_addr_q <= s_addr + (r_slot & {16{s_slot}});
  wire [AW-1:0] r_addr = r_addr_q[AW-1:0];
  wire unused = &{1'b0, w_slot, r_off, r_addr_q, w_data_q, give};

  wire [WIDTH-1:0] word;
  reg  [WIDTH-1:0] m_word_q;
  always @(posedge clk) m_word_q <= word;
  assign m_word = m_word_q;

`ifdef FORMAL
  // With slices that fit their slots, and pointers of the ring that count slots, every beat lies where the layout says,
  // nothing else changes, and a read gives the word of its address.
  // Any bit of the memory; where the next beat goes.
  (* anyconst *) wire [AW-1:0] f_a;
  (* anyconst *) wire [15:0]   f_b;
  wire [WIDTH-1:0] f_mem;
  wire [WIDTH-1:0] f_shifted = f_mem >> f_b;
  reg              f_init_q = 1'b1;
  reg              f_known_q = 1'b0;
  reg              f_value_q;
  reg              f_hit_q;
  reg              f_bit_q;
  reg [15:0]       f_slot_q;
  reg [15:0]       f_word_q;
  reg [15:0]       f_col_q;
  reg [15:0]       f_read_q;
  wire [15:0]      f_place = DEPTH + f_slot_q * SLOT_WORDS + f_word_q;
  wire [15:0]      f_r_addr = s_slot ? s_addr + DEPTH + f_read_q * SLOT_WORDS : s_addr;
  wire [BUS-1:0]   f_beat  = s_data >> (f_b % BUS);
  wire [COLS-1:0]  f_one   = col_zero << f_col_q;
  always @(posedge clk) begin
    f_init_q <= 1'b0;
    f_hit_q  <= s_valid && !rst && f_place == {{(16-AW){1'b0}}, f_a} && f_col_q == f_b / BUS;
    f_bit_q  <= f_beat[0];
    if (f_hit_q) begin
      f_known_q <= 1'b1;
      f_value_q <= f_bit_q;
    end
    if (s_valid) begin
      f_col_q  <= (f_col_q == COLS - 1) ? 16'd0 : f_col_q + 16'd1;
      f_word_q <= (f_col_q == COLS - 1) ? f_word_q + 16'd1 : f_word_q;
      if (s_last) begin
        f_col_q  <= 16'd0;
        f_word_q <= 16'd0;
        f_slot_q <= (f_slot_q == SLOTS - 1) ? 16'd0 : f_slot_q + 16'd1;
      end
    end
    if (next_pulse) f_read_q <= (f_read_q == SLOTS - 1) ? 16'd0 : f_read_q + 16'd1;
    if (rst) begin
      f_col_q  <= 16'd0;
      f_word_q <= 16'd0;
      f_slot_q <= 16'd0;
      f_read_q <= 16'd0;
    end
  end
  always @* begin
    if (f_init_q) assume (rst && !f_hit_q);
    assume (f_b < WIDTH && {{(16-AW){1'b0}}, f_a} < WORDS);
    if (s_valid) assume (f_word_q < SLOT_WORDS);
    if (!f_init_q) assume (w_slot == DEPTH + f_slot_q * SLOT_WORDS && r_slot == DEPTH + f_read_q * SLOT_WORDS);
  end
  always @(posedge clk) begin
    if (f_init_q) assume (w_en_q == {COLS{1'b0}});
    if (!f_init_q) begin
      assert (f_slot_q < SLOTS && f_read_q < SLOTS && f_word_q <= SLOT_WORDS && f_col_q < COLS);
      assert (col_q == f_one && first_q == (f_word_q == 16'd0 && f_col_q == 16'd0));
      if (!first_q) assert ({{(16-AW){1'b0}}, word_q} == f_place || f_word_q == SLOT_WORDS);
      if (w_en_q != {COLS{1'b0}}) assert ({{(16-AW){1'b0}}, w_addr_q} >= DEPTH && {{(16-AW){1'b0}}, w_addr_q} < WORDS);
      assert ((w_en_q[f_b / BUS] && w_addr_q == f_a) == f_hit_q);
      if (f_known_q) assert (f_shifted[0] == f_value_q);
      if (f_known_q && !f_hit_q && $past(!f_hit_q)) assert (f_shifted[0] == $past(f_shifted[0]));
      if ($past(!f_init_q)) assert (r_addr_q == $past(f_r_addr));
      if ($past(r_addr) == f_a) assert (word == $past(f_mem));
      assert (m_word == $past(word));
    end
  end
`endif

  // ---------------------------------------------------------------- the memory, one write enable per column
  generate
    if (BLOCK == 2) begin : g_ultra
      (* ram_style = "ultra" *) (* no_rw_check *) reg [WIDTH-1:0] word_mem [0:WORDS-1];
      reg [WIDTH-1:0] out_q;
      integer i;
`ifndef SYNTHESIS
      integer k;
      initial for (k = DEPTH; k < WORDS; k = k + 1) word_mem[k] = {WIDTH{1'b0}};
`endif

      always @(posedge clk) begin
        for (i = 0; i < COLS - 1; i = i + 1) begin
          if (w_en_q[i]) word_mem[w_addr_q][i*PART +: PART] <= w_data_q[PART-1:0];
        end
        if (w_en_q[COLS-1]) word_mem[w_addr_q][(COLS-1)*PART +: REST] <= w_data_q[REST-1:0];
      end

      always @(posedge clk) out_q <= word_mem[r_addr];

      assign word = out_q;
`ifdef FORMAL
      assign f_mem = word_mem[f_a];
`endif
    end else if (BLOCK == 1) begin : g_block
      (* ram_style = "block" *) (* no_rw_check *) reg [WIDTH-1:0] word_mem [0:WORDS-1];
      reg [WIDTH-1:0] out_q;
      integer i;
`ifndef SYNTHESIS
      integer k;
      initial for (k = DEPTH; k < WORDS; k = k + 1) word_mem[k] = {WIDTH{1'b0}};
`endif
      if (DEPTH > 0) begin : g_file
        initial $readmemh(FILE, word_mem, 0, DEPTH - 1);
      end

      always @(posedge clk) begin
        for (i = 0; i < COLS - 1; i = i + 1) begin
          if (w_en_q[i]) word_mem[w_addr_q][i*PART +: PART] <= w_data_q[PART-1:0];
        end
        if (w_en_q[COLS-1]) word_mem[w_addr_q][(COLS-1)*PART +: REST] <= w_data_q[REST-1:0];
      end

      always @(posedge clk) out_q <= word_mem[r_addr];

      assign word = out_q;
`ifdef FORMAL
      assign f_mem = word_mem[f_a];
`endif
    end else begin : g_dist
      (* ram_style = "distributed" *) (* no_rw_check *) reg [WIDTH-1:0] word_mem [0:WORDS-1];
      reg [WIDTH-1:0] out_q;
      integer i;
`ifndef SYNTHESIS
      integer k;
      initial for (k = DEPTH; k < WORDS; k = k + 1) word_mem[k] = {WIDTH{1'b0}};
`endif
      if (DEPTH > 0) begin : g_file
        initial $readmemh(FILE, word_mem, 0, DEPTH - 1);
      end

      always @(posedge clk) begin
        for (i = 0; i < COLS - 1; i = i + 1) begin
          if (w_en_q[i]) word_mem[w_addr_q][i*PART +: PART] <= w_data_q[PART-1:0];
        end
        if (w_en_q[COLS-1]) word_mem[w_addr_q][(COLS-1)*PART +: REST] <= w_data_q[REST-1:0];
      end

      always @(posedge clk) out_q <= word_mem[r_addr];

      assign word = out_q;
`ifdef FORMAL
      assign f_mem = word_mem[f_a];
`endif
    end
  endgenerate
endmodule
`default_nettype wire
