# SPDX-License-Identifier: Apache-2.0
"""Optimisers, clipping, learning rate, running means of the weights, and the arithmetic of the convolutions."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from nba.core.errors import SpecError
from nba.learn.train.config import TrainSchedule, WeightsSchedule


def decay_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """All parameters in two groups: kernels, to which weight decay applies, and the rest, to which it does not.

    The rest (gains, offsets, biases and the logarithms of the quantisers' scales) has at most one dimension. A decay
    would pull the logarithm of a scale to 0, that is every scale to 1.
    """
    kernels = [p for p in model.parameters() if p.dim() > 1]
    others = [p for p in model.parameters() if p.dim() <= 1]
    return [{"params": kernels, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]


def weights_optimiser(model: nn.Module, schedule: WeightsSchedule, *, nesterov: bool) -> torch.optim.Optimizer:
    """AdamW or SGD for the weights of `model`; the only place that builds one."""
    groups = decay_groups(model, schedule.weight_decay)
    if schedule.optimiser == "adamw":
        return torch.optim.AdamW(groups, lr=schedule.learning_rate, fused=True)
    # Not fused: torch's fused step fails once a parameter takes part for the first time after others.
    return torch.optim.SGD(groups, lr=schedule.learning_rate, momentum=schedule.momentum, nesterov=nesterov)


def choices_optimiser(
    logits: Iterable[tuple[Tensor, float]], betas: tuple[float, float]
) -> torch.optim.Optimizer:  # fmt: skip
    """Adam without weight decay for (logits, their rate)."""
    return torch.optim.Adam([{"params": [t], "lr": rate} for t, rate in logits], betas=betas, weight_decay=0.0)


def clip_(model: nn.Module, norm: float | None) -> None:
    """Scale all gradients of `model` together so that their 2-norm is at most `norm` (None: leave them)."""
    if norm is not None:
        nn.utils.clip_grad_norm_(model.parameters(), norm)


def learning_rate(config: TrainSchedule, step: int, steps: int, steps_per_epoch: int) -> float:
    """Linear warm-up, then a cosine that reaches `learning_rate_last` at `steps`."""
    warm = config.warmup_epochs * steps_per_epoch
    if step < warm:
        return config.learning_rate * (step + 1) / (warm + 1)
    last = config.learning_rate_last
    fall = 0.5 * (1.0 + math.cos(math.pi * (step - warm) / max(1.0, steps - warm)))
    return last + (config.learning_rate - last) * fall


def compute_type(config: TrainSchedule, device: torch.device) -> torch.dtype:
    """The type in which convolutions compute. Raises SpecError for float16 on a CPU."""
    if config.precision == "auto":
        return torch.bfloat16 if device.type == "cuda" else torch.float32
    if config.precision == "float16" and device.type == "cpu":
        raise SpecError("schedule.train.precision: float16 needs a GPU; legal on a CPU: auto, float32, bfloat16")
    return {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}[config.precision]


class Averaged:
    """Running mean of a model's parameters and float buffers: of decay `decay` per step, smaller in the first steps
    ((1 + n) / (10 + n) after n of them), so that the start is soon forgotten."""

    def __init__(self, model: nn.Module, decay: float):
        self.decay, self.steps = decay, 0
        self.values = {name: value.detach().clone() for name, value in _floats(model)}

    def update(self, model: nn.Module) -> None:
        """Take one more step of `model` in."""
        self.steps += 1
        weight = 1.0 - min(self.decay, (1 + self.steps) / (10 + self.steps))
        with torch.no_grad():
            torch._foreach_lerp_(list(self.values.values()), [v.detach() for _, v in _floats(model)], weight)

    def give(self, model: nn.Module) -> None:
        """Put the mean into `model`."""
        with torch.no_grad():
            for name, value in _floats(model):
                value.copy_(self.values[name])

    def state(self) -> dict[str, object]:
        """Everything that `load_state` needs."""
        return {"steps": self.steps, "values": self.values}

    def load_state(self, state: dict[str, object]) -> None:
        """Continue from what `state` gave."""
        self.steps = int(state["steps"])  # type: ignore[call-overload]
        for name, value in state["values"].items():  # type: ignore[attr-defined]
            self.values[name].copy_(value)


def _floats(model: nn.Module) -> Iterable[tuple[str, Tensor]]:
    return [(name, v) for name, v in (*model.named_parameters(), *model.named_buffers()) if v.is_floating_point()]
