# SPDX-License-Identifier: Apache-2.0
"""The network space: every architecture is a legal integer network, and layers keep their slots."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nba.core.errors import SpecError
from nba.flow.data import macro as macro_of
from nba.ir.check import check_network
from nba.learn.space.architecture_file import architecture_from_json, architecture_json
from nba.learn.space.check import check_architecture, check_macro
from nba.learn.space.network import (
    SKIP,
    Architecture,
    BitsPer,
    Macro,
    MacroStage,
    StemPool,
    bit_operations,
    blocks,
    choices,
    macs,
    skeleton,
    slot_of_layer,
    slots,
)
from nba.learn.space.operators import shuffle_rotation
from nba.learn.space.strides import Stride
from nba.loopnest.network import extract
from nba.spec import parse_spec

ODD = Macro(
    name="odd",
    height=11,
    width=7,
    channels=3,
    classes=4,
    stem_channels=5,
    stem_stride=2,
    stages=(MacroStage(channels=5, blocks=2, stride=1), MacroStage(channels=7, blocks=2, stride=2)),
    head_channels=9,
    operators=("k3_e1", "k5_e2", "k7_e3", SKIP),
    stem_bits=6,
)
POOLED = replace(
    ODD, stem_stride=(2, 1), stem_pool=StemPool(kernel=5, stride=(1, 2)), bitwidths=(4, 16),
    stages=(MacroStage(channels=5, blocks=2, stride=(1, 2)), MacroStage(channels=7, blocks=2, stride=(2, 1))),
)  # fmt: skip


MACRO16 = Macro(
    stem_channels=4, stages=(MacroStage(channels=4, blocks=2, stride=1),), head_channels=6, operators=("k3_e3", SKIP)
)
GROUPED = Macro(
    name="grouped",
    stem_channels=6,
    stages=(
        MacroStage(channels=6, blocks=2, stride=1),
        MacroStage(channels=10, blocks=2, stride=2, operators=("k3_e1_g2", "k5_e3_g2", SKIP), bitwidths=(3, 7)),
    ),
    operators=("k3_e1", "k3_e2_g2", SKIP),
    bitwidths=(4, 8),
    classifier_bits=6,
    expand_at_one=True,
)


def _random(macro: Macro, rng: np.random.Generator) -> Architecture:
    ops = tuple(str(rng.choice(choices(block))) for block in blocks(macro))
    return Architecture(macro=macro, ops=ops, bits=tuple(int(rng.choice(b.bitwidths)) for b in blocks(macro)))


@pytest.mark.parametrize("macro", [Macro(), ODD, GROUPED, POOLED], ids=["digits", "odd", "grouped", "pooled"])
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
    legal = [SKIP in choices(block) for block in blocks(macro)]
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


def test_the_stem_is_pooled_and_strides_differ_by_axis() -> None:
    """Shapes, windows, signs and bits of a space with both; the pooling has no multiply-accumulate."""
    network = skeleton(Architecture(macro=POOLED, ops=("k3_e1", "k7_e3", "k3_e1", SKIP), bits=(4, 16, 4, 4)))
    assert check_network(network) == ()
    stem, pool = network.layers[:2]
    assert (stem.name, pool.name, pool.op, pool.input) == ("stem", "stem_pool", "maxpool", 1)
    assert (pool.kernel_h, pool.kernel_w, pool.pad_top, pool.pad_left) == (5, 5, 2, 2)
    assert (stem.stride_h, stem.stride_w, pool.stride_h, pool.stride_w) == (2, 1, 1, 2)
    sizes = {layer.name: (t.height, t.width) for layer, t in zip(network.layers, network.tensors[1:], strict=True)}
    assert (network.tensors[0].height, network.tensors[0].width) == (11, 7)
    assert (sizes["stem"], sizes["stem_pool"]) == ((6, 7), (6, 4))
    assert (sizes["block0_project"], sizes["block1_project"], sizes["block2_project"]) == ((6, 2), (6, 2), (3, 2))
    assert [t.signed for t in network.tensors[:3]] == [False] * 3
    assert (stem.act_bits, pool.act_bits, network.master_bits) == (6, 16, 16)
    assert (network.macs(0), network.macs(1), network.products(1)) == (6 * 7 * 5 * 27, 0, 6 * 4 * 5 * 25)
    others = [i for i in range(len(network.layers)) if i != 1]
    assert macs(network) == sum(network.macs(i) for i in others)
    assert "stem_pool: max pooling" in extract(network).unmapped
    assert bit_operations(network) == sum(
        network.macs(i) * layer.act_bits * (layer.weight_bits if layer.op != "avgpool" else 1)
        for i, layer in enumerate(network.layers)
        if i != 1
    )


def test_only_equal_shapes_have_a_residual() -> None:
    assert [block.residual for block in blocks(POOLED)] == [False, True, False, True]
    assert [block.stride for block in blocks(POOLED)] == [(1, 2), 1, (2, 1), 1]
    for stride in ((1, 2), (2, 1)):
        macro = replace(POOLED, stages=(replace(POOLED.stages[0], stride=stride), POOLED.stages[1]))
        skipping = Architecture(macro=macro, ops=(SKIP, SKIP, "k3_e1", SKIP), bits=(4,) * 4)
        with pytest.raises(SpecError, match=r"ops\[0\]: 'skip'"):
            check_architecture(skipping)


def test_a_pooled_stem_moves_nothing_else() -> None:
    """Slots of a space without it are those of ever; with it there is one more, behind the stem."""
    plain, pooled = slots(replace(POOLED, stem_pool=None)), slots(POOLED)
    assert [slot.name for slot in plain[:4]] == ["stem", "block0_expand", "block0_depthwise", "block0_project"]
    assert [slot.name for slot in plain[-3:]] == ["header", "pool", "classifier"]
    assert (pooled[0], pooled[2:]) == (plain[0], plain[1:])
    assert (pooled[1].name, pooled[1].mixes, pooled[1].kind) == ("stem_pool", False, "depthwise")


def test_files_have_the_form_of_before_where_nothing_is_new() -> None:
    """Equal strides are one number, and a space without a pooled stem says nothing of one."""
    old = Architecture(macro=replace(ODD, stem_stride=(2, 2)), ops=("k3_e1",) * 4, bits=(4,) * 4)
    raw = json.loads(architecture_json(old))
    assert (raw["macro"]["stem_stride"], [s["stride"] for s in raw["macro"]["stages"]]) == (2, [1, 2])
    assert "stem_pool" not in raw["macro"]
    assert old.macro == ODD
    assert MacroStage(channels=4, blocks=1, stride=(1, 1)) == MacroStage(channels=4, blocks=1, stride=1)
    new = json.loads(architecture_json(Architecture(macro=POOLED, ops=("k3_e1",) * 4, bits=(4,) * 4)))["macro"]
    assert (new["stem_stride"], new["stem_pool"]) == ([2, 1], {"kernel": 5, "stride": [1, 2]})
    assert [stage["stride"] for stage in new["stages"]] == [[1, 2], [2, 1]]


def _window(kernel: int, stride: Stride) -> Macro:
    return replace(POOLED, stem_pool=StemPool(kernel=kernel, stride=stride))


def _one_stage(channels: int, stride: Stride) -> Macro:
    return replace(ODD, stages=(MacroStage(channels=channels, blocks=1, stride=stride),))


@pytest.mark.parametrize(
    ("macro", "line"),
    [
        (_window(4, 2), "network.stem_pool.kernel: 4 is not an odd number from"),
        (_window(1, 2), "network.stem_pool.kernel: 1 is not an odd number from"),
        (_window(129, 1), "network.stem_pool.kernel: 129 is not an odd number"),
        (_window(3, (1, 3)), "network.stem_pool.stride: [1, 3] is not 1 or 2, or"),
        (replace(POOLED, stem_stride=3), "network.stem_stride: 3 is not 1 or 2, or [rows, columns] of these"),
        (_one_stage(5, (0, 1)), "network.stages[0].stride: [0, 1] is not"),
        (replace(ODD, stem_channels=8192), "network.stem_channels: 8192 is not a positive number up to 8191"),
        (replace(ODD, height=4096), "network.height: 4096 is not a positive number up to 4095"),
        (replace(ODD, operators=("k129_e1",)), "network.operators: 'k129_e1' is not an operator; write k<kernel>_e"),
        (_one_stage(8192, 1), "network.stages[0]: channels 8192, blocks"),
    ],
)  # fmt: skip
def test_each_mistake_has_one_message(macro: Macro, line: str) -> None:
    with pytest.raises(SpecError) as caught:
        check_macro(macro)
    (found,) = str(caught.value).splitlines()[1:]
    assert found.startswith(f"  - {line}")


def test_the_largest_values_are_legal() -> None:
    widest = MacroStage(channels=8191, blocks=1, stride=1, operators=("k127_e1",))
    macro = replace(POOLED, stem_channels=8191, stem_pool=StemPool(kernel=127, stride=2), head_channels=8191,
                    stages=(widest,))  # fmt: skip
    check_macro(macro)
    network = skeleton(Architecture(macro=macro, ops=("k127_e1",), bits=(4,)))
    assert check_network(network) == ()
    assert {layer.name: layer.kernel_h for layer in network.layers}["block0_depthwise"] == 127


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
    text = architecture_json(Architecture(macro=POOLED, ops=("k3_e1",) * 4, bits=(4,) * 4)).replace("\n", "")
    for old, new, line in (
        ('"stem_stride": [   2,   1  ]', '"stem_stride": [1]', "macro.stem_stride: expected 2 entries, found 1"),
        ('"stem_stride": [   2,   1  ]', '"stem_stride": "2"', "macro.stem_stride: expected int, found '2'"),
        ('"stem_stride": [   2,   1  ]', '"stem_stride": [2, 3]', "network.stem_stride: [2, 3] is not 1 or 2"),
        ('"kernel": 5', '"kernel": 6', "network.stem_pool.kernel: 6 is not an odd number"),
    ):
        assert text.count(old) == 1
        with pytest.raises(SpecError, match=re.escape(line)):
            architecture_from_json(text.replace(old, new))
    with pytest.raises(SpecError, match="operators and"):
        check_architecture(Architecture(macro=Macro(), ops=("k3_e1",), bits=(8,)))


def test_two_groups_with_a_shuffle() -> None:
    """Expand and project work on two groups; each half of the expand's outputs, which is what a group of the project
    sees, comes from both halves of the input."""
    network = skeleton(Architecture(macro=GROUPED, ops=("k3_e1", "k3_e2_g2", "k3_e1_g2", SKIP), bits=(8, 4, 3, 7)))
    layers = {layer.name: layer for layer in network.layers}
    assert [layers[f"block0_{part}"].groups for part in ("expand", "depthwise", "project")] == [1, 1, 1]
    for block in (1, 2):
        expand, project = layers[f"block{block}_expand"], layers[f"block{block}_project"]
        assert (expand.groups, layers[f"block{block}_depthwise"].groups, project.groups) == (2, 1, 2)
        assert (project.rotate, layers[f"block{block}_depthwise"].rotate) == (0, 0)
        m = network.result(network.layers.index(expand)).channels
        seen = [(i + expand.rotate) // (m // 2) % 2 for i in range(m)]
        assert set(seen[: m // 2]) == set(seen[m // 2 :]) == {0, 1}
    assert layers["classifier"].act_bits == 6
    assert layers["block2_project"].act_bits == 3
    halved = network.macs(network.layers.index(layers["block1_expand"]))
    assert halved == 8 * 8 * 12 * 3


@pytest.mark.parametrize("channels", [*range(2, 200, 2), 1104])
def test_the_shuffle_gives_either_half_both_groups(channels: int) -> None:
    rotate, half = shuffle_rotation(channels), channels // 2
    assert 0 <= rotate < half
    assert abs(rotate - channels / 4) <= 4
    assert channels < 32 or rotate % 8 == 0
    assert channels < 4 or rotate > 0


def test_an_expansion_of_one_has_an_expand_layer_where_asked_for() -> None:
    def names(expand_at_one: bool, op: str) -> list[str]:
        macro = replace(GROUPED, expand_at_one=expand_at_one, stages=(MacroStage(channels=6, blocks=1, stride=1),))
        layers = skeleton(Architecture(macro=macro, ops=(op,), bits=(8,))).layers
        return [layer.name for layer in layers if layer.name.startswith("block")]

    whole = ["block0_expand", "block0_depthwise", "block0_project"]
    assert names(True, "k3_e1") == names(True, "k3_e2_g2") == names(False, "k3_e2_g2") == whole
    assert names(False, "k3_e1") == whole[1:]


def test_odd_channels_refuse_groups_by_name() -> None:
    odd = replace(GROUPED, stages=(MacroStage(channels=7, blocks=1, stride=1),))
    with pytest.raises(SpecError, match=r"stages\[0\]: k3_e2_g2 need an even number of channels .* found 7;"):
        check_macro(odd)
    check_macro(replace(odd, stages=(replace(odd.stages[0], operators=("k3_e1",)),)))


def test_everything_that_can_be_skipped_is() -> None:
    """First blocks that change shape stay; a stage that keeps it disappears, and what follows keeps names and bits."""
    full = _published("auto-nba-cifar")
    ops = tuple(SKIP if SKIP in choices(block) else "k3_e1" for block in blocks(full))
    assert [i for i, op in enumerate(ops) if op != SKIP] == [1, 5, 9, 13, 17, 21]
    bits = tuple(full.bitwidths[i % 3] for i in range(len(ops)))
    architecture = Architecture(macro=full, ops=ops, bits=bits)
    check_architecture(architecture)
    network = skeleton(architecture)
    assert check_network(network) == ()
    assert not network.tensors[1].signed
    by_name = {layer.name: layer.act_bits for layer in network.layers}
    assert by_name["block5_depthwise"] == bits[5]
    flat = replace(Macro(), stem_channels=16, stages=(MacroStage(channels=16, blocks=3, stride=1),))
    nothing = skeleton(Architecture(macro=flat, ops=(SKIP,) * 3, bits=(2, 4, 8)))
    assert check_network(nothing) == ()
    assert [layer.name for layer in nothing.layers] == ["stem", "header", "pool", "classifier"]
    with pytest.raises(SpecError, match=r"stages\[0\].operators: \['skip'\]"):
        check_macro(replace(flat, stages=(replace(flat.stages[0], operators=(SKIP,)),)))


@pytest.mark.parametrize(("per", "groups"), [("block", [0, 1, 2, 3]), ("stage", [0, 0, 1, 1]), ("network", [0] * 4)])
def test_bits_are_shared(per: BitsPer, groups: list[int]) -> None:
    stages = tuple(replace(stage, bitwidths=None) for stage in GROUPED.stages)
    macro = replace(GROUPED, bits_per=per, stages=stages)
    assert [block.bits_group for block in blocks(macro)] == groups
    ops = ("k3_e1", "k3_e1", "k3_e1_g2", "k3_e1_g2")
    check_architecture(Architecture(macro=macro, ops=ops, bits=(8, 8, 8, 8)))
    mixed = Architecture(macro=macro, ops=ops, bits=(4, 8, 8, 8))
    if per == "block":
        check_architecture(mixed)
    else:
        with pytest.raises(SpecError, match=f"bits_per: {per}"):
            check_architecture(mixed)


def test_one_bitwidth_for_all_needs_one_choice_for_all() -> None:
    with pytest.raises(SpecError, match="bits_per: network"):
        check_macro(replace(GROUPED, bits_per="network"))


@pytest.mark.parametrize("bits", [1, *range(9, 16), 17])
def test_other_bits_are_refused_everywhere(bits: int) -> None:
    for field in ("stem_bits", "head_bits", "classifier_bits"):
        with pytest.raises(SpecError, match=rf"{field}: {bits} is not a legal number of bits; legal: 2\.\.8, 16"):
            check_macro(replace(GROUPED, **{field: bits}))
    with pytest.raises(SpecError, match=rf"network.bitwidths: {bits} is not a legal"):
        check_macro(replace(GROUPED, bitwidths=tuple(sorted((8, bits)))))
    stages = (replace(GROUPED.stages[0], bitwidths=(bits,)), *GROUPED.stages[1:])
    with pytest.raises(SpecError, match=rf"network.stages\[0\].bitwidths: {bits} is not a legal"):
        check_macro(replace(GROUPED, stages=stages))


@pytest.mark.parametrize("field", ["stem_bits", "head_bits", "classifier_bits", "block"])
def test_one_layer_of_16_bits_makes_all_codes_wide(field: str) -> None:
    """What the space allows alone changes nothing; a skipped block's bits neither."""
    macro = replace(MACRO16, bitwidths=(8, 16))
    narrow = Architecture(macro=macro, ops=("k3_e3", SKIP), bits=(8, 16))
    assert skeleton(narrow) == skeleton(replace(narrow, macro=replace(MACRO16, bitwidths=(8,)), bits=(8, 8)))
    assert {t.bits for t in skeleton(narrow).tensors} == {8}
    own, wide = {"block0_expand", "block0_depthwise", "block0_project"}, replace(narrow, bits=(16, 8))
    if field != "block":
        own = {field.replace("head", "header").removesuffix("_bits")}
        wide = replace(narrow, macro=replace(macro, **{field: 16}))  # type: ignore[arg-type]
    network = skeleton(wide)
    assert check_network(network) == ()
    assert {t.bits for t in network.tensors} == {16}
    assert {layer.name: layer.act_bits for layer in network.layers} == {
        layer.name: 16 if layer.name in own | {"pool"} else 8 for layer in skeleton(narrow).layers
    }
    assert [layer.weight_bits for layer in network.layers if layer.name in own] == [16] * len(own)
    assert all(layer.q_max == network.result(i).code_max for i, layer in enumerate(network.layers))
    assert bit_operations(network) > bit_operations(skeleton(narrow))


