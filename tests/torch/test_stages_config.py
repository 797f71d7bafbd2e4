# SPDX-License-Identifier: Apache-2.0
"""The schedule sections of the spec are the knobs of the learning side: the same names, the same defaults."""

from __future__ import annotations

from dataclasses import fields

import pytest

from nba.errors import SpecError
from nba.search.joint import SearchConfig
from nba.spec import SearchSchedule, TrainSchedule
from nba.stages.search import search_config
from nba.train.loop import TrainConfig

pytestmark = pytest.mark.torch
MACHINE = {"threads"}
COST = {"cost_weight", "bits_weight", "target_fps", "target", "adapt_rate"}


def test_search_schedule() -> None:
    assert search_config(SearchSchedule(), "interval", 200.0) == SearchConfig()
    knobs = {f.name for f in fields(SearchConfig)} - MACHINE - {"cost"}
    assert knobs == set(SearchSchedule.model_fields) - COST


def test_targets() -> None:
    """200 MHz at 1000 frames per second: 200,000 cycles."""
    assert search_config(SearchSchedule(target_fps=1000.0), "interval", 200.0).cost.target == 200_000
    assert search_config(SearchSchedule(target=70.0), "latency", 200.0).cost.target == 70
    with pytest.raises(SpecError, match="target"):
        search_config(SearchSchedule(target_fps=1000.0), "latency", 200.0)


def test_train_schedule() -> None:
    assert TrainConfig(**TrainSchedule().model_dump()) == TrainConfig()
    assert {f.name for f in fields(TrainConfig)} - MACHINE == set(TrainSchedule.model_fields)
