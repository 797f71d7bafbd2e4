# SPDX-License-Identifier: Apache-2.0
"""Planted bugs of the modules of the template's core. Each names who must find it: a random pair, the proof, or both."""

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


MUTANTS: tuple[CoreMutant, ...] = (
    # One row too many is started: a row is overwritten before its release.
    _m("nba_ring", "in_use[15] || in_use < ROWS", "in_use[15] || in_use <= ROWS", S0, 0),
    # Signs: rows released before they are written.
    _m("nba_ring", "stat_free  = in_use[15] || in_use <", "stat_free  = in_use <", None, 0),
    _m("nba_ring", "!ready[15] && ready >= need", "ready >= need", S2, 0),
    _m("nba_ring", "ready >= need", "ready > need", S3, 0),
    _m("nba_ring", "rnext_last ? LAST_C[15:0] : STEP_C[15:0]", "STEP_C[15:0]", S4),
    _m("nba_ring", "r_off_q    <= INIT_C[15:0]", "r_off_q    <= 16'd0", S5),
    _m("nba_ring", "w_over[16] ? w_sum[15:0] : w_over[15:0]", "w_sum[15:0]", S6, 0),
    # Decisions on the ring that is being written.
    _m("nba_edge", "p_hit[gi] = p_ring ==", "p_hit[gi] = w_ring ==", S7),
    _m("nba_edge", "(w_sub & {SUBS{w_en}})", "({SUBS{w_en}})", S8),
    _m("nba_edge", "r_next_pulse && r_hit[gi]", "r_next_pulse", S9),
    _m("nba_edge", "r_release_pulse && r_release_ring == ID[5:0]", "r_release_pulse", S10),
    _m("nba_writer", "parity) ? odd_addr : even_addr", "parity) ? even_addr : odd_addr", S11),
    _m("nba_writer", "      if (s_col_last) begin\n        sub_q  <= SUB_FIRST;\n", "      if (s_col_last) begin\n", S12),
    _m("nba_writer", "(word_q < cfg_words)", "(word_q <= cfg_words)", S13),
    _m("nba_writer", "if (!cfg_split || odd_q) col_q", "if (!cfg_split || !odd_q) col_q", S14),
    _m("nba_writer", "        col_q <= 16'd0;\n        odd_q <= 1'b0;\n", "        col_q <= 16'd0;\n", S15),
    _m("nba_writer", "done_q <= fire && row_end && !rst;", "done_q <= fire && s_col_last && !rst;", S16),
    # Rotation without the half bank set of odd columns.
    _m("nba_walk", "par_q ? HALF_C[3:0] : 4'd0", "4'd0", S17),
    _m("nba_walk", "(x < {2'b00, cfg_width})", "(x <= {2'b00, cfg_width})", S18),
    _m("nba_walk", "(ri_q < {1'b0, cfg_height})", "(ri_q <= {1'b0, cfg_height})", S19),
    _m("nba_walk", "          w_q      <= cfg_w_base;\n", "", S20, 0),
    # A row of one cycle without its idle cycle.
    _m("nba_walk", "(row_end && !fresh_q)", "row_end", None, 0),
    _m("nba_walk", "reach >= PP_C[4:0]", "reach > PP_C[4:0]", S22),
    _m("nba_walk", "wait_cnt_q == cfg_slot_extra", "wait_cnt_q > cfg_slot_extra", S23, 0),
    _m("nba_walk", "            xs_q   <= g_xs_q;\n", "", S24, 0),
    _m("nba_walk", "off_q <= off_over[16] ? off_sum[15:0] : off_over[15:0];", "off_q <= off_sum[15:0];", S25, 0),
    _m("nba_walk", "rot_wrap ? 3'd0 : rot_q + 3'd1", "rot_q + 3'd1", S26, 0),
    _m("nba_seq", "{7'd0, cfg_ky_last} + 13'd1", "{7'd0, cfg_ky_last}", S27),
    # Input rows are released when the row starts.
    _m("nba_seq", "release_pulse    = walk_last", "release_pulse    = started_q", S28),
    _m("nba_seq", "state_q == ST_FETCH && fetch_q == 2'd3", "state_q == ST_FETCH && fetch_q == 2'd2", S29, 0),
    _m("nba_seq", "frame[32] || (cfg_frames", "1'b0 && (cfg_frames", S30),
    _m("nba_seq", "frame[31:0] >= cfg_frames", "frame[31:0] > cfg_frames", S31),
    _m("nba_seq", "(!walk_run || walk_last)", "!walk_run", S32),
    _m("nba_seq", "(!walk_run || walk_last)", "1'b1", None, 0),
    _m("nba_seq", "row_last ? height : (after", "1'b0 ? height : (after", S34),
    _m("nba_seq", "in_rows && rows_end && walk_last", "in_rows && rows_end", None, 0),
    _m("nba_drain", "        param_q   <= cfg_p_base;\n", "", S36, 0),
    _m("nba_drain", "m_row_last     = end_q[4]", "m_row_last     = end_q[3]", S37),
    _m("nba_drain", "m_job_last     = job_q[4]", "m_job_last     = job_q[3]", S38),
    _m("nba_drain", "cfg_res_en && res_word_q < cfg_res_words", "cfg_res_en && res_word_q <= cfg_res_words", S39),
    _m("nba_drain", "        busy_q <= 1'b0;\n        m_q ", "        m_q ", None, 0),
    _m("nba_drain", "        res_col_q <= res_group;\n", "", S41),
    # Accumulators are taken a cycle too late, a cycle too early.
    _m("nba_chunk", "wire xfer       = xfer_q[4];", "reg  xfer;\n  always @(posedge clk) xfer <= xfer_q[4];", S42),
    _m("nba_chunk", "wire xfer       = xfer_q[4];", "wire xfer       = xfer_q[3];", S43),
    _m("nba_chunk", "src_ok && res_ok && (", "src_ok && (", S44),
    _m("nba_chunk", "&(dst_free | ~dst_en)", "|(dst_free | ~dst_en)", S45),
    # The drain's fields change under the rows that are still under way.
    _m("nba_chunk", "if (xfer_first) own_q <= next_q;", "if (start_row) own_q <= {job, late};", S46),
    _m("nba_chunk", "    sel_q2    <= sel_q1;", "    sel_q2    <= f_src_sel;", S47),
    _m("nba_chunk", "stat_busy = seq_busy || rows_q != 4'd0;", "stat_busy = seq_busy;", S48),
)
