# SPDX-License-Identifier: Apache-2.0
"""Fake quantisation: what docs/numerics.md computes, in real numbers and with straight-through gradients.

A feature map travels as `Signal`: master codes (floats that hold integers), their scale, their sign. A layer nests
the codes to the bits it sees, convolves with quantised weights, normalises, adds the residual and rounds to the next
master code. Weight scales follow from the weights alone and scale with them channel by channel, so quantising before
BatchNorm is the same as folding it first. A `frozen` layer computes with the integers of its export (codes, bias,
multipliers), so that only float rounding of exact ties remains between training and the integer reference.

Shapes: x_BCHW activations, w_MNKK weights (N = 1 per group for depthwise), J bitwidths.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from nba.ir.network import MASTER_BITS, Layer, Network, Op
from nba.quant.fixed import bias_limit, fixed_point

_STEP_OF_RMS = {2: 1.224, 3: 0.586, 4: 0.335, 5: 0.188, 6: 0.104, 7: 0.057, 8: 0.031}
"""Step of the uniform quantiser of least squared error for a normal distribution, in units of its deviation
(3 levels at 2 bits; Max, "Quantizing for minimum distortion", 1960)."""
_TINY = 1e-8


def _flat(x_BCHW: Tensor) -> Tensor:
    """All values in the order of channels-last memory, the layout of every activation here (2.5 times faster than
    channels-first for depthwise convolutions on CPUs)."""
    return x_BCHW.permute(0, 2, 3, 1).reshape(-1)


class _Round(torch.autograd.Function):
    """floor(x + 1/2) with the gradient of the identity."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return torch.floor(x + 0.5)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        return grads[0]


class _Encode(torch.autograd.Function):
    """Real values -> master codes; the gradient passes inside the range, to the values and to the log of the scale."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, log_scale: Tensor, low: float, high: float) -> Tensor:
        inverse = torch.exp(-log_scale)
        clamped = (x * inverse).clamp_(low, high)
        ctx.save_for_backward(clamped, inverse)
        ctx.low, ctx.high = low, high
        return clamped.add(0.5).floor_()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor | None, None, None]:
        clamped, inverse = ctx.saved_tensors
        inside = (clamped > ctx.low).logical_and_(clamped < ctx.high)
        passed = grads[0] * inside
        to_scale = -torch.dot(_flat(passed), _flat(clamped)) if ctx.needs_input_grad[1] else None
        return passed.mul_(inverse), to_scale, None, None


class _Decode(torch.autograd.Function):
    """Master codes and scale -> real values as `bits` bits show them; the gradient to the codes never saturates: the
    top code still stands for the values around it."""

    @staticmethod
    def forward(ctx: Any, codes: Tensor, scale: Tensor, bits: int, signed: bool) -> Tensor:
        drop = MASTER_BITS - bits
        if drop == 0:
            shown = codes
        else:
            high = float((1 << (bits - 1)) - 1 if signed else (1 << bits) - 1)
            shown = codes.mul(0.5**drop).add_(0.5).floor_().clamp_max_(high).mul_(float(1 << drop))
        ctx.save_for_backward(shown, scale)
        return shown * scale

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        shown, scale = ctx.saved_tensors
        to_codes = grads[0] * scale if ctx.needs_input_grad[0] else None
        to_scale = torch.dot(_flat(grads[0]), _flat(shown)) if ctx.needs_input_grad[1] else None
        return to_codes, to_scale, None, None


class _BlendDecode(torch.autograd.Function):
    """sum_j mix_j (the real values that bitwidth j shows), through one table over all 256 codes.

    shown_JV holds what each of J bitwidths makes of each code V, in master code steps.
    """

    @staticmethod
    def forward(ctx: Any, codes: Tensor, scale: Tensor, mix: Tensor, shown_JV: Tensor, offset: int) -> Tensor:
        index = _flat(codes).add(float(offset)).to(torch.int32)
        row = mix @ shown_JV
        ctx.save_for_backward(index, scale, mix, shown_JV, row)
        batch, channels, height, width = codes.shape
        return (row * scale).index_select(0, index).reshape(batch, height, width, channels).permute(0, 3, 1, 2)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None, None, None]:
        index, scale, mix, shown_JV, row = ctx.saved_tensors
        to_codes = grads[0] * (scale * mix.sum()) if ctx.needs_input_grad[0] else None
        to_scale = to_mix = None
        if ctx.needs_input_grad[1] or ctx.needs_input_grad[2]:
            per_code = torch.bincount(index, _flat(grads[0]), len(row)).to(row.dtype)
            to_scale = torch.dot(per_code, row)
            to_mix = (shown_JV @ per_code) * scale
        return to_codes, to_scale, to_mix, None, None


def round_through(x: Tensor) -> Tensor:
    """Round half up, as the hardware does; gradient of the identity."""
    result: Tensor = _Round.apply(x)
    return result


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Signal:
    """A feature map: `codes_BCHW` master codes, real value codes * scale."""

    codes_BCHW: Tensor
    scale: Tensor
    signed: bool

    def real(self) -> Tensor:
        """The real values [B, C, H, W]."""
        return nested(self, MASTER_BITS)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Precision:
    """The bits a layer works at: one of `bitwidths`, or, while searching, all of them blended by `mix` [J]."""

    bitwidths: tuple[int, ...]
    mix: Tensor | None = None


def nested(signal: Signal, bits: int) -> Tensor:
    """Real values of `signal` as a consumer at `bits` bits sees them (docs/numerics.md, Nested bits)."""
    shown: Tensor = _Decode.apply(signal.codes_BCHW, signal.scale, bits, signal.signed)
    return shown


def seen(signal: Signal, precision: Precision) -> Tensor:
    """Real values of `signal` at `precision`: nested, and blended over bitwidths where there is a mix."""
    if precision.mix is None:
        (bits,) = precision.bitwidths
        return nested(signal, bits)
    offset = 1 << (MASTER_BITS - 1) if signal.signed else 0
    table_JV = _shown_table(precision.bitwidths, signal.signed)
    blended: Tensor = _BlendDecode.apply(signal.codes_BCHW, signal.scale, precision.mix, table_JV, offset)
    return blended


@functools.cache
def _shown_table(bitwidths: tuple[int, ...], signed: bool) -> Tensor:
    codes = torch.arange(1 << MASTER_BITS, dtype=torch.float32) - (1 << (MASTER_BITS - 1) if signed else 0)
    return torch.stack([_Decode.apply(codes, torch.ones(()), bits, signed) for bits in bitwidths])


def weight_scale(w_M: Tensor, bits: int) -> Tensor:
    """Scale per output channel [M] of weights [M, ...] at `bits` bits: the smaller of full range and least squares."""
    return _weight_scales(w_M, (bits,))[0]


@functools.cache
def _weight_constants(bitwidths: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Largest code and step of the root mean square, [J, 1] each."""
    high = torch.tensor([[float((1 << (bits - 1)) - 1)] for bits in bitwidths])
    return high, torch.tensor([[_STEP_OF_RMS[bits]] for bits in bitwidths])


