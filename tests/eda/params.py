# SPDX-License-Identifier: Apache-2.0
"""Parameter sets under which each library module is linted; the corners of its legal range. Default: as declared."""

from __future__ import annotations

from runner import Params

LINT: dict[str, tuple[Params, ...]] = {
    "nba_skid": ({"W": 1}, {"W": 9}),
    "nba_fifo": ({"W": 1, "DEPTH": 2}, {"W": 8, "DEPTH": 5}, {"W": 33, "DEPTH": 16}),
    "nba_ram": (
        {"WIDTH": 8, "DEPTH": 1, "AW": 1, "SUB_W": 8, "BLOCK": 0},
        {"WIDTH": 64, "DEPTH": 100, "AW": 12, "SUB_W": 16, "BLOCK": 1},
        {"WIDTH": 24, "DEPTH": 32, "AW": 5, "SUB_W": 24, "BLOCK": 0},
    ),
    "nba_rom": (
        {"WIDTH": 8, "DEPTH": 1, "AW": 1, "BLOCK": 0},
        {"WIDTH": 37, "DEPTH": 100, "AW": 12, "BLOCK": 1},
    ),
    "nba_axil": ({"N_CHUNKS": 1}, {"N_CHUNKS": 48, "VERSION": 0x7FFFFFFF, "DESIGN_ID": 12345}),
    "nba_host_in": (
        {"PP": 1, "LANES": 1, "ROWS": 1, "COL_GROUPS": 1, "CHAN_WORDS": 1},
        {"PP": 4, "LANES": 3, "ROWS": 8, "COL_GROUPS": 2, "CHAN_WORDS": 3},
        {"PP": 2, "LANES": 4, "ROWS": 5, "COL_GROUPS": 1, "CHAN_WORDS": 7},
    ),
    "nba_host_out": (
        {"PP": 1, "OUT_COLS": 1, "LANES": 1, "AW": 1, "ROWS": 1, "COL_GROUPS": 1, "CHAN_WORDS": 1},
        {"PP": 4, "OUT_COLS": 4, "LANES": 3, "AW": 10, "ROWS": 8, "COL_GROUPS": 2, "CHAN_WORDS": 3},
        {"PP": 4, "OUT_COLS": 1, "LANES": 2, "AW": 6, "ROWS": 1, "COL_GROUPS": 1, "CHAN_WORDS": 5},
    ),
}

PROOFS: dict[str, tuple[Params, ...]] = {
    "nba_skid": ({"W": 2},),
    "nba_fifo": ({"W": 2, "DEPTH": 3}, {"W": 1, "DEPTH": 4}),
    "nba_ram": (
        {"WIDTH": 6, "DEPTH": 4, "AW": 3, "SUB_W": 2, "BLOCK": 1},
        {"WIDTH": 4, "DEPTH": 3, "AW": 2, "SUB_W": 4, "BLOCK": 0},
    ),
    "nba_axil": ({"N_CHUNKS": 3},),
    "nba_host_in": (
        {"PP": 1, "LANES": 1, "DATA_W": 2, "ROWS": 3, "COL_GROUPS": 3, "CHAN_WORDS": 2},
        {"PP": 1, "LANES": 1, "DATA_W": 2, "ROWS": 2, "COL_GROUPS": 1, "CHAN_WORDS": 1},
    ),
    "nba_host_out": (
        {"PP": 2, "OUT_COLS": 1, "LANES": 1, "DATA_W": 1, "AW": 4, "ROWS": 3, "COL_GROUPS": 2, "CHAN_WORDS": 3},
        {"PP": 1, "OUT_COLS": 1, "LANES": 1, "DATA_W": 1, "AW": 3, "ROWS": 2, "COL_GROUPS": 1, "CHAN_WORDS": 1},
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
    ),
    "nba_rom": (
        {"WIDTH": 37, "DEPTH": 50, "AW": 8, "BLOCK": 1},
        {"WIDTH": 8, "DEPTH": 32, "AW": 5, "BLOCK": 0},
    ),
    "nba_axil": ({"N_CHUNKS": 3, "VERSION": 0x00010203, "DESIGN_ID": 0x1CAFE5A5},),
    "nba_host_in": (
        {"PP": 2, "LANES": 2, "ROWS": 3, "COL_GROUPS": 2, "CHAN_WORDS": 3},
        {"PP": 1, "LANES": 1, "ROWS": 4, "COL_GROUPS": 1, "CHAN_WORDS": 1},
        {"PP": 1, "LANES": 3, "ROWS": 1, "COL_GROUPS": 3, "CHAN_WORDS": 1},
    ),
    "nba_host_out": (
        {"PP": 2, "OUT_COLS": 2, "LANES": 2, "AW": 8, "ROWS": 3, "COL_GROUPS": 2, "CHAN_WORDS": 3},
        {"PP": 4, "OUT_COLS": 1, "LANES": 1, "AW": 5, "ROWS": 1, "COL_GROUPS": 1, "CHAN_WORDS": 1},
        {"PP": 1, "OUT_COLS": 1, "LANES": 3, "AW": 6, "ROWS": 2, "COL_GROUPS": 1, "CHAN_WORDS": 2},
    ),
}
"""Parameter sets of the benches (sim/lib/bench_<module>.py) in Icarus."""

VERILATOR_BENCHES: tuple[tuple[str, Params], ...] = (
    ("nba_host_out", BENCHES["nba_host_out"][0]),
    ("nba_axil", BENCHES["nba_axil"][0]),
)
