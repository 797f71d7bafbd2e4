# SPDX-License-Identifier: Apache-2.0
"""Baselines of an architecture, in floating point and with 8 bits everywhere; a kill or a divergence loses nothing."""

from __future__ import annotations

import json
import multiprocessing
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import distributed

from nba.core.arithmetic import used
from nba.core.errors import DivergedError
from nba.core.progress import Silent
from nba.flow.stage import Context
from nba.flow.stages import baselines as stage
from nba.learn.data.config import DataConfig
from nba.learn.data.load import load
from nba.learn.quant.export import float_logits
from nba.learn.quant.fake import FakeNetwork
from nba.learn.space.config import StageSpace
from nba.learn.space.network import Architecture, skeleton
from nba.learn.train import baselines, ranks
from nba.learn.train.augment import images
from nba.learn.train.baselines import (
    FLOAT_FILE,
    INT8_FILE,
    adapting,
    at_8_bits,
    calibrate,
    fit_baselines,
    float_config,
    int8_config,
)
from nba.learn.train.config import Distillation, TrainSchedule
from nba.learn.train.loop import TEACHER, Fit, train
from nba.spec import parse_spec
from tests.spaces import DIGITS_SPACE
from tests.torch.small import POOLED, few_digits
from tests.torch.test_ranks import free_port
from tests.torch.test_train import _KillAt

pytestmark = pytest.mark.torch
SHORT = TrainSchedule(epochs=4, batch_size=16, fold_fraction=0.5, warmup_epochs=1.0)
ARCHITECTURE = Architecture(macro=POOLED, ops=("k3_e2", "k5_e2", "skip"), bits=(8, 4, 4))
SPEC = """
name: x
dataset: {name: digits}
network: {stem_channels: 8, stages: [{channels: 8, blocks: 1}], head_channels: 8}
platform: zc706
budgets: {dsp: 10, bram: 10}
"""


def test_8_bits_are_everywhere_and_operators_stay() -> None:
    macro = DIGITS_SPACE.but(
        stages=(StageSpace(channels=8, blocks=2, stride=1, bitwidths=(2, 4)),), bitwidths=(2, 16), stem_bits=16,
        classifier_bits=4, head_bits=2,
    )  # fmt: skip
    mixed = Architecture(macro=macro, ops=("k3_e3", "skip"), bits=(2, 4))
    network = skeleton(at_8_bits(mixed))
    assert {(layer.act_bits, layer.weight_bits) for layer in network.layers} == {(8, 8)}
    assert network.master_bits == 8
    assert [layer.name for layer in network.layers] == [layer.name for layer in skeleton(mixed).layers]


def test_recipes() -> None:
    """The float baseline's is that of a float teacher; the 8-bit one ends as the recipe itself ends."""
    config = TrainSchedule(epochs=80, distillation=Distillation())
    assert float_config(config) == config.but(distillation=None, fold_fraction=0.0)
    tail = int8_config(config)
    assert (tail.epochs, tail.fold_fraction, tail.warmup_epochs, tail.distillation) == (20, 1.0, 0.0, None)
    assert 0 < tail.learning_rate < 0.16 * config.learning_rate
    assert int8_config(config.but(fold_fraction=0.0)).epochs == 20
    assert int8_config(config.but(epochs=1)).epochs == 1


def test_digits_are_learned_by_both(tmp_path: Path) -> None:
    data = load(DataConfig(name="digits"))
    macro = DIGITS_SPACE.but(stem_channels=8, operators=("k3_e1", "skip"), bitwidths=(2, 8))
    architecture = Architecture(macro=macro, ops=("k3_e1", "k3_e1", "skip", "k3_e1", "skip"), bits=(2, 2, 8, 2, 8))
    config = TrainSchedule(epochs=8, learning_rate=1e-2, batch_size=32, mixup=0.0, label_smoothing=0.0)
    found = fit_baselines(architecture, data, config, 0, tmp_path, Silent())
    assert found is not None
    assert found.floating > 0.9
    assert abs(found.int8 - found.floating) < 0.03
    assert sorted(p.name for p in tmp_path.glob("*.pt")) == sorted([FLOAT_FILE, INT8_FILE])


