# SPDX-License-Identifier: Apache-2.0
"""Loop nests of the layers of a network of the product."""

from __future__ import annotations

from dataclasses import dataclass, replace

from nba.core.errors import NbaError
from nba.ir.network import Network
from nba.ir.operators import OPERATORS
from nba.loopnest.layer import NestLayer


@dataclass(frozen=True, kw_only=True, slots=True)
class Extraction:
    """layers: what has multiply-accumulates, in order. unmapped: names of layers and additions that have none, with
    why."""

    layers: tuple[NestLayer, ...]
    unmapped: tuple[str, ...]


def extract(network: Network, *, bits: int | None = None) -> Extraction:
    """Loop nests of `network`, one frame. bits: of weights and activations of all layers; None: those of each layer.

    A fully connected layer (a kernel as large as its input map) becomes 1x1 over all inputs. Operators without weights
    and residual additions have no multiply-accumulates and are reported as unmapped. Raises NbaError on a layer of
    another kind than nba.ir.operators has.
    """
    layers: list[NestLayer] = []
    unmapped: list[str] = []
    for index, layer in enumerate(network.layers):
        source, result = network.source(layer), network.result(index)
        if layer.residual is not None:
            unmapped.append(f"{layer.name}: its residual addition")
        if layer.op not in OPERATORS:
            raise NbaError(
                f"layer {layer.name}: the mapping model does not cover {layer.op!r}; legal: {', '.join(OPERATORS)}"
            )
        operator = layer.operator
        if not operator.mixes and source.channels != result.channels:
            raise NbaError(
                f"layer {layer.name}: {operator.op} from {source.channels} to {result.channels} channels; "
                "the mapping model covers one output channel per input channel"
            )
        loops = operator.loops(layer, source.channels, result.channels)
        if loops is None:
            unmapped.append(f"{layer.name}: {operator.title}")
            continue
        g, m, c = loops
        weight_bits, act_bits = (bits, bits) if bits is not None else (layer.weight_bits, layer.act_bits)
        r, s = layer.kernel_h, layer.kernel_w
        padded = layer.pad_top or layer.pad_left
        one = (result.height, result.width) == (1, 1)
        full = operator.mixes and one and not padded and (r, s) == (source.height, source.width)
        if full:
            c, r, s = c * r * s, 1, 1
        layers.append(
            NestLayer(
                name=layer.name, g=g, m=m, c=c, p=result.height, q=result.width, r=r, s=s,
                stride_h=1 if full else layer.stride_h, stride_w=1 if full else layer.stride_w,
                weight_bits=weight_bits, act_bits=act_bits,
            )
        )  # fmt: skip
    return Extraction(layers=tuple(layers), unmapped=tuple(unmapped))


def layers_of(
    network: Network, *, bits: int | None = None, stem_bits: int | None = None, classifier_bits: int | None = None
) -> tuple[NestLayer, ...]:
    """The layers of `extract`; stem_bits, classifier_bits: of the first and of the last, where they have bits of their
    own."""
    layers = list(extract(network, bits=bits).layers)
    for place, fixed in ((0, stem_bits), (-1, classifier_bits)):
        if fixed is not None:
            layers[place] = replace(layers[place], weight_bits=fixed, act_bits=fixed)
    return tuple(layers)
