# SPDX-License-Identifier: Apache-2.0
"""The integer reference against a deliberately naive one: Python integers and loops, straight from docs/numerics.md."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nba.core.errors import DataError
from nba.ir import reference as integer
from nba.ir.check import check_network, check_weights
from nba.ir.network import Layer, LayerWeights, Network, Tensor, Weights, widened
from nba.ir.reference import nest, run, run_all
from nba.zoo.weights import random_codes
from tests.strategies import NetworkLimits, random_network


def naive_nest(a: int, from_bits: int, to_bits: int, signed: bool) -> int:
    """One code."""
    k = from_bits - to_bits
    if k == 0:
        return a
    high = 2 ** (to_bits - 1) - 1 if signed else 2**to_bits - 1
    return min((a + 2 ** (k - 1)) >> k, high)


def naive_run_all(network: Network, weights: Weights, image: list) -> list:
    """Nested lists [H][W][C] of every tensor for one image."""
    maps = [image]
    for i, layer in enumerate(network.layers):
        src, out, lw = network.tensors[layer.input], network.tensors[i + 1], weights[i]
        result = [[[0] * out.channels for _ in range(out.width)] for _ in range(out.height)]
        for y in range(out.height):
            for x in range(out.width):
                for m in range(out.channels):
                    acc = -(10**9) if layer.op == "maxpool" else 0
                    seen, first = src.channels // layer.groups, 0
                    if layer.groups == 2:
                        first = seen * ((m + layer.rotate) // (out.channels // 2) % 2)
                    for n in range(first, first + seen) if layer.op == "dense" else (m,):
                        for ky in range(layer.kernel_h):
                            for kx in range(layer.kernel_w):
                                iy, ix = (
                                    y * layer.stride_h - layer.pad_top + ky,
                                    x * layer.stride_w - layer.pad_left + kx,
                                )
                                inside = 0 <= iy < src.height and 0 <= ix < src.width
                                if layer.op == "maxpool":
                                    if inside:
                                        a = maps[layer.input][iy][ix][n]
                                        acc = max(acc, naive_nest(a, src.bits, layer.act_bits, src.signed))
                                    continue
                                a = maps[layer.input][iy][ix][n] if inside else src.zero_point
                                if layer.pad_codes and not inside:
                                    a = layer.pad_codes[n]
                                w = 1
                                if layer.op != "avgpool":
                                    kernel = lw.weight[m, n - first] if layer.op == "dense" else lw.weight[m]
                                    stored = kernel[ky, kx]
                                    w = naive_nest(int(stored), layer.weight_store_bits, layer.weight_bits, True)
                                acc += w * naive_nest(a, src.bits, layer.act_bits, src.signed)
                    assert abs(acc) < 2 ** (network.acc_bits(i) - 1)
                    total = (acc + int(lw.bias[m])) * int(lw.mult[m])
                    shift = layer.shifts[m] if layer.shifts else layer.shift
                    total += 2 ** (shift - 1)
                    if layer.residual is not None:
                        res = network.tensors[layer.residual]
                        total += (maps[layer.residual][y][x][m] - res.zero_point) * layer.res_mult
                    result[y][x][m] = min(max((total >> shift) + out.zero_point, layer.q_min), layer.q_max)
        maps.append(result)
    return maps


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("to_bits", range(2, 9))
def test_nest_of_every_code(signed: bool, to_bits: int) -> None:
    codes = np.arange(-128, 128, dtype=np.int8) if signed else np.arange(256, dtype=np.uint8)
    nested = nest(codes, 8, to_bits, signed)
    assert nested.tolist() == [naive_nest(int(a), 8, to_bits, signed) for a in codes]
    assert nested.min() >= (-(1 << (to_bits - 1)) if signed else 0)
    assert nested.max() == ((1 << (to_bits - 1)) - 1 if signed else (1 << to_bits) - 1)


def test_nest_written_out() -> None:
    assert nest(np.array([0, 31, 32, 95, 96, 223, 255], np.uint8), 8, 2, False).tolist() == [0, 0, 1, 1, 2, 3, 3]
    assert nest(np.array([-128, -33, -32, 31, 32, 127], np.int8), 8, 2, True).tolist() == [-2, -1, 0, 0, 1, 1]


@pytest.mark.parametrize("seed", range(40))
def test_equals_the_naive_reference(seed: int) -> None:
    rng = np.random.default_rng([seed, 1])
    network, weights = random_network(rng, NetworkLimits(max_map=6, max_channels=6, max_layer_macs=3000))
    x = random_codes(rng, network.tensors[0], 2)
    tensors = run_all(network, weights, x)
    assert [t.dtype for t in tensors] == [np.dtype(np.int16)] * len(network.tensors)
    for b in range(2):
        for found, wanted in zip(tensors, naive_run_all(network, weights, x[b].tolist()), strict=True):
            assert found[b].tolist() == wanted
    assert np.array_equal(run(network, weights, x), tensors[-1])


@pytest.mark.parametrize("seed", range(25))
def test_wide_codes_equal_the_naive_reference(seed: int) -> None:
    """Codes of 16 bits, weights of up to 16 bits, accumulators of more than 32."""
    rng = np.random.default_rng([seed, 12])
    network, weights = random_network(rng, NetworkLimits(max_map=5, max_channels=6, max_layer_macs=2000, bits=16))
    assert network.master_bits == 16
    x = random_codes(rng, network.tensors[0], 1)
    tensors = run_all(network, weights, x)
    assert [t.dtype for t in tensors] == [np.dtype(np.int32)] * len(network.tensors)
    for found, wanted in zip(tensors, naive_run_all(network, weights, x[0].tolist()), strict=True):
        assert found[0].tolist() == wanted
    assert np.array_equal(run(network, weights, x), tensors[-1])


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("seed", range(20))
def test_shifts_and_pad_codes_per_channel_equal_the_naive_reference(seed: int, bits: int) -> None:
    rng = np.random.default_rng([seed, 20])
    limits = NetworkLimits(max_map=5, max_channels=6, max_layer_macs=2000, bits=bits, per_channel=True)
    network, weights = random_network(rng, limits)
    x = random_codes(rng, network.tensors[0], 1)
    tensors = run_all(network, weights, x)
    for found, wanted in zip(tensors, naive_run_all(network, weights, x[0].tolist()), strict=True):
        assert found[0].tolist() == wanted
    assert np.array_equal(run(network, weights, x), tensors[-1])


def test_networks_with_shifts_and_pad_codes_are_diverse() -> None:
    seen: set[str] = set()
    shifts: set[int] = set()
    for seed in range(60):
        limits = NetworkLimits(per_channel=True)
        network, _ = random_network(np.random.default_rng([seed, 21]), limits)
        for i, layer in enumerate(network.layers):
            src = network.source(layer)
            shifts |= set(layer.shifts or ())
            features = {
                "one shift": layer.shifts is None,
                "shifts that span more than 16": layer.shift_bits == 5,
                "pad codes": layer.pad_codes is not None,
                "pad codes of few bits": layer.pad_codes is not None and layer.act_bits < 8,
                "pad codes beside a zero point": layer.pad_codes is not None and src.zero_point != 0,
                "negative pad codes": min(layer.pad_codes or (0,)) < 0,
                "pad codes of two groups": layer.pad_codes is not None and layer.groups == 2,
                "pad codes only below or on the right": layer.pad_codes is not None
                and layer.pad_top == layer.pad_left == 0,
                **{
                    f"pad codes of {op}": layer.pad_codes is not None and layer.op == op
                    for op in ("dense", "depthwise")
                },
                "pad codes of avgpool": layer.pad_codes is not None and layer.op == "avgpool",
                "padding without them": layer.pad_codes is None and network.leaves_map(i),
            }
            seen |= {name for name, there in features.items() if there}
            wanted = set(features)
    assert wanted <= seen, wanted - seen
    assert {1, 47} <= shifts


def test_borders_of_pad_codes_by_hand() -> None:
    """Two channels of zero point 16, normalised each by itself, seen with 4 bits: beyond the map lie 48 and 9; 9 rounds
    up to code 1, which is the zero point, and 48 to 3, which is 2 above it."""
    tensor = Tensor(name="in", height=1, width=2, channels=2, signed=False, zero_point=16)
    layer = Layer(
        name="l", op="dense", input=0, kernel_h=1, kernel_w=3, pad_left=1, act_bits=4, shift=1, shifts=(3, 1), q_min=0,
        q_max=255, pad_codes=(48, 9),
    )  # fmt: skip
    out = Tensor(name="out", height=1, width=2, channels=2, signed=False)
    network = Network(name="n", tensors=(tensor, out), layers=(layer,))
    weight = np.array([[[[1, 10, 100]], [[2, 20, 70]]], [[[1, 0, 0]], [[0, 0, 1]]]], np.int8)
    bias = -weight.sum((1, 2, 3), dtype=np.int32)
    weights = (LayerWeights(weight=weight, bias=bias, mult=np.array([8, 2], np.int32)),)
    assert check_network(network) + check_weights(network, weights) == ()
    x = np.array([[[[16, 16], [32, 16]]]], np.uint8)
    # Operands less the zero point: (2, 0) | (0, 0), (1, 0) | (2, 0).
    assert run(network, weights, x).tolist() == [[[[2 + 100, 2], [10 + 200, 0]]]]


def test_wide_networks_are_diverse() -> None:
    seen: set[str] = set()
    for seed in range(60):
        network, weights = random_network(np.random.default_rng([seed, 13]), NetworkLimits(bits=16))
        for i, layer in enumerate(network.layers):
            lw, src = weights[i].weight, network.source(layer)
            features = {
                "activations of 16 bits": layer.act_bits == 16,
                "activations nested from 16": layer.act_bits < 16,
                "weights of 16 bits": layer.op in ("dense", "depthwise") and layer.weight_bits == 16,
                "weights nested from 16": lw.dtype == np.int16 and layer.weight_bits < 16,
                "weights of few bits": layer.weight_store_bits < 8,
                "signed": src.signed,
                "unsigned": not src.signed,
                "zero point": src.zero_point != 0,
                "accumulator beyond 32 bits": network.acc_bits(i) > 32,
                "residual": layer.residual is not None,
            }
            seen |= {name for name, there in features.items() if there}
            wanted = set(features)
    assert wanted <= seen, wanted - seen


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("to_bits", [2, 5, 8, 16])
def test_nest_of_every_wide_code(signed: bool, to_bits: int) -> None:
    codes = np.arange(-32768, 32768, dtype=np.int16) if signed else np.arange(65536, dtype=np.uint16)
    assert nest(codes, 16, to_bits, signed).tolist() == [naive_nest(int(a), 16, to_bits, signed) for a in codes]


def test_widened_keeps_what_codes_stand_for() -> None:
    first = Tensor(name="a", height=1, width=1, channels=1, signed=False, zero_point=8, scale=0.5)
    last = Tensor(name="b", height=1, width=1, channels=1, signed=True)
    layer = Layer(name="l", op="dense", input=0, kernel_h=1, kernel_w=1, shift=1, q_min=-128, q_max=63)
    network = _single(layer, first, last)
    assert widened(network) == network
    wide = widened(_single(replace(layer, act_bits=16), first, last))
    assert not check_network(wide)
    assert (wide.master_bits, wide.tensors[1].bits) == (16, 16)
    assert (wide.tensors[0].zero_point, wide.tensors[0].scale) == (8 * 256, 0.5 / 256)
    assert (wide.layers[0].q_min, wide.layers[0].q_max) == (-32768, 64 * 256 - 1)
    assert widened(wide) == wide
    codes = np.array([0, 1, 255], np.uint8).reshape(3, 1, 1, 1)
    assert integer.image_codes(wide, codes).reshape(-1).tolist() == [0, 256, 65280]
    assert integer.image_codes(network, codes) is codes


def _single(layer: Layer, first: Tensor, last: Tensor) -> Network:
    return Network(name="one", tensors=(first, last), layers=(layer,))


@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize("reduction", [1, 113, 257, 2800])
def test_extreme_sums_are_exact(sign: int, reduction: int) -> None:
    """The largest sums that the accumulator's width allows, on both sides of the float32 limit."""
    first = Tensor(name="a", height=3, width=3, channels=reduction, signed=True)
    last = Tensor(name="b", height=1, width=1, channels=2, signed=True)
    layer = Layer(name="l", op="dense", input=0, kernel_h=3, kernel_w=3, shift=47, q_min=-128, q_max=127)
    network = _single(layer, first, last)
    assert not check_network(network)
    weight = np.full((2, reduction, 3, 3), -128, np.int8)
    weight[1, 0, 0, 0] = -127
    weights = (LayerWeights(weight=weight, bias=np.zeros(2, np.int32), mult=np.ones(2, np.int32)),)
    codes = np.full((1, 3, 3, reduction), -128 if sign > 0 else 127, np.int16)
    acc = integer.accumulate(network, weights, 0, codes)
    product = -128 * int(codes[0, 0, 0, 0])
    assert acc.reshape(-1).tolist() == [9 * reduction * product, 9 * reduction * product + int(codes[0, 0, 0, 0])]
    assert network.acc_bits(0) == (9 * reduction * 128 * 128).bit_length() + 1


