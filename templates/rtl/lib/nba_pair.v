// SPDX-License-Identifier: Apache-2.0
// nba_pair: an operand times two weights, by one multiplier.
// Latency 2 cycles from s_a and 3 from s_w0 and s_w1, which come one cycle before s_a; one pair of products per cycle;
// no stall. Reset: none (data only).
// A_BITS: activation precision [bits] (2..8), s_a has A_BITS + 1 and is never -2^A_BITS. W_BITS: weights (2..8).
// m_p0 = s_w0 * s_a, m_p1 = s_w1 * s_a: A_BITS + W_BITS bits each, signed, exact for all weights.
// The weights are added into one operand, w1 * 2^(A_BITS+W_BITS) + w0, whose product has both in its halves. Half of
// a field more keeps the lower one from borrowing of the upper one, and turns its top bit over. A DSP48E1 (25 x 18
// bits) takes everything: the weights at its pre-adder, the half at its adder, and all three registers.
`default_nettype none

module nba_pair #(
  parameter integer A_BITS = 8,
  parameter integer W_BITS = 8
) (
  input  wire                     clk,
  input  wire [W_BITS-1:0]        s_w0,
  input  wire [W_BITS-1:0]        s_w1,
  input  wire [A_BITS:0]          s_a,
  output wire [A_BITS+W_BITS-1:0] m_p0,
  output wire [A_BITS+W_BITS-1:0] m_p1
);

  localparam integer FIELD   = A_BITS + W_BITS;
  localparam integer WIDTH   = 2 * FIELD;
  localparam integer PAIR_W  = FIELD + W_BITS + 1;
  localparam [WIDTH-1:0] HALF = {{(WIDTH-1){1'b0}}, 1'b1} << (FIELD - 1);

  wire signed [PAIR_W-1:0] high;
  wire signed [PAIR_W-1:0] low;
  wire signed [A_BITS:0]   a;
  reg  signed [PAIR_W-1:0] pair_q;
  reg  signed [WIDTH-1:0]  product_q;
  reg         [WIDTH-1:0]  fields_q;
  assign high = {s_w1[W_BITS-1], s_w1, {FIELD{1'b0}}};
  assign low  = {{(FIELD+1){s_w0[W_BITS-1]}}, s_w0};
  assign a    = s_a;
  always @(posedge clk) begin
    pair_q    <= high + low;
    product_q <= pair_q * a;
    fields_q  <= product_q + HALF;
  end
  assign m_p0 = {~fields_q[FIELD-1], fields_q[FIELD-2:0]};
  assign m_p1 = fields_q[WIDTH-1:FIELD];

`ifdef FORMAL
  // Both products are those of the operands, whatever these are.
  reg        [2:0]        f_seen_q;
  reg signed [W_BITS-1:0] f_w0_q1;
  reg signed [W_BITS-1:0] f_w0_q2;
  reg signed [W_BITS-1:0] f_w0_q3;
  reg signed [W_BITS-1:0] f_w1_q1;
  reg signed [W_BITS-1:0] f_w1_q2;
  reg signed [W_BITS-1:0] f_w1_q3;
  reg signed [A_BITS:0]   f_a_q2;
  reg signed [A_BITS:0]   f_a_q3;
  wire signed [FIELD-1:0] f_p0;
  wire signed [FIELD-1:0] f_p1;
  initial f_seen_q = 3'd0;
  assign f_p0 = f_w0_q3 * f_a_q3;
  assign f_p1 = f_w1_q3 * f_a_q3;
  always @(posedge clk) begin
    f_seen_q <= {f_seen_q[1:0], 1'b1};
    f_w0_q1  <= s_w0;
    f_w1_q1  <= s_w1;
    f_w0_q2  <= f_w0_q1;
    f_w1_q2  <= f_w1_q1;
    f_a_q2   <= s_a;
    f_w0_q3  <= f_w0_q2;
    f_w1_q3  <= f_w1_q2;
    f_a_q3   <= f_a_q2;
    if (f_seen_q[2] && f_a_q3 != {1'b1, {A_BITS{1'b0}}}) begin
      assert (m_p0 == f_p0);
      assert (m_p1 == f_p1);
    end
  end
`endif

endmodule

`default_nettype wire
