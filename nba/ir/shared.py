# SPDX-License-Identifier: Apache-2.0
"""Integer networks of several bitwidths that share one stored set of master codes, and the files that hold them.

`shared` puts the master codes in the place of the weights of a network, whose layers then round them to their bits;
`packed` is its inverse, for hardware of one bitwidth that stores no more bits than it multiplies. Both are pure
functions, and neither changes what the network computes (docs/numerics.md, Shared master codes).

switchable.npz holds the master codes once, and per bitwidth the biases, the multipliers and codes of more than 8 bits;
switchable.json the networks, with their shifts and scales.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from nba.core.errors import DesignError
from nba.core.files import write_atomic, write_atomic_bytes
from nba.core.jsonfile import read_json
from nba.core.npzfile import npz_bytes, read_npz
from nba.ir.check import check_network, check_weights
from nba.ir.decode import decode
from nba.ir.network import (
    MASTER_BITS,
    Layer,
    LayerWeights,
    Network,
    Weights,
    document,
    weight_dtype,
    weights_digest,
)
from nba.ir.reference import nest

_FORMAT = 1
NETWORKS_FILE = "switchable.json"
CODES_FILE = "switchable.npz"


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class SharedNetworks:
    """Integer networks, one per entry of `bitwidths` (rising), whose layers of up to 8 bits store `masters`: per layer
    the codes, int8, in the shape of nba.ir.network.weight_shape; empty where no bitwidth is 8 or less."""

    bitwidths: tuple[int, ...]
    masters: tuple[np.ndarray, ...]
    networks: tuple[Network, ...]
    weights: tuple[Weights, ...]

    def at(self, bits: int) -> tuple[Network, Weights]:
        """The network of one bitwidth. Raises DesignError if there is none."""
        if bits not in self.bitwidths:
            legal = ", ".join(map(str, self.bitwidths))
            raise DesignError(f"bitwidth {bits}", [f"no integer network has these bits; legal: {legal}"])
        index = self.bitwidths.index(bits)
        return self.networks[index], self.weights[index]


def takes_master(layer: Layer) -> bool:
    """Whether `layer` multiplies with master codes: it has weights, of at most 8 bits."""
    return layer.operator.stores_weights and layer.weight_bits <= MASTER_BITS


def shared(network: Network, weights: Weights, masters: tuple[np.ndarray, ...]) -> tuple[Network, Weights]:
    """`network` whose layers of up to 8 bits store the master codes."""
    pairs = [
        (replace(layer, weight_store_bits=MASTER_BITS), replace(lw, weight=master))
        if takes_master(layer)
        else (layer, lw)
        for layer, lw, master in zip(network.layers, weights, masters, strict=True)
    ]
    return replace(network, layers=tuple(layer for layer, _ in pairs)), tuple(lw for _, lw in pairs)


def packed(network: Network, weights: Weights) -> tuple[Network, Weights]:
    """`network` whose layers store the weights that they multiply with, and their bits only."""
    layers, arrays = [], []
    for layer, lw in zip(network.layers, weights, strict=True):
        narrow, codes = replace(layer, weight_store_bits=layer.weight_bits), lw.weight
        if layer.operator.stores_weights:
            codes = nest(codes, layer.weight_store_bits, layer.weight_bits, True).astype(weight_dtype(narrow))
        layers.append(narrow)
        arrays.append(replace(lw, weight=codes))
    return replace(network, layers=tuple(layers)), tuple(arrays)


def save_shared(found: SharedNetworks, folder: Path) -> None:
    """Write switchable.json and switchable.npz into `folder`; the same networks give the same bytes."""
    write_atomic_bytes(folder / CODES_FILE, npz_bytes(_arrays(found)))
    text = {
        "format": _FORMAT,
        "bitwidths": list(found.bitwidths),
        "networks": [document(network) for network in found.networks],
        "weights_sha256": [weights_digest(weights) for weights in found.weights],
    }
    write_atomic(folder / NETWORKS_FILE, json.dumps(text, sort_keys=True, indent=1) + "\n")


def _arrays(found: SharedNetworks) -> Iterator[tuple[str, np.ndarray]]:
    for i, master in enumerate(found.masters):
        yield f"w{i}", master
    for bits, network, weights in zip(found.bitwidths, found.networks, found.weights, strict=True):
        for i, (layer, lw) in enumerate(zip(network.layers, weights, strict=True)):
            yield f"b{i}_at{bits}", lw.bias
            yield f"m{i}_at{bits}", lw.mult
            if not takes_master(layer):
                yield f"w{i}_at{bits}", lw.weight


@dataclass(frozen=True, kw_only=True, slots=True)
class _File:
    """switchable.json."""

    format: int
    bitwidths: tuple[int, ...]
    networks: tuple[Network, ...]
    weights_sha256: tuple[str, ...]


def load_shared(folder: Path) -> SharedNetworks:
    """Read what `save_shared` wrote. Raises DesignError, naming the file, if one is missing or damaged, or if they do
    not belong together."""
    path = folder / NETWORKS_FILE
    problems: list[str] = []
    try:
        raw: Any = read_json(path)
    except (OSError, ValueError) as err:
        raise DesignError(str(path), [f"missing or damaged ({err}); repeat the training"]) from None
    text: _File = decode(_File, raw, "switchable", problems)
    if not problems and text.format != _FORMAT:
        problems.append(f"format: is {text.format}, this version reads {_FORMAT}")
    if not problems and not len(text.bitwidths) == len(text.networks) == len(text.weights_sha256):
        problems.append("bitwidths, networks and weights_sha256 differ in length; repeat the training")
    if problems:
        raise DesignError(str(path), problems)
    masters, weights = _read_codes(folder / CODES_FILE, text)
    for bits, network, found, digest in zip(text.bitwidths, text.networks, weights, text.weights_sha256, strict=True):
        if weights_digest(found) != digest:
            problems.append(
                f"the codes at {bits} bits are not those that {NETWORKS_FILE} names; the files do not match"
            )
        else:
            problems.extend(check_network(network) or check_weights(network, found))
    if problems:
        raise DesignError(str(folder / CODES_FILE), problems)
    return SharedNetworks(bitwidths=text.bitwidths, masters=masters, networks=text.networks, weights=weights)


def _read_codes(path: Path, text: _File) -> tuple[tuple[np.ndarray, ...], tuple[Weights, ...]]:
    n_layers = max((len(network.layers) for network in text.networks), default=0)
    names = {f"w{i}" for i in range(n_layers)}
    for bits, network in zip(text.bitwidths, text.networks, strict=True):
        for i, layer in enumerate(network.layers):
            names |= {f"{key}{i}_at{bits}" for key in ("bm" if takes_master(layer) else "bmw")}
    try:
        archive = read_npz(path, sorted(names))
    except (ValueError, OSError) as err:
        raise DesignError(str(path), [f"missing, damaged or incomplete ({err}); repeat the training"]) from None
    masters = tuple(archive[f"w{i}"] for i in range(n_layers))
    weights = tuple(
        tuple(
            LayerWeights(
                weight=masters[i] if takes_master(layer) else archive[f"w{i}_at{bits}"],
                bias=archive[f"b{i}_at{bits}"],
                mult=archive[f"m{i}_at{bits}"],
            )
            for i, layer in enumerate(network.layers)
        )
        for bits, network in zip(text.bitwidths, text.networks, strict=True)
    )
    return masters, weights
