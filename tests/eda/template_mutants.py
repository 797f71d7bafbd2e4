# SPDX-License-Identifier: Apache-2.0
"""Planted bugs of the template's core modules. Each names who must find it: a random pair, the proof, or both."""

from __future__ import annotations

from dataclasses import dataclass

from params import PROOFS
from runner import Mutant
from template_pairs import CHANNEL_SEED, COLUMNS_SEED, PACKED_SEED, SLICE_SEED, STREAM_SEED, TURN_SEED


@dataclass(frozen=True, kw_only=True, slots=True)
class CoreMutant:
    """A planted bug with the seed of the pair whose bits or cycles must show it (None: nobody but the proof)."""

    mutant: Mutant
    seed: int | None


def _m(module: str, old: str, new: str, seed: int | None, proof: int | None = None) -> CoreMutant:
    params = None if proof is None else PROOFS[module][proof]
    return CoreMutant(mutant=Mutant(module=module, old=old, new=new, proof=params), seed=seed)


def _ring_pointer(side: str, choice: str, always: str) -> tuple[str, str]:
    """The step of a ring's pointer behind the last row of a slice, and the same without a choice."""
    other = {"w": "W_BACK", "r": "R_BACK"}[side]
    row = {"w": "!write_end ? W_OVER", "r": "!r_end ? STEP_OVER"}[side]
    begin = (
        f"{choice}_C[OFF_W-1:0] : {other}_C[OFF_W-1:0]);\n  wire [OFF_W:0]   {side}_over = {{1'b0, {side}_off_q}} + "
    )
    return (
        f"{begin}({row} : {choice}_OVER : {other}_OVER);",
        f"{begin}({row} : {always}_OVER);".replace(f"{choice}_C[OFF_W-1:0] : {other}_C", f"{always}_C"),
    )


_LATE = "reg late_q;\n  always @(posedge clk) late_q <= xfer_q[WAIT-1];\n  assign xfer = late_q;"

