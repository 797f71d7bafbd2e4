# SPDX-License-Identifier: Apache-2.0
"""Graphs as integer networks: the file's own weights, and multipliers and shifts for its scales.

Nothing is quantised anew: weights and biases stay what they are, less the zero point of the weights, and a bias takes
up the zero point of the input. `docs/import.md` says how each operator becomes a layer, and where the arithmetic of
the source differs from ours.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field, replace

import numpy as np

from nba.imports.graph import (
    CODES,
    Add,
    Average,
    Connect,
    Convert,
    Convolve,
    Graph,
    Largest,
    Limit,
    Node,
    Patch,
    Range,
    Reshape,
    Softmax,
    Surround,
    Transpose,
    Unknown,
    Value,
)
from nba.imports.scales import average_multiplier, constant_codes, multipliers, with_constants
from nba.ir.check import check_network, check_weights
from nba.ir.network import MASTER_BITS, MAX_SHIFT, WIDE_BITS, Layer, LayerWeights, Network, Tensor, Weights
from nba.ir.network_rules import BIAS_BITS, MAX_CHANNELS, MAX_DIM
from nba.ir.operators import OPERATORS, Op


def _row(*, mixes: bool, weights: bool, selects: bool) -> Op:
    """The operator of the integer network with these properties."""
    (found,) = (
        row.op
        for row in OPERATORS.values()
        if (row.mixes, row.stores_weights, row.selects) == (mixes, weights, selects)
    )
    return found


_MIXING = _row(mixes=True, weights=True, selects=False)
_BY_CHANNEL = _row(mixes=False, weights=True, selects=False)
_SUMMING = _row(mixes=False, weights=False, selects=False)
_SELECTING = _row(mixes=False, weights=False, selects=True)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Lowered:
    """What became of a graph. network, weights: None if `problems` says why not. sources: the number of the graph's
    value that each tensor of the network is. fates: what became of every operator of the file, in its order. folded:
    output channels that are constant whatever the input is, so that their weights are left out."""

    network: Network | None
    weights: Weights
    sources: tuple[int, ...]
    problems: tuple[str, ...]
    fates: tuple[tuple[int, str], ...]
    folded: int


class _Refused(Exception):
    """Why an operator becomes no layer."""


@dataclass(kw_only=True, slots=True)
class _Lowering:
    """Tensors and layers so far. numbers: those of tensors, by value. zeros: the code that a tensor's padding inserts,
    where it is not that of real zero. bounds: the codes that the layers let through."""

    graph: Graph
    tensors: list[Tensor] = field(default_factory=list)
    layers: list[Layer] = field(default_factory=list)
    weights: list[LayerWeights] = field(default_factory=list)
    numbers: dict[int, int] = field(default_factory=dict)
    sources: list[int] = field(default_factory=list)
    fates: list[tuple[int, str]] = field(default_factory=list)
    bounds: dict[int, tuple[int, int]] = field(default_factory=dict)
    folded: int = 0

    def map(self, value: int) -> tuple[Value, tuple[int, int, int]]:
        """A feature map, and its rows, columns and channels. Raises _Refused for what is none."""
        found = self.graph.values[value]
        what = f"tensor {value} ({found.name[:80]})"
        if found.kind not in CODES:
            raise _Refused(f"{what} is of type {found.kind}; legal: {', '.join(CODES)}, a fully integer network")
        if found.dynamic:
            raise _Refused(f"{what} has open dimensions beside that of the batch; legal: fixed shapes")
        if found.map is None:
            raise _Refused(f"{what} has the shape {list(found.shape)}; legal: one sample, [1, rows, columns, channels]")
        height, width, channels = found.map
        if not (1 <= height <= MAX_DIM and 1 <= width <= MAX_DIM and 1 <= channels <= MAX_CHANNELS):
            raise _Refused(
                f"{what} has the shape {list(found.shape)}; legal: up to {MAX_DIM}, {MAX_DIM}, {MAX_CHANNELS}"
            )
        steps = found.steps
        if steps is None or not steps.single:
            raise _Refused(f"{what} has {0 if steps is None else steps.scales.size} scales; legal: one")
        if not (math.isfinite(steps.scale) and 1e-30 < steps.scale < 1e30):
            raise _Refused(f"{what} has the scale {steps.scale:g}; legal: 1e-30..1e30")
        low, high = CODES[found.kind]
        if not low <= steps.zero_point <= high:
            raise _Refused(f"{what} has the zero point {steps.zero_point}; legal: {low}..{high}")
        return found, found.map

    def stored_zero(self, value: int) -> int:
        """The zero point of the tensor of the network."""
        number = self.numbers.get(value)
        return self.zero(value) if number is None else self.tensors[number].zero_point

    def zero(self, value: int) -> int:
        """The code of real zero."""
        steps = self.graph.values[value].steps
        assert steps is not None
        return steps.zero_point

    def scale(self, value: int) -> float:
        """The real value of one code."""
        steps = self.graph.values[value].steps
        assert steps is not None
        return steps.scale

    def tensor(self, value: int, name: str, *, zero: int | None = None) -> Tensor:
        """The tensor of the network for a feature map; `zero` is its zero point, if not that of the file."""
        found, (height, width, channels) = self.map(value)
        return Tensor(
            name=name, height=height, width=width, channels=channels, signed=found.kind == "int8",
            zero_point=self.zero(value) if zero is None else zero, scale=self.scale(value),
        )  # fmt: skip

    def begin(self) -> None:
        """The input."""
        source = self.graph.inputs[0]
        self.tensors.append(self.tensor(source, "input"))
        self._number(source)
        self.bounds[source] = CODES[self.graph.values[source].kind]

    def _number(self, value: int) -> None:
        self.numbers[value] = len(self.tensors) - 1
        self.sources.append(value)

    def codes(self, value: int, clamp: Range) -> tuple[int, int]:
        """The least and the largest code of a clamped map."""
        low, high = CODES[self.map(value)[0].kind]

        def code(real: float | None, otherwise: int) -> int:
            if real is None:
                return otherwise
            steps = np.float32(real) / np.float32(self.scale(value))
            return self.zero(value) + int(min(max(math.floor(abs(steps) + 0.5) * math.copysign(1, steps), -512), 512))

        least, most = max(low, code(clamp.low, low)), min(high, code(clamp.high, high))
        if least > most:
            raise _Refused(f"its activation lets no code of its output through ({least}..{most})")
        return least, most

    def add(self, node: Node, layer: Layer, out: Tensor, weights: LayerWeights) -> None:
        """A layer, after all checks."""
        self.layers.append(layer)
        self.weights.append(weights)
        self.tensors.append(out)
        self._number(node.output)
        self.bounds[node.output] = (layer.q_min, layer.q_max)
        self.fates.append((node.number, f"layer {len(self.layers) - 1}"))

    def layer(self, node: Node, op: Op, patch: Patch, codes: tuple[int, int]) -> Layer:
        """A layer without requantisation; where there is one row or column of results, its stride does not matter."""
        source, out = self.map(node.inputs[0])[1], self.map(node.output)[1]
        rows = patch.results(source[0], source[1])
        if rows != out[:2]:
            raise _Refused(
                f"{rows[0]}x{rows[1]} results by its attributes, {out[0]}x{out[1]} by the shape of its output"
            )
        number, real = self.numbers.get(node.inputs[0], 0), self.zero(node.inputs[0])
        pads = patch.pads and op != _SELECTING and self.stored_zero(node.inputs[0]) != real
        return Layer(
            name=f"{node.title.lower()}_{node.number}", op=op, input=number, kernel_h=patch.kernel_h,
            kernel_w=patch.kernel_w, stride_h=1 if out[0] == 1 else patch.stride_h,
            stride_w=1 if out[1] == 1 else patch.stride_w, pad_top=patch.top, pad_left=patch.left, shift=1,
            q_min=codes[0], q_max=codes[1], pad_codes=(real,) * source[2] if pads else None,
        )  # fmt: skip


def _convolve(state: _Lowering, node: Node, operation: Convolve) -> None:
    source, (_, _, inputs) = state.map(node.inputs[0])
    outputs = state.map(node.output)[1][2]
    taps = _taps(state.graph.values[node.inputs[1]], inputs, outputs, operation)
    wide = int(taps.min(initial=0)) < -128 or int(taps.max(initial=0)) > 127
    steps = state.graph.values[node.inputs[1]].steps
    assert steps is not None
    factors = np.broadcast_to(state.scale(node.inputs[0]) * steps.scales / state.scale(node.output), (outputs,))
    if not (np.isfinite(factors).all() and (factors > 0).all()):
        raise _Refused("its scales are not all finite and above 0")
    sums = taps.reshape(outputs, -1).sum(axis=1, dtype=np.int64)
    bias = _bias(state, node, outputs) - state.zero(node.inputs[0]) * sums
    layer = state.layer(
        node, _BY_CHANNEL if operation.per_channel else _MIXING, operation.patch,
        state.codes(node.output, operation.clamp),
    )  # fmt: skip
    bits = WIDE_BITS if wide else MASTER_BITS
    layer = replace(layer, weight_bits=bits, weight_store_bits=bits)
    target = state.tensor(node.output, layer.name)
    read = state.tensor(node.inputs[0], "input")
    acc_bits = layer.operator.accumulator_bits(layer, read)
    low, high = state.bounds.get(node.inputs[0], CODES[source.kind])
    low, high = min(low, state.zero(node.inputs[0])), max(high, state.zero(node.inputs[0]))
    try:
        constants = constant_codes(taps, bias, factors, layer, target, (low, high))
        steady = constants >= layer.q_min
        mult, shifts = multipliers(factors[~steady])
    except ValueError as err:
        raise _Refused(f"scales that differ too much from those of its output: {err}") from None
    ends = np.where(steady, constants - target.zero_point, 0)
    mult, shifts, bias = with_constants(mult, shifts, bias, ends, steady)
    taps = np.where(steady.reshape(-1, *[1] * (taps.ndim - 1)), 0, taps)
    limit = 1 << (min(BIAS_BITS, acc_bits) - 1)
    if bias.size and not -limit <= int(bias.min()) <= int(bias.max()) < limit:
        raise _Refused(f"a bias of {bias[np.argmax(np.abs(bias))]} with the zero point; legal: {-limit}..{limit - 1}")
    state.folded += int(steady.sum())
    shift = int(shifts.min(initial=MAX_SHIFT))
    same = int(shifts.max(initial=shift)) == shift
    layer = replace(layer, shift=shift, shifts=None if same else tuple(int(s) for s in shifts))
    stored = taps.astype(np.int16 if wide else np.int8)
    state.add(node, layer, target, LayerWeights(weight=stored, bias=_int32(bias), mult=_int32(mult)))


def _int32(values: np.ndarray) -> np.ndarray:
    return values.astype(np.int32)


def _taps(weights: Value, inputs: int, outputs: int, operation: Convolve) -> np.ndarray:
    """The weights less their zero point, int32."""
    patch = operation.patch
    wanted = (outputs, *(() if operation.per_channel else (inputs,)), patch.kernel_h, patch.kernel_w)
    steps = weights.steps
    if weights.constant is None or weights.kind not in CODES or steps is None:
        raise _Refused(f"weights of type {weights.kind}; legal: {', '.join(CODES)} with scales")
    if weights.shape != wanted:
        raise _Refused(f"weights of shape {list(weights.shape)}; legal: {list(wanted)}")
    low, high = CODES[weights.kind]
    if not low <= int(steps.zero_points.min()) <= int(steps.zero_points.max()) <= high:
        ends = f"{steps.zero_points.min()}..{steps.zero_points.max()}"
        raise _Refused(f"zero points of the weights of {ends}; legal: {low}..{high}")
    if weights.kind == "int8" and steps.zero_points.any():
        raise _Refused(f"a zero point of the weights of {steps.zero_points.max()}; legal: 0 where they are int8")
    points = steps.zero_points.reshape(-1, *[1] * (len(wanted) - 1)).astype(np.int32)
    return weights.constant.astype(np.int32) - points


def _bias(state: _Lowering, node: Node, outputs: int) -> np.ndarray:
    if len(node.inputs) < 3:
        return np.zeros(outputs, np.int64)
    value = state.graph.values[node.inputs[2]]
    if value.constant is None or value.kind != "int32" or value.shape != (outputs,):
        raise _Refused(
            f"a bias of type {value.kind} and shape {list(value.shape)}; legal: int32 [{outputs}] of the file"
        )
    return value.constant.astype(np.int64)


def _average(state: _Lowering, node: Node, operation: Average) -> None:
    source, (_, _, channels) = state.map(node.inputs[0])
    out, _ = state.map(node.output)
    terms = operation.patch.kernel_h * operation.patch.kernel_w
    layer = state.layer(node, _SUMMING, operation.patch, state.codes(node.output, operation.clamp))
    if not operation.of_codes:
        factor = state.scale(node.inputs[0]) / (state.scale(node.output) * terms)
        _scaled(state, node, layer, np.full(channels, factor), bias=-terms * state.zero(node.inputs[0]))
        return
    if not source.like(out):
        raise _Refused("scale and zero point of its input and its output differ; legal: equal ones")
    one, shift = average_multiplier(terms)
    mult = np.full(channels, one, np.int64)
    target = state.tensor(node.output, layer.name, zero=0)
    empty = np.zeros(channels, np.int32)
    weights = LayerWeights(weight=np.zeros((0,), np.int8), bias=empty, mult=_int32(mult))
    state.add(node, replace(layer, shift=shift), target, weights)


def _scaled(state: _Lowering, node: Node, layer: Layer, factors: np.ndarray, bias: int) -> None:
    """A layer without weights: the sum of its window and `bias`, times `factors`."""
    try:
        mult, shifts = multipliers(factors)
    except ValueError as err:
        raise _Refused(f"scales that differ too much from those of its output: {err}") from None
    weights = LayerWeights(
        weight=np.zeros((0,), np.int8), bias=np.full(factors.shape, bias, np.int32), mult=_int32(mult)
    )
    state.add(node, replace(layer, shift=int(shifts.min())), state.tensor(node.output, layer.name), weights)


def _largest(state: _Lowering, node: Node, operation: Largest) -> None:
    source, (_, _, channels) = state.map(node.inputs[0])
    out, _ = state.map(node.output)
    if not source.like(out):
        raise _Refused("scale and zero point of its input and its output differ; legal: equal ones")
    layer = state.layer(node, _SELECTING, operation.patch, state.codes(node.output, operation.clamp))
    zero = state.stored_zero(node.inputs[0])
    weights = LayerWeights(
        weight=np.zeros((0,), np.int8), bias=np.full(channels, -zero, np.int32), mult=np.full(channels, 2, np.int32)
    )
    state.add(node, replace(layer, shift=1), state.tensor(node.output, layer.name, zero=zero), weights)


def _limit(state: _Lowering, node: Node, operation: Limit) -> None:
    """The codes of another scale, clamped: the sum of windows of one code."""
    layer = state.layer(node, _SUMMING, Patch(kernel_h=1, kernel_w=1), state.codes(node.output, operation.clamp))
    channels = state.map(node.output)[1][2]
    factor = state.scale(node.inputs[0]) / state.scale(node.output)
    _scaled(state, node, layer, np.full(channels, factor), bias=-state.zero(node.inputs[0]))


def _add(state: _Lowering, node: Node, operation: Add) -> None:
    """One map as sums of windows of one code, the other as the residual."""
    first, second = node.inputs
    for value in node.inputs:
        state.map(value)
    if state.stored_zero(second) != state.zero(second):
        first, second = second, first
    layer = state.layer(
        replace(node, inputs=(first, second)), _SUMMING, Patch(kernel_h=1, kernel_w=1),
        state.codes(node.output, operation.clamp),
    )  # fmt: skip
    channels = state.map(node.output)[1][2]
    factors = np.array([state.scale(first), state.scale(second)]) / state.scale(node.output)
    if first == second:
        _scaled(state, node, layer, np.full(channels, factors.sum()), bias=-state.zero(first))
        return
    number = state.numbers.get(second, 0)
    if state.stored_zero(second) != state.zero(second):
        raise _Refused("it adds two average poolings, whose codes have no zero point here; legal: one of them")
    try:
        (mult, res_mult), shifts = multipliers(factors[:, None], one_shift=True)
    except ValueError as err:
        raise _Refused(f"scales that differ too much from those of its output: {err}") from None
    weights = LayerWeights(
        weight=np.zeros((0,), np.int8), bias=np.full(channels, -state.zero(first), np.int32),
        mult=np.full(channels, int(mult[0]), np.int32),
    )  # fmt: skip
    layer = replace(layer, shift=int(shifts.min()), residual=number, res_mult=int(res_mult[0]))
    state.add(node, layer, state.tensor(node.output, layer.name), weights)


def _lower(state: _Lowering, node: Node) -> None:
    """One operator. Raises _Refused."""
    match node.operation:
        case Convolve():
            _convolve(state, node, node.operation)
        case Average():
            _average(state, node, node.operation)
        case Largest():
            _largest(state, node, node.operation)
        case Limit():
            _limit(state, node, node.operation)
        case Add():
            _add(state, node, node.operation)
        case Unknown():
            raise _Refused(node.operation.why)
        case Connect():
            shapes = [list(state.graph.values[i].shape) for i in node.inputs[:2]]
            raise _Refused(
                f"an input of shape {shapes[0]} for weights of shape {shapes[1]}; legal: a map or its vector"
            )
        case Surround():
            raise _Refused(
                f"{_sides(node.operation)} around a map that others than convolutions read, or beyond their windows"
            )
        case Convert() if state.graph.values[node.inputs[0]].stored:
            kind = state.graph.values[node.inputs[0]].kind
            raise _Refused(f"weights are stored as {kind}; legal: a fully integer file, with int8 or uint8 weights")
        case Reshape() | Transpose() | Convert() | Softmax():
            raise _Refused("within the network; legal: before its first layer or behind its last one, or no change")


def _sides(pad: Surround) -> str:
    return f"{pad.top}, {pad.bottom} rows and {pad.left}, {pad.right} columns"


def lowered(graph: Graph) -> Lowered:
    """The network of a graph after all passes (nba.imports.rewrites), or everything that keeps it from being one."""
    state, problems = _Lowering(graph=graph), []
    if len(graph.inputs) != 1 or len(graph.outputs) != 1:
        problems.append(f"{len(graph.inputs)} inputs and {len(graph.outputs)} outputs; legal: one of each")
    try:
        state.begin()
    except _Refused as err:
        problems.append(f"the input: {err}")
    fates = dict(graph.fates)
    for node in graph.nodes:
        try:
            _lower(state, node)
        except _Refused as err:
            problems.append(f"{node.where}: {err}")
            fates[node.number] = f"cannot be built: {err}"
    fates.update(state.fates)
    name = re.sub(r"[^A-Za-z0-9_.-]", "_", graph.name)[:64] or "network"
    network = Network(name=name, tensors=tuple(state.tensors), layers=tuple(state.layers))
    weights = tuple(state.weights)
    problems += [] if problems else check_network(network)
    problems += [] if problems else check_weights(network, weights)
    return Lowered(
        network=None if problems else network, weights=() if problems else weights, sources=tuple(state.sources),
        problems=tuple(problems), fates=tuple(sorted(fates.items())), folded=state.folded,
    )  # fmt: skip
