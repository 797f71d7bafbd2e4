// SPDX-License-Identifier: Apache-2.0
// nba_array: PM x PN x PP products (PER_CHANNEL: PM x PP), lane sums and accumulators.
// Latency 3 + T cycles (product in two, then nba_sum), one step per cycle; no stall. T = clog2(PN).
// PER_CHANNEL: 1 if output m sees input m alone (PN = 1). PM outputs, PN inputs, PP columns (>= 1 each).
// A_BITS: activation precision [bits] (2..8, 16), operands have A_BITS + 1. W_BITS: weights (as A_BITS).
// ACC_BITS: accumulator [bits], >= A_BITS + 1 and >= W_BITS; finished accumulators must fit it.
// Packing: L = PN (PER_CHANNEL: PM) lanes; operand p's lane n at s_a[(p*L+n)*OP_W], the weight of output m, input n at
// s_w[(m*PN+n)*W_BITS]. The accumulator of output m, column i*PP+p lies at m_acc[A*ACC_BITS] with S = PACK ? 2 : 1 and
// A = ((p*ceil(PM/S) + m/S)*DEGREE + i)*S + m%S; behind the last output of an odd PM lies an arbitrary one (S = 2).
// PACK: 1 if outputs 2j and 2j+1 share their multipliers (nba_pair; not PER_CHANNEL; A_BITS, W_BITS <= 8); s_w is then
// that of the step of the next cycle. CHAIN: 1 if inputs 2n and 2n+1 are added in a chain of two multipliers (PACK,
// DEGREE = 1, PN > 1); with A_BITS and W_BITS of 8 no weight of an odd output is -128 then.
// DEGREE 1, 2, 4: columns in an operand, at most (PACK; 1 without). A step has
// 2^s_degree of them, column p + i*PP in field i of operand p (nba_spread): OP_W = 13 (2), 15 (4), else A_BITS + 1.
// MUL_LUT: 1 if the products are made of adders (nba_mul; not with PACK), 0: as synthesis places them.
// HAS_MAX: 1 if any job takes the largest product instead of the sum (PER_CHANNEL only; weights of 1: the code).
// A step with s_valid adds to the accumulators, with s_first too it replaces them; with s_max (not s_first) an
// accumulator becomes its product where that is larger.
// Reset: the valid flags; data and accumulators are not reset.
`default_nettype none

module nba_array #(
  parameter integer PER_CHANNEL = 0,
  parameter integer PM          = 4,
  parameter integer PN          = 4,
  parameter integer PP          = 2,
  parameter integer DEGREE      = 1,
  parameter integer A_BITS      = 8,
  parameter integer W_BITS      = 8,
  parameter integer ACC_BITS    = 24,
  parameter integer PACK        = 0,
  parameter integer CHAIN       = 0,
  parameter integer HAS_MAX     = 0,
  parameter integer MUL_LUT     = 0
) (
  input  wire                                                    clk,
  input  wire                                                    rst,
  input  wire [PP*((PER_CHANNEL != 0) ? PM : PN)*((DEGREE == 1) ? A_BITS+1 : (DEGREE == 2) ? 13 : 15)-1:0] s_a,
  input  wire [PM*PN*W_BITS-1:0]                                 s_w,
  input  wire                                                    s_valid,
  input  wire                                                    s_first,
  input  wire                                                    s_max,
  input  wire [1:0]                                              s_degree,
  output wire [PP*(PM+((PACK != 0) ? PM % 2 : 0))*DEGREE*ACC_BITS-1:0] m_acc
);

  localparam integer LANES  = (PER_CHANNEL != 0) ? PM : PN;
  localparam integer OP_W   = (DEGREE == 1) ? A_BITS + 1 : (DEGREE == 2) ? 13 : 15;
  localparam integer LEVELS = (PN > 1) ? $clog2(PN) : 0;
  localparam integer FLAGS  = 2 + LEVELS;
  localparam integer SHARE  = (PACK != 0) ? 2 : 1;
  localparam integer DOTS   = (PM + SHARE - 1) / SHARE;

  // Flags of the step whose sum is complete; bit i belongs to the step of i + 1 cycles ago.
  reg [FLAGS-1:0] valid_q;
  reg [FLAGS-1:0] first_q;
  always @(posedge clk) begin
    first_q <= {first_q[FLAGS-2:0], s_first};
    valid_q <= {valid_q[FLAGS-2:0], s_valid};
    // No shift register of a memory cell: its output would be late.
    if (rst) begin
      valid_q <= {FLAGS{1'b0}};
      first_q <= {FLAGS{1'b0}};
    end
  end
  wire sum_valid = valid_q[FLAGS-1];
  wire sum_first = first_q[FLAGS-1];

  wire sum_max;
  generate
    if (HAS_MAX != 0) begin : g_max_flag
      reg [FLAGS-1:0] max_q;
      always @(posedge clk) begin
        max_q <= {max_q[FLAGS-2:0], s_max};
        if (rst) max_q <= {FLAGS{1'b0}};
      end
      assign sum_max = max_q[FLAGS-1];
    end else begin : g_no_max_flag
      wire unused = &{1'b0, s_max};
      assign sum_max = 1'b0;
    end
  endgenerate

  // The degree of the step that is multiplied, and of the one whose products are taken apart.
  wire [1:0] degree_q1;
  wire [1:0] degree_q2;
  generate
    if (DEGREE != 1) begin : g_degree
      reg [3:0] degree_q;
      always @(posedge clk) degree_q <= {degree_q[1:0], s_degree};
      assign degree_q1 = degree_q[1:0];
      assign degree_q2 = degree_q[3:2];
    end else begin : g_one
      wire unused = &{1'b0, s_degree, degree_q1, degree_q2};
      assign degree_q1 = 2'd0;
      assign degree_q2 = 2'd0;
    end
  endgenerate

  // Column by column, the outputs of a column: every nba_dot sees the operands of its column, or of its own channel in
  // it. An array of instances, whose outputs are joined at once: simulation evaluates a net that is driven in slices
  // anew for each of them.
  wire [PP*DOTS*PN*OP_W-1:0] operands;
  wire [PP*DOTS*SHARE*PN*W_BITS-1:0] weights;
  generate
    if (PER_CHANNEL != 0 || PP == 1) begin : g_direct
      assign operands = {((PER_CHANNEL != 0) ? 1 : DOTS){s_a}};
    end else begin : g_shared
      reg [PP*DOTS*PN*OP_W-1:0] all;
      integer                   p;
      always @* begin
        for (p = 0; p < PP; p = p + 1) all[p*DOTS*PN*OP_W +: DOTS*PN*OP_W] = {DOTS{s_a[p*LANES*OP_W +: PN*OP_W]}};
      end
      assign operands = all;
    end
    if (DOTS * SHARE != PM) begin : g_odd
      assign weights = {PP{{(PN*W_BITS){1'b0}}, s_w}};
    end else begin : g_even
      assign weights = {PP{s_w}};
    end
  endgenerate

  nba_dot #(
    .SHARE   (SHARE),
    .PN      (PN),
    .DEGREE  (DEGREE),
    .A_BITS  (A_BITS),
    .W_BITS  (W_BITS),
    .ACC_BITS(ACC_BITS),
    .CHAIN   (CHAIN),
    .MUL_LUT (MUL_LUT),
    .HAS_MAX (HAS_MAX)
  ) u_dot [PP*DOTS-1:0] (
    .clk        (clk),
    .s_a        (operands),
    .s_w        (weights),
    .s_degree_q1(degree_q1),
    .s_degree_q2(degree_q2),
    .s_valid    (sum_valid),
    .s_first    (sum_first),
    .s_max      (sum_max),
    .m_acc      (m_acc)
  );

`ifdef FORMAL
  // Accumulators change only FLAGS + 1 cycles after a valid step that no reset has overtaken.
  reg                      f_seen_q;
  reg                      f_hold_q;
  reg [FLAGS-1:0]          f_valid_q;
  reg [PP*DOTS*SHARE*DEGREE*ACC_BITS-1:0] f_acc_q;
  initial f_seen_q = 1'b0;
  initial f_hold_q = 1'b0;
  always @(posedge clk) begin
    f_seen_q  <= rst || f_seen_q;
    f_valid_q <= rst ? {FLAGS{1'b0}} : {f_valid_q[FLAGS-2:0], s_valid};
    f_hold_q  <= f_seen_q && !f_valid_q[FLAGS-1];
    f_acc_q   <= m_acc;
    if (f_seen_q) begin
      assert (valid_q == f_valid_q);
    end
    if (f_hold_q) begin
      assert (m_acc == f_acc_q);
    end
  end
`endif

endmodule

`default_nettype wire
