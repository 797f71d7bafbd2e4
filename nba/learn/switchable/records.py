# SPDX-License-Identifier: Apache-2.0
"""What cascade distillation training reports, and what it gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from nba.ir.network import Network, Weights
from nba.learn.quant.export import Agreement

Arithmetic = Literal["integer", "fake"]
"""Where an accuracy is from: the integer reference, or fake quantisation in floating point."""


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
class SwitchableResult:
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
