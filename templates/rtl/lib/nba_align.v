// SPDX-License-Identifier: Apache-2.0
// nba_align: turns BANKS bank words into COLUMNS columns of signed operands: rotated, padded, nested.
// Latency 3 cycles (rotated; padded and shifted; rounded), one group of columns per cycle; no stall.
// Reset: none (data only).
// BANKS 1..16; COLUMNS 1..BANKS. LANES: channels in a word (>= 1).
// C_BITS: code [bits] (8, 16). A_BITS: operand precision [bits] (2..8, 16; C_BITS if NEST = 0).
// NEST: 1 if any job sees fewer bits than a code has.
// Packing: bank b's word at s_data[b*LANES*C_BITS], column j's lane n at m_data[(j*LANES+n)*(A_BITS+1)].
// Column j lies in bank (s_rot + j) % BANKS; where s_ok[j] is 0 every lane of it is the code s_pad (PADS = 0), or lane n the
// code s_pad[n*C_BITS] (PADS = 1).
// Operand: nest(code, C_BITS, C_BITS - s_shift), extended by s_signed;
// C_BITS - A_BITS <= s_shift <= C_BITS - 2.
`default_nettype none

module nba_align #(
  parameter integer BANKS   = 4,
  parameter integer COLUMNS = 4,
  parameter integer LANES  = 4,
  parameter integer C_BITS = 8,
  parameter integer A_BITS = 8,
  parameter integer NEST   = 1,
  parameter integer PADS   = 0
) (
  input  wire                           clk,
  input  wire [BANKS*LANES*C_BITS-1:0]       s_data,
  input  wire [3:0]                     s_rot,
  input  wire [BANKS-1:0]               s_ok,
  input  wire [((PADS != 0) ? LANES : 1)*C_BITS-1:0] s_pad,
  input  wire                           s_signed,
  input  wire [3:0]                     s_shift,
  output wire [COLUMNS*LANES*(A_BITS+1)-1:0] m_data
);

  localparam integer WORD_W = LANES * C_BITS;
  localparam integer OP_W   = A_BITS + 1;
  localparam integer N_PADS = (PADS != 0) ? LANES : 1;
  localparam integer ROT_W  = (BANKS > 1) ? $clog2(BANKS) : 0;

  // Stage i of the rotator moves every column 2^i banks down if bit i of s_rot is set.
  wire [(ROT_W+1)*BANKS*WORD_W-1:0] stages;
  reg  [COLUMNS*WORD_W-1:0]      columns_q1;
  reg  [COLUMNS-1:0]             ok_q1;
  reg  [N_PADS*C_BITS-1:0]       pad_q1;
  reg                            signed_q1;
  reg  [3:0]                     shift_q1;
  reg  [C_BITS-2:0]              low_q1;
  reg  [COLUMNS*LANES*OP_W-1:0]  operands_q;

  assign stages[0 +: BANKS*WORD_W] = s_data;

  always @(posedge clk) begin
    columns_q1 <= stages[ROT_W*BANKS*WORD_W +: COLUMNS*WORD_W];
    ok_q1      <= s_ok[COLUMNS-1:0];
    pad_q1     <= s_pad;
    signed_q1  <= s_signed;
    shift_q1   <= s_shift;
    low_q1     <= ~({(C_BITS-1){1'b1}} << s_shift);
  end

  genvar gi;
  genvar gj;
  genvar gn;
  generate
    for (gi = 0; gi < ROT_W; gi = gi + 1) begin : g_rotate
      wire [BANKS*WORD_W-1:0] unrotated;
      assign unrotated = stages[gi*BANKS*WORD_W +: BANKS*WORD_W];
      assign stages[(gi+1)*BANKS*WORD_W +: BANKS*WORD_W] = s_rot[gi]
        ? {unrotated[0 +: (WORD_W<<gi)], unrotated[BANKS*WORD_W-1 : (WORD_W<<gi)]}
        : unrotated;
    end

    for (gj = 0; gj < COLUMNS; gj = gj + 1) begin : g_column
      wire [WORD_W-1:0] word;
      assign word = ok_q1[gj] ? columns_q1[gj*WORD_W +: WORD_W] : {(LANES/N_PADS){pad_q1}};

      for (gn = 0; gn < LANES; gn = gn + 1) begin : g_lane
        wire [C_BITS:0] code;
        assign code = {signed_q1 & word[gn*C_BITS+C_BITS-1], word[gn*C_BITS +: C_BITS]};

        if (NEST != 0) begin : g_nest
          // Bit 0 of the shifted pair is the half to round by; it is 0 when nothing is shifted out. The largest nested
          // code is not rounded up: of its code only bits that are shifted out may be 0.
          wire signed [C_BITS+1:0] pair;
          wire signed [C_BITS+1:0] shifted;
          wire                     largest;
          reg         [OP_W:0]     shifted_q2;
          reg                      largest_q2;
          wire                     up;
          wire                     unused = &{1'b0, shifted};
          assign pair    = {code, 1'b0};
          assign shifted = pair >>> shift_q1;
          assign largest = !code[C_BITS] && (signed_q1 || code[C_BITS-1]) && (&(code[C_BITS-2:0] | low_q1));
          assign up      = shifted_q2[0] && !largest_q2;
          always @(posedge clk) begin
            shifted_q2                             <= shifted[OP_W:0];
            largest_q2                             <= largest;
            operands_q[(gj*LANES+gn)*OP_W +: OP_W] <= shifted_q2[OP_W:1] + {{A_BITS{1'b0}}, up};
          end
        end else begin : g_plain
          reg [OP_W-1:0] code_q2;
          always @(posedge clk) begin
            code_q2                                 <= code[OP_W-1:0];
            operands_q[(gj*LANES+gn)*OP_W +: OP_W] <= code_q2;
          end
        end
      end
    end
  endgenerate

  assign m_data = operands_q;

  wire unused = &{1'b0, s_rot, s_ok, stages, shift_q1, low_q1};

`ifdef FORMAL
  // Every operand of a legal shift lies in the range of its nested code: up to f_top.
  reg [2:0] f_legal_q;
  reg [2:0] f_signed_q;
  reg [3*(C_BITS+1)-1:0] f_top_q;
  initial f_legal_q = 3'd0;
  always @(posedge clk) begin
    f_legal_q  <= {f_legal_q[1:0], (NEST == 0)
                   || (({28'd0, s_shift} + A_BITS >= C_BITS) && ({28'd0, s_shift} + 32'd2 <= C_BITS))};
    f_signed_q <= {f_signed_q[1:0], s_signed};
    f_top_q    <= {f_top_q[2*(C_BITS+1)-1:0], {1'b0, !s_signed, {(C_BITS-1){1'b1}}} >> ((NEST == 0) ? 4'd0 : s_shift)};
  end

  generate
    for (gi = 0; gi < COLUMNS*LANES; gi = gi + 1) begin : g_formal
      wire signed [OP_W-1:0] f_operand;
      wire signed [C_BITS+1:0] f_value;
      wire signed [C_BITS+1:0] f_top;
      wire signed [C_BITS+1:0] f_low;
      assign f_operand = operands_q[gi*OP_W +: OP_W];
      assign f_value   = f_operand;
      assign f_top     = {1'b0, f_top_q[2*(C_BITS+1) +: C_BITS+1]};
      assign f_low     = f_signed_q[2] ? ~f_top : {(C_BITS+2){1'b0}};
      always @(posedge clk) begin
        if (f_legal_q[2]) begin
          assert (f_value <= f_top);
          assert (f_value >= f_low);
        end
      end
    end
  endgenerate
`endif

endmodule

`default_nettype wire
