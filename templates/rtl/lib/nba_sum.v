// SPDX-License-Identifier: Apache-2.0
// nba_sum: one accumulator: the sum of PN products, added, taken as it is, or kept where it is the largest.
// Latency T + 1 cycles from s_products, 1 from the flags; one sum per cycle; no stall. T = clog2(PN): the sum over the
// lanes is a tree with a register behind every adder.
// PN: products (>= 1). P_BITS: each of them [bits], >= 2, the one of lane n at s_products[n*P_BITS].
// ACC_BITS: accumulator [bits], >= P_BITS; finished accumulators must fit it, sums on the way need not.
// HAS_MAX: 1 if s_max is used.
// s_valid, s_first and s_max are those of the products of T cycles before. With s_valid the sum is added to the
// accumulator, with s_first too it replaces it; with s_max (not s_first) it replaces it where it is larger.
// Reset: none (data only).
`default_nettype none

module nba_sum #(
  parameter integer PN       = 4,
  parameter integer P_BITS   = 16,
  parameter integer ACC_BITS = 24,
  parameter integer HAS_MAX  = 0
) (
  input  wire                 clk,
  input  wire [PN*P_BITS-1:0] s_products,
  input  wire                 s_valid,
  input  wire                 s_first,
  input  wire                 s_max,
  output wire [ACC_BITS-1:0]  m_acc
);

  // Sums are taken modulo 2^ACC_BITS: only the finished accumulator must fit, so nothing needs to be wider.
  localparam integer LEVELS   = (PN > 1) ? $clog2(PN) : 0;
  localparam integer SUM_BITS = P_BITS + LEVELS;
  localparam integer SUM_W    = (SUM_BITS < ACC_BITS) ? SUM_BITS : ACC_BITS;

  genvar gl;

  // Level l adds the ceil(PN / 2^l) products or sums below it in pairs. Every level is a vector that changes as a
  // whole: nets made of slices would be evaluated again for each of them in simulation.
  wire [SUM_W-1:0] sum;
  generate
    for (gl = 0; gl < LEVELS; gl = gl + 1) begin : g_level
      localparam integer BELOW = (PN + (1 << gl) - 1) >> gl;
      localparam integer HERE  = (BELOW + 1) / 2;
      localparam integer WIDE  = P_BITS + gl + 1;
      localparam integer FROM  = (WIDE - 1 < SUM_W) ? WIDE - 1 : SUM_W;
      localparam integer W     = (WIDE < SUM_W) ? WIDE : SUM_W;
      wire [BELOW*FROM-1:0] below;
      reg  [HERE*W-1:0]     sums_d;
      reg  [HERE*W-1:0]     sums_q;
      reg  [FROM-1:0]       left;
      reg  [FROM-1:0]       right;
      integer               i;
      if (gl == 0) begin : g_products
        assign below = s_products;
      end else begin : g_sums
        assign below = g_level[gl-1].sums_q;
      end
      always @* begin
        left   = {FROM{1'b0}};
        right  = {FROM{1'b0}};
        sums_d = {(HERE*W){1'b0}};
        for (i = 0; i < HERE; i = i + 1) begin
          left  = below[2*i*FROM +: FROM];
          right = below[((2*i+1 < BELOW) ? 2*i+1 : 0)*FROM +: FROM];
          if (2*i+1 >= BELOW) right = {FROM{1'b0}};
          sums_d[i*W +: W] = {{(W-FROM+1){left[FROM-1]}}, left[FROM-2:0]} +
                             {{(W-FROM+1){right[FROM-1]}}, right[FROM-2:0]};
        end
      end
      always @(posedge clk) sums_q <= sums_d;
    end
    if (LEVELS == 0) begin : g_one
      assign sum = s_products;
    end else begin : g_more
      assign sum = g_level[LEVELS-1].sums_q;
    end
  endgenerate

  reg  [ACC_BITS-1:0] acc_q;
  wire [ACC_BITS-1:0] addend;
  assign addend = {{(ACC_BITS-SUM_W+1){sum[SUM_W-1]}}, sum[SUM_W-2:0]};
  generate
    if (HAS_MAX != 0) begin : g_max
      wire signed [ACC_BITS-1:0] old;
      wire signed [ACC_BITS-1:0] found;
      wire                       keep;
      assign old   = acc_q;
      assign found = addend;
      assign keep  = s_max && !s_first && old >= found;
      always @(posedge clk) begin
        if (s_valid && !keep) acc_q <= ((s_first || s_max) ? {ACC_BITS{1'b0}} : acc_q) + addend;
      end
    end else begin : g_add
      wire unused = &{1'b0, s_max};
      always @(posedge clk) begin
        if (s_valid) acc_q <= (s_first ? {ACC_BITS{1'b0}} : acc_q) + addend;
      end
    end
  endgenerate
  assign m_acc = acc_q;

`ifdef FORMAL
  // The sum is that of the products of LEVELS cycles before. A valid one leaves itself, what was there and itself, or
  // the larger of both; without one the accumulator stays.
  integer                      f_i;
  reg  [P_BITS-1:0]            f_product;
  reg  [SUM_W-1:0]             f_total;
  reg  [(LEVELS+1)*SUM_W-1:0]  f_totals_q;
  reg  [LEVELS:0]              f_seen_q;
  wire [(LEVELS+2)*SUM_W-1:0]  f_totals;
  wire [LEVELS+1:0]            f_seen;
  reg                          f_valid_q;
  reg                          f_first_q;
  reg                          f_max_q;
  reg  signed [ACC_BITS-1:0]   f_old_q;
  reg  signed [ACC_BITS-1:0]   f_found_q;
  initial f_seen_q = {(LEVELS+1){1'b0}};
  always @* begin
    f_product = {P_BITS{1'b0}};
    f_total   = {SUM_W{1'b0}};
    for (f_i = 0; f_i < PN; f_i = f_i + 1) begin
      f_product = s_products[f_i*P_BITS +: P_BITS];
      f_total   = f_total + {{(SUM_W-P_BITS+1){f_product[P_BITS-1]}}, f_product[P_BITS-2:0]};
    end
  end
  assign f_totals = {f_totals_q, f_total};
  assign f_seen   = {f_seen_q, 1'b1};
  always @(posedge clk) begin
    f_totals_q <= f_totals[(LEVELS+1)*SUM_W-1:0];
    f_seen_q   <= f_seen[LEVELS:0];
    f_valid_q  <= s_valid;
    f_first_q  <= s_first;
    f_max_q    <= s_max;
    f_old_q    <= acc_q;
    f_found_q  <= addend;
    if (f_seen[LEVELS]) assert (sum == f_totals[LEVELS*SUM_W +: SUM_W]);
    if (f_seen_q[0]) begin
      if (!f_valid_q) assert (acc_q == f_old_q);
      else if (f_first_q) assert (acc_q == f_found_q);
      else if (HAS_MAX != 0 && f_max_q) assert (acc_q == ((f_found_q > f_old_q) ? f_found_q : f_old_q));
      else assert (acc_q == f_old_q + f_found_q);
    end
  end
`endif

endmodule

`default_nettype wire
