# SPDX-License-Identifier: Apache-2.0
"""The schedule sections of the spec are the knobs of the learning side: the same names, the same defaults."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from nba.search.joint import SearchConfig
from nba.spec import TRAIN_PRESETS, SearchSchedule, Switchable, TrainSchedule, parse_spec
from nba.stages.cascade import hardware_bits, switchable_config
from nba.stages.search import search_config
from nba.stages.train import train_config
from nba.switchable.config import SwitchableConfig
from nba.train.config import Distillation, TrainConfig

pytestmark = pytest.mark.torch
MACHINE = {"threads"}
OF_OTHER_STAGES = {"architecture_bits", "hierarchy", "hardware_bits"}
SWITCHABLE = """
name: x
dataset: {name: digits}
network: {stem_channels: 8, stages: [{channels: 8, blocks: 1}], head_channels: 8}
platform: zc706
budgets: {dsp: 10, bram: 10}
precision: switchable
"""
COST = {"cost_weight", "bits_weight", "target_fps", "target", "adapt_rate"}


def test_search_schedule() -> None:
    assert search_config(SearchSchedule(), "interval", 200.0) == SearchConfig()
    knobs = {f.name for f in fields(SearchConfig)} - MACHINE - {"cost"}
    assert knobs == set(SearchSchedule.model_fields) - COST


def test_targets() -> None:
    """200 MHz at 1000 frames per second: 200,000 cycles."""
    assert search_config(SearchSchedule(target_fps=1000.0), "interval", 200.0).cost.target == 200_000
    assert search_config(SearchSchedule(target=70.0), "latency", 200.0).cost.target == 70


def test_train_schedule() -> None:
    assert train_config(TrainSchedule()) == TrainConfig()
    assert {f.name for f in fields(TrainConfig)} - MACHINE == set(TrainSchedule.model_fields) - {"preset", "baselines"}
    chosen = TrainSchedule.model_validate({"preset": "cifar", "epochs": 3, "distillation": {"weight": 0.25}})
    found = train_config(chosen)
    assert (found.epochs, found.optimiser, found.crop_pixels, found.ema) == (3, "sgd", 4, 0.999)
    assert found.distillation == Distillation(weight=0.25)
    assert TrainSchedule.model_validate(chosen.model_dump()) == chosen


def test_switchable_section() -> None:
    """The same names and defaults; the schedule is a section of its own."""
    spec = parse_spec(SWITCHABLE, where="spec", folder=Path(), platforms=["zc706"])
    assert switchable_config(spec) == SwitchableConfig()
    assert hardware_bits(spec) == (4, 8)
    assert {f.name for f in fields(SwitchableConfig)} - {"train"} == set(Switchable.model_fields) - OF_OTHER_STAGES


def test_presets_name_legal_values() -> None:
    for name, values in TRAIN_PRESETS.items():
        found = TrainSchedule.model_validate({"preset": name}).model_dump()
        assert {field: found[field] for field in values} == values
