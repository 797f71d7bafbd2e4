# SPDX-License-Identifier: Apache-2.0
"""The table of operators: every row against a slow definition of its own, and that no other file knows one by name."""

from __future__ import annotations

import io
import itertools
import re
import tokenize
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from nba.core.sources import PACKAGE
from nba.ir.accelerator import Chunk
from nba.ir.check import check_network, check_weights
from nba.ir.network import Layer, LayerWeights, Network, Tensor, weight_dtype, weight_shape
from nba.ir.operators import (
    KINDS,
    NEUTRAL,
    OPERATORS,
    SUM,
    WINDOW,
    Kind,
    Op,
    Operator,
    Reduce,
    engine_kind,
    second_group,
)
from nba.ir.reference import accumulate
from nba.zoo.weights import random_codes

ROOT = PACKAGE.parent
PACKAGES = ("nba/ir", "nba/learn", "nba/loopnest", "nba/zoo", "nba/emit", "nba/report", "templates/report")
MAY_NAME = {"nba/ir/operators.py", "nba/learn/space/layers.py", "nba/zoo/networks.py"}
"""Files of PACKAGES that may name a kind of layer: the table, the layers that the network space is made of, and those
of published networks, which have names."""


def network_of(op: Op, **changes: object) -> Network:
    """One layer of 6 input channels, signed, with a zero point and nested bits."""
    layer = Layer(
        name="it", op=op, input=0, kernel_h=3, kernel_w=2, stride_h=2, stride_w=2, pad_top=1, pad_left=1, act_bits=5,
        weight_bits=3,
        weight_store_bits=6, shift=1, q_min=0, q_max=255,
    )  # fmt: skip
    layer = replace(layer, **changes)  # type: ignore[arg-type]
    source = Tensor(name="in", height=5, width=4, channels=6, signed=True, zero_point=-24)
    outputs = 8 if OPERATORS[op].mixes else 6
    out = Tensor(name="out", height=3, width=2, channels=outputs, signed=False)
    return Network(name="one", tensors=(source, out), layers=(layer,))


def nested(code: int, from_bits: int, to_bits: int) -> int:
    """A signed code that sees fewer bits."""
    drop = from_bits - to_bits
    return code if drop == 0 else min((code + 2 ** (drop - 1)) >> drop, 2 ** (to_bits - 1) - 1)


def window(network: Network, image: np.ndarray, y: int, x: int, n: int, outside: int) -> list[int]:
    """Codes of channel n that output (y, x) sees, row by row."""
    layer, source = network.layers[0], network.tensors[0]
    found = []
    for ky, kx in itertools.product(range(layer.kernel_h), range(layer.kernel_w)):
        iy, ix = y * layer.stride_h - layer.pad_top + ky, x * layer.stride_w - layer.pad_left + kx
        inside = 0 <= iy < source.height and 0 <= ix < source.width
        found.append(nested(int(image[iy, ix, n]) if inside else outside, source.bits, layer.act_bits))
    return found


def weights_at(network: Network, weight: np.ndarray, *place: int) -> list[int]:
    """Nested weights of an output channel (and an input channel), row by row."""
    layer = network.layers[0]
    return [nested(int(w), layer.weight_store_bits, layer.weight_bits) for w in weight[place].ravel()]