def _published(name: str) -> Macro:
    head = "name: net\ndataset: {name: digits}\nplatform: p\nbudgets: {dsp: 9, bram: 9}\n"
    text = f"{head}network: {{preset: {name}}}\n"
    return macro_of(parse_spec(text, where="f", folder=Path(), platforms=("p",)), 10)


@pytest.mark.parametrize(
    ("name", "stem_stride", "strides", "head"),
    [
        ("auto-nba-cifar", 1, [1, 1, 2, 2, 1, 2, 1], 1504),
        ("auto-nba-imagenet", 2, [1, 2, 2, 2, 1, 2, 1], 1984),
    ],
)
def test_published_spaces(name: str, stem_stride: int, strides: list[int], head: int) -> None:
    macro = _published(name)
    check_macro(macro)
    assert len(blocks(macro)) == 22
    assert len(macro.all_operators) == 9
    assert macro.all_bitwidths == (4, 6, 8)
    assert [stage.stride for stage in macro.stages] == strides
    assert [stage.channels for stage in macro.stages] == [16, 24, 32, 64, 112, 184, 352]
    assert (macro.stem_stride, macro.head_channels, macro.stem_channels) == (stem_stride, head, 16)
    rng = np.random.default_rng(3)
    for _ in range(5):
        assert check_network(skeleton(_random(macro, rng))) == ()
