# SPDX-License-Identifier: Apache-2.0
"""Training: it learns, a kill loses nothing, and what is measured is the integer network."""

from __future__ import annotations

import multiprocessing
import os
import signal
from pathlib import Path

import numpy as np
import pytest
import torch

from nba.core.errors import NbaError
from nba.ir.check import check_network, check_weights
from nba.ir.network import weights_digest
from nba.ir.reference import run, run_all
from nba.learn.data.config import DataConfig
from nba.learn.data.load import load
from nba.learn.quant.export import accuracy, export
from nba.learn.search.config import SearchSchedule
from nba.learn.search.joint import search_jointly
from nba.learn.space.network import Architecture
from nba.learn.train import checkpoint
from nba.learn.train.loop import TrainSchedule, Warp, augment, batches, epoch_generator, fit, images, mixed, train
from tests.spaces import DIGITS_SPACE
from tests.torch.fake_hardware import FakeHardware
from tests.torch.small import POOLED, few_digits

pytestmark = pytest.mark.torch
SHORT = TrainSchedule(epochs=4, batch_size=16, fold_fraction=0.5, warmup_epochs=1.0)
ARCHITECTURE = Architecture(macro=POOLED, ops=("k3_e2", "k5_e2", "skip"), bits=(8, 4, 4))


class _KillAt:
    """A progress observer that kills its own process after some epochs."""

    def __init__(self, epochs: int):
        self.left = epochs

    def start(self, task: str, total: int | None = None) -> None:
        """Ignored."""

    def advance(self, n: int = 1, note: str = "") -> None:
        self.left -= n
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def finish(self) -> None:
        """Ignored."""


def _killed_run(folder: Path) -> None:
    torch.set_num_threads(1)
    train(ARCHITECTURE, few_digits(96), SHORT, 3, folder, _KillAt(3))


def test_a_killed_run_ends_with_the_same_weights(tmp_path: Path) -> None:
    process = multiprocessing.get_context("spawn").Process(target=_killed_run, args=(tmp_path,))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert (tmp_path / "train.pt").is_file()
    resumed = train(ARCHITECTURE, few_digits(96), SHORT, 3, tmp_path)
    whole = train(ARCHITECTURE, few_digits(96), SHORT, 3)
    assert weights_digest(resumed.weights) == weights_digest(whole.weights)
    assert resumed.network == whole.network
    assert resumed.records == whole.records
    other = train(ARCHITECTURE, few_digits(96), SHORT, 4)
    assert weights_digest(other.weights) != weights_digest(whole.weights)


def test_checkpoints_of_another_run_are_ignored(tmp_path: Path) -> None:
    path = tmp_path / "x.pt"
    assert checkpoint.load_checkpoint(path, "a") is None
    checkpoint.save_checkpoint(path, {"fingerprint": "a", "value": torch.ones(2), "words": ["x"]})
    loaded = checkpoint.load_checkpoint(path, "a")
    assert loaded is not None
    assert loaded["words"] == ["x"]
    assert checkpoint.load_checkpoint(path, "b") is None
    assert [p.name for p in tmp_path.iterdir()] == ["x.pt"]


def test_digits_are_learned_and_measured_on_integers() -> None:
    data = load(DataConfig(name="digits"))
    macro = DIGITS_SPACE.but(stem_channels=8, operators=("k3_e1", "skip"), bitwidths=(4, 8))
    architecture = Architecture(macro=macro, ops=("k3_e1", "k3_e1", "skip", "k3_e1", "skip"), bits=(8, 4, 8, 4, 8))
    config = TrainSchedule(epochs=8, learning_rate=1e-2, batch_size=32, mixup=0.0, label_smoothing=0.0)
    found = train(architecture, data, config, 0)
    assert found.integer_accuracy > 0.8
    assert abs(found.integer_accuracy - found.fake_accuracy) < 0.01
    assert found.agreement.equal > 0.98
    assert found.records[-1].loss < 0.5 * found.records[0].loss
    assert accuracy(run(found.network, found.weights, data.test_x), data.test_y) == found.integer_accuracy


