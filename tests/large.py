# SPDX-License-Identifier: Apache-2.0
"""A MobileNetV2-style network of some five million MACs with random weights, on an accelerator of four chunks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from nba.boards import get
from nba.explore.budgets import Budgets
from nba.explore.choose import find_accelerator
from nba.ir.design import Design
from nba.ir.network import Network, Weights, weights_digest
from nba.learn.space.config import StageSpace
from nba.learn.space.network import Architecture, blocks, skeleton
from nba.zoo.weights import random_weights
from tests.spaces import DIGITS_SPACE
from tests.strategies import above_least

PLATFORM = "zc706"
BUDGETS = Budgets(dsp=400, bram=400)
CHUNKS = 4
MACRO = DIGITS_SPACE.but(
    name="mobilenetv2-32",
    height=32,
    width=32,
    channels=3,
    stem_channels=16,
    stages=(
        StageSpace(channels=16, blocks=1, stride=1),
        StageSpace(channels=24, blocks=2, stride=2),
        StageSpace(channels=32, blocks=2, stride=2),
        StageSpace(channels=48, blocks=2, stride=2),
    ),
    head_channels=128,
)


def large_network(seed: int) -> tuple[Network, Weights]:
    """Expansion 1 in the first block, 3, then 6 in the others; all kernels 3x3, all bits 8; weights from `seed`."""
    n = len(blocks(MACRO))
    ops = tuple("k3_e1" if i == 0 else "k3_e3" if i < 5 else "k3_e6" for i in range(n))
    skeletal = skeleton(Architecture(macro=MACRO, ops=ops, bits=(8,) * n))
    network, weights = random_weights(np.random.default_rng(seed), skeletal)
    return network, above_least(weights)


def large_design(seed: int = 1) -> tuple[Design, Weights]:
    """The network on the accelerator that the mapper finds for it."""
    network, weights = large_network(seed)
    platform = get(PLATFORM)
    accelerator, cost = find_accelerator(network, platform, BUDGETS, seed=seed, min_chunks=CHUNKS, max_chunks=CHUNKS)
    design = Design(
        name=MACRO.name,
        network=replace(network, name=MACRO.name),
        accelerator=accelerator,
        platform=platform.name,
        clock_mhz=platform.clock_mhz,
        cost=cost,
        weights_sha256=weights_digest(weights),
        seed=seed,
        versions=(),
    )
    return design, weights
