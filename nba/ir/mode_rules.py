# SPDX-License-Identifier: Apache-2.0
"""Legality of the modes of a design: networks that one machine executes from the same weights, one at a time.

A mode is a set of program words and parameters, so modes may differ in what these hold and the tables of shapes,
rings and cycles do not depend on (docs/template.md, Modes).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np

from nba.ir.network import Layer, Network, Tensor, Weights
from nba.ir.network_rules import NETWORK_RULES, WEIGHT_RULES, Weighted, layer_name, tensor_name
from nba.ir.rules import Problems, Rule, apply_rules, limit

MAX_MODES = 16
"""Modes of a design: 4 bits hold their number (nba_axil, nba_chunk)."""
FREE_LAYER_FIELDS = ("act_bits", "weight_bits", "shift", "shifts", "res_mult", "q_min", "q_max")
"""Fields of a layer in which modes may differ."""
FREE_TENSOR_FIELDS = ("scale",)
"""Fields of a tensor in which modes may differ."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Modes:
    """The networks of all modes, mode 0 first, and the weights of each."""

    networks: tuple[Network, ...]
    weights: tuple[Weights, ...]


def _count(s: Modes) -> Problems:
    yield from limit("modes: number of networks", len(s.networks), 1, MAX_MODES)
    first = s.networks[0]
    for m, network in enumerate(s.networks):
        if len(network.layers) != len(first.layers):
            yield f"mode {m}: network of {len(network.layers)} layers; legal: {len(first.layers)}, as in mode 0"


def _legal(s: Modes) -> Problems:
    for m, (network, weights) in enumerate(zip(s.networks, s.weights, strict=True)):
        weighted = Weighted(network=network, weights=weights)
        for _, line in apply_rules(NETWORK_RULES, network) or apply_rules(WEIGHT_RULES, weighted):
            yield f"mode {m} {line}"


def _further(s: Modes) -> Iterator[tuple[int, Network]]:
    yield from enumerate(s.networks[1:], start=1)


def _differing(what: str, one: Layer | Tensor, other: Layer | Tensor, free: tuple[str, ...]) -> Problems:
    for name in (f.name for f in fields(one) if f.name not in free):
        if getattr(one, name) != getattr(other, name):
            yield (
                f"{what}: {name} is {getattr(other, name)!r}; legal: {getattr(one, name)!r}, as in mode 0 "
                f"(modes may differ in {', '.join(free)})"
            )


def _tensors(s: Modes) -> Problems:
    first = s.networks[0]
    for m, network in _further(s):
        for i, (one, other) in enumerate(zip(first.tensors, network.tensors, strict=True)):
            yield from _differing(f"mode {m} {tensor_name(first, i)}", one, other, FREE_TENSOR_FIELDS)


def _layers(s: Modes) -> Problems:
    first = s.networks[0]
    for m, network in _further(s):
        for i, (one, other) in enumerate(zip(first.layers, network.layers, strict=True)):
            yield from _differing(f"mode {m} {layer_name(first, i)}", one, other, FREE_LAYER_FIELDS)


def _weights(s: Modes) -> Problems:
    first = s.networks[0]
    for m, weights in enumerate(s.weights[1:], start=1):
        for i, (one, other) in enumerate(zip(s.weights[0], weights, strict=True)):
            if not np.array_equal(one.weight, other.weight):
                yield (
                    f"mode {m} {layer_name(first, i)}: stores other weights than mode 0; legal: the same, of which "
                    "every mode sees weight_bits bits"
                )


MODE_RULES: tuple[Rule[Modes], ...] = (
    Rule(name="mode count", find=_count, step=0),
    Rule(name="mode legal", find=_legal),
    Rule(name="mode tensors", find=_tensors, step=2),
    Rule(name="mode layers", find=_layers, step=2),
    Rule(name="mode weights", find=_weights, step=2),
)
