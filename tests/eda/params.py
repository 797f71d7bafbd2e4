# SPDX-License-Identifier: Apache-2.0
"""Parameter sets under which each library module is linted; the corners of its legal range. Default: as declared."""

from __future__ import annotations

from runner import Params

SLICED_RINGS: tuple[Params, ...] = (
    {"ROWS": 5, "ROW_WORDS": 6, "RING_WORDS": 30, "BASE": 3, "INIT_WORDS": 24, "STEP_WORDS": 6, "LAST_WORDS": 12}
    | {"HEIGHT": 4, "MAP": 4, "W_SLICES": 3, "W_BACK": 14, "W_LAST": 2}
    | {"R_SLICES": 2, "R_ROWS": 3, "R_BACK": 18, "R_COUNT": 0},
    {"ROWS": 4, "ROW_WORDS": 6, "RING_WORDS": 24, "BASE": 0, "INIT_WORDS": 0, "STEP_WORDS": 6, "LAST_WORDS": 3}
    | {"HEIGHT": 1, "MAP": 3, "W_SLICES": 2, "W_BACK": 15, "W_LAST": 3}
    | {"R_SLICES": 2, "R_ROWS": 3, "R_BACK": 15, "R_COUNT": 1},
    {"ROWS": 3, "ROW_WORDS": 2, "RING_WORDS": 6, "BASE": 1, "STEP_WORDS": 2, "LAST_WORDS": 2, "HEIGHT": 3, "MAP": 3}
    | {"R_SLICES": 3, "R_ROWS": 3, "R_BACK": 2},
    {"ROWS": 3, "ROW_WORDS": 4, "RING_WORDS": 12, "STEP_WORDS": 4, "LAST_WORDS": 4, "HEIGHT": 3, "MAP": 2}
    | {"W_SLICES": 4, "W_BACK": 9, "W_LAST": 1},
)
"""Rings whose jobs have slices: of both sides, once with a residual operand; of the reader; of the writer. The words
are those of nba.machine.program: back by the map, and on by the words of a slice."""

SHARED_RINGS: tuple[Params, ...] = (
    {"SHARED": 1, "OWNS": 1, "MAP": 4, "HEIGHT": 4, "ROWS": 3, "ROW_WORDS": 2, "RING_WORDS": 6},
    {"SHARED": 1, "MAP": 7, "HEIGHT": 3, "ROWS": 9, "ROW_WORDS": 2, "RING_WORDS": 18},
    {"SHARED": 1, "MAP": 1, "HEIGHT": 1, "ROWS": 1, "ROW_WORDS": 2, "RING_WORDS": 2, "R_COUNT": 1},
)
"""Rings that have their memory in turns with others."""
SHARED_EDGE: Params = {"BANKS": 1, "LANES": 1, "WLANES": 1, "DEPTH": 8, "N_RINGS": 4} | {
    name: sum(value << 16 * i for i, value in enumerate(values))
    for name, values in (("SHARE", (4, 0, 1, 3)), ("BASE", (0, 4, 0, 0)), ("MAP", (2, 2, 2, 2)))
}
"""An edge of four rings, three of which share memory."""

