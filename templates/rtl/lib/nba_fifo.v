// SPDX-License-Identifier: Apache-2.0
// nba_fifo: a synchronous first-word-fall-through FIFO; nothing is lost or reordered.
// Latency 1 cycle from write to m_valid, throughput 1 word per cycle at every fill level.
// s_ready, m_valid and count are registers; m_data comes from distributed memory in the same cycle.
// W: width of the word [bits], 1 or more. DEPTH: words, 2 or more, any number.
// count: words held, 0..DEPTH, $clog2(DEPTH + 1) bits.
// Packing: none, the word is opaque.
// Reset: empty (s_ready low in reset, high one cycle later); words inside are dropped.
`default_nettype none

module nba_fifo #(
  parameter integer W     = 8,
  parameter integer DEPTH = 4
) (
  input  wire                       clk,
  input  wire                       rst,
  input  wire [W-1:0]               s_data,
  input  wire                       s_valid,
  output wire                       s_ready,
  output wire [W-1:0]               m_data,
  output wire                       m_valid,
  input  wire                       m_ready,
  output wire [$clog2(DEPTH+1)-1:0] count
);

  localparam integer PTR_W = (DEPTH > 1) ? $clog2(DEPTH) : 1;
  localparam integer CNT_W = $clog2(DEPTH + 1);
  localparam [31:0]  LAST  = DEPTH - 1;
  localparam [31:0]  FULL  = DEPTH;

  (* ram_style = "distributed" *) reg [W-1:0] fifo_mem [0:DEPTH-1];

  reg [PTR_W-1:0] w_ptr_q;
  reg [PTR_W-1:0] r_ptr_q;
  reg [CNT_W-1:0] count_q;
  reg             s_ready_q;
  reg             m_valid_q;
  reg [CNT_W-1:0] count_d;

  wire s_fire = s_valid && s_ready_q;
  wire m_fire = m_valid_q && m_ready;

  always @* begin
    count_d = count_q;
    if (s_fire && !m_fire) count_d = count_q + 1'b1;
    if (m_fire && !s_fire) count_d = count_q - 1'b1;
  end

  always @(posedge clk) begin
    if (s_fire) fifo_mem[w_ptr_q] <= s_data;
  end

  always @(posedge clk) begin
    count_q   <= count_d;
    s_ready_q <= count_d != FULL[CNT_W-1:0];
    m_valid_q <= count_d != {CNT_W{1'b0}};
    if (s_fire) w_ptr_q <= (w_ptr_q == LAST[PTR_W-1:0]) ? {PTR_W{1'b0}} : w_ptr_q + 1'b1;
    if (m_fire) r_ptr_q <= (r_ptr_q == LAST[PTR_W-1:0]) ? {PTR_W{1'b0}} : r_ptr_q + 1'b1;
    if (rst) begin
      count_q   <= {CNT_W{1'b0}};
      s_ready_q <= 1'b0;
      m_valid_q <= 1'b0;
      w_ptr_q   <= {PTR_W{1'b0}};
      r_ptr_q   <= {PTR_W{1'b0}};
    end
  end

  assign s_ready = s_ready_q;
  assign m_valid = m_valid_q;
  assign m_data  = fifo_mem[r_ptr_q];
  assign count   = count_q;

`ifdef FORMAL
  // A word marked at the input stays in its place until the words ahead of it are gone.
  (* anyseq *) wire f_mark;
  reg             f_past_q = 1'b0;
  reg             f_track_q = 1'b0;
  reg [PTR_W-1:0] f_place_q;
  reg [CNT_W-1:0] f_ahead_q;
  reg [W-1:0]     f_data_q;
  wire [31:0]     f_sum   = r_ptr_q + count_q;
  wire [31:0]     f_w_ptr = (f_sum >= DEPTH) ? f_sum - DEPTH : f_sum;
  wire [31:0]     f_pos   = r_ptr_q + f_ahead_q;
  wire [31:0]     f_wrap  = (f_pos >= DEPTH) ? f_pos - DEPTH : f_pos;

  always @(posedge clk) begin
    f_past_q <= 1'b1;
    if (s_fire && f_mark && !f_track_q) begin
      f_track_q <= 1'b1;
      f_data_q  <= s_data;
      f_place_q <= w_ptr_q;
      f_ahead_q <= m_fire ? count_q - 1'b1 : count_q;
    end else if (f_track_q && m_fire) begin
      f_track_q <= f_ahead_q != {CNT_W{1'b0}};
      f_ahead_q <= f_ahead_q - 1'b1;
    end
    if (rst) f_track_q <= 1'b0;
  end

  always @* if (!f_past_q) assume (rst);

  always @(posedge clk) if (f_past_q) begin
    assert (count_q <= FULL[CNT_W-1:0]);
    assert (w_ptr_q <= LAST[PTR_W-1:0]);
    assert (r_ptr_q <= LAST[PTR_W-1:0]);
    assert (m_valid_q == (count_q != {CNT_W{1'b0}}));
    assert (w_ptr_q == f_w_ptr[PTR_W-1:0]);
    assert (!(s_ready_q && count_q == FULL[CNT_W-1:0]));
    if (!$past(rst)) begin
      assert (s_ready_q == (count_q != FULL[CNT_W-1:0]));
      assert (count_q == $past(count_q) + $past(s_fire) - $past(m_fire));
      if ($past(m_valid_q && !m_ready)) begin
        assert (m_valid_q);
        assert (m_data == $past(m_data));
      end
    end
    if (f_track_q) begin
      assert (f_ahead_q < count_q);
      assert (f_place_q == f_wrap[PTR_W-1:0]);
      assert (fifo_mem[f_place_q] == f_data_q);
    end
  end
`endif

endmodule

`default_nettype wire
