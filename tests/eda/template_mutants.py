# SPDX-License-Identifier: Apache-2.0
"""Planted bugs of the template's core modules. Each names who must find it: a random pair, the proof, or both."""

from __future__ import annotations

from dataclasses import dataclass

from params import PROOFS
from runner import Mutant


@dataclass(frozen=True, kw_only=True, slots=True)
class CoreMutant:
    """A planted bug with the seed of the pair whose bits or cycles must show it (None: nobody but the proof)."""

    mutant: Mutant
    seed: int | None


def _m(module: str, old: str, new: str, seed: int | None, proof: int | None = None) -> CoreMutant:
    params = None if proof is None else PROOFS[module][proof]
    return CoreMutant(mutant=Mutant(module=module, old=old, new=new, proof=params), seed=seed)


_LATE = "reg late_q;\n  always @(posedge clk) late_q <= xfer_q[4];\n  assign xfer = late_q;"

MUTANTS: tuple[CoreMutant, ...] = (
    # One row too many is started: a row is overwritten before its release.
    _m("nba_ring", "in_use[15] || in_use < ROWS", "in_use[15] || in_use <= ROWS", 30, 0),
    # Signs: rows released before they are written.
    _m("nba_ring", "stat_free  = in_use[15] || in_use <", "stat_free  = in_use <", None, 0),
    _m("nba_ring", "!ready[15] && ready >= need", "ready >= need", 1, 0),
    _m("nba_ring", "ready >= need", "ready > need", 52, 0),
    _m("nba_ring", "rnext_last ? LAST_C[15:0] : STEP_C[15:0]", "STEP_C[15:0]", 1),
    _m("nba_ring", "r_off_q    <= INIT_C[15:0]", "r_off_q    <= 16'd0", 88),
    _m("nba_ring", "w_over[16] ? w_sum[15:0] : w_over[15:0]", "w_sum[15:0]", 88, 0),
    # Decisions on the ring that is being written.
    _m("nba_edge", "p_hit[gi] = p_ring ==", "p_hit[gi] = w_ring ==", 52),
    _m("nba_edge", "(w_sub & {SUBS{w_en}})", "({SUBS{w_en}})", 52),
    _m("nba_edge", "r_next_pulse && r_hit[gi]", "r_next_pulse", 52),
    _m("nba_edge", "r_release_pulse && r_release_ring == ID[5:0]", "r_release_pulse", 1),
    _m("nba_writer", "parity) ? odd_addr : even_addr", "parity) ? even_addr : odd_addr", 13),
    _m(
        "nba_writer", "      if (s_col_last) begin\n        sub_q  <= SUB_FIRST;\n", "      if (s_col_last) begin\n", 88
    ),
    # Channels beyond the last are written: over the next row of the ring.
    _m("nba_writer", "fire && (word_q < cfg_words)", "fire", 87),
    _m("nba_writer", "        word_q <= 13'd0;\n        odd_q ", "        odd_q ", 52),
    _m("nba_writer", "if (!cfg_split || odd_q) col_q", "if (!cfg_split || !odd_q) col_q", 13),
    _m("nba_writer", "        col_q <= 16'd0;\n        odd_q <= 1'b0;\n", "        col_q <= 16'd0;\n", 88),
    _m("nba_writer", "done_q <= fire && row_end && !rst;", "done_q <= fire && s_col_last && !rst;", 88),
    # Rotation without the half bank set of odd columns.
    _m("nba_walk", "par_q ? HALF_C[3:0] : 4'd0", "4'd0", 48),
    _m("nba_walk", "(x < {2'b00, cfg_width})", "(x <= {2'b00, cfg_width})", 88),
    _m("nba_walk", "(ri_q < {1'b0, cfg_height})", "(ri_q <= {1'b0, cfg_height})", 88),
    _m("nba_walk", "          w_q      <= cfg_w_base;\n", "", 1, 0),
    # A row of one cycle without its idle cycle.
    _m("nba_walk", "(row_end && !fresh_q)", "row_end", None, 0),
    _m("nba_walk", "reach >= PP_C[4:0]", "reach > PP_C[4:0]", 28),
    _m("nba_walk", "wait_cnt_q == cfg_slot_extra", "wait_cnt_q > cfg_slot_extra", 28, 0),
    _m("nba_walk", "            xs_q   <= g_xs_q;\n", "", 88, 0),
    _m("nba_walk", "off_q <= off_over[16] ? off_sum[15:0] : off_over[15:0];", "off_q <= off_sum[15:0];", 52, 0),
    _m("nba_walk", "rot_wrap ? 3'd0 : rot_q + 3'd1", "rot_q + 3'd1", 88, 0),
    # Two groups: the half of the words never changes; changes a group late; does not change back; begins wrong.
    _m("nba_walk", "half_q ^ half_turn", "half_q", 85, 0),
    _m("nba_walk", "m_q == cfg_m_lo_last ||", "m_q == cfg_m_lo_last + 13'd1 ||", 85, 0),
    _m("nba_walk", " || m_q == cfg_m_hi_last;", ";", 85, 0),
    _m("nba_walk", "m_last ? cfg_half_first :", "m_last ? 1'b0 :", 140, 0),
    _m("nba_walk", "word_first = cfg_half_first ? cfg_half_words : 13'd0", "word_first = 13'd0", 27, 0),
    _m("nba_walk", "word_q <= word_base;", "word_q <= 13'd0;", 85, 0),
    # The end of the words of the second half.
    _m("nba_walk", "(c_q == cfg_c_last)", "(word_q == cfg_c_last)", 85, 0),
    _m("nba_seq", "{6'd0, cfg_ky_last} + 13'd1", "{6'd0, cfg_ky_last}", 52),
    # Input rows are released when the row starts.
    _m("nba_seq", "release_pulse    = walk_last", "release_pulse    = started_q", 52),
    _m("nba_seq", "state_q == ST_FETCH && fetch_q == 2'd3", "state_q == ST_FETCH && fetch_q == 2'd2", 52, 0),
    _m("nba_seq", "frame[32] || (cfg_frames", "1'b0 && (cfg_frames", 52),
    _m("nba_seq", "frame[31:0] >= cfg_frames", "frame[31:0] > cfg_frames", 52),
    _m("nba_seq", "(!walk_run || walk_last)", "!walk_run", 88),
    _m("nba_seq", "(!walk_run || walk_last)", "1'b1", None, 0),
    _m("nba_seq", "row_last ? height : (after", "1'b0 ? height : (after", 52),
    _m("nba_seq", "in_rows && rows_end && walk_last", "in_rows && rows_end", None, 0),
    _m("nba_drain", "        param_q   <= cfg_p_base;\n", "", 88, 0),
    _m("nba_drain", "= end_q[4];", "= end_q[3];", 52),
    _m("nba_drain", "= job_q[4];", "= job_q[3];", 52),
    _m("nba_drain", "cfg_res_en && res_word_q < cfg_res_words", "cfg_res_en && res_word_q <= cfg_res_words", 1),
    _m("nba_drain", "        busy_q <= 1'b0;\n        m_q ", "        m_q ", None, 0),
    _m("nba_drain", "        res_col_q <= res_group;\n", "", 85),
    # Accumulators are taken a cycle too late, a cycle too early.
    _m("nba_issue", "assign xfer       = xfer_q[4];", _LATE, 52),
    _m("nba_issue", "assign xfer       = xfer_q[4];", "assign xfer       = xfer_q[3];", 52),
    _m("nba_decide", "src_ok && res_ok && (", "src_ok && (", 52, 0),
    _m("nba_decide", "&(dst_free | ~cfg_dst_en)", "|(dst_free | ~cfg_dst_en)", 28, 0),
    # The drain's fields change under the rows that are still under way.
    _m("nba_results", "if (xfer_first) own_q <= next_q;", "own_q <= next_q;", 52),
    _m("nba_operands", "if (sel_q2 == i[3:0])", "if (cfg_sel == i[3:0])", 83),
    _m("nba_stats", "stat_busy = s_busy || rows_q != 4'd0;", "stat_busy = s_busy;", 26, 0),
)