LINT: dict[str, tuple[Params, ...]] = {
    "nba_skid": ({"W": 1}, {"W": 9}),
    "nba_fifo": ({"W": 1, "DEPTH": 2}, {"W": 8, "DEPTH": 5}, {"W": 33, "DEPTH": 16}),
    "nba_ram": (
        {"WIDTH": 8, "DEPTH": 1, "AW": 1, "SUB_W": 8, "BLOCK": 0},
        {"WIDTH": 64, "DEPTH": 100, "AW": 12, "SUB_W": 16, "BLOCK": 1},
        {"WIDTH": 24, "DEPTH": 32, "AW": 5, "SUB_W": 24, "BLOCK": 0},
        {"WIDTH": 64, "DEPTH": 5000, "AW": 16, "SUB_W": 8, "BLOCK": 2},
    ),
    "nba_rom": (
        {"WIDTH": 8, "DEPTH": 1, "AW": 1, "BLOCK": 0},
        {"WIDTH": 37, "DEPTH": 100, "AW": 12, "BLOCK": 1},
    ),
    "nba_axil": (
        {"N_CHUNKS": 1},
        {"N_CHUNKS": 48, "VERSION": 0x7FFFFFFF, "DESIGN_ID": 12345},
        {"N_CHUNKS": 2, "N_MODES": 2},
        {"N_CHUNKS": 2, "N_MODES": 16},
        {"N_CHUNKS": 2, "MEMORY": 1},
    ),
    "nba_host_in": (
        {"PP": 1, "LANES": 1, "ROWS": 1, "COL_GROUPS": 1, "CHAN_WORDS": 1},
        {"PP": 4, "LANES": 3, "ROWS": 8, "COL_GROUPS": 2, "CHAN_WORDS": 3},
        {"PP": 2, "LANES": 4, "ROWS": 5, "COL_GROUPS": 1, "CHAN_WORDS": 7},
    ),
    "nba_host_out": (
        {"PP": 1, "OUT_COLS": 1, "LANES": 1, "AW": 1, "ROWS": 1, "COL_GROUPS": 1, "CHAN_WORDS": 1},
        {"PP": 4, "OUT_COLS": 4, "LANES": 3, "AW": 10, "ROWS": 8, "COL_GROUPS": 2, "CHAN_WORDS": 3},
        {"PP": 4, "OUT_COLS": 1, "LANES": 2, "AW": 6, "ROWS": 1, "COL_GROUPS": 1, "CHAN_WORDS": 5},
        {"PP": 14, "OUT_COLS": 2, "LANES": 3, "AW": 10, "ROWS": 8, "COL_GROUPS": 3, "CHAN_WORDS": 3},
    ),
    "nba_ring": (
        {"ROWS": 1, "ROW_WORDS": 1, "RING_WORDS": 1, "STEP_WORDS": 0, "LAST_WORDS": 0},
        {"ROWS": 224, "ROW_WORDS": 56, "RING_WORDS": 12544, "BASE": 700, "INIT_WORDS": 12488, "STEP_WORDS": 112},
        {"ROWS": 3, "ROW_WORDS": 4, "RING_WORDS": 12, "BASE": 4, "STEP_WORDS": 4, "LAST_WORDS": 8, "HEIGHT": 1},
        *SLICED_RINGS,
        *SHARED_RINGS,
        SLICED_RINGS[0] | {"SHARED": 1},
        {"ROWS": 1, "MAP": 1, "W_SLICES": 255, "R_SLICES": 255, "ROW_WORDS": 255, "RING_WORDS": 255, "W_BACK": 1}
        | {"W_LAST": 1, "STEP_WORDS": 0, "LAST_WORDS": 0, "HEIGHT": 1},
    ),
    "nba_slices": (
        {"ROWS": 1, "SLICES": 1},
        {"ROWS": 1, "SLICES": 2},
        {"ROWS": 4095, "SLICES": 255},
        {"ROWS": 4, "SLICES": 4},
    ),
    "nba_edge": (
        {"BANKS": 1, "LANES": 1, "WLANES": 1, "DEPTH": 1},
        {"BANKS": 8, "LANES": 6, "WLANES": 3, "DEPTH": 700, "N_RINGS": 3, "BLOCK": 1},
        {"BANKS": 4, "LANES": 16, "WLANES": 16, "DEPTH": 33, "N_RINGS": 63},
        {"BANKS": 2, "LANES": 4, "WLANES": 2, "C_BITS": 16},
    ),
    "nba_writer": (
        {"PP": 1, "BANKS": 1, "LANES": 1, "WLANES": 1},
        {"PP": 8, "BANKS": 8, "LANES": 12, "WLANES": 4},
        {"PP": 4, "BANKS": 4, "LANES": 3, "WLANES": 3, "C_BITS": 16},
        {"PP": 2, "BANKS": 8, "LANES": 4, "WLANES": 2},
        {"PP": 1, "BANKS": 4, "LANES": 4, "WLANES": 4},
        {"PP": 7, "BANKS": 14, "LANES": 4, "WLANES": 2, "WIDE": 1},
        {"PP": 2, "BANKS": 4, "LANES": 4, "WLANES": 2, "WIDE": 1, "AW": 4},
        {"PP": 1, "BANKS": 15, "WIDE": 1},
        {"PP": 3, "BANKS": 3, "LANES": 4, "WLANES": 2},
    ),
    "nba_walk": (
        {"PER_CHANNEL": 1, "PP": 1, "BANKS": 1},
        {"PER_CHANNEL": 0, "PP": 8, "BANKS": 8},
        {"PER_CHANNEL": 1, "PP": 1, "BANKS": 4},
        {"PER_CHANNEL": 0, "PP": 2, "BANKS": 8, "DEGREE": 4},
        {"PER_CHANNEL": 0, "PP": 7, "BANKS": 14, "DEGREE": 2, "WIDE": 1},
        {"PER_CHANNEL": 1, "PP": 5, "BANKS": 5},
        {"PER_CHANNEL": 0, "PP": 7, "BANKS": 7, "WIDE": 1, "AW": 4},
    ),
    "nba_seq": ({"N_TURNS": 1, "MAX_STAGE": 0}, {"N_TURNS": 4096, "MAX_STAGE": 255}),
    "nba_drain": (
        {"PM": 1, "PQ": 1, "PP": 1, "ACC_BITS": 3},
        {"PM": 12, "PQ": 4, "PP": 2, "BANKS": 2, "ACC_BITS": 30},
        {"PM": 4, "PQ": 4, "PP": 8, "BANKS": 8, "ACC_BITS": 17, "P_AW": 2, "AW": 4},
        {"PM": 2, "PQ": 2, "PP": 1, "BANKS": 4, "DEGREE": 2, "ACC_BITS": 9},
    ),
    "nba_program": (
        {"WIDTH": 5, "N_JOBS": 1, "N_TURNS": 1},
        {"WIDTH": 40, "N_JOBS": 255, "N_TURNS": 4096},
        {"WIDTH": 12, "N_JOBS": 1, "N_MODES": 2},
        {"WIDTH": 12, "N_JOBS": 128, "N_MODES": 16},
    ),
    "nba_decide": ({"N_TURNS": 1}, {"N_SRC": 15, "N_RES": 15, "N_DST": 15, "N_TURNS": 4096, "MAX_STAGE": 255}),
    "nba_issue": (
        {"PER_CHANNEL": 1, "PP": 8, "BANKS": 8, "N_DST": 3},
        {"PP": 4, "BANKS": 4, "N_SRC": 3, "N_RES": 2, "N_TURNS": 7, "MAX_STAGE": 2},
        {"PP": 2, "BANKS": 4, "DEGREE": 2},
        {"SLICED": 1, "N_TURNS": 9},
    ),
    "nba_operands": (
        {"PER_CHANNEL": 1, "PM": 4, "PN": 1, "PP": 2, "BANKS": 8, "W_BLOCK": 1, "W_DEPTH": 700},
        {"PM": 3, "PN": 4, "PP": 4, "BANKS": 4, "N_SRC": 15, "A_NEST": 1, "W_NEST": 1, "W_BITS": 4, "A_BITS": 5},
        {"PM": 2, "PN": 1, "C_BITS": 16, "A_BITS": 16, "W_BITS": 16, "W_STORE": 16, "HAS_MAX": 1},
        {"PM": 3, "PN": 2, "PP": 2, "BANKS": 2, "W_NEST": 1, "PACK": 1},
        {"PM": 3, "PN": 2, "PP": 2, "BANKS": 4, "A_NEST": 1, "W_NEST": 1, "PACK": 1, "DEGREE": 2},
        {"PM": 2, "PN": 1, "PP": 1, "BANKS": 8, "A_NEST": 1, "W_NEST": 1, "PACK": 1, "DEGREE": 4},
        {"PM": 2, "PN": 3, "PP": 1, "BANKS": 2, "PACK": 1, "DEGREE": 2, "N_JOBS": 3, "PAD_DEPTH": 9},
        {"PER_CHANNEL": 1, "PM": 4, "PN": 1, "C_BITS": 16, "A_BITS": 16, "A_NEST": 1, "N_JOBS": 2, "PAD_DEPTH": 700}
        | {"PAD_BLOCK": 1},
        {"PM": 2, "PN": 2, "SLOT_WORDS": 9, "BUS": 32, "W_DEPTH": 0},
        {"PM": 2, "PN": 2, "SLOT_WORDS": 9, "SLOTS": 3, "BUS": 64, "W_DEPTH": 5, "PACK": 1},
        {"PM": 1, "PN": 1, "SLOT_WORDS": 5, "BUS": 512, "W_DEPTH": 3, "W_BLOCK": 1},
        {"PM": 4, "PN": 3, "SLOT_WORDS": 700, "BUS": 32, "W_DEPTH": 9, "W_NEST": 1, "W_BITS": 4, "W_BLOCK": 1},
    ),
    "nba_pads": (
        {"LANES": 1, "C_BITS": 8, "N_JOBS": 1, "DEPTH": 2},
        {"LANES": 3, "C_BITS": 16, "N_JOBS": 128, "DEPTH": 300, "BLOCK": 1},
    ),
    "nba_results": (
        {"PM": 3, "PQ": 3, "PP": 2, "BANKS": 2, "HAS_RES": 1, "P_DEPTH": 9, "SHIFT_BITS": 6},
        {"PM": 6, "PQ": 3, "PP": 4, "BANKS": 4, "HAS_RES": 1, "N_RES": 2, "N_DST": 4, "P_DEPTH": 90, "P_BLOCK": 1},
        {"PM": 6, "PQ": 3, "PP": 2, "BANKS": 8, "DEGREE": 4, "HAS_RES": 1, "N_RES": 2, "N_DST": 4},
        {"PM": 1, "PQ": 1, "PP": 1, "ACC_BITS": 5, "N_RES": 15, "N_DST": 15},
    ),
    "nba_stats": ({"N_JOBS": 1}, {"N_JOBS": 128}),
    "nba_fetch": (
        {"BUS": 32, "ADDR_W": 32, "N_TARGETS": 1, "N_FETCHES": 1, "BURST": 1, "N_OPEN": 2},
        {"BUS": 512, "ADDR_W": 64, "N_TARGETS": 15, "N_FETCHES": 4096, "MAX_STAGE": 255, "BURST": 64, "N_OPEN": 128}
        | {"BLOCK": 1},
        {"BUS": 128, "BURST": 256, "N_TARGETS": 3, "N_OPEN": 5},
        {"BUS": 64, "BURST": 2, "N_FETCHES": 7, "MAX_STAGE": 3},
    ),
    "nba_store": (
        {"WIDTH": 8, "BUS": 32, "SLOT_WORDS": 1},
        {"WIDTH": 144, "BUS": 128, "DEPTH": 100, "SLOT_WORDS": 72, "SLOTS": 8, "BLOCK": 1},
        {"WIDTH": 512, "BUS": 64, "DEPTH": 1, "SLOT_WORDS": 5, "SLOTS": 3},
        {"WIDTH": 2048, "BUS": 32, "DEPTH": 60000, "SLOT_WORDS": 690, "SLOTS": 8, "BLOCK": 1},
        {"WIDTH": 576, "BUS": 256, "SLOT_WORDS": 120, "SLOTS": 4, "BLOCK": 2},
    ),
    "nba_word_issue": ({"C_BITS": 16}, {"WIDE": 1}),
    "nba_word_dst": ({"WIDE": 1},),
    "nba_word_drain": ({"C_BITS": 16},),
    "nba_word_param": ({"PQ": 3, "ACC_BITS": 5},),
    "nba_word_shift": ({"PQ": 3, "SHIFT_BITS": 6},),
    "nba_chunk": (
        {"PER_CHANNEL": 1, "PM": 4, "PN": 1, "PP": 2, "PQ": 2, "N_JOBS": 7, "MAX_STAGE": 2, "W_BLOCK": 1, "P_BLOCK": 1}
        | {"HAS_MAX": 1, "BANKS": 4},
        {"PM": 1, "PN": 1, "PP": 1, "PQ": 1, "A_BITS": 2, "A_NEST": 1, "W_BITS": 2, "W_STORE": 2, "ACC_BITS": 5},
        {
            "PM": 6,
            "PN": 4,
            "PP": 4,
            "BANKS": 4,
            "PQ": 3,
            "A_NEST": 1,
            "W_NEST": 1,
            "W_BITS": 4,
            "HAS_RES": 1,
            "N_SRC": 3,
        }
        | {"N_RES": 2, "N_DST": 4, "N_JOBS": 255, "W_DEPTH": 5000, "P_DEPTH": 90},
        {"PM": 2, "PN": 2, "A_NEST": 1, "W_NEST": 1, "N_MODES": 2},
        {"PM": 4, "PN": 3, "PQ": 2, "A_NEST": 1, "HAS_RES": 1, "N_JOBS": 3, "SHIFT_BITS": 5, "PAD_DEPTH": 4},
        {"PM": 2, "PN": 2, "A_NEST": 1, "W_NEST": 1, "N_JOBS": 128, "N_MODES": 16},
        {"PM": 2, "PN": 2, "A_NEST": 1, "W_NEST": 1, "N_JOBS": 5, "N_MODES": 3},
        {"PM": 2, "PN": 2, "C_BITS": 16, "A_BITS": 16, "A_NEST": 1, "W_BITS": 16, "W_STORE": 16, "W_NEST": 1}
        | {"ACC_BITS": 40, "HAS_RES": 1},
        {"PM": 3, "PN": 2, "PP": 2, "BANKS": 2, "PQ": 1, "W_NEST": 1, "PACK": 1},
        {
            "PM": 3,
            "PN": 2,
            "PP": 2,
            "BANKS": 4,
            "PQ": 1,
            "A_NEST": 1,
            "W_NEST": 1,
            "PACK": 1,
            "DEGREE": 2,
            "HAS_RES": 1,
        },
        {
            "PM": 4,
            "PN": 2,
            "PP": 2,
            "BANKS": 8,
            "PQ": 2,
            "A_NEST": 1,
            "W_NEST": 1,
            "PACK": 1,
            "DEGREE": 4,
            "N_MODES": 3,
        },
        {"PM": 2, "PN": 3, "PP": 8, "BANKS": 8, "PQ": 1, "N_SRC": 15, "N_RES": 15, "N_DST": 15, "HAS_RES": 1},
        {"PM": 2, "PN": 2, "PP": 7, "BANKS": 14, "DEGREE": 2, "WIDE": 1, "PACK": 1, "PQ": 2, "HAS_RES": 1},
        {"PM": 2, "PN": 2, "PQ": 1, "SLICED": 1, "N_TURNS": 9, "SLOT_WORDS": 40, "BUS": 128, "SLOTS": 4, "W_DEPTH": 0},
        {"PM": 2, "PN": 2, "PQ": 1, "SLICED": 1, "N_TURNS": 12, "N_JOBS": 3, "HAS_RES": 1, "W_DEPTH": 60000}
        | {"W_BLOCK": 1},
    ),
}

