# SPDX-License-Identifier: Apache-2.0
"""The sections of the spec that the learning side owns, and what the stages make of them."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from pydantic import ValidationError

from nba.explore.baselines import EvolutionarySearch, RandomSearch
from nba.explore.gamma import GammaSearch
from nba.flow.stages.nas import efficiency_objective
from nba.flow.stages.search import hardware_search
from nba.learn.data.config import Classes
from nba.learn.search.config import SWITCHABLE_SEARCH, SearchSchedule
from nba.learn.switchable.config import Cascade, Switchable
from nba.learn.train.augmentation import ResizedCrop
from nba.learn.train.config import Distillation, TrainSchedule
from nba.spec import Spec, parse_spec

pytestmark = pytest.mark.torch
SWITCHABLE = """
name: x
dataset: {name: digits}
network: {stem_channels: 8, stages: [{channels: 8, blocks: 1}], head_channels: 8}
platform: zc706
budgets: {dsp: 10, bram: 10}
precision: switchable
"""


def spec_of(more: str = "") -> Spec:
    return parse_spec(SWITCHABLE + more, where="spec", folder=Path(), platforms=["zc706"])


def test_targets() -> None:
    """200 MHz at 1000 frames per second: 200,000 cycles."""
    assert SearchSchedule(target_fps=1000.0).in_cycles(200.0) == SearchSchedule(target=200_000.0)
    assert SearchSchedule(target=70.0).in_cycles(200.0) == SearchSchedule(target=70.0)
    assert SearchSchedule(fps_range=(100.0, 400.0)).in_cycles(200.0).cost_range == (500_000, 2_000_000)
    assert SearchSchedule(fps_range=(0.0, 200.0)).in_cycles(200.0).cost_range == (1e6, math.inf)
    assert SearchSchedule(cost_range=(1.0, 2.0)).in_cycles(200.0) == SearchSchedule(cost_range=(1.0, 2.0))


def test_train_schedule() -> None:
    chosen = TrainSchedule.model_validate({"preset": "common-cifar", "epochs": 3, "distillation": {"weight": 0.25}})
    assert (chosen.epochs, chosen.optimiser, chosen.crop_pixels, chosen.ema) == (3, "sgd", 4, 0.999)
    assert chosen.distillation == Distillation(weight=0.25)
    assert TrainSchedule.model_validate(chosen.model_dump()) == chosen


def test_a_section_with_other_values_is_checked() -> None:
    assert TrainSchedule().but(epochs=3) == TrainSchedule(epochs=3)
    with pytest.raises(ValidationError, match="greater than or equal to 1"):
        TrainSchedule().but(epochs=0)
    with pytest.raises(ValidationError, match="is above learning_rate"):
        SearchSchedule().but(learning_rate=1e-4)


def test_baselines_do_not_shape_what_is_trained() -> None:
    assert TrainSchedule(baselines=False).recipe() == TrainSchedule().recipe()
    assert TrainSchedule(epochs=7).recipe() != TrainSchedule().recipe()


def test_switchable_section() -> None:
    """The cascade's knobs are those that shape the weights: another bitwidth for the hardware trains nothing anew."""
    assert spec_of().switched == Switchable()
    assert spec_of().switched.modes() == (4, 8)
    assert Switchable(hardware_bits=8).modes() == (8,)
    assert Switchable(hardware_bits=8).recipe() == Switchable().recipe() == Cascade().recipe()
    assert Switchable(beta=2.0).recipe() != Switchable().recipe()


def test_a_switchable_spec_gives_the_searchs_own_defaults() -> None:
    """Without a schedule: the published epochs and temperature, and everything else as for other searches."""
    assert spec_of().schedule.search == SearchSchedule.model_validate(SWITCHABLE_SEARCH)
    assert (spec_of().schedule.search.joint_epochs, spec_of().schedule.search.temperature_first) == (25, 3.0)
    own = "schedule: {search: {network_objective: macs, cost_range: [10, 20], cost_form: linear, cost_weight: 2.0}}\n"
    found = spec_of(own)
    assert found.schedule.search == SearchSchedule.model_validate(
        {
            **SWITCHABLE_SEARCH, "network_objective": "macs", "cost_range": (10, 20), "cost_form": "linear",
            "cost_weight": 2.0,
        }
    )  # fmt: skip
    assert efficiency_objective(found) == "macs"


def test_the_crop_of_a_schedule_comes_before_other_transforms() -> None:
    text = SWITCHABLE.replace("{name: digits}", "{name: folder, path: x, image_size: 32, classes: [a, b], "
                              "transforms: [{name: RandomHorizontalFlip}]}")  # fmt: skip
    spec = parse_spec(text, where="spec", folder=Path(), platforms=["zc706"])
    plain, crop = spec.dataset, ResizedCrop(scale=(0.5, 1.0))
    assert [t.name for t in plain.transforms] == ["RandomHorizontalFlip"]
    found = plain.cropped(crop)
    assert [t.name for t in found.transforms] == ["RandomResizedCrop", "RandomHorizontalFlip"]
    assert found.transforms[0].options == {"size": 32, "scale": (0.5, 1.0), "ratio": (3 / 4, 4 / 3)}
    assert found.classes == plain.classes == Classes(names=("a", "b"))
    assert plain.cropped(None) == plain


@pytest.mark.parametrize(
    ("method", "kind"), [("gamma", GammaSearch), ("random", RandomSearch), ("evolutionary", EvolutionarySearch)]
)
def test_the_accelerator_is_searched_by_the_method_of_the_spec(method: str, kind: type) -> None:
    text = SWITCHABLE.replace("precision: switchable\n", f"schedule: {{search: {{hardware_method: {method}}}}}\n")
    assert hardware_search(parse_spec(text, where="spec", folder=Path(), platforms=["zc706"])) is kind
