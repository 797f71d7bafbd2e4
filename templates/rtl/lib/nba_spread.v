// SPDX-License-Identifier: Apache-2.0
// nba_spread: adds the operands of several columns into one, each a field above the one before, for nba_pair.
// Latency 1 cycle, PP * LANES sums per cycle; no stall. Reset: none (data only).
// PP: operands handed on per lane. DEGREE 2, 4: columns in one, at most; a step has d = 2^s_degree of them, and fields
// of 16 / d bits. LANES >= 1. OP_BITS: operand [bits] (3..9); of a step of d columns it lies in +-(2^(8/d) - 1).
// Packing: column j's lane n at s_data[(j*LANES+n)*OP_BITS]; operand p's lane n at m_data[(p*LANES+n)*M_BITS], the sum
// of columns p + i*PP times 2^(16*i/d), i < d, signed. M_BITS = 13 (DEGREE 2), 15 (DEGREE 4).
// Fields are signed, so a negative one borrows from the next.
`default_nettype none

module nba_spread #(
  parameter integer PP      = 2,
  parameter integer DEGREE  = 2,
  parameter integer LANES   = 4,
  parameter integer OP_BITS = 9
) (
  input  wire                                               clk,
  input  wire [1:0]                                         s_degree,
  input  wire [PP*DEGREE*LANES*OP_BITS-1:0]                 s_data,
  output wire [PP*LANES*((DEGREE == 2) ? 13 : 15)-1:0]      m_data
);

  localparam integer M_BITS = (DEGREE == 2) ? 13 : 15;

  genvar gp;
  genvar gn;
  generate
    for (gp = 0; gp < PP; gp = gp + 1) begin : g_operand
      for (gn = 0; gn < LANES; gn = gn + 1) begin : g_lane
        wire signed [OP_BITS-1:0] a0;
        wire signed [OP_BITS-1:0] a1;
        wire        [8:0]         one;
        wire        [8:0]         second;
        wire        [5:0]         above;
        wire        [13:0]        two;
        reg         [M_BITS-1:0]  sum_q;
        assign a0     = s_data[(gp*LANES+gn)*OP_BITS +: OP_BITS];
        assign a1     = s_data[((gp+PP)*LANES+gn)*OP_BITS +: OP_BITS];
        assign one    = {{(10-OP_BITS){a0[OP_BITS-1]}}, a0[OP_BITS-2:0]};
        assign second = {{(10-OP_BITS){a1[OP_BITS-1]}}, a1[OP_BITS-2:0]};
        assign above  = second[5:0] - {5'd0, a0[OP_BITS-1]};
        assign two    = {above, one[7:0]};

        if (DEGREE == 2) begin : g_two
          always @(posedge clk) sum_q <= (s_degree == 2'd1) ? two[12:0] : {{4{one[8]}}, one};
          wire unused = &{1'b0, two};
        end else begin : g_four
          wire signed [OP_BITS-1:0] a2;
          wire signed [OP_BITS-1:0] a3;
          wire        [8:0]         third;
          wire        [8:0]         fourth;
          wire        [3:0]         over;
          wire        [7:0]         upper;
          wire        [15:0]        four;
          assign a2     = s_data[((gp+2*PP)*LANES+gn)*OP_BITS +: OP_BITS];
          assign a3     = s_data[((gp+3*PP)*LANES+gn)*OP_BITS +: OP_BITS];
          assign third  = {{(10-OP_BITS){a2[OP_BITS-1]}}, a2[OP_BITS-2:0]};
          assign fourth = {{(10-OP_BITS){a3[OP_BITS-1]}}, a3[OP_BITS-2:0]};
          assign over   = fourth[3:0] - {3'd0, third[3]};
          assign upper  = {over, third[3:0]} - {7'd0, above[3]};
          assign four   = {upper, above[3:0], one[3:0]};
          always @(posedge clk) begin
            case (s_degree)
              2'd0:    sum_q <= {{6{one[8]}}, one};
              2'd1:    sum_q <= {two[13], two};
              default: sum_q <= four[14:0];
            endcase
          end
          wire unused = &{1'b0, four, third, fourth};
        end
        wire unused = &{1'b0, second};
        assign m_data[(gp*LANES+gn)*M_BITS +: M_BITS] = sum_q;
`ifdef FORMAL
        // Operands within the range of their step give the plain sum.
        wire signed [15:0] f_a0 = a0;
        wire signed [15:0] f_a1 = a1;
        wire signed [15:0] f_limit = (s_degree == 2'd0) ? 16'd255 : (s_degree == 2'd1) ? 16'd15 : 16'd3;
        reg signed  [15:0] f_sum_q;
        reg                f_ok_q = 1'b0;
        wire signed [15:0] f_found;
        wire signed [M_BITS-1:0] f_narrow;
        assign f_narrow = sum_q;
        assign f_found  = f_narrow;
        if (DEGREE == 2) begin : g_formal_two
          always @(posedge clk) begin
            f_ok_q  <= s_degree <= 2'd1 && f_a0 <= f_limit && f_a0 >= -f_limit && f_a1 <= f_limit && f_a1 >= -f_limit;
            f_sum_q <= f_a0 + ((s_degree == 2'd1) ? f_a1 * 16'sd256 : 16'sd0);
          end
        end else begin : g_formal_four
          wire signed [15:0] f_a2 = g_four.a2;
          wire signed [15:0] f_a3 = g_four.a3;
          always @(posedge clk) begin
            f_ok_q  <= s_degree <= 2'd2 && f_a0 <= f_limit && f_a0 >= -f_limit && f_a1 <= f_limit && f_a1 >= -f_limit
              && f_a2 <= f_limit && f_a2 >= -f_limit && f_a3 <= f_limit && f_a3 >= -f_limit;
            f_sum_q <= f_a0 + ((s_degree == 2'd1) ? f_a1 * 16'sd256 : 16'sd0)
              + ((s_degree == 2'd2) ? f_a1 * 16'sd16 + f_a2 * 16'sd256 + f_a3 * 16'sd4096 : 16'sd0);
          end
        end
        always @(posedge clk) if (f_ok_q) assert (f_found == f_sum_q);
`endif
      end
    end
  endgenerate

endmodule

`default_nettype wire
