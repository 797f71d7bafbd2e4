# SPDX-License-Identifier: Apache-2.0
"""From the trained switchable network to integer networks that share their master codes, and their accuracies."""

from __future__ import annotations

import numpy as np
import torch

from nba.ir.check import check_network, check_weights
from nba.ir.network import FLOAT_BITS, LEGAL_BITS, MASTER_BITS, weight_shape
from nba.ir.shared import SharedNetworks, shared
from nba.learn.data.dataset import Dataset
from nba.learn.quant.export import accuracy, agreement, exact_codes, export, fake_codes, float_logits
from nba.learn.quant.fake import FakeNetwork
from nba.learn.quant.nested import master_codes
from nba.learn.switchable.network import SwitchableNetwork
from nba.learn.switchable.records import AtBits, SwitchableRecord, SwitchableResult


def measure_switchable(
    model: SwitchableNetwork, records: tuple[SwitchableRecord, ...], dataset: Dataset
) -> SwitchableResult:
    """Export every bitwidth of a frozen `model` and measure it on the test split."""
    masters = master_arrays(model)
    results = tuple(_measured(model.network(i), bits, masters, dataset) for i, bits in enumerate(model.bitwidths))
    return SwitchableResult(bitwidths=model.bitwidths, masters=masters, results=results, records=records)


def master_arrays(model: SwitchableNetwork) -> tuple[np.ndarray, ...]:
    """Per layer the stored codes, int8, in the shape of the layer's weights (empty where all bitwidths have more than 8
    bits, and of average pooling)."""
    found: list[np.ndarray] = []
    with torch.no_grad():
        for i, layer in enumerate(model.layers(0)):
            used = any(
                model.network(k).network.layers[i].weight_bits <= MASTER_BITS and bits != FLOAT_BITS
                for k, bits in enumerate(model.bitwidths)
            )
            if layer.weight is None or not used:
                found.append(np.zeros(0, np.int8))
                continue
            codes = master_codes(layer.weight, layer.lowest).numpy().astype(np.int8)
            found.append(codes.reshape(weight_shape(model.network(0).network, i)))
    return tuple(found)


def shared_networks(found: SwitchableResult) -> SharedNetworks:
    """The integer networks of `found`, as nba.ir.shared stores them."""
    exact = [
        (at.bits, at.network, at.weights) for at in found.results if at.network is not None and at.weights is not None
    ]
    return SharedNetworks(
        bitwidths=tuple(bits for bits, _, _ in exact), masters=found.masters,
        networks=tuple(network for _, network, _ in exact), weights=tuple(weights for _, _, weights in exact),
    )  # fmt: skip


def _measured(model: FakeNetwork, bits: int, masters: tuple[np.ndarray, ...], dataset: Dataset) -> AtBits:
    x, y = dataset.test_x, dataset.test_y
    if bits not in LEGAL_BITS:
        outputs = float_logits(model, x) if bits == FLOAT_BITS else fake_codes(model, x)
        found = accuracy(outputs, y)
        return AtBits(
            bits=bits, accuracy=found, arithmetic="fake", fake_accuracy=found, agreement=None, network=None,
            weights=None,
        )  # fmt: skip
    network, weights = shared(*export(model), masters)
    problems = check_network(network) + check_weights(network, weights)
    assert not problems, problems
    exact, fake = exact_codes(network, weights, x), fake_codes(model, x)
    return AtBits(
        bits=bits, accuracy=accuracy(exact, y), arithmetic="integer", fake_accuracy=accuracy(fake, y),
        agreement=agreement(fake, exact), network=network, weights=weights,
    )  # fmt: skip