def _weight_scales(w_M: Tensor, bitwidths: tuple[int, ...]) -> Tensor:
    flat = w_M.detach().flatten(1)
    high, step = _weight_constants(bitwidths)
    full = flat.abs().amax(1) / high
    least = flat.pow(2).mean(1).sqrt() * step
    return torch.minimum(full, least).clamp_min(_TINY)


def weight_codes(w_M: Tensor, scale_M: Tensor, bits: int) -> Tensor:
    """Symmetric weight codes [M, ...], gradient of the identity inside the range and zero outside."""
    high = float((1 << (bits - 1)) - 1)
    return round_through((w_M / _along(scale_M, w_M)).clamp(-high, high))


def quantised(w_M: Tensor, precision: Precision) -> Tensor:
    """Real values of the quantised weights [M, ...], blended over bitwidths where there is a mix: heterogeneous sampling
    happens here and in `seen`, before the one convolution (REFERENCES.md section 1)."""
    scales_JM = _weight_scales(w_M, precision.bitwidths)
    scales = scales_JM.reshape(*scales_JM.shape, *([1] * (w_M.dim() - 1)))
    high = _weight_constants(precision.bitwidths)[0].reshape(-1, *([1] * w_M.dim()))
    values_J = round_through(torch.minimum(torch.maximum(w_M / scales, -high), high)) * scales
    return values_J[0] if precision.mix is None else torch.einsum("j,j...->...", precision.mix, values_J)


def _along(scale_M: Tensor, like: Tensor) -> Tensor:
    return scale_M.reshape(-1, *([1] * (like.dim() - 1)))


