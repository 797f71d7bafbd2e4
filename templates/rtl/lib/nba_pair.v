// SPDX-License-Identifier: Apache-2.0
// nba_pair: an operand times two weights, by one multiplier; the operand may be that of several columns (nba_spread).
// Latency 2 cycles from s_a and 3 from s_w0 and s_w1, which come one cycle before s_a; one step per cycle;
// no stall. Reset: none (data only).
// A_BITS: activation precision [bits] (2..8). W_BITS: weights (2..8). DEGREE 1, 2, 4: columns in an operand, at most.
// DEGREE 1: s_a has A_BITS + 1 bits and is never -2^A_BITS; m_p0 = s_w0 * s_a, m_p1 = s_w1 * s_a: A_BITS + W_BITS bits
// each, signed, exact for all weights.
// Else s_a has 13 or 15 bits, of d = 2^s_degree columns in fields of 16 / d bits, and weights and operands of d columns
// have at most 8 / d bits. The product of column 0 lies at the low 16 bits of m_p0 (m_p1), that of column 1 in the 8
// above, those of columns 2 and 3 in 4 bits each above these; all signed. Columns from d on are arbitrary.
// The degree comes once more where it is used: s_degree_q1 one cycle after s_a, s_degree_q2 two.
// The weights are added into one operand, w1 * 2^16 + w0 (DEGREE 1: 2^(A_BITS+W_BITS)), whose product has both in its
// halves, and the columns in fields of these. Half of a field more keeps a field from borrowing of the next one, and
// turns its top bit over. A DSP48E1 (25 x 18 bits) takes everything: the weights at its pre-adder, the halves at its
// adder, and all three registers.
`default_nettype none

module nba_pair #(
  parameter integer A_BITS = 8,
  parameter integer W_BITS = 8,
  parameter integer DEGREE = 1
) (
  input  wire                                                              clk,
  input  wire [W_BITS-1:0]                                                 s_w0,
  input  wire [W_BITS-1:0]                                                 s_w1,
  input  wire [((DEGREE == 1) ? A_BITS+1 : (DEGREE == 2) ? 13 : 15)-1:0]     s_a,
  input  wire [1:0]                                                        s_degree_q1,
  input  wire [1:0]                                                        s_degree_q2,
  output wire [((DEGREE == 1) ? A_BITS+W_BITS : (DEGREE == 2) ? 24 : 32)-1:0] m_p0,
  output wire [((DEGREE == 1) ? A_BITS+W_BITS : (DEGREE == 2) ? 24 : 32)-1:0] m_p1
);

  localparam integer FIELD   = (DEGREE == 1) ? A_BITS + W_BITS : 16;
  localparam integer WIDTH   = 2 * FIELD;
  localparam integer PAIR_W  = FIELD + W_BITS + 1;
  localparam integer OP_W    = (DEGREE == 1) ? A_BITS + 1 : (DEGREE == 2) ? 13 : 15;

  wire signed [PAIR_W-1:0] high;
  wire signed [PAIR_W-1:0] low;
  wire signed [OP_W-1:0]   a;
  wire        [WIDTH-1:0]  halves;
  reg  signed [PAIR_W-1:0] pair_q;
  reg  signed [WIDTH-1:0]  product_q;
  reg         [WIDTH-1:0]  fields_q;
  assign high = {s_w1[W_BITS-1], s_w1, {FIELD{1'b0}}};
  assign low  = {{(FIELD+1){s_w0[W_BITS-1]}}, s_w0};
  assign a    = s_a;
  always @(posedge clk) begin
    pair_q    <= high + low;
    product_q <= pair_q * a;
    fields_q  <= product_q + halves;
  end

  generate
    if (DEGREE == 1) begin : g_one
      wire unused = &{1'b0, s_degree_q1, s_degree_q2};
      // Nothing lies above the upper field, so that it may be negative.
      assign halves = {{(WIDTH-1){1'b0}}, 1'b1} << (FIELD - 1);
      assign m_p0   = {~fields_q[FIELD-1], fields_q[FIELD-2:0]};
      assign m_p1   = fields_q[WIDTH-1:FIELD];
    end else begin : g_fields
      // The top bits of the fields of a step.
      wire two  = s_degree_q1 != 2'd0;
      wire four = DEGREE == 4 && s_degree_q1 == 2'd2;
      assign halves = {2{1'b1, 3'd0, four, 3'd0, two, 3'd0, four, 3'd0}};
      wire       of_two  = s_degree_q2 != 2'd0;
      wire       of_four = DEGREE == 4 && s_degree_q2 == 2'd2;
      reg [31:0] f;
      reg [63:0] columns;
      integer    i;
      always @* begin
        f       = fields_q;
        columns = 64'd0;
        for (i = 0; i < 64; i = i + 32) begin
          columns[i +: 32] = {~f[15], f[14:12], ~f[11], f[10:8], ~f[15], f[14:8], ~f[15], f[14:0]};
          if (of_two) columns[i +: 16] = {{9{~f[7]}}, f[6:0]};
          if (of_four) columns[i +: 24] = {{5{~f[7]}}, f[6:4], {13{~f[3]}}, f[2:0]};
          f = {16'd0, f[31:16]};
        end
      end
      if (DEGREE == 2) begin : g_two
        wire unused = &{1'b0, columns};
        assign m_p0 = columns[23:0];
        assign m_p1 = columns[55:32];
      end else begin : g_four
        assign m_p0 = columns[31:0];
        assign m_p1 = columns[63:32];
      end
    end
  endgenerate

`ifdef FORMAL
  // All products are those of the operands of the columns, whatever these are, where they are within the limits of
  // their degree. f_x holds one operand per column; s_a is their sum.
  (* anyseq *) wire [4*9-1:0] f_x;
  (* anyseq *) wire [1:0]     f_degree;
  reg        [2:0]        f_seen_q;
  reg        [1:0]        f_degree_q1;
  reg        [1:0]        f_degree_q2;
  reg        [4*9-1:0]    f_x_q1;
  reg        [4*9-1:0]    f_x_q2;
  reg signed [W_BITS-1:0] f_w0_q1;
  reg signed [W_BITS-1:0] f_w0_q2;
  reg signed [W_BITS-1:0] f_w0_q3;
  reg signed [W_BITS-1:0] f_w1_q1;
  reg signed [W_BITS-1:0] f_w1_q2;
  reg signed [W_BITS-1:0] f_w1_q3;
  reg signed [31:0]       f_sum;
  reg signed [31:0]       f_one;
  reg signed [31:0]       f_most;
  reg signed [31:0]       f_half;
  wire signed [31:0]      f_a;
  wire signed [31:0]      f_w0;
  wire signed [31:0]      f_w1;
  integer                 f_i;
  assign f_a  = a;
  assign f_w0 = f_w0_q1;
  assign f_w1 = f_w1_q1;
  initial f_seen_q = 3'd0;
  always @* begin
    assume (f_degree == 2'd0 || (DEGREE >= 2 && f_degree == 2'd1) || (DEGREE == 4 && f_degree == 2'd2));
    assume (s_degree_q1 == f_degree_q1 && s_degree_q2 == f_degree_q2);
    f_most = (f_degree == 2'd0) ? (32'sd1 << A_BITS) - 32'sd1 : (f_degree == 2'd1) ? 32'sd15 : 32'sd3;
    f_half = (f_degree == 2'd0) ? 32'sd128 : (f_degree == 2'd1) ? 32'sd8 : 32'sd2;
    f_sum  = 32'sd0;
    f_one  = 32'sd0;
    for (f_i = 0; f_i < 4; f_i = f_i + 1) begin
      f_one = {{23{f_x[f_i*9+8]}}, f_x[f_i*9 +: 9]};
      assume (f_one <= f_most && f_one >= -f_most);
      if (f_i < (1 << f_degree)) f_sum = f_sum + (f_one <<< ((f_degree == 2'd2) ? 4 * f_i : 8 * f_i));
    end
    assume (f_a == f_sum);
    if (f_seen_q[0]) assume (f_w0 >= -f_half && f_w0 < f_half && f_w1 >= -f_half && f_w1 < f_half);
  end
  always @(posedge clk) begin
    f_seen_q    <= {f_seen_q[1:0], 1'b1};
    f_degree_q1 <= f_degree;
    f_degree_q2 <= f_degree_q1;
    f_x_q1      <= f_x;
    f_x_q2      <= f_x_q1;
    f_w0_q1     <= s_w0;
    f_w1_q1     <= s_w1;
    f_w0_q2     <= f_w0_q1;
    f_w1_q2     <= f_w1_q1;
    f_w0_q3     <= f_w0_q2;
    f_w1_q3     <= f_w1_q2;
  end
  genvar gi;
  generate
    for (gi = 0; gi < DEGREE; gi = gi + 1) begin : g_formal
      localparam integer BITS = (DEGREE == 1) ? FIELD : (gi == 0) ? 16 : (gi == 1) ? 8 : 4;
      localparam integer FROM = (gi == 0) ? 0 : (gi == 1) ? 16 : 24 + 4 * (gi - 2);
      wire signed [8:0]      f_column;
      wire signed [BITS-1:0] f_p0;
      wire signed [BITS-1:0] f_p1;
      assign f_column = f_x_q2[gi*9 +: 9];
      assign f_p0     = f_w0_q3 * f_column;
      assign f_p1     = f_w1_q3 * f_column;
      always @(posedge clk) begin
        if (f_seen_q[2] && gi < (1 << f_degree_q2)) begin
          assert (m_p0[FROM +: BITS] == f_p0);
          assert (m_p1[FROM +: BITS] == f_p1);
        end
      end
    end
  endgenerate
`endif

endmodule

`default_nettype wire
