# SPDX-License-Identifier: Apache-2.0
"""The network space: every architecture is a legal integer network, and layers keep their slots."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from nba.core.errors import SpecError
from nba.core.yamlfile import explain
from nba.flow.data import macro as macro_of
from nba.ir.check import check_network
from nba.learn.space.architecture_file import architecture_from_json, architecture_json
from nba.learn.space.check import check_architecture
from nba.learn.space.config import BitsPer, NetworkFrame, NetworkSpace, StageSpace, StemPoolSpace
from nba.learn.space.network import (
    SKIP,
    Architecture,
    Macro,
    bit_operations,
    blocks,
    choices,
    macs,
    skeleton,
    slot_of_layer,
    slots,
)
from nba.learn.space.operators import shuffle_rotation
from nba.loopnest.network import extract
from nba.spec import parse_spec
from tests.spaces import DIGITS_SPACE

ODD = DIGITS_SPACE.but(
    name="odd",
    height=11,
    width=7,
    channels=3,
    classes=4,
    stem_channels=5,
    stem_stride=2,
    stages=(StageSpace(channels=5, blocks=2, stride=1), StageSpace(channels=7, blocks=2, stride=2)),
    head_channels=9,
    operators=("k3_e1", "k5_e2", "k7_e3", SKIP),
    stem_bits=6,
)
POOLED = ODD.but(
    stem_stride=(2, 1), stem_pool=StemPoolSpace(kernel=5, stride=(1, 2)), bitwidths=(4, 16),
    stages=(StageSpace(channels=5, blocks=2, stride=(1, 2)), StageSpace(channels=7, blocks=2, stride=(2, 1))),
)  # fmt: skip


MACRO16 = DIGITS_SPACE.but(
    stem_channels=4, stages=(StageSpace(channels=4, blocks=2, stride=1),), head_channels=6, operators=("k3_e3", SKIP)
)
GROUPED = DIGITS_SPACE.but(
    name="grouped",
    stem_channels=6,
    stages=(
        StageSpace(channels=6, blocks=2, stride=1),
        StageSpace(channels=10, blocks=2, stride=2, operators=("k3_e1_g2", "k5_e3_g2", SKIP), bitwidths=(3, 7)),
    ),
    operators=("k3_e1", "k3_e2_g2", SKIP),
    bitwidths=(4, 8),
    classifier_bits=6,
    expand_at_one=True,
)


def _random(macro: Macro, rng: np.random.Generator) -> Architecture:
    ops = tuple(str(rng.choice(choices(block))) for block in blocks(macro))
    return Architecture(macro=macro, ops=ops, bits=tuple(int(rng.choice(b.bitwidths)) for b in blocks(macro)))


@pytest.mark.parametrize("macro", [DIGITS_SPACE, ODD, GROUPED, POOLED], ids=["digits", "odd", "grouped", "pooled"])
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
    full = Architecture(macro=DIGITS_SPACE, ops=ops, bits=(2, 4, 6, 8, 4))
    less = replace(full, ops=("k3_e3", "k3_e3", SKIP, "k3_e3", "k3_e3"))
    by_name = {layer.name: layer for layer in skeleton(full).layers}
    for layer in skeleton(less).layers:
        assert layer.act_bits == by_name[layer.name].act_bits
        assert layer.weight_bits == by_name[layer.name].weight_bits
    assert len(skeleton(less).layers) == len(skeleton(full).layers) - 3


def test_skip_only_where_shapes_allow() -> None:
    macro = DIGITS_SPACE
    legal = [SKIP in choices(block) for block in blocks(macro)]
    assert legal == [block.residual for block in blocks(macro)]
    assert any(legal)
    assert not all(legal)
    index = legal.index(False)
    ops = tuple(SKIP if i == index else "k3_e1" for i in range(len(legal)))
    with pytest.raises(SpecError, match=rf"ops\[{index}\]: 'skip'"):
        check_architecture(Architecture(macro=macro, ops=ops, bits=(8,) * len(ops)))


def test_residual_joins_block_input_and_output() -> None:
    network = skeleton(Architecture(macro=DIGITS_SPACE, ops=("k3_e3",) * 5, bits=(8,) * 5))
    for i, layer in enumerate(network.layers):
        if layer.residual is not None:
            assert layer.name.endswith("project")
            assert network.tensors[layer.residual].channels == network.result(i).channels
    assert sum(layer.residual is not None for layer in network.layers) == sum(b.residual for b in blocks(DIGITS_SPACE))


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
        macro = POOLED.but(stages=(POOLED.stages[0].but(stride=stride), POOLED.stages[1]))
        skipping = Architecture(macro=macro, ops=(SKIP, SKIP, "k3_e1", SKIP), bits=(4,) * 4)
        with pytest.raises(SpecError, match=r"ops\[0\]: 'skip'"):
            check_architecture(skipping)


def test_a_pooled_stem_moves_nothing_else() -> None:
    """Slots of a space without it are those of ever; with it there is one more, behind the stem."""
    plain, pooled = slots(POOLED.but(stem_pool=None)), slots(POOLED)
    assert [slot.name for slot in plain[:4]] == ["stem", "block0_expand", "block0_depthwise", "block0_project"]
    assert [slot.name for slot in plain[-3:]] == ["header", "pool", "classifier"]
    assert (pooled[0], pooled[2:]) == (plain[0], plain[1:])
    assert (pooled[1].name, pooled[1].mixes, pooled[1].kind) == ("stem_pool", False, "depthwise")


def test_files_have_the_form_of_before_where_nothing_is_new() -> None:
    """Equal strides are one number, and a space without a pooled stem says nothing of one."""
    old = Architecture(macro=ODD.but(stem_stride=(2, 2)), ops=("k3_e1",) * 4, bits=(4,) * 4)
    raw = json.loads(architecture_json(old))
    assert (raw["macro"]["stem_stride"], [s["stride"] for s in raw["macro"]["stages"]]) == (2, [1, 2])
    assert "stem_pool" not in raw["macro"]
    assert old.macro == ODD
    assert StageSpace(channels=4, blocks=1, stride=(1, 1)) == StageSpace(channels=4, blocks=1, stride=1)
    new = json.loads(architecture_json(Architecture(macro=POOLED, ops=("k3_e1",) * 4, bits=(4,) * 4)))["macro"]
    assert (new["stem_stride"], new["stem_pool"]) == ([2, 1], {"kernel": 5, "stride": [1, 2]})
    assert [stage["stride"] for stage in new["stages"]] == [[1, 2], [2, 1]]


def _stage(**fields: object) -> dict[str, object]:
    return {"stages": [{"channels": 5, "blocks": 1, **fields}]}


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"stem_pool": {"kernel": 4}}, "stem_pool.kernel: input should be an odd number from 3 to 127 (found 4)"),
        ({"stem_pool": {"kernel": 1}}, "stem_pool.kernel: input should be an odd number from"),
        ({"stem_pool": {"kernel": 129}}, "stem_pool.kernel: input should be an odd number from"),
        ({"stem_pool": {"stride": [1, 5]}}, "stem_pool.stride: input should be a number from 1 to 4, or [rows, "
         "columns] of these; it is [1, 5]"),
        ({"stem_stride": 5}, "stem_stride: input should be a number from 1 to 4, or [rows, columns] of these (found"),
        (_stage(stride=(0, 1)), "stages[0].stride: input should be a number from 1 to 4, or"),
        ({"stem_channels": 8192}, "stem_channels: input should be less than or equal to 8191 (found 8192)"),
        ({"height": 4096}, "height: input should be less than or equal to 4095 (found 4096)"),
        ({"classes": 1}, "classes: input should be greater than or equal to 2 (found 1)"),
        ({"operators": ("k129_e1",)}, "operators: k129_e1: an operator is `skip`, k<kernel>_e<expansion> or"),
        (_stage(channels=8192), "stages[0].channels: input should be less than or equal to 8191"),
        (_stage(operators=(SKIP,)), "stages[0].operators: at least one operator must not be `skip`"),
        ({"stages": ()}, "stages: the number of entries is 0; legal: at least 1"),
    ],
)  # fmt: skip
def test_each_mistake_has_one_message(changes: dict[str, object], line: str) -> None:
    with pytest.raises(ValidationError) as caught:
        POOLED.but(**changes)
    (found,) = explain(caught.value, Macro)
    assert found.startswith(line)


def test_the_largest_values_are_legal() -> None:
    widest = StageSpace(channels=8191, blocks=1, stride=1, operators=("k127_e1",))
    macro = POOLED.but(stem_channels=8191, stem_pool=StemPoolSpace(kernel=127, stride=2), head_channels=8191,
                    stages=(widest,))  # fmt: skip
    network = skeleton(Architecture(macro=macro, ops=("k127_e1",), bits=(4,)))
    assert check_network(network) == ()
    assert {layer.name: layer.kernel_h for layer in network.layers}["block0_depthwise"] == 127


def test_bit_operations_follow_bits_and_macs() -> None:
    wide = skeleton(Architecture(macro=DIGITS_SPACE, ops=("k3_e3",) * 5, bits=(8,) * 5))
    narrow = skeleton(Architecture(macro=DIGITS_SPACE, ops=("k3_e3",) * 5, bits=(4,) * 5))
    change = bit_operations(wide) - bit_operations(narrow)
    inner = sum(wide.macs(i) for i, layer in enumerate(wide.layers) if layer.name.startswith("block"))
    assert change == inner * (64 - 16)


def test_all_problems_of_a_space_are_named_at_once() -> None:
    with pytest.raises(ValidationError) as caught:
        DIGITS_SPACE.but(classes=1, stem_stride=5, operators=("k4_e1", SKIP), bitwidths=(8, 1), stages=())
    found = {line.split(":")[0] for line in explain(caught.value, Macro)}
    assert found == {"classes", "stem_stride", "operators", "bitwidths[1]", "stages"}


def test_what_a_spec_asks_of_its_dataset_is_checked() -> None:
    """The section of a spec is legal by itself; with the images, the classes and the bitwidths it may not be."""
    sections = {field: getattr(DIGITS_SPACE, field) for field in NetworkFrame.model_fields}
    space = NetworkSpace(**{**sections, "stem_channels": 5, "operators": ("k3_e1_g2", "k3_e1")})
    with pytest.raises(SpecError) as caught:
        Macro.of(space, name="net", size=(8, 4096, 1), classes=1, bitwidths=(4, 8))
    assert [line.split(": ")[0] for line in str(caught.value).splitlines()[1:]] == [
        "  - network.width", "  - network.classes",
    ]  # fmt: skip
    with pytest.raises(SpecError, match=r"network.stages\[0\]: k3_e1_g2 need an even number of channels .* found 5;"):
        Macro.of(space, name="net", size=(8, 8, 1), classes=10, bitwidths=(4, 8))
    made = Macro.of(space.but(stem_channels=16), name="net", size=(8, 8, 1), classes=10, bitwidths=(2, 4, 6, 8))
    assert made == DIGITS_SPACE.but(operators=space.operators)
    assert hash(made) != hash(DIGITS_SPACE)


def test_damaged_architecture_is_refused() -> None:
    with pytest.raises(SpecError, match="damaged"):
        architecture_from_json('{"macro": 3}')
    text = architecture_json(Architecture(macro=POOLED, ops=("k3_e1",) * 4, bits=(4,) * 4)).replace("\n", "")
    for old, new, line in (
        (
            '"stem_stride": [   2,   1  ]',
            '"stem_stride": [1]',
            "macro.stem_stride: input should be a number from 1",
        ),
        (
            '"stem_stride": [   2,   1  ]',
            '"stem_stride": "2"',
            "macro.stem_stride: input should be a number from 1",
        ),
        (
            '"stem_stride": [   2,   1  ]',
            '"stem_stride": [2, 5]',
            "macro.stem_stride: input should be a number from 1",
        ),
        ('"kernel": 5', '"kernel": 6', "macro.stem_pool.kernel: input should be an odd number"),
    ):
        assert text.count(old) == 1
        with pytest.raises(SpecError, match=re.escape(line)):
            architecture_from_json(text.replace(old, new))
    with pytest.raises(SpecError, match="operators and"):
        check_architecture(Architecture(macro=DIGITS_SPACE, ops=("k3_e1",), bits=(8,)))


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
        macro = GROUPED.but(expand_at_one=expand_at_one, stages=(StageSpace(channels=6, blocks=1, stride=1),))
        layers = skeleton(Architecture(macro=macro, ops=(op,), bits=(8,))).layers
        return [layer.name for layer in layers if layer.name.startswith("block")]

    whole = ["block0_expand", "block0_depthwise", "block0_project"]
    assert names(True, "k3_e1") == names(True, "k3_e2_g2") == names(False, "k3_e2_g2") == whole
    assert names(False, "k3_e1") == whole[1:]


def test_odd_channels_refuse_groups_by_name() -> None:
    odd = StageSpace(channels=7, blocks=1)
    with pytest.raises(ValidationError, match=r"stages\[0\]: k3_e2_g2 need an even number of channels .* found 7;"):
        GROUPED.but(stages=(odd,))
    GROUPED.but(stages=(odd.but(operators=("k3_e1",)),))


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
    flat = DIGITS_SPACE.but(stem_channels=16, stages=(StageSpace(channels=16, blocks=3, stride=1),))
    nothing = skeleton(Architecture(macro=flat, ops=(SKIP,) * 3, bits=(2, 4, 8)))
    assert check_network(nothing) == ()
    assert [layer.name for layer in nothing.layers] == ["stem", "header", "pool", "classifier"]


@pytest.mark.parametrize(("per", "groups"), [("block", [0, 1, 2, 3]), ("stage", [0, 0, 1, 1]), ("network", [0] * 4)])
def test_bits_are_shared(per: BitsPer, groups: list[int]) -> None:
    stages = tuple(stage.but(bitwidths=None) for stage in GROUPED.stages)
    macro = GROUPED.but(bits_per=per, stages=stages)
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
    with pytest.raises(ValidationError, match="bits_per: network"):
        GROUPED.but(bits_per="network")


@pytest.mark.parametrize("bits", [1, *range(9, 16), 17])
def test_other_bits_are_refused_everywhere(bits: int) -> None:
    message = r"not a legal number of bits; legal: 2\.\.8, 16"
    for field in ("stem_bits", "head_bits", "classifier_bits"):
        with pytest.raises(ValidationError, match=rf"{field}\n  Value error, {message}"):
            GROUPED.but(**{field: bits})
    with pytest.raises(ValidationError, match=message):
        GROUPED.but(bitwidths=(8, bits))
    with pytest.raises(ValidationError, match=message):
        GROUPED.stages[0].but(bitwidths=(bits,))


@pytest.mark.parametrize("field", ["stem_bits", "head_bits", "classifier_bits", "block"])
def test_one_layer_of_16_bits_makes_all_codes_wide(field: str) -> None:
    """What the space allows alone changes nothing; a skipped block's bits neither."""
    macro = MACRO16.but(bitwidths=(8, 16))
    narrow = Architecture(macro=macro, ops=("k3_e3", SKIP), bits=(8, 16))
    assert skeleton(narrow) == skeleton(replace(narrow, macro=MACRO16.but(bitwidths=(8,)), bits=(8, 8)))
    assert {t.bits for t in skeleton(narrow).tensors} == {8}
    own, wide = {"block0_expand", "block0_depthwise", "block0_project"}, replace(narrow, bits=(16, 8))
    if field != "block":
        own = {field.replace("head", "header").removesuffix("_bits")}
        wide = replace(narrow, macro=macro.but(**{field: 16}))  # type: ignore[arg-type]
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
    assert len(blocks(macro)) == 22
    assert len(macro.all_operators) == 9
    assert macro.all_bitwidths == (4, 6, 8)
    assert [stage.stride for stage in macro.stages] == strides
    assert [stage.channels for stage in macro.stages] == [16, 24, 32, 64, 112, 184, 352]
    assert (macro.stem_stride, macro.head_channels, macro.stem_channels) == (stem_stride, head, 16)
    rng = np.random.default_rng(3)
    for _ in range(5):
        assert check_network(skeleton(_random(macro, rng))) == ()
