// SPDX-License-Identifier: Apache-2.0
// fetch_system: nba_fetch between a memory and the stores of its targets, for tests. Target i has words of WIDTH bits,
// every other one words of half as many. All stores have equal slots; the consumers are ports, bit or lane i for
// target i.
`default_nettype none
module fetch_system #(
  parameter integer BUS        = 32,
  parameter integer WIDTH      = 80,
  parameter integer N_TARGETS  = 3,
  parameter integer N_FETCHES  = 8,
  parameter integer MAX_STAGE  = 1,
  parameter integer BURST      = 8,
  parameter integer N_OPEN     = 6,
  parameter integer SLOT_WORDS = 8,
  parameter integer SLOTS      = 2,
  parameter integer WORDS      = 512,
  parameter integer LATENCY    = 20,
  parameter integer JITTER     = 0,
  parameter integer FAULTS     = 0
) (
  input  wire                       clk,
  input  wire                       rst,
  input  wire                       axi_rst,
  input  wire                       start_pulse,
  input  wire [31:0]                cfg_frames,
  output wire                       stat_busy,
  output wire                       stat_error,
  output wire [31:0]                n_faults,
  output wire [N_TARGETS-1:0]       take_pulse,
  output wire [N_TARGETS-1:0]       stat_avail,
  input  wire [N_TARGETS-1:0]       hold_pulse,
  input  wire [N_TARGETS-1:0]       release_pulse,
  input  wire [N_TARGETS-1:0]       next_pulse,
  input  wire [N_TARGETS*16-1:0]    s_addr,
  output wire [N_TARGETS*WIDTH-1:0] m_word
);
  localparam [39:0] BASE = 40'h12_3456_7000;
  localparam [31:0] FAULTS_C = FAULTS;

  wire [N_TARGETS-1:0] free;
  wire [N_TARGETS-1:0] beat_valid;
  wire [BUS-1:0]       beat_data;
  wire                 beat_last;
  wire [39:0]    araddr;
  wire [7:0]     arlen;
  wire [2:0]     arsize;
  wire [1:0]     arburst;
  wire [3:0]     arcache;
  wire [2:0]     arprot;
  wire           arvalid;
  wire           arready;
  wire [BUS-1:0] rdata;
  wire [1:0]     rresp;
  wire           rlast;
  wire           rvalid;
  wire           rready;

  nba_memory #(
    .BUS    (BUS),
    .WORDS  (WORDS),
    .BASE   ({24'd0, BASE}),
    .LATENCY(LATENCY)
  ) u_memory (
    .clk          (clk),
    .rst          (axi_rst),
    .cfg_jitter   (JITTER != 0),
    .cfg_faults   (FAULTS_C[1:0]),
    .cfg_seed     (32'd1),
    .s_axi_araddr (araddr),
    .s_axi_arlen  (arlen),
    .s_axi_arsize (arsize),
    .s_axi_arburst(arburst),
    .s_axi_arvalid(arvalid),
    .s_axi_arready(arready),
    .s_axi_rdata  (rdata),
    .s_axi_rresp  (rresp),
    .s_axi_rlast  (rlast),
    .s_axi_rvalid (rvalid),
    .s_axi_rready (rready),
    .n_faults     (n_faults)
  );
  nba_fetch #(
    .BUS      (BUS),
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
    .cfg_base     (BASE),
    .free         (free),
    .take_pulse   (take_pulse),
    .m_valid      (beat_valid),
    .m_data       (beat_data),
    .m_last       (beat_last),
    .m_axi_araddr (araddr),
    .m_axi_arlen  (arlen),
    .m_axi_arsize (arsize),
    .m_axi_arburst(arburst),
    .m_axi_arcache(arcache),
    .m_axi_arprot (arprot),
    .m_axi_arvalid(arvalid),
    .m_axi_arready(arready),
    .m_axi_rdata  (rdata),
    .m_axi_rresp  (rresp),
    .m_axi_rlast  (rlast),
    .m_axi_rvalid (rvalid),
    .m_axi_rready (rready),
    .stat_busy    (stat_busy),
    .stat_error   (stat_error)
  );

  genvar gi;
  generate
    for (gi = 0; gi < N_TARGETS; gi = gi + 1) begin : g_target
      localparam integer W = (gi % 2 == 0) ? WIDTH : WIDTH / 2;
      wire [W-1:0]       word;
      wire [2*WIDTH-1:0] word_long = {{(2*WIDTH-W){1'b0}}, word};
      wire unused_word = &{1'b0, word_long};
      assign m_word[gi*WIDTH +: WIDTH] = word_long[WIDTH-1:0];
      nba_store #(
        .WIDTH     (W),
        .BUS       (BUS),
        .SLOT_WORDS((gi % 2 == 0) ? SLOT_WORDS : 2 * SLOT_WORDS),
        .SLOTS     (SLOTS)
      ) u_store (
        .clk          (clk),
        .rst          (rst),
        .take_pulse   (take_pulse[gi]),
        .stat_free    (free[gi]),
        .s_valid      (beat_valid[gi]),
        .s_data       (beat_data),
        .s_last       (beat_last),
        .stat_avail   (stat_avail[gi]),
        .hold_pulse   (hold_pulse[gi]),
        .release_pulse(release_pulse[gi]),
        .next_pulse   (next_pulse[gi]),
        .s_slot       (1'b1),
        .s_addr       (s_addr[gi*16 +: 16]),
        .m_word       (word)
      );
    end
  endgenerate
  wire unused = &{1'b0, arcache, arprot};
endmodule
`default_nettype wire
