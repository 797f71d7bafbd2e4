// SPDX-License-Identifier: Apache-2.0
// nba_slices: counts rows of a job that computes a frame slice after slice, and says where in it the next one is
// (docs/template.md, slices). A row_pulse in cycle t moves the flags, which are registers, in t+1.
// ROWS 1..4095 rows of a slice; SLICES 1..255 of a frame. With one slice there are no registers; stat_first and
// stat_last are 1, stat_end is 0.
// stat_first, stat_last: the next row is of the first, of the last slice of its frame; stat_end: the last of its slice.
// Reset: the first row of the first slice.
`default_nettype none
module nba_slices #(
  parameter integer ROWS   = 4,
  parameter integer SLICES = 2
) (
  input  wire clk,
  input  wire rst,
  input  wire row_pulse,
  output wire stat_first,
  output wire stat_last,
  output wire stat_end
);
  generate
    if (SLICES > 1) begin : g_count
      localparam [31:0]  ROW_LAST   = ROWS - 1;
      localparam [31:0]  SLICE_LAST = SLICES - 1;
      localparam integer ROW_W      = (ROWS > 1) ? $clog2(ROWS) : 1;
      localparam integer SLICE_W    = $clog2(SLICES);
      reg [ROW_W-1:0]   row_q;
      reg [SLICE_W-1:0] slice_q;
      reg               first_q;
      reg               last_q;
      reg               end_q;
      wire [ROW_W-1:0]   row_next   = end_q ? {ROW_W{1'b0}} : row_q + 1'b1;
      wire [SLICE_W-1:0] slice_next = last_q ? {SLICE_W{1'b0}} : slice_q + 1'b1;
      always @(posedge clk) begin
        if (row_pulse) begin
          row_q <= row_next;
          end_q <= row_next == ROW_LAST[ROW_W-1:0];
          if (end_q) begin
            slice_q <= slice_next;
            first_q <= last_q;
            last_q  <= slice_next == SLICE_LAST[SLICE_W-1:0];
          end
        end
        if (rst) begin
          row_q   <= {ROW_W{1'b0}};
          slice_q <= {SLICE_W{1'b0}};
          first_q <= 1'b1;
          last_q  <= 1'b0;
          end_q   <= ROWS == 1;
        end
      end
      assign stat_first = first_q;
      assign stat_last  = last_q;
      assign stat_end   = end_q;
`ifdef FORMAL
      reg f_init_q = 1'b1;
      always @(posedge clk) f_init_q <= 1'b0;
      always @* begin
        if (f_init_q) assume (rst);
        if (!f_init_q) begin
          assert (row_q <= ROW_LAST[ROW_W-1:0] && slice_q <= SLICE_LAST[SLICE_W-1:0]);
          assert (first_q == (slice_q == {SLICE_W{1'b0}}) && last_q == (slice_q == SLICE_LAST[SLICE_W-1:0]));
          assert (end_q == (row_q == ROW_LAST[ROW_W-1:0]));
        end
      end
`endif
    end else begin : g_one
      wire unused = &{1'b0, clk, rst, row_pulse};
      assign stat_first = 1'b1;
      assign stat_last  = 1'b1;
      assign stat_end   = 1'b0;
    end
  endgenerate
endmodule
`default_nettype wire
