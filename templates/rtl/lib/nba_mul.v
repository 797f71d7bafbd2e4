// SPDX-License-Identifier: Apache-2.0
// nba_mul: a signed product out of adders, for multipliers that are to take no DSP block.
// Latency STAGES cycles (partial sums, product); one product per cycle; no stall.
// Reset: none (data only).
// A_W, B_W: operands [bits] (2..48 each). B_SIGNED: 1 = s_b is signed, 0 = unsigned; s_a is signed. P_W: product
// [bits] (B_W or more): m_p = s_a * s_b modulo 2^P_W. STAGES: 2 or 3.
// s_b is recoded in digits -2..2 of two bits each (Booth), so that a digit times s_a is one gate of five inputs per bit.
// A tree of adders of the widths that their sums need. With two stages half of its levels lie before the register. With
// three one level lies before each of two registers; what is left then goes through saved carries (three numbers as two
// of the same sum, bit by bit) into one adder.
// A digit that is negative inverts its row; the 1 that this lacks is added with the next row, which begins two bits
// higher.
`default_nettype none

module nba_mul #(
  parameter integer A_W      = 9,
  parameter integer B_W      = 8,
  parameter integer B_SIGNED = 1,
  parameter integer P_W      = 17,
  parameter integer STAGES   = 2
) (
  input  wire           clk,
  input  wire [A_W-1:0] s_a,
  input  wire [B_W-1:0] s_b,
  output wire [P_W-1:0] m_p
);

  // Digits, and one more row for the 1 of the last one where that may be negative.
  localparam integer DIGITS = (B_W + ((B_SIGNED != 0) ? 1 : 2)) / 2;
  localparam integer ROWS   = DIGITS + ((B_SIGNED != 0) ? 1 : 0);
  localparam integer LEVELS = $clog2(ROWS);
  localparam integer EARLY  = (STAGES < 3) ? LEVELS / 2 : (LEVELS > 1) ? 1 : 0;
  localparam integer TREE   = (STAGES < 3 || LEVELS < 2) ? LEVELS : 2;
  localparam integer LEFT   = (ROWS + (1 << TREE) - 1) >> TREE;
  localparam integer FULL   = A_W + 2 * ROWS + 1 + P_W;

  genvar gl;
  genvar gi;

  // Rows stand at their place of the product, with their sign. Row gi holds the 1 of the digit before it at the lowest
  // of its bits, 2 * gi - 2.
  wire [2*DIGITS+1:0] digits;
  wire [ROWS*P_W-1:0] rows;
  wire                unused_digits;
  assign digits        = {{(2*DIGITS-B_W+1){(B_SIGNED != 0) && s_b[B_W-1]}}, s_b, 1'b0};
  assign unused_digits = &{1'b0, digits};
  generate
    for (gi = 0; gi < ROWS; gi = gi + 1) begin : g_row
      localparam integer FROM = (gi > 0) ? 2 * gi - 2 : 0;
      wire [FULL-1:0] placed;
      wire            unused;
      if (gi < DIGITS) begin : g_digit
        wire [2:0]   digit;
        wire [A_W:0] row;
        assign digit = digits[2*gi +: 3];
        assign row   = (({(A_W+1){digit[1] ^ digit[0]}} & {s_a[A_W-1], s_a})
                      | ({(A_W+1){digit == 3'b011 || digit == 3'b100}} & {s_a, 1'b0})) ^ {(A_W+1){digit[2]}};
        if (gi > 0) begin : g_later
          assign placed = {{(FULL-FROM-A_W-3){row[A_W]}}, row, 1'b0, digits[2*gi], {FROM{1'b0}}};
        end else begin : g_first
          assign placed = {{(FULL-A_W-1){row[A_W]}}, row};
        end
      end else begin : g_carry
        assign placed = {{(FULL-FROM-1){1'b0}}, digits[2*gi], {FROM{1'b0}}};
      end
      assign rows[gi*P_W +: P_W] = placed[P_W-1:0];
      assign unused = &{1'b0, placed};
    end
  endgenerate

  // Level l adds the sums below it in pairs; what lies below the right one of a pair is that of the left one.
  generate
    for (gl = 0; gl < TREE; gl = gl + 1) begin : g_level
      localparam integer BELOW = (ROWS + (1 << gl) - 1) >> gl;
      localparam integer HERE  = (BELOW + 1) / 2;
      wire [BELOW*P_W-1:0] below;
      wire [HERE*P_W-1:0]  sums;
      if (gl == 0) begin : g_rows
        if (EARLY == 0) begin : g_register
          reg [BELOW*P_W-1:0] below_q;
          always @(posedge clk) below_q <= rows;
          assign below = below_q;
        end else begin : g_direct
          assign below = rows;
        end
      end else if (gl == EARLY) begin : g_register
        reg [BELOW*P_W-1:0] below_q;
        always @(posedge clk) below_q <= g_level[gl-1].sums;
        assign below = below_q;
      end else begin : g_direct
        assign below = g_level[gl-1].sums;
      end
      for (gi = 0; gi < HERE; gi = gi + 1) begin : g_sum
        localparam integer RIGHT = (2 * gi + 1) << gl;
        localparam integer LAST  = (((gi + 1) << (gl + 1)) < DIGITS) ? ((gi + 1) << (gl + 1)) - 1 : DIGITS - 1;
        localparam integer FROM  = 2 * RIGHT - 2;
        localparam integer TOP   = A_W + 2 * LAST + 2;
        localparam integer TO    = (TOP < P_W) ? TOP : P_W;
        wire [P_W-1:0] left;
        assign left = below[2*gi*P_W +: P_W];
        if (RIGHT < ROWS) begin : g_pair
          wire [P_W-1:0]     right;
          wire [TO-FROM-1:0] sum;
          wire               unused;
          assign right = below[(2*gi+1)*P_W +: P_W];
          assign sum   = left[TO-1:FROM] + right[TO-1:FROM];
          if (FROM > 0) begin : g_low
            assign sums[gi*P_W +: TO] = {sum, left[FROM-1:0]};
          end else begin : g_whole
            assign sums[gi*P_W +: TO] = sum;
          end
          if (TO < P_W) begin : g_sign
            assign sums[gi*P_W+TO +: P_W-TO] = {(P_W-TO){sum[TO-FROM-1]}};
          end
          assign unused = &{1'b0, left, right};
        end else begin : g_alone
          assign sums[gi*P_W +: P_W] = left;
        end
      end
    end
  endgenerate

  reg [P_W-1:0] product_q;
  generate
    if (STAGES < 3) begin : g_two
      always @(posedge clk) product_q <= g_level[TREE-1].sums;
    end else begin : g_three
      localparam integer LAST = (LEFT > 2) ? LEFT - 2 : 0;
      reg  [LEFT*P_W-1:0]     left_q;
      wire [(LEFT+1)*P_W-1:0] terms;
      wire [(LAST+1)*P_W-1:0] ones;
      wire [(LAST+1)*P_W-1:0] carries;
      assign terms            = {{P_W{1'b0}}, left_q};
      assign ones[P_W-1:0]    = terms[P_W-1:0];
      assign carries[P_W-1:0] = terms[P_W +: P_W];
      for (gi = 1; gi <= LAST; gi = gi + 1) begin : g_term
        wire [P_W-1:0] x;
        wire [P_W-1:0] y;
        wire [P_W-1:0] z;
        wire [P_W-1:0] more;
        wire           unused;
        assign x    = ones[(gi-1)*P_W +: P_W];
        assign y    = carries[(gi-1)*P_W +: P_W];
        assign z    = terms[(gi+1)*P_W +: P_W];
        assign more = (x & y) | (x & z) | (y & z);
        assign ones[gi*P_W +: P_W]    = x ^ y ^ z;
        assign carries[gi*P_W +: P_W] = {more[P_W-2:0], 1'b0};
        assign unused = &{1'b0, more};
      end
      wire unused = &{1'b0, terms};
      always @(posedge clk) begin
        left_q    <= g_level[TREE-1].sums;
        product_q <= ones[LAST*P_W +: P_W] + carries[LAST*P_W +: P_W];
      end
    end
  endgenerate
  assign m_p = product_q;

`ifdef FORMAL
  // The product is that of the operands STAGES cycles before.
  reg         [STAGES-1:0]         f_seen_q;
  reg         [STAGES*A_W-1:0]     f_a_q;
  reg         [STAGES*(B_W+1)-1:0] f_b_q;
  wire signed [A_W-1:0]            f_a;
  wire signed [B_W:0]              f_b;
  wire signed [P_W-1:0]            f_product;
  initial f_seen_q = {STAGES{1'b0}};
  assign f_a       = f_a_q[(STAGES-1)*A_W +: A_W];
  assign f_b       = f_b_q[(STAGES-1)*(B_W+1) +: B_W+1];
  assign f_product = f_a * f_b;
  always @(posedge clk) begin
    f_seen_q <= {f_seen_q[STAGES-2:0], 1'b1};
    f_a_q    <= {f_a_q[(STAGES-1)*A_W-1:0], s_a};
    f_b_q    <= {f_b_q[(STAGES-1)*(B_W+1)-1:0], (B_SIGNED != 0) && s_b[B_W-1], s_b};
    if (f_seen_q[STAGES-1]) assert (m_p == f_product);
  end
`endif

endmodule

`default_nettype wire
