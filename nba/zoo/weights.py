# SPDX-License-Identifier: Apache-2.0
"""Random weights for a skeleton of layers, with requantisation that keeps every tensor alive.

With requantisation numbers from nowhere, the codes of most tensors would saturate, and a comparison of outputs would
see few errors. So every layer in turn gets numbers that spread its outputs, for some random frames, over its codes.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from nba.ir.network import MULT_BITS, Layer, LayerWeights, Network, Tensor, Weights, weight_dtype, weight_shape
from nba.ir.network_rules import BIAS_BITS
from nba.ir.reference import accumulate, requantise

SAMPLE_IMAGES = 3
"""Random frames whose outputs are spread."""


def random_codes(rng: np.random.Generator, tensor: Tensor, batch: int) -> np.ndarray:
    """Random master codes of `tensor`, [batch, H, W, C]; one value in eight is the smallest or largest code."""
    shape = (batch, tensor.height, tensor.width, tensor.channels)
    codes = rng.integers(tensor.code_min, tensor.code_max + 1, shape)
    extreme = np.where(rng.random(shape) < 0.5, tensor.code_min, tensor.code_max)
    return np.where(rng.random(shape) < 0.125, extreme, codes).astype(tensor.dtype)


def code_step(layer: Layer, acc: np.ndarray) -> float:
    """Accumulator steps per output code that spread the sums `acc` over some five times their standard deviation."""
    return max(1.0, float(acc.std())) / max(4.0, (layer.q_max - layer.q_min) / 5)


def calibrated(
    rng: np.random.Generator, network: Network, weights: Weights, codes: list[np.ndarray]
) -> tuple[Network, LayerWeights]:
    """The last layer of `network` with a shift, multipliers and bias that spread its outputs over the code range, for
    the `codes` of all tensors before."""
    index = len(network.layers) - 1
    layer, out = network.layers[index], network.result(index)
    acc = accumulate(network, weights, index, codes[layer.input])
    high = (1 << (min(BIAS_BITS, network.acc_bits(index)) - 1)) - 1
    middle = (layer.q_min + layer.q_max) / 2 - out.zero_point
    step = code_step(layer, acc)
    spread = max(1.0, float(acc.std()))
    bias = -acc.mean(axis=(0, 1, 2)) + step * middle + rng.normal(0.0, spread / 2, out.channels)
    shifts = [s for s in range(1, 48) if 100 <= 2.0**s / step <= 40_000]
    if layer.residual is not None:
        shifts = [s for s in shifts if s <= 17] or shifts[:1]
    shift = shifts[int(rng.integers(len(shifts)))] if shifts else 1
    limit = (1 << MULT_BITS) - 1
    mult = np.clip(rng.uniform(0.6, 1.5, out.channels) * 2.0**shift / step, 0, limit).astype(np.int32)
    res_mult = 0 if layer.residual is None else int(min(limit, rng.uniform(0.2, 0.8) * 2.0**shift))
    adjusted = replace(layer, shift=shift, res_mult=res_mult, shifts=None)
    bias = np.clip(bias, -high - 1, high).astype(np.int32)
    return (
        replace(network, layers=(*network.layers[:-1], adjusted)),
        LayerWeights(weight=weights[index].weight, bias=bias, mult=mult),
    )


def random_weights(
    rng: np.random.Generator, skeleton: Network, *, symmetric: bool = False
) -> tuple[Network, Weights]:  # fmt: skip
    """`skeleton` with random weights, and requantisation numbers that spread every layer's outputs over its codes.
    symmetric: no weight is the least of its bits, -128 or -32768, as the project's quantiser makes them."""
    codes = [random_codes(rng, skeleton.tensors[0], SAMPLE_IMAGES)]
    network = replace(skeleton, tensors=skeleton.tensors[:1], layers=())
    weights: list[LayerWeights] = []
    for i, layer in enumerate(skeleton.layers):
        network = replace(network, tensors=skeleton.tensors[: i + 2], layers=(*network.layers, layer))
        high = 1 << (layer.weight_store_bits - 1)
        drawn = rng.integers(symmetric - high, high, weight_shape(network, i)).astype(weight_dtype(layer))
        empty = np.zeros(network.result(i).channels, np.int32)
        weights.append(LayerWeights(weight=drawn, bias=empty, mult=empty))
        network, weights[i] = calibrated(rng, network, tuple(weights), codes)
        acc = accumulate(network, tuple(weights), i, codes[layer.input])
        residual = None if layer.residual is None else codes[layer.residual]
        codes.append(requantise(network, tuple(weights), i, acc, residual))
    return network, tuple(weights)