def test_requantisation_written_out() -> None:
    """((acc + bias) * mult + (residual - z) * res_mult + half) >> shift, + z_out, clamped: halves up, floor shift."""
    first = Tensor(name="a", height=1, width=4, channels=1, signed=True, zero_point=4)
    last = Tensor(name="b", height=1, width=4, channels=1, signed=True, zero_point=-3)
    layer = Layer(
        name="l", op="dense", input=0, residual=0, kernel_h=1, kernel_w=1, shift=2, res_mult=5, q_min=-20, q_max=30
    )
    network = _single(layer, first, last)
    one = np.ones((1, 1, 1, 1), np.int8)
    weights = (LayerWeights(weight=one, bias=np.array([-7], np.int32), mult=np.array([3], np.int32)),)
    assert not check_network(network)
    assert not check_weights(network, weights)
    x = np.array([[[[5], [6], [-128], [127]]]], np.int16)
    # (5-7)*3 + (5-4)*5 + 2 = 1 -> 0 - 3; (6-7)*3 + 2*5 + 2 = 9 -> 2 - 3; saturated below and above
    assert run(network, weights, x).reshape(-1).tolist() == [-3, -1, -20, 30]


def test_two_groups_written_out() -> None:
    """Of 4 outputs the first two see inputs 0, 1 and the others 2, 3; rotated by one, outputs 1 and 2 see 2, 3."""
    first = Tensor(name="a", height=1, width=1, channels=4, signed=False)
    last = Tensor(name="b", height=1, width=1, channels=4, signed=False)
    layer = Layer(name="l", op="dense", input=0, kernel_h=1, kernel_w=1, groups=2, shift=1, q_min=0, q_max=255)
    weight = np.array([[1, 2], [3, 4], [5, 6], [7, 8]], np.int8).reshape(4, 2, 1, 1)
    empty = np.zeros(4, np.int32)
    x = np.array([1, 10, 2, 20], np.uint8).reshape(1, 1, 1, 4)
    wanted = {0: [21, 43, 130, 174], 1: [21, 86, 130, 87], 2: [42, 86, 65, 87], 3: [42, 43, 65, 174]}
    for rotate, acc in wanted.items():
        network = _single(replace(layer, rotate=rotate), first, last)
        assert not check_network(network)
        weights = (LayerWeights(weight=weight, bias=empty, mult=empty + 2),)
        assert not check_weights(network, weights)
        assert network.acc_bits(0) == (2 * 255 * 128).bit_length() + 1
        assert integer.accumulate(network, weights, 0, x).reshape(-1).tolist() == acc
        assert run(network, weights, x).reshape(-1).tolist() == acc


