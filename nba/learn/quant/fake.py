# SPDX-License-Identifier: Apache-2.0
"""Fake quantisation: the layers of docs/numerics.md while they are trained.

A layer nests its input's master codes to the bits it sees, convolves with quantised weights, normalises, adds the
residual and rounds to the next master code. Weight scales follow from the weights alone and scale with them channel by
channel, so quantising before BatchNorm is the same as folding it first. A `frozen` layer computes with the integers of
its export (codes, bias, multipliers), so that only float rounding of exact ties remains between training and the
integer reference.

Shapes: x_BCHW activations, w_MNKK weights (N: input channels per group, 1 where channels are not mixed).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from nba.ir.network import MASTER_BITS, Layer, Network
from nba.ir.operators import OPERATORS, Op
from nba.learn.quant.fixed import MAX_RATIO, bias_limit, fixed_point
from nba.learn.quant.norm import BatchNorm, channelwise
from nba.learn.quant.rounding import (
    Precision,
    Signal,
    along,
    encode,
    quantised,
    round_through,
    seen_codes,
    shown_codes,
    to_codes,
    weight_codes,
    weight_scale,
)


class OutputQuantiser(nn.Module):
    """Rounds real values to master codes of `bits` bits with a learned scale (its logarithm is the parameter)."""

    def __init__(self, *, signed: bool, reach: float, bits: int = MASTER_BITS):
        super().__init__()
        self.signed = signed
        self.bits = bits
        self.low = float(-(1 << (bits - 1)) if signed else 0)
        self.high = float((1 << (bits - 1)) - 1 if signed else (1 << bits) - 1)
        self.log_scale = nn.Parameter(torch.log(torch.tensor(reach / self.high)))

    def scale(self) -> Tensor:
        """Real value of one output code."""
        return self.log_scale.exp()

    def forward(self, x_BCHW: Tensor) -> Signal:
        codes = encode(x_BCHW, self.log_scale, self.low, self.high)
        return Signal(codes_BCHW=codes, scale=self.scale(), signed=self.signed, bits=self.bits)

    def from_steps(self, y_BCHW: Tensor) -> Signal:
        """Round values that are already in units of this output's scale, plus 1/2."""
        codes = to_codes(y_BCHW, self.low, self.high)
        return Signal(codes_BCHW=codes, scale=self.scale(), signed=self.signed, bits=self.bits)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class LayerIntegers:
    """What a folded layer exports, as tensors that carry gradients to what it is trained from.

    weight, bias: codes [M, N, K, K], [M] (empty where none are stored). ratio [M]: output codes per accumulator step,
    rounded to mult / 2**shift; residual_ratio: output codes per residual code, rounded likewise; mult int64 [M] and
    res_mult.
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
    A `floating` layer rounds nothing; `compute` is the type of the convolutions where BatchNorm is not folded.
    `track` keeps running statistics, which `frozen` layers fold (searching needs none). `groups` and `rotate` are those
    of nba.ir.network.Layer; all parameters are in the order of its output channels. `code_bits`: bits of the master
    codes that it reads and writes. A layer that keeps its source's scale (`keep_scale_of`) passes codes on.
    """

    # Many parameters: the fields of a layer of the network, and how it is trained, each by its name.
    def __init__(
        self,
        *,
        op: Op,
        in_channels: int,
        out_channels: int,
        kernel: tuple[int, int],
        stride: tuple[int, int],
        pad: int,
        signed: bool,
        norm: bool = True,
        track: bool = True,
        reach: float = 4.0,
        own_weight: bool = True,
        groups: int = 1,
        rotate: int = 0,
        code_bits: int = MASTER_BITS,
        generator: torch.Generator,
    ):
        super().__init__()
        self.operator = OPERATORS[op]
        self.taps = kernel
        self.stride = stride
        self.pad = pad
        self.groups = groups if self.operator.mixes else in_channels
        self.rotate = rotate
        self.reduction = kernel[0] * kernel[1] * (in_channels // self.groups)
        self.frozen = False
        self.floating = False
        self.keeps_scale = False
        self.compute = torch.float32
        shape = (out_channels, in_channels // self.groups, *kernel)
        self.weight: nn.Parameter | None = None
        self.bias: nn.Parameter | None = None
        self.norm: BatchNorm | None = None
        if self.operator.stores_weights:
            if own_weight:
                self.weight = nn.Parameter(torch.randn(shape, generator=generator) * (2.0 / self.reduction) ** 0.5)
            if norm:
                self.norm = BatchNorm(out_channels, track_running_stats=track)
            else:
                self.bias = nn.Parameter(torch.zeros(out_channels))
        self.out = OutputQuantiser(signed=signed, reach=reach, bits=code_bits)

    def keep_scale_of(self, source: QuantLayer) -> None:
        """Give the output the scale of `source`, the layer that it reads: of an operator whose outputs are codes of its
        input, nothing is left to round."""
        assert self.operator.selects
        assert (self.out.signed, self.out.bits) == (source.out.signed, source.out.bits)
        self.out.log_scale = source.out.log_scale
        self.keeps_scale = True

    def forward(
        self, source: Signal, precision: Precision, residual: Signal | None = None, weight: Tensor | None = None
    ) -> Signal:
        """`weight` [M, N, K, K] stands in for the layer's own (layers made with own_weight=False need it)."""
        if self.floating and not self.frozen:
            return self._floating_forward(source, residual, weight)
        if self.keeps_scale:
            (bits,) = precision.bitwidths
            shown = shown_codes(source.codes_BCHW, bits, source.signed, source.bits)
            return replace(source, codes_BCHW=self._largest(shown))
        if self.frozen:
            return self._frozen_forward(source, precision, residual)
        if not self.operator.stores_weights:
            return self.out(self._unweighted(source.real()))
        weight = self.weight if weight is None else weight
        assert weight is not None
        # Scales go into weights and BatchNorm's gain: training time is made of passes over activations.
        x, kernel = seen_codes(source, precision), self.kernel(weight, precision) * source.scale
        # Up to 8 bits every code is exact in bfloat16; all that is not a convolution stays in float32.
        compute = self.compute if self.out.bits == MASTER_BITS else x.dtype
        y = self._convolve(x.to(compute), kernel.to(compute), None).to(x.dtype)
        inverse = torch.exp(-self.out.log_scale)
        if self.norm is None:
            assert self.bias is not None
            y = channelwise(y, inverse.expand(len(self.bias)), self.bias * inverse + 0.5)
        else:
            y = self.norm(y, self.gain(self.norm) * inverse, self.norm.bias * inverse + 0.5)
        if residual is not None:
            y = torch.addcmul(y, residual.codes_BCHW, residual.scale * inverse)
        return self.out.from_steps(y)

    def kernel(self, weight: Tensor, precision: Precision) -> Tensor:
        """Real values of the quantised weights [M, N, K, K] before BatchNorm."""
        return quantised(weight, precision)

    def gain(self, norm: BatchNorm) -> Tensor:
        """BatchNorm's gain [M]."""
        return norm.weight

    def _unweighted(self, x_BCHW: Tensor) -> Tensor:
        """What an operator without weights makes of real values: the mean of the whole map, or the largest value of
        every window."""
        return x_BCHW.mean((2, 3), keepdim=True) if self.operator.averages else self._largest(x_BCHW)

    def _largest(self, x_BCHW: Tensor) -> Tensor:
        """The largest value of every window; what lies outside the map never is."""
        return functional.max_pool2d(x_BCHW, self.taps, self.stride, self.pad)

    def _convolve(self, x_BCHW: Tensor, w_MNKK: Tensor, bias_M: Tensor | None) -> Tensor:
        if self.rotate == 0:
            return functional.conv2d(x_BCHW, w_MNKK, bias_M, self.stride, self.pad, 1, self.groups)
        # Output channel k of conv2d sees half k // (M / 2): it is our output channel (k - rotate) mod M.
        weight, bias = w_MNKK.roll(self.rotate, 0), None if bias_M is None else bias_M.roll(self.rotate)
        y = functional.conv2d(x_BCHW, weight, bias, self.stride, self.pad, 1, self.groups)
        return y.roll(-self.rotate, 1)

    def _floating_forward(self, source: Signal, residual: Signal | None, weight: Tensor | None) -> Signal:
        """Nothing is rounded: real values at scale 1, clamped at 0 where codes would be unsigned."""
        one = torch.ones((), device=source.codes_BCHW.device)
        if not self.operator.stores_weights:
            return Signal(codes_BCHW=self._unweighted(source.real()), scale=one, signed=self.out.signed)
        weight = self.weight if weight is None else weight
        assert weight is not None
        y = self._convolve(source.real().to(self.compute), weight.to(self.compute), self.bias).float()
        if self.norm is not None:
            y = self.norm(y, self.gain(self.norm), self.norm.bias)
        if residual is not None:
            y = y + residual.codes_BCHW
        return Signal(codes_BCHW=y if self.out.signed else functional.relu(y), scale=one, signed=self.out.signed)

    def folded(self) -> tuple[Tensor, Tensor]:
        """(weight [M, N, K, K], bias [M]) with BatchNorm's running statistics folded in. For layers with weights."""
        assert self.weight is not None
        if self.norm is None:
            assert self.bias is not None
            return self.weight, self.bias
        assert self.norm.running_mean is not None
        assert self.norm.running_var is not None
        gain = self.gain(self.norm) / torch.sqrt(self.norm.running_var + self.norm.eps)
        return self.weight * along(gain, self.weight), self.norm.bias - self.norm.running_mean * gain

    def folded_codes(self, bits: int, nested_scale: Tensor, limit: float) -> tuple[Tensor, Tensor, Tensor]:
        """(weight codes of `bits` bits, real value [M] of one accumulator step, bias [M]) with BatchNorm folded in.

        Where a channel's bias would exceed `limit`, which the accumulator bits that hardware has can hold, the
        channel's weight scale is enlarged until it does not. With codes of 16 bits, a scale whose single accumulator
        step would be more than half of the output's range (few bits and a gain that saturates) is cut to what a
        multiplier can hold. nested_scale: real value of one code of the input at `bits` bits.
        """
        weight, bias = self.folded()
        scale = torch.maximum(weight_scale(weight, bits), (bias / (nested_scale * limit)).detach().abs())
        if self.out.bits != MASTER_BITS:
            scale = torch.minimum(scale, MAX_RATIO * (self.out.scale() / nested_scale).detach())
        return weight_codes(weight, scale, bits), scale * nested_scale, bias

    def integers(
        self, bits: int, source_scale: Tensor, source_signed: bool, residual_scale: Tensor | None
    ) -> LayerIntegers:
        """The folded layer's integers at `bits` bits; scales are those of master codes."""
        nested_scale = source_scale * float(1 << (self.out.bits - bits))
        if not self.operator.stores_weights:
            codes = bias_codes = torch.zeros(0)
            acc_scale = (nested_scale / (self.reduction if self.operator.averages else 1)).expand(self.groups)
        else:
            limit = float(bias_limit(self.reduction, bits, bits, source_signed))
            codes, acc_scale, bias = self.folded_codes(bits, nested_scale, limit)
            bias_codes = round_through((bias / acc_scale).clamp(-limit, limit))
        ratio = acc_scale / self.out.scale()
        res_ratio = None if residual_scale is None else residual_scale / self.out.scale()
        together = ratio if res_ratio is None else torch.cat([ratio, res_ratio.reshape(1)])
        mult, shift = fixed_point(together.detach().cpu().numpy())
        rounded = together + (torch.from_numpy(mult * 0.5**shift).to(together) - together).detach()
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
        x, step = shown_codes(source.codes_BCHW, bits, source.signed, source.bits), 0.5 ** (source.bits - bits)
        if not self.operator.stores_weights:
            acc = (x.sum((2, 3), keepdim=True) if self.operator.averages else self._largest(x)) * step
        else:
            acc = self._convolve(x, values.weight * step, values.bias)
        y = channelwise(acc, values.ratio, torch.full_like(values.ratio, 0.5))
        if residual is not None:
            assert values.residual_ratio is not None
            y = torch.addcmul(y, residual.codes_BCHW, values.residual_ratio)
        return self.out.from_steps(y)


def first_reach(*, residual: bool, last: bool) -> float:
    """The real value of the largest output code of a layer before training: a sum of two, or a logit, is larger."""
    return 16.0 if last else 6.0 if residual else 4.0


class FakeNetwork(nn.Module):
    """The trainable twin of an integer network: one layer of class `kind` per layer, in the same order."""

    def __init__(
        self, network: Network, input_scale: float, generator: torch.Generator, kind: type[QuantLayer] = QuantLayer
    ):
        super().__init__()
        self.network = network
        self.input_scale = input_scale
        self.layers = nn.ModuleList(_twin(network, i, layer, generator, kind) for i, layer in enumerate(network.layers))
        self.precisions = tuple(Precision(bitwidths=(layer.act_bits,)) for layer in network.layers)
        for i, layer in enumerate(network.layers):
            if layer.operator.selects and layer.input and network.source(layer).signed == network.result(i).signed:
                mine, source = self.layers[i], self.layers[layer.input - 1]
                assert isinstance(mine, QuantLayer)
                assert isinstance(source, QuantLayer)
                mine.keep_scale_of(source)

    def code_scale(self) -> float:
        """Real value of one code of the input tensor; `input_scale` is that of an image's 8-bit code."""
        return self.input_scale / (1 << (self.network.master_bits - MASTER_BITS))

    def freeze(self, frozen: bool) -> None:
        """Switch between batch statistics (False) and folded BatchNorm with integer biases (True)."""
        for layer in self.layers:
            assert isinstance(layer, QuantLayer)
            layer.frozen = frozen

    def arithmetic(self, *, floating: bool, compute: torch.dtype) -> None:
        """Round nothing at all (`floating`), or as the integers will; the type of the convolutions until `freeze`."""
        for layer in self.layers:
            assert isinstance(layer, QuantLayer)
            layer.floating, layer.compute = floating, compute

    def signals(self, codes_BCHW: Tensor) -> list[Signal]:
        """Every tensor of the network for image codes (floats holding 0..255), in the order of `network.tensors`."""
        first = self.network.tensors[0]
        scale = torch.tensor(self.code_scale(), dtype=codes_BCHW.dtype)
        codes = codes_BCHW if first.bits == MASTER_BITS else codes_BCHW * float(1 << (first.bits - MASTER_BITS))
        tensors = [Signal(codes_BCHW=codes, scale=scale, signed=first.signed, bits=first.bits)]
        for spec, precision, layer in zip(self.network.layers, self.precisions, self.layers, strict=True):
            residual = None if spec.residual is None else tensors[spec.residual]
            tensors.append(layer(tensors[spec.input], precision, residual))
        return tensors

    def forward(self, codes_BCHW: Tensor) -> Tensor:
        """Logits [B, classes]."""
        return self.signals(codes_BCHW)[-1].real().flatten(1)


def _twin(network: Network, index: int, layer: Layer, generator: torch.Generator, kind: type[QuantLayer]) -> QuantLayer:
    out = network.result(index)
    last = index == len(network.layers) - 1
    return kind(
        op=layer.op,
        in_channels=network.source(layer).channels,
        out_channels=out.channels,
        kernel=(layer.kernel_h, layer.kernel_w),
        stride=(layer.stride_h, layer.stride_w),
        pad=layer.pad_top,
        signed=out.signed,
        norm=not last,
        reach=first_reach(residual=layer.residual is not None, last=last),
        groups=layer.groups,
        rotate=layer.rotate,
        code_bits=network.master_bits,
        generator=generator,
    )
