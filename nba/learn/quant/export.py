# SPDX-License-Identifier: Apache-2.0
"""From the trained twin to integers: weight and bias codes, multipliers and one shift per layer."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from nba.ir.network import LayerWeights, Network, Weights, weight_dtype, weight_shape
from nba.ir.reference import image_codes, run
from nba.learn.quant.fake import FakeNetwork, QuantLayer
from nba.learn.quant.fixed import bias_limit

if TYPE_CHECKING:
    from nba.learn.data.images import Images

_BLOCK_IMAGES = 256


@dataclass(frozen=True, kw_only=True, slots=True)
class Agreement:
    """Output codes of the fake-quantised network against the integer reference's.

    equal: share of equal codes; largest: largest difference in codes; same_class: share of images with one arg max.
    """

    equal: float
    largest: int
    same_class: float


def export(model: FakeNetwork) -> tuple[Network, Weights]:
    """The integer network and weights of a trained `model`; tensor scales are filled in."""
    spec = model.network
    with torch.no_grad():
        scales = [torch.tensor(model.code_scale()), *(layer.out.scale() for layer in _layers(model))]
        exported = [_export_layer(model, i, scales) for i in range(len(spec.layers))]
    tensors = tuple(replace(t, scale=float(s)) for t, s in zip(spec.tensors, scales, strict=True))
    layers = tuple(
        replace(layer, shift=shift, res_mult=res_mult)
        for layer, (_, shift, res_mult) in zip(spec.layers, exported, strict=True)
    )
    return replace(spec, tensors=tensors, layers=layers), tuple(weights for weights, _, _ in exported)


def _layers(model: FakeNetwork) -> list[QuantLayer]:
    return [layer for layer in model.layers if isinstance(layer, QuantLayer)]


def _export_layer(model: FakeNetwork, index: int, scales: list[torch.Tensor]) -> tuple[LayerWeights, int, int]:
    spec = model.network.layers[index]
    signed = model.network.source(spec).signed
    residual = None if spec.residual is None else scales[spec.residual]
    values = _layers(model)[index].integers(spec.act_bits, scales[spec.input], signed, residual)
    shape = weight_shape(model.network, index)
    bias = np.zeros(model.network.result(index).channels, np.int32)
    if spec.operator.stores_weights:
        high = bias_limit(model.network.reduction(index), spec.act_bits, spec.weight_bits, signed)
        bias = np.clip(values.bias.double().numpy(), -high, high).astype(np.int32)
    weights = LayerWeights(
        weight=values.weight.numpy().reshape(shape).astype(weight_dtype(spec)),
        bias=bias,
        mult=values.mult.astype(np.int32),
    )
    return weights, values.shift, values.res_mult


def exact_codes(network: Network, weights: Weights, x_BHWC: Images) -> np.ndarray:
    """Output codes [B, H, W, C] of the integer reference for images, as int64, in blocks that fit memory."""
    begins = range(0, len(x_BHWC), _BLOCK_IMAGES)
    blocks = [run(network, weights, image_codes(network, x_BHWC[i : i + _BLOCK_IMAGES])) for i in begins]
    return np.concatenate(blocks).astype(np.int64)


def fake_codes(model: FakeNetwork, x_BHWC: Images) -> np.ndarray:
    """Output codes [B, H, W, C] of the fake-quantised network for input codes, as int64."""
    found = []
    model.eval()
    with torch.no_grad():
        for i in range(0, len(x_BHWC), _BLOCK_IMAGES):
            block = torch.from_numpy(x_BHWC[i : i + _BLOCK_IMAGES]).float().permute(0, 3, 1, 2)
            found.append(model.signals(block)[-1].codes_BCHW.permute(0, 2, 3, 1).numpy())
    return np.concatenate(found).astype(np.int64)


def float_logits(model: FakeNetwork, x_BHWC: Images) -> np.ndarray:
    """Logits [B, classes] of a network that rounds nothing, for input codes."""
    found = []
    model.eval()
    with torch.no_grad():
        for i in range(0, len(x_BHWC), _BLOCK_IMAGES):
            block = torch.from_numpy(x_BHWC[i : i + _BLOCK_IMAGES]).float().permute(0, 3, 1, 2)
            found.append(model(block).numpy())
    return np.concatenate(found)


def accuracy(codes: np.ndarray, labels: np.ndarray) -> float:
    """Share of images whose largest logit code [B, 1, 1, C] is that of their label; a tie goes to the lower class."""
    return float(np.mean(codes.reshape(len(labels), -1).argmax(1) == labels))


def agreement(fake: np.ndarray, exact: np.ndarray) -> Agreement:
    """How closely the integer reference's output codes `exact` follow those of fake quantisation, int64 [B, H, W,
    C]."""
    fake, exact = fake.reshape(len(fake), -1), exact.reshape(len(exact), -1)
    return Agreement(
        equal=float(np.mean(fake == exact)),
        largest=int(np.abs(fake - exact).max()),
        same_class=float(np.mean(fake.argmax(1) == exact.argmax(1))),
    )
