# SPDX-License-Identifier: Apache-2.0
"""The bi-level schedule: rates, temperatures, steps, splits, ways of sampling, optimisers."""

from __future__ import annotations

import itertools
from typing import Literal

import pytest
import torch

from nba.learn.data.images import batches_of
from nba.learn.search.config import BitSampling, SearchSchedule
from nba.learn.search.joint import JointSearch
from nba.spec import LearningSchedule
from tests.torch.fake_hardware import FakeHardware
from tests.torch.small import MACRO, few_digits

pytestmark = pytest.mark.torch
SHORT = SearchSchedule(
    pretrain_epochs=1, joint_epochs=3, batch_size=16, hardware_every=2, hardware_samples=3, hardware_first=2,
    hardware_last=2,
)  # fmt: skip


def _search(config: SearchSchedule, images: int = 100, hardware: FakeHardware | None = None) -> JointSearch:
    return JointSearch(MACRO, few_digits(images), hardware or FakeHardware(0), config, 0)


def test_the_published_schedule() -> None:
    schedule = LearningSchedule.model_validate({"preset": "published-auto-nba-cifar"})
    run = _search(schedule.search.in_cycles(200.0))
    config = run.config
    assert (config.pretrain_epochs, config.joint_epochs, config.batch_size, config.hardware_every) == (30, 90, 64, 100)
    assert run.temperature(0) == run.temperature(30) == 5.0
    assert run.temperature(31) == pytest.approx(5.0 * 0.975)
    assert run.temperature(119) == pytest.approx(5.0 * 0.975**89)
    assert run.learning_rate(0) == 0.025
    assert run.learning_rate(60) == pytest.approx(0.013)
    assert run.learning_rate(120) == pytest.approx(0.001)
    assert isinstance(run.weights_optimiser, torch.optim.SGD)
    assert run.weights_optimiser.param_groups[0]["weight_decay"] == 5e-4
    for group in run.choice_optimiser.param_groups:
        assert (group["lr"], group["betas"]) == (3e-4, (0.5, 0.999))
    imagenet = LearningSchedule.model_validate({"preset": "published-auto-nba-imagenet"}).search
    assert (imagenet.pretrain_epochs, imagenet.joint_epochs, imagenet.temperature_factor) == (45, 75, 0.956)


def test_the_temperature_falls_to_the_last_one() -> None:
    run = _search(SHORT.but(pretrain_epochs=2, joint_epochs=5, temperature_first=4.0, temperature_last=0.25))
    falls = [run.temperature(epoch) for epoch in range(7)]
    assert falls[:3] == [4.0] * 3
    assert falls[-1] == pytest.approx(0.25)
    ratios = [b / a for a, b in itertools.pairwise(falls[2:])]
    assert ratios == pytest.approx([ratios[0]] * 4)


def test_the_split_of_the_data_and_the_steps() -> None:
    run = _search(SHORT.but(weights_fraction=0.75), 400)
    assert len(run.train_y) + len(run.valid_y) == 400
    assert abs(len(run.train_y) - 300) <= 5
    assert run.steps() == len(run.train_y) // 16
    assert _search(SHORT.but(steps_per_epoch=3), 400).steps() == 3
    assert _search(SHORT.but(steps_per_epoch=3000), 400).steps() == len(_search(SHORT, 400).train_y) // 16


def test_the_accelerator_is_searched_every_so_many_steps_across_epochs() -> None:
    """3 steps per epoch and 3 joint epochs, every 2 steps: after steps 2, 4, 6, 8."""

    class Counting(FakeHardware):
        calls: list[int]

        def step(self, network: object, slot_of_layer: tuple[int, ...], n_samples: int) -> None:
            self.calls.append(n_samples)
            super().step(network, slot_of_layer, n_samples)  # type: ignore[arg-type]

    hardware = Counting(0)
    hardware.calls = []
    _search(SHORT.but(steps_per_epoch=3), 200, hardware).epochs()
    assert hardware.calls == [2, 3, 3, 3, 3]


@pytest.mark.parametrize(
    ("sampling", "weights_hard", "choices_hard"),
    [("hetero", False, True), ("soft", False, False), ("hard", True, True)],
)
def test_how_bits_are_sampled(sampling: BitSampling, weights_hard: bool, choices_hard: bool) -> None:
    run = _search(SHORT.but(bit_sampling=sampling, steps_per_epoch=2))
    seen: list[tuple[int, bool]] = []
    whole = run._path

    def spy(temperature: float, n_candidates: int, hard_bits: bool, generator: torch.Generator) -> object:
        seen.append((n_candidates, hard_bits))
        return whole(temperature, n_candidates, hard_bits, generator)

    run._path = spy  # type: ignore[method-assign,assignment]
    run._improve_hardware = lambda *_: None  # type: ignore[method-assign]
    before = run.beta.detach().clone()
    run.epoch(0)
    assert seen == [(1, weights_hard)] * 2
    run.epoch(1)
    assert seen[2:] == [(1, weights_hard), (2, choices_hard)] * 2
    assert not torch.equal(run.beta.detach(), before)


@pytest.mark.parametrize(("optimiser", "rate"), [("adamw", 0.01), ("sgd", 0.025)])
def test_either_optimiser_learns(optimiser: Literal["adamw", "sgd"], rate: float) -> None:
    """Random paths, so that weights without a gradient are among the parameters, then one path on one batch."""
    run = _search(SHORT.but(optimiser=optimiser, learning_rate=rate, shift_pixels=0.0, rotation_degrees=0.0, zoom=0.0))
    generator = torch.Generator().manual_seed(0)
    index = torch.arange(16)
    codes = next(batches_of(run.images, [index], None))
    for _ in range(3):
        run._train_weights(index, codes, 5.0, generator)
    with torch.no_grad():
        path = run._path(5.0, 1, True, generator)
    run._path = lambda *_: path  # type: ignore[method-assign]
    losses = [run._train_weights(index, codes, 5.0, generator) for _ in range(40)]
    assert losses[-1] < losses[0] - 0.5
