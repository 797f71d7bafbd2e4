// SPDX-License-Identifier: Apache-2.0
// nba_axil: AXI4-Lite slave with the control, status and counter registers; 32-bit data, 16-bit
// byte addresses, low two bits ignored. The register map is described once, in nba.rdl:
// docs/registers.md has its table, sw/nba_regs.h of a bundle its header.
// A start copies N_FRAMES, MODE and WEIGHTS to cfg_frames, cfg_mode and cfg_weights, which stay put while stat_busy.
// MEMORY: 1 in designs that read weights from external memory; stat_error: of a read.
// A write after a soft reset waits until three cycles after soft_rst_pulse; stat_busy must be low
// by then. cnt_* are registers and stay put; cnt_data is sampled two cycles after they change.
// Latency: write 2 cycles, read 5; all outputs are registers. VERSION, DESIGN_ID: any 32 bits;
// N_CHUNKS: 1..48; N_MODES: 1..16. Reset: bus idle, registers as in the table.
`default_nettype none

module nba_axil #(
  parameter [31:0]  VERSION   = 32'h00000001,
  parameter [31:0]  DESIGN_ID = 32'h00000000,
  parameter integer N_CHUNKS  = 1,
  parameter integer N_MODES   = 1,
  parameter integer MEMORY    = 0
) (
  input  wire        clk,
  input  wire        rst,
  input  wire [15:0] s_axil_awaddr,
  input  wire        s_axil_awvalid,
  output wire        s_axil_awready,
  input  wire [31:0] s_axil_wdata,
  input  wire [3:0]  s_axil_wstrb,
  input  wire        s_axil_wvalid,
  output wire        s_axil_wready,
  output wire [1:0]  s_axil_bresp,
  output wire        s_axil_bvalid,
  input  wire        s_axil_bready,
  input  wire [15:0] s_axil_araddr,
  input  wire        s_axil_arvalid,
  output wire        s_axil_arready,
  output wire [31:0] s_axil_rdata,
  output wire [1:0]  s_axil_rresp,
  output wire        s_axil_rvalid,
  input  wire        s_axil_rready,
  output wire        start_pulse,
  output wire        soft_rst_pulse,
  output wire [31:0] cfg_frames,
  output wire [3:0]  cfg_mode,
  output wire [63:0] cfg_weights,
  input  wire        stat_error,
  output wire [7:0]  cnt_chunk,
  output wire [6:0]  cnt_job,
  output wire        cnt_end,
  input  wire [31:0] cnt_data,
  input  wire        stat_busy,
  input  wire        stat_done,
  input  wire [31:0] stat_frames,
  input  wire [63:0] stat_cycles
);

  localparam [31:0] ID_WORD = 32'h4341424E;
  localparam [31:0] CHUNKS  = N_CHUNKS;
  localparam [31:0] MODES   = N_MODES;
  localparam [1:0]  OKAY    = 2'b00;
  localparam [1:0]  SLVERR  = 2'b10;

  // Word addresses.
  localparam [13:0] A_ID       = 14'h0000;
  localparam [13:0] A_VERSION  = 14'h0001;
  localparam [13:0] A_CTRL     = 14'h0002;
  localparam [13:0] A_STATUS   = 14'h0003;
  localparam [13:0] A_N_FRAMES = 14'h0004;
  localparam [13:0] A_FRAMES   = 14'h0005;
  localparam [13:0] A_CYCLE_LO = 14'h0006;
  localparam [13:0] A_CYCLE_HI = 14'h0007;
  localparam [13:0] A_DESIGN   = 14'h0008;
  localparam [13:0] A_N_CHUNKS = 14'h0009;
  localparam [13:0] A_MODE     = 14'h000A;
  localparam [13:0] A_N_MODES  = 14'h000B;
  localparam [13:0] A_WEIGHTS_LO = 14'h000C;
  localparam [13:0] A_WEIGHTS_HI = 14'h000D;

  // Write: address and data come in any order; executed when both are here and B is free.
  reg        aw_have_q;
  reg        w_have_q;
  reg        awready_q;
  reg        wready_q;
  reg        bvalid_q;
  reg [1:0]  bresp_q;
  reg [13:0] waddr_q;
  reg [31:0] wdata_q;
  reg [3:0]  wstrb_q;
  reg [31:0] n_frames_q;
  reg [31:0] cfg_frames_q;
  reg        start_q;
  reg        soft_rst_q;
  reg        done_q;
  reg [2:0]  hold_q;

  wire aw_fire   = s_axil_awvalid && awready_q;
  wire w_fire    = s_axil_wvalid && wready_q;
  wire exec      = aw_have_q && w_have_q && (!bvalid_q || s_axil_bready) && hold_q == 3'd0;
  wire aw_have_d = aw_fire || (aw_have_q && !exec);
  wire w_have_d  = w_fire || (w_have_q && !exec);
  wire ctrl_we   = exec && waddr_q == A_CTRL && wstrb_q[0];
  wire soft_rst_d = ctrl_we && wdata_q[1];
  wire mode_ok   = N_MODES > 1 && waddr_q == A_MODE && wstrb_q == 4'hF && wdata_q < MODES;
  wire weights_ok = MEMORY != 0 && (waddr_q == A_WEIGHTS_LO || waddr_q == A_WEIGHTS_HI) && wstrb_q == 4'hF;
  wire start_d   = ctrl_we && wdata_q[0] && !wdata_q[1] && !stat_busy && !start_q;

  always @(posedge clk) begin
    if (aw_fire) waddr_q <= s_axil_awaddr[15:2];
    if (w_fire) begin
      wdata_q <= s_axil_wdata;
      wstrb_q <= s_axil_wstrb;
    end
    if (exec) bresp_q <= (waddr_q == A_CTRL || waddr_q == A_N_FRAMES || mode_ok || weights_ok) ? OKAY : SLVERR;
  end

  always @(posedge clk) begin
    aw_have_q <= aw_have_d;
    w_have_q  <= w_have_d;
    awready_q <= !aw_have_d;
    wready_q  <= !w_have_d;
    bvalid_q  <= exec || (bvalid_q && !s_axil_bready);
    if (rst) begin
      aw_have_q <= 1'b0;
      w_have_q  <= 1'b0;
      awready_q <= 1'b0;
      wready_q  <= 1'b0;
      bvalid_q  <= 1'b0;
    end
  end

  always @(posedge clk) begin
    if (exec && waddr_q == A_N_FRAMES) begin
      if (wstrb_q[0]) n_frames_q[7:0]   <= wdata_q[7:0];
      if (wstrb_q[1]) n_frames_q[15:8]  <= wdata_q[15:8];
      if (wstrb_q[2]) n_frames_q[23:16] <= wdata_q[23:16];
      if (wstrb_q[3]) n_frames_q[31:24] <= wdata_q[31:24];
    end
    start_q    <= start_d;
    soft_rst_q <= soft_rst_d;
    hold_q     <= {hold_q[1:0], soft_rst_d};
    if (start_d) cfg_frames_q <= n_frames_q;
    if (stat_done) done_q <= 1'b1;
    if (start_q || soft_rst_q) done_q <= 1'b0;
    if (rst) begin
      n_frames_q   <= 32'd0;
      cfg_frames_q <= 32'd0;
      start_q      <= 1'b0;
      soft_rst_q   <= 1'b0;
      hold_q       <= 3'd0;
      done_q       <= 1'b0;
    end
  end

  wire [3:0] mode;
  generate
    if (N_MODES > 1) begin : g_modes
      reg [3:0] mode_q;
      reg [3:0] cfg_mode_q;
      always @(posedge clk) begin
        if (exec && mode_ok) mode_q <= wdata_q[3:0];
        if (start_d) cfg_mode_q <= mode_q;
        if (rst) begin
          mode_q     <= 4'd0;
          cfg_mode_q <= 4'd0;
        end
      end
      assign mode     = mode_q;
      assign cfg_mode = cfg_mode_q;
    end else begin : g_one_mode
      assign mode     = 4'd0;
      assign cfg_mode = 4'd0;
    end
  endgenerate

  wire [63:0] weights;
  generate
    if (MEMORY != 0) begin : g_memory
      reg [63:0] weights_q;
      reg [63:0] cfg_weights_q;
      always @(posedge clk) begin
        if (exec && weights_ok && waddr_q == A_WEIGHTS_LO) weights_q[31:0] <= wdata_q;
        if (exec && weights_ok && waddr_q == A_WEIGHTS_HI) weights_q[63:32] <= wdata_q;
        if (start_d) cfg_weights_q <= weights_q;
        if (rst) begin
          weights_q     <= 64'd0;
          cfg_weights_q <= 64'd0;
        end
      end
      assign weights     = weights_q;
      assign cfg_weights = cfg_weights_q;
    end else begin : g_no_memory
      assign weights     = 64'd0;
      assign cfg_weights = 64'd0;
    end
  endgenerate

  // Read: address, two cycles for the counter memory and its multiplexer, data.
  localparam [2:0] ST_IDLE = 3'd0;
  localparam [2:0] ST_SEL  = 3'd1;
  localparam [2:0] ST_MEM  = 3'd2;
  localparam [2:0] ST_LOAD = 3'd3;
  localparam [2:0] ST_RESP = 3'd4;

  reg [2:0]  state_q;
  reg [2:0]  state_d;
  reg        arready_q;
  reg        rvalid_q;
  reg [13:0] raddr_q;
  reg [5:0]  chunk_q;
  reg [31:0] rdata_q;
  reg [31:0] rdata_d;
  reg [1:0]  rresp_q;
  reg [1:0]  rresp_d;
  reg [31:0] cycles_hi_q;

  always @* begin
    state_d = state_q;
    case (state_q)
      ST_IDLE: if (s_axil_arvalid && arready_q) state_d = ST_SEL;
      ST_SEL:  state_d = ST_MEM;
      ST_MEM:  state_d = ST_LOAD;
      ST_LOAD: state_d = ST_RESP;
      ST_RESP: if (s_axil_rready) state_d = ST_IDLE;
      default: state_d = ST_IDLE;
    endcase
  end

  always @* begin
    rdata_d = 32'd0;
    rresp_d = OKAY;
    case (raddr_q)
      A_ID:       rdata_d = ID_WORD;
      A_VERSION:  rdata_d = VERSION;
      A_CTRL:     rdata_d = 32'd0;
      A_STATUS:   rdata_d = {29'd0, MEMORY != 0 && stat_error, done_q, stat_busy || start_q};
      A_N_FRAMES: rdata_d = n_frames_q;
      A_FRAMES:   rdata_d = stat_frames;
      A_CYCLE_LO: rdata_d = stat_cycles[31:0];
      A_CYCLE_HI: rdata_d = cycles_hi_q;
      A_DESIGN:   rdata_d = DESIGN_ID;
      A_N_CHUNKS: rdata_d = CHUNKS;
      A_MODE: begin
        rdata_d = {28'd0, mode};
        if (N_MODES == 1) rresp_d = SLVERR;
      end
      A_N_MODES: begin
        if (N_MODES > 1) rdata_d = MODES;
        else rresp_d = SLVERR;
      end
      A_WEIGHTS_LO: begin
        rdata_d = weights[31:0];
        if (MEMORY == 0) rresp_d = SLVERR;
      end
      A_WEIGHTS_HI: begin
        rdata_d = weights[63:32];
        if (MEMORY == 0) rresp_d = SLVERR;
      end
      default: begin
        if (raddr_q[13:12] != 2'b00 && {2'b00, chunk_q} < CHUNKS[7:0]) rdata_d = cnt_data;
        else rresp_d = SLVERR;
      end
    endcase
  end

  always @(posedge clk) begin
    if (state_q == ST_IDLE && s_axil_arvalid && arready_q) begin
      raddr_q <= s_axil_araddr[15:2];
      chunk_q <= s_axil_araddr[15:10] - 6'd16;
    end
    if (state_q == ST_LOAD) begin
      rdata_q <= rdata_d;
      rresp_q <= rresp_d;
      if (raddr_q == A_CYCLE_LO) cycles_hi_q <= stat_cycles[63:32];
    end
  end

  always @(posedge clk) begin
    state_q   <= state_d;
    arready_q <= state_d == ST_IDLE;
    rvalid_q  <= state_d == ST_RESP;
    if (rst) begin
      state_q   <= ST_IDLE;
      arready_q <= 1'b0;
      rvalid_q  <= 1'b0;
    end
  end

  wire unused = &{1'b0, s_axil_awaddr[1:0], s_axil_araddr[1:0], CHUNKS[31:8]};

  assign s_axil_awready = awready_q;
  assign s_axil_wready  = wready_q;
  assign s_axil_bresp   = bresp_q;
  assign s_axil_bvalid  = bvalid_q;
  assign s_axil_arready = arready_q;
  assign s_axil_rdata   = rdata_q;
  assign s_axil_rresp   = rresp_q;
  assign s_axil_rvalid  = rvalid_q;
  assign start_pulse    = start_q;
  assign soft_rst_pulse = soft_rst_q;
  assign cfg_frames     = cfg_frames_q;
  assign cnt_chunk      = {2'b00, chunk_q};
  assign cnt_job        = raddr_q[7:1];
  assign cnt_end        = raddr_q[0];

`ifdef FORMAL
  // f_debt_q: writes executed and not yet answered; f_due_q: reads accepted and not yet answered.
  reg       f_past_q = 1'b0;
  reg       f_due_q = 1'b0;
  reg [1:0] f_aw_q;
  reg [1:0] f_w_q;
  wire      f_b_fire = bvalid_q && s_axil_bready;
  wire      f_ar_fire = s_axil_arvalid && arready_q;
  wire      f_r_fire = rvalid_q && s_axil_rready;

  always @(posedge clk) begin
    f_past_q <= 1'b1;
    f_aw_q   <= f_aw_q + aw_fire - f_b_fire;
    f_w_q    <= f_w_q + w_fire - f_b_fire;
    if (f_r_fire) f_due_q <= 1'b0;
    if (f_ar_fire) f_due_q <= 1'b1;
    if (rst) begin
      f_aw_q  <= 2'd0;
      f_w_q   <= 2'd0;
      f_due_q <= 1'b0;
    end
  end

  always @* if (!f_past_q) assume (rst);

  always @(posedge clk) if (f_past_q) begin
    // One response per address and data word, never more.
    assert (f_aw_q == bvalid_q + aw_have_q);
    assert (f_w_q == bvalid_q + w_have_q);
    assert (f_due_q == (state_q != ST_IDLE));
    assert (rvalid_q == (state_q == ST_RESP));
    assert (state_q <= ST_RESP);
    assert (!(arready_q && state_q != ST_IDLE));
    assert (!(awready_q && aw_have_q));
    assert (!(wready_q && w_have_q));
    assert ({28'd0, mode} < MODES && {28'd0, cfg_mode} < MODES);
    assert (!(start_q && soft_rst_q));
    if (!$past(rst)) begin
      assert (awready_q == !aw_have_q);
      assert (wready_q == !w_have_q);
      assert (arready_q == (state_q == ST_IDLE));
      if ($past(bvalid_q && !s_axil_bready)) begin
        assert (bvalid_q && bresp_q == $past(bresp_q));
      end
      if ($past(rvalid_q && !s_axil_rready)) begin
        assert (rvalid_q && rdata_q == $past(rdata_q) && rresp_q == $past(rresp_q));
      end
      if (start_q) assert ($past(exec && !stat_busy) && !$past(start_q));
      if (soft_rst_q) assert ($past(exec));
      if (hold_q != 3'd0) assert (!exec && !start_q);
      if (soft_rst_q) assert (hold_q[0]);
      if ($past(stat_busy)) assert (cfg_frames_q == $past(cfg_frames_q));
      if ($past(stat_busy)) assert (cfg_mode == $past(cfg_mode));
      if ($past(stat_busy)) assert (cfg_weights == $past(cfg_weights));
      if (start_q) assert (cfg_weights == $past(weights));
      if (start_q) assert (cfg_mode == $past(mode));
      if (mode != $past(mode)) assert ($past(exec && waddr_q == A_MODE));
    end
  end
`endif

endmodule

`default_nettype wire
