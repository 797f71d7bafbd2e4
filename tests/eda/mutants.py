# SPDX-License-Identifier: Apache-2.0
"""Planted bugs of the stream, memory and host modules, and of those that stream weights. Each names who must find
it: the proof, the bench, or both."""

from __future__ import annotations

from fetch_mutants import MUTANTS as STREAMED
from params import BENCHES, PROOFS
from runner import Mutant, Params


def _mutant(module: str, old: str, new: str, proof: int | None, bench: int | None) -> Mutant:
    proofs: tuple[Params, ...] = PROOFS.get(module, ({},))
    return Mutant(
        module=module,
        old=old,
        new=new,
        proof=None if proof is None else proofs[proof],
        bench=None if bench is None else BENCHES[module][bench],
    )


MUTANTS: tuple[Mutant, ...] = (
    # The buffered word is overtaken by what comes in.
    _mutant("nba_skid", "buf_valid_q ? buf_data_q : s_data", "s_data", 0, 0),
    # Ready falls one word too late.
    _mutant("nba_skid", "s_ready_q   <= !buf_valid_d;", "s_ready_q   <= !buf_valid_q;", 0, 0),
    # The output register is overwritten while it is stalled.
    _mutant("nba_skid", "if (m_free) m_data_q <=", "m_data_q <=", 0, 0),
    # Only every other cycle: no word is lost, but throughput.
    _mutant("nba_skid", "s_ready_q   <= !buf_valid_d;", "s_ready_q   <= !buf_valid_d && !s_fire;", 0, 0),
    # Reset leaves a word inside.
    _mutant("nba_skid", "      m_valid_q   <= 1'b0;\n", "", None, 0),
    _mutant("nba_fifo", "count_d != FULL[CNT_W-1:0];", "count_q != FULL[CNT_W-1:0];", 0, 0),
    _mutant("nba_fifo", "if (s_fire && !m_fire) count_d", "if (s_fire) count_d", 0, 0),
    # Pointers run over the end of a memory that is not a power of two deep.
    _mutant("nba_fifo", "(r_ptr_q == LAST[PTR_W-1:0]) ? {PTR_W{1'b0}} : r_ptr_q + 1'b1", "r_ptr_q + 1'b1", 0, 0),
    _mutant("nba_fifo", "assign m_data  = fifo_mem[r_ptr_q];", "assign m_data  = fifo_mem[w_ptr_q];", 0, 0),
    # The upper sub-word follows the enable of the lowest.
    _mutant(
        "nba_ram",
        "if (w_en[i]) ram_mem[w_a][i*SUB_W +: SUB_W] <= w_data[i*SUB_W +: SUB_W];\n        end\n      end\n\n"
        "      always @(posedge clk) r_data_q <= ram_mem[r_a];\n\n      assign word = r_data_q;\n`ifdef FORMAL\n"
        "      assign f_word = ram_mem[f_a];\n`endif\n    end else begin : g_dist",
        "if (w_en[0]) ram_mem[w_a][i*SUB_W +: SUB_W] <= w_data[i*SUB_W +: SUB_W];\n        end\n      end\n\n"
        "      always @(posedge clk) r_data_q <= ram_mem[r_a];\n\n      assign word = r_data_q;\n`ifdef FORMAL\n"
        "      assign f_word = ram_mem[f_a];\n`endif\n    end else begin : g_dist",
        0,
        0,
    ),
    # UltraRAM that reads where it writes.
    _mutant(
        "nba_ram",
        "always @(posedge clk) r_data_q <= ram_mem[r_a];\n\n      assign word = r_data_q;\n`ifdef FORMAL\n"
        "      assign f_word = ram_mem[f_a];\n`endif\n    end else if",
        "always @(posedge clk) r_data_q <= ram_mem[w_a];\n\n      assign word = r_data_q;\n`ifdef FORMAL\n"
        "      assign f_word = ram_mem[f_a];\n`endif\n    end else if",
        2,
        3,
    ),
    _mutant("nba_ram", "wire [ADDR_W-1:0] r_a = r_addr[ADDR_W-1:0];", "wire [ADDR_W-1:0] r_a = w_a;", None, 1),
    _mutant("nba_ram", "localparam integer N_SUB  = WIDTH / SUB_W;", "localparam integer N_SUB = 1;", None, 0),
    _mutant("nba_rom", "wire [ADDR_W-1:0] a = addr[ADDR_W-1:0];", "wire [ADDR_W-1:0] a = ~addr[ADDR_W-1:0];", None, 1),
    _mutant("nba_rom", "(DEPTH > 1) ? $clog2(DEPTH) : 1", "(DEPTH > 2) ? $clog2(DEPTH) - 1 : 1", None, 0),
    # A second response overwrites one that was not taken.
    _mutant("nba_axil", "w_have_q && (!bvalid_q || s_axil_bready) && hold", "w_have_q && hold", 0, None),
    # An address is executed with the previous data.
    _mutant("nba_axil", "wire exec      = aw_have_q && w_have_q &&", "wire exec      = aw_have_q &&", 0, 0),
    _mutant("nba_axil", "if (wstrb_q[2]) n_frames_q", "if (wstrb_q[1]) n_frames_q", None, 0),
    _mutant("nba_axil", "if (raddr_q == A_CYCLE_LO) cycles_hi_q", "cycles_hi_q", None, 0),
    _mutant("nba_axil", "!wdata_q[1] && !stat_busy && !start_q", "!wdata_q[1]", 0, 0),
    # A start right behind a soft reset is lost.
    _mutant("nba_axil", "s_axil_bready) && hold_q == 3'd0;", "s_axil_bready);", 0, 0),
    # Counter data sampled one cycle too early.
    _mutant("nba_axil", "ST_SEL:  state_d = ST_MEM;", "ST_SEL:  state_d = ST_LOAD;", None, 0),
    _mutant("nba_axil", "{2'b00, chunk_q} < CHUNKS[7:0]", "{2'b00, chunk_q} <= CHUNKS[7:0]", None, 0),
    # The mode changes in flight; a number beyond the last mode, and a part of a word, are taken.
    _mutant("nba_axil", "if (start_d) cfg_mode_q <= mode_q;", "cfg_mode_q <= mode_q;", 1, 1),
    _mutant("nba_axil", "4'hF && wdata_q < MODES", "4'hF && wdata_q <= MODES", 1, 1),
    _mutant("nba_axil", "wstrb_q == 4'hF && wdata_q < MODES", "wdata_q < MODES", None, 1),
    # The address of the weights changes in flight; its words are taken for each other; a part of a word is taken; an
    # error of a read is shown where there is no memory.
    _mutant("nba_axil", "if (start_d) cfg_weights_q <= weights_q;", "cfg_weights_q <= weights_q;", 2, 2),
    _mutant("nba_axil", "A_WEIGHTS_LO) weights_q[31:0]", "A_WEIGHTS_HI) weights_q[31:0]", None, 2),
    _mutant("nba_axil", "waddr_q == A_WEIGHTS_HI) && wstrb_q == 4'hF", "waddr_q == A_WEIGHTS_HI)", None, 2),
    _mutant("nba_axil", "MEMORY != 0 && stat_error", "stat_error", None, 0),
    # A row of one beat takes one cycle.
    _mutant("nba_host_in", "(BEATS == 1) ? state_q == ST_PAD : fire && row_last", "fire && row_last", 1, 1),
    _mutant("nba_host_in", "assign tok_start_pulse = want && tok_free;", "assign tok_start_pulse = want;", 0, 0),
    _mutant("nba_host_in", "row_last ? {COL_W{1'b0}} : col_q + 1'b1", "col_q + 1'b1", 0, 2),
    # A bubble after every row.
    _mutant("nba_host_in", "state_q == ST_WAIT || (row_end && more)", "state_q == ST_WAIT", 0, 0),
    _mutant("nba_host_in", "start_pulse && state_q == ST_IDLE;", "start_pulse;", None, 0),
    _mutant("nba_host_in", "frame_last && left_q == 32'd1", "frame_last && left_q <= 32'd1", None, 0),
    _mutant("nba_host_in", "wire fire       = s_valid && state_q", "wire fire       = state_q", 0, 0),
    # No credits: a stalled output loses words.
    _mutant("nba_host_out", "state_q == ST_RUN && credit_q != 3'd0", "state_q == ST_RUN", 0, 0),
    # One credit short: the ideal case stalls.
    _mutant("nba_host_out", "credit_q  <= N_CREDITS;", "credit_q  <= N_CREDITS - 3'd1;", 0, 0),
    _mutant(
        "nba_host_out",
        "if (tok_start_pulse) addr_q",
        "if (state_q == ST_WAIT) addr_q",
        1,
        0,
    ),
    _mutant("nba_host_out", "last_q    <= row_last && frame_last;", "last_q    <= row_last;", None, 0),
    _mutant("nba_host_out", "last_q2   <= last_q;", "last_q2   <= row_last && frame_last;", None, 0),
    _mutant("nba_host_out", "if (pop && !issue) credit_q", "if (pop) credit_q", 0, 0),
    _mutant("nba_host_out", "assign rel_pulse       = row_end;", "assign rel_pulse       = tok_start_pulse;", None, 0),
    _mutant("nba_host_out", "wire start      = start_pulse && !busy_q;", "wire start      = start_pulse;", None, 0),
    *STREAMED,
)
