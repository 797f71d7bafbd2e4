# SPDX-License-Identifier: Apache-2.0
"""Planted bugs: whoever is named in the mutant must find it, by a failed proof or a failed comparison, not by an error
on the way. That the unmutated modules pass under the same parameters is what test_proofs and test_benches say."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import datapath
import pytest
import template_mutants
from mutants import MUTANTS
from params import BENCHES, PROOFS
from runner import GateError, Mutant, bench, mutated, prove

pytestmark = pytest.mark.eda

NAMES = [f"{mutant.module}-{i}" for i, mutant in enumerate(MUTANTS)]


@pytest.mark.sampled(every=4)
@pytest.mark.parametrize("mutant", [m for m in MUTANTS if m.proof is not None], ids=[
    name for name, m in zip(NAMES, MUTANTS, strict=True) if m.proof is not None
])  # fmt: skip
def test_proof_fails(mutant: Mutant, tmp_path: Path) -> None:
    assert mutant.proof is not None
    assert mutant.proof in PROOFS.get(mutant.module, ({},))
    with pytest.raises(GateError, match="Called with -verify and proof did fail"):
        prove(mutant.module, mutant.proof, tmp_path, mutated(mutant, tmp_path))


@pytest.mark.sampled(every=4)
@pytest.mark.parametrize("mutant", [m for m in MUTANTS if m.bench is not None], ids=[
    name for name, m in zip(NAMES, MUTANTS, strict=True) if m.bench is not None
])  # fmt: skip
def test_bench_fails(mutant: Mutant, tmp_path: Path) -> None:
    assert mutant.bench is not None
    assert mutant.bench in BENCHES[mutant.module]
    with pytest.raises(GateError, match=r"\*\* TESTS=\d+ PASS=\d+ FAIL=[1-9]"):
        bench(mutant.module, mutant.bench, tmp_path, mutated(mutant, tmp_path))


def test_two_mutants_for_every_module_with_a_bench() -> None:
    counts = Counter(mutant.module for mutant in MUTANTS if mutant.proof is not None or mutant.bench is not None)
    assert all(counts[module] >= 2 for module in BENCHES), counts


def test_every_planted_bug_finds_its_place(tmp_path: Path) -> None:
    """Also those that a sample leaves out: the text of each occurs once in its module."""
    planted = (*MUTANTS, *datapath.MUTANTS, *(planted.mutant for planted in template_mutants.MUTANTS))
    for i, mutant in enumerate(planted):
        (tmp_path / str(i)).mkdir()
        mutated(mutant, tmp_path / str(i))
