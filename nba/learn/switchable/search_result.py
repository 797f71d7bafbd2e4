# SPDX-License-Identifier: Apache-2.0
"""What the search for a switchable network found, as one JSON file."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from nba.core.errors import NbaError
from nba.core.files import write_atomic
from nba.ir.network import Network
from nba.learn.search.result import read_result
from nba.learn.space.architecture_file import architecture_json
from nba.learn.space.network import Architecture, skeleton
from nba.learn.switchable.efficiency import EfficiencyTable
from nba.learn.switchable.network import network_at_bits


@dataclass(frozen=True, kw_only=True, slots=True)
class SwitchableSearchRecord:
    """Curves of one epoch.

    Losses are means over the epoch; train_losses per bitwidth, rising, distillation included. valid_loss and
    valid_accuracy are those of the sampled paths at the bitwidths that the architecture learns from, on its part of the
    data (None before the joint phase). alpha_entropy: in units of its maximum. efficiency (L_eff), cost (the value of
    the objective, in its unit), energy_pj, cycles, macs and bit_operations are those of the network derived at the end
    of the epoch, `ops` its operators. cost_weight: weight of L_eff during the epoch.
    """

    epoch: int
    joint: bool
    train_loss: float
    train_losses: tuple[float, ...]
    valid_loss: float | None
    valid_accuracy: float | None
    temperature: float
    alpha_entropy: float
    efficiency: float
    cost: float
    energy_pj: float
    cycles: int
    ops: tuple[str, ...]
    cost_weight: float = 0.0
    macs: int = 0
    bit_operations: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class SwitchableSearch:
    """The derived architecture, the bitwidths that it was searched for, the table of costs, and the curves that led
    there. `architecture.bits` mean nothing: `network_at` gives the network of each bitwidth."""

    architecture: Architecture
    bitwidths: tuple[int, ...]
    stem_bits: int | None
    classifier_bits: int | None
    table: EfficiencyTable
    seed: int
    records: tuple[SwitchableSearchRecord, ...]

    @property
    def cost(self) -> float:
        """The value of the table's objective at the lowest bitwidth, in its unit."""
        return self.table.cost(self.architecture.ops)

    def network_at(self, bits: int) -> Network:
        """The derived network at one of `bitwidths`; its requantisation numbers are placeholders, as in
        `nba.learn.space.network.skeleton`. Raises NbaError for other bits."""
        if bits not in self.bitwidths:
            legal = ", ".join(map(str, self.bitwidths))
            raise NbaError(f"{bits} bits: the network was searched for {legal} bits; choose one of these")
        network = skeleton(self.architecture)
        return network_at_bits(network, bits, stem_bits=self.stem_bits, classifier_bits=self.classifier_bits)


def save_switchable_search(found: SwitchableSearch, path: Path) -> None:
    """Write `found` to `path`, whole or not at all; the same result gives the same bytes."""
    raw = {**asdict(found), "architecture": json.loads(architecture_json(found.architecture))}
    write_atomic(path, json.dumps(raw, indent=1, sort_keys=True) + "\n")


def load_switchable_search(path: Path) -> SwitchableSearch:
    """Read what `save_switchable_search` wrote. Raises NbaError if the file is missing or damaged."""
    return read_result(SwitchableSearch, path)


def switchable_record_from(raw: dict[str, Any]) -> SwitchableSearchRecord:
    """The record of a dict of its fields (lists for tuples)."""
    fields: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in raw.items()}
    return SwitchableSearchRecord(**fields)
