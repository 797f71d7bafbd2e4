# SPDX-License-Identifier: Apache-2.0
"""nba_fetch, nba_store and nba_memory in one system, on random lists; and the memory by itself."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from runner import LIB, ROOT, Params, bench

pytestmark = pytest.mark.eda

SIM = ROOT / "templates" / "sim"
CASES: tuple[Params, ...] = (
    {"BUS": 32, "WIDTH": 80, "N_TARGETS": 3, "N_FETCHES": 8, "MAX_STAGE": 1, "BURST": 8, "N_OPEN": 6, "LATENCY": 20},
    {"BUS": 64, "WIDTH": 64, "N_TARGETS": 2, "N_FETCHES": 5, "MAX_STAGE": 3, "BURST": 1, "N_OPEN": 4, "LATENCY": 1},
    {"BUS": 128, "WIDTH": 512, "N_TARGETS": 5, "N_FETCHES": 30, "MAX_STAGE": 2, "N_OPEN": 40, "SLOTS": 8, "BURST": 16}
    | {"LATENCY": 64},
)


def library(work: Path) -> Path:
    """A folder with the library, the memory and the system."""
    found = work / "all"
    found.mkdir()
    for path in (*LIB.glob("*.v"), SIM / "nba_memory.v", Path(__file__).parent / "fetch_system.v"):
        shutil.copy(path, found)
    return found


@pytest.mark.parametrize("jitter", [0, 1])
@pytest.mark.parametrize("params", CASES, ids=["narrow", "single", "wide"])
@pytest.mark.parametrize("sim", ["icarus", "verilator"])
def test_system(sim: str, params: Params, jitter: int, tmp_path: Path) -> None:
    values = {"WORDS": 512, "SLOT_WORDS": 8} | dict(params) | {"JITTER": jitter}
    bench("fetch_system", values, tmp_path, library(tmp_path), sim=sim)
