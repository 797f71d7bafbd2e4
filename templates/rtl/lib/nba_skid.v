// SPDX-License-Identifier: Apache-2.0
// nba_skid: a stream register that cuts every path between its sides; nothing is lost or reordered.
// Latency 1 cycle, throughput 1 word per cycle; m_valid, m_data and s_ready are registers.
// W: width of the word [bits], 1 or more.
// Packing: none, the word is opaque.
// Reset: both sides go idle (s_ready low in reset, high one cycle later); words inside are dropped.
`default_nettype none

module nba_skid #(
  parameter integer W = 8
) (
  input  wire         clk,
  input  wire         rst,
  input  wire [W-1:0] s_data,
  input  wire         s_valid,
  output wire         s_ready,
  output wire [W-1:0] m_data,
  output wire         m_valid,
  input  wire         m_ready
);

  // The output register, and the buffer that takes the one word that arrives while the output is
  // stalled and s_ready cannot fall in time.
  reg [W-1:0] m_data_q;
  reg [W-1:0] buf_data_q;
  reg         m_valid_q;
  reg         buf_valid_q;
  reg         s_ready_q;

  wire s_fire      = s_valid && s_ready_q;
  wire m_free      = !m_valid_q || m_ready;
  wire m_valid_d   = !m_free || buf_valid_q || s_fire;
  wire buf_valid_d = !m_free && (buf_valid_q || s_fire);

  always @(posedge clk) begin
    if (m_free) m_data_q <= buf_valid_q ? buf_data_q : s_data;
    if (s_fire) buf_data_q <= s_data;
  end

  always @(posedge clk) begin
    m_valid_q   <= m_valid_d;
    buf_valid_q <= buf_valid_d;
    s_ready_q   <= !buf_valid_d;
    if (rst) begin
      m_valid_q   <= 1'b0;
      buf_valid_q <= 1'b0;
      s_ready_q   <= 1'b0;
    end
  end

  assign s_ready = s_ready_q;
  assign m_data  = m_data_q;
  assign m_valid = m_valid_q;

`ifdef FORMAL
  // A word marked at the input must leave unchanged, after exactly the words that were inside.
  (* anyseq *) wire f_mark;
  reg         f_past_q = 1'b0;
  reg         f_track_q = 1'b0;
  reg [1:0]   f_ahead_q;
  reg [W-1:0] f_data_q;
  wire        f_m_fire = m_valid_q && m_ready;
  wire [1:0]  f_inside = {1'b0, m_valid_q} + {1'b0, buf_valid_q};

  always @(posedge clk) begin
    f_past_q <= 1'b1;
    if (s_fire && f_mark && !f_track_q) begin
      f_track_q <= 1'b1;
      f_data_q  <= s_data;
      f_ahead_q <= f_inside - {1'b0, f_m_fire};
    end else if (f_track_q && f_m_fire) begin
      f_track_q <= f_ahead_q != 2'd0;
      f_ahead_q <= f_ahead_q - 2'd1;
    end
    if (rst) f_track_q <= 1'b0;
  end

  always @* if (!f_past_q) assume (rst);

  always @(posedge clk) if (f_past_q) begin
    assert (m_valid_q || !buf_valid_q);
    assert (!(s_ready_q && buf_valid_q));
    if (!$past(rst)) begin
      assert (s_ready_q == !buf_valid_q);
      if ($past(m_valid_q && !m_ready)) begin
        assert (m_valid_q);
        assert (m_data_q == $past(m_data_q));
      end
      assert (f_inside == $past(f_inside) + {1'b0, $past(s_fire)} - {1'b0, $past(f_m_fire)});
    end
    if (f_track_q) begin
      assert (f_ahead_q < f_inside);
      assert (f_data_q == ((f_ahead_q == 2'd0) ? m_data_q : buf_data_q));
    end
  end
`endif

endmodule

`default_nettype wire
