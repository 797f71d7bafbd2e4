// SPDX-License-Identifier: Apache-2.0
// nba_walk: walks one output row: column groups, channel groups, taps, channel words; one step per cycle,
// and produces the bank, weight and mask signals of every step (docs/template.md, pipeline rows i and i+1).
// Latency 1 cycle from a step's cycle i to its registered addresses (i+1); one step per cycle; never stalls.
// PER_CHANNEL: 1 if an output channel sees its own input channel alone (channel group m reads word m). PP 1, 2, 4, 8.
// row_go in cycle t starts the row in t+1; walk_last marks its last cycle.
// The row takes max(groups * slot, 2) cycles. m_first_slot: this slot is the first of the job.
// cfg_*: fields of the running job, stable from row_go to walk_last; *_last are counts minus one.
// A layer of two groups: a channel group walks one half of the words, from half * cfg_half_words on. Group 0 reads
// half cfg_half_first; the half changes after the groups cfg_m_lo_last and cfg_m_hi_last. Else cfg_half_words is 0.
// Reset stops the walk.
`default_nettype none
module nba_walk #(
  parameter integer PER_CHANNEL = 0,
  parameter integer PP          = 2
) (
  input  wire              clk,
  input  wire              rst,
  input  wire              row_go,
  input  wire              row_first,
  input  wire [15:0]       row_off,
  input  wire [12:0]       row_top,
  output wire              walk_run,
  output wire              walk_last,
  input  wire [12:0]       cfg_c_last,
  input  wire [6:0]        cfg_kx_last,
  input  wire [6:0]        cfg_ky_last,
  input  wire [12:0]       cfg_m_last,
  input  wire [12:0]       cfg_half_words,
  input  wire              cfg_half_first,
  input  wire [12:0]       cfg_m_lo_last,
  input  wire [12:0]       cfg_m_hi_last,
  input  wire [11:0]       cfg_g_last,
  input  wire [11:0]       cfg_slot_extra,
  input  wire [11:0]       cfg_width,
  input  wire [11:0]       cfg_height,
  input  wire              cfg_stride2_w,
  input  wire [6:0]        cfg_pad_left,
  input  wire [2:0]        cfg_rot0,
  input  wire              cfg_par0,
  input  wire [15:0]       cfg_qoff0,
  input  wire [12:0]       cfg_col_words,
  input  wire [15:0]       cfg_parity_words,
  input  wire [15:0]       cfg_base,
  input  wire [15:0]       cfg_row_words,
  input  wire [15:0]       cfg_ring_words,
  input  wire [15:0]       cfg_w_base,
  input  wire              cfg_w_step,
  // stage i+1
  output wire [PP*16-1:0]  m_addr,
  output wire [15:0]       m_w_addr,
  output wire [PP-1:0]     m_ok,
  output wire [3:0]        m_rot,
  output wire              m_valid,
  output wire              m_first,
  output wire              m_slot_end,
  output wire              m_first_slot
);
  localparam [31:0] PP_C    = PP;
  localparam [31:0] HALF_C  = PP / 2;
  localparam [31:0] PP_LAST = PP - 1;

  // Loop state (cycle i).
  reg         run_q;
  reg         pad_q;
  reg         fresh_q;
  reg         job_first_q;
  reg         wait_q;
  reg [11:0]  wait_cnt_q;
  reg [12:0]  c_q;
  reg [12:0]  word_q;
  reg         half_q;
  reg [6:0]   kx_q;
  reg [6:0]   ky_q;
  reg [12:0]  m_q;
  reg [11:0]  g_q;
  // Address state.
  reg [15:0]  top_off_q;
  reg [15:0]  off_q;
  reg [12:0]  top_ri_q;
  reg [12:0]  ri_q;
  reg [2:0]   rot_q;
  reg         par_q;
  reg [15:0]  qoff_q;
  reg [15:0]  g_qoff_q;
  reg [13:0]  xs_q;
  reg [13:0]  g_xs_q;
  reg [15:0]  w_q;

  wire step      = run_q && !wait_q && !pad_q;
  wire c_last    = (PER_CHANNEL != 0) || (c_q == cfg_c_last);
  wire kx_last   = kx_q == cfg_kx_last;
  wire ky_last   = ky_q == cfg_ky_last;
  wire m_last    = m_q == cfg_m_last;
  wire g_last    = g_q == cfg_g_last;
  wire taps_last = c_last && kx_last && ky_last;
  wire slot_end  = (step && taps_last && cfg_slot_extra == 12'd0)
                || (run_q && wait_q && wait_cnt_q == cfg_slot_extra);
  wire row_end   = slot_end && m_last && g_last;

  // The half of the words that the channel group reads, and the next one.
  wire        half_turn  = m_q == cfg_m_lo_last || m_q == cfg_m_hi_last;
  wire        half_next  = m_last ? cfg_half_first : half_q ^ half_turn;
  wire [12:0] word_base  = half_q ? cfg_half_words : 13'd0;
  wire [12:0] word_next  = half_next ? cfg_half_words : 13'd0;
  wire [12:0] word_first = cfg_half_first ? cfg_half_words : 13'd0;

  // A row of a single cycle is followed by one idle cycle: the next decision needs two.
  assign walk_run  = run_q;
  assign walk_last = run_q && (pad_q || (row_end && !fresh_q));

  wire [16:0] off_sum  = {1'b0, off_q} + {1'b0, cfg_row_words};
  wire [16:0] off_over = off_sum - {1'b0, cfg_ring_words};
  wire        rot_wrap = rot_q == PP_LAST[2:0];
  wire        rot_step = !cfg_stride2_w || par_q;
  wire [13:0] xs_start = 14'd0 - {7'd0, cfg_pad_left};
  wire [13:0] xs_group = g_xs_q + (cfg_stride2_w ? {PP_C[12:0], 1'b0} : PP_C[13:0]);
  wire [15:0] qoff_group = g_qoff_q + {3'd0, cfg_col_words};

  always @(posedge clk) begin
    if (run_q) begin
      fresh_q <= 1'b0;
      if (step) begin
        if (cfg_w_step) w_q <= w_q + 16'd1;
        if (!c_last) begin
          c_q    <= c_q + 13'd1;
          word_q <= word_q + 13'd1;
        end else begin
          c_q    <= 13'd0;
          word_q <= word_base;
          if (!kx_last) begin
            kx_q <= kx_q + 7'd1;
            xs_q <= xs_q + 14'd1;
            par_q <= cfg_stride2_w && !par_q;
            if (rot_step) begin
              rot_q <= rot_wrap ? 3'd0 : rot_q + 3'd1;
              if (rot_wrap) qoff_q <= qoff_q + {3'd0, cfg_col_words};
            end
          end else begin
            kx_q   <= 7'd0;
            xs_q   <= g_xs_q;
            par_q  <= cfg_par0;
            rot_q  <= cfg_rot0;
            qoff_q <= g_qoff_q;
            if (!ky_last) begin
              ky_q  <= ky_q + 7'd1;
              ri_q  <= ri_q + 13'd1;
              off_q <= off_over[16] ? off_sum[15:0] : off_over[15:0];
            end else begin
              ky_q  <= 7'd0;
              ri_q  <= top_ri_q;
              off_q <= top_off_q;
              if (cfg_slot_extra != 12'd0) wait_q <= 1'b1;
            end
          end
        end
      end
      if (wait_q) wait_cnt_q <= wait_cnt_q + 12'd1;
      if (slot_end) begin
        wait_q      <= 1'b0;
        wait_cnt_q  <= 12'd1;
        job_first_q <= 1'b0;
        half_q      <= half_next;
        word_q      <= word_next;
        if (!m_last) begin
          m_q <= m_q + 13'd1;
        end else begin
          m_q      <= 13'd0;
          w_q      <= cfg_w_base;
          g_q      <= g_q + 12'd1;
          xs_q     <= xs_group;
          g_xs_q   <= xs_group;
          qoff_q   <= qoff_group;
          g_qoff_q <= qoff_group;
        end
      end
      if (row_end) begin
        pad_q <= 1'b1;
      end
      if (walk_last) begin
        run_q <= 1'b0;
        pad_q <= 1'b0;
      end
    end
    if (row_go) begin
      run_q       <= 1'b1;
      pad_q       <= 1'b0;
      fresh_q     <= 1'b1;
      job_first_q <= row_first;
      wait_q      <= 1'b0;
      wait_cnt_q  <= 12'd1;
      c_q         <= 13'd0;
      word_q      <= word_first;
      half_q      <= cfg_half_first;
      kx_q        <= 7'd0;
      ky_q        <= 7'd0;
      m_q         <= 13'd0;
      g_q         <= 12'd0;
      top_off_q   <= row_off;
      off_q       <= row_off;
      top_ri_q    <= row_top;
      ri_q        <= row_top;
      rot_q       <= cfg_rot0;
      par_q       <= cfg_par0;
      qoff_q      <= cfg_qoff0;
      g_qoff_q    <= cfg_qoff0;
      xs_q        <= xs_start;
      g_xs_q      <= xs_start;
      w_q         <= cfg_w_base;
    end
    if (rst) begin
      run_q <= 1'b0;
      pad_q <= 1'b0;
    end
  end

  // Bank addresses of the step: bank b serves lane j = (b - rot) mod PP; lanes past the end of a group of PP
  // columns lie one column further.
  wire [12:0] word     = (PER_CHANNEL != 0) ? m_q : word_q;
  wire [15:0] addr     = cfg_base + off_q + qoff_q + (par_q ? cfg_parity_words : 16'd0) + {3'd0, word};
  wire [15:0] addr_far = addr + {3'd0, cfg_col_words};
  wire [3:0]  rot_sum  = {1'b0, rot_q} + (par_q ? HALF_C[3:0] : 4'd0);
  wire [3:0]  rot      = (rot_sum >= PP_C[3:0]) ? rot_sum - PP_C[3:0] : rot_sum;
  wire        row_ok   = !ri_q[12] && (ri_q < {1'b0, cfg_height});

  reg [15:0]  w_addr_q;
  reg [3:0]   rot_q2;
  reg         valid_q2;
  reg         first_q2;
  reg         slot_end_q2;
  reg         first_slot_q2;
  always @(posedge clk) begin
    w_addr_q      <= w_q;
    rot_q2        <= rot;
    valid_q2      <= step && !rst;
    first_q2      <= c_q == 13'd0 && kx_q == 7'd0 && ky_q == 7'd0;
    slot_end_q2   <= slot_end && !rst;
    first_slot_q2 <= job_first_q;
  end

  genvar gi;
  generate
    for (gi = 0; gi < PP; gi = gi + 1) begin : g_lane
      localparam [31:0] ID = gi;
      reg [15:0] addr_q;
      reg        ok_q;
      wire [3:0]  back = ID[3:0] - rot;
      wire [3:0]  lane = back[3] ? back + PP_C[3:0] : back;
      wire [4:0]  reach = {1'b0, lane} + {2'b00, rot_q};
      wire [13:0] x = xs_q + (cfg_stride2_w ? {ID[12:0], 1'b0} : ID[13:0]);
      always @(posedge clk) begin
        addr_q <= (reach >= PP_C[4:0]) ? addr_far : addr;
        ok_q   <= row_ok && !x[13] && (x < {2'b00, cfg_width});
      end
      assign m_addr[gi*16 +: 16] = addr_q;
      assign m_ok[gi]            = ok_q;
    end
  endgenerate

  assign m_w_addr     = w_addr_q;
  assign m_rot        = rot_q2;
  assign m_valid      = valid_q2;
  assign m_first      = first_q2;
  assign m_slot_end   = slot_end_q2;
  assign m_first_slot = first_slot_q2;
`ifdef FORMAL
  // The fields of a job are stable from row_go to walk_last and within their limits, and a row is started only when
  // none runs or in its last cycle. Then every counter and offset stays within its limit.
  reg f_init_q = 1'b1;
  always @(posedge clk) f_init_q <= 1'b0;
  always @* begin
    if (f_init_q) assume (rst);
    assume (!row_go || !run_q || walk_last);
    assume ({1'b0, cfg_rot0} < PP_C[3:0]);
    assume (cfg_row_words <= cfg_ring_words && row_off < cfg_ring_words);
    assume (cfg_slot_extra != 12'hfff);
    assume (cfg_half_words == 13'd0 || cfg_m_lo_last < cfg_m_hi_last);
  end
  always @(posedge clk) begin
    if (!f_init_q && run_q) begin
      assume (cfg_c_last == $past(cfg_c_last) && cfg_kx_last == $past(cfg_kx_last));
      assume (cfg_ky_last == $past(cfg_ky_last) && cfg_m_last == $past(cfg_m_last));
      assume (cfg_g_last == $past(cfg_g_last) && cfg_slot_extra == $past(cfg_slot_extra));
      assume (cfg_ring_words == $past(cfg_ring_words) && cfg_rot0 == $past(cfg_rot0));
      assume (cfg_half_words == $past(cfg_half_words) && cfg_half_first == $past(cfg_half_first));
      assume (cfg_m_lo_last == $past(cfg_m_lo_last) && cfg_m_hi_last == $past(cfg_m_hi_last));
      assume (cfg_w_base == $past(cfg_w_base) && cfg_w_step == $past(cfg_w_step));
    end
    if (!f_init_q) begin
      assert (run_q || !pad_q);
      if (walk_last) assert (run_q && !fresh_q && !$past(row_go));
      if (run_q) begin
        assert ((PER_CHANNEL != 0) ? c_q == 13'd0 : c_q <= cfg_c_last);
        assert (kx_q <= cfg_kx_last && ky_q <= cfg_ky_last && m_q <= cfg_m_last);
        assert (pad_q || g_q <= cfg_g_last);
        if (cfg_half_words != 13'd0) begin
          assert (half_q == (cfg_half_first ^ (m_q > cfg_m_lo_last && m_q <= cfg_m_hi_last)));
        end
        if (PER_CHANNEL == 0) assert (word_q == c_q + (half_q ? cfg_half_words : 13'd0));
        assert ({1'b0, rot_q} < PP_C[3:0]);
        assert (off_q < cfg_ring_words && top_off_q < cfg_ring_words);
        assert (wait_cnt_q != 12'd0);
        if (wait_q) begin
          assert (wait_cnt_q <= cfg_slot_extra);
          assert (c_q == 13'd0 && kx_q == 7'd0 && ky_q == 7'd0);
        end else begin
          assert (wait_cnt_q == 12'd1);
        end
        if (!cfg_w_step) assert (w_q == cfg_w_base);
        if (!wait_q && c_q == 13'd0 && kx_q == 7'd0 && ky_q == 7'd0 && m_q == 13'd0) begin
          assert (w_q == cfg_w_base);
        end
        if (kx_q == 7'd0) assert (xs_q == g_xs_q && rot_q == cfg_rot0 && qoff_q == g_qoff_q);
        if (ky_q == 7'd0) assert (off_q == top_off_q && ri_q == top_ri_q);
      end
    end
  end
`endif
endmodule
`default_nettype wire
