// SPDX-License-Identifier: Apache-2.0
// nba_rom: read-only memory loaded from a file of hexadecimal words.
// Latency 1 + OUT_REG cycles, throughput 1 read per cycle.
// WIDTH: word [bits]. DEPTH: words in FILE, 1 or more.
// AW: width of the address, >= clog2(DEPTH); only the low bits count; any word outside DEPTH.
// FILE: bare file name, looked up where the tool runs. BLOCK: 1 block memory, 0 distributed.
// OUT_REG: 1 = a second register behind the memory.
// Packing: a line of FILE is one word, most significant digit first.
// Reset: none.
`default_nettype none

module nba_rom #(
  parameter integer WIDTH = 32,
  parameter integer DEPTH = 16,
  parameter integer AW    = 4,
  parameter         FILE  = "nba_rom.mem",
  parameter integer BLOCK = 1,
  parameter integer OUT_REG = 0
) (
  input  wire             clk,
  input  wire [AW-1:0]    addr,
  output wire [WIDTH-1:0] data
);

  localparam integer ADDR_W = (DEPTH > 1) ? $clog2(DEPTH) : 1;

  wire [ADDR_W-1:0] a = addr[ADDR_W-1:0];
  wire unused = &{1'b0, addr};

  wire [WIDTH-1:0] word;
  generate
    if (OUT_REG != 0) begin : g_out
      reg [WIDTH-1:0] out_q;
      always @(posedge clk) out_q <= word;
      assign data = out_q;
    end else begin : g_direct
      assign data = word;
    end
  endgenerate

  generate
    if (BLOCK != 0) begin : g_block
      (* rom_style = "block" *) reg [WIDTH-1:0] rom_mem [0:DEPTH-1];
      reg [WIDTH-1:0] data_q;

      initial $readmemh(FILE, rom_mem);

      always @(posedge clk) data_q <= rom_mem[a];

      assign word = data_q;
    end else begin : g_dist
      // yosys has no LUT RAM for a ROM, and reads rom_block first; Vivado reads rom_style only.
      (* rom_block = "logic" *)
      (* rom_style = "distributed" *)
      reg [WIDTH-1:0] rom_mem [0:DEPTH-1];
      reg [WIDTH-1:0] data_q;

      initial $readmemh(FILE, rom_mem);

      always @(posedge clk) data_q <= rom_mem[a];

      assign word = data_q;
    end
  endgenerate

endmodule

`default_nettype wire
