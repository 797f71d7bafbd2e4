# SPDX-License-Identifier: Apache-2.0
"""Planted bugs of the modules that stream weights: of nba_fetch and nba_store."""

from __future__ import annotations

from params import BENCHES, PROOFS
from runner import Mutant


def _m(module: str, old: str, new: str, proof: int | None, bench: int | None) -> Mutant:
    return Mutant(
        module=module,
        old=old,
        new=new,
        proof=None if proof is None else PROOFS[module][proof],
        bench=None if bench is None else BENCHES[module][bench],
    )


def _fetch(old: str, new: str, proof: int | None, bench: int | None) -> Mutant:
    return _m("nba_fetch", old, new, proof, bench)


def _store(old: str, new: str, proof: int | None, bench: int | None) -> Mutant:
    return _m("nba_store", old, new, proof, bench)


FETCH: tuple[Mutant, ...] = (
    _fetch("cfg_base[ADDR_W-1:LOW] + first_long[NUM_W-1:0];\n    more", "first_long[NUM_W-1:0];\n    more", 0, 0),
    # A burst overwrites the one that waits.
    _fetch("go       = up && !skip_q && !wait_q", "go       = up && !skip_q", 0, 0),
    _fetch("(bursts_q && !wait_q)", "bursts_q", 0, 0),
    # Frames that have not begun, and those that are over.
    _fetch("skip_q       <= begun_q <", "skip_q       <= begun_q <=", 0, 0),
    _fetch("over_q >= word_stage", "over_q > word_stage", 0, 2),
    _fetch("final_q <= end_q && last_round;", "final_q <= end_q && one_q;", 0, 0),
    _fetch("end_q ? 12'd0 : item_q + 12'd1", "item_q + 12'd1", 0, 0),
    # The fields of a fetch are not there yet; a cycle of pause too many.
    _fetch("ready_q <= step_q[2] ||", "ready_q <= step_q[1] ||", 0, 0),
    _fetch("up       = ready_q && !bursts_q;", "up       = ready_q && !bursts_q && !round_q && !arvalid_q;", None, 0),
    # The last burst of a fetch: its length, and which one it is.
    _fetch("put_last ? rest_long[7:0] : WHOLE[7:0]", "WHOLE[7:0]", 0, 0),
    _fetch("last_q        <= bursts_left_q == 16'd2;", "last_q        <= bursts_left_q == 16'd1;", 0, 4),
    _fetch("last_q        <= double_q;", "last_q        <= 1'b0;", 0, 0),
    # A reset withdraws a burst from the bus; or offers another one.
    _fetch("    if (axi_rst) arvalid_q <= 1'b0;", "    if (clear) arvalid_q <= 1'b0;", 0, 0),
    _fetch("arvalid_q <= (wait_q || put) && !rst;", "arvalid_q <= wait_q || put;", 0, 0),
    _fetch("&& !ar_free && !clear;", "&& !ar_free;", 0, 4),
    # Idle while data is outstanding; never idle after a reset; a start in between.
    _fetch("even_q <= quiet && asked_q == had_q && !start;", "even_q <= quiet && !start;", 0, 0),
    _fetch("if (beat && (open_q || drain_q)) had_q", "if (beat && open_q) had_q", None, 0),
    _fetch("start_pulse && !busy_q && !clear;", "start_pulse && !clear;", 0, 0),
    _fetch("m_axi_rready  = busy_q;", "m_axi_rready  = run_q;", 0, 0),
    # What a reset left over is taken for new data; or reported.
    _fetch("    if (clear) open_q <= 1'b0;\n", "", 0, 0),
    _fetch("beat && !open_q && !drain_q && !clear;", "beat && !open_q && !clear;", None, 0),
    # The end of a fetch on the port to the stores; the room of another target; more fetches than the queue holds.
    _fetch("tail_q  <= after_q == 16'd1;", "tail_q  <= after_q == 16'd2;", 0, 0),
    _fetch("(|(free & target_q))", "(|free)", 0, 0),
    _fetch("&& !wait_q && queue_ready &&", "&& !wait_q &&", None, 2),
    # Errors that are not seen, or for ever.
    _fetch("    if ((check_q && bad_q) || stray_q)", "    if (check_q && bad_q)", None, 0),
    _fetch("m_axi_rresp != 2'b00 || m_axi_rlast != burst_end;", "m_axi_rresp != 2'b00;", None, 0),
    _fetch("m_axi_rresp != 2'b00 || m_axi_rlast", "m_axi_rresp[1] || m_axi_rlast", None, 0),
    _fetch("if (start || clear) error_q", "if (clear) error_q", None, 0),
    _fetch("place_q <= place_q + 1'b1;", "place_q <= place_q;", None, 0),
)
STORE: tuple[Mutant, ...] = (
    _store("first_q ? w_slot[AW-1:0] : word_q;", "word_q;", 0, 0),
    _store("first_q <= s_last;", "first_q <= 1'b0;", 0, 0),
    _store("col_q[COLS-1] ? w_addr + 1'b1 : w_addr;", "w_addr + 1'b1;", 0, 0),
    # The next slice begins in the middle of a word; a beat comes a word late.
    _store("col_end = s_last || col_q[COLS-1];", "col_end = col_q[COLS-1];", 2, 3),
    _store("w_addr_q <= w_addr;", "w_addr_q <= word_q;", 0, 0),
    # A slot for words that are always there; every beat without valid ends a slice.
    _store("s_addr + (r_slot & {16{s_slot}})", "s_addr + r_slot", 1, 2),
    _store("done = s_valid && s_last;", "done = s_last;", None, 0),
    # A beat of before the reset is written after it.
    _store("      w_en_q  <= {COLS{1'b0}};\n", "", 0, None),
    # A slot too many; a slice that nobody held is freed; a word a cycle early.
    _store(".ROWS      (SLOTS)", ".ROWS      (SLOTS + 1)", None, 0),
    _store(".hold_pulse   (hold_pulse)", ".hold_pulse   (release_pulse)", None, 0),
    _store("assign m_word = m_word_q;", "assign m_word = word;", 0, 0),
    # UltraRAM that reads where it writes.
    _store(
        "out_q <= word_mem[r_addr];\n\n      assign word = out_q;\n`ifdef FORMAL\n      assign f_mem = word_mem[f_a];\n"
        "`endif\n    end else if",
        "out_q <= word_mem[w_addr_q];\n\n      assign word = out_q;\n`ifdef FORMAL\n      assign f_mem = word_mem[f_a];"
        "\n`endif\n    end else if",
        3,
        5,
    ),
)
MUTANTS = (*FETCH, *STORE)
