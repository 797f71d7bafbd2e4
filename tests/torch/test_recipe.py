# SPDX-License-Identifier: Apache-2.0
"""The training recipe: optimisers, running mean of the weights, reduced precision, distillation, crops."""

from __future__ import annotations

import multiprocessing
import os
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from nba.core.errors import NbaError, SpecError
from nba.ir.network import weights_digest
from nba.learn.data.dataset import INPUT_SCALE
from nba.learn.quant.fake import FakeNetwork
from nba.learn.space.network import Architecture, skeleton
from nba.learn.train.augment import Warp, augment, images
from nba.learn.train.config import Distillation, TrainSchedule
from nba.learn.train.loop import TEACHER, train
from nba.learn.train.optimiser import Averaged, compute_type, learning_rate
from nba.learn.train.records import Trained
from tests.torch.small import MACRO, few_digits

pytestmark = [pytest.mark.torch, pytest.mark.xdist_group("recipe")]
ARCHITECTURE = Architecture(macro=MACRO, ops=("k3_e2", "k5_e2", "skip"), bits=(8, 4, 4))
SHORT = TrainSchedule(epochs=3, batch_size=16, warmup_epochs=1.0, mixup=0.0, label_smoothing=0.0, learning_rate=1e-2)


@pytest.mark.parametrize(
    "change",
    [
        {"optimiser": "sgd", "learning_rate": 0.1, "weight_decay": 5e-4},
        {"ema": 0.9},
        {"precision": "bfloat16"},
        {"distillation": Distillation(weight=0.5)},
        {"crop_pixels": 1, "shift_pixels": 0.0, "rotation_degrees": 0.0, "zoom": 0.0},
    ],
    ids=lambda change: next(iter(change)),
)
def test_every_variant_learns_and_differs(change: dict[str, object], plain: Trained) -> None:
    found = train(ARCHITECTURE, few_digits(128), SHORT.but(**change), 1)  # type: ignore[arg-type]
    assert found.records[-1].loss < found.records[0].loss
    assert abs(found.integer_accuracy - found.fake_accuracy) <= 0.05
    assert weights_digest(found.weights) != weights_digest(plain.weights)


@pytest.fixture(scope="module")
def plain() -> Trained:
    """Without any variant."""
    return train(ARCHITECTURE, few_digits(128), SHORT, 1)


class _KillAt:
    """A progress observer that kills its own process after some epochs, counted over all tasks."""

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


FULL = SHORT.but(epochs=2, optimiser="sgd", learning_rate=0.05, ema=0.95, distillation=Distillation())


def _killed_run(folder: Path, epochs: int) -> None:
    torch.set_num_threads(1)
    train(ARCHITECTURE, few_digits(32), FULL, 3, folder, _KillAt(epochs))


def test_a_killed_run_with_everything_ends_with_the_same_weights(tmp_path: Path) -> None:
    """Killed while the student is trained, after the teacher."""
    process = multiprocessing.get_context("spawn").Process(target=_killed_run, args=(tmp_path, 3))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    resumed = train(ARCHITECTURE, few_digits(32), FULL, 3, tmp_path)
    whole = train(ARCHITECTURE, few_digits(32), FULL, 3)
    assert weights_digest(resumed.weights) == weights_digest(whole.weights)
    assert resumed.records == whole.records
    given = FULL.but(distillation=Distillation(teacher=str(tmp_path / TEACHER)))
    same = train(ARCHITECTURE, few_digits(32), given, 3)
    assert weights_digest(same.weights) == weights_digest(whole.weights)
    (tmp_path / TEACHER).write_bytes(b"?")
    with pytest.raises(NbaError, match=r"teacher\.pt: not the teacher\.pt of a network of this architecture"):
        train(ARCHITECTURE, few_digits(32), given, 3)


def test_a_floating_network_is_an_ordinary_one() -> None:
    """Convolution, BatchNorm, ReLU where codes are unsigned, residual sum: by plain torch modules."""
    network = skeleton(Architecture(macro=MACRO, ops=("k3_e2", "k3_e1", "k5_e2"), bits=(4, 4, 4)))
    model = FakeNetwork(network, INPUT_SCALE, torch.Generator().manual_seed(0))
    model.arithmetic(floating=True, compute=torch.float32)
    x = torch.randint(0, 256, (8, 1, 8, 8), generator=torch.Generator().manual_seed(1)).float()
    maps = [x * INPUT_SCALE]
    for i, layer in enumerate(network.layers):
        twin, y = model.layers[i], maps[layer.input]
        if layer.op == "avgpool":
            y = y.mean((2, 3), keepdim=True)
        else:
            groups = y.shape[1] if layer.op == "depthwise" else 1
            y = nn.functional.conv2d(
                y, twin.weight, twin.bias, (layer.stride_h, layer.stride_w), layer.pad_top, 1, groups
            )
            y = y if twin.norm is None else nn.functional.batch_norm(y, None, None, training=True)
        y = y if layer.residual is None else y + maps[layer.residual]
        maps.append(y if network.result(i).signed else y.relu())
    assert any(layer.residual is not None for layer in network.layers)
    assert torch.allclose(model(x), maps[-1].flatten(1), atol=1e-4)


def test_running_mean_of_the_weights() -> None:
    model = nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        model.weight.fill_(1.0)
    averaged, expected = Averaged(model, 0.9), 1.0
    for step in range(1, 40):
        with torch.no_grad():
            model.weight.fill_(float(step))
        averaged.update(model)
        decay = min(0.9, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * step
    averaged.give(model)
    assert float(model.weight.detach()) == pytest.approx(expected, rel=1e-5)
    assert 30 < expected < 36


def test_crops_are_windows_of_the_padded_image_and_all_are_drawn() -> None:
    x = images(np.random.default_rng(0).integers(1, 256, (300, 4, 5, 2)).astype(np.uint8))
    still = Warp(shift_pixels=0, rotation_degrees=0, zoom=0, crop_pixels=1)
    found = augment(x, still, torch.Generator().manual_seed(0))
    padded = nn.functional.pad(x, (1, 1, 1, 1))
    seen = set()
    for image, whole in zip(found, padded, strict=True):
        places = [(r, c) for r in range(3) for c in range(3) if torch.equal(image, whole[:, r : r + 4, c : c + 5])]
        assert len(places) == 1
        seen.update(places)
    assert len(seen) == 9
    rows = torch.tensor([7, 2, 250])
    part = augment(x[rows], still, torch.Generator().manual_seed(0), rows, 300)
    assert torch.equal(part, found[rows])


def test_learning_rate_rises_and_falls() -> None:
    config = SHORT.but(learning_rate=1.0, warmup_epochs=2.0, epochs=10)
    rates = [learning_rate(config, step, 100, 10) for step in range(100)]
    assert rates.index(max(rates)) == 20
    assert max(rates) == 1.0
    assert rates[0] == pytest.approx(1 / 21)
    assert rates[-1] < 0.002


def test_half_precision_needs_a_gpu() -> None:
    config = SHORT.but(precision="float16")
    with pytest.raises(SpecError, match="float16 needs a GPU"):
        compute_type(config, torch.device("cpu"))
    assert compute_type(SHORT, torch.device("cuda")) == torch.bfloat16
    assert compute_type(SHORT, torch.device("cpu")) == torch.float32
