// SPDX-License-Identifier: Apache-2.0
// nba_writer: places a producer's steps (PP columns x WLANES channels) into one edge buffer: word and lane of
// the channels, bank and address of the columns, in the layout that the consumer reads (docs/template.md).
// Latency 2 cycles, one step per cycle; the codes of a step (s_data) come a cycle behind its flags. A row counts as
// written (w_done_pulse) with the flags of its last step: a reader that sees it so reads it later than it is written.
// Steps come column group by column group, channel group by channel group; within one, pass by pass over its channels,
// PP columns each. s_again: last step of a pass, another one follows; s_group_last: last step of a channel group.
// BANKS 1..16; PP divides BANKS. WIDE: 1 if cfg_split may be above 1, or BANKS above 8; else 0. LANES = codes per word of the edge, WLANES divides LANES. C_BITS: code [bits]
// (8, 16). s_data: channel m of column p is code p*WLANES + m. cfg_*: the current job's ring, stable over
// its steps and two cycles before; cfg_split: the stride of its reader - 1.
// AW 4..16: bits of an address of the edge, whose words number 2^AW at most.
// Steps whose channels lie beyond cfg_words words per column write nothing. Reset clears the position.
`default_nettype none
module nba_writer #(
  parameter integer PP     = 2,
  parameter integer BANKS  = 2,
  parameter integer WIDE   = 0,
  parameter integer LANES  = 4,
  parameter integer WLANES = 2,
  parameter integer C_BITS = 8,
  parameter integer AW     = 16
) (
  input  wire                    clk,
  input  wire                    rst,
  input  wire                    s_valid,
  input  wire [PP*WLANES*C_BITS-1:0]  s_data,
  input  wire                    s_again,
  input  wire                    s_group_last,
  input  wire                    s_col_last,
  input  wire                    s_row_last,
  input  wire                    cfg_en,
  input  wire [5:0]              cfg_ring,
  input  wire [12:0]             cfg_words,
  input  wire [1:0]              cfg_split,
  input  wire [15:0]             cfg_class_words,
  input  wire [15:0]             cfg_row_addr,
  output wire                    w_next_pulse,
  output wire                    w_done_pulse,
  output wire [5:0]              w_done_ring,
  output wire [BANKS-1:0]        w_en,
  output wire [LANES/WLANES-1:0] w_sub,
  output wire [BANKS*16-1:0]     w_addr,
  output wire [BANKS*WLANES*C_BITS-1:0] w_data
);
  localparam integer SUBS = LANES / WLANES;
  localparam [SUBS-1:0] SUB_FIRST = 1;
  localparam integer STEP_W = WLANES * C_BITS;
  localparam [31:0]  BANKS_C = BANKS;
  // Places of PP columns in a word of all banks; for a reader of stride s, in s words: one of each class of columns.
  localparam integer PLACES  = BANKS / PP;
  localparam [31:0]  LAST    = PLACES - 1;
  localparam [31:0]  LAST2   = 2 * PLACES - 1;
  localparam [31:0]  LAST3   = 3 * PLACES - 1;
  localparam [31:0]  LAST4   = 4 * PLACES - 1;
  localparam integer STRIDES = (WIDE != 0) ? 4 : 2;
  localparam integer PLACE_W = (STRIDES * PLACES > 16) ? 6 : 4;
  localparam integer SPLIT_W = (WIDE != 0) ? 2 : 1;

  // Bank of the first column of class r (x mod s) of a row, for a reader of stride s, in bits 16*(s-1) + 4*r and up:
  // nba/machine/geometry.py, class_offsets. The next column of a class lies in the next bank.
  function [63:0] offsets;
    input [31:0] banks;
    reg [31:0] s;
    reg [31:0] r;
    reg [31:0] g;
    reg [31:0] part;
    reg [31:0] step;
    reg [31:0] i;
    begin
      offsets = 64'd0;
      for (s = 32'd1; s <= 32'd4; s = s + 32'd1) begin
        g = 32'd1;
        for (i = 32'd2; i <= s; i = i + 32'd1) begin
          if (s % i == 32'd0 && banks % i == 32'd0) g = i;
        end
        part = banks / g;
        step = 32'd0;
        for (i = 32'd1; i < part; i = i + 32'd1) begin
          if ((s / g) * i % part == 32'd1) step = i;
        end
        for (r = 32'd1; r < s; r = r + 32'd1) begin
          offsets = offsets | ({32'd0, ((r % g) * part + (r / g) * step) % banks} << (16 * (s - 1) + 4 * r));
        end
      end
    end
  endfunction
  localparam [63:0] OFFSETS = offsets(BANKS);

  reg [SUBS-1:0] sub_q;
  reg [SUBS-1:0] sub_group_q;
  reg [12:0]     word_q;
  reg [12:0]     word_group_q;
  reg [AW-1:0]   col_q;
  reg [PLACE_W-1:0] place_q;
  reg [PLACE_W-1:0] place_group_q;
  reg            en_q1;
  reg [SPLIT_W-1:0] split_q1;
  reg [PLACE_W-1:0] place_q1;
  reg [SUBS-1:0] wsub_q1;
  reg [SUBS-1:0] wsub_q2;
  reg [AW-1:0]   word_q1;
  reg [AW-1:0]   class3_q;
  reg [AW-1:0]   base0_q1;
  reg [AW-1:0]   base1_q1;
  reg [AW-1:0]   base2_q1;
  reg [AW-1:0]   base3_q1;

  // Fields of addresses, as wide as these are.
  wire [15:0]    words_long  = {3'd0, cfg_words};
  wire [15:0]    word_long   = {3'd0, word_q};
  wire [AW-1:0]  row_addr    = cfg_row_addr[AW-1:0];
  wire [AW-1:0]  class_words = cfg_class_words[AW-1:0];
  wire           unused      = &{1'b0, words_long, word_long, cfg_row_addr, cfg_class_words};

  wire        fire    = s_valid && cfg_en;
  wire        row_end = s_col_last && s_row_last;

  // Position within the row: lane group, word, place of the columns, word of the columns.
  wire [SUBS-1:0] sub_next;
  generate
    if (SUBS > 1) begin : g_sub
      assign sub_next = {sub_q[SUBS-2:0], sub_q[SUBS-1]};
    end else begin : g_word
      assign sub_next = sub_q;
    end
  endgenerate
  // Words past the last of a column are not written; the count stops there, it must not wrap.
  wire [12:0] word_next  = (sub_q[SUBS-1] && word_q < cfg_words) ? word_q + 13'd1 : word_q;
  wire [1:0]  split      = (WIDE != 0) ? cfg_split : {1'b0, cfg_split[0]};
  wire        place_last = place_q == (split[1] ? (split[0] ? LAST4[PLACE_W-1:0] : LAST3[PLACE_W-1:0])
                                                : (split[0] ? LAST2[PLACE_W-1:0] : LAST[PLACE_W-1:0]));
  wire [PLACE_W-1:0] place_next = place_last ? {PLACE_W{1'b0}} : place_q + 1'b1;

  always @(posedge clk) begin
    if (fire) begin
      sub_q  <= sub_next;
      word_q <= word_next;
      if (s_again) begin
        sub_q   <= sub_group_q;
        word_q  <= word_group_q;
        place_q <= place_next;
      end
      if (s_group_last) begin
        sub_group_q  <= sub_next;
        word_group_q <= word_next;
        place_q      <= place_group_q;
      end
      if (s_col_last) begin
        sub_q         <= SUB_FIRST;
        sub_group_q   <= SUB_FIRST;
        word_q        <= 13'd0;
        word_group_q  <= 13'd0;
        place_q       <= place_next;
        place_group_q <= place_next;
        if (place_last) col_q <= col_q + words_long[AW-1:0];
      end
      if (row_end) begin
        col_q         <= {AW{1'b0}};
        place_q       <= {PLACE_W{1'b0}};
        place_group_q <= {PLACE_W{1'b0}};
      end
    end
    if (rst) begin
      sub_q         <= SUB_FIRST;
      sub_group_q   <= SUB_FIRST;
      word_q        <= 13'd0;
      word_group_q  <= 13'd0;
      col_q         <= {AW{1'b0}};
      place_q       <= {PLACE_W{1'b0}};
      place_group_q <= {PLACE_W{1'b0}};
    end
  end

  always @(posedge clk) begin
    en_q1       <= fire && (word_q < cfg_words) && !rst;
    split_q1    <= split[SPLIT_W-1:0];
    place_q1    <= place_q;
    wsub_q1     <= sub_q;
    word_q1     <= col_q + word_long[AW-1:0];
    class3_q    <= class_words + {class_words[AW-2:0], 1'b0};
    base0_q1    <= row_addr;
    base1_q1    <= row_addr + class_words;
    base2_q1    <= row_addr + {class_words[AW-2:0], 1'b0};
    base3_q1    <= row_addr + class3_q;
    wsub_q2     <= wsub_q1;
  end

  // Bank b takes the column that lies in it. For a reader of stride s, of the columns 0 .. s*BANKS - 1 that is one of
  // each class r: x = s * ((b - offset of r) mod BANKS) + r, column x mod PP of place x div PP.
  genvar gi;
  genvar gs;
  generate
    for (gi = 0; gi < BANKS; gi = gi + 1) begin : g_bank
      wire [STRIDES-1:0]        here;
      wire [STRIDES*2-1:0]      class_of;
      wire [STRIDES*STEP_W-1:0] data;
      for (gs = 0; gs < STRIDES; gs = gs + 1) begin : g_stride
        localparam [31:0] S  = gs + 1;
        localparam [31:0] X0 = S * (gi % BANKS_C);
        localparam [31:0] X1 = S * ((BANKS_C + gi - {28'd0, OFFSETS[16*gs+4 +: 4]}) % BANKS_C) + 1;
        localparam [31:0] X2 = S * ((BANKS_C + gi - {28'd0, OFFSETS[16*gs+8 +: 4]}) % BANKS_C) + 2;
        localparam [31:0] X3 = S * ((BANKS_C + gi - {28'd0, OFFSETS[16*gs+12 +: 4]}) % BANKS_C) + 3;
        localparam [31:0] P0 = X0 / PP;
        localparam [31:0] P1 = X1 / PP;
        localparam [31:0] P2 = X2 / PP;
        localparam [31:0] P3 = X3 / PP;
        wire hit0 = place_q1 == P0[PLACE_W-1:0];
        wire hit1 = gs > 0 && place_q1 == P1[PLACE_W-1:0];
        wire hit2 = gs > 1 && place_q1 == P2[PLACE_W-1:0];
        wire hit3 = gs > 2 && place_q1 == P3[PLACE_W-1:0];
        assign here[gs]                    = hit0 || hit1 || hit2 || hit3;
        assign class_of[gs*2 +: 2]         = hit3 ? 2'd3 : hit2 ? 2'd2 : hit1 ? 2'd1 : 2'd0;
        assign data[gs*STEP_W +: STEP_W]   = hit3 ? s_data[(X3 % PP)*STEP_W +: STEP_W]
                                           : hit2 ? s_data[(X2 % PP)*STEP_W +: STEP_W]
                                           : hit1 ? s_data[(X1 % PP)*STEP_W +: STEP_W]
                                                  : s_data[(X0 % PP)*STEP_W +: STEP_W];
      end
      reg              en_q2;
      reg [AW-1:0]     addr_q;
      wire [16:0]      addr_long = {{(17-AW){1'b0}}, addr_q};
      wire             unused_top = addr_long[16];
      reg [STEP_W-1:0] data_q;
      wire [1:0]       class_i = (WIDE != 0) ? class_of[split_q1*2 +: 2] : {1'b0, split_q1[0] && class_of[2]};
      wire [AW-1:0]    base    = class_i[1] ? (class_i[0] ? base3_q1 : base2_q1) : (class_i[0] ? base1_q1 : base0_q1);
      always @(posedge clk) begin
        en_q2  <= en_q1 && (PLACES == 1 || here[split_q1]) && !rst;
        addr_q <= base + word_q1;
        data_q <= data[split_q1*STEP_W +: STEP_W];
      end
      assign w_en[gi]                    = en_q2;
      assign w_addr[gi*16 +: 16]         = addr_long[15:0];
      assign w_data[gi*STEP_W +: STEP_W] = data_q;
    end
  endgenerate

  assign w_next_pulse = fire && row_end;
  assign w_done_pulse = fire && row_end;
  assign w_done_ring  = cfg_ring;
  assign w_sub        = wsub_q2;
endmodule
`default_nettype wire
