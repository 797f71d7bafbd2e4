// SPDX-License-Identifier: Apache-2.0
// nba_operands: the operands of every step: words of the input edge, rotated, padded and nested; stored weights,
// nested (docs/template.md, pipeline rows i+2 to i+7).
// Latency 7 cycles from a step's fields (i), 5 from its addresses (i+2), to its operands (i+7); src_data answers in i+4.
// SPREAD: 1 in an engine that mixes channels, of a design that packs columns: it takes one cycle more, in which the
// operands of a step's columns are packed (nba_spread).
// One step per cycle; no stall. A job may change while its last steps are under way: each step carries its fields.
// PER_CHANNEL: 1 if an output channel sees its own input channel alone (PN = 1). PM, PN, PP, BANKS, DEGREE as nba_chunk.
// C_BITS 8, 16; A_BITS, W_BITS, W_STORE 2..8, 16; *_NEST: 1 if any job drops bits. N_SRC 1..15 input edges.
// HAS_MAX: 1 if any job takes the largest product of a window. W_DEPTH: words of WEIGHT_FILE; W_BLOCK: as nba_store.
// Weight word: weight (m, n) at (m*PN+n)*W_STORE. PACK: 1 for weights one cycle before the activations, as nba_pair takes
// them. PAD_DEPTH: words of PAD_FILE, pad codes per channel; 0: no job has them (nba_pads: PAD_BLOCK, PAD_TABLE, N_JOBS).
// SLOT_WORDS: of the longest slice whose weights come from external memory (nba_store: BUS, SLOTS); 0: those of all jobs
// are always there. ext_*, store_*: of the store; store_done in the last cycle e of the last row of a slice; its room is
// free from e+6 on. A chunk with them nests no weights that it also reads early (PACK, BANKS = PP), nor any whose words
// are half a beat or less: these lie side by side in rows, of the memory and of WEIGHT_FILE, the first in the low bits.
// Packing of m_a and m_w: as nba_align (DEGREE > 1: nba_spread) and nba_wnest. Reset: no step is under way.
`default_nettype none
module nba_operands #(
  parameter integer PER_CHANNEL = 0,
  parameter integer PM          = 2,
  parameter integer PN          = 2,
  parameter integer PP          = 1,
  parameter integer BANKS       = 1,
  parameter integer DEGREE      = 1,
  parameter integer SPREAD      = (PER_CHANNEL == 0 && BANKS > PP) ? 1 : 0,
  parameter integer C_BITS      = 8,
  parameter integer A_BITS      = 8,
  parameter integer A_NEST      = 0,
  parameter integer W_BITS      = 8,
  parameter integer W_STORE     = 8,
  parameter integer W_NEST      = 0,
  parameter integer N_SRC       = 1,
  parameter integer PACK        = 0,
  parameter integer HAS_MAX     = 0,
  parameter integer W_DEPTH     = 4,
  parameter integer W_BLOCK     = 0,
  parameter         WEIGHT_FILE = "weights.mem",
  parameter integer SLOT_WORDS  = 0,
  parameter integer SLOTS       = 2,
  parameter integer BUS         = 32,
  parameter integer N_JOBS      = 1,
  parameter integer PAD_DEPTH   = 0,
  parameter integer PAD_BLOCK   = 0,
  parameter [N_JOBS*17-1:0] PAD_TABLE = {N_JOBS{17'd0}},
  parameter         PAD_FILE    = "pads.mem"
) (
  input  wire              clk,
  input  wire              rst,
  // i
  input  wire [3:0]        cfg_sel,
  input  wire [C_BITS-1:0] cfg_pad,
  input  wire              cfg_signed,
  input  wire [3:0]        cfg_a_shift,
  input  wire [3:0]        cfg_w_shift,
  input  wire [4:0]        cfg_w_bits,
  input  wire              cfg_max,
  input  wire [1:0]        cfg_degree,
  input  wire [7:0]        job,
  input  wire [12:0]       s_word,
  input  wire              cfg_stream,
  // weights from external memory
  input  wire              ext_take_pulse,
  output wire              ext_free,
  input  wire              ext_valid,
  input  wire [BUS-1:0]    ext_data,
  input  wire              ext_last,
  output wire              store_avail,
  input  wire              store_hold_pulse,
  input  wire              store_done_pulse,
  // i+2
  input  wire              s_valid,
  input  wire              s_first,
  input  wire [15:0]       s_w_addr,
  input  wire [BANKS-1:0]  s_ok,
  input  wire [3:0]        s_rot,
  // i+4
  input  wire [N_SRC*BANKS*((PER_CHANNEL != 0) ? PM : PN)*C_BITS-1:0] src_data,
  // i+7 (packed: i+8)
  output wire              m_valid,
  output wire              m_first,
  output wire              m_max,
  output wire [1:0]        m_degree,
  output wire [PP*((PER_CHANNEL != 0) ? PM : PN)*((DEGREE == 1) ? A_BITS+1 : (DEGREE == 2) ? 13 : 15)-1:0] m_a,
  output wire [PM*PN*W_BITS-1:0] m_w
);
  // Words of so many bits in a row of a store: a power of two, so that the row is a beat at most.
  function [31:0] per_row;
    input [31:0] width;
    reg [31:0] i;
    begin
      per_row = 32'd1;
      for (i = 32'd0; i < 32'd9; i = i + 32'd1) begin
        if (2 * per_row * width <= BUS) per_row = 2 * per_row;
      end
    end
  endfunction

  localparam integer LANES  = (PER_CHANNEL != 0) ? PM : PN;
  localparam integer WORD_W = BANKS * LANES * C_BITS;
  localparam integer STAGES = 5 + SPREAD;
  localparam integer EARLY  = (PACK != 0 && SPREAD == 0) ? 1 : 0;
  localparam integer N_W    = PM * PN;

  integer i;

  localparam integer A_W = C_BITS + 5;

  // Fields and flags of a step wait for its words: those of the source until i+4, those of the weights until i+5 (EARLY: i+4).
  reg [4*4-1:0]   sel_q;
  reg [4*A_W-1:0] nest_a_q;
  reg [5*9-1:0]   nest_w_q;
  reg [2*BANKS-1:0] ok_q;
  reg [2*4-1:0]   rot_q;
  reg [STAGES-1:0] valid_q;
  reg [STAGES-1:0] first_q;
  always @(posedge clk) begin
    sel_q    <= {sel_q[11:0], cfg_sel};
    nest_a_q <= {nest_a_q[3*A_W-1:0], cfg_pad, cfg_signed, cfg_a_shift};
    nest_w_q <= {nest_w_q[35:0], cfg_w_bits, cfg_w_shift};
    ok_q     <= {ok_q[BANKS-1:0], s_ok};
    rot_q    <= {rot_q[3:0], s_rot};
    valid_q  <= {valid_q[STAGES-2:0], s_valid};
    first_q  <= {first_q[STAGES-2:0], s_first};
    // The last stages are reset, so that a delay line is no memory cell to its end: the output of that would be late.
    if (rst) begin
      valid_q           <= {STAGES{1'b0}};
      first_q[STAGES-1] <= 1'b0;
      sel_q[15:12]      <= 4'd0;
      nest_a_q[4*A_W-1:2*A_W] <= {(2*A_W){1'b0}};
      nest_w_q[44:27]   <= 18'd0;
    end
  end
  wire [3:0]     sel    = sel_q[15:12];
  wire [A_W-1:0] nest_a = nest_a_q[3*A_W +: A_W];
  wire [8:0]     nest_w = (EARLY != 0) ? nest_w_q[35:27] : nest_w_q[44:36];
  assign m_valid = valid_q[STAGES-1];
  assign m_first = first_q[STAGES-1];
  generate
    if (HAS_MAX != 0) begin : g_max
      reg [STAGES+1:0] max_q;
      always @(posedge clk) begin
        max_q <= {max_q[STAGES:0], cfg_max};
        if (rst) max_q[STAGES+1] <= 1'b0;
      end
      assign m_max = max_q[STAGES+1];
    end else begin : g_no_max
      wire unused = &{1'b0, cfg_max};
      assign m_max = 1'b0;
    end
  endgenerate

  reg [WORD_W-1:0] src_word;
  always @* begin
    src_word = {WORD_W{1'b0}};
    for (i = 0; i < N_SRC; i = i + 1) begin
      if (sel == i[3:0]) src_word = src_data[i*WORD_W +: WORD_W];
    end
  end

  localparam integer PADS   = (PAD_DEPTH != 0) ? 1 : 0;
  localparam integer N_PADS = (PADS != 0) ? LANES : 1;
  wire [N_PADS*C_BITS-1:0] pads;
  generate
    if (PADS != 0) begin : g_pads
      nba_pads #(
        .LANES (LANES),
        .C_BITS(C_BITS),
        .N_JOBS(N_JOBS),
        .DEPTH (PAD_DEPTH),
        .BLOCK (PAD_BLOCK),
        .TABLE (PAD_TABLE),
        .FILE  (PAD_FILE)
      ) u_pads (
        .clk   (clk),
        .job   (job),
        .s_word(s_word),
        .s_pad (nest_a[A_W-1:5]),
        .m_pads(pads)
      );
    end else begin : g_one_pad
      wire unused = &{1'b0, job, s_word};
      assign pads = nest_a[A_W-1:5];
    end
  endgenerate

  localparam integer COLUMNS = PP * DEGREE;
  wire [COLUMNS*LANES*(A_BITS+1)-1:0] columns;
  nba_align #(
    .BANKS  (BANKS),
    .COLUMNS(COLUMNS),
    .LANES  (LANES),
    .C_BITS (C_BITS),
    .A_BITS (A_BITS),
    .NEST   (A_NEST),
    .PADS   (PADS)
  ) u_align (
    .clk     (clk),
    .s_data  (src_word),
    .s_rot   (rot_q[7:4]),
    .s_ok    (ok_q[BANKS +: BANKS]),
    .s_pad   (pads),
    .s_signed(nest_a[4]),
    .s_shift (nest_a[3:0]),
    .m_data  (columns)
  );
  generate
    if (DEGREE != 1) begin : g_spread
      reg [13:0] degree_q;
      reg [1:0]  degree_q8;
      always @(posedge clk) begin
        degree_q  <= {degree_q[11:0], cfg_degree};
        degree_q8 <= degree_q[13:12];
        if (rst) degree_q[13:12] <= 2'd0;
      end
      nba_spread #(
        .PP     (PP),
        .DEGREE (DEGREE),
        .LANES  (LANES),
        .OP_BITS(A_BITS + 1)
      ) u_spread (
        .clk     (clk),
        .s_degree(degree_q[13:12]),
        .s_data  (columns),
        .m_data  (m_a)
      );
      assign m_degree = degree_q8;
    end else begin : g_single
      wire unused = &{1'b0, cfg_degree};
      assign m_degree = 2'd0;
      if (SPREAD != 0) begin : g_later
        reg [COLUMNS*LANES*(A_BITS+1)-1:0] columns_q;
        always @(posedge clk) columns_q <= columns;
        assign m_a = columns_q;
      end else begin : g_now
        assign m_a = columns;
      end
    end
  endgenerate

  // Weights that are not nested are read the two cycles later that nesting takes.
  localparam integer W_WAIT = ((EARLY != 0) ? 0 : 1) + ((W_NEST != 0) ? 0 : 2);
  // A store has its own register for the address; the choice among the words of one of its rows takes another cycle.
  localparam integer PER    = (SLOT_WORDS != 0) ? per_row(N_W * W_STORE) : 1;
  localparam integer W_LATE = (SLOT_WORDS == 0) ? W_WAIT : (PER > 1) ? W_WAIT - 2 : W_WAIT - 1;
  wire [15:0]            w_addr;
  wire [N_W*W_STORE-1:0] w_word;
  generate
    if (W_LATE == 0) begin : g_at_once
      assign w_addr = s_w_addr;
    end else begin : g_late
      reg [16*W_LATE-1:0] w_addr_q;
      wire [16*W_LATE+15:0] w_addr_d = {w_addr_q, s_w_addr};
      always @(posedge clk) begin
        w_addr_q <= w_addr_d[16*W_LATE-1:0];
        if (rst) w_addr_q[16*W_LATE-1 -: 16] <= 16'd0;
      end
      assign w_addr = w_addr_d[16*W_LATE +: 16];
    end
    if (SLOT_WORDS != 0) begin : g_store
      // The flag of the job goes with the addresses; the store is told of the end of a slice behind the last of them.
      reg [W_LATE+1:0] stream_q;
      reg [3:0]        done_q;
      always @(posedge clk) begin
        stream_q <= {stream_q[W_LATE:0], cfg_stream};
        done_q   <= {done_q[2:0], store_done_pulse};
        if (rst) done_q <= 4'd0;
      end
      // Words that fill half of a beat at most lie side by side in rows.
      localparam integer SUB_W = (PER > 1) ? $clog2(PER) : 1;
      wire [PER*N_W*W_STORE-1:0] row;
      wire [15:0] row_addr;
      if (PER > 1) begin : g_side_by_side
        reg [3*SUB_W-1:0]     sub_q;
        reg [N_W*W_STORE-1:0] w_word_q;
        always @(posedge clk) begin
          sub_q    <= {sub_q[2*SUB_W-1:0], w_addr[SUB_W-1:0]};
          w_word_q <= row[sub_q[2*SUB_W +: SUB_W]*N_W*W_STORE +: N_W*W_STORE];
        end
        assign row_addr = {{SUB_W{1'b0}}, w_addr[15:SUB_W]};
        assign w_word   = w_word_q;
      end else begin : g_alone
        assign row_addr = w_addr;
        assign w_word   = row;
      end
      nba_store #(
        .WIDTH     (PER * N_W * W_STORE),
        .BUS       (BUS),
        .DEPTH     ((W_DEPTH + PER - 1) / PER),
        .SLOT_WORDS((SLOT_WORDS + PER - 1) / PER),
        .SLOTS     (SLOTS),
        .BLOCK     (W_BLOCK),
        .FILE      (WEIGHT_FILE)
      ) u_weights (
        .clk          (clk),
        .rst          (rst),
        .take_pulse   (ext_take_pulse),
        .stat_free    (ext_free),
        .s_valid      (ext_valid),
        .s_data       (ext_data),
        .s_last       (ext_last),
        .stat_avail   (store_avail),
        .hold_pulse   (store_hold_pulse),
        .release_pulse(done_q[3]),
        .next_pulse   (done_q[3]),
        .s_slot       (stream_q[W_LATE+1]),
        .s_addr       (row_addr),
        .m_word       (row)
      );
    end else begin : g_rom
      wire unused = &{1'b0, cfg_stream, ext_take_pulse, ext_valid, ext_data, ext_last, store_hold_pulse,
                      store_done_pulse};
      assign ext_free    = 1'b0;
      assign store_avail = 1'b0;
      nba_rom #(
        .WIDTH(N_W * W_STORE),
        .DEPTH(W_DEPTH),
        .AW   (16),
        .FILE (WEIGHT_FILE),
        .BLOCK(W_BLOCK),
        .OUT_REG(1)
      ) u_weights (
        .clk (clk),
        .addr(w_addr),
        .data(w_word)
      );
    end
  endgenerate

  generate
    if (W_NEST != 0) begin : g_nest
      wire unused = &{1'b0, nest_w_q};
      nba_wnest #(
        .N         (N_W),
        .STORE_BITS(W_STORE),
        .W_BITS    (W_BITS)
      ) u_wnest (
        .clk    (clk),
        .s_data (w_word),
        .s_shift(nest_w[3:0]),
        .s_bits (nest_w[8:4]),
        .m_data (m_w)
      );
    end else begin : g_as_stored
      wire unused = &{1'b0, nest_w, nest_w_q};
      assign m_w = w_word;
    end
  endgenerate
endmodule
`default_nettype wire
