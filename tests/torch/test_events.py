# SPDX-License-Identifier: Apache-2.0
"""TensorBoard: every epoch once, also after a kill; no part of a stage's result."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from nba.core.sources import digest_tree
from nba.explore.entropy import mean_entropy
from nba.learn.search.config import SearchSchedule
from nba.learn.search.joint import search_jointly
from nba.learn.space.network import Architecture
from nba.learn.train.config import TrainSchedule
from nba.learn.train.events import PATTERN, Events
from nba.learn.train.loop import train
from tests.torch.fake_hardware import FakeHardware
from tests.torch.small import MACRO, few_digits

pytestmark = pytest.mark.torch


def _scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    found = EventAccumulator(str(folder))
    found.Reload()
    return {tag: [(e.step, e.value) for e in found.Scalars(tag)] for tag in found.Tags()["scalars"]}


def test_every_epoch_once_and_no_part_of_the_result(tmp_path: Path) -> None:
    architecture = Architecture(macro=MACRO, ops=("k3_e2", "k5_e2", "skip"), bits=(8, 4, 4))
    config = TrainSchedule(epochs=3, batch_size=16)
    for _ in range(2):  # the second time all epochs come from the checkpoint
        trained = train(architecture, few_digits(32), config, 1, tmp_path)
        found = _scalars(tmp_path)
        assert set(found) == {"train/loss", "train/accuracy", "train/learning_rate"}
        assert found["train/loss"] == [(r.epoch, pytest.approx(r.loss)) for r in trained.records]
    assert len(list(tmp_path.glob(PATTERN))) == 1
    assert set(digest_tree(tmp_path)) == {"train.pt", "train.pt.before"}


def test_a_search_shows_what_it_knows(tmp_path: Path) -> None:
    config = SearchSchedule(pretrain_epochs=1, joint_epochs=1, batch_size=16, hardware_first=2, hardware_last=2)
    result = search_jointly(MACRO, few_digits(64), FakeHardware(0), config, 1, tmp_path)
    found = _scalars(tmp_path)
    for name in (
        "train_loss", "temperature", "alpha_entropy", "beta_entropy", "gamma_entropy", "cost_weight", "learning_rate",
    ):  # fmt: skip
        assert [step for step, _ in found[f"search/{name}"]] == [0, 1]
    for name in ("valid_loss", "valid_accuracy", "cost", "interval_cycles", "dsp", "bram18"):
        assert [step for step, _ in found[f"search/{name}"]] == [1], "pretraining does not measure it"
        assert getattr(result.records[0], name) is None
        assert getattr(result.records[1], name) is not None
    assert found["search/gamma_entropy"][1][1] == 0.5
    assert found["search/cost"][0][1] == result.records[1].cost


def test_without_a_folder_nothing_is_written() -> None:
    events = Events(None, "x")
    events.write(0, {"a": 1.0})
    events.close()


def test_entropy_counts_open_parameters_and_real_options() -> None:
    valid = np.array([[True, True, False], [True, False, False], [True, True, True]])
    assert mean_entropy(np.zeros((3, 3)), valid) == pytest.approx(1.0)
    decided = np.array([[50.0, 0.0, 99.0], [0.0, 0.0, 0.0], [0.0, 0.0, 50.0]])
    assert mean_entropy(decided, valid) == pytest.approx(0.0, abs=1e-9)
    half = np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 0.0], [math.log(2.0), 0.0, -np.inf]])
    expected = (1.0 + (2 / 3 * math.log(3 / 2) + 1 / 3 * math.log(3)) / math.log(3)) / 2
    assert mean_entropy(half, valid) == pytest.approx(expected)
    assert mean_entropy(np.zeros((1, 3)), valid[1:2]) == 0.0
