// SPDX-License-Identifier: Apache-2.0
// nba_program: a chunk's program memory: the word of a job in the mode of this batch.
// Latency 1 cycle from `job` to m_word: the first of the four cycles of a fetch. Throughput 1 word per cycle.
// WIDTH: bits of a word. N_JOBS 1..255 (several modes: 1..128); N_MODES 1..16 sets of jobs, of which cfg_mode
// (stable while busy) chooses one. FILE: a bare name resolved by the runner.
// Address: mode, then job number in the fewest bits that hold it (at least one) where there are several modes.
// Reset: none.
`default_nettype none
module nba_program #(
  parameter integer WIDTH   = 8,
  parameter integer N_JOBS  = 2,
  parameter integer N_MODES = 1,
  parameter         FILE    = "program.mem"
) (
  input  wire             clk,
  input  wire [3:0]       cfg_mode,
  input  wire [7:0]       job,
  output wire [WIDTH-1:0] m_word
);
  localparam integer JOB_W = (N_JOBS > 1) ? $clog2(N_JOBS) : 1;
  localparam integer WORDS = (N_MODES > 1) ? N_MODES << JOB_W : N_JOBS;
  localparam integer AW    = (N_MODES > 1) ? JOB_W + 4 : 8;

  wire [AW-1:0] addr;
  generate
    if (N_MODES > 1) begin : g_modes
      wire unused = &{1'b0, job};
      assign addr = {cfg_mode, job[JOB_W-1:0]};
    end else begin : g_one_mode
      wire unused = &{1'b0, cfg_mode};
      assign addr = job;
    end
  endgenerate

  nba_rom #(
    .WIDTH(WIDTH),
    .DEPTH(WORDS),
    .AW   (AW),
    .FILE (FILE),
    .BLOCK(0)
  ) u_rom (
    .clk (clk),
    .addr(addr),
    .data(m_word)
  );
endmodule
`default_nettype wire
