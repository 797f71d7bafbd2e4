# SPDX-License-Identifier: Apache-2.0
"""The schedule sections of the spec are the knobs of the learning side: the same names, the same defaults."""

from __future__ import annotations

from dataclasses import fields

import pytest

from nba.search.joint import SearchConfig
from nba.spec import SearchSchedule, TrainSchedule
from nba.stages.search import search_config
from nba.train.loop import TrainConfig

pytestmark = pytest.mark.torch
MACHINE = {"threads"}


def test_search_schedule() -> None:
    assert search_config(SearchSchedule(), "interval") == SearchConfig()
    knobs = {f.name for f in fields(SearchConfig)} - MACHINE - {"cost"}
    assert knobs == set(SearchSchedule.model_fields) - {"cost_weight", "bits_weight", "target"}


def test_train_schedule() -> None:
    assert TrainConfig(**TrainSchedule().model_dump()) == TrainConfig()
    assert {f.name for f in fields(TrainConfig)} - MACHINE == set(TrainSchedule.model_fields)
