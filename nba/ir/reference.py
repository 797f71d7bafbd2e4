# SPDX-License-Identifier: Apache-2.0
"""The integer reference: the definition of every output bit (docs/numerics.md).

HLS and RTL are compared with it by `==`, and accuracy is always reported from it. A layer nests its input and weights,
accumulates as its operator says (nba.ir.operators) and requantises. Sums are taken by BLAS in floating
point where every partial sum is exactly representable: any sum of products of one output is at most
reduction * a_max * w_max < 2**(acc_bits - 1) in magnitude, so float32 is exact up to 25 accumulator bits and float64
up to 54, whatever the order of summation.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from nba.core.errors import DataError
from nba.ir.network import MASTER_BITS, Layer, LayerWeights, Network, Tensor, Weights

_FLOAT32_ACC_BITS = 25
_FLOAT64_ACC_BITS = 54
_BLOCK_VALUES = 1 << 23


def nest(codes: np.ndarray, from_bits: int, to_bits: int, signed: bool) -> np.ndarray:
    """Codes of `from_bits` bits as a multiplier of `to_bits` bits sees them: rounded (halves up) and saturated above.

    codes: any integer array whose values fit `from_bits` bits (signed or unsigned). Returns an array of the same shape
    and of dtype int16 (from more than 8 bits: int32) or wider. The real value of one step grows by
    2**(from_bits - to_bits).
    """
    assert 1 <= to_bits <= from_bits, (from_bits, to_bits)
    wide = codes.astype(np.promote_types(codes.dtype, np.int16 if from_bits <= MASTER_BITS else np.int32), copy=False)
    k = from_bits - to_bits
    if k == 0:
        return wide
    high = (1 << (to_bits - 1)) - 1 if signed else (1 << to_bits) - 1
    return np.minimum((wide + wide.dtype.type(1 << (k - 1))) >> k, wide.dtype.type(high))


def image_codes(network: Network, x: np.ndarray) -> np.ndarray:
    """8-bit codes of images as codes of the network's input tensor: shifted up where those have 16 bits."""
    first = network.tensors[0]
    return x if first.bits == MASTER_BITS else x.astype(first.dtype) << (first.bits - MASTER_BITS)


def accumulate(network: Network, weights: Weights, index: int, codes: np.ndarray) -> np.ndarray:
    """Accumulators of layer `index`, int64 [B, H_out, W_out, M], before the bias. codes: its input [B, H, W, C]."""
    layer, src, out = network.layers[index], network.source(network.layers[index]), network.result(index)
    acc_bits = network.acc_bits(index)
    assert acc_bits <= _FLOAT64_ACC_BITS, (index, acc_bits)
    dtype = np.float32 if acc_bits <= _FLOAT32_ACC_BITS else np.float64
    operand = nest(_padded(layer, src, out, codes), src.bits, layer.act_bits, src.signed).astype(dtype)
    kernel = _nested_weight(layer, weights[index]).astype(dtype) if layer.operator.stores_weights else None
    return layer.operator.accumulate(layer, (out.height, out.width), operand, kernel)


def requantise(
    network: Network, weights: Weights, index: int, acc: np.ndarray, residual: np.ndarray | None
) -> np.ndarray:
    """Output codes of layer `index`, [B, H_out, W_out, M] of its tensor's dtype.

    acc: accumulators without bias; residual: master codes of the residual tensor, of the output's shape, or None.
    """
    layer, out, lw = network.layers[index], network.result(index), weights[index]
    shift = np.int64(layer.shift) if layer.shifts is None else np.array(layer.shifts, np.int64)
    total = (acc + lw.bias.astype(np.int64)) * lw.mult.astype(np.int64) + (np.int64(1) << (shift - 1))
    if residual is not None and layer.residual is not None:
        zero = network.tensors[layer.residual].zero_point
        total += (residual.astype(np.int64) - zero) * layer.res_mult
    total >>= shift
    total += out.zero_point
    return np.clip(total, layer.q_min, layer.q_max, out=total).astype(out.dtype)


