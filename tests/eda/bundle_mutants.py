# SPDX-License-Identifier: Apache-2.0
"""Planted bugs that a user's `make sim` must find: control registers, ends of batches, streams, soft reset. Each names
the test of the bundle's bench that must fail, or `cycles` where the comparison with the prediction must."""

from __future__ import annotations

from dataclasses import dataclass

from template_pairs import STREAM_SEED

STAGES, MANY_BEATS, ONE_BEAT, BUSY_ON, MANY_JOBS = 30, 8, 59, 26, 49
"""Seeds of the machines (tests/eda/template_pairs.py): one with stages; one whose frame leaves in three rows of eleven
beats; in one beat; one whose chunks compute rows that no output depends on when the last frame is out; one of many
jobs, whose fetches of two rounds take longer than its last row takes to leave."""
STREAMS, LATE, STORES = STREAM_SEED + 20, STREAM_SEED + 7, STREAM_SEED + 42
"""Machines that stream weights; from memory that takes a hundred cycles; into two stores."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Planted:
    """`old` occurs exactly once in the module's file (`top`: the generated one) and is replaced by `new`. variant: like
    another one, so that the full test run alone takes it."""

    module: str
    old: str
    new: str
    test: str = "control"
    seed: int = STAGES
    variant: bool = False


def _p(module: str, old: str, new: str, test: str = "control", seed: int = STAGES) -> Planted:
    return Planted(module=module, old=old, new=new, test=test, seed=seed)


def _v(module: str, old: str, new: str, test: str = "control", seed: int = STAGES) -> Planted:
    return Planted(module=module, old=old, new=new, test=test, seed=seed, variant=True)


_FIFO_FIRE = "wire s_fire = s_valid && s_ready_q;"
_FIFO_LATE = (
    "reg [3:0] late_q;\n  always @(posedge clk) late_q <= rst ? 4'd0 : {late_q[2:0], s_ready_q};\n"
    "  wire s_fire = s_valid && s_ready_q && (&late_q);"
)
"""Four cycles late: the first three go unseen behind the credits of nba_host_out, and only its own bench and proof find
them (tests/eda/mutants.py)."""

PLANTED: tuple[Planted, ...] = (
    # ---- the end of a batch: DONE two rounds late, one cycle late, before the chunks are idle; the counter goes on
    _p("nba_seq", "left_q    <= cfg_frames;", "left_q    <= cfg_frames + 32'd2;", "cycles", MANY_JOBS),
    _v("top", "if (finished) begin", "fin_q <= finished;\n    if (fin_q) begin", "cycles"),
    _p("top", "(last_frame || out_done_q) && !core_busy", "(last_frame || out_done_q)", "cycles", BUSY_ON),
    _v("top", "      cycle_q    <= 64'd0;\n    end\n    if (rst", "    end\n    if (rst", "batches"),
    # ---- STATUS
    _p("nba_axil", "stat_error, done_q, stat_busy || start_q}", "stat_error, 1'b1, stat_busy || start_q}"),
    _v("nba_axil", "if (start_q || soft_rst_q) done_q", "if (soft_rst_q) done_q"),
    _v("nba_axil", "if (start_q || soft_rst_q) done_q", "if (start_q) done_q"),
    _v("nba_axil", "stat_error, done_q, stat_busy || start_q}", "stat_error, done_q, start_q}", "cycles"),
    _v("top", ".stat_busy     (running_q || busy)", ".stat_busy     (in_busy)"),
    # ---- CYCLES: the high word
    _p("nba_axil", "A_CYCLE_HI: rdata_d = cycles_hi_q;", "A_CYCLE_HI: rdata_d = stat_cycles[63:32];"),
    _v("nba_axil", "A_CYCLE_HI: rdata_d = cycles_hi_q;", "A_CYCLE_HI: rdata_d = 32'd0;"),
    _v("nba_axil", "A_CYCLE_HI: rdata_d = cycles_hi_q;", "A_CYCLE_HI: rdata_d = stat_cycles[31:0];", "cycles"),
    _v("nba_axil", "if (raddr_q == A_CYCLE_LO) cycles_hi_q", "if (raddr_q == A_CYCLE_HI) cycles_hi_q"),
    _v("nba_axil", "if (raddr_q == A_CYCLE_LO) cycles_hi_q", "if (raddr_q == A_STATUS) cycles_hi_q"),
    _p("top", "cycle_q <= cycle_q + 64'd1;", "cycle_q[31:0] <= cycle_q[31:0] + 32'd1;"),
    _v("top", "if (running_q) cycle_q <=", "cycle_q <="),
    # ---- FRAMES_DONE
    _p("nba_host_out", "frames_q <= frames_q + 32'd1;", "frames_q <= frames_q + 32'd2;", "cycles"),
    _v("nba_host_out", "      frames_q   <= 32'd0;\n      out_left_q <= cfg", "      out_left_q <= cfg", "batches"),
    _v("nba_host_out", "      frames_q   <= 32'd0;\n      out_left_q <= 32", "      out_left_q <= 32"),
    # ---- parts of words, and what cannot be written
    _p("nba_axil", "if (wstrb_q[1]) n_frames_q", "if (wstrb_q[0]) n_frames_q"),
    _v("nba_axil", "if (wstrb_q[3]) n_frames_q", "if (wstrb_q[2]) n_frames_q"),
    _v("nba_axil", "if (wstrb_q[0]) n_frames_q", "if (wstrb_q != 4'd0) n_frames_q"),
    _p("nba_axil", "waddr_q == A_CTRL && wstrb_q[0];", "waddr_q == A_CTRL;"),
    _v("nba_axil", "if (exec && waddr_q == A_N_FRAMES)", "if (exec && waddr_q[2:0] == A_N_FRAMES[2:0])"),
    _p("nba_axil", "(waddr_q == A_CTRL || waddr_q == A_N_FRAMES || mode_ok || weights_ok) ? OKAY : SLVERR", "OKAY"),
    # ---- starts
    _p("nba_axil", "!wdata_q[1] && !stat_busy && !start_q", "!wdata_q[1] && !start_q"),
    _v("nba_axil", "ctrl_we && wdata_q[0] &&", "ctrl_we && (wdata_q[2:0] != 3'd0) &&"),
    _v("nba_axil", "if (start_d) cfg_frames_q <= n_frames_q;", "cfg_frames_q <= n_frames_q;"),
    # ---- N_FRAMES = 0
    _p("nba_seq", "      one_q     <= cfg_frames == 32'd1;", "      one_q     <= cfg_frames <= 32'd1;"),
    _v("nba_host_in", "frame_last && left_q == 32'd1", "frame_last && left_q <= 32'd1"),
    _v("nba_host_out", "frame_last && left_q == 32'd1", "frame_last && left_q <= 32'd1"),
    # ---- what a register says
    _v("nba_axil", "ID_WORD = 32'h4341424E", "ID_WORD = 32'h4341424F", "cycles"),
    _v("nba_axil", "A_VERSION:  rdata_d = VERSION;", "A_VERSION:  rdata_d = DESIGN_ID;"),
    _v("nba_axil", "A_DESIGN:   rdata_d = DESIGN_ID;", "A_DESIGN:   rdata_d = VERSION;"),
    _v("nba_axil", "A_N_CHUNKS: rdata_d = CHUNKS;", "A_N_CHUNKS: rdata_d = CHUNKS - 32'd1;"),
    _v("nba_axil", "A_N_FRAMES: rdata_d = n_frames_q;", "A_N_FRAMES: rdata_d = cfg_frames_q;"),
    _v("nba_axil", "if (N_MODES == 1) rresp_d = SLVERR;", ""),
    _p("nba_axil", "else rresp_d = SLVERR;\n      end\n    endcase", "\n      end\n    endcase"),
    _v("nba_axil", "{2'b00, chunk_q} < CHUNKS[7:0]", "{2'b00, chunk_q} <= CHUNKS[7:0]"),
    _v("nba_axil", "assign cnt_end        = raddr_q[0];", "assign cnt_end        = 1'b0;", "cycles"),
    _v("nba_axil", "assign cnt_job        = raddr_q[7:1];", "assign cnt_job        = {raddr_q[7:2], 1'b0};", "cycles"),
    # ---- the bus's channels
    _p("nba_axil", "wire exec      = aw_have_q && w_have_q &&", "wire exec      = aw_have_q &&"),
    _v("nba_axil", "wire exec      = aw_have_q && w_have_q &&", "wire exec      = w_have_q &&"),
    _p("nba_axil", "w_have_q && (!bvalid_q || s_axil_bready) && hold", "w_have_q && hold"),
    _v("nba_axil", "bvalid_q  <= exec || (bvalid_q && !s_axil_bready);", "bvalid_q  <= exec;"),
    _p("nba_axil", "ST_RESP: if (s_axil_rready) state_d = ST_IDLE;", "ST_RESP: state_d = ST_IDLE;"),
    _v("nba_axil", "assign s_axil_rdata   = rdata_q;", "assign s_axil_rdata   = rdata_d;"),
    # ---- soft reset
    _p("top", "core_rst_q <= rst || soft_rst_pulse;", "core_rst_q <= rst;", "resets"),
    _v("top", "    if (rst || soft_rst_pulse) begin\n      running_q", "    if (rst) begin\n      running_q", "resets"),
    _p("nba_axil", "s_axil_bready) && hold_q == 3'd0;", "s_axil_bready);"),
    _v("nba_skid", "      m_valid_q   <= 1'b0;\n", "", "resets"),
    _v("nba_host_out", "      credit_q  <= N_CREDITS;\n", "", "resets"),
    _v("nba_host_in", "      col_q   <= {COL_W{1'b0}};\n", "", "resets"),
    # ---- the end of a frame
    _v("nba_host_out", "last_q    <= row_last && frame_last;", "last_q    <= frame_last;", "cycles"),
    _p("nba_host_out", "last_q    <= row_last && frame_last;", "last_q    <= row_last;", "cycles", MANY_BEATS),
    # ---- back-pressure: no credits, credits lost, a FIFO whose ready is late, words overtaken and changed
    _p("nba_host_out", "state_q == ST_RUN && credit_q != 3'd0", "state_q == ST_RUN", "blocked", MANY_BEATS),
    _p("nba_host_out", "state_q == ST_RUN && credit_q != 3'd0", "state_q == ST_RUN", "blocked", ONE_BEAT),
    _v("nba_host_out", "state_q == ST_RUN && credit_q != 3'd0", "state_q == ST_RUN", "blocked", STAGES),
    _v("nba_host_out", "state_q == ST_RUN && credit_q != 3'd0", "state_q == ST_RUN", "blocked", BUSY_ON),
    _v("nba_host_out", "N_CREDITS = 3'd5", "N_CREDITS = 3'd7", "blocked", MANY_BEATS),
    _v("nba_host_out", "N_CREDITS = 3'd5", "N_CREDITS = 3'd6", "blocked", ONE_BEAT),
    _v("nba_host_out", "if (pop && !issue) credit_q", "if (pop) credit_q", "blocked", MANY_BEATS),
    _p("nba_fifo", _FIFO_FIRE, _FIFO_LATE, "blocked", MANY_BEATS),
    _v("nba_fifo", _FIFO_FIRE, _FIFO_LATE, "blocked", ONE_BEAT),
    _v("nba_skid", "buf_valid_q ? buf_data_q : s_data", "s_data", "stalls"),
    _p("nba_skid", "if (m_free) m_data_q <=", "m_data_q <=", "stalls"),
    _v("nba_skid", "s_ready_q   <= !buf_valid_d;", "s_ready_q   <= !buf_valid_q;", "blocked"),
    _v("nba_host_out", "if (issue) beat_q <=", "if (state_q == ST_RUN) beat_q <=", "blocked", MANY_BEATS),
    # ---- weights from external memory: always at address 0; errors that nobody hears of; a machine that is not busy
    # with reads that a soft reset left behind, that goes on through one, that forgets them; beats, room and
    # reservations of another store
    _p("top", ".cfg_base     (cfg_weights[39:0])", ".cfg_base     (40'd0)", "memory", STREAMS),
    _p("top", ".stat_error    (read_error)", ".stat_error    (1'b0)", "memory", STREAMS),
    _p("top", " || read_busy;", ";", "resets", LATE),
    _p("top", ".rst          (core_rst_q),\n    .axi_rst", ".rst          (rst),\n    .axi_rst", "resets", STREAMS),
    _p("top", ".axi_rst      (rst)", ".axi_rst      (core_rst_q)", "memory", STREAMS),
    _p("top", "(read_take[1])", "(read_take[0])", "cycles", STORES),
    _v("top", "(read_valid[1])", "(read_valid[0])", "cycles", STORES),
    _p("top", ".free         (read_free)", ".free         ({read_free[0], read_free[1]})", "cycles", STORES),
    _v("top", ".m_last       (read_last)", ".m_last       ()", "cycles", STREAMS),
    # ---- the input takes what is not on offer
    _p("nba_host_in", "wire fire       = s_valid && state_q", "wire fire       = state_q", "stalls"),
)  # fmt: skip