def test_padding_is_the_zero_point() -> None:
    first = Tensor(name="a", height=2, width=2, channels=1, signed=False, zero_point=64)
    last = Tensor(name="b", height=2, width=2, channels=1, signed=False)
    layer = Layer(
        name="l", op="avgpool", input=0, kernel_h=3, kernel_w=3, pad_top=1, pad_left=1, act_bits=2,
        shift=1, q_min=0, q_max=255,
    )  # fmt: skip
    network = _single(layer, first, last)
    weights = (LayerWeights(weight=np.zeros(0, np.int8), bias=np.zeros(1, np.int32), mult=np.array([2], np.int32)),)
    x = np.full((1, 2, 2, 1), 255, np.uint8)
    # every window sees 4 codes of 3 (255 at 2 bits) and 5 paddings of 1 (64 at 2 bits)
    assert run(network, weights, x).reshape(-1).tolist() == [17] * 4


def test_blocks_of_images_do_not_change_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(5)
    network, weights = random_network(rng)
    x = random_codes(rng, network.tensors[0], 9)
    whole, tensors = run(network, weights, x), run_all(network, weights, x)
    monkeypatch.setattr(integer, "_BLOCK_VALUES", 1)
    assert np.array_equal(run(network, weights, x), whole)
    assert all(np.array_equal(a, b) for a, b in zip(run_all(network, weights, x), tensors, strict=True))
    assert run(network, weights, x[:0]).shape == (0, *whole.shape[1:])


