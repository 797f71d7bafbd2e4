// SPDX-License-Identifier: Apache-2.0
// nba_requant: bias, scaling, residual, rounding, clamp of PQ x PP accumulators (docs/numerics.md).
// Latency 9 cycles (sum, product in three, total, shift in two, saturated, code), PQ x PP results per cycle; no stall.
// Reset: none.
// PQ: channels, PP: columns (>= 1). ACC_BITS: accumulator and bias width [bits] (2..46). C_BITS: code [bits]
// (8, 16). SPLIT: 1 = the product from two narrower ones, for devices whose multipliers are narrow or made of gates
// (sums above 19 bits); 0 = only where the sum does not fit one DSP48 (above 25 bits). MUL_LUT: 1 = all products out of
// adders (nba_mul). HAS_RES: 1 if any job adds a residual; 0 ignores s_res, c_res_mult and c_res_signed.
// Packing: channel m, column p at s_acc[(m*PP+p)*ACC_BITS], s_res and m_code[(p*PQ+m)*C_BITS].
// SHIFT_LEAST, SHIFT_MOST: least and largest shift of any job and channel (1 <= SHIFT_LEAST <= SHIFT_MOST <= 47).
// c_round = 2^(c_shift-1) - z_res*c_res_mult, c_shift SHIFT_LEAST..SHIFT_MOST. With inputs in cycle t the constants
// must hold in: c_res_signed t+1; c_res_mult t+1, t+2; c_round t+3; c_shift t+4, t+5; c_zero, c_min, c_max t+7, t+8.
// SHIFT_BITS 1..6: the shift of a channel is c_least + s_shift[m*SHIFT_BITS], at most SHIFT_MOST, with s_shift in t; c_least holds
// in t, c_round in t+2, c_shift is not read. Where s_shift is not 0 the channel adds no residual and rounds by its own
// shift. 0: c_shift for all channels; s_shift and c_least are ignored.
`default_nettype none

module nba_requant #(
  parameter integer PQ       = 2,
  parameter integer PP       = 2,
  parameter integer C_BITS   = 8,
  parameter integer ACC_BITS = 24,
  parameter integer HAS_RES  = 1,
  parameter integer SPLIT    = 0,
  parameter integer SHIFT_BITS = 0,
  parameter integer SHIFT_LEAST = 1,
  parameter integer SHIFT_MOST = 47,
  parameter integer MUL_LUT  = 0
) (
  input  wire                      clk,
  input  wire [PQ*PP*ACC_BITS-1:0] s_acc,
  input  wire [PQ*ACC_BITS-1:0]    s_bias,
  input  wire [PQ*16-1:0]          s_mult,
  input  wire [PQ*((SHIFT_BITS != 0) ? SHIFT_BITS : 1)-1:0] s_shift,
  input  wire [PP*PQ*C_BITS-1:0]   s_res,
  input  wire [15:0]               c_res_mult,
  input  wire                      c_res_signed,
  input  wire [47:0]               c_round,
  input  wire [5:0]                c_least,
  input  wire [5:0]                c_shift,
  input  wire [C_BITS:0]           c_zero,
  input  wire [C_BITS:0]           c_min,
  input  wire [C_BITS:0]           c_max,
  output wire [PP*PQ*C_BITS-1:0]   m_code
);

  // With A accumulator bits, codes of C bits and shifts up to S, |total| <= 2^A * (2^16 - 1) + 2^(S-1) + 2^C * (2^16 - 1);
  // the last of the three only where there are residuals. LARGE is the exponent of the larger of the first two.
  localparam integer SUM_W   = ACC_BITS + 1;
  localparam integer PROD_W  = SUM_W + 16;
  localparam integer LARGE   = (ACC_BITS + 16 > SHIFT_MOST - 1) ? ACC_BITS + 16 : SHIFT_MOST - 1;
  localparam integer OTHER   = C_BITS + 16;
  localparam integer TWO     = (HAS_RES == 0 || (LARGE > OTHER && (ACC_BITS >= OTHER || ACC_BITS + 17 != SHIFT_MOST))) ? 1 : 0;
  localparam integer TOTAL_W = (TWO != 0) ? LARGE + 2 : (LARGE > OTHER) ? LARGE + 3 : OTHER + 3;

  // A shift is SHIFT_LEAST, which is wires, and a rest of 0..RANGE.
  localparam integer RANGE   = SHIFT_MOST - SHIFT_LEAST;
  localparam [31:0]  LEAST32 = SHIFT_LEAST;
  localparam [5:0]   LEAST   = LEAST32[5:0];
  localparam [5:0]   MASK    = (RANGE < 1) ? 6'd0 : (RANGE < 2) ? 6'd1 : (RANGE < 4) ? 6'd3 : (RANGE < 8) ? 6'd7
                             : (RANGE < 16) ? 6'd15 : (RANGE < 32) ? 6'd31 : 6'd63;

  localparam integer VALUE_W = C_BITS + 2;
  localparam integer NEAR_W  = C_BITS + 1;
  localparam integer PART_W  = NEAR_W + ((RANGE < 7) ? RANGE : 7);
  localparam integer HALVES  = ((SPLIT != 0 && SUM_W > 19) || SUM_W > 25) ? 1 : 0;

  wire signed [VALUE_W-1:0] zero;
  wire signed [VALUE_W-1:0] low;
  wire signed [VALUE_W-1:0] high;
  wire signed [TOTAL_W-1:0] common;
  assign zero = {c_zero[C_BITS], c_zero};
  assign low  = {c_min[C_BITS], c_min};
  assign high = {c_max[C_BITS], c_max};
  generate
    if (TOTAL_W > 48) begin : g_round
      assign common = {{(TOTAL_W-48){c_round[47]}}, c_round};
    end else begin : g_round_as_is
      assign common = c_round[TOTAL_W-1:0];
    end
  endgenerate

  // The limits of what the zero point is added to: a value is compared while it is moved.
  reg signed [VALUE_W-1:0] below_q;
  reg signed [VALUE_W-1:0] above_q;
  reg [5:0]                rest_q;
  always @(posedge clk) begin
    below_q <= low - zero;
    above_q <= high - zero;
    rest_q  <= (c_shift - LEAST) & MASK;
  end

  genvar gm;
  genvar gp;
  genvar gs;
  generate
    for (gm = 0; gm < PQ; gm = gm + 1) begin : g_channel
      wire signed [ACC_BITS-1:0] bias;
      reg  signed [16:0]         mult_q2;
      assign bias = s_bias[gm*ACC_BITS +: ACC_BITS];

      always @(posedge clk) begin
        mult_q2 <= {1'b0, s_mult[gm*16 +: 16]};
      end

      // Shift and rounding constant of the channel, in the cycles in which they are read.
      wire [2:0]                by_eights;
      wire [2:0]                by_rest;
      wire signed [TOTAL_W-1:0] round;
      if (SHIFT_BITS != 0) begin : g_shift
        wire [SHIFT_BITS-1:0]     more;
        wire [SHIFT_BITS+5:0]     wide;
        reg                       own_q2;
        reg                       own_q3;
        reg [5:0]                 shift_q2;
        reg [5:0]                 shift_q3;
        reg [5:0]                 shift_q4;
        reg [5:0]                 shift_q5;
        reg [5:0]                 rest_q6;
        reg [2:0]                 rest_q7;
        reg signed [TOTAL_W-1:0]  round_q4;
        wire [TOTAL_W-1:0]        half;
        assign more = s_shift[gm*SHIFT_BITS +: SHIFT_BITS];
        assign wide = {6'd0, more};
        for (gp = 0; gp < TOTAL_W; gp = gp + 1) begin : g_half
          localparam [31:0] SHIFT = gp + 1;
          assign half[gp] = (gp < SHIFT_MOST) && shift_q3 == SHIFT[5:0];
        end
        always @(posedge clk) begin
          own_q2   <= |more;
          own_q3   <= own_q2;
          shift_q2 <= c_least + wide[5:0];
          round_q4 <= own_q3 ? half : common;
          shift_q3 <= shift_q2;
          shift_q4 <= shift_q3;
          shift_q5 <= shift_q4;
          rest_q6  <= (shift_q5 - LEAST) & MASK;
          rest_q7  <= rest_q6[2:0];
        end
        wire unused_wide = &{1'b0, wide};
        assign by_eights = rest_q6[5:3];
        assign by_rest   = rest_q7;
        assign round     = round_q4;
      end else begin : g_no_shift
        assign by_eights = rest_q[5:3];
        assign by_rest   = rest_q[2:0];
        assign round     = common;
      end

      for (gp = 0; gp < PP; gp = gp + 1) begin : g_column
        wire signed [ACC_BITS-1:0] acc;
        wire signed [TOTAL_W-1:0]  total;
        wire signed [TOTAL_W-1:0]  coarse;
        wire signed [PART_W-1:0]   fine;
        wire [7:0]                 same;
        wire                       beyond;
        wire                       fits;
        wire signed [VALUE_W-1:0]  near;
        wire        [VALUE_W-1:0]  moved;
        reg  signed [SUM_W-1:0]    sum_q2;
        wire signed [PROD_W-1:0]   product_q5;
        wire signed [TOTAL_W-1:0]  offset_q5;
        reg  signed [TOTAL_W-1:0]  total_q6;
        reg  signed [PART_W-1:0]   part_q7;
        reg                        beyond_q7;
        reg  signed [PART_W-1:0]   part_q8;
        reg                        beyond_q8;
        reg  signed [NEAR_W-1:0]   near_q9;
        reg  [C_BITS-1:0]          code_q10;

        assign acc     = s_acc[(gm*PP+gp)*ACC_BITS +: ACC_BITS];

        if (MUL_LUT != 0) begin : g_adders
          // Ports take unsigned nets: for a slice of a signed one, yosys goes over the module twice, and fails.
          wire [SUM_W-1:0] sum_bits;
          wire [PROD_W-1:0] product_bits;
          wire [15:0]       mult_bits;
          assign mult_bits  = mult_q2[15:0];
          assign sum_bits   = sum_q2;
          assign product_q5 = product_bits;
          nba_mul #(
            .A_W     (SUM_W),
            .B_W     (16),
            .B_SIGNED(0),
            .P_W     (PROD_W),
            .STAGES  (3)
          ) u_mul (
            .clk(clk),
            .s_a(sum_bits),
            .s_b(mult_bits),
            .m_p(product_bits)
          );
          wire unused_sign = &{1'b0, mult_q2};
        end else if (HALVES != 0) begin : g_split
          localparam integer HIGH_W = SUM_W - 17;
          // The low product is a cycle behind the high one, which its block adds.
          wire signed [HIGH_W-1:0]  high_part;
          reg  signed [17:0]        low_part_q3;
          reg  signed [16:0]        mult_q3;
          reg  signed [HIGH_W+16:0] high_q3;
          reg  signed [HIGH_W+16:0] high_q4;
          reg  signed [34:0]        low_q4;
          wire [PROD_W-1:0]         low_wide;
          reg  signed [PROD_W-1:0]  both_q5;
          assign high_part = sum_q2[SUM_W-1:17];
          assign low_wide  = {{(PROD_W-33){1'b0}}, low_q4[32:0]};
          always @(posedge clk) begin
            low_part_q3 <= {1'b0, sum_q2[16:0]};
            mult_q3     <= mult_q2;
            high_q3     <= high_part * mult_q2;
            high_q4     <= high_q3;
            low_q4      <= low_part_q3 * mult_q3;
            both_q5     <= low_wide + {high_q4[PROD_W-18:0], 17'd0};
          end
          assign product_q5 = both_q5;
          wire unused_high = &{1'b0, low_q4[34:33], high_q4};
        end else begin : g_one
          // A DSP48E1 takes all of it: bias at its pre-adder, offset at its adder, and every register.
          reg  signed [ACC_BITS-1:0] acc_q2;
          reg  signed [ACC_BITS-1:0] acc_q3;
          reg  signed [ACC_BITS-1:0] bias_q2;
          reg  signed [ACC_BITS-1:0] bias_q3;
          reg  signed [SUM_W-1:0]    sum_q4;
          reg  signed [16:0]         mult_q3;
          reg  signed [16:0]         mult_q4;
          reg  signed [PROD_W-1:0]   whole_q5;
          always @(posedge clk) begin
            acc_q2   <= acc;
            acc_q3   <= acc_q2;
            bias_q2  <= bias;
            bias_q3  <= bias_q2;
            sum_q4   <= {acc_q3[ACC_BITS-1], acc_q3} + {bias_q3[ACC_BITS-1], bias_q3};
            mult_q3  <= mult_q2;
            mult_q4  <= mult_q3;
            whole_q5 <= sum_q4 * mult_q4;
          end
          assign product_q5 = whole_q5;
          wire unused_sum = &{1'b0, sum_q2};
        end

        if (HAS_RES != 0) begin : g_residual
          wire [C_BITS-1:0]           code;
          wire signed [16:0]          factor;
          reg  [C_BITS-1:0]           code_q2;
          assign code   = s_res[(gp*PQ+gm)*C_BITS +: C_BITS];
          assign factor = {1'b0, c_res_mult};
          localparam integer SCALED_W = C_BITS + 17;
          wire signed [SCALED_W-1:0] scaled_q4;
          reg  signed [TOTAL_W-1:0]  sum_q5;
          if (MUL_LUT != 0) begin : g_by_adders
            wire [C_BITS:0]     value_bits;
            wire [16:0]         factor_bits;
            wire [SCALED_W-1:0] scaled_bits;
            assign value_bits  = {c_res_signed & code_q2[C_BITS-1], code_q2};
            assign factor_bits = factor;
            assign scaled_q4   = scaled_bits;
            nba_mul #(
              .A_W     (17),
              .B_W     (C_BITS + 1),
              .B_SIGNED(1),
              .P_W     (SCALED_W)
            ) u_mul (
              .clk(clk),
              .s_a(factor_bits),
              .s_b(value_bits),
              .m_p(scaled_bits)
            );
          end else begin : g_whole
            reg signed [C_BITS:0]     value_q3;
            reg signed [SCALED_W-1:0] product_q4;
            assign scaled_q4 = product_q4;
            always @(posedge clk) begin
              value_q3   <= {c_res_signed & code_q2[C_BITS-1], code_q2};
              product_q4 <= value_q3 * factor;
            end
          end
          always @(posedge clk) begin
            code_q2 <= code;
            sum_q5  <= {{(TOTAL_W-SCALED_W){scaled_q4[SCALED_W-1]}}, scaled_q4} + round;
          end
          assign offset_q5 = sum_q5;
        end else begin : g_no_residual
          reg signed [TOTAL_W-1:0] round_q5;
          always @(posedge clk) round_q5 <= round;
          assign offset_q5 = round_q5;
        end

        // The rest of the shift in two parts: multiples of 8, then what is left, at most 7. Of the first only the bits that the second
        // can bring into the result go on; whether any above them differs from the sign is a flag. A value that is too
        // large for PART_W bits is so for the result after any rest.
        assign total  = total_q6 >>> SHIFT_LEAST;
        assign coarse = total >>> {by_eights, 3'd0};
        for (gs = 0; gs < 6; gs = gs + 1) begin : g_same
          if (8*gs + PART_W < TOTAL_W) begin : g_bits
            assign same[gs] = (&total[TOTAL_W-1:8*gs+PART_W-1]) || !(|total[TOTAL_W-1:8*gs+PART_W-1]);
          end else begin : g_none
            assign same[gs] = 1'b1;
          end
        end
        assign same[7:6] = 2'b11;
        assign beyond = !same[by_eights];
        assign fine   = part_q7 >>> by_rest;

        // Saturating to C_BITS + 1 bits first changes no result (at their ends and beyond, the sum with the zero point
        // is at or beyond every limit of a code), and keeps the last adder and the comparators small.
        assign fits   = !beyond_q8 && ((&part_q8[PART_W-1:NEAR_W-1]) || !(|part_q8[PART_W-1:NEAR_W-1]));
        assign near   = {near_q9[NEAR_W-1], near_q9};
        assign moved  = near + zero;

        always @(posedge clk) begin
          sum_q2     <= {acc[ACC_BITS-1], acc} + {bias[ACC_BITS-1], bias};
          total_q6   <= {{(TOTAL_W-PROD_W+1){product_q5[PROD_W-1]}}, product_q5[PROD_W-2:0]} + offset_q5;
          // The sign goes on for itself: that of the part is not the total's where it is too large.
          part_q7    <= {coarse[TOTAL_W-1], coarse[PART_W-2:0]};
          beyond_q7  <= beyond;
          part_q8    <= fine;
          beyond_q8  <= beyond_q7;
          near_q9    <= fits ? part_q8[NEAR_W-1:0]
                             : {part_q8[PART_W-1], {(NEAR_W-1){!part_q8[PART_W-1]}}};
          code_q10   <= (near < below_q) ? low[C_BITS-1:0]
                     : (near > above_q) ? high[C_BITS-1:0] : moved[C_BITS-1:0];
        end

        assign m_code[(gp*PQ+gm)*C_BITS +: C_BITS] = code_q10;

        wire unused = &{1'b0, moved, total_q6};
      end
    end
  endgenerate

  wire unused = &{1'b0, s_res, c_res_mult, c_res_signed, s_shift, c_least, c_round, rest_q};

`ifdef FORMAL
  // A code lies within the limits of the two cycles before it, whatever the total was.
  // The least signed code.
  wire signed [VALUE_W-1:0] f_least = {{3{1'b1}}, {(C_BITS-1){1'b0}}};
  reg               f_legal_q;
  reg               f_same_q;
  reg signed [VALUE_W-1:0] f_zero_q;
  reg signed [VALUE_W-1:0] f_low_q;
  reg signed [VALUE_W-1:0] f_high_q;
  reg               f_unsigned_q;
  initial f_legal_q = 1'b0;
  initial f_same_q = 1'b0;
  always @(posedge clk) begin
    f_low_q      <= low;
    f_high_q     <= high;
    f_unsigned_q <= !low[VALUE_W-1];
    f_zero_q     <= zero;
    f_same_q     <= 1'b1;
    f_legal_q    <= f_same_q && low == f_low_q && high == f_high_q && zero == f_zero_q && (low <= high)
                    && (!low[VALUE_W-1] || ((low >= f_least) && (high <= ~f_least)));
  end

  generate
    for (gp = 0; gp < PP*PQ; gp = gp + 1) begin : g_formal
      wire [C_BITS-1:0]         f_code;
      wire signed [VALUE_W-1:0] f_value;
      assign f_code  = m_code[gp*C_BITS +: C_BITS];
      assign f_value = {{2{!f_unsigned_q && f_code[C_BITS-1]}}, f_code};
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