MUTANTS: tuple[CoreMutant, ...] = (
    # One row too many is started: a row is overwritten before its release.
    _m("nba_ring", "in_use_q[CNT_W-1] || in_use_q < ROWS", "in_use_q[CNT_W-1] || in_use_q <= ROWS", 30, 0),
    # Signs: rows released before they are written.
    _m("nba_ring", "(in_use_q[CNT_W-1] || in_use_q <", "(in_use_q <", None, 0),
    _m("nba_ring", "!ready_q[CNT_W-1] && ready_q >= need", "ready_q >= need", 1, 0),
    _m("nba_ring", "ready_q >= need", "ready_q > need", 52, 0),
    _m(
        "nba_ring",
        "r_sum  = r_off_q + (!r_end ? STEP_C[OFF_W-1:0] : r_last ? LAST_C[OFF_W-1:0] : R_BACK_C[OFF_W-1:0]);",
        "r_sum  = r_off_q + STEP_C[OFF_W-1:0];",
        1,
    ),
    _m("nba_ring", "r_off_q  <= INIT_C[OFF_W-1:0]", "r_off_q  <= {OFF_W{1'b0}}", 88),
    _m("nba_ring", "w_over[OFF_W] ? w_sum : w_over[OFF_W-1:0]", "w_sum", 88, 2),
    # The row that a residual operand is read from lags behind the pointer.
    _m("nba_ring", "r_next_long = {{(17-OFF_W){1'b0}}, r_next}", "r_next_long = {{(17-OFF_W){1'b0}}, r_off_q}", 1, 0),
    # Decisions on the ring that is being written.
    _m("nba_edge", "p_hit[gi] = p_ring ==", "p_hit[gi] = w_ring ==", 52),
    _m("nba_edge", "(w_sub & {SUBS{w_en[gi]}})", "({SUBS{w_en[gi]}})", 52),
    _m("nba_edge", "r_next_pulse && r_hit[gi]", "r_next_pulse", 52),
    _m("nba_edge", "r_release_pulse && r_release_ring == ID[5:0]", "r_release_pulse", 1),
    _m("nba_writer", "(class_i[0] ? base1_q1 : base0_q1)", "(class_i[0] ? base0_q1 : base1_q1)", 13),
    _m(
        "nba_writer",
        "        sub_q         <= SUB_FIRST;\n        sub_group_q   <= SUB_FIRST;\n        word_q ",
        "        word_q ",
        88,
    ),
    # Channels beyond the last are written: over the next row of the ring.
    _m("nba_writer", "fire && (word_q < cfg_words)", "fire", 87),
    _m(
        "nba_writer",
        "        word_q        <= 13'd0;\n        word_group_q  <= 13'd0;\n        place_q ",
        "        place_q ",
        52,
    ),
    _m("nba_writer", "if (place_last) col_q", "if (place_q == {PLACE_W{1'b0}}) col_q", 13),
    _m(
        "nba_writer",
        "        place_q       <= {PLACE_W{1'b0}};\n        place_group_q <= {PLACE_W{1'b0}};\n      end\n    end\n",
        "      end\n    end\n",
        88,
    ),
    _m("nba_writer", "w_done_pulse = fire && row_end", "w_done_pulse = fire && s_col_last", 88),
    # Rotation without the half bank set of odd columns.
    _m(
        "nba_walk",
        "(gt % (1 << ROT_W) + {28'd0, OFFSETS[4*CLASS +: 4]}) % BANKS",
        "gt % (1 << ROT_W) % BANKS",
        48,
    ),
    _m("nba_walk", "xs < limit_q", "xs <= limit_q", 88, 0),
    _m("nba_walk", "(ri_q < {1'b0, cfg_height})", "(ri_q <= {1'b0, cfg_height})", 88),
    _m("nba_walk", "          w_q      <= cfg_w_base;\n", "", 1, 0),
    # The idle cycle behind a row of one cycle is not its last.
    _m("nba_walk", "last_d        = row_end ||", "last_d        =", None, 0),
    _m("nba_walk", "place < rot_q;", "place <= rot_q;", 28, 0),
    _m("nba_walk", "wait_q ? wait_left_q == 12'd2", "wait_q ? wait_left_q == 12'd1", 28, 0),
    _m("nba_walk", "          xs_q      <= g_xs_q;\n", "", 88, 0),
    _m("nba_walk", "off_over[AW] ? off_sum : off_over[AW-1:0];", "off_sum;", 52, 0),
    _m("nba_walk", "rot_wrap ? {ROT_W{1'b0}} : rot_q + 1'b1", "rot_q + 1'b1", 88, 0),
    # Two groups: the half of the words never changes; changes a group late; does not change back; begins wrong.
    _m("nba_walk", "half_q ^ turn_q", "half_q", 85, 0),
    _m("nba_walk", "m_q == lo_before_q ||", "m_q == lo_before_q + 13'd1 ||", 85, 0),
    _m("nba_walk", " || m_q == hi_before_q;", ";", 85, 0),
    _m("nba_walk", "m_last_q ? cfg_half_first :", "m_last_q ? 1'b0 :", 140, 0),
    _m("nba_walk", "word0_q     <= cfg_half_first ? cfg_half_words : 13'd0", "word0_q     <= 13'd0", 27, 0),
    _m("nba_walk", "c_last_q ? word_base :", "c_last_q ? 13'd0 :", 85, 0),
    # A loop ends one early; a column of the next group is taken for one of this group.
    _m("nba_walk", "c_last_q ? c_one_q : c_left_q == 13'd1;", "c_last_q ? c_one_q : c_left_q == 13'd2;", 52, 0),
    _m("nba_walk", "              near_q <= far_q;\n", "", 88, 0),
    _m("nba_seq", "kernel   = {6'd0, cfg_ky_last} + 13'd1", "kernel   = {6'd0, cfg_ky_last}", 52, 0),
    # Input rows are released when the row starts.
    _m("nba_seq", "release_pulse    = walk_last", "release_pulse    = started_q", 1),
    _m("nba_seq", "FETCH_LAST = 3'd4", "FETCH_LAST = 3'd3", 52, 0),
    _m("nba_seq", "<= begun_q < stage_q[S_W-1:0] ||", "<=", 52, 0),
    _m("nba_seq", "over_q >= stage_q[S_W-1:0]", "over_q > stage_q[S_W-1:0]", 52, 0),
    _m("nba_seq", "open_q && walk_ready &&", "open_q && walk_ready && !walk_last &&", 88),
    _m("nba_seq", "open_q && walk_ready &&", "open_q &&", None, 0),
    _m("nba_seq", "(last_n_q && ends_q) ? to_end : passed", "passed", 52, 0),
    _m("nba_seq", "in_rows && !open_q && walk_last", "in_rows && !open_q", None, 0),
    # What a row needs, of the row before it.
    _m("nba_seq", "      need_q     <= need_n_q;\n", "      need_q     <= need_q;\n", 52, 0),
    _m("nba_drain", "        param_q       <= cfg_p_base[P_AW-1:0];\n", "", 88, 0),
    _m("nba_drain", "= end_q[FLAGS-1];", "= end_q[FLAGS-2];", 52),
    _m("nba_drain", "= turn_q[FLAGS-1];", "= turn_q[FLAGS-2];", 52),
    _m("nba_drain", "cfg_res_en && !words_end", "cfg_res_en", 1),
    _m("nba_drain", "        busy_q        <= 1'b0;\n", "", None, 0),
    _m("nba_drain", "        res_col_q     <= res_next;\n", "", 85),
    # Accumulators are taken a cycle too late, a cycle too early.
    _m("nba_issue", "assign xfer       = xfer_q[WAIT-1];", _LATE, 52),
    _m("nba_issue", "assign xfer       = xfer_q[WAIT-1];", "assign xfer       = xfer_q[WAIT-2];", 52),
    _m("nba_decide", "src_ok && res_ok && (", "src_ok && (", 52, 0),
    _m("nba_decide", "&(dst_free | ~dst_is_q)", "|(dst_free | ~dst_is_q)", 28, 0),
    # The drain's fields change under the rows that are still under way.
    _m("nba_results", "if (xfer_first) own_q <=", "own_q <=", 52),
    _m("nba_results", "if (renew_q[4]) tail_q", "if (xfer_first) tail_q", 28),
    _m("nba_operands", "if (sel == i[3:0])", "if (cfg_sel == i[3:0])", 83),
    # Packed products: weights rounded as a later job asks; weights a step late; products of weights a step early.
    _m("nba_operands", "(EARLY != 0) ? nest_w_q[35:27] :", "(EARLY != 0) ? {cfg_w_bits, cfg_w_shift} :", 1),
    _m("nba_operands", "((EARLY != 0) ? 0 : 1)", "((EARLY == 2) ? 0 : 1)", 1),
    _m(
        "nba_chunk",
        "    .PACK       (PACK),\n    .CHAIN      (CHAIN),\n    .HAS_MAX",
        "    .PACK       (0),\n    .CHAIN      (CHAIN),\n    .HAS_MAX",
        1,
    ),
    # Packed columns. A pass that begins behind the channels of the one before; passes whose columns stay where they
    # were; the next channel group where the last pass was.
    _m("nba_writer", "        sub_q   <= sub_group_q;\n        word_q  <= word_group_q;\n", "", PACKED_SEED + 16),
    _m(
        "nba_writer",
        "        place_q <= place_next;\n      end\n      if (s_group_last)",
        "      end\n      if (s_group_last)",
        PACKED_SEED + 16,
    ),
    _m("nba_writer", "        place_q      <= place_group_q;\n", "", PACKED_SEED + 16),
    # Places in a word of all banks: of whole rows in the wrong order; of split ones without the half bank set of odd
    # columns, of all and of one column a step; as many places as the other kind of rows has.
    _m(
        "nba_writer",
        "localparam [31:0] P0 = X0 / PP;",
        "localparam [31:0] P0 = (gs == 0) ? PLACES - 1 - X0 / PP : X0 / PP;",
        PACKED_SEED + 16,
    ),
    _m("nba_writer", " - {28'd0, OFFSETS[16*gs+4 +: 4]})", ")", PACKED_SEED + 6),
    _m("nba_writer", "split[0] ? LAST2[PLACE_W-1:0] : LAST[PLACE_W-1:0]", "LAST2[PLACE_W-1:0]", PACKED_SEED + 14),
    _m("nba_writer", "split[0] ? LAST2[PLACE_W-1:0] : LAST[PLACE_W-1:0]", "LAST[PLACE_W-1:0]", PACKED_SEED + 5),
    # The next column group begins too few banks further; past the last bank; in the next word of banks too late; at the
    # bank of the first group again; always two times pp columns further.
    _m(
        "nba_walk",
        "rot_over = {1'b0, g_rot_q} + columns_q;",
        "rot_over = {1'b0, g_rot_q} + PP_C[COL_W-1:0];",
        PACKED_SEED + 5,
    ),
    _m("nba_walk", "rot_over[ROT_W-1:0] & BANKS_LAST[ROT_W-1:0]", "rot_over[ROT_W-1:0]", PACKED_SEED + 13),
    _m("nba_walk", "rot_over >= BANKS_C[ROT_W:0]", "rot_over > BANKS_C[ROT_W:0]", PACKED_SEED + 13),
    _m("nba_walk", "          g_rot_q  <= rot_group;\n", "", PACKED_SEED + 25),
    _m(
        "nba_walk",
        "(DEGREE == 1) ? PP_C[COL_W-1:0] : PP_C[COL_W-1:0] << cfg_degree;",
        "(DEGREE == 1) ? PP_C[COL_W-1:0] : PP_C[COL_W-1:0] << 1;",
        PACKED_SEED + 27,
    ),
    # Passes in the wrong order; the residual operand of the next step's columns; a group whose residual operand lies
    # where the last pass was; parameters and words of a pass behind those of the one before; too few passes; a group
    # that leaves its parameters as they were.
    _m("nba_drain", "*DEGREE+i)*SHARE+m%SHARE", "*DEGREE+DEGREE-1-i)*SHARE+m%SHARE", PACKED_SEED + 16),
    _m("nba_drain", "res_pos_q[8:6];", "res_pos_q[5:3];", PACKED_SEED + 25),
    _m("nba_drain", "        pos_q         <= pos_group_q;\n", "", PACKED_SEED + 25),
    _m("nba_drain", "        param_q      <= param_group_q;\n", "", PACKED_SEED + 16, 2),
    _m(
        "nba_drain",
        "        res_q        <= res_group_q;\n        words_left_q <= words_group_q;\n",
        "        res_q        <= res_group_q;\n",
        PACKED_SEED + 25,
    ),
    _m("nba_drain", "(cfg_degree == 2'd1) ? 2'd1 : 2'd3", "2'd1", PACKED_SEED + 27),
    _m("nba_drain", "again    = d_last && pass_q != pass_last;", "again    = d_last;", PACKED_SEED + 16, 2),
    # Operands are packed, and products taken apart, as a later job asks; without a stage for engines that do not mix.
    _m("nba_operands", ".s_degree(degree_q[13:12]),", ".s_degree(cfg_degree),", PACKED_SEED + 14),
    _m("nba_operands", "degree_q8 <= degree_q[13:12];", "degree_q8 <= cfg_degree;", PACKED_SEED + 6),
    _m("nba_chunk", "(PER_CHANNEL == 0 && BANKS > PP) ? 1 : 0,", "(BANKS > PP) ? 1 : 0,", PACKED_SEED + 16),
    # The residual operand is that of the first columns of a word.
    _m("nba_results", "word[res_pos*RES_W +: RES_W]", "word[0 +: RES_W]", PACKED_SEED + 5),
    # Pad codes per channel: also where the job has one for all; of the first word; of the first job; of the next step;
    # as the next job has them. Shifts per channel: above the shift of the job before.
    _m("nba_pads", "own_q[3] ? word : {LANES{s_pad}}", "word", CHANNEL_SEED + 36),
    _m("nba_pads", "entry_q[15:0] + {3'd0, s_word}", "entry_q[15:0]", CHANNEL_SEED + 46),
    _m("nba_pads", "entry_q[15:0] + {3'd0, s_word}", "{3'd0, s_word}", CHANNEL_SEED + 46),
    _m("nba_pads", ".addr(addr_q2)", ".addr(addr_q1)", CHANNEL_SEED + 46),
    _m("nba_pads", "own_q[3] ? word", "own_q[0] ? word", CHANNEL_SEED + 41),
    _m("nba_operands", ".s_word(s_word),", ".s_word(13'd0),", CHANNEL_SEED + 46),
    _m("nba_results", ".c_least     (early_shift)", ".c_least     (o_shift)", CHANNEL_SEED + 46),
    _m("nba_stats", "stat_busy = s_busy || rows_q != 5'd0;", "stat_busy = s_busy;", 26, 0),
    # Any number of columns: the place of the next column group is not brought back among the banks.
    _m("nba_walk", "g_wrap ? rot_less : rot_over[ROT_W-1:0]", "rot_over[ROT_W-1:0]", COLUMNS_SEED + 30, 3),
    # Strides above 2: the next group, or the columns of a step, too far or not far enough; a class of columns at the
    # words of another; classes end too early; rows four instead of three further.
    _m("nba_walk", "columns3_q)\n", "{columns[11:0], 2'b00})\n", COLUMNS_SEED + 48),
    _m("nba_walk", ": ID3[13:0])", ": {ID[12:0], 1'b0})", None, 3),
    _m(
        "nba_walk",
        "? class3_q : {class_words[AW-2:0], 1'b0})",
        "? class3_q : class_words)",
        COLUMNS_SEED,
        3,
    ),
    _m(
        "nba_walk",
        "class3_q    <= class_words + {class_words[AW-2:0], 1'b0};",
        "class3_q    <= {class_words[AW-2:0], 1'b0};",
        COLUMNS_SEED + 12,
    ),
    _m(
        "nba_walk",
        "rot_step = class_q == cfg_stride_w;",
        "rot_step = class_q == cfg_stride_w || class_q[WIDE];",
        COLUMNS_SEED + 12,
    ),
    _m("nba_seq", "(cfg_stride_h[0] ? 13'd4 : 13'd3)", "13'd4", COLUMNS_SEED),
    # Turns: their last row is taken for the last of its frame, for the ring and for what is released; all begin at the
    # top of the map; late ones are of the wrong frame; starts and ends of turns are those of jobs; the drain counts the
    # rows of another turn.
    _m("nba_seq", "= last_q && ends_q;", "= last_q;", TURN_SEED + 4),
    _m("nba_seq", "(last_n_q && ends_q) ? to_end", "last_n_q ? to_end", TURN_SEED + 4, 0),
    _m("nba_seq", "top_n_q       <= begin_q;", "top_n_q       <= 13'd0;", TURN_SEED + 4, 0),
    _m("nba_seq", "      stage_q <= next_stage;\n", "      stage_q <= 8'd0;\n", TURN_SEED + 4),
    _m("nba_seq", "started_q && opens_q;", "started_q;", TURN_SEED + 4),
    _m("nba_seq", "      rows_q  <= next_rows;\n", "      rows_q  <= rows_q;\n", TURN_SEED + 4, 0),
    _m("nba_results", "turn_last && tail_q[DRAIN_W+DSTS_W+8]", "turn_last", TURN_SEED + 4),
    _m("nba_program", ".addr(turn)", ".addr({4'd0, job})", TURN_SEED + 4),
    _m(
        "nba_writer",
        "base3_q1    <= row_addr + class3_q;",
        "base3_q1    <= row_addr + class_words;",
        COLUMNS_SEED + 12,
    ),
    _m("nba_writer", "hit2 = gs > 1", "hit2 = gs > 2", COLUMNS_SEED),
    _m(
        "nba_writer",
        "LAST4[PLACE_W-1:0] : LAST3[PLACE_W-1:0]",
        "LAST4[PLACE_W-1:0] : LAST4[PLACE_W-1:0]",
        COLUMNS_SEED + 48,
    ),
    _m("nba_writer", "(STRIDES * PLACES > 16) ? 6 : 4", "4", COLUMNS_SEED + 21),
    # Classes start where those of the other kind of stride do, on either side.
    _m("nba_writer", "((r % g) * part + (r / g) * step)", "((r % g) * part)", COLUMNS_SEED),
    _m("nba_walk", "((r % g) * part + (r / g) * step)", "((r % g) * part)", COLUMNS_SEED),
    # Slices. Rows are taken, written, held and released in every slice; a slice does not wait for the whole map, or
    # waits for rows that it has already.
    _m("nba_ring", "taken    = start_pulse && start_first;", "taken    = start_pulse;", SLICE_SEED + 11, 3),
    _m("nba_ring", "written  = done_pulse && write_last;", "written  = done_pulse;", SLICE_SEED + 11),
    _m("nba_ring", "held     = hold_pulse && hold_last;", "held     = hold_pulse;", SLICE_SEED + 11),
    _m("nba_ring", "released = release_pulse && release_last;", "released = release_pulse;", SLICE_SEED + 15),
    _m("nba_ring", "hold_last ? need[CNT_W-1:0] : MAP_C[CNT_W-1:0]", "need[CNT_W-1:0]", SLICE_SEED + 15, 3),
    _m("nba_ring", " || !start_first);\n    avail_q", ");\n    avail_q", SLICE_SEED + 10, 3),
    # Pointers: the next frame begins where the next slice would, on either side; a slice where the next frame would;
    # the rows of residual operands are not counted, or counted when they are held; those of the producer when they
    # start.
    _m("nba_ring", *_ring_pointer("w", "write_last ? W_LAST", "W_BACK"), SLICE_SEED + 11),
    _m("nba_ring", *_ring_pointer("w", "write_last ? W_LAST", "W_LAST"), SLICE_SEED + 11),
    _m("nba_ring", *_ring_pointer("r", "r_last ? LAST", "R_BACK"), SLICE_SEED + 11),
    _m("nba_ring", *_ring_pointer("r", "r_last ? LAST", "LAST"), SLICE_SEED + 11),
    _m("nba_ring", "(R_COUNT != 0) ? release_end : rnext_last", "rnext_last", SLICE_SEED + 15),
    _m("nba_ring", "(R_COUNT != 0) ? release_last : hold_last", "hold_last", SLICE_SEED + 15),
    _m("nba_ring", ".row_pulse (done_pulse)", ".row_pulse (start_pulse)", SLICE_SEED + 11),
    # The count of slices and of their rows: a slice or a row too late; never the first again; one row is not the last.
    _m("nba_slices", "last_q  <= slice_next ==", "last_q  <= slice_q ==", SLICE_SEED + 11, 0),
    _m("nba_slices", "end_q <= row_next ==", "end_q <= row_q ==", SLICE_SEED + 11, 0),
    _m("nba_slices", "first_q <= last_q;", "first_q <= 1'b0;", SLICE_SEED + 10, 0),
    _m("nba_slices", "end_q   <= ROWS == 1;", "end_q   <= 1'b0;", SLICE_SEED + 11, 2),
    # A turn ends its frame where it ends the map; its parameters and weights are those of the slice before, of the
    # first slice.
    _m("nba_seq", "closes_q <= next_closes;", "closes_q <= next_ends;", SLICE_SEED + 11),
    _m("nba_seq", "      step_q   <= next_step;\n", "      step_q   <= step_q;\n", SLICE_SEED + 11),
    _m("nba_seq", "      weight_q <= next_weight;\n", "      weight_q <= weight_q;\n", SLICE_SEED + 11),
    _m("nba_issue", "w_base_q <= f_w_base + turn_weight;", "w_base_q <= f_w_base;", SLICE_SEED + 11),
    _m("nba_chunk", "row[P_BASE_AT +: 16] + turn_step;", "row[P_BASE_AT +: 16];", SLICE_SEED + 11),
    # A ring with the slices of another one in its edge.
    _m("nba_edge", "{16'd0, W_BACK[gi*16 +: 16]}", "{16'd0, W_BACK[0 +: 16]}", SLICE_SEED + 22),
    _m("nba_edge", "{16'd0, R_SLICES[gi*16 +: 16]}", "{16'd0, R_SLICES[0 +: 16]}", SLICE_SEED + 26),
    # Streamed weights. A row starts without its weights, or all rows take some; room is free after every row, or with
    # jobs whose weights are on chip.
    _m("nba_decide", " && (store_avail || !stream_q);", ";", STREAM_SEED + 7, 0),
    _m(
        "nba_decide",
        "store_hold_pulse = go && stream_q && src_next_last",
        "store_hold_pulse = go && stream_q",
        STREAM_SEED + 29,
        0,
    ),
    _m("nba_decide", "release_row && slice_end_q;", "release_row && stream_q;", STREAM_SEED + 29, 0),
    _m("nba_decide", "slice_end_q <= stream_q && src_next_last;", "slice_end_q <= src_next_last;", STREAM_SEED + 7, 0),
    # Room is free, and the next slice is read, before the last steps of a slice are; weights on chip are read from a
    # slot.
    _m("nba_operands", ".release_pulse(done_q[3])", ".release_pulse(store_done_pulse)", STREAM_SEED + 29),
    _m("nba_operands", ".next_pulse   (done_q[3])", ".next_pulse   (store_done_pulse)", STREAM_SEED + 20),
    _m("nba_operands", ".s_slot       (stream_q[W_LATE+1])", ".s_slot       (1'b1)", STREAM_SEED + 20),
    # Words of a row of a store: read a cycle late, taken for each other, not counted.
    _m("nba_operands", "(PER > 1) ? W_WAIT - 2 : W_WAIT - 1", "W_WAIT - 1", STREAM_SEED + 18),
    _m("nba_operands", "row[sub_q[2*SUB_W +: SUB_W]*", "row[sub_q[SUB_W +: SUB_W]*", STREAM_SEED + 18),
    _m("nba_operands", "row_addr = {{SUB_W{1'b0}}, w_addr[15:SUB_W]};", "row_addr = w_addr;", STREAM_SEED + 18),
    _m("nba_operands", "((SLOT_WORDS + PER - 1) / PER)", "(SLOT_WORDS / PER)", STREAM_SEED + 30),
    # Groups of output columns that lie side by side: in words of their own; taken for each other.
    _m("nba_host_out", "back ? addr_q - WORD_LAST[AW-1:0] : addr_q + 1'b1", "addr_q + 1'b1", COLUMNS_SEED + 45, 2),
    _m("nba_host_out", "places_q[2*PLACE_W +: PLACE_W]", "places_q[0 +: PLACE_W]", COLUMNS_SEED + 4),
)