def test_images_are_independent() -> None:
    rng = np.random.default_rng(6)
    network, weights = random_network(rng)
    x = random_codes(rng, network.tensors[0], 5)
    assert np.array_equal(run(network, weights, x)[2:3], run(network, weights, x[2:3]))


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.zeros((1, 2, 2, 1), np.uint8), "shape is"),
        (np.zeros((2, 3, 1), np.uint8), "shape is"),
        (np.zeros((1, 2, 3, 1), np.float32), "dtype is float32"),
        (np.full((1, 2, 3, 1), 256, np.int16), "values 256..256 leave the range 0..255"),
        (np.full((1, 2, 3, 1), -1, np.int16), "values -1..-1 leave the range 0..255"),
    ],
)
def test_bad_input_is_named(x: np.ndarray, message: str) -> None:
    first = Tensor(name="a", height=2, width=3, channels=1, signed=False)
    layer = Layer(name="l", op="dense", input=0, kernel_h=1, kernel_w=1, shift=1, q_min=0, q_max=255)
    network = _single(layer, first, replace(first, name="b"))
    one = np.ones(1, np.int32)
    weights = (LayerWeights(weight=np.ones((1, 1, 1, 1), np.int8), bias=one, mult=one),)
    with pytest.raises(DataError, match=message):
        run(network, weights, x)


