# SPDX-License-Identifier: Apache-2.0
"""Networks in TFLite files: what is built agrees with LiteRT's own kernels, what cannot be built is named."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import nba
from nba.core.errors import DesignError, NbaError
from nba.flow.artifacts import load_network
from nba.imports import tflite
from nba.imports.compare import LiteRTAgreement, compare_with_litert
from nba.imports.load import examine
from nba.imports.scales import average_multiplier
from nba.ir.check import check_network, check_weights
from nba.ir.reference import run
from tests.imports.files import RELU, RELU6, UNDILATED, Drawn, File, options, whole_network, window
from tests.unit.test_cli import cli


def drawn(seed: int, **more: str) -> Drawn:
    return Drawn(rng=np.random.default_rng(seed), **more)


def agreed(file: File, folder: Path, *, count: int = 2) -> LiteRTAgreement:
    """The comparison of a file that must be importable, with as many tests on the way as one can make."""
    examined = examine(file.write(folder / "model.tflite")).importable
    found = examined.found
    assert found.network is not None
    assert check_network(found.network) == ()
    assert check_weights(found.network, found.weights) == ()
    assert [number for number, _ in found.fates] == list(range(len(file.operators)))
    return compare_with_litert(examined.path, found, count=count, seed=3)


@pytest.mark.parametrize("seed", range(12))
def test_small_networks_agree_within_a_code(seed: int, tmp_path: Path) -> None:
    found = agreed(whole_network(seed), tmp_path)
    assert found.holds
    assert found.own_differing <= 0.03 * found.codes
    exact = [layer for layer in found.layers if "pool" in layer.name]
    assert exact
    assert all(layer.own_differing == 0 for layer in exact)


def test_a_difference_of_a_code_is_seen(tmp_path: Path) -> None:
    """The comparison can fail: another bias, another multiplier."""
    examined = examine(whole_network(1).write(tmp_path / "model.tflite")).importable
    weights = examined.found.weights
    for change in ({"bias": weights[0].bias + 300}, {"mult": weights[0].mult // 2}):
        wrong = (replace(weights[0], **change), *weights[1:])
        found = compare_with_litert(examined.path, replace(examined.found, weights=wrong), count=1, seed=0)
        assert found.layers[0].own_largest > 1
        assert not found.holds
        assert all(layer.own_largest <= 1 for layer in found.layers[1:])
        assert found.chained_differing > found.own_differing


CASES: dict[str, Callable[[Drawn], int]] = {
    "convolution, odd strides": lambda net: net.convolve(net.image(9, 14, 3), 5, (3, 2), (3, 4), relu=RELU),
    "convolution, valid": lambda net: net.convolve(net.image(9, 8, 4), 6, (3, 5), same=False, relu=RELU6),
    "by channel": lambda net: net.by_channel(net.image(8, 9, 7), (5, 3), (2, 1), relu=RELU6),
    "from one channel": lambda net: net.by_channel(net.image(9, 9, 1), (3, 3), (2, 2), multiplier=6),
    "addition": lambda net: net.join(
        net.convolve(x := net.image(6, 6, 4), 4, (1, 1)), net.convolve(x, 4, (1, 1)), relu=RELU
    ),
    "twice the same": lambda net: net.join(x := net.image(6, 6, 4), x),
    "average of windows": lambda net: net.pool("AVERAGE_POOL_2D", net.image(9, 9, 8), (3, 2), (2, 2)),
    "average behind which is padding": lambda net: net.convolve(
        net.pool("AVERAGE_POOL_2D", net.image(12, 12, 5), (2, 2), (2, 2)), 6
    ),
    "average and addition": lambda net: net.join(
        net.convolve(x := net.image(8, 8, 3), 3, (2, 2), (2, 2)), net.pool("AVERAGE_POOL_2D", x, (2, 2), (2, 2))
    ),
    "mean": lambda net: net.mean(net.image(7, 5, 9)),
    "largest, padded": lambda net: net.pool("MAX_POOL_2D", net.image(9, 9, 5), (3, 3), (2, 2), same=True),
    "largest of averages": lambda net: net.pool(
        "MAX_POOL_2D", net.pool("AVERAGE_POOL_2D", net.image(9, 9, 5), (3, 3), (1, 1)), (2, 2), (1, 1)
    ),
    "clamp, folded": lambda net: net.alone("RELU", net.convolve(net.image(6, 6, 3), 4), same_steps=True),
    "clamp, of its own": lambda net: net.alone("RELU6", net.image(6, 6, 3)),
    "padding": lambda net: net.convolve(net.pad(net.image(7, 8, 3), (0, 1), (1, 2)), 5, (3, 3), (2, 1), same=False),
    "padding, twice": lambda net: net.convolve(net.pad(net.image(7, 8, 3), (1, 0), (0, 1)), 5),
    "connected to a map": lambda net: net.connect(net.reshape(net.image(5, 4, 3), 1, 60), 7),
    "connected to a map itself": lambda net: net.connect(net.image(5, 4, 3), 7),
    "reshaped at the start": lambda net: net.convolve(net.reshape(net.image(60), 1, 5, 4, 3), 4),
}


@pytest.mark.parametrize("kind", ["int8", "uint8"])
@pytest.mark.parametrize("case", CASES)
def test_every_operator_agrees_within_a_code(case: str, kind: str, tmp_path: Path) -> None:
    for seed in range(3):
        net = drawn(seed, kind=kind)
        out = CASES[case](net)
        found = agreed(net.finish(out, softmax=False), tmp_path)
        assert found.holds
        if "average" in case or "largest" in case:
            pools = [layer for layer in found.layers if "pool" in layer.name]
            assert pools
            assert all(layer.own_differing == 0 for layer in pools)


@pytest.mark.parametrize(("low", "last"), [(-128, 202), (0, 92)])
def test_averages_are_exact_up_to_a_size(low: int, last: int) -> None:
    """Every sum of every window that small; the next size is not exact."""
    wrong = []
    for terms in range(1, last + 2):
        mult, shift = average_multiplier(terms)
        sums = np.arange(low * terms, (low + 255) * terms + 1)
        found = (sums * mult + (1 << (shift - 1))) >> shift
        wanted = np.where(sums > 0, (sums + terms // 2) // terms, -((-sums + terms // 2) // terms))
        wrong += [] if np.array_equal(np.clip(found, low, low + 255), wanted) else [terms]
    assert wrong == [last + 1]


@pytest.mark.parametrize("terms", [2, 3, 4, 9, 16, 25, 49, 64, 121])
def test_averages_round_as_tflite_does(terms: int, tmp_path: Path) -> None:
    """Every sum that codes may have, halves away from zero."""
    net = drawn(0)
    x = net.image(1, terms, 1)
    examined = examine(net.finish(net.pool("AVERAGE_POOL_2D", x, (1, terms), (1, 1)), softmax=False).write(
        tmp_path / "model.tflite"
    ))  # fmt: skip
    network, weights = examined.found.network, examined.found.weights
    assert network is not None
    sums = np.arange(-128 * terms, 127 * terms + 1)
    each, rest = np.divmod(sums, terms)
    codes = (each[:, None] + (np.arange(terms) < rest[:, None]))[:, None, :, None]
    assert codes.min() == -128
    found = run(network, weights, codes.astype(np.int16)).ravel()
    wanted = np.where(sums > 0, (sums + terms // 2) // terms, -((-sums + terms // 2) // terms))
    assert np.array_equal(found, wanted)


def test_constant_channels_have_no_weights(tmp_path: Path) -> None:
    """A channel whose scale leaves nothing of its sums, and whose bias, far beyond the accumulator, is 20 codes."""
    net = drawn(5)
    x = net.image(6, 6, 3)
    out = net.convolve(x, 6)
    weights, bias = net.file.operators[-1].inputs[1:]
    scales = net.file.tensors[weights].quantization.scale
    ends = [net.file.tensors[tensor].quantization.scale[0] for tensor in (x, out)]
    scales[2] = 20 * 2.0**-30 * ends[1] / ends[0]
    held = np.frombuffer(net.file.buffers[net.file.tensors[bias].buffer].data.tobytes(), np.int32).copy()
    held[2] = 2**30
    net.file.buffers[net.file.tensors[bias].buffer].data = np.frombuffer(held.tobytes(), np.uint8)
    found = examine(net.finish(out, softmax=False).write(tmp_path / "m.tflite")).importable.found
    assert found.folded == 1
    assert not found.weights[0].weight[2].any()
    assert found.weights[0].weight[3].any()
    assert agreed(net.file, tmp_path).holds


REFUSED: dict[str, tuple[Callable[[Drawn], int], str]] = {
    "an operator": (lambda net: net.alone("LOGISTIC", net.image(4, 4, 2)), "operator 0 (LOGISTIC): this operator is"),
    "dilation": (
        lambda net: net.file.add(
            "CONV_2D",
            (x := net.image(9, 9, 2), *net.weights((4, 3, 3, 2), 0, x, y := net.map((1, 9, 9, 4)))),
            y,
            options("Conv2DOptions", **window(), **UNDILATED | {"dilationHFactor": 2}),
        ),
        "operator 0 (CONV_2D): dilation 2x1; legal: 1x1",
    ),
    "activation": (
        lambda net: net.convolve(net.image(4, 4, 2), 3, relu=4),
        "operator 0 (CONV_2D): activation TANH; legal: NONE, RELU,",
    ),
    "depth multiplier": (
        lambda net: net.by_channel(net.image(4, 4, 2), multiplier=2),
        "operator 0 (DEPTHWISE_CONV_2D): 4 output channels of 2; legal:",
    ),
    "average over the edge": (
        lambda net: net.pool("AVERAGE_POOL_2D", net.image(5, 5, 2), (2, 2), (2, 2), same=True),
        "operator 0 (AVERAGE_POOL_2D): an average whose windows leave the map",
    ),
    "stride": (
        lambda net: net.convolve(net.image(25, 25, 2), 3, (3, 3), (6, 6)),
        "layer 0 ('conv_2d_0'): stride_h is 6; legal: 1..4",
    ),
    "padding of a pooling": (
        lambda net: net.pool("MAX_POOL_2D", net.pad(net.image(5, 5, 2), (1, 0), (0, 0)), (2, 2), (2, 2)),
        "operator 0 (PAD): 1, 0 rows and 0, 0 columns around a map that others",
    ),
    "reshaped within": (
        lambda net: net.convolve(net.reshape(net.convolve(net.image(4, 4, 2), 2), 1, 2, 8, 2), 2),
        "operator 1 (RESHAPE): within the network",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_built_is_named(case: str, tmp_path: Path) -> None:
    net = drawn(1)
    make, message = REFUSED[case]
    examined = examine(net.finish(make(net), softmax=False).write(tmp_path / "model.tflite"))
    assert any(line.startswith(message) for line in examined.found.problems), examined.found.problems
    with pytest.raises(DesignError, match="cannot be built"):
        _ = examined.importable


def test_all_reasons_at_once(tmp_path: Path) -> None:
    net = drawn(2)
    here = net.convolve(net.image(8, 8, 3), 4, relu=4)
    here = net.alone("LOGISTIC", here)
    here = net.by_channel(here, multiplier=2)
    path = net.finish(here).write(tmp_path / "model.tflite")
    assert [line.partition(":")[0] for line in examine(path).found.problems] == [
        "operator 0 (CONV_2D)", "operator 1 (LOGISTIC)", "operator 2 (DEPTHWISE_CONV_2D)",
    ]  # fmt: skip
    done = cli("check", path)
    assert done.returncode == 1
    assert done.stdout.count("cannot be built: ") == 3
    done = cli("import", path, "-o", tmp_path / "out")
    assert done.returncode == 2
    assert "activation TANH" in done.stderr
    assert "operator 2 (DEPTHWISE_CONV_2D)" in done.stderr
    assert not (tmp_path / "out").exists()


def test_float_and_half_float_files_are_refused_in_words(tmp_path: Path) -> None:
    file = File()
    file.inputs = [file.tensor((1, 4, 4, 2), "float32")]
    half = file.tensor((3, 1, 1, 2), "float16", data=np.ones((3, 1, 1, 2), np.float16))
    full = file.add("DEQUANTIZE", (half,), file.tensor((3, 1, 1, 2), "float32"))
    out = file.tensor((1, 4, 4, 3), "float32")
    chosen = options("Conv2DOptions", **window(), **UNDILATED)
    file.outputs = [file.add("CONV_2D", (file.inputs[0], full), out, chosen)]
    problems = examine(file.write(tmp_path / "m.tflite")).found.problems
    assert "the input: tensor 0 (t0) is of type float32; legal: int8, uint8, a fully integer network" in problems
    assert "operator 0 (DEQUANTIZE): weights are stored as FLOAT16; legal: a fully integer file, with int8" in str(
        problems
    )
    assert "operator 1 (CONV_2D): weights are computed; legal: weights of the file, as integers" in problems


def test_open_dimensions_are_refused_but_for_the_batch(tmp_path: Path) -> None:
    for signature, refused in (([-1, 6, 6, 3], False), ([1, -1, 6, 3], True)):
        net = drawn(3)
        file = net.finish(net.convolve(net.image(6, 6, 3), 4))
        file.tensors[0].shapeSignature = np.array(signature, np.int32)
        problems = examine(file.write(tmp_path / "m.tflite")).found.problems
        assert any("open dimensions" in line for line in problems) == refused


def test_ends_are_left_to_the_host(tmp_path: Path) -> None:
    net = drawn(4)
    file = net.file
    file.inputs = [file.tensor((1, 3, 6, 5), "float32")]
    x = net.file.add("QUANTIZE", (0,), net.map((1, 3, 6, 5)))
    order = file.tensor((4,), "int32", data=np.array([0, 2, 3, 1], np.int32))
    x = file.add("TRANSPOSE", (x, order), net.map((1, 6, 5, 3), like=x), options("TransposeOptions"))
    out = net.convolve(x, 4, (6, 5), same=False)
    out = net.reshape(out, 1, 4)
    file.outputs = [file.add("DEQUANTIZE", (out,), file.tensor((1, 4), "float32"))]
    found = agreed(file, tmp_path)
    assert found.holds
    assert len(found.layers) == 1
    graph = examine(tmp_path / "model.tflite").graph
    assert [text.partition(" of ")[0] for text in graph.before] == ["QUANTIZE", "TRANSPOSE"]
    assert [text.partition(" of ")[0] for text in graph.after] == ["RESHAPE", "DEQUANTIZE"]


def test_import_leaves_what_map_takes(tmp_path: Path) -> None:
    path = whole_network(2).write(tmp_path / "m.tflite")
    for _ in range(2):
        done = cli("import", path, "-o", tmp_path / "out", "--inputs", "2")
        assert done.returncode == 0, done.stderr
        assert "of codes differ on LiteRT's inputs, by at most" in done.stdout
    network, weights = load_network(tmp_path / "out")
    again, same = nba.load(path)
    assert network == again
    assert all(
        np.array_equal(getattr(a, field.name), getattr(b, field.name))
        for a, b in zip(weights, same, strict=True)
        for field in dataclasses.fields(a)
    )
    part = json.loads((tmp_path / "out" / "metrics-part.json").read_text())["imported"]
    assert part["holds"]
    assert part["operators"] == len(examine(path).source.nodes)
    assert len(part["by_layer"]) == part["layers"] == len(network.layers)


def test_check_says_what_becomes_of_every_operator(tmp_path: Path) -> None:
    path = whole_network(4).write(tmp_path / "m.tflite")
    done = cli("check", path)
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert [line.split()[1] for line in lines if line.split()[0].isdigit()] == [
        node.title for node in examine(path).source.nodes
    ]
    assert any(line.endswith("left to the host") and "SOFTMAX" in line for line in lines)
    assert "11 layers" in lines[-1] or "10 layers" in lines[-1]


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "not TFL3"), (b"\0" * 40, "not TFL3"), (b"\x08\0\0\0TFL3" + b"\xff" * 60, "damaged, or no TFLite file")],
)
def test_other_files_are_refused_in_words(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "m.tflite").write_bytes(content)
    for command in (("check",), ("import", "-o", tmp_path / "out")):
        done = cli(*command, tmp_path / "m.tflite")
        assert done.returncode == 2
        assert message in done.stderr
    assert "no such file" in cli("check", tmp_path / "none.tflite").stderr.lower()
    (tmp_path / "m.onnx").write_bytes(b"")
    assert "not a kind of file that can be imported; legal: .tflite" in cli("check", tmp_path / "m.onnx").stderr


def test_the_weights_of_a_file_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tflite, "MAX_ELEMENTS", 100)
    with pytest.raises(NbaError, match="read more than 100 weights"):
        examine(whole_network(0).write(tmp_path / "m.tflite"))
    monkeypatch.setattr(tflite, "MAX_FILE_BYTES", 100)
    with pytest.raises(NbaError, match="legal: at most 100"):
        examine(tmp_path / "m.tflite")
