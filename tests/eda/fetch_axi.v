// SPDX-License-Identifier: Apache-2.0
// fetch_axi: nba_fetch with the identifiers that some slaves ask for, for tests. WORDS [beats]: of the memory, which
// only the list depends on.
`default_nettype none
module fetch_axi #(
  parameter integer BUS       = 64,
  parameter integer N_TARGETS = 3,
  parameter integer N_FETCHES = 12,
  parameter integer MAX_STAGE = 1,
  parameter integer BURST     = 16,
  parameter integer N_OPEN    = 8,
  parameter integer WORDS     = 4096
) (
  input  wire                 clk,
  input  wire                 rst,
  input  wire                 axi_rst,
  input  wire                 start_pulse,
  input  wire [31:0]          cfg_frames,
  input  wire [N_TARGETS-1:0] free,
  output wire [N_TARGETS-1:0] take_pulse,
  output wire [N_TARGETS-1:0] m_valid,
  output wire [BUS-1:0]       m_data,
  output wire                 m_last,
  output wire [0:0]           m_axi_arid,
  output wire [31:0]          m_axi_araddr,
  output wire [7:0]           m_axi_arlen,
  output wire [2:0]           m_axi_arsize,
  output wire [1:0]           m_axi_arburst,
  output wire [3:0]           m_axi_arcache,
  output wire [2:0]           m_axi_arprot,
  output wire                 m_axi_arvalid,
  input  wire                 m_axi_arready,
  input  wire [0:0]           m_axi_rid,
  input  wire [BUS-1:0]       m_axi_rdata,
  input  wire [1:0]           m_axi_rresp,
  input  wire                 m_axi_rlast,
  input  wire                 m_axi_rvalid,
  output wire                 m_axi_rready,
  output wire                 stat_busy,
  output wire                 stat_error
);
  assign m_axi_arid = 1'b0;
  localparam [31:0] WORDS_C = WORDS;
  wire unused = &{1'b0, m_axi_rid, WORDS_C};
  nba_fetch #(
    .BUS      (BUS),
    .ADDR_W   (32),
    .N_TARGETS(N_TARGETS),
    .N_FETCHES(N_FETCHES),
    .MAX_STAGE(MAX_STAGE),
    .BURST    (BURST),
    .N_OPEN   (N_OPEN)
  ) u_fetch (
    .clk          (clk),
    .rst          (rst),
    .axi_rst      (axi_rst),
    .start_pulse  (start_pulse),
    .cfg_frames   (cfg_frames),
    .cfg_base     (32'h0000_3000),
    .free         (free),
    .take_pulse   (take_pulse),
    .m_valid      (m_valid),
    .m_data       (m_data),
    .m_last       (m_last),
    .m_axi_araddr (m_axi_araddr),
    .m_axi_arlen  (m_axi_arlen),
    .m_axi_arsize (m_axi_arsize),
    .m_axi_arburst(m_axi_arburst),
    .m_axi_arcache(m_axi_arcache),
    .m_axi_arprot (m_axi_arprot),
    .m_axi_arvalid(m_axi_arvalid),
    .m_axi_arready(m_axi_arready),
    .m_axi_rdata  (m_axi_rdata),
    .m_axi_rresp  (m_axi_rresp),
    .m_axi_rlast  (m_axi_rlast),
    .m_axi_rvalid (m_axi_rvalid),
    .m_axi_rready (m_axi_rready),
    .stat_busy    (stat_busy),
    .stat_error   (stat_error)
  );
endmodule
`default_nettype wire
