// SPDX-License-Identifier: Apache-2.0
// nba_pads: the codes that stand for columns and rows beyond the map: one per channel of the step's word where the job has
// pad codes of its own, else the same for all channels.
// Latency 4 cycles from `job` and s_word (i) to m_pads (i+4), where s_pad answers for the same step; one word per cycle.
// LANES: channels in a word. C_BITS: code [bits] (8, 16). N_JOBS 1..255. DEPTH: words of FILE; BLOCK: block RAM.
// TABLE: 17 bits a job, job 0 low: first word of the job's pad codes, and 1 above it where it has any.
// `job` is stable from the cycle before a job's first step to its last one. Word: lane 0 in the low bits.
// Reset: none (data only).
`default_nettype none
module nba_pads #(
  parameter integer LANES  = 2,
  parameter integer C_BITS = 8,
  parameter integer N_JOBS = 1,
  parameter integer DEPTH  = 4,
  parameter integer BLOCK  = 0,
  parameter [N_JOBS*17-1:0] TABLE = {N_JOBS{17'd65536}},
  parameter         FILE   = "pads.mem"
) (
  input  wire                    clk,
  // i
  input  wire [7:0]              job,
  input  wire [12:0]             s_word,
  // i+4
  input  wire [C_BITS-1:0]       s_pad,
  output wire [LANES*C_BITS-1:0] m_pads
);
  integer i;

  reg [16:0] entry;
  always @* begin
    entry = 17'd0;
    for (i = 0; i < N_JOBS; i = i + 1) begin
      if (job == i[7:0]) entry = TABLE[i*17 +: 17];
    end
  end

  reg [16:0] entry_q;
  reg [15:0] addr_q1;
  reg [15:0] addr_q2;
  reg [3:0]  own_q;
  always @(posedge clk) begin
    entry_q <= entry;
    addr_q1 <= entry_q[15:0] + {3'd0, s_word};
    addr_q2 <= addr_q1;
    own_q   <= {own_q[2:0], entry_q[16]};
  end

  wire [LANES*C_BITS-1:0] word;
  nba_rom #(
    .WIDTH(LANES * C_BITS),
    .DEPTH(DEPTH),
    .AW   (16),
    .FILE (FILE),
    .BLOCK(BLOCK),
    .OUT_REG(1)
  ) u_rom (
    .clk (clk),
    .addr(addr_q2),
    .data(word)
  );

  assign m_pads = own_q[3] ? word : {LANES{s_pad}};
endmodule
`default_nettype wire
