# SPDX-License-Identifier: Apache-2.0
"""Random networks on random designs: the RTL equals the integer reference in every bit, and the schedule in every cycle."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from template_pairs import check, features, report, subject

pytestmark = pytest.mark.eda

ICARUS_SEEDS = range(90)
VERILATOR_SEEDS = range(90, 102)
BATCH = 10
THOROUGH_EVERY = 5
"""Every fifth pair also has stalls, resets, batches and a batch of one frame."""


@pytest.mark.parametrize("first", ICARUS_SEEDS[::BATCH])
def test_icarus(first: int, tmp_path: Path) -> None:
    outcomes = [
        check(seed, "icarus", tmp_path / str(seed), thorough=seed % THOROUGH_EVERY == 0)
        for seed in range(first, first + BATCH)
    ]
    failed = [outcome for outcome in outcomes if outcome.failure]
    assert not failed, "\n".join(report(outcome) for outcome in failed)


@pytest.mark.parametrize("seed", VERILATOR_SEEDS)
def test_verilator(seed: int, tmp_path: Path) -> None:
    outcome = check(seed, "verilator", tmp_path, thorough=seed % 2 == 0)
    assert not outcome.failure, report(outcome)


def test_at_least_a_hundred_pairs() -> None:
    assert len(set(ICARUS_SEEDS) | set(VERILATOR_SEEDS)) >= 100
    assert len(ICARUS_SEEDS) % BATCH == 0


def test_every_feature_of_the_template_occurs() -> None:
    counts: Counter[str] = Counter()
    for seed in ICARUS_SEEDS:
        counts.update({name: int(used) for name, used in features(subject(seed)).items()})
    assert counts
    assert not [name for name, count in counts.items() if count == 0], counts


def test_pairs_depend_on_nothing_but_the_seed() -> None:
    assert subject(7).design == subject(7).design
    assert (subject(7).images == subject(7).images).all()
    assert subject(7).design != subject(8).design
