// SPDX-License-Identifier: Apache-2.0
// nba_fetch: an AXI4 read master that executes a list of fetches, round after round, and hands the beats to the stores
// of the chunks (docs/template.md, weights from external memory).
// A start_pulse in cycle s is accepted while stat_busy is 0, and the first fetch is ready in s+4. A fetch is decided
// (take_pulse) in the first cycle t, from the one on in which it is ready, in which free of its target is 1. Its burst k
// is put in t+k and is on the bus (ARVALID) in t+k+1. The next fetch is ready in t + max(bursts, 4). One that its round
// skips (frame r - stage is none of the batch) takes 4 cycles: ready in c, the next one in c+4.
// Where ARREADY is not always 1: a cycle in which a burst is put, or a fetch decided, is one before which at most one
// burst was put and not accepted; the next fetch is ready in the cycle after the last put, in t+4 at the earliest.
// free is a register outside, valid again two cycles after take_pulse (nba_ring).
// A beat taken in cycle b is on m_* in b+1. stat_busy falls in the third cycle after the last beat or the last skipped
// fetch, and is RREADY. The beats of a burst are counted, RLAST is only compared: what is wrong sets stat_error.
// BUS [bits] 32..512, a power of two. ADDR_W [bits] 32..64. N_TARGETS 1..15. N_FETCHES 1..4096. MAX_STAGE [rounds]
// 0..255. BURST [beats] 1..256, a power of two, BURST*BUS/8 <= 4096: a whole burst. N_OPEN [fetches] 2..128: so many may
// wait for data behind the one whose data comes; no limit if at least the slots of all targets. BLOCK: 1 the list is in
// block memory. FILE: bare name of the list, words of nba_word_fetch.
// Address of a fetch: cfg_base + first*BURST*BUS/8, modulo 2^ADDR_W; cfg_base is a multiple of 4 KB (bits below a whole
// burst are ignored, so that no burst crosses 4 KB). cfg_frames: 0 = without end; cfg_* are stable while busy. Target i
// is bit i.
// Reset: rst stops at once. Nothing new is put, an ARVALID that is up stays until it is accepted, what is still to come
// is taken and dropped, busy until then. axi_rst resets the AXI side as well: at power-up, later with the slave only.
`default_nettype none
module nba_fetch #(
  parameter integer BUS       = 128,
  parameter integer ADDR_W    = 40,
  parameter integer N_TARGETS = 2,
  parameter integer N_FETCHES = 2,
  parameter integer MAX_STAGE = 0,
  parameter integer BURST     = 16,
  parameter integer N_OPEN    = 16,
  parameter integer BLOCK     = 0,
  parameter         FILE      = "fetches.mem"
) (
  input  wire                 clk,
  input  wire                 rst,
  input  wire                 axi_rst,
  input  wire                 start_pulse,
  input  wire [31:0]          cfg_frames,
  input  wire [ADDR_W-1:0]    cfg_base,
  // stores: room, reservation, beats
  input  wire [N_TARGETS-1:0] free,
  output wire [N_TARGETS-1:0] take_pulse,
  output wire [N_TARGETS-1:0] m_valid,
  output wire [BUS-1:0]       m_data,
  output wire                 m_last,
  // AXI4, read channels
  output wire [ADDR_W-1:0]    m_axi_araddr,
  output wire [7:0]           m_axi_arlen,
  output wire [2:0]           m_axi_arsize,
  output wire [1:0]           m_axi_arburst,
  output wire [3:0]           m_axi_arcache,
  output wire [2:0]           m_axi_arprot,
  output wire                 m_axi_arvalid,
  input  wire                 m_axi_arready,
  input  wire [BUS-1:0]       m_axi_rdata,
  input  wire [1:0]           m_axi_rresp,
  input  wire                 m_axi_rlast,
  input  wire                 m_axi_rvalid,
  output wire                 m_axi_rready,
  output wire                 stat_busy,
  output wire                 stat_error
);
  localparam integer SIZE     = $clog2(BUS / 8);
  localparam integer LEN_W    = (BURST > 1) ? $clog2(BURST) : 1;
  localparam integer LOW      = SIZE + $clog2(BURST);
  localparam integer NUM_W    = ADDR_W - LOW;
  localparam integer CNT_W    = 16 + $clog2(N_OPEN + 2);
  localparam integer S_W      = (MAX_STAGE > 0) ? $clog2(MAX_STAGE + 1) : 1;
  localparam integer WORD_W   = 52;
  localparam integer QUEUE_W  = 21;
  localparam [31:0] SIZE_C    = SIZE;
  localparam [31:0] WHOLE     = BURST - 1;
  localparam [31:0] LAST_ITEM = N_FETCHES - 1;
  localparam [31:0] STAGE_MAX = MAX_STAGE;
  localparam [31:0] STAGE_LAST = STAGE_MAX - 32'd1;

  genvar gi;

  // ---------------------------------------------------------------- the list, and the rounds as in nba_seq
  reg [11:0]    item_q;
  reg           run_q;
  reg [2:0]     step_q;
  reg           ready_q;
  reg           end_q;
  reg           final_q;
  reg           round_q;
  reg [31:0]    left_q;
  reg           one_q;
  reg           none_q;
  reg           endless_q;
  reg [S_W-1:0] begun_q;
  reg [S_W-1:0] over_q;
  reg           busy_q;

  wire [WORD_W-1:0] word;
  wire [3:0]        word_target;
  wire [7:0]        word_stage;
  wire [23:0]       word_first;
  wire [15:0]       word_beats;
`ifdef FORMAL
  // Any list.
  (* anyseq *) wire [WORD_W-1:0] f_any;
  assign word = f_any;