PROOFS: dict[str, tuple[Params, ...]] = {
    "nba_skid": ({"W": 2},),
    "nba_fifo": ({"W": 2, "DEPTH": 3}, {"W": 1, "DEPTH": 4}),
    "nba_ram": (
        {"WIDTH": 6, "DEPTH": 4, "AW": 3, "SUB_W": 2, "BLOCK": 1},
        {"WIDTH": 4, "DEPTH": 3, "AW": 2, "SUB_W": 4, "BLOCK": 0},
        {"WIDTH": 6, "DEPTH": 3, "AW": 3, "SUB_W": 3, "BLOCK": 2},
    ),
    "nba_axil": ({"N_CHUNKS": 3}, {"N_CHUNKS": 3, "N_MODES": 3}, {"N_CHUNKS": 3, "MEMORY": 1}),
    "nba_host_in": (
        {"PP": 1, "LANES": 1, "DATA_W": 2, "ROWS": 3, "COL_GROUPS": 3, "CHAN_WORDS": 2},
        {"PP": 1, "LANES": 1, "DATA_W": 2, "ROWS": 2, "COL_GROUPS": 1, "CHAN_WORDS": 1},
    ),
    "nba_ring": (
        {},
        {"ROWS": 7, "ROW_WORDS": 6, "RING_WORDS": 42, "BASE": 3, "INIT_WORDS": 36, "STEP_WORDS": 12, "LAST_WORDS": 30},
        {"ROWS": 3, "ROW_WORDS": 4, "RING_WORDS": 12, "BASE": 5, "STEP_WORDS": 8, "LAST_WORDS": 4, "HEIGHT": 6},
        *SLICED_RINGS,
        *SHARED_RINGS,
    ),
    "nba_edge": (SHARED_EDGE,),
    "nba_slices": ({"ROWS": 3, "SLICES": 2}, {"ROWS": 4, "SLICES": 5}, {"ROWS": 1, "SLICES": 3}),
    "nba_walk": (
        {"PER_CHANNEL": 0, "PP": 1, "BANKS": 2, "DEGREE": 2},
        {"PER_CHANNEL": 0, "PP": 1, "BANKS": 4, "DEGREE": 4},
        {"PER_CHANNEL": 1, "PP": 1, "BANKS": 1},
        {"PER_CHANNEL": 0, "PP": 3, "BANKS": 3, "WIDE": 1},
        {"PER_CHANNEL": 0, "PP": 3, "BANKS": 6, "DEGREE": 2},
        {"PER_CHANNEL": 0, "PP": 2, "BANKS": 2, "AW": 5},
    ),
    "nba_seq": ({"N_TURNS": 3, "MAX_STAGE": 1}, {"N_TURNS": 1, "MAX_STAGE": 0}, {"N_TURNS": 5, "MAX_STAGE": 5}),
    "nba_decide": (
        {"N_SRC": 3, "N_RES": 2, "N_DST": 2, "N_TURNS": 3, "MAX_STAGE": 1},
        {"N_SRC": 1, "N_RES": 1, "N_DST": 3, "N_TURNS": 1},
    ),
    "nba_stats": ({"N_JOBS": 2},),
    "nba_fetch": (
        {"BUS": 32, "ADDR_W": 32, "N_TARGETS": 3, "N_FETCHES": 3, "MAX_STAGE": 1, "BURST": 4, "N_OPEN": 2},
        {"BUS": 32, "ADDR_W": 32, "N_TARGETS": 1, "N_FETCHES": 1, "BURST": 1, "N_OPEN": 2},
        {"BUS": 512, "ADDR_W": 32, "N_TARGETS": 2, "N_FETCHES": 2, "MAX_STAGE": 3, "BURST": 64, "N_OPEN": 2},
    ),
    "nba_store": (
        {"WIDTH": 6, "BUS": 4, "DEPTH": 0, "SLOT_WORDS": 2, "SLOTS": 2, "BLOCK": 0},
        {"WIDTH": 3, "BUS": 4, "DEPTH": 2, "SLOT_WORDS": 3, "SLOTS": 3, "BLOCK": 1},
        {"WIDTH": 9, "BUS": 3, "DEPTH": 0, "SLOT_WORDS": 1, "SLOTS": 2, "BLOCK": 1},
        {"WIDTH": 5, "BUS": 3, "DEPTH": 0, "SLOT_WORDS": 2, "SLOTS": 2, "BLOCK": 2},
    ),
    "nba_drain": (
        {"PM": 6, "PQ": 2, "PP": 1, "ACC_BITS": 3},
        {"PM": 2, "PQ": 2, "PP": 2, "BANKS": 2, "ACC_BITS": 3, "P_AW": 5, "AW": 6},
        {"PM": 4, "PQ": 2, "PP": 1, "BANKS": 4, "DEGREE": 4, "ACC_BITS": 3},
        {"PM": 2, "PQ": 2, "PP": 2, "BANKS": 8, "DEGREE": 2, "ACC_BITS": 3},
    ),
    "nba_host_out": (
        {"PP": 2, "OUT_COLS": 1, "LANES": 1, "DATA_W": 1, "AW": 4, "ROWS": 3, "COL_GROUPS": 2, "CHAN_WORDS": 3},
        {"PP": 1, "OUT_COLS": 1, "LANES": 1, "DATA_W": 1, "AW": 3, "ROWS": 2, "COL_GROUPS": 1, "CHAN_WORDS": 1},
        {"PP": 6, "OUT_COLS": 2, "LANES": 1, "DATA_W": 1, "AW": 5, "ROWS": 2, "COL_GROUPS": 4, "CHAN_WORDS": 2},
    ),
}
"""Parameter sets of the induction proofs. Default: as declared."""

