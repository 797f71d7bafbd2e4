// SPDX-License-Identifier: Apache-2.0
// nba_array: PM x PN x PP products (PER_CHANNEL: PM x PP), lane sums and accumulators.
// Latency 3 + T cycles (product in two, sum, accumulator), one step per cycle; no stall. T = clog2(PN): the sum over
// the lanes is a tree with a register behind every adder.
// PER_CHANNEL: 1 if output m sees input m alone (PN = 1). PM outputs, PN inputs, PP columns (>= 1 each).
// A_BITS: activation precision [bits] (2..8, 16), operands have A_BITS + 1. W_BITS: weights (as A_BITS).
// ACC_BITS: accumulator [bits], >= A_BITS + 1 and >= W_BITS; finished accumulators must fit it.
// Packing: L = PN (PER_CHANNEL: PM) lanes; column p's lane n at s_a[(p*L+n)*(A_BITS+1)], the weight of
// output m, input n at s_w[(m*PN+n)*W_BITS], its accumulator at m_acc[(m*PP+p)*ACC_BITS].
// PACK: 1 if outputs 2j and 2j+1 share their multipliers (nba_pair; not PER_CHANNEL; A_BITS, W_BITS <= 8); s_w is then
// that of the step of the next cycle.
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
  parameter integer PACK        = 0,
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
  localparam integer LEVELS    = (PN > 1) ? $clog2(PN) : 0;
  localparam integer SUM_BITS  = PROD_BITS + LEVELS;
  localparam integer SUM_W     = (SUM_BITS < ACC_BITS) ? SUM_BITS : ACC_BITS;
  localparam integer FLAGS     = 2 + LEVELS;

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
  genvar gn;
  genvar gp;
  genvar gl;

  // The product of output m, column p and input n at [((m*PP+p)*PN+n)*PROD_W].
  wire [PM*PP*PN*PROD_W-1:0] products;
  generate
    if (PACK != 0) begin : g_packed
      for (gm = 0; gm < PM; gm = gm + 2) begin : g_outputs
        localparam integer TWO = (gm + 1 < PM) ? 1 : 0;
        for (gp = 0; gp < PP; gp = gp + 1) begin : g_column
          for (gn = 0; gn < PN; gn = gn + 1) begin : g_input
            wire [PROD_BITS-1:0] first;
            wire [PROD_BITS-1:0] second;
            wire [W_BITS-1:0]    w1;
            assign w1 = (TWO != 0) ? s_w[((gm+TWO)*PN+gn)*W_BITS +: W_BITS] : {W_BITS{1'b0}};
            nba_pair #(
              .A_BITS(A_BITS),
              .W_BITS(W_BITS)
            ) u_pair (
              .clk (clk),
              .s_w0(s_w[(gm*PN+gn)*W_BITS +: W_BITS]),
              .s_w1(w1),
              .s_a (s_a[(gp*LANES+gn)*OP_W +: OP_W]),
              .m_p0(first),
              .m_p1(second)
            );
            assign products[((gm*PP+gp)*PN+gn)*PROD_W +: PROD_W] = first[PROD_W-1:0];
            if (TWO != 0) begin : g_second
              assign products[(((gm+1)*PP+gp)*PN+gn)*PROD_W +: PROD_W] = second[PROD_W-1:0];
            end
            wire unused = &{1'b0, first, second};
          end
        end
      end
    end else begin : g_single
      for (gm = 0; gm < PM; gm = gm + 1) begin : g_output
        for (gp = 0; gp < PP; gp = gp + 1) begin : g_column
          for (gn = 0; gn < PN; gn = gn + 1) begin : g_input
            wire signed [OP_W-1:0]   a;
            wire signed [W_BITS-1:0] w;
            wire signed [PROD_W-1:0] product;
            reg  signed [PROD_W-1:0] product_q1;
            reg  signed [PROD_W-1:0] product_q2;
            assign a = s_a[(gp*LANES + ((PER_CHANNEL != 0) ? gm : gn))*OP_W +: OP_W];
            assign w = s_w[(gm*PN+gn)*W_BITS +: W_BITS];
            assign product = a * w;
            always @(posedge clk) begin
              product_q1 <= product;
              product_q2 <= product_q1;
            end
            assign products[((gm*PP+gp)*PN+gn)*PROD_W +: PROD_W] = product_q2;
          end
        end
      end
    end
  endgenerate

  generate
    for (gm = 0; gm < PM; gm = gm + 1) begin : g_output
      for (gp = 0; gp < PP; gp = gp + 1) begin : g_column
        // Level l of the tree: ceil(PN / 2^l) sums of SUM_W bits, of which products and sums so far fill the low ones.
        wire [(LEVELS+1)*PN*SUM_W-1:0] tree;
        wire                           tree_unused = &{1'b0, tree};
        reg  [ACC_BITS-1:0]            acc_q;
        wire [ACC_BITS-1:0]            addend;

        for (gn = 0; gn < PN; gn = gn + 1) begin : g_input
          wire [PROD_W-1:0] product;
          assign product = products[((gm*PP+gp)*PN+gn)*PROD_W +: PROD_W];
          assign tree[gn*SUM_W +: SUM_W] = {{(SUM_W-PROD_W+1){product[PROD_W-1]}}, product[PROD_W-2:0]};
        end

        for (gl = 0; gl < LEVELS; gl = gl + 1) begin : g_level
          localparam integer WIDE = PROD_BITS + gl + 1;
          localparam integer W    = (WIDE < SUM_W) ? WIDE : SUM_W;
          localparam integer HERE = (PN + (1 << gl) - 1) >> gl;
          for (gn = 0; gn < (HERE + 1) / 2; gn = gn + 1) begin : g_sum
            wire [SUM_W-1:0] left;
            wire [SUM_W-1:0] right;
            reg  [W-1:0]     sum_q;
            assign left  = tree[(gl*PN + 2*gn)*SUM_W +: SUM_W];
            assign right = (2*gn + 1 < HERE) ? tree[(gl*PN + ((2*gn + 1 < HERE) ? 2*gn + 1 : 0))*SUM_W +: SUM_W]
                                             : {SUM_W{1'b0}};
            always @(posedge clk) sum_q <= left[W-1:0] + right[W-1:0];
            assign tree[((gl+1)*PN + gn)*SUM_W +: SUM_W] = {{(SUM_W-W+1){sum_q[W-1]}}, sum_q[W-2:0]};
            wire unused = &{1'b0, left, right};
          end
          assign tree[((gl+1)*PN + (HERE+1)/2)*SUM_W +: (PN-(HERE+1)/2)*SUM_W] = {((PN-(HERE+1)/2)*SUM_W){1'b0}};
        end

        assign addend = {{(ACC_BITS-SUM_W+1){tree[LEVELS*PN*SUM_W+SUM_W-1]}}, tree[LEVELS*PN*SUM_W +: SUM_W-1]};

        if (HAS_MAX != 0) begin : g_max
          wire signed [ACC_BITS-1:0] old;
          wire signed [ACC_BITS-1:0] found;
          wire                       keep;
          assign old   = acc_q;
          assign found = addend;
          assign keep  = sum_max && !sum_first && old >= found;
          always @(posedge clk) begin
            if (sum_valid && !keep) begin
              acc_q <= ((sum_first || sum_max) ? {ACC_BITS{1'b0}} : acc_q) + addend;
            end
          end
        end else begin : g_sum
          wire unused = &{1'b0, sum_max};
          always @(posedge clk) begin
            if (sum_valid) begin
              acc_q <= (sum_first ? {ACC_BITS{1'b0}} : acc_q) + addend;
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
          f_valid_q <= sum_valid;
          f_first_q <= sum_first;
          f_max_q   <= sum_max;
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
  // Accumulators change only FLAGS + 1 cycles after a valid step that no reset has overtaken, and a sum is that of the
  // products of a step.
  reg                      f_seen_q;
  reg                      f_hold_q;
  reg [FLAGS-1:0]          f_valid_q;
  reg [PM*PP*ACC_BITS-1:0] f_acc_q;
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