def run_all(network: Network, weights: Weights, x: np.ndarray) -> list[np.ndarray]:
    """Every tensor of `network` for a batch of inputs, in their order: [B, H, W, C] of Tensor.dtype each.

    x: integer master codes of tensor 0, [B, H, W, C]. The network and its weights must have passed nba.machine.check.
    Raises DataError if x has another shape, is not of an integer type, or leaves the tensor's code range.
    """
    tensors = [_input_codes(network, x)]
    for i, layer in enumerate(network.layers):
        residual = None if layer.residual is None else tensors[layer.residual]
        acc = _blocked(network, weights, i, tensors[layer.input])
        tensors.append(requantise(network, weights, i, acc, residual))
    return tensors


def run(network: Network, weights: Weights, x: np.ndarray) -> np.ndarray:
    """Output codes (the last tensor) of `network` for a batch of inputs: [B, H, W, C]. As `run_all` otherwise.

    Images are taken in blocks, and tensors are dropped after their last use, so memory does not grow with B.
    """
    codes = _input_codes(network, x)
    last_use = {t: i for i, layer in enumerate(network.layers) for t in (layer.input, layer.residual)}
    largest = max(t.height * t.width * t.channels for t in network.tensors)
    outputs = []
    for block in _blocks(codes.shape[0], largest):
        live = {0: codes[block]}
        for i, layer in enumerate(network.layers):
            residual = None if layer.residual is None else live[layer.residual]
            acc = _blocked(network, weights, i, live[layer.input])
            live[i + 1] = requantise(network, weights, i, acc, residual)
            live = {t: kept for t, kept in live.items() if last_use.get(t, len(network.layers)) > i}
        outputs.append(live[len(network.layers)])
    return np.concatenate(outputs) if outputs else _empty(network.tensors[-1])


def _input_codes(network: Network, x: np.ndarray) -> np.ndarray:
    first = network.tensors[0]
    shape = (first.height, first.width, first.channels)
    if x.ndim != 4 or x.shape[1:] != shape:
        raise DataError(
            f"input codes of network {network.name!r}: shape is {x.shape}, expected (B, {', '.join(map(str, shape))})"
        )
    if not np.issubdtype(x.dtype, np.integer):
        raise DataError(f"input codes of network {network.name!r}: dtype is {x.dtype}, expected integer master codes")
    if x.size and not first.code_min <= int(x.min()) <= int(x.max()) <= first.code_max:
        raise DataError(
            f"input codes of network {network.name!r}: values {int(x.min())}..{int(x.max())} leave the range "
            f"{first.code_min}..{first.code_max} of tensor {first.name!r}"
        )
    return x.astype(first.dtype)


def _empty(tensor: Tensor) -> np.ndarray:
    return np.zeros((0, tensor.height, tensor.width, tensor.channels), tensor.dtype)


def _blocks(count: int, values_each: int) -> Iterator[slice]:
    step = max(1, _BLOCK_VALUES // max(1, values_each))
    for begin in range(0, count, step):
        yield slice(begin, min(count, begin + step))


def _blocked(network: Network, weights: Weights, index: int, codes: np.ndarray) -> np.ndarray:
    """`accumulate` in blocks of images, so that unfolded windows stay small."""
    out = network.result(index)
    unfolded = out.height * out.width * max(network.reduction(index), out.channels)
    parts = [accumulate(network, weights, index, codes[b]) for b in _blocks(codes.shape[0], unfolded)]
    if len(parts) == 1:
        return parts[0]
    return np.concatenate(parts) if parts else _empty(out).astype(np.int64)


def _nested_weight(layer: Layer, lw: LayerWeights) -> np.ndarray:
    return nest(lw.weight, layer.weight_store_bits, layer.weight_bits, True)


def _padded(layer: Layer, src: Tensor, out: Tensor, codes: np.ndarray) -> np.ndarray:
    """The part of the input that windows cover, [B, (H_out-1)*stride + KH, (W_out-1)*stride + KW, C], padded."""
    rows = (out.height - 1) * layer.stride_h + layer.kernel_h
    cols = (out.width - 1) * layer.stride_w + layer.kernel_w
    used = codes[:, : rows - layer.pad_top, : cols - layer.pad_left]
    if used.shape[1:3] == (rows, cols):
        return used
    padded = np.empty((codes.shape[0], rows, cols, src.channels), codes.dtype)
    padded[:] = np.array(layer.pad_row(src), codes.dtype)
    top, left = layer.pad_top, layer.pad_left
    padded[:, top : top + used.shape[1], left : left + used.shape[2]] = used
    return padded
