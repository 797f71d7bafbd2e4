# SPDX-License-Identifier: Apache-2.0
"""`Design`: the one frozen value that emission, verification, synthesis and the report are pure functions of."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from nba.boards.schema import BoardText
from nba.ir.accelerator import Accelerator
from nba.ir.network import Network, Weights, document

FORMAT = 2
"""Version of the design.json layout."""


MULTIPLIERS = ("requant", "products")
"""Fields of a chunk that design.json leaves out where they are "dsp"."""

PLAIN_JOB: dict[str, Any] = {"slices": 1, "streamed": False}
"""What a job is where design.json does not say."""
PLAIN_RING: dict[str, Any] = {"share": 0, "parts": 1}
"""What a ring is where it does not say."""
EXACT = ("first_output_latency_cycles", "interval_cycles", "dsp", "bram", "uram")
"""Fields of `Cost` that are facts of the hardware; the others are figures of models at the time of mapping."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Cost:
    """What the models predict for a design (frames enter back to back, the output is always ready).

    Cycles, dsp, bram (36-Kbit blocks) and uram (UltraRAM of 288 Kbit) are exact. lut and ff are a calibrated estimate
    (nba.boards.logic holds its error). energy_pj: dynamic energy of a frame, exact counts of events times a table of
    relative energies (nba.boards.energy); power_w: that at one frame per interval.
    """

    first_output_latency_cycles: int
    interval_cycles: int
    dsp: int
    bram: float
    lut: int
    ff: int
    energy_pj: float
    power_w: float
    uram: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Design:
    """Network, accelerator, platform, predicted cost. `versions` names the tools whose numerics shaped the design.

    A design of several modes executes `network` (mode 0) or one of `modes` (1, 2, ...), chosen at run time, from the
    same stored weights (nba.ir.mode_rules). The weights of such a design, wherever they go with it, are those of all
    modes one after the other, in this order; `mode` takes them apart.

    board: the description of the platform, where it is no built-in board (nba.boards.get takes both). random_weights:
    the weights are random numbers, so that the outputs mean nothing.
    """

    name: str
    network: Network
    accelerator: Accelerator
    platform: str
    clock_mhz: float
    cost: Cost
    weights_sha256: str
    seed: int
    versions: tuple[tuple[str, str], ...]
    format: int = FORMAT
    modes: tuple[Network, ...] = ()
    board: BoardText | None = None
    random_weights: bool = False

    @property
    def networks(self) -> tuple[Network, ...]:
        """The networks of all modes, mode 0 first."""
        return (self.network, *self.modes)

    def mode(self, index: int, weights: Weights) -> tuple[Network, Weights]:
        """Network and weights of one mode, of the `weights` of this design."""
        n_layers = len(self.network.layers)
        return self.networks[index], weights[index * n_layers : (index + 1) * n_layers]

    def document(self) -> dict[str, Any]:
        """The content of design.json. A design of one mode has no key `modes`, one for a built-in board no `board`, one
        of weights that are not random no `random_weights`; chunks do not name multipliers that are in DSP blocks, nor
        turns or columns of their own where they have none, jobs and rings do not name what they have as PLAIN_JOB and
        PLAIN_RING, nor the accelerator a price of block RAM that is 0, a memory that it has not or UltraRAM that it
        does not use."""
        found = document(self)
        for chunk in found["accelerator"]["chunks"]:
            for name in MULTIPLIERS:
                if chunk[name] == "dsp":
                    del chunk[name]
            for name in ("turns", "columns"):
                if not chunk[name]:
                    del chunk[name]
            for job in chunk["jobs"]:
                _leave_out(job, PLAIN_JOB)
        for ring in found["accelerator"]["rings"]:
            _leave_out(ring, PLAIN_RING)
        if not found["accelerator"]["block_luts"]:
            del found["accelerator"]["block_luts"]
        if found["accelerator"]["memory"] is None:
            del found["accelerator"]["memory"]
        if not self.accelerator.ultra:
            del found["accelerator"]["ultra"]
        if not self.cost.uram:
            del found["cost"]["uram"]
        if not self.modes:
            del found["modes"]
        if not self.random_weights:
            del found["random_weights"]
        del found["board"]
        if self.board is not None:
            found["board"] = self.board.model_dump(mode="json", exclude_none=True)
        return found

    def canonical_json(self) -> str:
        """The JSON text whose sha256 is the design's id: sorted keys, no spaces, ASCII."""
        return json.dumps(self.document(), sort_keys=True, separators=(",", ":"), ensure_ascii=True)

    @property
    def id(self) -> str:
        """sha256 of the canonical JSON, 64 hex digits."""
        return hashlib.sha256(self.canonical_json().encode()).hexdigest()


def _leave_out(fields: dict[str, Any], plain: dict[str, Any]) -> None:
    """Removes the fields that are as `plain` says."""
    for name, value in plain.items():
        if fields[name] == value:
            del fields[name]
