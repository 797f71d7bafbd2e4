# SPDX-License-Identifier: Apache-2.0
"""Random designs of several modes: a random pair (tests.strategies), whose layers get other bits and other
requantisation numbers in every further mode, and keep their weights."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from nba.boards import get
from nba.ir.design import Design
from nba.ir.network import LEGAL_BITS, LayerWeights, Network, Weights, weights_digest
from nba.ir.reference import accumulate, requantise
from nba.ir.shared import SharedNetworks
from nba.machine.check import check_design
from nba.machine.program import design_programs
from nba.machine.schedule import schedule
from nba.machine.total import exact_cost
from nba.zoo.weights import SAMPLE_IMAGES, random_codes, random_weights
from tests.strategies import NetworkLimits, _calibrated, random_pair

PLATFORM = "pynq-z2"
FRAMES = 4
MAX_CYCLES = 4000


def random_mode(
    rng: np.random.Generator, network: Network, weights: Weights, bits: int | None = None
) -> tuple[Network, Weights]:
    """`network` with other bits of activations and weights (with `bits` of both, if given, but for poolings), other
    clamps, biases, multipliers and shifts."""
    codes = [random_codes(rng, network.tensors[0], SAMPLE_IMAGES)]
    found = replace(network, layers=())
    own: list[LayerWeights] = []
    for i, layer in enumerate(network.layers):
        src, out = network.source(layer), network.result(i)
        acts = [b for b in LEGAL_BITS if b <= src.bits and src.zero_point % (1 << (src.bits - b)) == 0]
        stored = [b for b in LEGAL_BITS if b <= layer.weight_store_bits]
        if not layer.operator.stores_weights:
            stored = [layer.weight_bits]
        if bits is not None:
            acts, stored = ([bits], [bits]) if layer.operator.stores_weights else ([src.bits], stored)
        low = int(rng.integers(out.code_min, out.code_min + 20)) if rng.integers(2) else out.code_min
        other = replace(
            layer, act_bits=int(rng.choice(acts)), weight_bits=int(rng.choice(stored)), q_min=min(low, layer.q_max)
        )
        found = replace(found, layers=(*found.layers, other))
        partial = replace(found, tensors=network.tensors[: i + 2])
        own.append(LayerWeights(weight=weights[i].weight, bias=weights[i].bias, mult=weights[i].mult))
        adjusted, own[i] = _calibrated(rng, partial, tuple(own), codes, layer.shifts is not None)
        found = replace(found, layers=adjusted.layers)
        acc = accumulate(found, tuple(own), i, codes[layer.input])
        residual = None if layer.residual is None else codes[layer.residual]
        codes.append(requantise(found, tuple(own), i, acc, residual))
    return found, tuple(own)


def modes_case(seed: int, n_modes: int, limits: NetworkLimits | None = None) -> tuple[Design, Weights, np.ndarray]:
    """A random legal design of `n_modes` modes, the weights of all of them, and input codes [FRAMES, H, W, C]."""
    rng = np.random.default_rng([15, seed])
    while True:
        pair = random_pair(rng, limits or NetworkLimits(plain=True), n_frames=FRAMES)
        if schedule(pair.program, FRAMES).output_cycle[-1] <= MAX_CYCLES:
            break
    further = [random_mode(rng, pair.network, pair.weights) for _ in range(n_modes - 1)]
    modes = tuple(network for network, _ in further)
    weights = (*pair.weights, *(lw for _, own in further for lw in own))
    platform = get(PLATFORM)
    design = Design(
        name=f"modes {seed}",
        network=pair.network,
        accelerator=pair.accelerator,
        platform=PLATFORM,
        clock_mhz=platform.clock_mhz,
        cost=exact_cost(design_programs(pair.network, pair.accelerator, modes), platform),
        weights_sha256=weights_digest(weights),
        seed=seed,
        versions=(),
        modes=modes,
    )
    check_design(design, weights, where=design.name)
    return design, weights, random_codes(rng, pair.network.tensors[0], FRAMES)


def shared_case(seed: int, network: Network, bitwidths: tuple[int, ...]) -> SharedNetworks:
    """`network` at every one of `bitwidths`, with random master codes and requantisation numbers."""
    rng = np.random.default_rng([16, seed])
    stored = tuple(replace(layer, weight_store_bits=8, act_bits=8, weight_bits=8) for layer in network.layers)
    network, weights = random_weights(rng, replace(network, layers=stored))
    found = [random_mode(rng, network, weights, bits) for bits in bitwidths]
    return SharedNetworks(
        bitwidths=bitwidths,
        masters=tuple(lw.weight for lw in weights),
        networks=tuple(n for n, _ in found),
        weights=tuple(w for _, w in found),
    )
