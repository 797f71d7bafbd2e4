# SPDX-License-Identifier: Apache-2.0
"""Gates, proofs, benches and planted bugs of the datapath modules, at the corners of their parameters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest
from datapath import BENCHES, LINT, MUTANTS, PROOFS, VERILATOR_BENCHES
from runner import GATES, LIB, GateError, Mutant, Params, bench, lint, mutated, prove, tool_env

from nba.core.tools import run_tool

pytestmark = [pytest.mark.eda, pytest.mark.xdist_group("gates")]


def _cases(table: Mapping[str, Iterable[Params]]) -> list:
    return [
        pytest.param(module, params, id=f"{module}-{'-'.join(str(value) for value in params.values())}")
        for module, sets in table.items()
        for params in sets
    ]


@pytest.mark.sampled(every=8)
@pytest.mark.parametrize("gate", GATES)
@pytest.mark.parametrize(("module", "params"), _cases(LINT))
def test_gate(gate: str, module: str, params: Params, tmp_path: Path) -> None:
    lint(gate, module, params, tmp_path)


@pytest.mark.sampled(every=4)
@pytest.mark.parametrize(("module", "params"), _cases(PROOFS))
def test_proof(module: str, params: Params, tmp_path: Path) -> None:
    prove(module, params, tmp_path)


@pytest.mark.sampled(every=6)
@pytest.mark.parametrize(("module", "params"), _cases(BENCHES))
def test_icarus(module: str, params: Params, tmp_path: Path) -> None:
    bench(module, params, tmp_path)


@pytest.mark.parametrize(("module", "params"), VERILATOR_BENCHES)
def test_verilator(module: str, params: Params, tmp_path: Path) -> None:
    bench(module, params, tmp_path, sim="verilator")


CASES_OF_8_BITS = 511 * 256 * 256
"""Operands -255..255 with every two weights."""
CASES = {1: CASES_OF_8_BITS, 2: CASES_OF_8_BITS + 31**2 * 16**2, 4: CASES_OF_8_BITS + 31**2 * 16**2 + 7**4 * 4**2}
"""All cases by DEGREE: of one column, of two columns of 4 bits, of four columns of 2 bits; all operands with each other
and with every two weights."""


def all_pairs(lib: Path, work: Path, degree: int) -> str:
    """What all_pairs.cpp prints of the nba_pair in `lib`: every operand and every two weights, at 8 bits and at those
    of every degree up to `degree`."""
    command = ["verilator", "--cc", "--exe", "--build", "-O3", "-CFLAGS", f"-O2 -DDEGREE={degree}", "-Wno-fatal"]
    command += ["--Mdir", "obj", "--default-language", "1364-2005", "--top-module", "nba_pair", f"-GDEGREE={degree}"]
    files = [str(lib / "nba_pair.v"), str(Path(__file__).parent / "all_pairs.cpp")]
    run_tool([*command, *files], cwd=work, timeout_s=1800, env=tool_env())
    return run_tool([str(work / "obj" / "Vnba_pair")], cwd=work, timeout_s=1800).output.strip()


@pytest.mark.parametrize("degree", CASES)
def test_every_pair_of_products(degree: int, tmp_path: Path) -> None:
    assert all_pairs(LIB, tmp_path, degree) == f"{CASES[degree]} cases, 0 wrong"


def test_a_wrong_pair_among_all_is_found(tmp_path: Path) -> None:
    """With a bit less for both weights only those fail that begin with -128 and go on below 0."""
    old = "PAIR_W  = FIELD + W_BITS + 1;"
    lib = mutated(Mutant(module="nba_pair", old=old, new=old.replace(" + 1", "")), tmp_path)
    cases, wrong = all_pairs(lib, tmp_path, 1).split(" cases, ")
    assert cases == str(CASES[1])
    assert wrong == f"{510 * 128} wrong"


def test_a_wrong_field_among_all_is_found(tmp_path: Path) -> None:
    """A third column that takes the top bit of its field as it stands is wrong in every case of four columns; no other
    case has a third column."""
    old = "{~f[15], f[14:12], ~f[11],"
    lib = mutated(Mutant(module="nba_pair", old=old, new=old.replace("~f[11]", "f[11]")), tmp_path)
    assert all_pairs(lib, tmp_path, 4) == f"{CASES[4]} cases, {7**4 * 4**2} wrong"


@pytest.mark.sampled(every=8)
@pytest.mark.parametrize("mutant", MUTANTS, ids=[f"{mutant.module}-{i}" for i, mutant in enumerate(MUTANTS)])
def test_mutant_is_killed(mutant: Mutant, tmp_path: Path) -> None:
    lib = mutated(mutant, tmp_path)
    assert mutant.bench is not None
    (tmp_path / "bench").mkdir()
    with pytest.raises(GateError, match=r"FAIL=[1-9]"):
        bench(mutant.tested, mutant.bench, tmp_path / "bench", lib)
    if mutant.proof is not None:
        (tmp_path / "proof").mkdir()
        with pytest.raises(GateError, match="proof did fail"):
            prove(mutant.tested, mutant.proof, tmp_path / "proof", lib)