def test_a_pooled_stem_is_searched_trained_and_exported() -> None:
    """One epoch each. In float64 every sum is exact: not one code of any tensor differs from the integers'."""
    config = SearchSchedule(
        pretrain_epochs=0, joint_epochs=1, batch_size=16, hardware_every=2, hardware_samples=3, hardware_first=2,
        hardware_last=2,
    )  # fmt: skip
    data = few_digits(64)
    searched = search_jointly(POOLED, data, FakeHardware(0), config, 0).architecture
    assert searched.macro == POOLED
    model, _ = fit(searched, data, SHORT.but(epochs=1), 3)
    model.double()
    network, weights = export(model)
    assert check_network(network) == ()
    assert check_weights(network, weights) == ()
    assert [(layer.name, layer.op) for layer in network.layers[:2]] == [("stem", "dense"), ("stem_pool", "maxpool")]
    assert network.tensors[1].scale == network.tensors[2].scale
    assert {layer.stride_h / layer.stride_w for layer in network.layers} == {0.5, 1.0, 2.0}
    with torch.no_grad():
        fake = model.signals(images(data.test_x).double())
    for a, b in zip(fake, run_all(network, weights, data.test_x), strict=True):
        assert np.array_equal(a.codes_BCHW.permute(0, 2, 3, 1).numpy(), b)
        assert len(np.unique(b)) > 10


def test_classes_must_match() -> None:
    bad = Architecture(macro=DIGITS_SPACE.but(classes=3), ops=("k3_e1",) * 5, bits=(8,) * 5)
    with pytest.raises(NbaError, match="10 classes"):
        train(bad, few_digits(32), SHORT, 0)


def test_augmentation_gives_codes_and_stays_within_bounds() -> None:
    x = images(np.random.default_rng(0).integers(0, 256, (64, 6, 9, 2)).astype(np.uint8))
    still = augment(x, Warp(shift_pixels=0, rotation_degrees=0, zoom=0), torch.Generator().manual_seed(0))
    assert torch.equal(still, x)
    warped = augment(x, Warp(), torch.Generator().manual_seed(0))
    assert torch.equal(warped, warped.round())
    assert 0 <= float(warped.min()) <= float(warped.max()) <= 255
    assert not torch.equal(warped, x)
    mirror = augment(x, Warp(shift_pixels=0, rotation_degrees=0, zoom=0, mirror=True), torch.Generator().manual_seed(0))
    same = (mirror == x).flatten(1).all(1)
    flipped = (mirror == x.flip(3)).flatten(1).all(1)
    assert bool((same ^ flipped).all())
    assert 10 < int(flipped.sum()) < 54
    corner = torch.zeros(200, 1, 5, 5)
    corner[:, :, 2, 2] = 255
    moved = augment(corner, Warp(shift_pixels=1, rotation_degrees=0, zoom=0), torch.Generator().manual_seed(0))
    assert float(moved[:, :, [0, 4]].max()) == 0
    assert float(moved[:, :, 1].max()) > 200


def test_batches_are_permutations_and_epochs_differ() -> None:
    first = torch.cat(list(batches(50, 16, epoch_generator(1, 0, "train"))))
    assert len(first) == 48
    assert len(set(first.tolist())) == 48
    again = torch.cat(list(batches(50, 16, epoch_generator(1, 0, "train"))))
    assert torch.equal(first, again)
    for other in (epoch_generator(1, 1, "train"), epoch_generator(2, 0, "train"), epoch_generator(1, 0, "x")):
        assert not torch.equal(first, torch.cat(list(batches(50, 16, other))))


def test_mixup_blends_codes_and_says_by_how_much() -> None:
    x = images(np.random.default_rng(0).integers(0, 256, (8, 6, 6, 1)).astype(np.uint8))
    same, share = mixed(x, 0.0, torch.Generator().manual_seed(0))
    assert share == 0.0
    assert torch.equal(same, x)
    shares = []
    for seed in range(50):
        blended, share = mixed(x, 1.0, torch.Generator().manual_seed(seed))
        assert torch.equal(blended, torch.floor(torch.lerp(x, x.flip(0), share) + 0.5))
        shares.append(share)
    assert 0 <= min(shares) < 0.1
    assert 0.4 < max(shares) <= 0.5
