# SPDX-License-Identifier: Apache-2.0
"""The network space: every architecture is a legal integer network, and layers keep their slots."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nba.errors import SpecError
from nba.ir.check import check_network
from nba.space.network import (
    SKIP,
    Architecture,
    Macro,
    Stage,
    architecture_from_json,
    architecture_json,
    bit_operations,
    blocks,
    check_architecture,
    check_macro,
    choices,
    skeleton,
    slot_of_layer,
    slots,
)

ODD = Macro(
    name="odd",
    height=11,
    width=7,
    channels=3,
    classes=4,
    stem_channels=5,
    stem_stride=2,
    stages=(Stage(channels=5, blocks=2, stride=1), Stage(channels=7, blocks=2, stride=2)),
    head_channels=9,
    operators=("k3_e1", "k5_e2", "k7_e3", SKIP),
    stem_bits=6,
)


def _random(macro: Macro, rng: np.random.Generator) -> Architecture:
    ops = tuple(str(rng.choice(choices(macro, block))) for block in blocks(macro))
    return Architecture(macro=macro, ops=ops, bits=tuple(int(rng.choice(macro.bitwidths)) for _ in ops))


@pytest.mark.parametrize("macro", [Macro(), ODD], ids=["digits", "odd"])
def test_every_architecture_is_legal_and_keeps_its_slots(macro: Macro) -> None:
    rng = np.random.default_rng(0)
    table = slots(macro)
    for _ in range(50):
        architecture = _random(macro, rng)
        check_architecture(architecture)
        network = skeleton(architecture)
        assert check_network(network) == ()
        used = slot_of_layer(architecture)
        assert len(used) == len(network.layers)
        assert list(used) == sorted(set(used))
        for slot, layer in zip(used, network.layers, strict=True):
            assert table[slot].name == layer.name
            assert (table[slot].kind == "dense") == (layer.op == "dense")
        assert architecture_from_json(architecture_json(architecture)) == architecture


def test_skipping_a_block_shifts_no_bits() -> None:
    ops = ("k3_e3",) * 5
    full = Architecture(macro=Macro(), ops=ops, bits=(2, 4, 6, 8, 4))
    less = replace(full, ops=("k3_e3", "k3_e3", SKIP, "k3_e3", "k3_e3"))
    by_name = {layer.name: layer for layer in skeleton(full).layers}
    for layer in skeleton(less).layers:
        assert layer.act_bits == by_name[layer.name].act_bits
        assert layer.weight_bits == by_name[layer.name].weight_bits
    assert len(skeleton(less).layers) == len(skeleton(full).layers) - 3


def test_skip_only_where_shapes_allow() -> None:
    macro = Macro()
    legal = [SKIP in choices(macro, block) for block in blocks(macro)]
    assert legal == [block.residual for block in blocks(macro)]
    assert any(legal)
    assert not all(legal)
    index = legal.index(False)
    ops = tuple(SKIP if i == index else "k3_e1" for i in range(len(legal)))
    with pytest.raises(SpecError, match=rf"ops\[{index}\]: 'skip'"):
        check_architecture(Architecture(macro=macro, ops=ops, bits=(8,) * len(ops)))


def test_residual_joins_block_input_and_output() -> None:
    network = skeleton(Architecture(macro=Macro(), ops=("k3_e3",) * 5, bits=(8,) * 5))
    for i, layer in enumerate(network.layers):
        if layer.residual is not None:
            assert layer.name.endswith("project")
            assert network.tensors[layer.residual].channels == network.result(i).channels
    assert sum(layer.residual is not None for layer in network.layers) == sum(b.residual for b in blocks(Macro()))


def test_bit_operations_follow_bits_and_macs() -> None:
    wide = skeleton(Architecture(macro=Macro(), ops=("k3_e3",) * 5, bits=(8,) * 5))
    narrow = skeleton(Architecture(macro=Macro(), ops=("k3_e3",) * 5, bits=(4,) * 5))
    change = bit_operations(wide) - bit_operations(narrow)
    inner = sum(wide.macs(i) for i, layer in enumerate(wide.layers) if layer.name.startswith("block"))
    assert change == inner * (64 - 16)


def test_all_problems_of_a_macro_are_named_at_once() -> None:
    with pytest.raises(SpecError) as caught:
        check_macro(replace(Macro(), classes=1, stem_stride=3, operators=("k4_e1", SKIP), bitwidths=(8, 1), stages=()))
    for field in ("classes", "stem_stride", "operators", "bitwidths", "stages"):
        assert f"network.{field}" in str(caught.value)


def test_damaged_architecture_is_refused() -> None:
    with pytest.raises(SpecError, match="damaged"):
        architecture_from_json('{"macro": 3}')
    with pytest.raises(SpecError, match="operators and"):
        check_architecture(Architecture(macro=Macro(), ops=("k3_e1",), bits=(8,)))