def test_random_networks_are_diverse_and_not_saturated() -> None:
    """The generator is only worth its name if it reaches every feature and its outputs carry information."""
    seen: set[str] = set()
    saturated = []
    for seed in range(150):
        rng = np.random.default_rng([seed, 2])
        network, weights = random_network(rng)
        tensors = run_all(network, weights, random_codes(rng, network.tensors[0], 3))
        for i, layer in enumerate(network.layers):
            src, out = network.source(layer), network.result(i)
            saturated.append(np.mean((tensors[i + 1] == layer.q_min) | (tensors[i + 1] == layer.q_max)))
            pad_bottom = (out.height - 1) * layer.stride_h + layer.kernel_h - layer.pad_top - src.height
            features = {
                layer.op: True,
                f"stride {layer.stride_h}": True,
                "strides differ": layer.stride_h != layer.stride_w,
                f"kernel {layer.kernel_h}x{layer.kernel_w}": layer.kernel_h == layer.kernel_w,
                "kernel not square": layer.kernel_h != layer.kernel_w,
                "map not square": src.height != src.width,
                "padding not symmetric": layer.pad_top != max(0, pad_bottom),
                "residual": layer.residual is not None,
                "long residual": layer.residual is not None and layer.residual < i - 1,
                "residual of the input": layer.residual == 0,
                "branch": layer.input != i,
                "nested activations": layer.act_bits < 8,
                "nested weights": layer.weight_bits < layer.weight_store_bits,
                "zero point": src.zero_point != 0,
                "signed": src.signed,
                "two groups": layer.groups == 2 and layer.rotate == 0,
                "channel shuffle": layer.groups == 2 and layer.rotate == out.channels // 4 > 0,
                "other rotation": layer.groups == 2 and layer.rotate > out.channels // 2,
                "global": layer.kernel_h == src.height > 1 and out.height == out.width == 1,
            }
            seen |= {name for name, there in features.items() if there}
    wanted = {
        "dense", "depthwise", "avgpool", "maxpool", "stride 1", "stride 2", "strides differ", "kernel 1x1",
        "kernel 3x3", "kernel 5x5", "kernel not square", "map not square", "padding not symmetric", "residual",
        "long residual", "residual of the input", "branch", "nested activations", "nested weights", "zero point",
        "signed", "global", "two groups", "channel shuffle", "other rotation",
    }  # fmt: skip
    assert wanted <= seen, wanted - seen
    assert np.median(saturated) < 0.2
    assert np.mean(np.array(saturated) == 1.0) < 0.1
