// SPDX-License-Identifier: Apache-2.0
// nba_array: PM x PN x PP products (PER_CHANNEL: PM x PP), lane sums and accumulators.
// Latency 3 + T cycles (product in two, then nba_sum), one step per cycle; no stall. T = clog2(PN).
// PER_CHANNEL: 1 if output m sees input m alone (PN = 1). PM outputs, PN inputs, PP columns (>= 1 each).
// A_BITS: activation precision [bits] (2..8, 16), operands have A_BITS + 1. W_BITS: weights (as A_BITS).
// ACC_BITS: accumulator [bits], >= A_BITS + 1 and >= W_BITS; finished accumulators must fit it.
// Packing: L = PN (PER_CHANNEL: PM) lanes; operand p's lane n at s_a[(p*L+n)*OP_W], the weight of
// output m, input n at s_w[(m*PN+n)*W_BITS], the accumulator of column j at m_acc[(m*PP*DEGREE+j)*ACC_BITS].
// PACK: 1 if outputs 2j and 2j+1 share their multipliers (nba_pair; not PER_CHANNEL; A_BITS, W_BITS <= 8); s_w is then
// that of the step of the next cycle. DEGREE 1, 2, 4: columns in an operand, at most (PACK; 1 without). A step has
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
  output wire [PM*PP*DEGREE*ACC_BITS-1:0]                        m_acc
);

  // An operand is never -2^A_BITS, so A_BITS + W_BITS bits hold every product. Sums are taken modulo 2^ACC_BITS, so
  // no product needs to be wider.
  localparam integer LANES     = (PER_CHANNEL != 0) ? PM : PN;
  localparam integer OP_W      = (DEGREE == 1) ? A_BITS + 1 : (DEGREE == 2) ? 13 : 15;
  localparam integer PROD_BITS = A_BITS + W_BITS;
  localparam integer PROD_W    = (PROD_BITS < ACC_BITS) ? PROD_BITS : ACC_BITS;
  localparam integer LEVELS    = (PN > 1) ? $clog2(PN) : 0;
  localparam integer FLAGS     = 2 + LEVELS;
  localparam integer SHARE     = (PACK != 0) ? 2 : 1;
  // Products of the columns of an operand, side by side.
  localparam integer COLS_W    = (PACK == 0) ? PROD_W : (DEGREE == 1) ? PROD_BITS : (DEGREE == 2) ? 24 : 32;

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

  genvar gm;
  genvar gp;
  genvar gi;
  genvar gd;

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

  generate
    for (gm = 0; gm < PM; gm = gm + SHARE) begin : g_outputs
      localparam integer HERE = (gm + SHARE <= PM) ? SHARE : PM - gm;
      for (gp = 0; gp < PP; gp = gp + 1) begin : g_column
        wire [PN*OP_W-1:0] operands;
        assign operands = s_a[(gp*LANES + ((PER_CHANNEL != 0) ? gm : 0))*OP_W +: PN*OP_W];

        // The products of all inputs with output gm and, of a pair, with the next one.
        wire [SHARE*PN*COLS_W-1:0] products;
        if (PACK != 0) begin : g_packed
          wire [PN*W_BITS-1:0] w0;
          wire [PN*W_BITS-1:0] w1;
          assign w0 = s_w[gm*PN*W_BITS +: PN*W_BITS];
          assign w1 = (HERE > 1) ? s_w[(gm+HERE-1)*PN*W_BITS +: PN*W_BITS] : {(PN*W_BITS){1'b0}};
          nba_pair #(
            .A_BITS(A_BITS),
            .W_BITS(W_BITS),
            .DEGREE(DEGREE)
          ) u_pair [PN-1:0] (
            .clk        (clk),
            .s_w0       (w0),
            .s_w1       (w1),
            .s_a        (operands),
            .s_degree_q1(degree_q1),
            .s_degree_q2(degree_q2),
            .m_p0       (products[PN*COLS_W-1:0]),
            .m_p1       (products[2*PN*COLS_W-1:PN*COLS_W])
          );
        end else if (MUL_LUT != 0) begin : g_adders
          nba_mul #(
            .A_W     (OP_W),
            .B_W     (W_BITS),
            .B_SIGNED(1),
            .P_W     (PROD_W),
            .HAS_C   (0)
          ) u_mul [PN-1:0] (
            .clk(clk),
            .s_a(operands),
            .s_b(s_w[gm*PN*W_BITS +: PN*W_BITS]),
            .s_c({(PN*PROD_W){1'b0}}),
            .m_p(products)
          );
        end else begin : g_single
          reg signed [OP_W-1:0]      a;
          reg signed [W_BITS-1:0]    w;
          reg signed [PROD_W-1:0]    product;
          reg        [PN*PROD_W-1:0] products_d;
          reg        [PN*PROD_W-1:0] products_q1;
          reg        [PN*PROD_W-1:0] products_q2;
          wire       [PN*W_BITS-1:0] weights;
          integer                    i;
          assign weights = s_w[gm*PN*W_BITS +: PN*W_BITS];
          always @* begin
            a          = {OP_W{1'b0}};
            w          = {W_BITS{1'b0}};
            product    = {PROD_W{1'b0}};
            products_d = {(PN*PROD_W){1'b0}};
            for (i = 0; i < PN; i = i + 1) begin
              a       = operands[i*OP_W +: OP_W];
              w       = weights[i*W_BITS +: W_BITS];
              product = a * w;
              products_d[i*PROD_W +: PROD_W] = product;
            end
          end
          always @(posedge clk) begin
            products_q1 <= products_d;
            products_q2 <= products_q1;
          end
          assign products = products_q2;
        end

        wire unused = &{1'b0, products};
        for (gi = 0; gi < HERE; gi = gi + 1) begin : g_output
          for (gd = 0; gd < DEGREE; gd = gd + 1) begin : g_part
            // The columns behind the first have fields of half and of a quarter of its bits.
            localparam integer FROM   = (gd == 0) ? 0 : (gd == 1) ? 16 : 24 + 4 * (gd - 2);
            localparam integer FIELD  = (DEGREE == 1) ? COLS_W : (gd == 0) ? 16 : (gd == 1) ? 8 : 4;
            localparam integer P_BITS = (FIELD < ACC_BITS) ? FIELD : ACC_BITS;
            wire [PN*COLS_W-1:0] all;
            reg  [PN*P_BITS-1:0] mine;
            integer              i;
            assign all = products[gi*PN*COLS_W +: PN*COLS_W];
            always @* begin
              mine = {(PN*P_BITS){1'b0}};
              for (i = 0; i < PN; i = i + 1) mine[i*P_BITS +: P_BITS] = all[i*COLS_W+FROM +: P_BITS];
            end
            nba_sum #(
              .PN      (PN),
              .P_BITS  (P_BITS),
              .ACC_BITS(ACC_BITS),
              .HAS_MAX (HAS_MAX)
            ) u_sum (
              .clk       (clk),
              .s_products(mine),
              .s_valid   (sum_valid),
              .s_first   (sum_first),
              .s_max     (sum_max),
              .m_acc     (m_acc[((gm+gi)*PP*DEGREE+gd*PP+gp)*ACC_BITS +: ACC_BITS])
            );
          end
        end
      end
    end
  endgenerate

`ifdef FORMAL
  // Accumulators change only FLAGS + 1 cycles after a valid step that no reset has overtaken.
  reg                      f_seen_q;
  reg                      f_hold_q;
  reg [FLAGS-1:0]          f_valid_q;
  reg [PM*PP*DEGREE*ACC_BITS-1:0] f_acc_q;
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
