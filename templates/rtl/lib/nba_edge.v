// SPDX-License-Identifier: Apache-2.0
// nba_edge: the buffer between one producer and one consumer: BANKS banks, one write port, one read port,
// and the row tokens of its N_RINGS rings (docs/template.md). Reads take two cycles; one write per cycle.
// BANKS 1..16; LANES codes per word; WLANES codes per write (divides LANES); C_BITS: code [bits]
// (8, 16); DEPTH [words per bank]; N_RINGS 1..63; BLOCK of nba_ram.
// Tables hold 16 bits per ring, ring 0 low, see nba_ring.
// SHARE: 1 + the ring that has a ring's memory before it, 0 where it has memory of its own; BASE is then the same for all
// that share it. After reset it is the turn of the first of them, which waits for one of a later number, or for itself.
// Ring numbers are 6 bits; a number that names no ring selects nothing. Word: lane 0 in the low bits.
// Reset clears the tokens, not the data.
`default_nettype none
module nba_edge #(
  parameter integer BANKS   = 2,
  parameter integer LANES   = 4,
  parameter integer WLANES  = 2,
  parameter integer C_BITS  = 8,
  parameter integer DEPTH   = 16,
  parameter integer N_RINGS = 1,
  parameter integer BLOCK   = 0,
  parameter [N_RINGS*16-1:0] ROWS       = {N_RINGS{16'd2}},
  parameter [N_RINGS*16-1:0] ROW_WORDS  = {N_RINGS{16'd1}},
  parameter [N_RINGS*16-1:0] RING_WORDS = {N_RINGS{16'd2}},
  parameter [N_RINGS*16-1:0] BASE       = {N_RINGS{16'd0}},
  parameter [N_RINGS*16-1:0] INIT_WORDS = {N_RINGS{16'd0}},
  parameter [N_RINGS*16-1:0] STEP_WORDS = {N_RINGS{16'd1}},
  parameter [N_RINGS*16-1:0] LAST_WORDS = {N_RINGS{16'd1}},
  parameter [N_RINGS*16-1:0] HEIGHT     = {N_RINGS{16'd4095}},
  parameter [N_RINGS*16-1:0] MAP        = {N_RINGS{16'd1}},
  parameter [N_RINGS*16-1:0] W_SLICES   = {N_RINGS{16'd1}},
  parameter [N_RINGS*16-1:0] W_BACK     = {N_RINGS{16'd0}},
  parameter [N_RINGS*16-1:0] W_LAST     = {N_RINGS{16'd0}},
  parameter [N_RINGS*16-1:0] R_SLICES   = {N_RINGS{16'd1}},
  parameter [N_RINGS*16-1:0] R_ROWS     = {N_RINGS{16'd1}},
  parameter [N_RINGS*16-1:0] R_BACK     = {N_RINGS{16'd0}},
  parameter [N_RINGS*16-1:0] R_COUNT    = {N_RINGS{16'd0}},
  parameter [N_RINGS*16-1:0] SHARE      = {N_RINGS{16'd0}}
) (
  input  wire                      clk,
  input  wire                      rst,
  // producer, at decision time
  input  wire [5:0]                p_ring,
  input  wire                      p_start_pulse,
  output wire                      p_free,
  // producer, at writing time
  input  wire [5:0]                w_ring,
  input  wire                      w_next_pulse,
  output wire [15:0]               w_row_addr,
  input  wire                      w_done_pulse,
  input  wire [5:0]                w_done_ring,
  input  wire [BANKS-1:0]          w_en,
  input  wire [LANES/WLANES-1:0]   w_sub,
  input  wire [BANKS*16-1:0]       w_addr,
  input  wire [BANKS*WLANES*C_BITS-1:0] w_data,
  // consumer, at decision time
  input  wire [5:0]                c_ring,
  input  wire [15:0]               c_need,
  output wire                      c_avail,
  input  wire                      c_hold_pulse,
  input  wire [15:0]               c_hold_rows,
  // consumer, at reading time
  input  wire [5:0]                r_ring,
  input  wire                      r_next_pulse,
  input  wire                      r_next_last,
  output wire [15:0]               r_row_off,
  output wire [15:0]               r_row_addr,
  input  wire                      r_release_pulse,
  input  wire [5:0]                r_release_ring,
  input  wire [15:0]               r_release_rows,
  input  wire [BANKS*16-1:0]       r_addr,
  output wire [BANKS*LANES*C_BITS-1:0]  r_data
);
  localparam integer SUBS = LANES / WLANES;

  wire [N_RINGS-1:0]    free;
  wire [N_RINGS-1:0]    avail;
  wire [N_RINGS-1:0]    give;
  wire [N_RINGS*16-1:0] w_row;
  wire [N_RINGS*16-1:0] r_off;
  wire [N_RINGS*16-1:0] r_row;
  wire [N_RINGS-1:0]    p_hit;
  wire [N_RINGS-1:0]    w_hit;
  wire [N_RINGS-1:0]    c_hit;
  wire [N_RINGS-1:0]    r_hit;

  genvar gi;
  generate
    for (gi = 0; gi < N_RINGS; gi = gi + 1) begin : g_ring
      localparam [31:0]  ID    = gi;
      localparam [15:0]  FROM  = SHARE[gi*16 +: 16];
      localparam integer GIVER = (FROM == 16'd0) ? gi : {16'd0, FROM} - 1;
      assign p_hit[gi] = p_ring == ID[5:0];
      assign w_hit[gi] = w_ring == ID[5:0];
      assign c_hit[gi] = c_ring == ID[5:0];
      assign r_hit[gi] = r_ring == ID[5:0];
      nba_ring #(
        .ROWS      ({16'd0, ROWS[gi*16 +: 16]}),
        .ROW_WORDS ({16'd0, ROW_WORDS[gi*16 +: 16]}),
        .RING_WORDS({16'd0, RING_WORDS[gi*16 +: 16]}),
        .BASE      ({16'd0, BASE[gi*16 +: 16]}),
        .INIT_WORDS({16'd0, INIT_WORDS[gi*16 +: 16]}),
        .STEP_WORDS({16'd0, STEP_WORDS[gi*16 +: 16]}),
        .LAST_WORDS({16'd0, LAST_WORDS[gi*16 +: 16]}),
        .HEIGHT    ({16'd0, HEIGHT[gi*16 +: 16]}),
        .MAP       ({16'd0, MAP[gi*16 +: 16]}),
        .W_SLICES  ({16'd0, W_SLICES[gi*16 +: 16]}),
        .W_BACK    ({16'd0, W_BACK[gi*16 +: 16]}),
        .W_LAST    ({16'd0, W_LAST[gi*16 +: 16]}),
        .R_SLICES  ({16'd0, R_SLICES[gi*16 +: 16]}),
        .R_ROWS    ({16'd0, R_ROWS[gi*16 +: 16]}),
        .R_BACK    ({16'd0, R_BACK[gi*16 +: 16]}),
        .R_COUNT   ({16'd0, R_COUNT[gi*16 +: 16]}),
        .SHARED    (FROM != 16'd0 ? 1 : 0),
        .OWNS      (GIVER >= gi ? 1 : 0)
      ) u_ring (
        .clk          (clk),
        .rst          (rst),
        .start_pulse  (p_start_pulse && p_hit[gi]),
        .stat_free    (free[gi]),
        .wnext_pulse  (w_next_pulse && w_hit[gi]),
        .w_row_addr   (w_row[gi*16 +: 16]),
        .done_pulse   (w_done_pulse && w_done_ring == ID[5:0]),
        .need         (c_need),
        .stat_avail   (avail[gi]),
        .hold_pulse   (c_hold_pulse && c_hit[gi]),
        .hold_rows    (c_hold_rows),
        .rnext_pulse  (r_next_pulse && r_hit[gi]),
        .rnext_last   (r_next_last),
        .r_row_off    (r_off[gi*16 +: 16]),
        .r_row_addr   (r_row[gi*16 +: 16]),
        .release_pulse(r_release_pulse && r_release_ring == ID[5:0]),
        .release_rows (r_release_rows),
        .take_pulse   (give[GIVER]),
        .give_pulse   (give[gi])
      );
    end
    for (gi = 0; gi < BANKS; gi = gi + 1) begin : g_bank
      nba_ram #(
        .WIDTH(LANES * C_BITS),
        .DEPTH(DEPTH),
        .AW   (16),
        .SUB_W(WLANES * C_BITS),
        .BLOCK(BLOCK),
        .OUT_REG(1)
      ) u_ram (
        .clk   (clk),
        .w_en  (w_sub & {SUBS{w_en[gi]}}),
        .w_addr(w_addr[gi*16 +: 16]),
        .w_data({SUBS{w_data[gi*WLANES*C_BITS +: WLANES*C_BITS]}}),
        .r_addr(r_addr[gi*16 +: 16]),
        .r_data(r_data[gi*LANES*C_BITS +: LANES*C_BITS])
      );
    end
  endgenerate

  // One-hot AND-OR selection of the addressed ring.
  integer i;
  reg [15:0] w_row_sel;
  reg [15:0] r_off_sel;
  reg [15:0] r_row_sel;
  always @* begin
    w_row_sel = 16'd0;
    r_off_sel = 16'd0;
    r_row_sel = 16'd0;
    for (i = 0; i < N_RINGS; i = i + 1) begin
      w_row_sel = w_row_sel | (w_row[i*16 +: 16] & {16{w_hit[i]}});
      r_off_sel = r_off_sel | (r_off[i*16 +: 16] & {16{r_hit[i]}});
      r_row_sel = r_row_sel | (r_row[i*16 +: 16] & {16{r_hit[i]}});
    end
  end

  assign p_free     = |(free & p_hit);
  assign c_avail    = |(avail & c_hit);
  assign w_row_addr = w_row_sel;
  assign r_row_off  = r_off_sel;
  assign r_row_addr = r_row_sel;

`ifdef FORMAL
  // One ring at most of those that share memory, which have the same base, has it: that it turns to, or that holds rows.
  // A ring gives on only what it has, and starts a frame only with its turn (nba_ring).
  reg               f_init_q = 1'b1;
  reg [N_RINGS-1:0] f_has_q;
  always @(posedge clk) f_init_q <= 1'b0;
  always @* if (f_init_q) assume (rst);
  genvar gj;
  generate
    for (gi = 0; gi < N_RINGS; gi = gi + 1) begin : g_has
      localparam [15:0]  FROM  = SHARE[gi*16 +: 16];
      localparam integer GIVER = (FROM == 16'd0) ? gi : {16'd0, FROM} - 1;
      always @(posedge clk) f_has_q[gi] <= (FROM != 16'd0) && (rst ? GIVER >= gi : give[GIVER] || (f_has_q[gi] && !give[gi]));
      always @* if (!f_init_q) assume (!give[gi] || f_has_q[gi]);
      for (gj = 0; gj < gi; gj = gj + 1) begin : g_one
        if (BASE[gi*16 +: 16] == BASE[gj*16 +: 16] && SHARE[gj*16 +: 16] != 16'd0) begin : g_pair
          always @* if (!f_init_q) assert (!(f_has_q[gi] && f_has_q[gj]));
        end
      end
    end
  endgenerate
`endif
endmodule
`default_nettype wire