`else
  nba_rom #(
    .WIDTH  (WORD_W),
    .DEPTH  (N_FETCHES),
    .AW     (12),
    .FILE   (FILE),
    .BLOCK  (BLOCK),
    .OUT_REG(1)
  ) u_list (
    .clk (clk),
    .addr(item_q),
    .data(word)
  );
`endif
  nba_word_fetch u_word (
    .s_word    (word),
    .cfg_target(word_target),
    .cfg_stage (word_stage),
    .cfg_first (word_first),
    .cfg_beats (word_beats)
  );

  // What comes next: three cycles after its place in the list is known.
  reg [N_TARGETS-1:0] target_q;
  reg [3:0]           number_q;
  reg                 skip_q;
  reg [NUM_W-1:0]     first_q;
  reg [15:0]          more_beats_q;
  reg                 single_q;
  reg                 short_q;
  reg                 double_q;
  wire [63:0]      first_long = {40'd0, word_first};
  wire [15:0]      more_beats = word_beats - 16'd1;
  wire [15:0]      more_whole = more_beats >> $clog2(BURST);
  wire unused = &{1'b0, first_long, word_stage, cfg_base};
  generate
    for (gi = 0; gi < N_TARGETS; gi = gi + 1) begin : g_target
      localparam [31:0] ID = gi;
      always @(posedge clk) target_q[gi] <= word_target == ID[3:0];
    end
  endgenerate
  always @(posedge clk) begin
    number_q     <= word_target;
    skip_q       <= begun_q < word_stage[S_W-1:0] || (none_q && over_q >= word_stage[S_W-1:0]);
    first_q      <= cfg_base[ADDR_W-1:LOW] + first_long[NUM_W-1:0];
    more_beats_q <= more_beats;
    single_q     <= word_beats == 16'd1;
    short_q      <= more_whole == 16'd0;
    double_q     <= more_whole == 16'd1;
  end

  // ---------------------------------------------------------------- decision and bursts
  // Bursts of the fetch that follow; the last of them; beats of that one - 1.
  reg             bursts_q;
  reg             last_q;
  reg [15:0]      bursts_left_q;
  reg [LEN_W-1:0] rest_q;
  reg [NUM_W-1:0] num_q;
  // The address channel: what is on it, and one burst that waits.
  reg             arvalid_q;
  reg [NUM_W-1:0] ar_num_q;
  reg [7:0]       ar_len_q;
  reg             wait_q;
  reg [NUM_W-1:0] wait_num_q;
  reg [7:0]       wait_len_q;

  wire       clear    = rst || axi_rst;
  wire       start    = start_pulse && !busy_q && !clear;
  wire       queue_ready;
  wire       up       = ready_q && !bursts_q;
  wire       go       = up && !skip_q && !wait_q && queue_ready && (|(free & target_q));
  wire       pop      = go || (up && skip_q);
  wire       put      = go || (bursts_q && !wait_q);
  wire       put_last = bursts_q ? last_q : short_q;
  wire [NUM_W-1:0] put_num  = bursts_q ? num_q : first_q;
  wire [LEN_W-1:0] put_rest = bursts_q ? rest_q : more_beats_q[LEN_W-1:0];
  wire [7:0]       put_len;
  wire       ar_free  = !arvalid_q || m_axi_arready;
  wire       ar_fire  = arvalid_q && m_axi_arready;
  generate
    if (BURST > 1) begin : g_len
      wire [31:0] rest_long = {{(32-LEN_W){1'b0}}, put_rest};
      wire unused_rest = &{1'b0, rest_long};
      assign put_len = put_last ? rest_long[7:0] : WHOLE[7:0];
    end else begin : g_one
      wire unused_rest = &{1'b0, put_rest, put_last};
      assign put_len = 8'd0;
    end
  endgenerate

  wire last_round = (MAX_STAGE == 0) ? one_q : none_q && over_q == STAGE_LAST[S_W-1:0];

  always @(posedge clk) begin
    step_q  <= {step_q[1:0], 1'b0};
    ready_q <= step_q[2] || (ready_q && !pop);
    end_q   <= item_q == LAST_ITEM[11:0];
    final_q <= end_q && last_round;
    round_q <= pop && end_q;
    if (pop) begin
      step_q <= 3'b001;
      item_q <= end_q ? 12'd0 : item_q + 12'd1;
    end
    if (round_q) begin
      left_q <= left_q - 32'd1;
      one_q  <= left_q == 32'd2 && !endless_q;
      if (one_q) none_q <= 1'b1;
      if (none_q) over_q <= over_q + 1'b1;
      if (begun_q != STAGE_MAX[S_W-1:0]) begun_q <= begun_q + 1'b1;
    end
    if (pop && final_q) begin
      run_q   <= 1'b0;
      step_q  <= 3'b000;
      round_q <= 1'b0;
    end
    if (start) begin
      run_q     <= 1'b1;
      step_q    <= 3'b001;
      left_q    <= cfg_frames;
      one_q     <= cfg_frames == 32'd1;
      none_q    <= 1'b0;
      endless_q <= cfg_frames == 32'd0;
      begun_q   <= {S_W{1'b0}};
      over_q    <= {S_W{1'b0}};
    end
    if (clear) begin
      run_q   <= 1'b0;
      step_q  <= 3'b000;
      ready_q <= 1'b0;
      round_q <= 1'b0;
      item_q  <= 12'd0;
    end
  end

  always @(posedge clk) begin
    if (go) begin
      bursts_left_q <= more_beats_q >> $clog2(BURST);
      rest_q        <= more_beats_q[LEN_W-1:0];
      bursts_q      <= !short_q;
      last_q        <= double_q;
    end else if (put) begin
      bursts_left_q <= bursts_left_q - 16'd1;
      bursts_q      <= !last_q;
      last_q        <= bursts_left_q == 16'd2;
    end
    if (put) num_q <= put_num + 1'b1;
    if (clear) bursts_q <= 1'b0;
  end

  always @(posedge clk) begin
    if (ar_free) begin
      arvalid_q <= (wait_q || put) && !rst;
      ar_num_q  <= wait_q ? wait_num_q : put_num;
      ar_len_q  <= wait_q ? wait_len_q : put_len;
    end
    if (put) begin
      wait_num_q <= put_num;
      wait_len_q <= put_len;
    end
    wait_q <= (wait_q || put) && !ar_free && !clear;
    if (axi_rst) arvalid_q <= 1'b0;
  end

  // ---------------------------------------------------------------- beats
  // The fetches whose data is awaited; of the first one: target, beats behind the next, whether that is the last, and
  // its place in its burst.
  wire [QUEUE_W-1:0]   next_word;
  wire                 next_valid;
  reg                  open_q;
  reg [N_TARGETS-1:0]  to_q;
  reg [15:0]           after_q;
  reg                  tail_q;
  reg [LEN_W-1:0]      place_q;
  reg                  drain_q;
  // Beats asked for and received, modulo 2^CNT_W.
  reg [CNT_W-1:0]      asked_q;
  reg [CNT_W-1:0]      had_q;
  reg                  even_q;
  // The beat of the cycle before.
  reg [N_TARGETS-1:0]  m_valid_q;
  reg [BUS-1:0]        m_data_q;
  reg                  m_last_q;
  reg                  check_q;
  reg                  stray_q;
  reg                  bad_q;
  reg                  error_q;

  wire beat = m_axi_rvalid && busy_q;
  wire used = beat && open_q;
  wire load = !open_q || (used && tail_q);
  wire burst_end;
  generate
    if (BURST > 1) begin : g_place
      assign burst_end = tail_q || (&place_q);
    end else begin : g_every
      wire unused_place = &{1'b0, place_q};
      assign burst_end = 1'b1;
    end
  endgenerate
  wire [CNT_W-1:0] ar_beats = {{(CNT_W-8){1'b0}}, ar_len_q} + 1'b1;

  localparam integer OPEN_W = $clog2(N_OPEN + 1);
  wire [OPEN_W-1:0] queue_count;
  wire unused_count = &{1'b0, queue_count};
  nba_fifo #(
    .W    (QUEUE_W),
    .DEPTH(N_OPEN)
  ) u_queue (
    .clk    (clk),
    .rst    (clear),
    .s_data ({single_q, number_q, more_beats_q}),
    .s_valid(go),
    .s_ready(queue_ready),
    .m_data (next_word),
    .m_valid(next_valid),
    .m_ready(load),
    .count  (queue_count)
  );

  generate
    for (gi = 0; gi < N_TARGETS; gi = gi + 1) begin : g_to
      localparam [31:0] ID = gi;
      always @(posedge clk) if (load) to_q[gi] <= next_word[19:16] == ID[3:0];
    end
  endgenerate
  always @(posedge clk) begin
    if (load) begin
      open_q  <= next_valid;
      after_q <= next_word[15:0];
      tail_q  <= next_word[20];
      place_q <= {LEN_W{1'b0}};
    end else if (used) begin
      after_q <= after_q - 16'd1;
      tail_q  <= after_q == 16'd1;
      place_q <= place_q + 1'b1;
    end
    if (clear) open_q <= 1'b0;
  end

  wire quiet = !run_q && !bursts_q && !wait_q && !arvalid_q;
  always @(posedge clk) begin
    if (ar_fire) asked_q <= asked_q + ar_beats;
    if (beat && (open_q || drain_q)) had_q <= had_q + 1'b1;
    even_q <= quiet && asked_q == had_q && !start;
    if (start) busy_q <= 1'b1;
    else if (even_q && !run_q) busy_q <= 1'b0;
    if (start) drain_q <= 1'b0;
    if (rst) drain_q <= 1'b1;
    if (axi_rst) begin
      asked_q <= {CNT_W{1'b0}};
      had_q   <= {CNT_W{1'b0}};
      even_q  <= 1'b0;
      busy_q  <= 1'b0;
      drain_q <= 1'b0;
    end
  end

  always @(posedge clk) begin
    m_valid_q <= to_q & {N_TARGETS{used && !clear}};
    m_data_q  <= m_axi_rdata;
    m_last_q  <= tail_q;
    check_q   <= used && !clear;
    stray_q   <= beat && !open_q && !drain_q && !clear;
    bad_q     <= m_axi_rresp != 2'b00 || m_axi_rlast != burst_end;
    if ((check_q && bad_q) || stray_q) error_q <= 1'b1;
    if (start || clear) error_q <= 1'b0;
  end

  assign take_pulse    = target_q & {N_TARGETS{go}};
  assign m_valid       = m_valid_q;
  assign m_data        = m_data_q;
  assign m_last        = m_last_q;
  assign m_axi_araddr  = {ar_num_q, {LOW{1'b0}}};
  assign m_axi_arlen   = ar_len_q;
  assign m_axi_arsize  = SIZE_C[2:0];
  assign m_axi_arburst = 2'b01;
  assign m_axi_arcache = 4'b0011;
  assign m_axi_arprot  = 3'b000;
  assign m_axi_arvalid = arvalid_q;
  assign m_axi_rready  = busy_q;
  assign stat_busy     = busy_q;
  assign stat_error    = error_q;
`ifdef FORMAL
  // With a list that keeps the rules (word: stable while its fetch is up, stages and targets that exist) and a slave
  // that sends what it was asked for. No data is asked for but that of decided fetches, every round executes and skips
  // what the plain formulae say, and the bus never sees a broken promise, whatever the resets do.
  reg             f_init_q = 1'b1;
  reg             f_busy_q;
  reg [31:0]      f_round_q;
  reg [2:0]       f_since_q;
  reg [CNT_W-1:0] f_taken_q;
  wire [31:0] f_frame = f_round_q - {24'd0, word_stage};
  wire [31:0] f_over  = f_round_q - cfg_frames;
  wire        f_skip  = f_round_q < {24'd0, word_stage} || (cfg_frames != 32'd0 && f_frame >= cfg_frames);
  // Beats of what was decided and is not asked for yet, from the bus back to the fetch.
  wire [CNT_W-1:0] f_bus   = arvalid_q ? ar_beats : {CNT_W{1'b0}};
  wire [CNT_W-1:0] f_wait  = wait_q ? {{(CNT_W-8){1'b0}}, wait_len_q} + 1'b1 : {CNT_W{1'b0}};
  wire [31:0]      f_whole = ({16'd0, bursts_left_q} - 32'd1) << $clog2(BURST);
  wire [31:0]      f_rest  = (BURST > 1) ? {{(32-LEN_W){1'b0}}, rest_q} : 32'd0;
  wire [31:0]      f_later = bursts_q ? f_whole + f_rest + 32'd1 : 32'd0;
  wire [31:0]      f_crossed = {20'd0, m_axi_araddr[11:0]} + (({24'd0, m_axi_arlen} + 32'd1) << SIZE);
  always @(posedge clk) begin
    f_init_q  <= 1'b0;
    f_busy_q  <= busy_q;
    f_since_q <= (pop || start) ? 3'd1 : (f_since_q == 3'd7) ? 3'd7 : f_since_q + 3'd1;
    if (round_q) f_round_q <= f_round_q + 32'd1;
    if (start) f_round_q <= 32'd0;
    if (go) f_taken_q <= f_taken_q + {{(CNT_W-16){1'b0}}, more_beats_q} + 1'b1;
    // A reset takes back what is not on the bus.
    if (rst) f_taken_q <= f_taken_q - f_wait - f_later[CNT_W-1:0];
    if (axi_rst) f_taken_q <= {CNT_W{1'b0}};
  end
  wire [CNT_W-1:0] f_out = asked_q - had_q;
  always @* begin
    if (f_init_q) assume (axi_rst);
    assume (!m_axi_rvalid || f_out != {CNT_W{1'b0}});
    assume (word_beats != 16'd0 && word_stage <= STAGE_MAX[7:0] && word_target < N_TARGETS);
    assume (next_word[20] == (next_word[15:0] == 16'd0));
    assume (f_round_q < 32'hfffffe00 && cfg_frames < 32'hfffffe00);
  end
  always @(posedge clk) begin
    if (!f_init_q && ready_q) assume (word == $past(word));
    if (!f_init_q && f_busy_q && busy_q) assume (cfg_frames == $past(cfg_frames) && cfg_base == $past(cfg_base));
    if (!f_init_q && $past(start)) assume (cfg_frames == $past(cfg_frames) && cfg_base == $past(cfg_base));
    if (!f_init_q) begin
      // The bus.
      assert (m_axi_rready || f_out == {CNT_W{1'b0}});
      assert (!arvalid_q || busy_q);
      if (arvalid_q) assert (f_crossed <= 32'd4096 && {24'd0, ar_len_q} <= WHOLE);
      if (wait_q) assert (arvalid_q && {24'd0, wait_len_q} <= WHOLE);
      if ($past(m_axi_arvalid && !m_axi_arready && !axi_rst)) begin
        assert (m_axi_arvalid && m_axi_araddr == $past(m_axi_araddr) && m_axi_arlen == $past(m_axi_arlen));
      end
      if ($past(rst)) assert (!m_axi_arvalid || $past(m_axi_arvalid && !m_axi_arready));
      // What is asked for was reserved, all of it and no more.
      assert (f_taken_q == asked_q + f_bus + f_wait + f_later[CNT_W-1:0]);
      if (bursts_q) begin
        assert (bursts_left_q != 16'd0 && last_q == (bursts_left_q == 16'd1) && f_rest <= WHOLE);
        assert (f_later <= 32'd65535);
      end
      if (!busy_q) assert (quiet && f_out == {CNT_W{1'b0}});
      if (even_q) assert (!run_q && quiet && f_out == {CNT_W{1'b0}});
      // The pace.
      if (run_q) assert (busy_q && !drain_q);
      if (!run_q) assert (!ready_q && step_q == 3'd0 && item_q == 12'd0 && !round_q);
      if (run_q) begin
        assert (ready_q ? step_q == 3'd0 : (step_q == 3'd1 || step_q == 3'd2 || step_q == 3'd4));
        assert (ready_q ? f_since_q >= 3'd4 : step_q[f_since_q - 3'd1] && f_since_q <= 3'd3);
        if (round_q) assert (step_q[0]);
      end
      assert ({20'd0, item_q} <= LAST_ITEM);
      if (pop) assert (f_since_q >= 3'd4);
      if (go) begin
        assert ((take_pulse & free) == take_pulse && take_pulse != {N_TARGETS{1'b0}});
        assert ((take_pulse & (take_pulse - 1'b1)) == {N_TARGETS{1'b0}} && take_pulse[word_target]);
      end else begin
        assert (take_pulse == {N_TARGETS{1'b0}});
      end
      // The rounds, as the plain formulae say.
      if (run_q) begin
        assert (endless_q == (cfg_frames == 32'd0));
        assert (begun_q == ((f_round_q < STAGE_MAX) ? f_round_q[S_W-1:0] : STAGE_MAX[S_W-1:0]));
        assert (none_q == (!endless_q && f_round_q >= cfg_frames));
        assert (one_q == (!endless_q && f_round_q + 32'd1 == cfg_frames));
        assert (left_q == cfg_frames - f_round_q);
        assert (!none_q || (f_over < STAGE_MAX && over_q == f_over[S_W-1:0]));
        assert (none_q || over_q == {S_W{1'b0}});
        assert (last_round == (!endless_q && f_round_q == cfg_frames + STAGE_MAX - 32'd1));
        if (!step_q[0]) assert (end_q == ({20'd0, item_q} == LAST_ITEM));
        if (ready_q || step_q[2]) assert (final_q == (end_q && last_round));
      end
      if (ready_q) begin
        assert (skip_q == f_skip && more_beats_q == word_beats - 16'd1);
        assert (first_q == cfg_base[ADDR_W-1:LOW] + first_long[NUM_W-1:0]);
        assert (short_q == (word_beats <= BURST) && double_q == (word_beats > BURST && word_beats <= 2 * BURST));
        assert (single_q == (word_beats == 16'd1) && number_q == word_target);
      end
      // The beats.
      if (open_q) assert (tail_q == (after_q == 16'd0) && !drain_q);
      if (m_valid != {N_TARGETS{1'b0}}) assert ($past(m_axi_rvalid && m_axi_rready) && !drain_q);
      if ($past(clear)) assert (!open_q && m_valid == {N_TARGETS{1'b0}} && take_pulse == {N_TARGETS{1'b0}});
    end
  end
`endif
endmodule
`default_nettype wire
