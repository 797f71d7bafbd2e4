// SPDX-License-Identifier: Apache-2.0
// nba_requant: bias, scaling, residual, rounding, clamp of PQ x PP accumulators (docs/numerics.md).
// Latency 4 cycles (sum, products, total, code), PQ x PP results per cycle; no stall. Reset: none.
// PQ: channels, PP: columns (>= 1). ACC_BITS: accumulator and bias width [bits] (2..30).
// HAS_RES: 1 if any job adds a residual; 0 ignores s_res, c_res_mult and c_res_signed.
// Packing: channel m, column p at s_acc[(m*PP+p)*ACC_BITS], s_res and m_code[(p*PQ+m)*8].
// c_round = 2^(c_shift-1) - z_res*c_res_mult, c_shift 1..47. With inputs in cycle t the constants
// must hold in: c_res_mult, c_res_signed t+1; c_round t+2; c_shift, c_zero, c_min, c_max t+3.
`default_nettype none

module nba_requant #(
  parameter integer PQ       = 2,
  parameter integer PP       = 2,
  parameter integer ACC_BITS = 24,
  parameter integer HAS_RES  = 1
) (
  input  wire                      clk,
  input  wire [PQ*PP*ACC_BITS-1:0] s_acc,
  input  wire [PQ*ACC_BITS-1:0]    s_bias,
  input  wire [PQ*16-1:0]          s_mult,
  input  wire [PP*PQ*8-1:0]        s_res,
  input  wire [15:0]               c_res_mult,
  input  wire                      c_res_signed,
  input  wire [47:0]               c_round,
  input  wire [5:0]                c_shift,
  input  wire [8:0]                c_zero,
  input  wire [8:0]                c_min,
  input  wire [8:0]                c_max,
  output wire [PP*PQ*8-1:0]        m_code
);

  // 48 bits hold every total: |total| <= 2^30 * (2^16 - 1) + 2^46 + 255 * (2^16 - 1) < 2^47.
  localparam integer SUM_W   = ACC_BITS + 1;
  localparam integer PROD_W  = SUM_W + 16;
  localparam integer TOTAL_W = 48;

  wire signed [10:0] zero;
  wire signed [10:0] low;
  wire signed [10:0] high;
  assign zero = {{2{c_zero[8]}}, c_zero};
  assign low  = {{2{c_min[8]}}, c_min};
  assign high = {{2{c_max[8]}}, c_max};

  genvar gm;
  genvar gp;
  generate
    for (gm = 0; gm < PQ; gm = gm + 1) begin : g_channel
      wire signed [ACC_BITS-1:0] bias;
      reg  signed [16:0]         mult_q2;
      assign bias = s_bias[gm*ACC_BITS +: ACC_BITS];

      always @(posedge clk) begin
        mult_q2 <= {1'b0, s_mult[gm*16 +: 16]};
      end

      for (gp = 0; gp < PP; gp = gp + 1) begin : g_column
        wire signed [ACC_BITS-1:0] acc;
        wire signed [PROD_W-1:0]   product;
        wire signed [TOTAL_W-1:0]  residual;
        wire signed [TOTAL_W-1:0]  shifted;
        wire                       fits;
        wire signed [9:0]          near;
        wire signed [10:0]         moved;
        wire signed [10:0]         clamped;
        reg  signed [SUM_W-1:0]    sum_q2;
        reg  signed [PROD_W-1:0]   product_q3;
        reg  signed [TOTAL_W-1:0]  total_q4;
        reg  [7:0]                 code_q5;

        assign acc     = s_acc[(gm*PP+gp)*ACC_BITS +: ACC_BITS];
        assign product = sum_q2 * mult_q2;

        if (HAS_RES != 0) begin : g_residual
          wire [7:0]          code;
          wire signed [16:0]  factor;
          wire signed [24:0]  scaled;
          reg  [7:0]          code_q2;
          wire signed [8:0]   value;
          reg  signed [24:0]  scaled_q3;
          assign code   = s_res[(gp*PQ+gm)*8 +: 8];
          assign factor = {1'b0, c_res_mult};
          assign value  = {c_res_signed & code_q2[7], code_q2};
          assign scaled = value * factor;
          always @(posedge clk) begin
            code_q2   <= code;
            scaled_q3 <= scaled;
          end
          assign residual = {{(TOTAL_W-25){scaled_q3[24]}}, scaled_q3};
        end else begin : g_no_residual
          assign residual = {TOTAL_W{1'b0}};
        end

        // Saturating to 10 bits first changes no result (beyond them the sum with the zero point is
        // at or beyond every 9-bit limit), and keeps the last adder and the comparators small.
        assign shifted = total_q4 >>> c_shift;
        assign fits    = (&shifted[TOTAL_W-1:9]) || !(|shifted[TOTAL_W-1:9]);
        assign near    = fits ? shifted[9:0] : {shifted[TOTAL_W-1], {9{!shifted[TOTAL_W-1]}}};
        assign moved   = {near[9], near} + zero;
        assign clamped = (moved < low) ? low : (moved > high) ? high : moved;

        always @(posedge clk) begin
          sum_q2     <= {acc[ACC_BITS-1], acc} + {bias[ACC_BITS-1], bias};
          product_q3 <= product;
          total_q4   <= {{(TOTAL_W-PROD_W+1){product_q3[PROD_W-1]}}, product_q3[PROD_W-2:0]}
                        + residual + c_round;
          code_q5    <= clamped[7:0];
        end

        assign m_code[(gp*PQ+gm)*8 +: 8] = code_q5;

        wire unused = &{1'b0, clamped};
      end
    end
  endgenerate

  wire unused = &{1'b0, s_res, c_res_mult, c_res_signed};

`ifdef FORMAL
  // A code lies within the limits of the cycle before it, whatever the total was.
  reg               f_legal_q;
  reg signed [10:0] f_low_q;
  reg signed [10:0] f_high_q;
  reg               f_unsigned_q;
  initial f_legal_q = 1'b0;
  always @(posedge clk) begin
    f_low_q      <= low;
    f_high_q     <= high;
    f_unsigned_q <= (low >= 11'sd0);
    f_legal_q    <= (low <= high) && ((low >= 11'sd0) || ((low >= -11'sd128) && (high < 11'sd128)));
  end

  generate
    for (gp = 0; gp < PP*PQ; gp = gp + 1) begin : g_formal
      wire [7:0]         f_code;
      wire signed [10:0] f_value;
      assign f_code  = m_code[gp*8 +: 8];
      assign f_value = {{3{!f_unsigned_q && f_code[7]}}, f_code};
      always @(posedge clk) begin
        if (f_legal_q) begin
          assert (f_value >= f_low_q);
          assert (f_value <= f_high_q);
        end
      end
    end
  endgenerate
`endif

endmodule

`default_nettype wire