BENCHES: dict[str, tuple[Params, ...]] = {
    "nba_skid": ({"W": 9},),
    "nba_fifo": ({"W": 8, "DEPTH": 5}, {"W": 3, "DEPTH": 2}),
    "nba_ram": (
        {"WIDTH": 32, "DEPTH": 20, "AW": 9, "SUB_W": 8, "BLOCK": 1},
        {"WIDTH": 24, "DEPTH": 16, "AW": 4, "SUB_W": 12, "BLOCK": 0},
        {"WIDTH": 8, "DEPTH": 1, "AW": 3, "SUB_W": 8, "BLOCK": 0},
        {"WIDTH": 72, "DEPTH": 24, "AW": 6, "SUB_W": 24, "BLOCK": 2},
    ),
    "nba_rom": (
        {"WIDTH": 37, "DEPTH": 50, "AW": 8, "BLOCK": 1},
        {"WIDTH": 8, "DEPTH": 32, "AW": 5, "BLOCK": 0},
    ),
    "nba_axil": (
        {"N_CHUNKS": 3, "VERSION": 0x00010203, "DESIGN_ID": 0x1CAFE5A5},
        {"N_CHUNKS": 2, "N_MODES": 5, "VERSION": 0x00010203, "DESIGN_ID": 0x1CAFE5A5},
        {"N_CHUNKS": 2, "MEMORY": 1, "VERSION": 0x00010203, "DESIGN_ID": 0x1CAFE5A5},
    ),
    "nba_host_in": (
        {"PP": 2, "LANES": 2, "ROWS": 3, "COL_GROUPS": 2, "CHAN_WORDS": 3},
        {"PP": 1, "LANES": 1, "ROWS": 4, "COL_GROUPS": 1, "CHAN_WORDS": 1},
        {"PP": 1, "LANES": 3, "ROWS": 1, "COL_GROUPS": 3, "CHAN_WORDS": 1},
    ),
    "nba_host_out": (
        {"PP": 2, "OUT_COLS": 2, "LANES": 2, "AW": 8, "ROWS": 3, "COL_GROUPS": 2, "CHAN_WORDS": 3},
        {"PP": 4, "OUT_COLS": 1, "LANES": 1, "AW": 5, "ROWS": 1, "COL_GROUPS": 1, "CHAN_WORDS": 1},
        {"PP": 1, "OUT_COLS": 1, "LANES": 3, "AW": 6, "ROWS": 2, "COL_GROUPS": 1, "CHAN_WORDS": 2},
        {"PP": 6, "OUT_COLS": 2, "LANES": 2, "AW": 8, "ROWS": 3, "COL_GROUPS": 5, "CHAN_WORDS": 3},
    ),
    "nba_fetch": (
        {"BUS": 32, "N_TARGETS": 3, "N_FETCHES": 14, "MAX_STAGE": 2, "BURST": 8, "N_OPEN": 128},
        {"BUS": 32, "ADDR_W": 32, "N_TARGETS": 1, "N_FETCHES": 1, "MAX_STAGE": 0, "BURST": 1, "N_OPEN": 2},
        {"BUS": 64, "N_TARGETS": 15, "N_FETCHES": 20, "MAX_STAGE": 5, "BURST": 16, "N_OPEN": 4, "BLOCK": 1},
        {"BUS": 512, "N_TARGETS": 2, "N_FETCHES": 5, "MAX_STAGE": 1, "BURST": 64, "N_OPEN": 3},
        {"BUS": 32, "ADDR_W": 64, "N_TARGETS": 2, "N_FETCHES": 6, "MAX_STAGE": 1, "BURST": 1, "N_OPEN": 64},
    ),
    "nba_store": (
        {},
        {"WIDTH": 8, "BUS": 32, "SLOT_WORDS": 1},
        {"WIDTH": 144, "BUS": 128, "DEPTH": 10, "SLOT_WORDS": 7, "SLOTS": 8, "BLOCK": 1},
        {"WIDTH": 512, "BUS": 64, "DEPTH": 1, "SLOT_WORDS": 5, "SLOTS": 3},
        {"WIDTH": 96, "BUS": 32, "DEPTH": 5, "SLOT_WORDS": 3, "SLOTS": 2, "BLOCK": 1},
        {"WIDTH": 80, "BUS": 32, "SLOT_WORDS": 6, "SLOTS": 3, "BLOCK": 2},
    ),
}
"""Parameter sets of the benches (sim/lib/bench_<module>.py) in Icarus."""

VERILATOR_BENCHES: tuple[tuple[str, Params], ...] = (
    ("nba_host_out", BENCHES["nba_host_out"][0]),
    ("nba_axil", BENCHES["nba_axil"][0]),
    ("nba_fetch", BENCHES["nba_fetch"][0]),
    ("nba_store", BENCHES["nba_store"][2]),
)
