# SPDX-License-Identifier: Apache-2.0
"""Every optimiser that is built: what weight decay reaches, and what clipping does."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest
import torch
from torch import nn

from nba.core.sources import PACKAGE
from nba.learn.search.config import SearchSchedule
from nba.learn.search.joint import JointSearch
from nba.learn.space.network import skeleton
from nba.learn.switchable.config import Switchable
from nba.learn.switchable.loop import CascadeFit
from nba.learn.switchable.search import SwitchableBilevel
from nba.learn.train.config import TrainSchedule
from nba.learn.train.loop import Fit
from nba.learn.train.optimiser import clip_, learning_rate
from tests.torch.fake_hardware import FakeHardware
from tests.torch.hand_table import hand_table
from tests.torch.pair import ARCHITECTURE
from tests.torch.small import MACRO, few_digits

pytestmark = pytest.mark.torch
KINDS = ("adamw", "sgd")
Built = tuple[nn.Module, torch.optim.Optimizer]


def built(kind: str, decay: float) -> Iterator[tuple[str, Built]]:
    """(name, (model, optimiser of its weights)) of every search and training."""
    data = few_digits(64)
    train = TrainSchedule(optimiser=kind, weight_decay=decay, learning_rate=0.1, epochs=2, batch_size=16)  # type: ignore[arg-type]
    for floating in (False, True):
        fit = Fit(ARCHITECTURE, data, train, 0, teacher=None, floating=floating)
        yield f"train, floating {floating}", (fit.model, fit.optimiser)
    cascade = Switchable(bitwidths=(4, 8, 32))
    together = CascadeFit(skeleton(ARCHITECTURE), data, cascade, train, 0)
    yield "cascade", (together.model, together.optimiser)
    knobs = {"optimiser": kind, "weight_decay": decay, "learning_rate": 0.1, "batch_size": 16}
    search = JointSearch(MACRO, data, FakeHardware(0), SearchSchedule(**knobs), 0)  # type: ignore[arg-type]
    yield "search", (search.net, search.weights_optimiser)
    nas = SwitchableBilevel(
        MACRO,
        data,
        cascade.but(bitwidths=(4, 8)),
        hand_table(),
        SearchSchedule(**knobs),
        0,  # type: ignore[arg-type]
    )
    yield "nas", (nas.net, nas.weights_optimiser)


@pytest.mark.parametrize("kind", KINDS)
def test_weight_decay_reaches_kernels_only(kind: str) -> None:
    for name, (model, optimiser) in built(kind, 0.05):
        decay = {id(p): group["weight_decay"] for group in optimiser.param_groups for p in group["params"]}
        seen = {"scales": 0, "kernels": 0}
        for path, parameter in model.named_parameters():
            kernel = parameter.dim() > 1
            assert decay[id(parameter)] == (0.05 if kernel else 0.0), (name, path)
            assert not (kernel and "log_scale" in path), (name, path)
            seen["kernels" if kernel else "scales"] += kernel or "log_scale" in path
        assert min(seen.values()) > 0, name
        assert len(decay) == len(list(model.parameters())), name


@pytest.mark.parametrize("kind", KINDS)
def test_scales_stand_still_without_a_gradient(kind: str) -> None:
    """Steps with gradients of zero: kernels shrink by weight decay, the logarithms of scales keep every bit."""
    for name, (model, optimiser) in built(kind, 0.05):
        for parameter in model.parameters():
            parameter.grad = torch.zeros_like(parameter)
        before = {path: p.detach().clone() for path, p in model.named_parameters()}
        for _ in range(3):
            optimiser.step()
        for path, parameter in model.named_parameters():
            moved = not torch.equal(parameter.detach(), before[path])
            assert moved == (parameter.dim() > 1), (name, path)


def test_logits_of_choices_do_not_decay() -> None:
    search = JointSearch(MACRO, few_digits(64), FakeHardware(0), SearchSchedule(), 0)
    assert {group["weight_decay"] for group in search.choice_optimiser.param_groups} == {0.0}


def test_optimisers_are_built_in_one_place() -> None:
    """Any other would escape the tests above."""
    found = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func).startswith(("torch.optim.", "optim.")):
                found.add(path.relative_to(PACKAGE).as_posix())
    assert found == {"learn/train/optimiser.py"}


def _norm(model: nn.Module) -> float:
    return float(torch.stack([p.grad.norm() for p in model.parameters() if p.grad is not None]).norm())


def test_clipping_scales_all_gradients_together() -> None:
    model = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 2))
    for p in model.parameters():
        p.grad = torch.full_like(p, 3.0)
    unused = nn.Parameter(torch.zeros(3))
    model.register_parameter("unused", unused)
    whole = _norm(model)
    clip_(model, None)
    clip_(model, whole * 2)
    assert _norm(model) == pytest.approx(whole, rel=1e-6)
    clip_(model, 0.5)
    assert _norm(model) == pytest.approx(0.5, rel=1e-5)
    assert len({float(g) for p in model.parameters() if p.grad is not None for g in p.grad.flatten()}) == 1
    assert unused.grad is None


@pytest.mark.parametrize("clip", [None, 1e-3])
def test_searches_and_trainings_clip(clip: float | None) -> None:
    """Plain SGD without momentum, decay or rate changes: the step of the weights is the rate times the clipped norm."""
    rate, data = 0.5, few_digits(64)
    knobs = {"optimiser": "sgd", "momentum": 0.0, "weight_decay": 0.0, "learning_rate": rate, "clip_norm": clip}
    searching = {**knobs, "learning_rate_last": rate, "batch_size": 16, "steps_per_epoch": 1}
    training = TrainSchedule(
        **knobs, nesterov=False, learning_rate_last=rate, warmup_epochs=0.0, epochs=1, batch_size=64,  # type: ignore[arg-type]
        fold_fraction=0.0,
    )  # fmt: skip
    cascade = Switchable(bitwidths=(4, 8))
    search = JointSearch(MACRO, data, FakeHardware(0), SearchSchedule(**searching), 0)  # type: ignore[arg-type]
    nas = SwitchableBilevel(
        MACRO,
        data,
        cascade,
        hand_table(),
        SearchSchedule(pretrain_epochs=1, **searching),
        0,  # type: ignore[arg-type]
    )
    fit = Fit(ARCHITECTURE, data, training, 0, teacher=None, floating=False)
    together = CascadeFit(skeleton(ARCHITECTURE), data, cascade, training, 0)
    for model, go in (
        (search.net, lambda: search.epoch(0)), (nas.net, lambda: nas.epoch(0)), (fit.model, lambda: fit._epoch(0)),
        (together.model, lambda: together._epoch(0)),
    ):  # fmt: skip
        before = [p.detach().clone() for p in model.parameters()]
        go()
        moved = torch.stack([(p.detach() - b).norm() for p, b in zip(model.parameters(), before, strict=True)]).norm()
        if clip is None:
            assert float(moved) > 100 * rate * 1e-3
        else:
            assert float(moved) == pytest.approx(rate * clip, rel=1e-3)


def test_the_rate_falls_to_the_last_one() -> None:
    config = TrainSchedule(learning_rate=0.01, learning_rate_last=0.001, warmup_epochs=0.0)
    assert learning_rate(config, 0, 100, 10) == pytest.approx(0.01)
    assert learning_rate(config, 50, 100, 10) == pytest.approx(0.0055)
    assert learning_rate(config, 100, 100, 10) == pytest.approx(0.001)


def test_the_search_has_no_nesterov() -> None:
    config = SearchSchedule(optimiser="sgd")
    search = JointSearch(MACRO, few_digits(64), FakeHardware(0), config, 0)  # type: ignore[arg-type]
    assert {group["nesterov"] for group in search.weights_optimiser.param_groups} == {False}