def slow_dense(network: Network, image: np.ndarray, weight: np.ndarray, y: int, x: int, m: int) -> int:
    layer, n_in, n_out = network.layers[0], network.tensors[0].channels, network.tensors[1].channels
    mine = list(range(n_in))
    if layer.groups == 2:
        turned = (m + layer.rotate) % n_out
        mine = mine[: n_in // 2] if turned < n_out // 2 else mine[n_in // 2 :]
    total = 0
    for k, n in enumerate(mine):
        codes, kernel = window(network, image, y, x, n, -24), weights_at(network, weight, m, k)
        total += sum(w * a for w, a in zip(kernel, codes, strict=True))
    return total


def slow_depthwise(network: Network, image: np.ndarray, weight: np.ndarray, y: int, x: int, m: int) -> int:
    codes, kernel = window(network, image, y, x, m, -24), weights_at(network, weight, m)
    return sum(w * a for w, a in zip(kernel, codes, strict=True))


def slow_avgpool(network: Network, image: np.ndarray, weight: np.ndarray, y: int, x: int, m: int) -> int:
    assert weight.shape == (0,)
    return sum(window(network, image, y, x, m, -24))


def slow_maxpool(network: Network, image: np.ndarray, weight: np.ndarray, y: int, x: int, m: int) -> int:
    assert weight.shape == (0,)
    return max(window(network, image, y, x, m, -128))


Slow = Callable[[Network, np.ndarray, np.ndarray, int, int, int], int]
SLOW: dict[str, tuple[Slow, tuple[int, ...]]] = {
    "dense": (slow_dense, (8, 6, 3, 2)),
    "depthwise": (slow_depthwise, (6, 3, 2)),
    "avgpool": (slow_avgpool, (0,)),
    "maxpool": (slow_maxpool, (0,)),
}
"""A slow definition of every operator, and the shape of its weights in `network_of`."""


def found_and_wanted(network: Network, slow: Slow, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Accumulators by the reference and by a slow definition, for two random images."""
    rng = np.random.default_rng(seed)
    layer, out = network.layers[0], network.tensors[1]
    high = 1 << (layer.weight_store_bits - 1)
    weight = rng.integers(-high, high, weight_shape(network, 0)).astype(weight_dtype(layer))
    empty = np.zeros(out.channels, np.int32)
    x = random_codes(rng, network.tensors[0], 2)
    found = accumulate(network, (LayerWeights(weight=weight, bias=empty, mult=empty),), 0, x)
    places = itertools.product(x, range(out.height), range(out.width), range(out.channels))
    wanted = [slow(network, image, weight, y, column, m) for image, y, column, m in places]
    return found, np.array(wanted).reshape(found.shape)


def test_the_table_is_complete() -> None:
    assert tuple(OPERATORS) == get_args(Op)
    assert get_args(Kind) == KINDS
    assert set(SLOW) == set(OPERATORS)
    assert all(name == row.op for name, row in OPERATORS.items())
    for row in OPERATORS.values():
        assert set(row.attributes) <= set(NEUTRAL)
        chunk = Chunk(kind=row.kind, pm=4, pn=2, pq=1, jobs=())
        assert chunk.mixes == row.mixes
        assert row.kind == engine_kind(row.mixes)


@pytest.mark.parametrize("op", get_args(Op))
@pytest.mark.parametrize("seed", range(3))
def test_accumulates_as_its_slow_definition(op: Op, seed: int) -> None:
    grouped = ({}, {"groups": 2}, {"groups": 2, "rotate": 2}, {"groups": 2, "rotate": 5})
    for attributes in grouped if "groups" in OPERATORS[op].attributes else ({},):
        for h, w, pad in ((1, 1, 1), (2, 2, 1), (2, 1, 0), (1, 2, 1)):
            network = network_of(op, stride_h=h, stride_w=w, pad_top=pad, **attributes)
            assert check_network(network) == ()
            found, wanted = found_and_wanted(network, SLOW[op][0], seed)
            assert found.dtype == np.int64
            assert np.array_equal(found, wanted)
            assert len(np.unique(found)) > (20 if OPERATORS[op].reduce.grows else 5)


@pytest.mark.parametrize("op", get_args(Op))
def test_weight_shapes(op: Op) -> None:
    network, shape = network_of(op), SLOW[op][1]
    assert weight_shape(network, 0) == shape
    weights = LayerWeights(
        weight=np.zeros(shape, np.int8), bias=np.zeros(network.tensors[1].channels, np.int32),
        mult=np.zeros(network.tensors[1].channels, np.int32),
    )  # fmt: skip
    assert check_weights(network, (weights,)) == ()
    assert OPERATORS[op].stores_weights == (shape != (0,))
    if "groups" in OPERATORS[op].attributes:
        assert weight_shape(network_of(op, groups=2), 0) == (8, 3, 3, 2)


@pytest.mark.parametrize("op", get_args(Op))
@pytest.mark.parametrize("kernel_h", [2, 3])
def test_the_accumulator_is_as_wide_as_the_largest_sum_needs(op: Op, kernel_h: int) -> None:
    """All codes and weights at their ends: the width holds the sum, and one bit less would not."""
    row = OPERATORS[op]
    network = network_of(
        op, kernel_h=kernel_h, pad_top=0, pad_left=0, stride_h=1, stride_w=1, act_bits=8, weight_bits=6
    )
    x = np.full((1, 5, 4, 6), -128, np.int16)
    channels = network.tensors[1].channels
    weight = np.full(weight_shape(network, 0), -32, np.int8)
    empty = np.zeros(channels, np.int32)
    acc = accumulate(network, (LayerWeights(weight=weight, bias=empty, mult=empty),), 0, x)
    products = kernel_h * 2 * (6 if row.mixes else 1)
    largest = (products if row.reduce.grows else 1) * 128 * (32 if row.stores_weights else 1)
    assert set(np.abs(acc).ravel().tolist()) == {largest}
    assert 2 ** (network.acc_bits(0) - 2) <= largest < 2 ** (network.acc_bits(0) - 1)
    assert network.reduction(0) == products
    assert network.products(0) == products * 3 * 2 * channels
    assert network.macs(0) == (0 if op == "maxpool" else products * 3 * 2 * channels)


@pytest.mark.parametrize("op", get_args(Op))
def test_bits_of_the_weights(op: Op) -> None:
    """What the multiplier, the memory and the count of operations see."""
    row, layer = OPERATORS[op], network_of(op).layers[0]
    seen = (row.operand_bits(layer), row.memory_bits(layer), row.counted_bits(layer))
    assert seen == ((3, 6, 3) if row.stores_weights else (2, 2, 1))


@pytest.mark.parametrize("op", get_args(Op))
def test_loops(op: Op) -> None:
    row, layer = OPERATORS[op], network_of(op).layers[0]
    wanted = {"dense": (1, 8, 6), "depthwise": (6, 1, 1), "avgpool": None, "maxpool": None}[op]
    outputs = 8 if row.mixes else 6
    assert row.loops(layer, 6, outputs) == wanted
    if "groups" in row.attributes:
        assert row.loops(replace(layer, groups=2), 6, 8) == (2, 4, 3)


@pytest.mark.parametrize("op", get_args(Op))
def test_what_an_operator_has_not_is_refused_by_name(op: Op) -> None:
    row = OPERATORS[op]
    network = network_of(op)
    for name, neutral in NEUTRAL.items():
        wrong = replace(network, layers=(replace(network.layers[0], **{name: 2}),))  # type: ignore[arg-type]
        line = f"layer 0 ('it'): {op} with {name} 2; legal: {neutral} (others for "
        assert (name in row.attributes) != any(line in found for found in check_network(wrong)), name
    wider = replace(network, tensors=(network.tensors[0], replace(network.tensors[1], channels=7)))
    line = f"layer 0 ('it'): {op} from 6 to 7 channels; legal: equal"
    assert row.mixes != (line in check_network(wider))


@pytest.mark.parametrize("outputs", [2, 8, 14])
def test_halves_of_the_outputs(outputs: int) -> None:
    for rotate in range(outputs):
        found = second_group(outputs, rotate)
        assert found.sum() == outputs // 2
        assert found.tolist() == [(m + rotate) % outputs >= outputs // 2 for m in range(outputs)]


LEAST = Reduce(name="min", combine=np.minimum, grows=False, pad_code=lambda source: source.code_max)


def test_a_row_is_all_that_the_reference_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A row that takes the smallest code of a window: legality, width, weights and semantics follow from its facts."""
    row = Operator(
        op="least",  # type: ignore[arg-type]
        title="least", product="a[m]", attributes=WINDOW, mixes=False, weight_axes=(), reduce=LEAST,
    )  # fmt: skip
    monkeypatch.setitem(OPERATORS, "least", row)

    def slow(network: Network, image: np.ndarray, weight: np.ndarray, y: int, x: int, m: int) -> int:
        return min(window(network, image, y, x, m, 127))

    for pad in (0, 1):
        network = network_of("least", pad_top=pad)  # type: ignore[arg-type]
        assert check_network(network) == ()
        found, wanted = found_and_wanted(network, slow, pad)
        assert np.array_equal(found, wanted)
        assert network.acc_bits(0) == 6
    assert row.definition == "min over ky, kx of a[m]"
    assert SUM.pad_code(network.tensors[0]) == -24


def documented() -> Iterator[str]:
    """The lines of the table in docs/numerics.md."""
    for row in OPERATORS.values():
        weights = " x ".join(row.weight_axes) or "none: all are 1"
        yield f"| `{row.op}` | {row.title} | {', '.join(row.attributes)} | {weights} | {row.definition} |"


def test_the_documented_table_is_this_one() -> None:
    text = (ROOT / "docs" / "numerics.md").read_text(encoding="utf-8")
    head = "| operator | meaning | attributes | stored weights | accumulator |\n|---|---|---|---|---|\n"
    assert head + "\n".join(documented()) + "\n\n" in text


def names_a_kind(path: Path) -> bool:
    """Whether the code of a file, without its comments and docstrings, has the name of an operator or an engine."""
    kind = re.compile("|".join({*OPERATORS, *KINDS}), re.IGNORECASE)
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".py":
        return bool(kind.search(re.sub(r"\{#.*?#\}", "", text, flags=re.DOTALL)))
    before = tokenize.NEWLINE
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type in (tokenize.COMMENT, tokenize.NL):
            continue
        starts = before in (tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT)
        if not (token.type == tokenize.STRING and starts) and kind.search(token.string):
            return True
        before = token.type
    return False


def naming() -> set[str]:
    """The files of PACKAGES that name a kind of layer."""
    suffixes = (".py", ".j2", ".html", ".css")
    files = (path for name in PACKAGES for path in (ROOT / name).rglob("*") if path.suffix in suffixes)
    return {path.relative_to(ROOT).as_posix() for path in files if names_a_kind(path)}


def test_no_other_file_names_a_kind_of_layer() -> None:
    assert naming() == MAY_NAME


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("a.py", "x = layer.op == 'avgpool'\n", True),
        ("a.py", "def depthwise() -> None:\n    pass\n", True),
        ("a.py", "x = f'block.{1}_depthwise'\n", True),
        ("a.py", '"""A dense layer."""\n\n# an avgpool\ndef f() -> None:\n    """Dense."""\n    return\n', False),
        ("a.j2", "{{ chunk.pn if chunk.kind == 'dense' }}", True),
        ("a.j2", "{# dense #}{{ chunk.kind }}", False),
    ],
)
def test_the_count_can_fail(tmp_path: Path, name: str, text: str, found: bool) -> None:
    (tmp_path / name).write_text(text)
    assert names_a_kind(tmp_path / name) == found
