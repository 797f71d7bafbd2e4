// SPDX-License-Identifier: Apache-2.0
// nba_memory: an AXI4 read slave with the contents of a file. Simulation only.
// A burst accepted in cycle a has its first beat in cycle a + LATENCY or in the cycle after the previous beat, whichever
// is later; then a beat per cycle. ARREADY is always 1. Beats come in the order of the bursts.
// cfg_jitter 1: random ARREADY and gaps between beats, and a random latency of up to LATENCY + 31 cycles, in the same order.
// cfg_faults 1: about one beat of 64 has a random RRESP; 2: or the wrong RLAST. Data is right in both.
// cfg_seed: of all that is random, taken over with rst. All three may change at any time.
// BUS: beat [bits, power of two] 32 or more. ADDR_W [bits]. BASE: byte address of the first word. FILE: WORDS words of BUS bits.
// LATENCY 1 or more. QUEUE [bursts, power of two]: as many at a time end the simulation.
// n_faults counts what a master must not do, from power-up on: a burst withdrawn or changed without a reset, narrow, not
// INCR, or across 4 KB. A beat beyond the file is 0, with RRESP 3.
`default_nettype none
module nba_memory #(
  parameter integer BUS     = 128,
  parameter integer ADDR_W  = 40,
  parameter integer WORDS   = 1024,
  parameter [63:0]  BASE    = 64'd0,
  parameter integer LATENCY = 20,
  parameter integer QUEUE   = 65536,
  parameter         FILE    = "memory.mem"
) (
  input  wire              clk,
  input  wire              rst,
  input  wire              cfg_jitter,
  input  wire [1:0]        cfg_faults,
  input  wire [31:0]       cfg_seed,
  input  wire [ADDR_W-1:0] s_axi_araddr,
  input  wire [7:0]        s_axi_arlen,
  input  wire [2:0]        s_axi_arsize,
  input  wire [1:0]        s_axi_arburst,
  input  wire              s_axi_arvalid,
  output reg               s_axi_arready,
  output reg  [BUS-1:0]    s_axi_rdata,
  output reg  [1:0]        s_axi_rresp,
  output reg               s_axi_rlast,
  output reg               s_axi_rvalid,
  input  wire              s_axi_rready,
  output wire [31:0]       n_faults
);
  localparam integer BYTES    = BUS / 8;
  localparam integer SIZE     = $clog2(BYTES);
  localparam [31:0]  SIZE_C   = SIZE;
  localparam [31:0]  BYTES_C  = BYTES;
  localparam [63:0]  WORDS_C  = {32'd0, WORDS};
  localparam [63:0]  LATE     = {32'd0, LATENCY};
  localparam integer INDEX_W  = (WORDS > 1) ? $clog2(WORDS) : 1;
  localparam integer QUEUE_W  = $clog2(QUEUE);

  reg [BUS-1:0] word_mem [0:WORDS-1];
  initial $readmemh(FILE, word_mem);

  // The bursts that wait, from `head` to `tail` (modulo QUEUE): address, beats - 1, first cycle of their data.
  reg [63:0] q_addr [0:QUEUE-1];
  reg [7:0]  q_len  [0:QUEUE-1];
  reg [63:0] q_time [0:QUEUE-1];
  reg [QUEUE_W-1:0] head;
  reg [QUEUE_W-1:0] tail;
  integer    held;
  reg [7:0]  place;
  reg [63:0] now;
  reg [63:0] word;
  reg [31:0] rand_q;
  reg [31:0] wrong;
  assign n_faults = wrong;
  reg                old_valid;
  reg [ADDR_W-1:0]   old_addr;
  reg [7:0]          old_len;

  initial wrong = 32'd0;

  // What the master offers must stay until it is taken.
  task check;
    begin
      if (old_valid && !(s_axi_arvalid && s_axi_araddr == old_addr && s_axi_arlen == old_len)) begin
        wrong = wrong + 32'd1;
      end
      old_valid = s_axi_arvalid && !s_axi_arready;
      old_addr  = s_axi_araddr;
      old_len   = s_axi_arlen;
    end
  endtask

  task accept;
    begin
      if (s_axi_arsize != SIZE_C[2:0] || s_axi_arburst != 2'b01) wrong = wrong + 32'd1;
      if ({20'd0, s_axi_araddr[11:0]} + ({24'd0, s_axi_arlen} + 32'd1) * BYTES_C > 32'd4096) wrong = wrong + 32'd1;
      q_addr[tail] = {{(64-ADDR_W){1'b0}}, s_axi_araddr};
      q_len[tail]  = s_axi_arlen;
      q_time[tail] = now + LATE + (cfg_jitter ? {59'd0, rand_q[8:4]} : 64'd0);
      tail = tail + 1'b1;
      held = held + 1;
      if (held >= QUEUE) begin
        $display("nba_memory: %0d bursts wait", QUEUE);
        $finish;
      end
    end
  endtask

  task offer;
    begin
      word = ((q_addr[head] - BASE) >> SIZE) + {56'd0, place};
      s_axi_rvalid <= 1'b1;
      s_axi_rdata  <= (word < WORDS_C) ? word_mem[word[INDEX_W-1:0]] : {BUS{1'b0}};
      s_axi_rresp  <= (word < WORDS_C) ? 2'b00 : 2'b11;
      s_axi_rlast  <= place == q_len[head];
      if (cfg_faults != 2'd0 && rand_q[20:15] == 6'd0) begin
        if (cfg_faults == 2'd2 && rand_q[21]) s_axi_rlast <= place != q_len[head];
        else s_axi_rresp <= 2'b10 | {1'b0, rand_q[22]};
      end
      if (place == q_len[head]) begin
        head  = head + 1'b1;
        held  = held - 1;
        place = 8'd0;
      end else begin
        place = place + 8'd1;
      end
    end
  endtask

  always @(posedge clk) begin
    rand_q = rand_q ^ (rand_q << 13);
    rand_q = rand_q ^ (rand_q >> 17);
    rand_q = rand_q ^ (rand_q << 5);
    if (!rst) check;
    if (!rst && s_axi_arvalid && s_axi_arready) accept;
    now = now + 64'd1;
    if (!s_axi_rvalid || s_axi_rready) begin
      s_axi_rvalid <= 1'b0;
      s_axi_rdata  <= {(BUS/32){rand_q}};
      s_axi_rlast  <= rand_q[30];
      if (held != 0 && now >= q_time[head] && !(cfg_jitter && rand_q[12])) offer;
    end
    s_axi_arready <= !cfg_jitter || rand_q[13];
    if (rst) begin
      head  = {QUEUE_W{1'b0}};
      tail  = {QUEUE_W{1'b0}};
      held  = 0;
      place = 8'd0;
      now   = 64'd0;
      old_valid = 1'b0;
      rand_q = cfg_seed * 32'd2654435761 + 32'd1;
      if (rand_q == 32'd0) rand_q = 32'd1;
      s_axi_arready <= 1'b0;
      s_axi_rvalid  <= 1'b0;
    end
  end
endmodule
`default_nettype wire
