# SPDX-License-Identifier: Apache-2.0
"""What the final training reports."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from nba.ir.network import Network, Weights
from nba.learn.quant.export import Agreement


@dataclass(frozen=True, kw_only=True, slots=True)
class EpochRecord:
    """Curves of the training: mean loss and accuracy over the training images, as augmented, of one epoch."""

    epoch: int
    loss: float
    accuracy: float
    learning_rate: float

    def scalars(self) -> dict[str, float]:
        """The fields by name."""
        return asdict(self)

    def note(self) -> str:
        """For progress."""
        return f"loss {self.loss:.3f}, accuracy {100 * self.accuracy:.1f} %"


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Trained:
    """A trained integer network with its accuracy on the test split, and how closely training followed the integers."""

    network: Network
    weights: Weights
    integer_accuracy: float
    fake_accuracy: float
    agreement: Agreement
    records: tuple[EpochRecord, ...]
