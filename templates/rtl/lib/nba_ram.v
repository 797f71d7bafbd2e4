// SPDX-License-Identifier: Apache-2.0
// nba_ram: simple dual-port memory: one write and one read port on one clock, written by sub-words.
// Latency 1 + OUT_REG cycles: r_data holds the word of r_addr as it was before the clock edge; throughput one
// write and one read per cycle. After synthesis a read in the very cycle of a write to the same
// word may give old or new bits: do not rely on it.
// WIDTH: word [bits]. SUB_W: written unit [bits], divides WIDTH. DEPTH: words, 1 or more.
// AW: width of the addresses, >= clog2(DEPTH); only the low bits count; any word outside DEPTH.
// BLOCK: 2 UltraRAM, 1 block memory, 0 distributed. OUT_REG: 1 = a second register behind the memory.
// Packing: sub-word i of a word lies at [i*SUB_W +: SUB_W] and is written by w_en[i].
// Reset: none; the memory powers up as zero.
`default_nettype none

module nba_ram #(
  parameter integer WIDTH = 32,
  parameter integer DEPTH = 16,
  parameter integer AW    = 4,
  parameter integer SUB_W = 8,
  parameter integer BLOCK = 1,
  parameter integer OUT_REG = 0
) (
  input  wire                   clk,
  input  wire [WIDTH/SUB_W-1:0] w_en,
  input  wire [AW-1:0]          w_addr,
  input  wire [WIDTH-1:0]       w_data,
  input  wire [AW-1:0]          r_addr,
  output wire [WIDTH-1:0]       r_data
);

  localparam integer N_SUB  = WIDTH / SUB_W;
  // Two words at least: yosys has no distributed RAM of one word.
  localparam integer WORDS  = (DEPTH > 1) ? DEPTH : 2;
  localparam integer ADDR_W = $clog2(WORDS);

  wire [ADDR_W-1:0] w_a = w_addr[ADDR_W-1:0];
  wire [ADDR_W-1:0] r_a = r_addr[ADDR_W-1:0];
  wire unused = &{1'b0, w_addr, r_addr};

  wire [WIDTH-1:0] word;
  generate
    if (OUT_REG != 0) begin : g_out
      reg [WIDTH-1:0] out_q;
      always @(posedge clk) out_q <= word;
      assign r_data = out_q;
    end else begin : g_direct
      assign r_data = word;
    end
  endgenerate

`ifdef FORMAL
  // The word at any one address follows its writes, sub-word by sub-word, and is what is read.
  (* anyconst *) wire [ADDR_W-1:0] f_a;
  wire [WIDTH-1:0] f_word;
  reg  [WIDTH-1:0] f_word_q = {WIDTH{1'b0}};
  reg              f_past_q = 1'b0;
  integer          f_i;

  always @(posedge clk) begin
    f_past_q <= 1'b1;
    for (f_i = 0; f_i < N_SUB; f_i = f_i + 1) begin
      if (w_en[f_i] && w_a == f_a) begin
        f_word_q[f_i*SUB_W +: SUB_W] <= w_data[f_i*SUB_W +: SUB_W];
      end
    end
  end

  always @* if (DEPTH < (1 << ADDR_W)) assume (f_a < DEPTH);

  always @(posedge clk) begin
    assert (f_word == f_word_q);
    if (f_past_q && $past(r_a) == f_a) assert (word == $past(f_word_q));
    if (OUT_REG != 0 && f_past_q) assert (r_data == $past(word));
  end
`endif

  generate
    if (BLOCK == 2) begin : g_ultra
      (* ram_style = "ultra" *) (* no_rw_check *) reg [WIDTH-1:0] ram_mem [0:WORDS-1];
      reg [WIDTH-1:0] r_data_q;
      integer i;
`ifndef SYNTHESIS
      integer k;
      initial for (k = 0; k < WORDS; k = k + 1) ram_mem[k] = {WIDTH{1'b0}};
`endif

      always @(posedge clk) begin
        for (i = 0; i < N_SUB; i = i + 1) begin
          if (w_en[i]) ram_mem[w_a][i*SUB_W +: SUB_W] <= w_data[i*SUB_W +: SUB_W];
        end
      end

      always @(posedge clk) r_data_q <= ram_mem[r_a];

      assign word = r_data_q;
`ifdef FORMAL
      assign f_word = ram_mem[f_a];
`endif
    end else if (BLOCK == 1) begin : g_block
      (* ram_style = "block" *) (* no_rw_check *) reg [WIDTH-1:0] ram_mem [0:WORDS-1];
      reg [WIDTH-1:0] r_data_q;
      integer i;
`ifndef SYNTHESIS
      integer k;
      initial for (k = 0; k < WORDS; k = k + 1) ram_mem[k] = {WIDTH{1'b0}};
`endif

      always @(posedge clk) begin
        for (i = 0; i < N_SUB; i = i + 1) begin
          if (w_en[i]) ram_mem[w_a][i*SUB_W +: SUB_W] <= w_data[i*SUB_W +: SUB_W];
        end
      end

      always @(posedge clk) r_data_q <= ram_mem[r_a];

      assign word = r_data_q;
`ifdef FORMAL
      assign f_word = ram_mem[f_a];
`endif
    end else begin : g_dist
      (* ram_style = "distributed" *) reg [WIDTH-1:0] ram_mem [0:WORDS-1];
      reg [WIDTH-1:0] r_data_q;
      integer i;
`ifndef SYNTHESIS
      integer k;
      initial for (k = 0; k < WORDS; k = k + 1) ram_mem[k] = {WIDTH{1'b0}};
`endif

      always @(posedge clk) begin
        for (i = 0; i < N_SUB; i = i + 1) begin
          if (w_en[i]) ram_mem[w_a][i*SUB_W +: SUB_W] <= w_data[i*SUB_W +: SUB_W];
        end
      end

      always @(posedge clk) r_data_q <= ram_mem[r_a];

      assign word = r_data_q;
`ifdef FORMAL
      assign f_word = ram_mem[f_a];
`endif
    end
  endgenerate

endmodule

`default_nettype wire
