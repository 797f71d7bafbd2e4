// SPDX-License-Identifier: Apache-2.0
// nba_writer: places a producer's steps (PP columns x WLANES channels) into one edge buffer: word and lane of
// the channels, bank and address of the columns, in the layout that the consumer reads (docs/template.md).
// Latency 2 cycles, one step per cycle; the codes of a step (s_data) come a cycle behind its flags. A row counts as
// written (w_done_pulse) with the flags of its last step: a reader that sees it so reads it later than it is written.
// Steps come column group by column group, channel group by channel group; within one, pass by pass over its channels,
// PP columns each. s_again: last step of a pass, another one follows; s_group_last: last step of a channel group.
// PP 1, 2, 4, 8; BANKS = PP * 1, 2, 4. LANES = codes per word of the edge, WLANES divides LANES. C_BITS: code [bits]
// (8, 16). s_data: channel m of column p is code p*WLANES + m. cfg_*: the current job's ring, stable over its steps.
// Steps whose channels lie beyond cfg_words words per column write nothing. Reset clears the position.
`default_nettype none
module nba_writer #(
  parameter integer PP     = 2,
  parameter integer BANKS  = 2,
  parameter integer LANES  = 4,
  parameter integer WLANES = 2,
  parameter integer C_BITS = 8
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
  input  wire                    cfg_split,
  input  wire [15:0]             cfg_parity_words,
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
  // Places of PP columns in a word of all banks; split by parity, columns of two words take turns.
  localparam integer PLACES = BANKS / PP;
  localparam [31:0]  LAST       = PLACES - 1;
  localparam [31:0]  LAST_SPLIT = 2 * PLACES - 1;

  reg [SUBS-1:0] sub_q;
  reg [SUBS-1:0] sub_group_q;
  reg [12:0]     word_q;
  reg [12:0]     word_group_q;
  reg [15:0]     col_q;
  reg [3:0]      place_q;
  reg [3:0]      place_group_q;
  reg            en_q1;
  reg            split_q1;
  reg [3:0]      place_q1;
  reg [SUBS-1:0] wsub_q1;
  reg [SUBS-1:0] wsub_q2;
  reg [15:0]     word_q1;
  reg [15:0]     even_q1;
  reg [15:0]     odd_base_q1;

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
  wire        place_last = place_q == (cfg_split ? LAST_SPLIT[3:0] : LAST[3:0]);
  wire [3:0]  place_next = place_last ? 4'd0 : place_q + 4'd1;

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
        if (place_last) col_q <= col_q + {3'd0, cfg_words};
      end
      if (row_end) begin
        col_q         <= 16'd0;
        place_q       <= 4'd0;
        place_group_q <= 4'd0;
      end
    end
    if (rst) begin
      sub_q         <= SUB_FIRST;
      sub_group_q   <= SUB_FIRST;
      word_q        <= 13'd0;
      word_group_q  <= 13'd0;
      col_q         <= 16'd0;
      place_q       <= 4'd0;
      place_group_q <= 4'd0;
    end
  end

  always @(posedge clk) begin
    en_q1       <= fire && (word_q < cfg_words) && !rst;
    split_q1    <= cfg_split;
    place_q1    <= place_q;
    wsub_q1     <= sub_q;
    word_q1     <= col_q + {3'd0, word_q};
    even_q1     <= cfg_row_addr;
    odd_base_q1 <= cfg_row_addr + cfg_parity_words;
    wsub_q2     <= wsub_q1;
  end

  // Bank b takes the column that lies in it: of column x of the row, bank x mod BANKS; split by parity, column x has
  // half-index h = x div 2 and lies in bank h mod BANKS, or, if x is odd, (h + BANKS/2) mod BANKS.
  genvar gi;
  generate
    for (gi = 0; gi < BANKS; gi = gi + 1) begin : g_bank
      localparam integer HALF     = (PP > 1) ? PP / 2 : 1;
      localparam integer EVEN_COL = (PP > 1) ? 2 * (gi % HALF) : 0;
      localparam integer ODD_COL  = (PP > 1) ? EVEN_COL + 1 : 0;
      localparam [31:0]  WHOLE    = gi / PP;
      localparam [31:0]  EVEN     = (PP > 1) ? gi / HALF : 2 * gi;
      localparam [31:0]  ODD      = (PP > 1) ? (gi / HALF + PLACES) % (2 * PLACES)
                                             : 2 * ((gi + BANKS / 2) % BANKS) + 1;
      reg              en_q2;
      reg [15:0]       addr_q;
      reg [STEP_W-1:0] data_q;
      wire              parity    = place_q1 == ODD[3:0];
      wire              here      = split_q1 ? parity || place_q1 == EVEN[3:0] : place_q1 == WHOLE[3:0];
      wire [STEP_W-1:0] even_data = s_data[EVEN_COL*STEP_W +: STEP_W];
      wire [STEP_W-1:0] odd_data  = s_data[ODD_COL*STEP_W +: STEP_W];
      always @(posedge clk) begin
        en_q2  <= en_q1 && (PLACES == 1 || here) && !rst;
        addr_q <= ((split_q1 && parity) ? odd_base_q1 : even_q1) + word_q1;
        data_q <= split_q1 ? (parity ? odd_data : even_data) : s_data[(gi % PP)*STEP_W +: STEP_W];
      end
      assign w_en[gi]                    = en_q2;
      assign w_addr[gi*16 +: 16]         = addr_q;
      assign w_data[gi*STEP_W +: STEP_W] = data_q;
    end
  endgenerate

  assign w_next_pulse = fire && row_end;
  assign w_done_pulse = fire && row_end;
  assign w_done_ring  = cfg_ring;
  assign w_sub        = wsub_q2;
endmodule
`default_nettype wire
