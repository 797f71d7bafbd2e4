# SPDX-License-Identifier: Apache-2.0
"""Published networks: they have the layers of their publications, and random weights keep every tensor alive."""

from __future__ import annotations

import numpy as np
import pytest

from nba.core.errors import SpecError
from nba.flow.stages.given import layers_of_given
from nba.ir.check import check_network, check_weights
from nba.ir.network import Network, weight_shape, weights_digest
from nba.ir.reference import run_all
from nba.zoo.config import GivenNetwork
from nba.zoo.networks import ZOO, Builder
from nba.zoo.weights import random_codes, random_weights

SIZES = {
    "mobilenet_v1": (568_740_352, 4_209_088),
    "mobilenet_v2": (300_774_272, 3_469_760),
    "resnet18": (1_814_073_344, 11_678_912),
    "resnet8": (12_501_632, 77_360),
}
"""Multiply-accumulates at the size of the publication, the average poolings left out, and weights without biases."""


def sizes(network: Network) -> tuple[int, int]:
    weighted = [i for i, layer in enumerate(network.layers) if layer.operator.stores_weights]
    return sum(map(network.macs, weighted)), sum(int(np.prod(weight_shape(network, i))) for i in weighted)


@pytest.mark.parametrize("name", ZOO)
def test_published_networks(name: str) -> None:
    given = GivenNetwork.model_validate({"published": name})
    network = layers_of_given(given)
    assert sizes(network) == SIZES[name]
    assert network.name == name
    assert network.tensors[0].height == given.image == ZOO[name].image
    assert check_network(network) == ()
    assert len({layer.name for layer in network.layers}) == len(network.layers)
    assert len({layer.act_bits for layer in network.layers} | {layer.weight_bits for layer in network.layers}) == 1


def test_every_published_network_can_be_named() -> None:
    named = [kind.get("enum") for kind in GivenNetwork.model_json_schema()["properties"]["published"]["anyOf"]]
    assert named == [list(ZOO), None]


@pytest.mark.parametrize("name", ZOO)
@pytest.mark.parametrize("size", [4, 7, 31, 33, 64])
def test_any_size_of_image_is_built_or_refused_in_words(name: str, size: int) -> None:
    try:
        network = layers_of_given(GivenNetwork.model_validate({"published": name, "image": size}))
    except SpecError as err:
        pytest.fail(str(err))
    assert network.tensors[-1].height == 1
    assert (network.tensors[0].height, network.tensors[0].channels) == (size, 3)


def test_a_size_that_cannot_be_built(monkeypatch: pytest.MonkeyPatch) -> None:
    def wide(size: int) -> Network:
        net = Builder()
        net.add("dense", net.image(size), 10_000)
        return net.network("wide")

    monkeypatch.setitem(ZOO, "resnet8", type(ZOO["resnet8"])(build=wide))
    with pytest.raises(SpecError, match=r"given.image: resnet8 for images of 9x9 cannot be built .* channels is 10000"):
        layers_of_given(GivenNetwork(published="resnet8", image=9))


@pytest.mark.parametrize("size", range(4, 12))
def test_same_padding_is_that_of_tensorflow(size: int) -> None:
    """Rows before: half of what the windows of all outputs need beyond the map, rounded down."""
    for kernel, stride in ((3, 1), (3, 2), (1, 2), (5, 2), (5, 3)):
        net = Builder()
        net.add("dense", net.image(size), 4, kernel, stride, same=True)
        rows = -(-size // stride)
        beyond = max((rows - 1) * stride + kernel - size, 0)
        assert (net.tensors[1].height, net.layers[0].pad_top) == (rows, beyond // 2)


def test_random_weights_keep_every_tensor_alive() -> None:
    skeleton = ZOO["mobilenet_v2"].build(32)
    network, weights = random_weights(np.random.default_rng(5), skeleton)
    assert (*check_network(network), *check_weights(network, weights)) == ()
    again = random_weights(np.random.default_rng(5), skeleton)
    assert again[0] == network
    assert weights_digest(again[1]) == weights_digest(weights)
    assert weights_digest(random_weights(np.random.default_rng(6), skeleton)[1]) != weights_digest(weights)
    assert min(int(layer.weight.min(initial=0)) for layer in weights) == -128
    network, weights = random_weights(np.random.default_rng(5), skeleton, symmetric=True)
    assert min(int(layer.weight.min(initial=0)) for layer in weights) == -127
    images = random_codes(np.random.default_rng(0), network.tensors[0], 2)
    for tensor, codes in zip(network.tensors, run_all(network, weights, images), strict=True):
        assert len(np.unique(codes)) > min(40, codes.size // 4), tensor.name
