// SPDX-License-Identifier: Apache-2.0
// nba_walk: walks one output row: column groups, channel groups, taps, channel words; one step per cycle,
// and produces the bank, weight and mask signals of every step (docs/template.md, pipeline rows i to i+2).
// Latency 2 cycles from a step's cycle i to its registered addresses (i+2); one step per cycle; never stalls.
// PER_CHANNEL: 1 if an output channel sees its own input channel alone (channel group m reads word m). BANKS 1..16.
// WIDE: 1 if there are more than 8 banks, or strides above 2; else 0: fields are shorter.
// A column group has PP * 2^cfg_degree columns, BANKS at most; DEGREE 1, 2, 4: the largest 2^cfg_degree of all jobs.
// row_go in cycle t starts the row in t+1; walk_last marks its last cycle; walk_ready: no row runs, or it is its last
// cycle. Both are registers.
// The row takes max(groups * slot, 2) cycles. m_first_slot: this slot is the first of the job.
// cfg_*: fields of the running job, stable from three cycles before row_go to walk_last; *_last are counts minus one.
// A layer of two groups: a channel group walks one half of the words, from half * cfg_half_words on. Group 0 reads
// half cfg_half_first; the half changes after the groups cfg_m_lo_last and cfg_m_hi_last. Else cfg_half_words is 0.
// AW 4..16: bits of an address of the input edges, whose words number 2^AW at most.
// Reset stops the walk.
`default_nettype none
module nba_walk #(
  parameter integer PER_CHANNEL = 0,
  parameter integer PP          = 2,
  parameter integer BANKS       = 2,
  parameter integer DEGREE      = 1,
  parameter integer WIDE        = 0,
  parameter integer AW          = 16
) (
  input  wire              clk,
  input  wire              rst,
  input  wire              row_go,
  input  wire              row_first,
  input  wire [15:0]       row_off,
  input  wire [12:0]       row_top,
  output wire              walk_ready,
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
  input  wire [1:0]        cfg_degree,
  input  wire [11:0]       cfg_slot_extra,
  input  wire [11:0]       cfg_width,
  input  wire [11:0]       cfg_height,
  input  wire [WIDE:0]     cfg_stride_w,
  input  wire [6:0]        cfg_pad_left,
  input  wire [2+WIDE:0]   cfg_rot0,
  input  wire [WIDE:0]     cfg_class0,
  input  wire [15:0]       cfg_qoff0,
  input  wire [12:0]       cfg_col_words,
  input  wire [15:0]       cfg_class_words,
  input  wire [15:0]       cfg_base,
  input  wire [15:0]       cfg_row_words,
  input  wire [15:0]       cfg_ring_words,
  input  wire [15:0]       cfg_w_base,
  input  wire              cfg_w_step,
  // stage i: channel word of the step
  output wire [12:0]       m_word,
  // stage i+2
  output wire [BANKS*16-1:0] m_addr,
  output wire [15:0]       m_w_addr,
  output wire [BANKS-1:0]  m_ok,
  output wire [3:0]        m_rot,
  output wire              m_valid,
  output wire              m_first,
  output wire              m_slot_end,
  output wire              m_first_slot
);
  localparam [31:0] PP_C       = PP;
  localparam [31:0] BANKS_C    = BANKS;
  localparam [31:0] BANKS_LAST = BANKS - 1;
  localparam integer POWER     = ((BANKS & (BANKS - 1)) == 0) ? 1 : 0;
  // Bits of a column's place among those of its class, modulo BANKS; of a number of columns; of place, class and stride.
  localparam integer ROT_W     = 3 + WIDE;
  localparam integer COL_W     = 4 + WIDE;
  localparam integer TURN_W    = (WIDE != 0) ? 8 : 4;

  // Bank of the first column of class r (x mod s) of a row, for a reader of stride s, in bits 16*(s-1) + 4*r and up:
  // nba/machine/geometry.py, class_offsets. The next column of a class lies in the next bank.
  function [63:0] offsets;
    input [31:0] banks;
    reg [31:0] s;
    reg [31:0] r;
    reg [31:0] g;
    reg [31:0] part;
    reg [31:0] step;
    reg [31:0] i;
    begin
      offsets = 64'd0;
      for (s = 32'd1; s <= 32'd4; s = s + 32'd1) begin
        g = 32'd1;
        for (i = 32'd2; i <= s; i = i + 32'd1) begin
          if (s % i == 32'd0 && banks % i == 32'd0) g = i;
        end
        part = banks / g;
        step = 32'd0;
        for (i = 32'd1; i < part; i = i + 32'd1) begin
          if ((s / g) * i % part == 32'd1) step = i;
        end
        for (r = 32'd1; r < s; r = r + 32'd1) begin
          offsets = offsets | ({32'd0, ((r % g) * part + (r / g) * step) % banks} << (16 * (s - 1) + 4 * r));
        end
      end
    end
  endfunction
  localparam [63:0] OFFSETS = offsets(BANKS);

  // Fields and sums of addresses, as wide as these are.
  wire [15:0]     col_long    = {3'd0, cfg_col_words};
  wire [AW-1:0]   col_words   = col_long[AW-1:0];
  wire [AW-1:0]   class_words = cfg_class_words[AW-1:0];
  wire [AW-1:0]   row_words   = cfg_row_words[AW-1:0];
  wire [16:0]     ring_words  = {1'b0, cfg_ring_words};
  wire [2+WIDE:0] stride_long = {2'b00, cfg_stride_w};
  wire [1:0]      stride      = stride_long[1:0];

  // What follows from the job's fields alone.
  reg         c_one_q;
  reg         kx_one_q;
  reg         ky_one_q;
  reg         m_one_q;
  reg         g_one_q;
  reg         extra_q;
  reg         extra_one_q;
  reg         turn0_q;
  reg [12:0]  lo_before_q;
  reg [12:0]  hi_before_q;
  reg [12:0]  word0_q;
  reg [13:0]  xs0_q;
  reg [AW-1:0] near0_q;
  reg [AW-1:0] far0_q;
  reg [AW:0]  row_over_q;
  reg [COL_W-1:0] columns_q;
  reg [13:0]  columns3_q;
  reg [AW-1:0] class3_q;
  always @(posedge clk) begin
    columns_q   <= (DEGREE == 1) ? PP_C[COL_W-1:0] : PP_C[COL_W-1:0] << cfg_degree;
    columns3_q  <= columns + {columns[12:0], 1'b0};
    class3_q    <= class_words + {class_words[AW-2:0], 1'b0};
    c_one_q     <= (PER_CHANNEL != 0) || cfg_c_last == 13'd0;
    kx_one_q    <= cfg_kx_last == 7'd0;
    ky_one_q    <= cfg_ky_last == 7'd0;
    m_one_q     <= cfg_m_last == 13'd0;
    g_one_q     <= cfg_g_last == 12'd0;
    extra_q     <= cfg_slot_extra != 12'd0;
    extra_one_q <= cfg_slot_extra == 12'd1;
    turn0_q     <= cfg_m_lo_last == 13'd0 || cfg_m_hi_last == 13'd0;
    lo_before_q <= cfg_m_lo_last - 13'd1;
    hi_before_q <= cfg_m_hi_last - 13'd1;
    word0_q     <= cfg_half_first ? cfg_half_words : 13'd0;
    xs0_q       <= 14'd0 - {7'd0, cfg_pad_left};
    near0_q     <= cfg_base[AW-1:0] + cfg_qoff0[AW-1:0];
    far0_q      <= near0_q + col_words;
    row_over_q  <= {1'b0, row_words} - ring_words[AW:0];
  end

  wire [13:0] columns = {{(14-COL_W){1'b0}}, columns_q};

  // Loop state (cycle i). A loop counts down; its flag says that it is at its last value.
  reg         run_q;
  reg         pad_q;
  reg         job_first_q;
  reg         tap_first_q;
  reg         wait_q;
  reg [11:0]  wait_left_q;
  reg         c_last_q;
  reg         kernel_x_end_q;
  reg         taps_last_q;
  reg         slot_end_q;
  reg [12:0]  c_left_q;
  reg [12:0]  word_q;
  reg         half_q;
  reg         turn_q;
  reg         kx_last_q;
  reg [6:0]   kx_left_q;
  reg         ky_last_q;
  reg [6:0]   ky_left_q;
  reg         m_last_q;
  reg [12:0]  m_left_q;
  reg [12:0]  m_q;
  reg         g_last_q;
  reg         groups_last_q;
  reg [11:0]  g_left_q;
  // Address state: row in the ring; column of tap 0 in the row, with the ring's first word, and the column behind it.
  reg [AW-1:0] top_off_q;
  reg [AW-1:0] off_q;
  reg [12:0]  top_ri_q;
  reg [12:0]  ri_q;
  reg [ROT_W-1:0] rot_q;
  reg [ROT_W-1:0] g_rot_q;
  reg [WIDE:0] class_q;
  reg [AW-1:0] near_q;
  reg [AW-1:0] far_q;
  reg [AW-1:0] g_near_q;
  reg [AW-1:0] g_far_q;
  reg [13:0]  xs_q;
  reg [13:0]  g_xs_q;
  reg [15:0]  w_q;

  wire step      = run_q && !wait_q && !pad_q;
  // Flags of the step and of the channel group that follow; those of several loops at once are registers too.
  wire c_last_d  = c_last_q ? c_one_q : c_left_q == 13'd1;
  wire kx_last_d = !c_last_q ? kx_last_q : kx_last_q ? kx_one_q : kx_left_q == 7'd1;
  wire ky_last_d = !kernel_x_end_q ? ky_last_q : ky_last_q ? ky_one_q : ky_left_q == 7'd1;
  wire m_last_d  = m_last_q ? m_one_q : m_left_q == 13'd1;
  wire g_last_d  = m_last_q ? g_left_q == 12'd1 : g_last_q;

  // The last cycle of a slot, known a cycle before: a step, or the last cycle that the slot waits.
  wire slot_end  = slot_end_q;
  wire row_end   = slot_end_q && groups_last_q;

  // The half of the words that the channel group reads, and the next one.
  wire        half_next = m_last_q ? cfg_half_first : half_q ^ turn_q;
  wire [12:0] word_base = half_q ? cfg_half_words : 13'd0;
  wire [12:0] word_next = half_next ? cfg_half_words : 13'd0;

  // The last cycle of a row, known a cycle before, too. A row of a single cycle is followed by one idle cycle: the next
  // decision needs two.
  reg         last_q;
  reg         ready_q;
  wire slot_end_d    = !row_end && (wait_q ? wait_left_q == 12'd2 : extra_q ? taps_last_q && extra_one_q
                                           : c_last_d && kx_last_d && ky_last_d);
  wire groups_last_d = slot_end ? m_last_d && g_last_d : groups_last_q;
  wire last_d        = row_end || (slot_end_d && groups_last_d);
  assign walk_last  = last_q;
  assign walk_ready = ready_q;

  wire [AW-1:0] off_sum = off_q + row_words;
  wire [AW:0] off_over = {1'b0, off_q} + row_over_q;
  wire        rot_wrap = rot_q == BANKS_LAST[ROT_W-1:0];
  wire        rot_step = class_q == cfg_stride_w;
  wire [13:0] xs_step  = stride[1] ? (stride[0] ? {columns[11:0], 2'b00} : columns3_q)
                                   : (stride[0] ? {columns[12:0], 1'b0} : columns);
  wire [13:0] xs_group = g_xs_q + xs_step;
  // The next column group begins so many banks further, one word of every bank further where they are exhausted.
  wire [ROT_W:0] rot_over = {1'b0, g_rot_q} + columns_q;
  wire           g_wrap   = rot_over >= BANKS_C[ROT_W:0];
  wire [ROT_W-1:0] rot_less  = rot_over[ROT_W-1:0] - BANKS_C[ROT_W-1:0];
  wire [ROT_W-1:0] rot_group = (POWER != 0) ? rot_over[ROT_W-1:0] & BANKS_LAST[ROT_W-1:0]
                                            : g_wrap ? rot_less : rot_over[ROT_W-1:0];
  wire [AW-1:0] far_next = far_q + col_words;
  wire [AW-1:0] far_group = g_far_q + col_words;

  always @(posedge clk) begin
    if (run_q) begin
      if (step) begin
        tap_first_q <= 1'b0;
        if (cfg_w_step) w_q <= w_q + 16'd1;
        c_last_q       <= c_last_d;
        kernel_x_end_q <= c_last_d && kx_last_d;
        taps_last_q    <= c_last_d && kx_last_d && ky_last_d;
        c_left_q       <= c_last_q ? cfg_c_last : c_left_q - 13'd1;
        word_q         <= c_last_q ? word_base : word_q + 13'd1;
        kx_last_q      <= kx_last_d;
        ky_last_q      <= ky_last_d;
        if (c_last_q) begin
          kx_left_q <= kx_left_q - 7'd1;
          xs_q      <= xs_q + 14'd1;
          class_q   <= rot_step ? {(WIDE+1){1'b0}} : class_q + 1'b1;
          if (rot_step) begin
            rot_q <= rot_wrap ? {ROT_W{1'b0}} : rot_q + 1'b1;
            if (rot_wrap) begin
              near_q <= far_q;
              far_q  <= far_next;
            end
          end
        end
        if (kernel_x_end_q) begin
          kx_left_q <= cfg_kx_last;
          xs_q      <= g_xs_q;
          class_q   <= cfg_class0;
          rot_q     <= g_rot_q;
          near_q    <= g_near_q;
          far_q     <= g_far_q;
          ky_left_q <= ky_left_q - 7'd1;
          ri_q      <= ri_q + 13'd1;
          off_q     <= off_over[AW] ? off_sum : off_over[AW-1:0];
        end
        if (taps_last_q) begin
          ky_left_q <= cfg_ky_last;
          ri_q      <= top_ri_q;
          off_q     <= top_off_q;
          if (extra_q) wait_q <= 1'b1;
        end
      end
      if (wait_q) begin
        wait_left_q <= wait_left_q - 12'd1;
      end
      if (slot_end) begin
        wait_q      <= 1'b0;
        wait_left_q <= cfg_slot_extra;
        job_first_q <= 1'b0;
        tap_first_q <= 1'b1;
        half_q      <= half_next;
        word_q      <= word_next;
        m_last_q      <= m_last_d;
        g_last_q      <= g_last_d;
        if (!m_last_q) begin
          m_q      <= m_q + 13'd1;
          m_left_q <= m_left_q - 13'd1;
          turn_q   <= m_q == lo_before_q || m_q == hi_before_q;
        end else begin
          m_q      <= 13'd0;
          m_left_q <= cfg_m_last;
          turn_q   <= turn0_q;
          w_q      <= cfg_w_base;
          g_left_q <= g_left_q - 12'd1;
          xs_q     <= xs_group;
          g_xs_q   <= xs_group;
          rot_q    <= rot_group;
          g_rot_q  <= rot_group;
          near_q   <= g_wrap ? g_far_q : g_near_q;
          g_near_q <= g_wrap ? g_far_q : g_near_q;
          far_q    <= g_wrap ? far_group : g_far_q;
          g_far_q  <= g_wrap ? far_group : g_far_q;
        end
      end
      slot_end_q    <= slot_end_d;
      groups_last_q <= groups_last_d;
      last_q        <= last_d;
      ready_q       <= last_d;
      if (row_end) pad_q <= 1'b1;
    end
    // A row's start is loaded in every cycle in which one may be decided: the decision comes late and moves few registers.
    if (ready_q) begin
      run_q       <= row_go;
      ready_q     <= !row_go;
      last_q      <= 1'b0;
      pad_q       <= 1'b0;
      job_first_q <= row_first;
      tap_first_q <= 1'b1;
      wait_q      <= 1'b0;
      wait_left_q <= cfg_slot_extra;
      c_left_q    <= cfg_c_last;
      c_last_q    <= c_one_q;
      kernel_x_end_q <= c_one_q && kx_one_q;
      taps_last_q <= c_one_q && kx_one_q && ky_one_q;
      slot_end_q  <= row_go && c_one_q && kx_one_q && ky_one_q && !extra_q;
      word_q      <= word0_q;
      half_q      <= cfg_half_first;
      turn_q      <= turn0_q;
      kx_left_q   <= cfg_kx_last;
      kx_last_q   <= kx_one_q;
      ky_left_q   <= cfg_ky_last;
      ky_last_q   <= ky_one_q;
      m_q         <= 13'd0;
      m_left_q    <= cfg_m_last;
      m_last_q    <= m_one_q;
      g_left_q    <= cfg_g_last;
      g_last_q    <= g_one_q;
      groups_last_q <= m_one_q && g_one_q;
      top_off_q   <= row_off[AW-1:0];
      off_q       <= row_off[AW-1:0];
      top_ri_q    <= row_top;
      ri_q        <= row_top;
      rot_q       <= cfg_rot0;
      g_rot_q     <= cfg_rot0;
      class_q     <= cfg_class0;
      near_q      <= near0_q;
      g_near_q    <= near0_q;
      far_q       <= far0_q;
      g_far_q     <= far0_q;
      xs_q        <= xs0_q;
      g_xs_q      <= xs0_q;
      w_q         <= cfg_w_base;
    end
    if (rst) begin
      run_q      <= 1'b0;
      last_q     <= 1'b0;
      ready_q    <= 1'b1;
      pad_q      <= 1'b0;
      slot_end_q <= 1'b0;
    end
  end

  // Bank addresses of the step: bank b serves lane j = (b - rot) mod BANKS; lanes past the end of the BANKS columns of
  // a word lie one word further. The sum of five comes in two stages.
  wire [12:0] word    = (PER_CHANNEL != 0) ? m_q : word_q;
  // Bank of tap 0's column, of all values of place, class and stride: (place + offset of the class) mod BANKS.
  wire [(4<<TURN_W)-1:0] banks;
  wire [TURN_W-1:0]      turn;
  wire [3:0]             rot = banks[turn*4 +: 4];
  // Words from the first class of columns to that of the step.
  wire [2+WIDE:0] class_long = {2'b00, class_q};
  wire [1:0]      class_i    = class_long[1:0];
  wire [AW-1:0]   class_off  = class_i[1] ? (class_i[0] ? class3_q : {class_words[AW-2:0], 1'b0})
                                          : (class_i[0] ? class_words : {AW{1'b0}});
  wire [15:0]     word_long  = {3'd0, word};

  reg [AW-1:0] near_q1;
  reg [AW-1:0] far_q1;
  reg [AW-1:0] word_q1;
  reg         row_ok_q1;
  reg [15:0]  w_addr_q1;
  reg [3:0]   rot_q1;
  reg         valid_q1;
  reg         first_q1;
  reg         slot_end_q1;
  reg         first_slot_q1;
  reg [15:0]  w_addr_q2;
  reg [3:0]   rot_q2;
  reg         valid_q2;
  reg         first_q2;
  reg         slot_end_q2;
  reg         first_slot_q2;
  always @(posedge clk) begin
    near_q1       <= off_q + near_q;
    far_q1        <= off_q + far_q;
    word_q1       <= word_long[AW-1:0] + class_off;
    row_ok_q1     <= !ri_q[12] && (ri_q < {1'b0, cfg_height});
    w_addr_q1     <= w_q;
    rot_q1        <= rot;
    valid_q1      <= step && !rst;
    first_q1      <= tap_first_q;
    slot_end_q1   <= slot_end && !rst;
    first_slot_q1 <= job_first_q;
    w_addr_q2     <= w_addr_q1;
    rot_q2        <= rot_q1;
    valid_q2      <= valid_q1 && !rst;
    first_q2      <= first_q1;
    slot_end_q2   <= slot_end_q1 && !rst;
    first_slot_q2 <= first_slot_q1;
  end

  genvar gi;
  genvar gt;
  generate
    if (WIDE != 0) begin : g_wide
      assign turn = {cfg_stride_w, class_q, rot_q};
    end else begin : g_narrow
      wire unused = &{1'b0, columns3_q, class3_q};
      assign turn = {class_q, rot_q};
    end
    for (gt = 0; gt < (1 << TURN_W); gt = gt + 1) begin : g_turn
      localparam integer CLASS = (WIDE != 0) ? gt / 16 : 4 + gt / 8;
      localparam [31:0]  BANK  = (gt % (1 << ROT_W) + {28'd0, OFFSETS[4*CLASS +: 4]}) % BANKS;
      assign banks[gt*4 +: 4] = BANK[3:0];
    end
    for (gi = 0; gi < BANKS; gi = gi + 1) begin : g_lane
      localparam [31:0] ID = gi;
      localparam [31:0] ID3 = 3 * gi;
      wire [13:0] shift = stride[1] ? (stride[0] ? {ID[11:0], 2'b00} : ID3[13:0])
                                    : (stride[0] ? {ID[12:0], 1'b0} : ID[13:0]);
      // Column gi of the step lies in the map if xs + shift is at least 0 and xs is below width - shift.
      reg signed [13:0] limit_q;
      reg         left_q1;
      reg         right_q1;
      reg         beyond_q1;
      reg [AW-1:0] addr_q2;
      wire [16:0] addr_long = {{(17-AW){1'b0}}, addr_q2};
      reg         ok_q2;
      wire signed [13:0] xs = xs_q;
      wire [13:0] x = xs_q + shift;
      // Bank gi has the places of its class that are PLACE modulo BANKS; below that of the first column it is the next.
      wire [(ROT_W<<(TURN_W-ROT_W))-1:0] places;
      for (gt = 0; gt < (1 << (TURN_W - ROT_W)); gt = gt + 1) begin : g_reach
        localparam integer CLASS = (WIDE != 0) ? gt : 4 + gt;
        localparam [31:0]  PLACE = (BANKS + gi - {28'd0, OFFSETS[4*CLASS +: 4]}) % BANKS;
        assign places[gt*ROT_W +: ROT_W] = PLACE[ROT_W-1:0];
      end
      wire [ROT_W-1:0] place = places[turn[TURN_W-1:ROT_W]*ROT_W +: ROT_W];
      always @(posedge clk) begin
        limit_q   <= {2'b00, cfg_width} - shift;
        left_q1   <= !x[13];
        right_q1  <= xs < limit_q;
        beyond_q1 <= place < rot_q;
        addr_q2   <= (beyond_q1 ? far_q1 : near_q1) + word_q1;
        ok_q2     <= row_ok_q1 && left_q1 && right_q1;
      end
      wire unused = &{1'b0, x[12:0], addr_long};
      assign m_addr[gi*16 +: 16] = addr_long[15:0];
      assign m_ok[gi]            = ok_q2;
    end
  endgenerate

  wire unused = &{1'b0, cfg_degree, stride_long, class_long, col_long, word_long, ring_words, row_off, cfg_base,
                  cfg_qoff0, cfg_row_words, cfg_class_words};

  assign m_word       = word;
  assign m_w_addr     = w_addr_q2;
  assign m_rot        = rot_q2;
  assign m_valid      = valid_q2;
  assign m_first      = first_q2;
  assign m_slot_end   = slot_end_q2;
  assign m_first_slot = first_slot_q2;
`ifdef FORMAL
  // The fields of a job are stable from three cycles before row_go to walk_last and within their limits, and a row is
  // started only when none runs or in its last cycle. Then every counter and offset stays within its limit, every flag
  // says what its counter does, and the addresses are the plain sums.
  reg       f_init_q = 1'b1;
  reg [1:0] f_stable_q;
  reg       f_fresh_q;
  wire [251+3*WIDE:0] f_fields = {
    cfg_c_last, cfg_kx_last, cfg_ky_last, cfg_m_last, cfg_g_last, cfg_slot_extra, cfg_ring_words,
    cfg_row_words, cfg_rot0, cfg_class0, cfg_half_words, cfg_half_first, cfg_m_lo_last, cfg_m_hi_last,
    cfg_w_base, cfg_w_step, cfg_base, cfg_qoff0, cfg_col_words, cfg_width, cfg_height, cfg_stride_w,
    cfg_pad_left, cfg_class_words, cfg_degree
  };
  reg [251+3*WIDE:0] f_fields_q;
  wire      f_same = f_fields == f_fields_q;
  always @(posedge clk) begin
    f_init_q   <= 1'b0;
    f_fresh_q  <= row_go;
    f_fields_q <= f_fields;
    if (f_init_q || !f_same) f_stable_q <= 2'd0;
    else if (f_stable_q != 2'd3) f_stable_q <= f_stable_q + 2'd1;
  end
  always @* begin
    if (f_init_q) assume (rst);
    assume (!row_go || (walk_ready && f_stable_q == 2'd3 && f_same));
    assume ({1'b0, cfg_rot0} < BANKS_C[ROT_W:0] && cfg_class0 <= cfg_stride_w);
    assume ((1 << cfg_degree) <= DEGREE);
    assume (cfg_row_words <= cfg_ring_words && row_off < cfg_ring_words && cfg_ring_words != 16'd0);
    assume ({1'b0, cfg_ring_words} <= (17'd1 << AW));
    assume (cfg_slot_extra != 12'hfff);
    assume (cfg_half_words == 13'd0 || cfg_m_lo_last < cfg_m_hi_last);
    assume (PER_CHANNEL == 0 || cfg_c_last == 13'd0);
  end
  // The addresses of two cycles ago, as plain sums.
  reg [AW-1:0] f_addr_q1;
  reg [AW-1:0] f_addr_q2;
  reg [BANKS-1:0] f_ok_q1;
  reg [BANKS-1:0] f_ok_q2;
  reg [BANKS-1:0] f_far_q1;
  reg [BANKS-1:0] f_far_q2;
  reg [AW-1:0] f_col_q1;
  reg [AW-1:0] f_col_q2;
  reg         f_step_q1;
  reg         f_step_q2;
  reg [BANKS*14-1:0] f_x;
  wire [AW-1:0] f_class3 = 3 * cfg_class_words;
  wire [AW-1:0] f_near0 = cfg_base + cfg_qoff0;
  integer f_b;
  always @* begin
    for (f_b = 0; f_b < BANKS; f_b = f_b + 1) f_x[f_b*14 +: 14] = xs_q + (stride + 1) * f_b;
  end
  always @(posedge clk) begin
    f_addr_q1 <= off_q + near_q + class_q * cfg_class_words + {3'd0, word};
    f_addr_q2 <= f_addr_q1;
    f_col_q1  <= cfg_col_words;
    f_col_q2  <= f_col_q1;
    f_ok_q2   <= f_ok_q1;
    f_far_q2  <= f_far_q1;
    f_step_q1 <= step && !rst && !f_init_q;
    f_step_q2 <= f_step_q1 && !rst;
    for (f_b = 0; f_b < BANKS; f_b = f_b + 1) begin
      f_ok_q1[f_b] <= !ri_q[12] && ri_q < {1'b0, cfg_height}
        && !f_x[f_b*14+13] && f_x[f_b*14 +: 14] < {2'b00, cfg_width};
      f_far_q1[f_b] <= ((BANKS + f_b - rot) % BANKS) + rot_q >= BANKS;
    end
    if (!f_init_q && f_step_q2) begin
      for (f_b = 0; f_b < BANKS; f_b = f_b + 1) begin
        assert (m_ok[f_b] == f_ok_q2[f_b]);
        assert (m_addr[f_b*16 +: 16] == ((f_addr_q2 + (f_far_q2[f_b] ? f_col_q2 : 16'd0)) & ((17'd1 << AW) - 17'd1)));
      end
    end
  end
  always @(posedge clk) begin
    if (!f_init_q && run_q) begin
      assume (f_same);
      assert (f_stable_q == 2'd3);
    end
    if (!f_init_q) begin
      assert (run_q || (!pad_q && !slot_end_q));
      if (walk_last) assert (run_q && !f_fresh_q);
      assert (walk_last == (pad_q || (row_end && !f_fresh_q)) && walk_ready == (!run_q || walk_last));
      if (f_stable_q == 2'd3 && f_same) begin
        assert (columns_q == ((DEGREE == 1) ? PP_C[COL_W-1:0] : PP_C[COL_W-1:0] << cfg_degree));
        assert (columns3_q == 3 * columns && class3_q == f_class3);
        assert (c_one_q == (PER_CHANNEL != 0 || cfg_c_last == 13'd0) && kx_one_q == (cfg_kx_last == 7'd0));
        assert (ky_one_q == (cfg_ky_last == 7'd0) && m_one_q == (cfg_m_last == 13'd0));
        assert (g_one_q == (cfg_g_last == 12'd0) && extra_q == (cfg_slot_extra != 12'd0));
        assert (extra_one_q == (cfg_slot_extra == 12'd1) && near0_q == f_near0);
        assert (far0_q - near0_q == col_words && xs0_q == 14'd0 - {7'd0, cfg_pad_left});
        assert ({1'b0, row_words} - row_over_q == ring_words[AW:0]);
        assert (turn0_q == (cfg_m_lo_last == 13'd0 || cfg_m_hi_last == 13'd0));
        assert (lo_before_q == cfg_m_lo_last - 13'd1 && hi_before_q == cfg_m_hi_last - 13'd1);
        assert (word0_q == (cfg_half_first ? cfg_half_words : 13'd0));
      end
      if (run_q) begin
        assert (c_left_q <= cfg_c_last && c_last_q == (PER_CHANNEL != 0 || c_left_q == 13'd0));
        assert (kx_left_q <= cfg_kx_last && kx_last_q == (kx_left_q == 7'd0));
        assert (ky_left_q <= cfg_ky_last && ky_last_q == (ky_left_q == 7'd0));
        assert (m_left_q <= cfg_m_last && m_last_q == (m_left_q == 13'd0) && m_q == cfg_m_last - m_left_q);
        if (!pad_q) assert (g_left_q <= cfg_g_last && g_last_q == (g_left_q == 12'd0));
        assert (kernel_x_end_q == (c_last_q && kx_last_q) && taps_last_q == (kernel_x_end_q && ky_last_q));
        assert (groups_last_q == (m_last_q && g_last_q));
        assert (slot_end_q == (wait_q ? wait_left_q == 12'd1 : taps_last_q && !extra_q && !pad_q));
        assert (tap_first_q == (!wait_q && c_left_q == cfg_c_last && kx_left_q == cfg_kx_last
                                && ky_left_q == cfg_ky_last));
        assert (turn_q == (m_q == cfg_m_lo_last || m_q == cfg_m_hi_last));
        if (cfg_half_words != 13'd0) begin
          assert (half_q == (cfg_half_first ^ (m_q > cfg_m_lo_last && m_q <= cfg_m_hi_last)));
        end
        if (PER_CHANNEL == 0) assert (word_q == cfg_c_last - c_left_q + (half_q ? cfg_half_words : 13'd0));
        assert ({1'b0, rot_q} < BANKS_C[ROT_W:0] && {1'b0, g_rot_q} < BANKS_C[ROT_W:0] && class_q <= cfg_stride_w);
        assert (far_q - near_q == col_words && g_far_q - g_near_q == col_words);
        assert (off_q < cfg_ring_words && top_off_q < cfg_ring_words);
        assert (wait_left_q <= cfg_slot_extra && (!extra_q || wait_left_q != 12'd0));
        if (wait_q) begin
          assert (extra_q && c_left_q == cfg_c_last && kx_left_q == cfg_kx_last && ky_left_q == cfg_ky_last);
        end else begin
          assert (wait_left_q == cfg_slot_extra);
        end
        if (!cfg_w_step) assert (w_q == cfg_w_base);
        if (tap_first_q && m_q == 13'd0) assert (w_q == cfg_w_base);
        if (kx_left_q == cfg_kx_last) assert (xs_q == g_xs_q && rot_q == g_rot_q && near_q == g_near_q);
        if (ky_left_q == cfg_ky_last) assert (off_q == top_off_q && ri_q == top_ri_q);
      end
    end
  end
`endif
endmodule
`default_nettype wire
