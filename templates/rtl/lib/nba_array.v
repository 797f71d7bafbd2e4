// SPDX-License-Identifier: Apache-2.0
// nba_array: PM x PN x PP multipliers (PER_CHANNEL: PM x PP), lane sums and accumulators.
// Latency 3 cycles (product, sum, accumulator), one step per cycle; no stall.
// PER_CHANNEL: 1 if output m sees input m alone (PN = 1). PM outputs, PN inputs, PP columns (>= 1 each).
// A_BITS: activation precision [bits] (2..8, 16), operands have A_BITS + 1. W_BITS: weights (as A_BITS).
// ACC_BITS: accumulator [bits], >= A_BITS + 1 and >= W_BITS; finished accumulators must fit it.
// Packing: L = PN (PER_CHANNEL: PM) lanes; column p's lane n at s_a[(p*L+n)*(A_BITS+1)], the weight of
// output m, input n at s_w[(m*PN+n)*W_BITS], its accumulator at m_acc[(m*PP+p)*ACC_BITS].
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
  parameter integer A_BITS      = 8,
  parameter integer W_BITS      = 8,
  parameter integer ACC_BITS    = 24,
  parameter integer HAS_MAX     = 0
) (
  input  wire                                                    clk,
  input  wire                                                    rst,
  input  wire [PP*((PER_CHANNEL != 0) ? PM : PN)*(A_BITS+1)-1:0] s_a,
  input  wire [PM*PN*W_BITS-1:0]                                 s_w,
  input  wire                                                    s_valid,
  input  wire                                                    s_first,
  input  wire                                                    s_max,
  output wire [PM*PP*ACC_BITS-1:0]                               m_acc
);

  // An operand is never -2^A_BITS, so A_BITS + W_BITS bits hold every product. Sums are taken
  // modulo 2^ACC_BITS: only the finished accumulator must fit, so nothing needs to be wider.
  localparam integer LANES     = (PER_CHANNEL != 0) ? PM : PN;
  localparam integer OP_W      = A_BITS + 1;
  localparam integer PROD_BITS = A_BITS + W_BITS;
  localparam integer PROD_W    = (PROD_BITS < ACC_BITS) ? PROD_BITS : ACC_BITS;
  localparam integer SUM_BITS  = PROD_BITS + ((PN > 1) ? $clog2(PN) : 0);
  localparam integer SUM_W     = (SUM_BITS < ACC_BITS) ? SUM_BITS : ACC_BITS;

  reg valid_q4;
  reg valid_q5;
  reg first_q4;
  reg first_q5;

  always @(posedge clk) begin
    first_q4 <= s_first;
    first_q5 <= first_q4;
    valid_q4 <= s_valid;
    valid_q5 <= valid_q4;
    if (rst) begin
      valid_q4 <= 1'b0;
      valid_q5 <= 1'b0;
    end
  end

  wire max_q5;
  generate
    if (HAS_MAX != 0) begin : g_max_flag
      reg max_q4;
      reg flag_q5;
      always @(posedge clk) begin
        max_q4  <= s_max;
        flag_q5 <= max_q4;
      end
      assign max_q5 = flag_q5;
    end else begin : g_no_max_flag
      wire unused = &{1'b0, s_max};
      assign max_q5 = 1'b0;
    end
  endgenerate

  genvar gm;
  genvar gn;
  genvar gp;
  generate
    for (gm = 0; gm < PM; gm = gm + 1) begin : g_output
      for (gp = 0; gp < PP; gp = gp + 1) begin : g_column
        wire [PN*PROD_W-1:0]    products;
        reg  [PN*PROD_W-1:0]    products_q;
        reg  signed [SUM_W-1:0] sum;
        reg  signed [SUM_W-1:0] sum_q;
        reg  [ACC_BITS-1:0]     acc_q;
        wire [ACC_BITS-1:0]     addend;
        integer                 n;

        for (gn = 0; gn < PN; gn = gn + 1) begin : g_input
          wire signed [OP_W-1:0]   a;
          wire signed [W_BITS-1:0] w;
          wire signed [PROD_W-1:0] product;
          assign a = s_a[(gp*LANES + ((PER_CHANNEL != 0) ? gm : gn))*OP_W +: OP_W];
          assign w = s_w[(gm*PN+gn)*W_BITS +: W_BITS];
          assign product = a * w;
          assign products[gn*PROD_W +: PROD_W] = product;
        end

        always @* begin
          sum = {SUM_W{1'b0}};
          for (n = 0; n < PN; n = n + 1) begin
            sum = sum + {{(SUM_W-PROD_W+1){products_q[n*PROD_W+PROD_W-1]}},
                         products_q[n*PROD_W +: PROD_W-1]};
          end
        end

        assign addend = {{(ACC_BITS-SUM_W+1){sum_q[SUM_W-1]}}, sum_q[SUM_W-2:0]};

        always @(posedge clk) begin
          products_q <= products;
          sum_q      <= sum;
        end

        if (HAS_MAX != 0) begin : g_max
          wire signed [ACC_BITS-1:0] old;
          wire signed [ACC_BITS-1:0] found;
          wire                       keep;
          assign old   = acc_q;
          assign found = addend;
          assign keep  = max_q5 && !first_q5 && old >= found;
          always @(posedge clk) begin
            if (valid_q5 && !keep) begin
              acc_q <= ((first_q5 || max_q5) ? {ACC_BITS{1'b0}} : acc_q) + addend;
            end
          end
        end else begin : g_sum
          wire unused = &{1'b0, max_q5};
          always @(posedge clk) begin
            if (valid_q5) begin
              acc_q <= (first_q5 ? {ACC_BITS{1'b0}} : acc_q) + addend;
            end
          end
        end
`ifdef FORMAL
        // A finished step leaves the sum, or the larger one of what was there and the product.
        reg                       f_on_q = 1'b0;
        reg                       f_valid_q;
        reg                       f_first_q;
        reg                       f_max_q;
        reg signed [ACC_BITS-1:0] f_old_q;
        reg signed [ACC_BITS-1:0] f_found_q;
        always @(posedge clk) begin
          f_on_q    <= 1'b1;
          f_valid_q <= valid_q5;
          f_first_q <= first_q5;
          f_max_q   <= max_q5;
          f_old_q   <= acc_q;
          f_found_q <= addend;
          if (f_on_q && f_valid_q) begin
            if (f_first_q) assert (acc_q == f_found_q);
            else if (f_max_q) assert (acc_q == ((f_found_q > f_old_q) ? f_found_q : f_old_q));
            else assert (acc_q == f_old_q + f_found_q);
          end
        end
`endif

        assign m_acc[(gm*PP+gp)*ACC_BITS +: ACC_BITS] = acc_q;
      end
    end
  endgenerate

`ifdef FORMAL
  // Accumulators change only three cycles after a valid step that no reset has overtaken.
  reg                      f_seen_q;
  reg                      f_hold_q;
  reg [1:0]                f_valid_q;
  reg [PM*PP*ACC_BITS-1:0] f_acc_q;
  initial f_seen_q = 1'b0;
  initial f_hold_q = 1'b0;
  always @(posedge clk) begin
    f_seen_q  <= rst || f_seen_q;
    f_valid_q <= rst ? 2'b00 : {f_valid_q[0], s_valid};
    f_hold_q  <= f_seen_q && !f_valid_q[1];
    f_acc_q   <= m_acc;
    if (f_seen_q) begin
      assert ({valid_q5, valid_q4} == f_valid_q);
    end
    if (f_hold_q) begin
      assert (m_acc == f_acc_q);
    end
  end
`endif

endmodule

`default_nettype wire