class OutputQuantiser(nn.Module):
    """Rounds real values to master codes with a learned scale (its logarithm is the parameter)."""

    def __init__(self, *, signed: bool, reach: float):
        super().__init__()
        self.signed = signed
        self.low = float(-(1 << (MASTER_BITS - 1)) if signed else 0)
        self.high = float((1 << (MASTER_BITS - 1)) - 1 if signed else (1 << MASTER_BITS) - 1)
        self.log_scale = nn.Parameter(torch.log(torch.tensor(reach / self.high)))

    def scale(self) -> Tensor:
        """Real value of one output code."""
        return self.log_scale.exp()

    def forward(self, x_BCHW: Tensor) -> Signal:
        codes = _Encode.apply(x_BCHW, self.log_scale, self.low, self.high)
        return Signal(codes_BCHW=codes, scale=self.scale(), signed=self.signed)

    def from_codes(self, codes_BCHW: Tensor, scale: Tensor) -> Signal:
        """Round values that are already in units of this output's `scale`."""
        codes = _Encode.apply(codes_BCHW, torch.zeros(()), self.low, self.high)
        return Signal(codes_BCHW=codes, scale=scale, signed=self.signed)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class LayerIntegers:
    """What a folded layer exports, as tensors that carry gradients to what it is trained from.

    weight, bias: codes [M, N, K, K], [M] (empty for avgpool). ratio [M]: output codes per accumulator step, rounded to
    mult / 2**shift; residual_ratio: output codes per residual code, rounded likewise; mult int64 [M] and res_mult.
    """

    weight: Tensor
    bias: Tensor
    ratio: Tensor
    residual_ratio: Tensor | None
    mult: np.ndarray
    res_mult: int
    shift: int


