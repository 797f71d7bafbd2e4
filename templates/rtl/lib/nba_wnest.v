// SPDX-License-Identifier: Apache-2.0
// nba_wnest: turns stored weights into the nested weights that a job sees.
// Latency 2 cycles (shifted, rounded), N weights per cycle; no stall. Reset: none (data only).
// N: weights (>= 1). STORE_BITS: width of a stored weight [bits] (2..8, 16); a job that stores fewer
// bits has its codes sign-extended. W_BITS: width of a nested weight [bits] (2..STORE_BITS).
// s_shift: stored minus seen bits of the job (0..14). s_bits: its seen bits (2..W_BITS).
// Packing: weight i at s_data[i*STORE_BITS] and m_data[i*W_BITS].
`default_nettype none

module nba_wnest #(
  parameter integer N          = 4,
  parameter integer STORE_BITS = 8,
  parameter integer W_BITS     = 8
) (
  input  wire                    clk,
  input  wire [N*STORE_BITS-1:0] s_data,
  input  wire [3:0]              s_shift,
  input  wire [4:0]              s_bits,
  output wire [N*W_BITS-1:0]     m_data
);

  reg [15:0]         top_q;
  reg [N*W_BITS-1:0] nested_q;

  // The largest nested weight, 2^(s_bits-1) - 1: rounding up stops there.
  always @(posedge clk) top_q <= 16'h7fff >> (5'd16 - s_bits);

  genvar gi;
  generate
    for (gi = 0; gi < N; gi = gi + 1) begin : g_weight
      // Bit 0 of the shifted pair is the half to round by; it is 0 when nothing is shifted out.
      wire signed [STORE_BITS:0] pair;
      wire signed [STORE_BITS:0] shifted;
      reg         [STORE_BITS:0] shifted_q;
      wire                       up;
      assign pair    = {s_data[gi*STORE_BITS +: STORE_BITS], 1'b0};
      assign shifted = pair >>> s_shift;
      assign up      = shifted_q[0] && (shifted_q[STORE_BITS:1] != top_q[STORE_BITS-1:0]);
      always @(posedge clk) begin
        shifted_q                    <= shifted;
        nested_q[gi*W_BITS +: W_BITS] <= shifted_q[W_BITS:1] + {{(W_BITS-1){1'b0}}, up};
      end
    end
  endgenerate

  assign m_data = nested_q;

  wire unused = &{1'b0, top_q};

`ifdef FORMAL
  // A stored weight of s_bits + s_shift bits gives a nested weight of s_bits bits.
  reg [1:0]              f_seen_q;
  reg [N*STORE_BITS-1:0] f_stored_q1;
  reg [N*STORE_BITS-1:0] f_stored_q;
  reg [3:0]              f_shift_q1;
  reg [3:0]              f_shift_q;
  reg [4:0]              f_bits_q1;
  reg [4:0]              f_bits_q;
  wire                   f_legal;
  wire [5:0]             f_store;
  initial f_seen_q = 2'd0;
  always @(posedge clk) begin
    f_seen_q    <= {f_seen_q[0], 1'b1};
    f_stored_q1 <= s_data;
    f_shift_q1  <= s_shift;
    f_bits_q1   <= s_bits;
    f_stored_q  <= f_stored_q1;
    f_shift_q   <= f_shift_q1;
    f_bits_q    <= f_bits_q1;
  end
  assign f_store = {1'b0, f_bits_q} + {2'd0, f_shift_q};
  assign f_legal = f_seen_q[1] && (f_bits_q >= 5'd2) && (f_bits_q <= W_BITS)
                   && (f_store <= STORE_BITS);

  generate
    for (gi = 0; gi < N; gi = gi + 1) begin : g_formal
      wire signed [STORE_BITS-1:0] f_stored;
      wire signed [W_BITS-1:0]     f_nested;
      wire signed [17:0]           f_in;
      wire signed [17:0]           f_out;
      wire signed [17:0]           f_in_top;
      wire signed [17:0]           f_out_top;
      assign f_stored  = f_stored_q[gi*STORE_BITS +: STORE_BITS];
      assign f_nested  = nested_q[gi*W_BITS +: W_BITS];
      assign f_in      = f_stored;
      assign f_out     = f_nested;
      assign f_in_top  = (18'sd1 <<< (f_store - 6'd1)) - 18'sd1;
      assign f_out_top = (18'sd1 <<< (f_bits_q - 5'd1)) - 18'sd1;
      always @(posedge clk) begin
        if (f_legal && (f_in <= f_in_top) && (f_in >= ~f_in_top)) begin
          assert (f_out <= f_out_top);
          assert (f_out >= ~f_out_top);
        end
      end
    end
  endgenerate
`endif

endmodule

`default_nettype wire
