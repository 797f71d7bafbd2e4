# SPDX-License-Identifier: Apache-2.0
"""The knobs of cascade distillation training, and what it gives."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from nba.core.errors import SpecError
from nba.ir.network import MASTER_BITS, SWITCHABLE_BITS, SWITCHABLE_BITS_TEXT, Network, Weights
from nba.learn.quant.export import Agreement
from nba.learn.train.config import TrainConfig

Teachers = Literal["all", "highest", "none"]
"""Which bitwidths teach a lower one."""
Arithmetic = Literal["integer", "fake"]
"""Where an accuracy is from: the integer reference, or fake quantisation in floating point."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SwitchableConfig:
    """Knobs of cascade distillation training.

    bitwidths: rising. All layers work at one of them, weights and activations alike, but for the first where
    `stem_bits` and the last where `classifier_bits` give it 2..8 bits at every bitwidth. beta: weight of the
    distillation, after `beta_warmup_epochs` of linear rise. teachers: all higher bitwidths, the highest or none.
    teacher_sum: the distances to several teachers are added (as published) or averaged. train: the schedule.
    """

    bitwidths: tuple[int, ...] = (4, 8, 12, 16, 32)
    beta: float = 1.0
    teachers: Teachers = "all"
    teacher_sum: Literal["sum", "mean"] = "sum"
    beta_warmup_epochs: float = 0.0
    stem_bits: int | None = None
    classifier_bits: int | None = None
    train: TrainConfig = field(default_factory=TrainConfig)


def check_config(config: SwitchableConfig) -> None:
    """Raise SpecError, naming every field that is out of range."""
    problems = bitwidths_problems(config.bitwidths)
    for name, bits in (("stem_bits", config.stem_bits), ("classifier_bits", config.classifier_bits)):
        if bits is not None and not 2 <= bits <= MASTER_BITS:
            problems.append(f"switchable.{name}: {bits}; legal: 2..{MASTER_BITS}, or none (as all other layers)")
    for name, value in (("beta", config.beta), ("beta_warmup_epochs", config.beta_warmup_epochs)):
        if not 0 <= value < float("inf"):
            problems.append(f"switchable.{name}: {value}; legal: 0 or more")
    for name, word, legal in (
        ("teachers", config.teachers, ("all", "highest", "none")),
        ("teacher_sum", config.teacher_sum, ("sum", "mean")),
    ):
        if word not in legal:
            problems.append(f"switchable.{name}: {word!r}; legal: {', '.join(legal)}")
    if config.train.distillation is not None:
        problems.append(
            "schedule.train.distillation: a switchable network teaches itself; leave it out, and choose the teachers "
            "with switchable.teachers"
        )
    if problems:
        raise SpecError("the switchable network is not valid:\n" + "\n".join(f"  - {p}" for p in problems))


def bitwidths_problems(bitwidths: tuple[int, ...]) -> list[str]:
    """What is wrong with the bitwidths of a switchable network."""
    problems = [
        f"switchable.bitwidths: {bits} is not a legal number of bits; legal: {SWITCHABLE_BITS_TEXT}"
        for bits in bitwidths
        if bits not in SWITCHABLE_BITS
    ]
    if not bitwidths or list(bitwidths) != sorted(set(bitwidths)):
        problems.append(f"switchable.bitwidths: {list(bitwidths)}; give at least one, each once and in rising order")
    return problems


@dataclass(frozen=True, kw_only=True, slots=True)
class SwitchableRecord:
    """Curves of the training, one value per bitwidth: mean loss (distillation included) and accuracy over the training
    images, as augmented, of one epoch."""

    epoch: int
    bitwidths: tuple[int, ...]
    losses: tuple[float, ...]
    accuracies: tuple[float, ...]
    learning_rate: float

    def scalars(self) -> dict[str, float]:
        """The numbers by name: loss_4 is that of 4 bits."""
        found: dict[str, float] = {"epoch": self.epoch, "learning_rate": self.learning_rate}
        for bits, loss, accuracy in zip(self.bitwidths, self.losses, self.accuracies, strict=True):
            found[f"loss_{bits}"], found[f"accuracy_{bits}"] = loss, accuracy
        return found

    def note(self) -> str:
        """For progress."""
        parts = zip(self.bitwidths, self.accuracies, strict=True)
        return "accuracy " + ", ".join(f"{100 * accuracy:.1f} % at {bits} bits" for bits, accuracy in parts)


def record_of(bitwidths: tuple[int, ...], scalars: dict[str, float]) -> SwitchableRecord:
    """The record that gave `scalars`."""
    return SwitchableRecord(
        epoch=int(scalars["epoch"]),
        bitwidths=bitwidths,
        losses=tuple(scalars[f"loss_{bits}"] for bits in bitwidths),
        accuracies=tuple(scalars[f"accuracy_{bits}"] for bits in bitwidths),
        learning_rate=scalars["learning_rate"],
    )


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class AtBits:
    """The network at one bitwidth, measured on the test images.

    accuracy is that of `arithmetic`: of the integer network, or, where there is none (12 and 32 bits), of fake
    quantisation. agreement: how closely training followed the integers. Up to 8 bits the weights of `weights` are the
    shared master codes themselves (the very same arrays at every bitwidth), which the layers of `network` round to
    their bits; at 16 bits they are codes of their own.
    """

    bits: int
    accuracy: float
    arithmetic: Arithmetic
    fake_accuracy: float
    agreement: Agreement | None
    network: Network | None
    weights: Weights | None


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Switchable:
    """A trained switchable network.

    masters: per layer the 8-bit master codes, int8, in the shape of `nba.ir.network.weight_shape`; empty where no
    bitwidth is 8 or less. results: in rising order of bits.
    """

    bitwidths: tuple[int, ...]
    masters: tuple[np.ndarray, ...]
    results: tuple[AtBits, ...]
    records: tuple[SwitchableRecord, ...]

    def at(self, bits: int) -> AtBits:
        """The result of one bitwidth."""
        return self.results[self.bitwidths.index(bits)]
