// SPDX-License-Identifier: Apache-2.0
// nba_drain: takes the accumulators of a finished group and hands them on, PQ channels x PP columns per cycle,
// with the addresses of their requantisation parameters and of the residual operand (docs/template.md).
// xfer in cycle x announces a group whose accumulators are s_acc in x+2; drain steps k = 0..DRAIN-1 have their addresses
// in x+1+k (d0); the lanes appear in d0+3 (q1), together with the memories' answers; the step flags in d0+10, a cycle
// before the code.
// PM, PQ, PP, ACC_BITS as the engine; PQ divides PM. xfer comes at most every DRAIN = PM/PQ cycles.
// s_acc: accumulator of channel m, column p at (m*PP+p)*ACC_BITS. xfer_first marks the first group of a job:
// load_p_base is the new job's first parameter word; cfg_* become the new job's in the next cycle (x+1).
// Reset: no step is under way.
`default_nettype none
module nba_drain #(
  parameter integer PM       = 2,
  parameter integer PQ       = 1,
  parameter integer PP       = 1,
  parameter integer ACC_BITS = 24
) (
  input  wire                      clk,
  input  wire                      rst,
  input  wire                      xfer,
  input  wire                      xfer_first,
  input  wire [PM*PP*ACC_BITS-1:0] s_acc,
  input  wire [12:0]               cfg_m_last,
  input  wire [11:0]               cfg_g_last,
  input  wire [11:0]               cfg_rows,
  input  wire [15:0]               load_p_base,
  input  wire [15:0]               cfg_p_base,
  input  wire                      cfg_res_en,
  // drain step (d0)
  output wire [15:0]               d_param_addr,
  output wire [15:0]               d_res_off,
  input  wire [12:0]               cfg_res_words,
  output wire                      d_res_row_pulse,
  // q1 = d0+3
  output wire                      m_res_ok,
  output wire [PQ*PP*ACC_BITS-1:0] m_acc,
  // d0+10
  output wire                      m_valid,
  output wire                      m_col_last,
  output wire                      m_row_last,
  output wire                      m_job_last
);
  localparam integer DRAIN  = PM / PQ;
  localparam integer CNT_W  = (DRAIN > 1) ? $clog2(DRAIN) : 1;
  localparam integer STEP_W = PQ * PP * ACC_BITS;
  localparam integer ALL_W  = PM * PP * ACC_BITS;
  localparam [31:0]  LAST   = DRAIN - 1;

  reg              busy_q;
  reg [CNT_W-1:0]  d_q;
  reg [12:0]       m_q;
  reg [11:0]       g_q;
  reg [11:0]       row_q;
  reg [15:0]       param_q;
  reg [15:0]       res_q;
  reg [15:0]       res_col_q;
  reg [12:0]       res_word_q;
  reg [2:0]        res_ok_q;
  reg [1:0]        load_q;
  reg [1:0]        shift_q;
  reg [ALL_W-1:0]  acc_q;
  reg [STEP_W-1:0] lanes_q;

  wire d_last   = d_q == LAST[CNT_W-1:0];
  wire m_end    = m_q == cfg_m_last;
  wire g_end    = g_q == cfg_g_last;
  wire col_last = d_last && m_end;
  wire row_last = col_last && g_end;
  wire job_last = row_last && (row_q + 12'd1 == cfg_rows);
  wire [15:0] res_group = res_col_q + {3'd0, cfg_res_words};

  always @(posedge clk) begin
    if (busy_q) begin
      d_q     <= d_q + 1'b1;
      param_q <= param_q + 16'd1;
      res_q   <= res_q + 16'd1;
      // Steps past the last word of a column have no operand; the count stops there.
      if (res_word_q < cfg_res_words) res_word_q <= res_word_q + 13'd1;
      if (d_last) begin
        d_q    <= {CNT_W{1'b0}};
        busy_q <= 1'b0;
        m_q    <= m_q + 13'd1;
      end
      if (col_last) begin
        m_q       <= 13'd0;
        g_q       <= g_q + 12'd1;
        param_q   <= cfg_p_base;
        res_q     <= res_group;
        res_col_q <= res_group;
        res_word_q <= 13'd0;
      end
      if (row_last) begin
        g_q       <= 12'd0;
        row_q     <= row_q + 12'd1;
        res_q     <= 16'd0;
        res_col_q <= 16'd0;
      end
    end
    if (xfer) begin
      busy_q <= 1'b1;
      if (xfer_first) begin
        m_q       <= 13'd0;
        g_q       <= 12'd0;
        row_q     <= 12'd0;
        d_q       <= {CNT_W{1'b0}};
        res_q     <= 16'd0;
        res_col_q <= 16'd0;
        res_word_q <= 13'd0;
        param_q   <= load_p_base;
      end
    end
    if (rst) begin
      busy_q <= 1'b0;
      d_q    <= {CNT_W{1'b0}};
    end
  end

  always @(posedge clk) begin
    load_q  <= {load_q[0], xfer};
    shift_q <= {shift_q[0], busy_q};
  end
  generate
    if (DRAIN > 1) begin : g_shift
      always @(posedge clk) begin
        if (shift_q[1]) acc_q <= {{STEP_W{1'b0}}, acc_q[ALL_W-1:STEP_W]};
        if (load_q[1]) acc_q <= s_acc;
      end
    end else begin : g_whole
      wire unused = &{1'b0, shift_q};
      always @(posedge clk) begin
        if (load_q[1]) acc_q <= s_acc;
      end
    end
  endgenerate
  always @(posedge clk) begin
    lanes_q  <= acc_q[STEP_W-1:0];
    res_ok_q <= {res_ok_q[1:0], cfg_res_en && res_word_q < cfg_res_words};
  end

  // Step flags travel beside the requantiser: d0 -> d0+10.
  localparam integer FLAGS = 10;
  reg [FLAGS-1:0] valid_q;
  reg [FLAGS-1:0] col_q;
  reg [FLAGS-1:0] end_q;
  reg [FLAGS-1:0] job_q;
  always @(posedge clk) begin
    valid_q <= {valid_q[FLAGS-2:0], busy_q};
    col_q   <= {col_q[FLAGS-2:0], col_last};
    end_q   <= {end_q[FLAGS-2:0], row_last};
    job_q   <= {job_q[FLAGS-2:0], job_last};
    if (rst) valid_q <= {FLAGS{1'b0}};
  end

  assign d_param_addr    = param_q;
  assign d_res_off       = res_q;
  assign d_res_row_pulse = busy_q && row_last && cfg_res_en;
  assign m_res_ok        = res_ok_q[2];
  assign m_acc           = lanes_q;
  assign m_valid         = valid_q[FLAGS-1];
  assign m_col_last      = col_q[FLAGS-1];
  assign m_row_last      = end_q[FLAGS-1];
  assign m_job_last      = job_q[FLAGS-1];
`ifdef FORMAL
  // A group comes at most every DRAIN cycles, the first after a reset is the first of a job, and the job's fields
  // change with its first group only. Then no group meets a busy drain except in its last step.
  localparam [31:0] DRAIN_C = DRAIN;
  reg         f_init_q = 1'b1;
  reg         f_seen_q;
  reg [7:0]   f_left_q;
  wire [15:0] f_m = {3'd0, m_q};
  wire [15:0] f_d = {{(16-CNT_W){1'b0}}, d_q};
  wire        f_new = xfer && xfer_first;
  always @(posedge clk) begin
    f_init_q <= 1'b0;
    f_left_q <= xfer ? DRAIN_C[7:0] : (f_left_q == 8'd0) ? 8'd0 : f_left_q - 8'd1;
    if (f_new) f_seen_q <= 1'b1;
    if (rst) begin
      f_seen_q <= 1'b0;
      f_left_q <= 8'd0;
    end
  end
  always @* begin
    if (f_init_q) assume (rst);
    assume (!xfer || f_left_q <= 8'd1);
    assume (!xfer || xfer_first || f_seen_q);
  end
  always @(posedge clk) begin
    if (!f_init_q) begin
      if ($past(f_new)) begin
        assume (cfg_p_base == $past(load_p_base));
      end else begin
        assume (cfg_p_base == $past(cfg_p_base) && cfg_res_words == $past(cfg_res_words));
        assume (cfg_m_last == $past(cfg_m_last) && cfg_g_last == $past(cfg_g_last));
      end
      assert (busy_q == (f_left_q != 8'd0));
      assert (f_left_q <= DRAIN_C[7:0]);
      if (busy_q) assert ({8'd0, f_left_q} + f_d == DRAIN_C[15:0]);
      else assert (d_q == {CNT_W{1'b0}});
      if (xfer && busy_q) assert (d_last);
      if (busy_q) assert (f_seen_q);
      if (f_seen_q) begin
        assert (m_q <= cfg_m_last);
        assert (g_q <= cfg_g_last);
        assert (res_word_q <= cfg_res_words);
        assert (param_q == cfg_p_base + f_m * DRAIN_C[15:0] + f_d);
      end
    end
  end
`endif
endmodule
`default_nettype wire