class QuantLayer(nn.Module):
    """One integer layer while it is trained: convolution, BatchNorm (or a bias), residual, output codes.

    ReLU is the unsigned output's lower clamp. `reach` is the initial real value of the largest output code.
    `track` keeps running statistics, which `frozen` layers fold (searching needs none).
    """

    def __init__(
        self,
        *,
        op: Op,
        in_channels: int,
        out_channels: int,
        kernel: tuple[int, int],
        stride: int,
        pad: int,
        signed: bool,
        norm: bool = True,
        track: bool = True,
        reach: float = 4.0,
        own_weight: bool = True,
        generator: torch.Generator,
    ):
        super().__init__()
        self.op = op
        self.stride = stride
        self.pad = pad
        self.groups = in_channels if op != "dense" else 1
        self.reduction = kernel[0] * kernel[1] * (in_channels if op == "dense" else 1)
        self.frozen = False
        shape = (out_channels, in_channels // self.groups, *kernel)
        self.weight: nn.Parameter | None = None
        self.bias: nn.Parameter | None = None
        self.norm: nn.BatchNorm2d | None = None
        if op != "avgpool":
            if own_weight:
                self.weight = nn.Parameter(torch.randn(shape, generator=generator) * (2.0 / self.reduction) ** 0.5)
            if norm:
                self.norm = nn.BatchNorm2d(out_channels, track_running_stats=track)
            else:
                self.bias = nn.Parameter(torch.zeros(out_channels))
        self.out = OutputQuantiser(signed=signed, reach=reach)

    def forward(
        self, source: Signal, precision: Precision, residual: Signal | None = None, weight: Tensor | None = None
    ) -> Signal:
        """`weight` [M, N, K, K] stands in for the layer's own (layers made with own_weight=False need it)."""
        if self.frozen:
            return self._frozen_forward(source, precision, residual)
        if self.op == "avgpool":
            y = source.real().mean((2, 3), keepdim=True)
        else:
            y = self._normed_forward(source, precision, self.weight if weight is None else weight)
        if residual is not None:
            y = y + residual.real()
        return self.out(y)

    def _convolve(self, x_BCHW: Tensor, w_MNKK: Tensor, bias_M: Tensor | None) -> Tensor:
        return functional.conv2d(x_BCHW, w_MNKK, bias_M, self.stride, self.pad, 1, self.groups)

    def _normed_forward(self, source: Signal, precision: Precision, weight: Tensor | None) -> Tensor:
        assert weight is not None
        y = self._convolve(seen(source, precision), quantised(weight, precision), self.bias)
        return y if self.norm is None else self.norm(y)

    def folded(self) -> tuple[Tensor, Tensor]:
        """(weight [M, N, K, K], bias [M]) with BatchNorm's running statistics folded in. Not for avgpool."""
        assert self.weight is not None
        if self.norm is None:
            assert self.bias is not None
            return self.weight, self.bias
        assert self.norm.running_mean is not None and self.norm.running_var is not None
        gain = self.norm.weight / torch.sqrt(self.norm.running_var + self.norm.eps)
        return self.weight * _along(gain, self.weight), self.norm.bias - self.norm.running_mean * gain

    def integers(
        self, bits: int, source_scale: Tensor, source_signed: bool, residual_scale: Tensor | None
    ) -> LayerIntegers:
        """The folded layer's integers at `bits` bits; scales are those of master codes.

        Where a channel's bias would not fit the accumulator bits that hardware has, the channel's weight scale is
        enlarged until it does.
        """
        nested_scale = source_scale * float(1 << (MASTER_BITS - bits))
        if self.op == "avgpool":
            codes = bias_codes = torch.zeros(0)
            acc_scale = (nested_scale / self.reduction).expand(self.groups)
        else:
            weight, bias = self.folded()
            limit = float(bias_limit(self.reduction, bits, bits, source_signed))
            scale = torch.maximum(weight_scale(weight, bits), (bias / (nested_scale * limit)).detach().abs())
            acc_scale = scale * nested_scale
            codes = weight_codes(weight, scale, bits)
            bias_codes = round_through((bias / acc_scale).clamp(-limit, limit))
        ratio = acc_scale / self.out.scale()
        res_ratio = None if residual_scale is None else residual_scale / self.out.scale()
        together = ratio if res_ratio is None else torch.cat([ratio, res_ratio.reshape(1)])
        mult, shift = fixed_point(together.detach().numpy())
        rounded = together + (torch.from_numpy(mult * 0.5**shift).to(together.dtype) - together).detach()
        channels = len(ratio)
        return LayerIntegers(
            weight=codes,
            bias=bias_codes,
            ratio=rounded[:channels],
            residual_ratio=None if res_ratio is None else rounded[channels],
            mult=mult[:channels],
            res_mult=0 if res_ratio is None else int(mult[channels]),
            shift=shift,
        )

    def _frozen_forward(self, source: Signal, precision: Precision, residual: Signal | None) -> Signal:
        (bits,) = precision.bitwidths
        values = self.integers(bits, source.scale, source.signed, None if residual is None else residual.scale)
        step = 0.5 ** (MASTER_BITS - bits)
        x = nested(Signal(codes_BCHW=source.codes_BCHW, scale=torch.tensor(step), signed=source.signed), bits)
        if self.op == "avgpool":
            acc = x.sum((2, 3), keepdim=True)
        else:
            acc = self._convolve(x, values.weight, values.bias)
        y = acc * values.ratio.reshape(1, -1, 1, 1)
        if residual is not None:
            assert values.residual_ratio is not None
            y = y + residual.codes_BCHW * values.residual_ratio
        return self.out.from_codes(y, self.out.scale())


class FakeNetwork(nn.Module):
    """The trainable twin of an integer network: one `QuantLayer` per layer, in the same order."""

    def __init__(self, network: Network, input_scale: float, generator: torch.Generator):
        super().__init__()
        self.network = network
        self.input_scale = input_scale
        self.layers = nn.ModuleList(
            _twin(network, i, layer, generator) for i, layer in enumerate(network.layers)
        )
        self.precisions = tuple(Precision(bitwidths=(layer.act_bits,)) for layer in network.layers)

    def freeze(self, frozen: bool) -> None:
        """Switch between batch statistics (False) and folded BatchNorm with integer biases (True)."""
        for layer in self.layers:
            assert isinstance(layer, QuantLayer)
            layer.frozen = frozen

    def signals(self, codes_BCHW: Tensor) -> list[Signal]:
        """Every tensor of the network for input codes (floats holding 0..255), in the order of `network.tensors`."""
        scale = torch.tensor(self.input_scale)
        tensors = [Signal(codes_BCHW=codes_BCHW, scale=scale, signed=self.network.tensors[0].signed)]
        for spec, precision, layer in zip(self.network.layers, self.precisions, self.layers, strict=True):
            residual = None if spec.residual is None else tensors[spec.residual]
            tensors.append(layer(tensors[spec.input], precision, residual))
        return tensors

    def forward(self, codes_BCHW: Tensor) -> Tensor:
        """Logits [B, classes]."""
        return self.signals(codes_BCHW)[-1].real().flatten(1)


def _twin(network: Network, index: int, layer: Layer, generator: torch.Generator) -> QuantLayer:
    out = network.result(index)
    last = index == len(network.layers) - 1
    reach = 16.0 if last else 6.0 if layer.residual is not None else 4.0
    return QuantLayer(
        op=layer.op,
        in_channels=network.source(layer).channels,
        out_channels=out.channels,
        kernel=(layer.kernel_h, layer.kernel_w),
        stride=layer.stride,
        pad=layer.pad_top,
        signed=out.signed,
        norm=not last,
        reach=reach,
        generator=generator,
    )
