# SPDX-License-Identifier: Apache-2.0
"""A small complete design, the same every time, for tests that need any design at all."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nba.boards import get
from nba.ir.design import Design
from nba.ir.network import Weights, weights_digest
from nba.machine.design_file import save_design
from nba.machine.total import exact_cost
from tests.strategies import NetworkLimits, random_pair

PLATFORM = "zc706"


def tiny_design(seed: int = 3) -> tuple[Design, Weights]:
    """A random network of a few layers on a random accelerator, both drawn with `seed`."""
    pair = random_pair(np.random.default_rng(seed), NetworkLimits(plain=True))
    platform = get(PLATFORM)
    design = Design(
        name="tiny",
        network=pair.network,
        accelerator=pair.accelerator,
        platform=platform.name,
        clock_mhz=platform.clock_mhz,
        cost=exact_cost((pair.program,), platform),
        weights_sha256=weights_digest(pair.weights),
        seed=seed,
        versions=(),
    )
    return design, pair.weights


def save_tiny_design(folder: Path) -> Path:
    """Write the tiny design into `folder`; returns the path of its design.json."""
    design, weights = tiny_design()
    save_design(design, weights, folder)
    return folder / "design.json"