def test_8_bits_begin_where_floating_point_ended() -> None:
    """Weights, and the running mean of the weights, are those of the network in floating point; so are its outputs."""
    data, config = few_digits(96), SHORT.but(ema=0.99)
    run = Fit(ARCHITECTURE, data, float_config(config), 3, teacher=None, floating=True)
    run.epochs(None, Silent())
    floating = run.result()
    adaptation = adapting(ARCHITECTURE, floating, data, config, 3)
    given, taken = floating.state_dict(), adaptation.model.state_dict()
    assert all(torch.equal(given[name], taken[name]) for name in given if not name.endswith("log_scale"))
    assert adaptation.averaged is not None
    assert all(torch.equal(taken[name], value) for name, value in adaptation.averaged.values.items())
    logits = float_logits(floating, data.test_x)
    adaptation.model.eval()
    assert np.abs(float_logits(adaptation.model, data.test_x) - logits).max() < 0.1 * np.abs(logits).max()


def test_a_pooled_layer_leaves_the_scale_of_its_signed_source_alone() -> None:
    """The largest values of windows reach less far than the smallest values of what they pool."""
    network = skeleton(ARCHITECTURE)
    first, pooled = network.layers[:2]
    assert (pooled.op, pooled.input) == ("maxpool", 1)
    tensors = tuple(replace(t, signed=True) if i in (1, 2) else t for i, t in enumerate(network.tensors))
    layers = (*(replace(layer, q_min=-128, q_max=127) for layer in (first, pooled)), *network.layers[2:])
    signed = replace(network, tensors=tensors, layers=layers)
    floating, model = (FakeNetwork(signed, 1 / 255, torch.Generator().manual_seed(1)) for _ in range(2))
    floating.arithmetic(floating=True, compute=torch.float32)
    for net in (floating, model):
        torch.nn.init.constant_(net.layers[0].norm.bias, -3.0)
    data = few_digits(64)
    calibrate(model, floating, data)
    with torch.no_grad():
        stem, pool = (s.real() for s in floating.signals(images(data.train_x))[1:3])
    assert stem.abs().max() > 1.2 * pool.abs().max()
    out = model.layers[1].out
    assert model.layers[1].keeps_scale
    assert out.scale().item() * out.high == pytest.approx(stem.abs().max().item())


def _killed(folder: Path, epochs: int) -> None:
    torch.set_num_threads(1)
    fit_baselines(ARCHITECTURE, few_digits(96), SHORT, 3, folder, _KillAt(epochs))


@pytest.mark.parametrize("epochs", [2, 5])
def test_a_killed_run_ends_with_the_same_baselines(epochs: int, tmp_path: Path) -> None:
    """Killed while the first is trained, and while the second is."""
    process = multiprocessing.get_context("spawn").Process(target=_killed, args=(tmp_path, epochs))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert (tmp_path / FLOAT_FILE).is_file()
    resumed = fit_baselines(ARCHITECTURE, few_digits(96), SHORT, 3, tmp_path, Silent())
    (tmp_path / "whole").mkdir()
    assert resumed == fit_baselines(ARCHITECTURE, few_digits(96), SHORT, 3, tmp_path / "whole", Silent())
    for name in (FLOAT_FILE, INT8_FILE):
        one, other = (torch.load(folder / name)["model"] for folder in (tmp_path, tmp_path / "whole"))
        assert all(torch.equal(one[key], other[key]) for key in other)


class _Steps(Silent):
    """Counts what was trained in this run: epochs that a task advances by after it was begun."""

    def __init__(self) -> None:
        self.tasks: list[tuple[str, list[int]]] = []

    def start(self, task: str, total: int | None = None) -> None:
        self.tasks.append((task, []))

    def advance(self, n: int = 1, note: str = "") -> None:
        self.tasks[-1][1].append(n)


