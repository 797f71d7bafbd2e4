// SPDX-License-Identifier: Apache-2.0
// nba_drain: takes the accumulators of a finished group and hands them on, PQ channels x PP columns per cycle,
// with the addresses of their requantisation parameters and of the residual operand (docs/template.md).
// A group has PP * 2^cfg_degree columns and is handed on in 2^cfg_degree passes over its channels, PP columns each.
// xfer in cycle x announces a group whose accumulators are s_acc in x+2; its drain steps have their addresses
// in x+1.. (d0); the lanes appear in d0+3 (q1), together with the memories' answers; the step flags in d0+11, a cycle
// before the code.
// PM, PQ, PP, ACC_BITS as the engine; PQ divides PM. DEGREE 1, 2, 4: the most passes of any job. BANKS >= PP * DEGREE.
// xfer comes at most every PM/PQ * 2^cfg_degree cycles.
// s_acc: as nba_array's m_acc, SHARE = 1 or, with PACK, 2. xfer_first marks the first group of a turn:
// load_* are the fields of its job, and its rows; cfg_* become its job's in the next cycle (x+1).
// What is left of a column, a row and a turn is counted down; a flag beside each count says that nothing is left.
// The residual operand of the PP columns lies in banks m_res_pos * PP and up of the word at d_res_off.
// m_again: the last step of a pass that another one follows; m_group_last: of the last pass of a group.
// P_AW, AW 2..16: bits of an address of the parameters, of the residual edges.
// Reset: no step is under way.
`default_nettype none
module nba_drain #(
  parameter integer PM       = 2,
  parameter integer SHARE    = 1,
  parameter integer PQ       = 1,
  parameter integer PP       = 1,
  parameter integer BANKS    = 1,
  parameter integer DEGREE   = 1,
  parameter integer ACC_BITS = 24,
  parameter integer P_AW     = 16,
  parameter integer AW       = 16
) (
  input  wire                      clk,
  input  wire                      rst,
  input  wire                      xfer,
  input  wire                      xfer_first,
  input  wire [PP*((PM+SHARE-1)/SHARE)*SHARE*DEGREE*ACC_BITS-1:0] s_acc,
  input  wire [1:0]                cfg_degree,
  input  wire [12:0]               load_m_last,
  input  wire [11:0]               load_g_last,
  input  wire [11:0]               load_rows,
  input  wire [15:0]               load_p_base,
  input  wire [12:0]               load_res_words,
  input  wire [12:0]               cfg_m_last,
  input  wire [11:0]               cfg_g_last,
  input  wire [15:0]               cfg_p_base,
  input  wire                      cfg_res_en,
  // drain step (d0)
  output wire [15:0]               d_param_addr,
  output wire [15:0]               d_res_off,
  input  wire [12:0]               cfg_res_words,
  output wire                      d_res_row_pulse,
  // q1 = d0+3
  output wire                      m_res_ok,
  output wire [2:0]                m_res_pos,
  output wire [PQ*PP*ACC_BITS-1:0] m_acc,
  // d0+11
  output wire                      m_valid,
  output wire                      m_again,
  output wire                      m_group_last,
  output wire                      m_col_last,
  output wire                      m_row_last,
  output wire                      m_turn_last
);
  localparam integer DRAIN  = PM / PQ;
  localparam integer DOTS   = (PM + SHARE - 1) / SHARE;
  localparam integer CNT_W  = (DRAIN > 1) ? $clog2(DRAIN) : 1;
  localparam integer STEP_W = PQ * PP * ACC_BITS;
  localparam integer ALL_W  = DEGREE * PM * PP * ACC_BITS;
  localparam integer INDEX_W = (DRAIN * DEGREE > 1) ? $clog2(DRAIN * DEGREE) : 1;
  localparam [31:0]  LAST   = DRAIN - 1;
  localparam [31:0]  POS_LAST = BANKS / PP - 1;

  reg              busy_q;
  reg [CNT_W-1:0]  d_q;
  reg [1:0]        pass_q;
  reg [2:0]        pos_q;
  reg [2:0]        pos_group_q;
  reg [12:0]       m_left_q;
  reg [11:0]       g_left_q;
  reg [11:0]       rows_left_q;
  reg              m_end_q;
  reg              g_end_q;
  reg              rows_end_q;
  reg [P_AW-1:0]   param_q;
  reg [P_AW-1:0]   param_group_q;
  reg [AW-1:0]     res_q;
  reg [AW-1:0]     res_group_q;
  reg [AW-1:0]     res_col_q;
  reg [12:0]       words_left_q;
  reg [12:0]       words_group_q;
  reg [2:0]        res_ok_q;
  reg [8:0]        res_pos_q;
  reg [1:0]        load_q;
  reg [1:0]        step_q;
  reg [ALL_W-1:0]  acc_q;
  reg [STEP_W-1:0] lanes_q;

  wire [1:0] pass_last = (DEGREE == 1 || cfg_degree == 2'd0) ? 2'd0 : (cfg_degree == 2'd1) ? 2'd1 : 2'd3;
  wire d_last   = d_q == LAST[CNT_W-1:0];
  wire again    = d_last && pass_q != pass_last;
  wire group_last = d_last && pass_q == pass_last;
  wire col_last = group_last && m_end_q;
  wire row_last = col_last && g_end_q;
  wire turn_last = row_last && rows_end_q;
  wire        pos_last = pos_q == POS_LAST[2:0];
  wire [15:0] words_long = {3'd0, cfg_res_words};
  wire [AW-1:0] res_next = pos_last ? res_col_q + words_long[AW-1:0] : res_col_q;
  wire        words_end = words_left_q == 13'd0;
  wire [12:0] words_next = words_end ? 13'd0 : words_left_q - 13'd1;

  always @(posedge clk) begin
    if (busy_q) begin
      d_q     <= d_q + 1'b1;
      param_q <= param_q + 1'b1;
      res_q   <= res_q + 1'b1;
      // Steps past the last word of a column have no operand; the count stops there.
      words_left_q <= words_next;
      if (d_last) begin
        d_q    <= {CNT_W{1'b0}};
        pass_q <= pass_q + 2'd1;
        pos_q  <= pos_last ? 3'd0 : pos_q + 3'd1;
      end
      // The next pass has the same channels.
      if (again) begin
        param_q      <= param_group_q;
        res_q        <= res_group_q;
        words_left_q <= words_group_q;
      end
      if (group_last) begin
        busy_q        <= 1'b0;
        pass_q        <= 2'd0;
        pos_q         <= pos_group_q;
        m_left_q      <= m_left_q - 13'd1;
        m_end_q       <= m_left_q == 13'd1;
        param_group_q <= param_q + 1'b1;
        res_group_q   <= res_q + 1'b1;
        words_group_q <= words_next;
      end
      if (col_last) begin
        m_left_q      <= cfg_m_last;
        m_end_q       <= cfg_m_last == 13'd0;
        g_left_q      <= g_left_q - 12'd1;
        g_end_q       <= g_left_q == 12'd1;
        pos_q         <= pos_last ? 3'd0 : pos_q + 3'd1;
        pos_group_q   <= pos_last ? 3'd0 : pos_q + 3'd1;
        param_q       <= cfg_p_base[P_AW-1:0];
        param_group_q <= cfg_p_base[P_AW-1:0];
        res_q         <= res_next;
        res_group_q   <= res_next;
        res_col_q     <= res_next;
        words_left_q  <= cfg_res_words;
        words_group_q <= cfg_res_words;
      end
      if (row_last) begin
        g_left_q    <= cfg_g_last;
        g_end_q     <= cfg_g_last == 12'd0;
        rows_left_q <= rows_left_q - 12'd1;
        rows_end_q  <= rows_left_q == 12'd2;
        pos_q       <= 3'd0;
        pos_group_q <= 3'd0;
        res_q       <= {AW{1'b0}};
        res_group_q <= {AW{1'b0}};
        res_col_q   <= {AW{1'b0}};
      end
    end
    if (xfer) begin
      busy_q <= 1'b1;
      if (xfer_first) begin
        m_left_q      <= load_m_last;
        m_end_q       <= load_m_last == 13'd0;
        g_left_q      <= load_g_last;
        g_end_q       <= load_g_last == 12'd0;
        rows_left_q   <= load_rows;
        rows_end_q    <= load_rows == 12'd1;
        d_q           <= {CNT_W{1'b0}};
        pass_q        <= 2'd0;
        pos_q         <= 3'd0;
        pos_group_q   <= 3'd0;
        res_q         <= {AW{1'b0}};
        res_group_q   <= {AW{1'b0}};
        res_col_q     <= {AW{1'b0}};
        words_left_q  <= load_res_words;
        words_group_q <= load_res_words;
        param_q       <= load_p_base[P_AW-1:0];
        param_group_q <= load_p_base[P_AW-1:0];
      end
    end
    if (rst) begin
      busy_q <= 1'b0;
      d_q    <= {CNT_W{1'b0}};
      pass_q <= 2'd0;
    end
  end

  always @(posedge clk) begin
    load_q  <= {load_q[0], xfer};
    step_q  <= {step_q[0], busy_q};
  end
  // What is handed on lies still, and the step selects: a register that shifts would take a LUT per bit. Step by step:
  // passes, channels of a pass, columns of a channel.
  integer i;
  integer m;
  integer p;
  integer s;
  reg [INDEX_W-1:0] index_q;
  reg [ALL_W-1:0]   selected;
  always @(posedge clk) begin
    if (load_q[1]) begin
      for (i = 0; i < DEGREE; i = i + 1) begin
        for (m = 0; m < PM; m = m + 1) begin
          for (p = 0; p < PP; p = p + 1) begin
            acc_q[((i*PM+m)*PP+p)*ACC_BITS +: ACC_BITS]
              <= s_acc[(((p*DOTS+m/SHARE)*DEGREE+i)*SHARE+m%SHARE)*ACC_BITS +: ACC_BITS];
          end
        end
      end
    end
  end
  always @(posedge clk) begin
    if (step_q[1]) index_q <= index_q + 1'b1;
    if (load_q[1]) index_q <= {INDEX_W{1'b0}};
  end
  always @* begin
    selected = acc_q;
    for (s = 0; s < INDEX_W; s = s + 1) if (index_q[s]) selected = selected >> (STEP_W << s);
  end
  wire unused = &{1'b0, selected, words_long, cfg_p_base, load_p_base, param_long, res_long};
  always @(posedge clk) begin
    lanes_q  <= selected[STEP_W-1:0];
    res_pos_q <= {res_pos_q[5:0], pos_q};
    res_ok_q <= {res_ok_q[1:0], cfg_res_en && !words_end};
    // The last stages are reset, here and below, so that a delay line is no memory cell to its end: its output is late.
    if (rst) begin
      res_pos_q[8:6] <= 3'd0;
      res_ok_q[2]    <= 1'b0;
    end
  end

  // Step flags travel beside the requantiser: d0 -> d0+11.
  localparam integer FLAGS = 11;
  reg [FLAGS-1:0] valid_q;
  reg [FLAGS-1:0] again_q;
  reg [FLAGS-1:0] group_q;
  reg [FLAGS-1:0] col_q;
  reg [FLAGS-1:0] end_q;
  reg [FLAGS-1:0] turn_q;
  always @(posedge clk) begin
    valid_q <= {valid_q[FLAGS-2:0], busy_q};
    again_q <= {again_q[FLAGS-2:0], again};
    group_q <= {group_q[FLAGS-2:0], group_last};
    col_q   <= {col_q[FLAGS-2:0], col_last};
    end_q   <= {end_q[FLAGS-2:0], row_last};
    turn_q  <= {turn_q[FLAGS-2:0], turn_last};
    if (rst) begin
      valid_q          <= {FLAGS{1'b0}};
      again_q[FLAGS-1] <= 1'b0;
      group_q[FLAGS-1] <= 1'b0;
      col_q[FLAGS-1]   <= 1'b0;
      end_q[FLAGS-1]   <= 1'b0;
      turn_q[FLAGS-1]  <= 1'b0;
    end
  end

  wire [16:0] param_long = {{(17-P_AW){1'b0}}, param_q};
  wire [16:0] res_long   = {{(17-AW){1'b0}}, res_q};
  assign d_param_addr    = param_long[15:0];
  assign d_res_off       = res_long[15:0];
  assign d_res_row_pulse = busy_q && row_last && cfg_res_en;
  assign m_res_ok        = res_ok_q[2];
  assign m_res_pos       = res_pos_q[8:6];
  assign m_acc           = lanes_q;
  assign m_valid         = valid_q[FLAGS-1];
  assign m_again         = again_q[FLAGS-1];
  assign m_group_last    = group_q[FLAGS-1];
  assign m_col_last      = col_q[FLAGS-1];
  assign m_row_last      = end_q[FLAGS-1];
  assign m_turn_last      = turn_q[FLAGS-1];
`ifdef FORMAL
  // A group comes when the drain has done with the one before, the first after a reset is the first of a turn, and the
  // fields change with its first group only. Then no group meets a busy drain except in its last step.
  localparam [31:0] DRAIN_C = DRAIN;
  reg         f_init_q = 1'b1;
  reg         f_seen_q;
  reg [9:0]   f_age_q;
  wire [9:0]  f_steps = DRAIN_C[9:0] * ({8'd0, pass_last} + 10'd1);
  wire [15:0] f_m = {3'd0, cfg_m_last - m_left_q};
  wire [15:0] f_d = {{(16-CNT_W){1'b0}}, d_q};
  wire [15:0] f_param = cfg_p_base + f_m * DRAIN_C[15:0];
  wire        f_new = xfer && xfer_first;
  always @(posedge clk) begin
    f_init_q <= 1'b0;
    f_age_q <= xfer ? 10'd0 : (f_age_q == 10'h3ff) ? f_age_q : f_age_q + 10'd1;
    if (f_new) f_seen_q <= 1'b1;
    if (rst) begin
      f_seen_q <= 1'b0;
      f_age_q <= 10'h3ff;
    end
  end
  always @* begin
    if (f_init_q) assume (rst);
    assume (!xfer || f_age_q >= f_steps - 10'd1);
    assume (DEGREE != 2 || cfg_degree <= 2'd1);
    assume (!xfer || xfer_first || f_seen_q);
  end
  always @(posedge clk) begin
    if (!f_init_q) begin
      if ($past(f_new)) begin
        assume (cfg_p_base == $past(load_p_base) && cfg_res_words == $past(load_res_words));
        assume (cfg_m_last == $past(load_m_last) && cfg_g_last == $past(load_g_last));
      end else begin
        assume (cfg_p_base == $past(cfg_p_base) && cfg_res_words == $past(cfg_res_words));
        assume (cfg_m_last == $past(cfg_m_last) && cfg_g_last == $past(cfg_g_last));
        assume (cfg_degree == $past(cfg_degree));
      end
      assert (busy_q == (f_age_q < f_steps));
      assert ((pass_q <= pass_last || !busy_q) && f_d < DRAIN_C[15:0]);
      if (busy_q) assert ({6'd0, f_age_q} == {14'd0, pass_q} * DRAIN_C[15:0] + f_d);
      else assert (d_q == {CNT_W{1'b0}} && pass_q == 2'd0);
      if (xfer && busy_q) assert (group_last);
      if (busy_q) assert (f_seen_q);
      if (f_seen_q) begin
        assert (m_end_q == (m_left_q == 13'd0) && g_end_q == (g_left_q == 12'd0));
        assert (rows_end_q == (rows_left_q == 12'd1));
        assert (m_left_q <= cfg_m_last);
        assert (g_left_q <= cfg_g_last);
        assert (words_left_q <= cfg_res_words && words_group_q <= cfg_res_words);
        assert (param_q == f_param[P_AW-1:0] + f_d[P_AW-1:0]);
        assert (param_group_q == f_param[P_AW-1:0]);
      end
    end
  end
`endif
endmodule
`default_nettype wire
