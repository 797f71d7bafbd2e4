# SPDX-License-Identifier: Apache-2.0
"""What benchmarks/clock.py times: the parameters of every library module, the small designs, and the goals.

A module has one or two sets of typical sizes for FPGAs. Where these are large, chips get a smaller one with the same
paths (fewer lanes side by side, memories of few words: there they become registers and gates).
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np

from benchmarks.logic_designs import rtl_of
from nba.boards import get
from nba.core import assets
from nba.emit.rtl import render_rtl
from nba.explore.budgets import Budgets
from nba.explore.choose import Effort, find_accelerator
from nba.machine.program import lower
from nba.zoo.weights import random_weights
from tests.modes import modes_case
from tests.unit.hw_networks import DIGITS

FPGA = ("ecp5", "xc7")
CHIP = ("sky130", "nangate45")
FLOWS = (*FPGA, *CHIP)
GOALS_MHZ = {"module": {"ecp5": 170.0}, "design": {"ecp5": 140.0}}
"""At least."""
GOALS_NS = {"module": {"xc7": 2.8, "sky130": 4.5}, "design": {}}
"""At most."""

Values = dict[str, int | str]
"""Parameters; a text is a Verilog expression."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """A module with parameters. memories: contents that it reads, (bits of a word, words) per file."""

    module: str
    values: tuple[tuple[str, int | str], ...]
    memories: tuple[tuple[str, int, int], ...]
    flows: tuple[str, ...]
    kind: str = "module"

    @property
    def name(self) -> str:
        """The parameters in one line."""
        return " ".join(f"{name}={value}" for name, value in self.values)


def _case(values: Values, flows: tuple[str, ...] = FLOWS, **memories: tuple[int, int]) -> Case:
    files = tuple((f"{name}.mem", bits, words) for name, (bits, words) in memories.items())
    return Case(module="", values=tuple(values.items()), memories=files, flows=flows)


_RINGS: Values = {
    "N_RINGS": 2, "ROWS": "{16'd5, 16'd3}", "ROW_WORDS": "{16'd28, 16'd56}", "RING_WORDS": "{16'd140, 16'd168}",
    "BASE": "{16'd168, 16'd0}", "INIT_WORDS": "{16'd112, 16'd112}", "STEP_WORDS": "{16'd28, 16'd112}",
    "LAST_WORDS": "{16'd28, 16'd56}",
}  # fmt: skip
_CHUNK: Values = {
    "PM": 4, "PN": 4, "PP": 2, "PQ": 2, "HAS_RES": 1, "N_SRC": 2, "N_RES": 1, "N_DST": 2, "N_JOBS": 8, "N_TURNS": 100,
    "MAX_STAGE": 3,
}  # fmt: skip
_PROGRAM_BITS = 600
"""More than a word of the program has: what is above its width is not read."""

_TABLE: dict[str, tuple[Case, ...]] = {
    "nba_skid": (_case({"W": 64}),),
    "nba_fifo": (_case({"W": 64, "DEPTH": 16}),),
    "nba_ram": (
        _case({"WIDTH": 64, "DEPTH": 1024, "AW": 10, "SUB_W": 16, "BLOCK": 1}, FPGA),
        _case({"WIDTH": 32, "DEPTH": 32, "AW": 5, "SUB_W": 8, "BLOCK": 0}),
    ),
    "nba_rom": (
        _case({"WIDTH": 64, "DEPTH": 1024, "AW": 10, "BLOCK": 1}, FPGA, nba_rom=(64, 1024)),
        _case({"WIDTH": 64, "DEPTH": 32, "AW": 5, "BLOCK": 0}, nba_rom=(64, 32)),
    ),
    "nba_axil": (_case({"N_CHUNKS": 8, "N_MODES": 4}),),
    "nba_host_in": (_case({"PP": 4, "LANES": 3, "ROWS": 32, "COL_GROUPS": 8, "CHAN_WORDS": 1}),),
    "nba_host_out": (
        _case({"PP": 4, "OUT_COLS": 4, "LANES": 2, "AW": 10, "ROWS": 8, "COL_GROUPS": 2, "CHAN_WORDS": 3}),
    ),
    "nba_align": (_case({"BANKS": 4, "COLUMNS": 4, "LANES": 8}), _case({"BANKS": 8, "COLUMNS": 8, "LANES": 4})),
    "nba_spread": (_case({"PP": 2, "DEGREE": 4, "LANES": 4}), _case({"PP": 2, "DEGREE": 2, "LANES": 8}, FPGA)),
    "nba_wnest": (_case({"N": 32}),),
    # Where multipliers have 18 bits or are made of gates no design has a pair of 8 bits.
    "nba_pair": (
        _case({}, ("xc7",)), _case({"DEGREE": 4}, ("xc7",)), _case({"A_BITS": 4, "W_BITS": 5}, ("ecp5", *CHIP)),
    ),
    "nba_chain": (_case({}, ("xc7",)), _case({"A_BITS": 4, "W_BITS": 5}, ("ecp5", *CHIP))),
    "nba_sum": (_case({"PN": 8}), _case({"PN": 16}, FPGA), _case({"PN": 1, "HAS_MAX": 1}, FPGA)),
    "nba_mul": (
        _case({"A_W": 25, "B_W": 16, "B_SIGNED": 0, "P_W": 41, "STAGES": 3}),
        _case({"A_W": 9, "B_W": 8, "P_W": 17}, FPGA), _case({"A_W": 17, "B_W": 9, "P_W": 25}, FPGA),
    ),
    "nba_dot": (
        _case({"SHARE": 2, "PN": 8}, ("xc7",)), _case({"SHARE": 2, "PN": 8, "DEGREE": 4}, ("xc7",)),
        _case({"SHARE": 2, "PN": 9, "CHAIN": 1}, ("xc7",)),
        _case({"PN": 8}, FPGA), _case({"PN": 8}, CHIP),
    ),
    "nba_array": (
        _case({"PM": 2, "PN": 8, "PP": 2}, FPGA),
        _case({"PM": 2, "PN": 8, "PP": 2, "PACK": 1}, ("xc7",)),
        _case({"PM": 2, "PN": 8, "PP": 2, "PACK": 1, "CHAIN": 1}, ("xc7",)),
        _case({"PM": 2, "PN": 8, "PP": 1, "PACK": 1, "DEGREE": 4}, ("xc7",)),
        _case({"PM": 2, "PN": 16, "PP": 1}, FPGA),
        _case({"PER_CHANNEL": 1, "PM": 8, "PN": 1, "PP": 2, "HAS_MAX": 1}, FPGA),
        _case({"PM": 1, "PN": 8, "PP": 1}, CHIP),
    ),
    "nba_requant": (
        _case({"PQ": 2, "PP": 2, "ACC_BITS": 24}, FPGA),
        _case({"PQ": 2, "PP": 2, "ACC_BITS": 30}, FPGA),
        _case({"PQ": 2, "PP": 2, "ACC_BITS": 24, "SHIFT_BITS": 6}, FPGA),
        _case({"PQ": 1, "PP": 1, "ACC_BITS": 24}, CHIP),
    ),
    "nba_ring": (
        _case({
            "ROWS": 224, "ROW_WORDS": 56, "RING_WORDS": 12544, "BASE": 700, "INIT_WORDS": 12488, "STEP_WORDS": 112,
            "LAST_WORDS": 56,
        }),
        _case({
            "ROWS": 5, "ROW_WORDS": 28, "RING_WORDS": 140, "INIT_WORDS": 112, "STEP_WORDS": 28, "LAST_WORDS": 28,
        }),
        _case({
            "ROWS": 112, "ROW_WORDS": 112, "RING_WORDS": 12544, "BASE": 700, "STEP_WORDS": 112, "LAST_WORDS": 112,
            "HEIGHT": 112, "MAP": 112, "W_SLICES": 4, "W_BACK": 140, "W_LAST": 28, "R_SLICES": 4, "R_ROWS": 112,
            "R_BACK": 112,
        }),
        _case({
            "ROWS": 56, "ROW_WORDS": 112, "RING_WORDS": 6272, "BASE": 700, "STEP_WORDS": 112, "LAST_WORDS": 112,
            "HEIGHT": 112, "MAP": 112, "SHARED": 1, "OWNS": 1,
        }),
    ),
    "nba_slices": (_case({"ROWS": 224, "SLICES": 64}),),
    "nba_edge": (
        _case({"BANKS": 4, "LANES": 8, "WLANES": 4, "DEPTH": 308, "BLOCK": 1, **_RINGS}, FPGA),
        _case({"BANKS": 2, "LANES": 4, "WLANES": 2, "DEPTH": 64}, FPGA),
        _case({"BANKS": 2, "LANES": 2, "WLANES": 2, "DEPTH": 16}, CHIP),
    ),
    "nba_writer": (
        _case({"PP": 4, "BANKS": 4, "LANES": 8, "WLANES": 4}),
        _case({"PP": 2, "BANKS": 8, "LANES": 8, "WLANES": 2}, FPGA),
    ),
    "nba_walk": (
        _case({"PER_CHANNEL": 0, "PP": 4, "BANKS": 4}),
        _case({"PER_CHANNEL": 1, "PP": 8, "BANKS": 8}, FPGA),
        _case({"PER_CHANNEL": 0, "PP": 2, "BANKS": 8, "DEGREE": 4}, FPGA),
    ),
    "nba_seq": (_case({"N_TURNS": 200, "MAX_STAGE": 4}),),
    "nba_drain": (
        _case({"PM": 8, "PQ": 2, "PP": 4, "BANKS": 4, "ACC_BITS": 24}, FPGA),
        _case({"PM": 4, "PQ": 2, "PP": 2, "BANKS": 8, "DEGREE": 4, "ACC_BITS": 24}, FPGA),
        _case({"PM": 4, "PQ": 2, "PP": 2, "BANKS": 2, "ACC_BITS": 24}, CHIP),
    ),
    "nba_program": (
        _case({"WIDTH": 480, "N_JOBS": 16, "N_TURNS": 200}, FPGA, program=(480, 16), turns=(76, 200)),
        _case({"WIDTH": 480, "N_JOBS": 16, "N_MODES": 4}, FPGA, program=(480, 64), turns=(76, 2)),
        _case({"WIDTH": 64, "N_JOBS": 16}, CHIP, program=(64, 16), turns=(76, 2)),
    ),
    "nba_decide": (
        _case({"N_SRC": 2, "N_RES": 1, "N_DST": 2, "N_TURNS": 200, "MAX_STAGE": 4}),
        _case({"N_SRC": 6, "N_RES": 3, "N_DST": 6, "N_TURNS": 200, "MAX_STAGE": 4}, FPGA),
    ),
    "nba_issue": (
        _case({"PP": 4, "BANKS": 4, "N_SRC": 2, "N_RES": 1, "N_DST": 2, "N_TURNS": 200, "MAX_STAGE": 4}, FPGA),
        _case({
            "PER_CHANNEL": 1, "PP": 2, "BANKS": 2, "N_SRC": 2, "N_RES": 1, "N_DST": 2, "N_TURNS": 200, "MAX_STAGE": 4,
        }),
        _case({"PP": 2, "BANKS": 2, "N_SRC": 2, "N_RES": 1, "N_DST": 2, "N_TURNS": 200, "SLICED": 1}, FPGA),
    ),
    "nba_operands": (
        _case({"PM": 4, "PN": 8, "PP": 2, "BANKS": 2, "N_SRC": 2, "A_NEST": 1, "W_NEST": 1, "W_DEPTH": 512,
               "W_BLOCK": 1},
              FPGA, weights=(256, 512)),
        _case({"PM": 4, "PN": 8, "PP": 1, "BANKS": 4, "DEGREE": 4, "PACK": 1, "N_SRC": 2, "A_NEST": 1, "W_NEST": 1,
               "W_DEPTH": 512, "W_BLOCK": 1}, ("xc7",), weights=(256, 512)),
        _case({"PER_CHANNEL": 1, "PM": 8, "PN": 1, "PP": 2, "BANKS": 2, "N_SRC": 2, "HAS_MAX": 1, "W_DEPTH": 32},
              FPGA, weights=(64, 32)),
        _case({"PM": 2, "PN": 4, "PP": 2, "BANKS": 2, "N_SRC": 2, "A_NEST": 1, "W_NEST": 1, "W_DEPTH": 16},
              CHIP, weights=(64, 16)),
    ),
    "nba_pads": (
        _case({"LANES": 8, "N_JOBS": 16, "DEPTH": 64, "BLOCK": 1}, FPGA, pads=(64, 64)),
        _case({"LANES": 4, "N_JOBS": 4, "DEPTH": 16}, CHIP, pads=(32, 16)),
    ),
    "nba_results": (
        _case({"PM": 8, "PQ": 2, "PP": 2, "BANKS": 2, "HAS_RES": 1, "N_RES": 1, "N_DST": 2, "P_DEPTH": 128,
               "P_BLOCK": 1},
              FPGA, params=(96, 128)),
        _case({"PM": 4, "PQ": 1, "PP": 1, "P_DEPTH": 32}, FPGA, params=(48, 32)),
        _case({"PM": 2, "PQ": 1, "PP": 1, "HAS_RES": 1, "N_RES": 1, "N_DST": 1, "P_DEPTH": 8}, CHIP, params=(48, 8)),
    ),
    "nba_stats": (_case({"N_JOBS": 8}),),
    "nba_fetch": (
        _case({"BUS": 128, "N_TARGETS": 4, "N_FETCHES": 64, "MAX_STAGE": 4, "BURST": 16, "N_OPEN": 16},
              FPGA, fetches=(52, 64)),
        _case({"BUS": 256, "N_TARGETS": 15, "N_FETCHES": 1024, "MAX_STAGE": 32, "BURST": 64, "N_OPEN": 32, "BLOCK": 1},
              FPGA, fetches=(52, 1024)),
        _case({"BUS": 32, "ADDR_W": 32, "N_FETCHES": 8, "MAX_STAGE": 1, "N_OPEN": 4}, CHIP, fetches=(52, 8)),
    ),
    "nba_store": (
        _case({"WIDTH": 512, "BUS": 128, "DEPTH": 300, "SLOT_WORDS": 144, "SLOTS": 2, "BLOCK": 1},
              FPGA, weights=(512, 300)),
        _case({"WIDTH": 512, "BUS": 256, "DEPTH": 160, "SLOT_WORDS": 288, "SLOTS": 3, "BLOCK": 1},
              FPGA, weights=(512, 160)),
        _case({"WIDTH": 64, "BUS": 32, "SLOT_WORDS": 8, "SLOTS": 2}, CHIP, weights=(64, 1)),
    ),
    "nba_chunk": (
        _case({**_CHUNK, "W_DEPTH": 256, "W_BLOCK": 1, "P_DEPTH": 64, "P_BLOCK": 1},
              FPGA, program=(_PROGRAM_BITS, 8), turns=(76, 100), weights=(128, 256), params=(96, 64)),
        _case({**_CHUNK, "PER_CHANNEL": 1, "PM": 8, "PN": 1, "HAS_MAX": 1, "A_NEST": 1, "W_NEST": 1, "N_MODES": 2,
               "W_DEPTH": 32, "P_DEPTH": 32},
              FPGA, program=(_PROGRAM_BITS, 16), turns=(76, 100), weights=(64, 32), params=(96, 32)),
        _case({**_CHUNK, "BANKS": 8, "DEGREE": 4, "PACK": 1, "A_NEST": 1, "W_NEST": 1, "N_MODES": 2, "W_DEPTH": 256,
               "W_BLOCK": 1, "P_DEPTH": 64, "P_BLOCK": 1},
              ("xc7",), program=(_PROGRAM_BITS, 16), turns=(76, 100), weights=(128, 256), params=(96, 64)),
        _case({"PM": 2, "PN": 4, "HAS_RES": 1, "N_JOBS": 2, "W_DEPTH": 8, "P_DEPTH": 8},
              CHIP, program=(_PROGRAM_BITS, 2), turns=(76, 1), weights=(64, 8), params=(48, 8)),
    ),
}  # fmt: skip
"""Module -> its parameter sets. `name=(bits, words)`: the file name.mem, with random words."""

WIRING = re.compile(r"nba_word_\w+")
"""Modules without logic: they only name the fields of a word."""


def library() -> Path:
    """Folder of the library modules."""
    return assets.root("templates") / "rtl" / "lib"


def cases() -> tuple[Case, ...]:
    """All cases of the library. Raises KeyError, naming it, for a module without parameters here."""
    names = [path.stem for path in sorted(library().glob("*.v")) if not WIRING.fullmatch(path.stem)]
    modules = (replace(case, module=name) for name in names for case in _TABLE[name])
    return (*modules, *(Case(module=name, values=(), memories=(), flows=FPGA, kind="design") for name in DESIGNS))


def verilog(case: Case, flow: str) -> tuple[str, dict[str, str]]:
    """(top module, files by name) of a case: its Verilog and the memory contents.

    A multiplier of ECP5 has 18 bits, and a pair takes 25. So designs multiply one by one there, and requantisers have
    their products from two narrower ones.
    """
    if case.kind == "design":
        files = DESIGNS[case.module]()
        if flow == "ecp5":
            files = {name: _narrow(text) for name, text in files.items()}
        return "nba_t", {name.removeprefix("rtl/"): text for name, text in files.items() if name.startswith("rtl/")}
    text = {path.name: path.read_text(encoding="utf-8") for path in sorted(library().glob("*.v"))}
    if flow == "ecp5":
        text = {name: _narrow(verilog) for name, verilog in text.items()}
    for name, bits, words in case.memories:
        rand = random.Random(f"{name} {bits} {words}")
        text[name] = "".join(f"{rand.getrandbits(bits):0{-(-bits // 4)}x}\n" for _ in range(words))
    return case.module, needed(case.module, text)


def _narrow(verilog: str) -> str:
    """A file for multipliers of 18 bits."""
    text = re.sub(r"\.PACK( +)\(1\)", r".PACK\1(0)", verilog)
    return re.sub(r"(parameter integer SPLIT +)= 0", r"\1= 1", text)


def needed(top: str, files: dict[str, str]) -> dict[str, str]:
    """Of the Verilog in `files` that which `top` instantiates at any depth, and all that is no Verilog."""
    found, todo = {name: text for name, text in files.items() if not name.endswith(".v")}, [top]
    while todo:
        name = f"{todo.pop()}.v"
        if name in files and name not in found:
            found[name] = files[name]
            code = re.sub(r"//.*", "", files[name])
            todo += re.findall(r"^\s*(nba_\w+)\s*(?:#\s*\(|u_)", code, flags=re.MULTILINE)
    return found


@cache
def _digits() -> dict[str, str]:
    """The network of the digits example (random weights) on four chunks, as the mapper makes them of 64 DSP blocks."""
    network, weights = random_weights(np.random.default_rng(0), DIGITS)
    effort = Effort(scout_steps=60, climb_steps=300, finalists=3, reorder_steps=50)
    accelerator, _ = find_accelerator(
        network, get("pynq-z2"), Budgets(dsp=64, bram=40), seed=1, min_chunks=4, max_chunks=4, effort=effort
    )
    return rtl_of((network, weights, accelerator, lower(network, accelerator)))


@cache
def _modes() -> dict[str, str]:
    """A random network of two modes on three chunks."""
    design, weights, _ = modes_case(12, 2)
    return render_rtl(design, weights, "nba_t")


DESIGNS: dict[str, Callable[[], dict[str, str]]] = {"digits_4_chunks": _digits, "two_modes_3_chunks": _modes}
