// SPDX-License-Identifier: Apache-2.0
// nba_writer: places a producer's steps (PP columns x WLANES channels) into one edge buffer: word and lane of
// the channels, bank and address of the columns, in the layout that the consumer reads (docs/template.md).
// Latency 2 cycles, one step per cycle; the codes of a step (s_data) come a cycle behind its flags. A row counts as
// written (w_done_pulse) with the flags of its last step: a reader that sees it so reads it later than it is written.
// Steps come column group by column group, channels ascending.
// PP 1, 2, 4, 8; LANES = codes per word of the edge, WLANES divides LANES. C_BITS: code [bits] (8, 16).
// s_data: channel m of column p is code p*WLANES + m. cfg_*: the current job's ring, stable over its steps.
// Steps whose channels lie beyond cfg_words words per column write nothing. Reset clears the position.
`default_nettype none
module nba_writer #(
  parameter integer PP     = 2,
  parameter integer LANES  = 4,
  parameter integer WLANES = 2,
  parameter integer C_BITS = 8
) (
  input  wire                    clk,
  input  wire                    rst,
  input  wire                    s_valid,
  input  wire [PP*WLANES*C_BITS-1:0]  s_data,
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
  output wire                    w_en,
  output wire [LANES/WLANES-1:0] w_sub,
  output wire [PP*16-1:0]        w_addr,
  output wire [PP*WLANES*C_BITS-1:0]  w_data
);
  localparam integer SUBS = LANES / WLANES;
  localparam [SUBS-1:0] SUB_FIRST = 1;
  localparam integer HALF = (PP > 1) ? PP / 2 : 1;

  reg [SUBS-1:0] sub_q;
  reg [12:0]     word_q;
  reg [15:0]     col_q;
  reg            odd_q;
  reg            en_q1;
  reg            en_q2;
  reg            split_q1;
  reg            odd_q1;
  reg [SUBS-1:0] wsub_q1;
  reg [SUBS-1:0] wsub_q2;
  reg [15:0]     place_q1;
  reg [15:0]     even_q1;
  reg [15:0]     odd_base_q1;

  wire        fire      = s_valid && cfg_en;
  wire        row_end   = s_col_last && s_row_last;

  // Position within the row: lane group, word, column group.
  wire [SUBS-1:0] sub_next;
  generate
    if (SUBS > 1) begin : g_sub
      assign sub_next = {sub_q[SUBS-2:0], sub_q[SUBS-1]};
    end else begin : g_word
      assign sub_next = sub_q;
    end
  endgenerate

  always @(posedge clk) begin
    if (fire) begin
      sub_q <= sub_next;
      // Words past the last of a column are not written; the count stops there, it must not wrap.
      if (sub_q[SUBS-1] && word_q < cfg_words) word_q <= word_q + 13'd1;
      if (s_col_last) begin
        sub_q  <= SUB_FIRST;
        word_q <= 13'd0;
        odd_q  <= cfg_split && !odd_q;
        if (!cfg_split || odd_q) col_q <= col_q + {3'd0, cfg_words};
      end
      if (row_end) begin
        col_q <= 16'd0;
        odd_q <= 1'b0;
      end
    end
    if (rst) begin
      sub_q  <= SUB_FIRST;
      word_q <= 13'd0;
      col_q  <= 16'd0;
      odd_q  <= 1'b0;
    end
  end

  always @(posedge clk) begin
    en_q1       <= fire && (word_q < cfg_words);
    split_q1    <= cfg_split;
    odd_q1      <= odd_q;
    wsub_q1     <= sub_q;
    place_q1    <= col_q + {3'd0, word_q};
    even_q1     <= cfg_row_addr;
    odd_base_q1 <= cfg_row_addr + cfg_parity_words;
    en_q2       <= en_q1;
    wsub_q2     <= wsub_q1;
    if (rst) begin
      en_q1 <= 1'b0;
      en_q2 <= 1'b0;
    end
  end

  // Bank b takes column b, or, split by parity, the column whose half-index and parity lead to bank b.
  genvar gi;
  generate
    for (gi = 0; gi < PP; gi = gi + 1) begin : g_bank
      localparam integer EVEN_COL = (PP > 1) ? 2 * (gi % HALF) : 0;
      localparam integer ODD_COL  = (PP > 1) ? EVEN_COL + 1 : 0;
      localparam integer UPPER    = (PP > 1 && gi >= HALF) ? 1 : 0;
      reg [15:0]         addr_q;
      reg [WLANES*C_BITS-1:0] data_q;
      wire               parity = odd_q1 ^ (UPPER != 0);
      wire [WLANES*C_BITS-1:0] even_data = s_data[EVEN_COL*WLANES*C_BITS +: WLANES*C_BITS];
      wire [WLANES*C_BITS-1:0] odd_data  = s_data[ODD_COL*WLANES*C_BITS +: WLANES*C_BITS];
      always @(posedge clk) begin
        addr_q <= ((split_q1 && parity) ? odd_base_q1 : even_q1) + place_q1;
        data_q <= split_q1 ? (parity ? odd_data : even_data) : s_data[gi*WLANES*C_BITS +: WLANES*C_BITS];
      end
      assign w_addr[gi*16 +: 16]              = addr_q;
      assign w_data[gi*WLANES*C_BITS +: WLANES*C_BITS] = data_q;
    end
  endgenerate

  assign w_next_pulse = fire && row_end;
  assign w_done_pulse = fire && row_end;
  assign w_done_ring  = cfg_ring;
  assign w_en         = en_q2;
  assign w_sub        = wsub_q2;
endmodule
`default_nettype wire
