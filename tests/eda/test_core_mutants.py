# SPDX-License-Identifier: Apache-2.0
"""Planted bugs of the template's core: the named pair must differ in bits or cycles, the named proof must fail."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from params import PROOFS
from runner import GateError, mutated, prove
from template_mutants import MUTANTS, CoreMutant
from template_pairs import simulate, subject

pytestmark = [pytest.mark.eda, pytest.mark.usefixtures("simulated_here")]

CORE = ("nba_ring", "nba_edge", "nba_writer", "nba_walk", "nba_seq", "nba_drain", "nba_issue", "nba_decide")
PAIRS = [pytest.param(m, id=f"{m.mutant.module}-{i}") for i, m in enumerate(MUTANTS) if m.seed is not None]
PROVED = [pytest.param(m, id=f"{m.mutant.module}-{i}") for i, m in enumerate(MUTANTS) if m.mutant.proof is not None]


@pytest.mark.sampled(every=8)
@pytest.mark.parametrize("planted", PAIRS)
def test_pair_differs(planted: CoreMutant, tmp_path: Path) -> None:
    assert planted.seed is not None
    lib = mutated(planted.mutant, tmp_path)
    (batch,) = simulate(subject(planted.seed), "icarus", tmp_path, thorough=False, lib=lib).batches
    assert not batch.holds
    assert batch.mismatches or not batch.cycles_equal


@pytest.mark.sampled(every=24)
@pytest.mark.parametrize("planted", PROVED)
def test_proof_fails(planted: CoreMutant, tmp_path: Path) -> None:
    params = planted.mutant.proof
    assert params in PROOFS[planted.mutant.module]
    with pytest.raises(GateError, match="Called with -verify and proof did fail"):
        prove(planted.mutant.module, params or {}, tmp_path, mutated(planted.mutant, tmp_path))


@pytest.mark.sampled(every=6)
@pytest.mark.parametrize("seed", sorted({m.seed for m in MUTANTS if m.seed is not None}))
def test_unmutated_pair_is_equal(seed: int, tmp_path: Path) -> None:
    """Under the same early time-out as the planted bugs."""
    from runner import LIB

    (batch,) = simulate(subject(seed), "icarus", tmp_path, thorough=False, lib=LIB).batches
    assert batch.holds


def test_two_mutants_for_every_module() -> None:
    counts = Counter(planted.mutant.module for planted in MUTANTS)
    assert all(counts[module] >= 2 for module in CORE), counts
    assert all(planted.seed is not None or planted.mutant.proof is not None for planted in MUTANTS)
