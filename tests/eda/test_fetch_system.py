# SPDX-License-Identifier: Apache-2.0
"""nba_fetch, nba_store and nba_memory in one system, on random lists; nba_fetch with a slave that is not ours."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from runner import LIB, ROOT, GateError, Params, bench, tool_env

from nba.core.tools import run_tool

pytestmark = pytest.mark.eda

SIM = ROOT / "templates" / "sim"
HERE = Path(__file__).parent
CASES: tuple[Params, ...] = (
    {"BUS": 32, "WIDTH": 80, "N_TARGETS": 3, "N_FETCHES": 8, "MAX_STAGE": 1, "BURST": 8, "N_OPEN": 6, "LATENCY": 20},
    {"BUS": 64, "WIDTH": 64, "N_TARGETS": 2, "N_FETCHES": 5, "MAX_STAGE": 3, "BURST": 1, "N_OPEN": 4, "LATENCY": 1},
    {"BUS": 128, "WIDTH": 512, "N_TARGETS": 5, "N_FETCHES": 30, "MAX_STAGE": 2, "N_OPEN": 40, "SLOTS": 8, "BURST": 16}
    | {"LATENCY": 64},
)


def library(work: Path) -> Path:
    """A folder with the library, the memory and the systems."""
    found = work / "all"
    found.mkdir()
    for path in (*LIB.glob("*.v"), SIM / "nba_memory.v", HERE / "fetch_system.v", HERE / "fetch_axi.v"):
        shutil.copy(path, found)
    return found


@pytest.mark.parametrize("jitter", [0, 1])
@pytest.mark.parametrize("params", CASES, ids=["narrow", "single", "wide"])
@pytest.mark.parametrize("sim", ["icarus", "verilator"])
def test_system(sim: str, params: Params, jitter: int, tmp_path: Path) -> None:
    values = {"WORDS": 512, "SLOT_WORDS": 8} | dict(params) | {"JITTER": jitter}
    bench("fetch_system", values, tmp_path, library(tmp_path), sim=sim)


@pytest.mark.parametrize("faults", [1, 2])
def test_faults_of_the_memory_change_no_word(faults: int, tmp_path: Path) -> None:
    values = {"WORDS": 512, "SLOT_WORDS": 8} | dict(CASES[2]) | {"FAULTS": faults}
    bench("fetch_system", values, tmp_path, library(tmp_path))


def test_the_memory_is_plain_verilog(tmp_path: Path) -> None:
    (tmp_path / "memory.mem").write_text("0\n")
    text = (SIM / "nba_memory.v").read_text()
    assert text.isascii()
    assert text.startswith("// SPDX-License-Identifier: Apache-2.0\n// nba_memory: ")
    flags = ["--lint-only", "-Wall", "-Wno-BLKSEQ", "--default-language", "1364-2005"]
    for command in (["verilator", *flags], ["iverilog", "-g2005", "-Wall", "-tnull"]):
        found = run_tool([*command, str(SIM / "nba_memory.v")], cwd=tmp_path, env=tool_env())
        assert not [line for line in found.output.splitlines() if line.strip() and not line.startswith("- ")]


@pytest.mark.parametrize("burst", [1, 16])
def test_foreign_slave(burst: int, tmp_path: Path) -> None:
    params = {"BUS": 64, "N_TARGETS": 3, "N_FETCHES": 12, "MAX_STAGE": 1, "BURST": burst, "WORDS": 4096}
    bench("fetch_axi", params, tmp_path, library(tmp_path))


WRONG = (
    # A beat too early, and too late; the words of the burst before; more than a beat is asked for at once.
    ("now >= q_time[head]", "now + 64'd1 >= q_time[head]"),
    ("now >= q_time[head]", "now > q_time[head]"),
    ("word = ((q_addr[head] - BASE)", "word = ((q_addr[tail] - BASE)"),
    ("s_axi_rlast  <= place == q_len[head];", "s_axi_rlast  <= place == 8'd0;"),
)
"""(old, new) in nba_memory."""


@pytest.mark.parametrize(("old", "new"), WRONG)
def test_a_wrong_memory_is_found(old: str, new: str, tmp_path: Path) -> None:
    found = library(tmp_path)
    text = (found / "nba_memory.v").read_text()
    assert text.count(old) == 1
    (found / "nba_memory.v").write_text(text.replace(old, new))
    values = {"WORDS": 512, "SLOT_WORDS": 8} | dict(CASES[0])
    with pytest.raises(GateError, match=r"\*\* TESTS=\d+ PASS=\d+ FAIL=[1-9]"):
        bench("fetch_system", values, tmp_path, found)
