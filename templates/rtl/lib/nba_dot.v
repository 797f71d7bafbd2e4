// SPDX-License-Identifier: Apache-2.0
// nba_dot: the products of PN inputs of a column, or of the columns in an operand, with one output channel or two,
// their sums over the inputs, and the accumulators of these.
// Latency 3 + T cycles (product in two, then nba_sum), one step per cycle; no stall. T = clog2(PN).
// SHARE: output channels (1, 2). PN inputs. DEGREE 1, 2, 4: columns in an operand, at most (SHARE = 2; 1 without).
// A_BITS, W_BITS, ACC_BITS, MUL_LUT, HAS_MAX as nba_array. OP_W = 13 (DEGREE 2), 15 (4), else A_BITS + 1.
// Packing: input n's operand at s_a[n*OP_W], its weight for channel m at s_w[(m*PN+n)*W_BITS]; the accumulator of
// channel m, column i of the operand at m_acc[(i*SHARE+m)*ACC_BITS].
// SHARE = 2: both channels by one multiplier (nba_pair); s_w is that of the step of the next cycle, s_degree_q1 and
// s_degree_q2 are those of the steps of one and two cycles ago. CHAIN: 1 = two inputs add up in a pair of multipliers
// (nba_chain, with its limits; SHARE = 2, DEGREE = 1, PN > 1).
// s_valid, s_first and s_max come with the sum that they belong to (nba_sum): 2 + T cycles after s_a.
// Reset: none (data only).
`default_nettype none

module nba_dot #(
  parameter integer SHARE    = 1,
  parameter integer PN       = 4,
  parameter integer DEGREE   = 1,
  parameter integer A_BITS   = 8,
  parameter integer W_BITS   = 8,
  parameter integer ACC_BITS = 24,
  parameter integer CHAIN    = 0,
  parameter integer MUL_LUT  = 0,
  parameter integer HAS_MAX  = 0
) (
  input  wire                                                                 clk,
  input  wire [PN*((DEGREE == 1) ? A_BITS+1 : (DEGREE == 2) ? 13 : 15)-1:0]    s_a,
  input  wire [SHARE*PN*W_BITS-1:0]                                            s_w,
  input  wire [1:0]                                                           s_degree_q1,
  input  wire [1:0]                                                           s_degree_q2,
  input  wire                                                                 s_valid,
  input  wire                                                                 s_first,
  input  wire                                                                 s_max,
  output wire [SHARE*DEGREE*ACC_BITS-1:0]                                      m_acc
);

  // An operand is never -2^A_BITS, so A_BITS + W_BITS bits hold every product. Sums are taken modulo 2^ACC_BITS, so
  // no product needs to be wider.
  localparam integer OP_W      = (DEGREE == 1) ? A_BITS + 1 : (DEGREE == 2) ? 13 : 15;
  localparam integer PROD_BITS = A_BITS + W_BITS;
  localparam integer PROD_W    = (PROD_BITS < ACC_BITS) ? PROD_BITS : ACC_BITS;
  // Products of the columns of an operand, side by side.
  localparam integer COLS_W    = (DEGREE == 1) ? PROD_BITS : (DEGREE == 2) ? 24 : 32;

  genvar gd;

  // In simulation, a net that is driven in slices, or joined from wide ones, is evaluated again and bit by bit whenever
  // one of them changes. So every vector here is driven as a whole.
  generate
    if (SHARE == 1) begin : g_single
      wire [PN*PROD_W-1:0] products;
      wire                 unused;
      assign unused = &{1'b0, s_degree_q1, s_degree_q2};
      if (MUL_LUT != 0) begin : g_adders
        nba_mul #(
          .A_W     (OP_W),
          .B_W     (W_BITS),
          .B_SIGNED(1),
          .P_W     (PROD_W)
        ) u_mul [PN-1:0] (
          .clk(clk),
          .s_a(s_a),
          .s_b(s_w),
          .m_p(products)
        );
      end else begin : g_plain
        reg signed [OP_W-1:0]      a;
        reg signed [W_BITS-1:0]    w;
        reg signed [PROD_W-1:0]    product;
        reg        [PN*PROD_W-1:0] products_d;
        reg        [PN*PROD_W-1:0] products_q1;
        reg        [PN*PROD_W-1:0] products_q2;
        integer                    i;
        always @* begin
          a          = {OP_W{1'b0}};
          w          = {W_BITS{1'b0}};
          product    = {PROD_W{1'b0}};
          products_d = {(PN*PROD_W){1'b0}};
          for (i = 0; i < PN; i = i + 1) begin
            a       = s_a[i*OP_W +: OP_W];
            w       = s_w[i*W_BITS +: W_BITS];
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
      nba_sum #(
        .PN      (PN),
        .P_BITS  (PROD_W),
        .ACC_BITS(ACC_BITS),
        .HAS_MAX (HAS_MAX)
      ) u_sum (
        .clk       (clk),
        .s_products(products),
        .s_valid   (s_valid),
        .s_first   (s_first),
        .s_max     (s_max),
        .m_acc     (m_acc)
      );
    end else if (CHAIN != 0) begin : g_chain
      // Inputs two by two; an odd one is alone.
      localparam integer LINKS  = (PN + 1) / 2;
      localparam integer EVEN   = PN - PN % 2;
      localparam integer FIELD  = PROD_BITS + 1;
      localparam integer P_BITS = (FIELD < ACC_BITS) ? FIELD : ACC_BITS;
      wire [EVEN/2*FIELD-1:0]   pairs0;
      wire [EVEN/2*FIELD-1:0]   pairs1;
      wire [LINKS*FIELD-1:0]    sums0;
      wire [LINKS*FIELD-1:0]    sums1;
      wire [2*LINKS*P_BITS-1:0] both;
      wire                      unused;
      assign unused = &{1'b0, s_degree_q1, s_degree_q2};
      nba_chain #(
        .A_BITS(A_BITS),
        .W_BITS(W_BITS)
      ) u_chain [EVEN/2-1:0] (
        .clk (clk),
        .s_w0(s_w[EVEN*W_BITS-1:0]),
        .s_w1(s_w[(PN+EVEN)*W_BITS-1:PN*W_BITS]),
        .s_a (s_a[EVEN*OP_W-1:0]),
        .m_p0(pairs0),
        .m_p1(pairs1)
      );
      if (EVEN < PN) begin : g_odd
        wire [FIELD-1:0] last0;
        wire [FIELD-1:0] last1;
        nba_chain #(
          .A_BITS(A_BITS),
          .W_BITS(W_BITS),
          .LINKS (1)
        ) u_last (
          .clk (clk),
          .s_w0({s_w[EVEN*W_BITS +: W_BITS], {W_BITS{1'b0}}}),
          .s_w1({s_w[(PN+EVEN)*W_BITS +: W_BITS], {W_BITS{1'b0}}}),
          .s_a ({s_a[EVEN*OP_W +: OP_W], {OP_W{1'b0}}}),
          .m_p0(last0),
          .m_p1(last1)
        );
        assign sums0 = {last0, pairs0};
        assign sums1 = {last1, pairs1};
      end else begin : g_even
        assign sums0 = pairs0;
        assign sums1 = pairs1;
      end
      if (P_BITS == FIELD) begin : g_whole
        assign both = {sums1, sums0};
      end else begin : g_short
        reg [2*LINKS*P_BITS-1:0] mine;
        integer                  i;
        always @* begin
          mine = {(2*LINKS*P_BITS){1'b0}};
          for (i = 0; i < LINKS; i = i + 1) begin
            mine[i*P_BITS +: P_BITS]         = sums0[i*FIELD +: P_BITS];
            mine[(LINKS+i)*P_BITS +: P_BITS] = sums1[i*FIELD +: P_BITS];
          end
        end
        assign both = mine;
      end
      nba_sum #(
        .PN      (LINKS),
        .P_BITS  (P_BITS),
        .ACC_BITS(ACC_BITS),
        .HAS_MAX (HAS_MAX)
      ) u_sum [1:0] (
        .clk       (clk),
        .s_products(both),
        .s_valid   (s_valid),
        .s_first   (s_first),
        .s_max     (s_max),
        .m_acc     (m_acc)
      );
    end else begin : g_pair
      wire [PN*COLS_W-1:0] products0;
      wire [PN*COLS_W-1:0] products1;
      nba_pair #(
        .A_BITS(A_BITS),
        .W_BITS(W_BITS),
        .DEGREE(DEGREE)
      ) u_pair [PN-1:0] (
        .clk        (clk),
        .s_w0       (s_w[PN*W_BITS-1:0]),
        .s_w1       (s_w[2*PN*W_BITS-1:PN*W_BITS]),
        .s_a        (s_a),
        .s_degree_q1(s_degree_q1),
        .s_degree_q2(s_degree_q2),
        .m_p0       (products0),
        .m_p1       (products1)
      );

      for (gd = 0; gd < DEGREE; gd = gd + 1) begin : g_part
        // The columns behind the first have fields of half and of a quarter of its bits.
        localparam integer FROM   = (gd == 0) ? 0 : (gd == 1) ? 16 : 24 + 4 * (gd - 2);
        localparam integer FIELD  = (DEGREE == 1) ? COLS_W : (gd == 0) ? 16 : (gd == 1) ? 8 : 4;
        localparam integer P_BITS = (FIELD < ACC_BITS) ? FIELD : ACC_BITS;
        wire [2*PN*P_BITS-1:0]   both;
        wire [2*ACC_BITS-1:0]    accs;
        if (P_BITS == COLS_W) begin : g_whole
          assign both = {products1, products0};
        end else begin : g_field
          reg [2*PN*P_BITS-1:0] mine;
          integer               i;
          always @* begin
            mine = {(2*PN*P_BITS){1'b0}};
            for (i = 0; i < PN; i = i + 1) begin
              mine[i*P_BITS +: P_BITS]      = products0[i*COLS_W+FROM +: P_BITS];
              mine[(PN+i)*P_BITS +: P_BITS] = products1[i*COLS_W+FROM +: P_BITS];
            end
          end
          assign both = mine;
        end
        nba_sum #(
          .PN      (PN),
          .P_BITS  (P_BITS),
          .ACC_BITS(ACC_BITS),
          .HAS_MAX (HAS_MAX)
        ) u_sum [1:0] (
          .clk       (clk),
          .s_products(both),
          .s_valid   (s_valid),
          .s_first   (s_first),
          .s_max     (s_max),
          .m_acc     (accs)
        );
      end
      if (DEGREE == 1) begin : g_one
        assign m_acc = g_part[0].accs;
      end else if (DEGREE == 2) begin : g_two
        assign m_acc = {g_part[1].accs, g_part[0].accs};
      end else begin : g_four
        assign m_acc = {g_part[3].accs, g_part[2].accs, g_part[1].accs, g_part[0].accs};
      end
    end
  endgenerate

endmodule

`default_nettype wire
