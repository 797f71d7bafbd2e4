# SPDX-License-Identifier: Apache-2.0
"""Fake quantisation against the integer reference: the same codes, and gradients that mean what they say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from nba.core.errors import NbaError
from nba.ir.check import check_network, check_weights
from nba.ir.network import MAX_SHIFT, Layer, LayerWeights, Network, Tensor, weight_shape, widened
from nba.ir.operators import Op
from nba.ir.reference import accumulate, image_codes, nest, run_all
from nba.learn.data.dataset import INPUT_SCALE
from nba.learn.quant.export import agreement, exact_codes, export, fake_codes
from nba.learn.quant.fake import FakeNetwork, QuantLayer
from nba.learn.quant.fixed import acc_bits, bias_limit, fixed_point
from nba.learn.quant.rounding import (
    Precision,
    Signal,
    nested,
    quantised,
    seen_codes,
    shown_codes,
    weight_codes,
    weight_scale,
)
from nba.learn.space.config import StageSpace
from nba.learn.space.network import Architecture, skeleton
from tests.spaces import DIGITS_SPACE

pytestmark = pytest.mark.torch
SMALL = DIGITS_SPACE.but(
    stem_channels=4,
    stages=(StageSpace(channels=4, blocks=1, stride=1), StageSpace(channels=6, blocks=2, stride=2)),
    head_channels=8,
)


def _signal(signed: bool, bits: int = 8) -> Signal:
    codes = torch.arange(2.0**bits) - (2 ** (bits - 1) if signed else 0)
    return Signal(codes_BCHW=codes.reshape(1, 1, 16, -1), scale=torch.tensor(0.5), signed=signed, bits=bits)


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("bits", [2, 3, 4, 5, 6, 7, 8])
def test_nested_is_the_contract_for_every_code(signed: bool, bits: int) -> None:
    signal = _signal(signed)
    exact = nest(signal.codes_BCHW.numpy().astype(np.int64), 8, bits, signed)
    assert np.array_equal(nested(signal, bits).numpy(), exact * 2.0 ** (8 - bits) * 0.5)


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("bits", [2, 5, 8, 16])
def test_nested_is_the_contract_for_every_wide_code(signed: bool, bits: int) -> None:
    signal = _signal(signed, 16)
    exact = nest(signal.codes_BCHW.numpy().astype(np.int64), 16, bits, signed)
    assert np.array_equal(nested(signal, bits).numpy(), exact * 2.0 ** (16 - bits) * 0.5)
    mix = torch.tensor([0.25, 0.75])
    both = 0.25 * nested(signal, 2) + 0.75 * nested(signal, 16)
    blended = seen_codes(signal, Precision(bitwidths=(2, 16), mix=mix)) * signal.scale
    assert torch.allclose(blended, both, atol=1e-2)


@pytest.mark.parametrize("signed", [False, True])
def test_blending_is_the_sum_of_its_parts_forward_and_backward(signed: bool) -> None:
    generator = torch.Generator().manual_seed(1)
    bitwidths = (2, 4, 6, 8)
    low = -128 if signed else 0
    codes = torch.randint(low, low + 256, (2, 3, 4, 5), generator=generator).double().requires_grad_()
    scale = torch.tensor(0.02, dtype=torch.float64, requires_grad=True)
    mix = torch.softmax(torch.randn(4, generator=generator), 0).requires_grad_()
    signal = Signal(codes_BCHW=codes.float(), scale=scale.float(), signed=signed)
    weight = torch.randn(codes.shape, generator=generator)
    blended = seen_codes(signal, Precision(bitwidths=bitwidths, mix=mix)) * signal.scale
    parts = sum(mix[j] * nested(signal, bits) for j, bits in enumerate(bitwidths))
    assert torch.allclose(blended, parts, atol=1e-5)
    ours = torch.autograd.grad((blended * weight).sum(), [codes, scale, mix], retain_graph=True)
    theirs = torch.autograd.grad((parts * weight).sum(), [codes, scale, mix])
    for a, b in zip(ours, theirs, strict=True):
        assert torch.allclose(a, b, rtol=1e-4, atol=1e-3)


def test_weights_blend_and_stay_symmetric() -> None:
    generator = torch.Generator().manual_seed(2)
    w = torch.randn(5, 3, 3, 3, generator=generator)
    for bits in (2, 3, 4, 8):
        codes = weight_codes(w, weight_scale(w, bits), bits)
        assert int(codes.abs().max()) <= 2 ** (bits - 1) - 1
        assert torch.equal(
            quantised(w, Precision(bitwidths=(bits,))), codes * weight_scale(w, bits)[:, None, None, None]
        )
    mix = torch.tensor([0.25, 0.75])
    two = [quantised(w, Precision(bitwidths=(bits,))) for bits in (2, 8)]
    both = quantised(w, Precision(bitwidths=(2, 8), mix=mix))
    assert torch.allclose(both, 0.25 * two[0] + 0.75 * two[1], atol=1e-6)
    # Quantising commutes with per-channel gains of either sign, so folding BatchNorm later changes no code.
    gain = torch.tensor([2.0, -0.5, 1.0, -3.0, 0.25])[:, None, None, None]
    folded = quantised(w * gain, Precision(bitwidths=(8,)))
    assert torch.allclose(folded, quantised(w, Precision(bitwidths=(8,))) * gain, atol=0.04)


def _two_groups(network: Network) -> Network:
    """`network` with every dense layer of even channels but the last in two groups, rotated by turns."""
    layers, turns = list(network.layers), 0
    for i, layer in enumerate(layers[:-1]):
        m = network.result(i).channels
        if layer.op == "dense" and m % 2 == 0 and network.source(layer).channels % 2 == 0:
            layers[i] = replace(layer, groups=2, rotate=(m // 4, 0, m - 1, 1)[turns % 4])
            turns += 1
    assert turns >= 4
    return replace(network, layers=tuple(layers))


def _trained(bits: tuple[int, ...], seed: int, groups: int = 1) -> FakeNetwork:
    """A network whose BatchNorm statistics, gains (some negative), biases and scales are not those of the start."""
    generator = torch.Generator().manual_seed(seed)
    network = widened(skeleton(Architecture(macro=SMALL, ops=("k3_e3", "k5_e1", "k3_e6"), bits=bits)))
    model = FakeNetwork(_two_groups(network) if groups == 2 else network, INPUT_SCALE, generator)
    with torch.no_grad():
        for layer in model.layers:
            assert isinstance(layer, QuantLayer)
            if layer.norm is not None:
                layer.norm.weight.copy_(torch.randn(layer.norm.weight.shape, generator=generator))
                layer.norm.bias.copy_(torch.randn(layer.norm.bias.shape, generator=generator))
        model.train()
        for _ in range(30):
            model(torch.randint(0, 256, (16, 1, 8, 8), generator=generator).float())
    model.eval()
    return model


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("bits", [(8, 8, 8), (2, 4, 6), (2, 2, 2)])
def test_integer_network_equals_the_frozen_network(bits: tuple[int, ...], groups: int) -> None:
    for seed in range(3):
        model = _trained(bits, seed, groups)
        model.freeze(True)
        network, weights = export(model)
        assert check_network(network) == ()
        assert check_weights(network, weights) == ()
        x = np.random.default_rng(seed).integers(0, 256, (32, 8, 8, 1)).astype(np.uint8)
        with torch.no_grad():
            fake = model.signals(torch.from_numpy(x).float().permute(0, 3, 1, 2))
        exact = run_all(network, weights, x)
        for a, b in zip(fake, exact, strict=True):
            assert np.mean(a.codes_BCHW.permute(0, 2, 3, 1).numpy() == b) > 0.998
        found = agreement(fake_codes(model, x), exact_codes(network, weights, x))
        assert found.equal > 0.99
        assert found.same_class > 0.95
        assert len(np.unique(exact[-1])) > 5


@pytest.mark.parametrize("bits", [3, 8])
@pytest.mark.parametrize("strides", [(2, 2), (2, 1), (1, 1)])
@pytest.mark.parametrize("signed", [True, False])
def test_max_pooling_between_layers(bits: int, strides: tuple[int, int], signed: bool) -> None:
    """Every output code of a max pooling is that of the integer reference; what lies outside the map never wins. With
    the sign of its input it keeps the scale: training passes codes on, the multiplier is a power of two."""
    high, wide = (8 - 1) // strides[0] + 1, (8 - 1) // strides[1] + 1
    window = {"kernel_h": 3, "kernel_w": 3, "pad_top": 1, "pad_left": 1}
    numbers = {"act_bits": bits, "weight_bits": bits, "weight_store_bits": bits, "shift": 8}
    shapes = (("x", 8, 8, 1, False), ("a", 8, 8, 6, True), ("b", high, wide, 6, signed), ("y", 1, 1, 5, True))
    network = Network(
        name="pooled",
        tensors=tuple(Tensor(name=n, height=h, width=w, channels=c, signed=s) for n, h, w, c, s in shapes),
        layers=(
            Layer(name="first", op="dense", input=0, q_min=-128, q_max=127, **window, **numbers),
            Layer(name="pool", op="maxpool", input=1, stride_h=strides[0], stride_w=strides[1], q_min=-128 * signed,
                  q_max=127 if signed else 255,
                  **window, **numbers),
            Layer(name="last", op="dense", input=2, kernel_h=high, kernel_w=wide, q_min=-128, q_max=127, **numbers),
        ),
    )  # fmt: skip
    generator = torch.Generator().manual_seed(bits)
    model = FakeNetwork(network, INPUT_SCALE, generator)
    model.train()
    x = torch.randint(0, 256, (16, 1, 8, 8), generator=generator).float()
    model(x).sum().backward()
    _, before, after, _ = model.signals(x)
    passed_on = functional.max_pool2d(shown_codes(before.codes_BCHW, bits, True), 3, strides, 1)
    assert torch.equal(after.codes_BCHW, passed_on) == signed
    assert (after.scale is before.scale) == signed
    if signed:
        (largest,) = torch.autograd.grad(after.codes_BCHW.sum(), [before.codes_BCHW])
        assert float(largest.sum()) == after.codes_BCHW.numel()
    model.eval()
    model.freeze(True)
    found, weights = export(model)
    assert (found.tensors[2].scale == found.tensors[1].scale) == signed
    assert (set((weights[1].mult / 2.0 ** found.layers[1].shift).tolist()) == {2.0 ** (8 - bits)}) == signed
    assert check_network(found) == ()
    images = x.permute(0, 2, 3, 1).numpy().astype(np.uint8)
    with torch.no_grad():
        fake = model.signals(x)
    exact = run_all(found, weights, images)
    assert len(np.unique(exact[2])) > (2 if bits == 3 else 20)
    assert np.array_equal(fake[1].codes_BCHW.permute(0, 2, 3, 1).numpy(), exact[1])
    assert np.array_equal(fake[2].codes_BCHW.permute(0, 2, 3, 1).numpy(), exact[2])


@pytest.mark.parametrize("bits", [(16, 4, 16), (2, 16, 2), (16, 16, 16)])
def test_wide_integers_equal_the_frozen_network(bits: tuple[int, ...]) -> None:
    """Sums of products of 16 bits exceed the 24 bits of float32: there a code may differ; in float64 none does."""
    for seed in range(3):
        model = _trained(bits, seed)
        model.freeze(True)
        x = np.random.default_rng(seed).integers(0, 256, (32, 8, 8, 1)).astype(np.uint8)
        found = agreement(fake_codes(model, x), exact_codes(*export(model), x))
        assert found.equal > 0.9
        assert found.largest <= 512
        assert found.same_class > 0.95
        model.double()
        network, weights = export(model)
        assert network.master_bits == 16
        assert check_network(network) == ()
        assert check_weights(network, weights) == ()
        assert {lw.weight.dtype for lw in weights} == {np.dtype(np.int8), np.dtype(np.int16)}
        assert [layer.op for layer in network.layers if layer.act_bits == 16][-1] == "avgpool"
        with torch.no_grad():
            fake = model.signals(torch.from_numpy(x).double().permute(0, 3, 1, 2))
        exact = run_all(network, weights, image_codes(network, x))
        for a, b in zip(fake, exact, strict=True):
            assert np.array_equal(a.codes_BCHW.permute(0, 2, 3, 1).numpy(), b)
        assert len(np.unique(exact[-1])) > 200


@pytest.mark.parametrize("rotate", range(8))
def test_groups_are_those_of_the_integer_reference(rotate: int) -> None:
    """Convolution of integers: not one sum differs. Batch statistics, gains and biases follow the same channels."""
    generator = torch.Generator().manual_seed(rotate)
    layer = QuantLayer(
        op="dense", in_channels=6, out_channels=8, kernel=(3, 3), stride=(1, 1), pad=1, signed=True, groups=2,
        rotate=rotate, norm=False, generator=generator,
    )  # fmt: skip
    first = Tensor(name="a", height=5, width=4, channels=6, signed=False)
    last = Tensor(name="b", height=5, width=4, channels=8, signed=True)
    spec = Layer(
        name="l", op="dense", input=0, kernel_h=3, kernel_w=3, pad_top=1, pad_left=1, groups=2, rotate=rotate, shift=9,
        q_min=-128, q_max=127,
    )  # fmt: skip
    network = Network(name="n", tensors=(first, last), layers=(spec,))
    assert check_network(network) == ()
    assert layer.reduction == network.reduction(0)
    assert layer.weight is not None
    assert tuple(layer.weight.shape) == weight_shape(network, 0)
    weight = torch.randint(-128, 128, layer.weight.shape, generator=generator)
    bias = torch.randint(-999, 999, (8,), generator=generator)
    x = torch.randint(0, 256, (2, 6, 5, 4), generator=generator)
    weights = LayerWeights(
        weight=weight.numpy().astype(np.int8), bias=bias.numpy().astype(np.int32), mult=np.ones(8, np.int32)
    )
    exact = accumulate(network, (weights,), 0, x.permute(0, 2, 3, 1).numpy().astype(np.int16)) + weights.bias
    found = layer._convolve(x.float(), weight.float(), bias.float())
    assert np.array_equal(found.permute(0, 2, 3, 1).numpy(), exact)


def test_folding_changes_the_output_by_its_rounding_only() -> None:
    model = _trained((8, 8, 8), 0)
    x = torch.randint(0, 256, (16, 1, 8, 8), generator=torch.Generator().manual_seed(5)).float()
    with torch.no_grad():
        before = model(x)
        model.freeze(True)
        after = model(x)
    assert float((before - after).abs().mean()) < 0.03 * float(before.abs().mean())
    assert not torch.equal(before, after)


def test_a_dead_channel_still_fits_the_accumulator() -> None:
    model = _trained((2, 4, 8), 0)
    for layer in model.layers:
        assert isinstance(layer, QuantLayer)
        if layer.norm is not None:
            with torch.no_grad():
                layer.norm.weight[0] = 1e-12
                layer.norm.bias[0] = 3.0
    model.freeze(True)
    network, weights = export(model)
    assert check_weights(network, weights) == ()
    x = np.zeros((4, 8, 8, 1), np.uint8)
    stem = run_all(network, weights, x)[1][..., 0]
    assert np.all(np.abs(stem * network.tensors[1].scale - 3.0) < 0.05)


def test_a_step_beyond_the_multipliers_is_cut() -> None:
    """2 bits into codes of 16: a gain that takes one accumulator step past half of the range saturates either way."""
    model = _trained((2, 16, 2), 0)
    for layer in model.layers:
        assert isinstance(layer, QuantLayer)
        if layer.norm is not None:
            with torch.no_grad():
                layer.norm.weight[0] = 200.0
    model.freeze(True)
    network, weights = export(model)
    assert check_network(network) == ()
    assert check_weights(network, weights) == ()
    assert min(layer.shift for layer in network.layers) == 1
    assert max(int(lw.mult[0]) for lw in weights) >= 65533
    narrow = _trained((2, 8, 2), 0)
    with torch.no_grad():
        narrow.layers[1].norm.weight[0] = 1e6  # type: ignore[union-attr, index, operator]
    narrow.freeze(True)
    with pytest.raises(NbaError, match="diverged"):
        export(narrow)


def test_accumulator_bound_is_the_networks() -> None:
    network = skeleton(Architecture(macro=SMALL, ops=("k3_e3", "k5_e1", "k3_e6"), bits=(2, 4, 6)))
    for i, layer in enumerate(network.layers):
        if layer.op != "avgpool":
            signed = network.source(layer).signed
            bits = acc_bits(network.reduction(i), layer.act_bits, layer.weight_bits, signed)
            assert bits == network.acc_bits(i)
            assert bias_limit(network.reduction(i), layer.act_bits, layer.weight_bits, signed) == 2 ** (bits - 1) - 1


@given(st.lists(st.floats(1e-9, 100.0), min_size=1, max_size=8))
@settings(max_examples=200, deadline=None)
def test_fixed_point_uses_all_bits_of_the_largest(ratios: list[float]) -> None:
    mult, shift = fixed_point(np.array(ratios))
    assert 1 <= shift <= MAX_SHIFT
    assert mult.min() >= 0
    assert mult.max() <= 65535
    assert mult.max() >= 32767 or shift == MAX_SHIFT
    assert np.all(np.abs(mult / 2.0**shift - ratios) <= 0.5 / 2.0**shift + 1e-15)


@pytest.mark.parametrize("bad", [[-1.0], [float("nan")], [float("inf")], [1e6]])
def test_fixed_point_refuses(bad: list[float]) -> None:
    with pytest.raises(NbaError, match="diverged"):
        fixed_point(np.array(bad))


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("frozen", [False, True])
def test_every_parameter_learns(frozen: bool, groups: int) -> None:
    model = _trained((4, 2, 6), 1, groups)
    model.freeze(frozen)
    x = torch.randint(0, 256, (16, 1, 8, 8), generator=torch.Generator().manual_seed(5)).float()
    model(x).pow(2).sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        assert float(parameter.grad.abs().sum()) > 0, name


def _plain(layer: QuantLayer, source: Signal, precision: Precision, residual: Signal | None) -> Signal:
    """`QuantLayer.forward` as the documentation has it, every scale in its place, gradients by plain autograd."""
    (bits,) = precision.bitwidths
    x = source.codes_BCHW + (shown_codes(source.codes_BCHW, bits, source.signed) - source.codes_BCHW).detach()
    weight = layer.weight
    assert weight is not None
    pad, groups = layer.pad, layer.groups
    y = functional.conv2d(x * source.scale, quantised(weight, precision), None, layer.stride, pad, 1, groups)
    if layer.norm is None:
        assert layer.bias is not None
        y = y + layer.bias[:, None, None]
    else:
        var, mean = torch.var_mean(y, (0, 2, 3), correction=0, keepdim=True)
        y = (y - mean) / torch.sqrt(var + layer.norm.eps)
        y = y * layer.norm.weight[:, None, None] + layer.norm.bias[:, None, None]
    if residual is not None:
        y = y + residual.codes_BCHW * residual.scale
    steps = y * torch.exp(-layer.out.log_scale)
    inside = (steps > layer.out.low) & (steps < layer.out.high)
    steps = torch.where(inside, steps, steps.detach().clamp(layer.out.low, layer.out.high))
    codes = steps + (torch.floor(steps + 0.5) - steps).detach()
    return Signal(codes_BCHW=codes, scale=layer.out.scale(), signed=layer.out.signed)


@pytest.mark.parametrize("norm", [True, False])
@pytest.mark.parametrize("op", ["dense", "depthwise"])
@pytest.mark.parametrize("bits", [3, 8])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_codes_and_all_gradients_are_those_of_the_plain_formula(
    norm: bool, op: Op, bits: int, dtype: torch.dtype
) -> None:
    generator = torch.Generator().manual_seed(6)
    layer = QuantLayer(
        op=op, in_channels=12, out_channels=12, kernel=(3, 3), stride=(1, 1), pad=1, signed=True, norm=norm, reach=3.0,
        generator=generator,
    ).to(dtype)  # fmt: skip
    with torch.no_grad():
        for p in layer.parameters():
            p.add_(0.3 * torch.randn(p.shape, generator=generator))

    def signal() -> Signal:
        codes = torch.randint(-128, 128, (8, 12, 5, 5), generator=generator).to(dtype)
        codes = codes.contiguous(memory_format=torch.channels_last)
        scale = torch.tensor(0.03, dtype=dtype).requires_grad_()
        return Signal(codes_BCHW=codes.requires_grad_(), scale=scale, signed=True)

    source, residual, precision = signal(), signal(), Precision(bitwidths=(bits,))
    at = [source.codes_BCHW, source.scale, residual.codes_BCHW, residual.scale, *layer.parameters()]
    given = [
        torch.randn(8, 5, 5, 12, generator=generator).to(dtype).permute(0, 3, 1, 2),
        torch.tensor(0.7, dtype=dtype),
    ]
    ours, theirs = layer(source, precision, residual), _plain(layer, source, precision, residual)
    assert torch.equal(ours.codes_BCHW, theirs.codes_BCHW)
    assert len(torch.unique(ours.codes_BCHW)) > 50
    found = torch.autograd.grad([ours.codes_BCHW, ours.scale], at, given)
    wanted = torch.autograd.grad([theirs.codes_BCHW, theirs.scale], at, given)
    largest = max(float(b.abs().max()) for b in wanted)
    for i, (a, b) in enumerate(zip(found, wanted, strict=True)):
        # Before a BatchNorm the source's scale does not matter: that gradient is 0, and what is left of it is rounding.
        rounding = 1e-5 * largest if i == 1 and norm else 1e-4 * float(b.abs().max())
        assert torch.allclose(a, b, rtol=1e-3, atol=rounding)
