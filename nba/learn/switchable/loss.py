# SPDX-License-Identifier: Apache-2.0
"""The loss of cascade distillation training (InstantNet, arXiv 2104.10853, section 3.1):

    L = 1/N sum_i [ CE(Q_i, label) + beta * sum over j > i of MSE(Q_i, SG(Q_j)) ]

Q_i: logits [B, classes] at bitwidth number i of N, rising; SG stops the gradient. MSE is the mean over the batch and
the classes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from nba.learn.switchable.config import Cascade, Teachers


def teachers_of(index: int, count: int, teachers: Teachers) -> tuple[int, ...]:
    """Numbers of the bitwidths that teach number `index` of `count`."""
    higher = tuple(range(index + 1, count))
    return {"all": higher, "highest": higher[-1:], "none": ()}[teachers]


def distillation(logits: Tensor, teachers: Sequence[Tensor], how: Literal["sum", "mean"] = "sum") -> Tensor:
    """Sum (or mean) of the distances of `logits` to those of the teachers, which get no gradient; 0 without any."""
    if not teachers:
        return torch.zeros((), dtype=logits.dtype, device=logits.device)
    total = torch.stack([functional.mse_loss(logits, teacher.detach()) for teacher in teachers]).sum()
    return total / len(teachers) if how == "mean" else total


def beta_at(config: Cascade, epoch: int) -> float:
    """The weight of the distillation in an epoch: a linear rise, then `config.beta`."""
    return config.beta * min(1.0, (epoch + 1) / (config.beta_warmup_epochs + 1))


def cascade(
    config: Cascade, epoch: int, logits_at: Callable[[int], Tensor], label_loss: Callable[[Tensor], Tensor]
) -> Iterator[tuple[Tensor, Tensor]]:
    """(logits, loss) of every bitwidth, from the highest down; the loss of the module is the mean of these.

    logits_at: logits [B, classes] at bitwidth number i. The forward pass of a bitwidth runs when it is asked for:
    backward passes in between keep memory from growing with the number of bitwidths.
    """
    count, beta = len(config.bitwidths), beta_at(config, epoch)
    known: dict[int, Tensor] = {}
    for i in reversed(range(count)):
        logits = logits_at(i)
        teachers = [known[j] for j in teachers_of(i, count, config.teachers)]
        loss = label_loss(logits)
        if teachers:
            loss = loss + beta * distillation(logits, teachers, config.teacher_sum)
        known[i] = logits.detach()
        yield logits, loss
