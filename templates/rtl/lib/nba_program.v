// SPDX-License-Identifier: Apache-2.0
// nba_program: a chunk's program: the words of its turns, and of its jobs in the mode of this batch.
// Latency 1 cycle from `turn` to m_turn, and from `job` to m_word: the first of the four cycles of a fetch. Throughput
// 1 word per cycle.
// WIDTH, TURN_W: bits of a word. N_JOBS 1..255 (several modes: 1..128); N_MODES 1..16 sets of jobs, of which cfg_mode
// (stable while busy) chooses one; N_TURNS 1..4096. FILE, TURN_FILE: bare names resolved by the runner.
// Address of a job: mode, then its number in the fewest bits that hold it (at least one) where there are several modes.
// Reset: none.
`default_nettype none
module nba_program #(
  parameter integer WIDTH   = 8,
  parameter integer N_JOBS  = 2,
  parameter integer N_MODES = 1,
  parameter integer TURN_W  = 76,
  parameter integer N_TURNS = 2,
  parameter         FILE      = "program.mem",
  parameter         TURN_FILE = "turns.mem"
) (
  input  wire              clk,
  input  wire [3:0]        cfg_mode,
  input  wire [11:0]       turn,
  output wire [TURN_W-1:0] m_turn,
  input  wire [7:0]        job,
  output wire [WIDTH-1:0]  m_word
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
  nba_rom #(
    .WIDTH(TURN_W),
    .DEPTH(N_TURNS),
    .AW   (12),
    .FILE (TURN_FILE),
    .BLOCK(0)
  ) u_turns (
    .clk (clk),
    .addr(turn),
    .data(m_turn)
  );
endmodule
`default_nettype wire
