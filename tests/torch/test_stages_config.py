# SPDX-License-Identifier: Apache-2.0
"""The schedule sections of the spec are the knobs of the learning side: the same names, the same defaults."""

from __future__ import annotations

import math
from dataclasses import fields
from pathlib import Path

import pytest

from nba.explore.baselines import EvolutionarySearch, RandomSearch
from nba.explore.gamma import GammaSearch
from nba.flow import hierarchy
from nba.flow.data import data_config
from nba.flow.stages.cascade import hardware_bits, switchable_config
from nba.flow.stages.nas import objective
from nba.flow.stages.nas import search_config as nas_config
from nba.flow.stages.search import NOT_OF_THE_SEARCH, hardware_search, search_config
from nba.flow.stages.train import train_config
from nba.learn.search.joint import SearchConfig
from nba.learn.search.penalty import Pressure
from nba.learn.switchable.config import SwitchableConfig
from nba.learn.switchable.search import SwitchableSearchConfig
from nba.learn.train.config import Distillation, TrainConfig
from nba.spec import ResizedCrop, SearchSchedule, Switchable, TrainSchedule, parse_spec

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
CROP = {"resized_crop"}
"""It is the data's."""


def test_search_schedule() -> None:
    assert search_config(SearchSchedule(), "interval", 200.0) == SearchConfig()
    knobs = {f.name for f in fields(SearchConfig)} - MACHINE - {"cost"}
    assert knobs == set(SearchSchedule.model_fields) - NOT_OF_THE_SEARCH


def test_targets() -> None:
    """200 MHz at 1000 frames per second: 200,000 cycles."""
    assert search_config(SearchSchedule(target_fps=1000.0), "interval", 200.0).cost.target == 200_000
    assert search_config(SearchSchedule(target=70.0), "latency", 200.0).cost.target == 70
    assert search_config(SearchSchedule(fps_range=(100.0, 400.0)), "interval", 200.0).cost.span == (500_000, 2_000_000)
    assert search_config(SearchSchedule(fps_range=(0.0, 200.0)), "interval", 200.0).cost.span == (1e6, math.inf)
    assert search_config(SearchSchedule(cost_range=(1.0, 2.0)), "edp", 200.0).cost.span == (1.0, 2.0)


def test_train_schedule() -> None:
    assert train_config(TrainSchedule()) == TrainConfig()
    own = set(TrainSchedule.model_fields) - {"preset", "baselines"} - CROP
    assert {f.name for f in fields(TrainConfig)} - MACHINE == own
    chosen = TrainSchedule.model_validate({"preset": "common-cifar", "epochs": 3, "distillation": {"weight": 0.25}})
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


def test_a_switchable_spec_gives_the_searchs_own_defaults() -> None:
    """Without a schedule: the published epochs and temperature, and everything else as the learning side has it."""
    spec = parse_spec(SWITCHABLE, where="spec", folder=Path(), platforms=["zc706"])
    assert nas_config(spec) == SwitchableSearchConfig()
    assert (nas_config(spec).joint_epochs, nas_config(spec).temperature_first) == (25, 3.0)
    own = "schedule: {search: {network_objective: macs, cost_range: [10, 20], cost_form: linear, cost_weight: 2.0}}\n"
    found = parse_spec(SWITCHABLE + own, where="spec", folder=Path(), platforms=["zc706"])
    assert nas_config(found).pressure == Pressure(weight=2.0, form="linear", span=(10.0, 20.0))
    assert objective(found) == "macs"


def test_frames_per_second_are_those_of_the_hierarchys_clock() -> None:
    text = SWITCHABLE + "schedule: {search: {target_fps: 100}}\n"
    spec = parse_spec(text, where="spec", folder=Path(), platforms=["zc706"])
    assert nas_config(spec).target == hierarchy.of(spec).clock_mhz * 1e6 / 100


def test_the_crop_of_a_schedule_comes_before_other_transforms() -> None:
    text = SWITCHABLE.replace("{name: digits}", "{name: folder, path: x, image_size: 32, classes: [a, b], "
                              "transforms: [{name: RandomHorizontalFlip}]}")  # fmt: skip
    spec = parse_spec(text, where="spec", folder=Path(), platforms=["zc706"])
    plain, crop = data_config(spec), ResizedCrop(scale=(0.5, 1.0))
    assert [t.name for t in plain.transforms] == ["RandomHorizontalFlip"]
    found = data_config(spec, crop)
    assert [t.name for t in found.transforms] == ["RandomResizedCrop", "RandomHorizontalFlip"]
    assert dict(found.transforms[0].options) == {"size": (32, 32), "scale": (0.5, 1.0), "ratio": (3 / 4, 4 / 3)}
    assert (found.classes, found.n_classes) == (("a", "b"), None)


@pytest.mark.parametrize(
    ("method", "kind"), [("gamma", GammaSearch), ("random", RandomSearch), ("evolutionary", EvolutionarySearch)]
)
def test_the_accelerator_is_searched_by_the_method_of_the_spec(method: str, kind: type) -> None:
    text = SWITCHABLE.replace("precision: switchable\n", f"schedule: {{search: {{hardware_method: {method}}}}}\n")
    assert hardware_search(parse_spec(text, where="spec", folder=Path(), platforms=["zc706"])) is kind
