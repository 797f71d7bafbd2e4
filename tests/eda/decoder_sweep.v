// SPDX-License-Identifier: Apache-2.0
// decoder_sweep: reads and writes every word of nba_axil, one access at a time, and prints each answer:
//   R0 address response data   all words, right after the reset, with every input of the machine low
//   R1 address response data   all words, with every input of the machine high
//   W address response         all words written with 0
//   B bit address response data  the words below FINE, one bit of them written, then read; all are 0 before
`default_nettype none
module decoder_sweep #(
  parameter [31:0]  VERSION   = 32'h00000001,
  parameter [31:0]  DESIGN_ID = 32'h00000000,
  parameter integer N_CHUNKS  = 1,
  parameter integer N_MODES   = 1,
  parameter integer MEMORY    = 0
);
  localparam integer WORDS = 16384;
  localparam integer FINE  = 32;

  reg         clk;
  reg         rst;
  reg  [15:0] address;
  reg  [31:0] wdata;
  reg         awvalid;
  reg         arvalid;
  reg         high;
  wire        awready;
  wire        wready;
  wire        arready;
  wire [1:0]  bresp;
  wire [1:0]  rresp;
  wire        bvalid;
  wire        rvalid;
  wire [31:0] rdata;
  reg         wvalid;
  wire        start;
  wire        soft_rst;
  wire [31:0] frames;
  wire [3:0]  mode;
  wire [63:0] weights;
  wire [7:0]  chunk;
  wire [6:0]  job;
  wire        last;

  nba_axil #(
    .VERSION  (VERSION),
    .DESIGN_ID(DESIGN_ID),
    .N_CHUNKS (N_CHUNKS),
    .N_MODES  (N_MODES),
    .MEMORY   (MEMORY)
  ) u_dut (
    .clk           (clk),
    .rst           (rst),
    .s_axil_awaddr (address),
    .s_axil_awvalid(awvalid),
    .s_axil_awready(awready),
    .s_axil_wdata  (wdata),
    .s_axil_wstrb  (4'hF),
    .s_axil_wvalid (wvalid),
    .s_axil_wready (wready),
    .s_axil_bresp  (bresp),
    .s_axil_bvalid (bvalid),
    .s_axil_bready (1'b1),
    .s_axil_araddr (address),
    .s_axil_arvalid(arvalid),
    .s_axil_arready(arready),
    .s_axil_rdata  (rdata),
    .s_axil_rresp  (rresp),
    .s_axil_rvalid (rvalid),
    .s_axil_rready (1'b1),
    .start_pulse   (start),
    .soft_rst_pulse(soft_rst),
    .cfg_frames    (frames),
    .cfg_mode      (mode),
    .cfg_weights   (weights),
    .stat_error    (high),
    .cnt_chunk     (chunk),
    .cnt_job       (job),
    .cnt_end       (last),
    .cnt_data      ({32{high}}),
    .stat_busy     (high),
    .stat_done     (high),
    .stat_frames   ({32{high}}),
    .stat_cycles   ({64{high}})
  );

  task read;
    begin
      arvalid = 1'b1;
      @(posedge clk);
      while (!arready) @(posedge clk);
      #1 arvalid = 1'b0;
      while (!rvalid) @(posedge clk);
    end
  endtask

  task write;
    begin
      awvalid = 1'b1;
      wvalid  = 1'b1;
      @(posedge clk);
      while (!(awready && wready)) @(posedge clk);
      #1 awvalid = 1'b0;
      wvalid  = 1'b0;
      while (!bvalid) @(posedge clk);
    end
  endtask

  integer i;
  integer n;
  initial begin
    clk = 1'b0;
    forever #5 clk = !clk;
  end
  initial begin
    rst     = 1'b1;
    high    = 1'b0;
    awvalid = 1'b0;
    wvalid  = 1'b0;
    arvalid = 1'b0;
    address = 16'd0;
    wdata   = 32'd0;
    for (i = 0; i < 4; i = i + 1) @(posedge clk);
    #1 rst = 1'b0;
    for (n = 0; n < 2; n = n + 1) begin
      high = n[0];
      for (i = 0; i < WORDS; i = i + 1) begin
        address = {i[13:0], 2'b00};
        read;
        $display("R%0d %h %h %h", n, address, rresp, rdata);
        @(posedge clk);
        #1;
      end
    end
    high = 1'b0;
    for (i = 0; i < WORDS; i = i + 1) begin
      address = {i[13:0], 2'b00};
      write;
      $display("W %h %h", address, bresp);
      @(posedge clk);
      #1;
    end
    for (i = 0; i < FINE; i = i + 1) begin
      for (n = 0; n < 32; n = n + 1) begin
        address = {i[13:0], 2'b00};
        wdata   = 32'd1 << n;
        write;
        $write("B %0d %h %h ", n, address, bresp);
        @(posedge clk);
        #1 read;
        $write("%h\n", rdata);
        @(posedge clk);
        #1 wdata = 32'd0;
        write;
        @(posedge clk);
        #1;
      end
    end
    $finish;
  end
endmodule
`default_nettype wire
