// SPDX-License-Identifier: Apache-2.0
// nba_chain: two operands times two weights each, by two multipliers; the products of both operands are added.
// Latency 3 cycles from s_a and 4 from s_w0 and s_w1, which come one cycle before s_a; one step per cycle; no stall.
// Reset: none (data only).
// A_BITS: activation precision [bits] (2..8). W_BITS: weights (2..8). LINKS: operands (2; 1: the last of an odd number,
// n = 1 alone; what belongs to n = 0 is ignored).
// Packing: operand n at s_a[n*(A_BITS+1)], its weights at s_w0[n*W_BITS] and s_w1[n*W_BITS], n = 0, 1. An operand is
// never -2^A_BITS; with weights of 8 bits and operands of 9, neither weight in s_w1 is -128.
// m_p0 = s_w0[0] * s_a[0] + s_w0[1] * s_a[1], m_p1 = s_w1[0] * s_a[0] + s_w1[1] * s_a[1]: A_BITS + W_BITS + 1 bits each,
// signed, exact.
// The weights of an operand are added into one, w1 * 2^FIELD + w0, whose product has both in its fields (nba_pair). The
// first multiplier adds half of a field, which keeps the lower field from borrowing of the upper one, and the second
// adds the sum of the first. Each is a DSP48E1: weights at its pre-adder, sum at its adder, all registers.
// The second one waits a cycle for the first, in registers that the block has, too.
`default_nettype none

module nba_chain #(
  parameter integer A_BITS = 8,
  parameter integer W_BITS = 8,
  parameter integer LINKS  = 2
) (
  input  wire                   clk,
  input  wire [2*W_BITS-1:0]    s_w0,
  input  wire [2*W_BITS-1:0]    s_w1,
  input  wire [2*A_BITS+1:0]    s_a,
  output wire [A_BITS+W_BITS:0] m_p0,
  output wire [A_BITS+W_BITS:0] m_p1
);

  localparam integer OP_W   = A_BITS + 1;
  localparam integer FIELD  = A_BITS + W_BITS + 1;
  localparam integer WIDTH  = 2 * FIELD;
  localparam integer PAIR_W = (FIELD + W_BITS < 25) ? FIELD + W_BITS + 1 : 25;
  localparam integer UP     = PAIR_W - FIELD - W_BITS;

  wire signed [PAIR_W-1:0] high;
  wire signed [PAIR_W-1:0] low;
  wire signed [OP_W-1:0]   first;
  wire signed [PAIR_W-1:0] high_d;
  wire signed [PAIR_W-1:0] low_d;
  wire signed [OP_W-1:0]   second_d;
  wire        [WIDTH-1:0]  half;
  wire signed [WIDTH-1:0]  first_sum;
  reg  signed [PAIR_W-1:0] high_q;
  reg  signed [PAIR_W-1:0] low_q;
  reg  signed [OP_W-1:0]   second_q;
  reg  signed [PAIR_W-1:0] second_pair_q;
  reg  signed [WIDTH-1:0]  second_product_q;
  reg         [WIDTH-1:0]  sum_q;
  generate
    if (UP > 0) begin : g_any
      assign high   = {s_w1[W_BITS-1], s_w1[W_BITS-1:0], {FIELD{1'b0}}};
      assign high_d = {s_w1[2*W_BITS-1], s_w1[2*W_BITS-1:W_BITS], {FIELD{1'b0}}};
    end else begin : g_narrow
      assign high   = {s_w1[W_BITS-1:0], {FIELD{1'b0}}};
      assign high_d = {s_w1[2*W_BITS-1:W_BITS], {FIELD{1'b0}}};
    end
  endgenerate
  assign low      = {{(FIELD+UP){s_w0[W_BITS-1]}}, s_w0[W_BITS-1:0]};
  assign low_d    = {{(FIELD+UP){s_w0[2*W_BITS-1]}}, s_w0[2*W_BITS-1:W_BITS]};
  assign first    = s_a[OP_W-1:0];
  assign second_d = s_a[2*OP_W-1:OP_W];
  assign half     = {{(WIDTH-1){1'b0}}, 1'b1} << (FIELD - 1);
  generate
    if (LINKS > 1) begin : g_first
      reg signed [PAIR_W-1:0] pair_q;
      reg signed [WIDTH-1:0]  product_q;
      reg signed [WIDTH-1:0]  first_sum_q;
      always @(posedge clk) begin
        pair_q      <= high + low;
        product_q   <= pair_q * first;
        first_sum_q <= product_q + half;
      end
      assign first_sum = first_sum_q;
    end else begin : g_alone
      wire unused = &{1'b0, high, low, first};
      assign first_sum = half;
    end
  endgenerate
  always @(posedge clk) begin
    high_q           <= high_d;
    low_q            <= low_d;
    second_q         <= second_d;
    second_pair_q    <= high_q + low_q;
    second_product_q <= second_pair_q * second_q;
    sum_q            <= second_product_q + first_sum;
  end
  // Nothing lies above the upper field, so that it may be negative.
  assign m_p0 = {~sum_q[FIELD-1], sum_q[FIELD-2:0]};
  assign m_p1 = sum_q[WIDTH-1:FIELD];

`ifdef FORMAL
  // Both sums are those of the products, whatever weights and operands are within their limits.
  reg        [3:0]        f_seen_q;
  reg signed [FIELD-1:0]  f_p0_q1;
  reg signed [FIELD-1:0]  f_p0_q2;
  reg signed [FIELD-1:0]  f_p0_q3;
  reg signed [FIELD-1:0]  f_p1_q1;
  reg signed [FIELD-1:0]  f_p1_q2;
  reg signed [FIELD-1:0]  f_p1_q3;
  reg        [2*W_BITS-1:0] f_w0_q;
  reg        [2*W_BITS-1:0] f_w1_q;
  wire signed [W_BITS-1:0] f_w00 = f_w0_q[W_BITS-1:0];
  wire signed [W_BITS-1:0] f_w01 = f_w0_q[2*W_BITS-1:W_BITS];
  wire signed [W_BITS-1:0] f_w10 = f_w1_q[W_BITS-1:0];
  wire signed [W_BITS-1:0] f_w11 = f_w1_q[2*W_BITS-1:W_BITS];
  wire signed [FIELD-1:0]  f_first0 = (LINKS > 1) ? f_w00 * first : 32'sd0;
  wire signed [FIELD-1:0]  f_first1 = (LINKS > 1) ? f_w10 * first : 32'sd0;
  wire        [W_BITS-1:0] f_least = {1'b1, {(W_BITS-1){1'b0}}};
  initial f_seen_q = 4'd0;
  always @* begin
    assume (s_a[OP_W-1:0] != {1'b1, {A_BITS{1'b0}}} && s_a[2*OP_W-1:OP_W] != {1'b1, {A_BITS{1'b0}}});
    if (UP == 0) assume (s_w1[W_BITS-1:0] != f_least && s_w1[2*W_BITS-1:W_BITS] != f_least);
  end
  always @(posedge clk) begin
    f_seen_q <= {f_seen_q[2:0], 1'b1};
    f_w0_q   <= s_w0;
    f_w1_q   <= s_w1;
    f_p0_q1  <= f_first0 + f_w01 * second_d;
    f_p1_q1  <= f_first1 + f_w11 * second_d;
    f_p0_q2  <= f_p0_q1;
    f_p1_q2  <= f_p1_q1;
    f_p0_q3  <= f_p0_q2;
    f_p1_q3  <= f_p1_q2;
    if (f_seen_q[3]) begin
      assert (m_p0 == f_p0_q3);
      assert (m_p1 == f_p1_q3);
    end
  end
`endif

endmodule

`default_nettype wire