def test_a_float_teacher_is_not_trained_again(tmp_path: Path) -> None:
    taught = SHORT.but(distillation=Distillation())
    train(ARCHITECTURE, few_digits(96), taught, 3, tmp_path)
    shutil.copyfile(tmp_path / TEACHER, tmp_path / FLOAT_FILE)
    steps = _Steps()
    found = fit_baselines(ARCHITECTURE, few_digits(96), taught, 3, tmp_path, steps)
    assert steps.tasks == [("floating-point baseline", [4]), ("8-bit baseline", [0, 1, 1])]
    (tmp_path / "alone").mkdir()
    assert fit_baselines(ARCHITECTURE, few_digits(96), taught, 3, tmp_path / "alone", Silent()) == found


def context(tmp_path: Path, schedule: str) -> Context:
    spec = parse_spec(SPEC + schedule, where="spec", folder=Path(), platforms=["zc706"])
    return Context(spec=spec, build=tmp_path, folder=tmp_path, progress=Silent())


def part(folder: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads((folder / "metrics-part.json").read_text())
    return found


def test_left_out_where_the_spec_says_so(tmp_path: Path) -> None:
    stage.run(context(tmp_path, "schedule: {train: {baselines: false}}\n"))
    assert part(tmp_path) == {}


def test_the_stage_says_what_it_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "chosen", lambda context: ARCHITECTURE)
    monkeypatch.setattr(stage, "load_data", lambda context, crop: few_digits(96))
    monkeypatch.setattr(
        baselines, "fit_baselines", lambda *args: baselines.Baselines(floating=0.75, int8=0.5)
    )  # fmt: skip
    stage.run(context(tmp_path, ""))
    assert part(tmp_path) == {
        "baselines": {
            "float": {"accuracy": 0.75, "images": 40, "standard_error": (0.75 * 0.25 / 40) ** 0.5},
            "int8": {"accuracy": 0.5, "images": 40, "standard_error": (0.25 / 40) ** 0.5},
        },
        "arithmetic": {"baselines": used()},
    }


def test_a_baseline_that_diverges_does_not_end_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def diverge(*args: object) -> None:
        raise DivergedError("train: the loss is not finite in epoch 3; lower schedule.train.learning_rate")

    monkeypatch.setattr(stage, "chosen", lambda context: ARCHITECTURE)
    monkeypatch.setattr(stage, "load_data", lambda context, crop: few_digits(96))
    monkeypatch.setattr(baselines, "fit_baselines", diverge)
    stage.run(context(tmp_path, ""))
    assert str(part(tmp_path)["baselines_failed"]).startswith("train: the loss is not finite in epoch 3")


def _of_two(rank: int, port: int, folder: Path) -> None:
    torch.set_num_threads(1)
    store = distributed.TCPStore("127.0.0.1", port, 2, is_master=rank == 0)
    with ranks.together(store, rank, 2):
        found = fit_baselines(ARCHITECTURE, few_digits(96), SHORT, 3, folder, Silent())
        assert (found is None) == (rank == 1)


def test_two_processes_train_baselines_like_one(tmp_path: Path) -> None:
    port, context = free_port(), multiprocessing.get_context("spawn")
    (tmp_path / "two").mkdir()
    (tmp_path / "one").mkdir()
    processes = [context.Process(target=_of_two, args=(rank, port, tmp_path / "two")) for rank in range(2)]
    for process in processes:
        process.start()
    fit_baselines(ARCHITECTURE, few_digits(96), SHORT, 3, tmp_path / "one", Silent())
    for process in processes:
        process.join(480)
        assert process.exitcode == 0
    for name, near in ((FLOAT_FILE, 1e-3), (INT8_FILE, 1e-2)):
        one, two = (torch.load(tmp_path / folder / name)["records"] for folder in ("one", "two"))
        assert len(one) == len(two) > 0
        for a, b in zip(one, two, strict=True):
            assert a["loss"] == pytest.approx(b["loss"], rel=near)
            assert a["learning_rate"] == b["learning_rate"]
