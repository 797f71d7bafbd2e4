# SPDX-License-Identifier: Apache-2.0
"""Gates, proofs, benches and planted bugs of the datapath modules, at the corners of their parameters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest
from datapath import BENCHES, LINT, MUTANTS, PROOFS, VERILATOR_BENCHES
from runner import GATES, GateError, Mutant, Params, bench, lint, mutated, prove

pytestmark = [pytest.mark.eda, pytest.mark.xdist_group("gates")]


def _cases(table: Mapping[str, Iterable[Params]]) -> list:
    return [
        pytest.param(module, params, id=f"{module}-{'-'.join(str(value) for value in params.values())}")
        for module, sets in table.items()
        for params in sets
    ]


@pytest.mark.parametrize("gate", GATES)
@pytest.mark.parametrize(("module", "params"), _cases(LINT))
def test_gate(gate: str, module: str, params: Params, tmp_path: Path) -> None:
    lint(gate, module, params, tmp_path)


@pytest.mark.parametrize(("module", "params"), _cases(PROOFS))
def test_proof(module: str, params: Params, tmp_path: Path) -> None:
    prove(module, params, tmp_path)


@pytest.mark.parametrize(("module", "params"), _cases(BENCHES))
def test_icarus(module: str, params: Params, tmp_path: Path) -> None:
    bench(module, params, tmp_path)


@pytest.mark.parametrize(("module", "params"), VERILATOR_BENCHES)
def test_verilator(module: str, params: Params, tmp_path: Path) -> None:
    bench(module, params, tmp_path, sim="verilator")


@pytest.mark.parametrize("mutant", MUTANTS, ids=[f"{mutant.module}-{i}" for i, mutant in enumerate(MUTANTS)])
def test_mutant_is_killed(mutant: Mutant, tmp_path: Path) -> None:
    lib = mutated(mutant, tmp_path)
    assert mutant.bench is not None
    (tmp_path / "bench").mkdir()
    with pytest.raises(GateError, match=r"FAIL=[1-9]"):
        bench(mutant.module, mutant.bench, tmp_path / "bench", lib)
    if mutant.proof is not None:
        (tmp_path / "proof").mkdir()
        with pytest.raises(GateError, match="proof did fail"):
            prove(mutant.module, mutant.proof, tmp_path / "proof", lib)
