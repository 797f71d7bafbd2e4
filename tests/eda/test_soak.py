# SPDX-License-Identifier: Apache-2.0
"""A thousand frames of one design in one simulation, through everything that the outside may do to it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from template_pairs import STREAM_SEED, features, subject

from nba.emit.bundle import emit_bundle
from nba.verify.rtl import simulate_rtl
from sim.run_sim import SOAK, read_trace
from tests.strategies import random_codes

pytestmark = [pytest.mark.eda, pytest.mark.usefixtures("simulated_here")]

FRAMES = 1000
SEED = STREAM_SEED + 250
"""A small pair."""
USED = ("slices streamed", "slices in turns of a few rows", "several turns of a job", "several stores", "residual")
LEAST = 10
"""Batches of every kind that the simulation must have met."""


def test_a_thousand_frames_between_stalls_late_answers_and_resets(tmp_path: Path) -> None:
    """Every code of a thousand different frames is the reference's, back to back and in batches that stalls, late
    answers, errors and resets disturb; every undisturbed batch takes the predicted cycles."""
    case = subject(SEED)
    used = features(case)
    assert [name for name in USED if not used[name]] == []
    images = random_codes(np.random.default_rng([10, SEED]), case.design.network.tensors[0], FRAMES)
    assert len(np.unique(images, axis=0)) == FRAMES
    emit_bundle(case.design, case.weights, tmp_path / "bundle", images)
    work = tmp_path / "work"
    run = simulate_rtl(tmp_path / "bundle", "verilator", frames=(FRAMES,), work=work, tests=("cycles", SOAK))
    (batch,) = run.batches
    assert (batch.passed, batch.failed) == (("cycles", SOAK), ())
    assert (batch.images, batch.mismatches) == (FRAMES, 0)
    assert batch.cycles_equal
    assert batch.counters_equal
    assert batch.holds
    first, *others = read_trace(work / "verilator" / "trace.txt")
    assert len(first["O"]) == FRAMES
    # A reset sets the cycles of a batch back to 0.
    complete = [one for one in others if one["D"] > 0]
    undisturbed = sum(one["mark"][0] > 0 for one in complete)
    assert sum(len(one["O"]) for one in complete) == FRAMES
    assert min(undisturbed, len(complete) - undisturbed, len(others) - len(complete)) >= LEAST
