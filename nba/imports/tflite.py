# SPDX-License-Identifier: Apache-2.0
"""TFLite files as graphs. Needs the package ai-edge-litert (the extra `tflite`) for the schema of the format.

Every count and every length that the file states is bounded before anything of that size is touched, and what the
schema's code makes of a damaged file is one message.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from nba.core.errors import NbaError
from nba.core.jsonfile import read_bytes, shown
from nba.imports.graph import (
    Add,
    Average,
    Connect,
    Convert,
    Convolve,
    Graph,
    Largest,
    Limit,
    Node,
    Operation,
    Patch,
    Range,
    Reshape,
    Softmax,
    Steps,
    Surround,
    Transpose,
    Unknown,
    Value,
)

MAX_FILE_BYTES = 1 << 29
MAX_OPERATORS, MAX_VALUES, MAX_CODES = 2048, 16384, 1024
"""Operators, tensors and kinds of operators of a file."""
MAX_RANK, MAX_PORTS = 6, 32
"""Dimensions of a tensor; inputs and outputs of an operator."""
MAX_ELEMENTS = 1 << 27
"""Elements of all weights that the operators of a file read, each time that they do."""


class _Wrong(Exception):
    """What is wrong with a file as a whole."""


def _named(table: type) -> dict[int, str]:
    return {value: name for name, value in vars(table).items() if isinstance(value, int)}


_OPERATORS, _TYPES = _named(schema.BuiltinOperator), _named(schema.TensorType)
_NUMPY = {"INT8": "int8", "UINT8": "uint8", "INT16": "int16", "INT32": "int32", "INT64": "int64", "FLOAT32": "float32"}
"""Types of elements that are read as arrays."""
_RANGES = {
    schema.ActivationFunctionType.NONE: Range(),
    schema.ActivationFunctionType.RELU: Range(low=0.0),
    schema.ActivationFunctionType.RELU_N1_TO_1: Range(low=-1.0, high=1.0),
    schema.ActivationFunctionType.RELU6: Range(low=0.0, high=6.0),
}


def read_tflite(path: Path) -> Graph:
    """The graph of a TFLite file; what cannot be expressed is in it as `Unknown`. Raises NbaError if the file cannot be
    read, or is none."""
    try:
        return _read(path)
    except OSError as err:
        raise NbaError(f"{path}: {err.strerror or err}; give a TFLite file") from None
    except (_Wrong, LookupError, TypeError, ValueError, ArithmeticError, AttributeError, struct.error) as err:
        why = str(err) if isinstance(err, _Wrong | ValueError) else "its tables point outside of it"
        raise NbaError(
            f"{path}: damaged, or no TFLite file ({why:.300}); give one that LiteRT itself can load"
        ) from None


def _read(path: Path) -> Graph:
    data = read_bytes(path, MAX_FILE_BYTES)
    if len(data) < 8 or data[4:8] != b"TFL3":
        raise _Wrong("it does not begin as such files do: bytes 4 to 7 are not TFL3")
    model = schema.Model.GetRootAs(data)
    if model.SubgraphsLength() != 1:
        raise _Wrong(f"{model.SubgraphsLength():,} subgraphs; legal: one")
    codes = [_code(model.OperatorCodes(i)) for i in range(_at_most("kinds of operators", model.OperatorCodesLength()))]
    table = model.Subgraphs(0)
    values = [_value(model, table.Tensors(i)) for i in range(_at_most("tensors", table.TensorsLength()))]
    builder = _Builder(values=values, elements=0)
    nodes = [builder.node(i, table.Operators(i), codes) for i in range(_at_most("operators", table.OperatorsLength()))]
    inputs, outputs = _numbers(table, "Inputs", len(values)), _numbers(table, "Outputs", len(values))
    _check_order(nodes, inputs, outputs, builder.values)
    return Graph(
        name=path.stem, values=tuple(builder.values), nodes=tuple(nodes), inputs=tuple(inputs), outputs=tuple(outputs)
    )


def litert_content(path: Path) -> bytes:
    """The bytes of a file that `read_tflite` accepts, as LiteRT takes them: older converters left a bias, which has one
    dimension, with the number of another one for its scales, which LiteRT refuses. Raises OSError, ValueError."""
    data = bytearray(read_bytes(path, MAX_FILE_BYTES))
    table = schema.Model.GetRootAs(data).Subgraphs(0)
    for i in range(table.TensorsLength()):
        steps = table.Tensors(i).Quantization()
        if steps is not None and table.Tensors(i).ShapeLength() == 1 and steps.QuantizedDimension():
            struct.pack_into("<i", data, steps._tab.Pos + steps._tab.Offset(_DIMENSION_FIELD), 0)
    return bytes(data)


_DIMENSION_FIELD = 16
"""Where the table of a tensor's scales says at which place it has the number of their dimension."""
_BOUNDS = {"operators": MAX_OPERATORS, "tensors": MAX_VALUES, "kinds of operators": MAX_CODES}


def _at_most(what: str, count: int) -> int:
    if not 1 <= count <= _BOUNDS[what]:
        raise _Wrong(f"{count:,} {what}; legal: 1..{_BOUNDS[what]:,}")
    return count


def _code(code: Any) -> str:
    """What the schema calls a kind of operator; of one that it does not have, the name that the file gives."""
    number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
    name = _OPERATORS.get(number, f"operator kind {number}")
    return f"CUSTOM {shown(_text(code.CustomCode()))}" if name == "CUSTOM" else name


def _text(raw: bytes | None) -> str:
    """A name of the file, as far as it can be printed."""
    text = (raw or b"")[:200].decode("utf-8", errors="replace")
    return "".join(c if c.isprintable() else "?" for c in text)


def _array(table: Any, name: str, most: int) -> np.ndarray:
    """A vector of numbers of a table, of at most `most`."""
    count = getattr(table, f"{name}Length")()
    if not 0 <= count <= most:
        raise _Wrong(f"a vector of {count:,} numbers where there are at most {most:,}")
    found = getattr(table, f"{name}AsNumpy")() if count else np.zeros(0, np.int64)
    if len(found) != count:
        raise _Wrong("a vector is longer than the file")
    return np.asarray(found)


def _numbers(table: Any, name: str, count: int) -> list[int]:
    """Numbers of tensors; -1 stands for an optional input that is left out."""
    found = _array(table, name, MAX_PORTS).tolist()
    for number in found:
        if not -1 <= number < count:
            raise _Wrong(f"tensor {number} of {count}")
    return found


def _value(model: Any, table: Any) -> Value:
    shape = tuple(int(n) for n in _array(table, "Shape", MAX_RANK))
    if any(n < 0 for n in shape):
        raise _Wrong(f"a tensor of shape {list(shape)}")
    open_ended = [int(n) for n in _array(table, "ShapeSignature", MAX_RANK)]
    kind = _TYPES.get(table.Type(), f"type {table.Type()}")
    kind = _NUMPY.get(kind, kind)
    buffer = _buffer(model, table.Buffer())
    return Value(
        name=_text(table.Name()), shape=shape, kind=kind, steps=_steps(table.Quantization()),
        constant=_constant(buffer, shape, kind), stored=bool(buffer.DataLength()),
        dynamic=any(n < 0 for n in open_ended[1:]),
    )  # fmt: skip


def _steps(table: Any) -> Steps | None:
    if table is None or not table.ScaleLength():
        return None
    scales = _array(table, "Scale", MAX_FILE_BYTES).astype(np.float64)
    points = _array(table, "ZeroPoint", MAX_FILE_BYTES).astype(np.int64)
    if not points.size:
        points = np.zeros(scales.shape, np.int64)
    if points.shape != scales.shape:
        raise _Wrong(f"a tensor with {scales.size:,} scales and {points.size:,} zero points")
    return Steps(scales=scales, zero_points=points)


def _buffer(model: Any, number: int) -> Any:
    if number >= model.BuffersLength():
        raise _Wrong(f"buffer {number} of {model.BuffersLength():,}")
    return model.Buffers(number)


def _constant(buffer: Any, shape: tuple[int, ...], kind: str) -> np.ndarray | None:
    """The elements of a tensor that the file has; None for one that is computed, or of another type."""
    if not buffer.DataLength() or kind not in _NUMPY.values():
        return None
    data, wanted = _array(buffer, "Data", MAX_FILE_BYTES), math.prod(shape) * np.dtype(kind).itemsize
    if data.size != wanted:
        raise _Wrong(f"a tensor of shape {list(shape)} takes {wanted:,} bytes, but has {data.size:,}")
    return data.view(np.dtype(kind).newbyteorder("<")).reshape(shape)


def _check_order(nodes: Sequence[Node], inputs: list[int], outputs: list[int], values: Sequence[Value]) -> None:
    """Every tensor is there when it is read, and is written once."""
    there = {i for i, value in enumerate(values) if value.stored} | {-1, *inputs}
    if not inputs or not outputs or min(inputs + outputs) < 0:
        raise _Wrong(f"{len(inputs)} inputs and {len(outputs)} outputs")
    for node in nodes:
        late = [i for i in node.inputs if i not in there]
        if late:
            raise _Wrong(f"{node.where} reads tensor {late[0]}, which nothing has written")
        if node.output in there:
            raise _Wrong(f"{node.where} writes tensor {node.output}, which is there already")
        there.add(node.output)
    if not {*outputs} <= there - {*inputs}:
        raise _Wrong("nothing writes an output")


@dataclass(kw_only=True, slots=True)
class _Builder:
    """The values of the file, and those that readers of operators add: weights in the order of this project."""

    values: list[Value]
    elements: int

    def node(self, number: int, table: Any, codes: Sequence[str]) -> Node:
        """One operator."""
        if not 0 <= table.OpcodeIndex() < len(codes):
            raise _Wrong(f"operator {number} is of kind {table.OpcodeIndex()} of {len(codes)}")
        title = codes[table.OpcodeIndex()]
        inputs, outputs = (_numbers(table, name, len(self.values)) for name in ("Inputs", "Outputs"))
        if not outputs or min(outputs) < 0:
            raise _Wrong(f"operator {number} has no output")
        operator = _Operator(builder=self, table=table, inputs=tuple(inputs), output=outputs[0])
        read = READERS.get(title)
        try:
            if read is None:
                raise _Refused("this operator is not supported")
            if len(outputs) > 1 or not inputs or inputs[0] < 0:
                raise _Refused(f"{len(inputs)} inputs and {len(outputs)} outputs")
            operation = read(operator)
        except _Refused as err:
            operation, operator.inputs = Unknown(why=str(err)), tuple(i for i in inputs if i >= 0)
        return Node(number=number, title=title, operation=operation, inputs=operator.inputs, output=outputs[0])


class _Refused(Exception):
    """Why an operator cannot be expressed."""


@dataclass(kw_only=True, slots=True)
class _Operator:
    """An operator that is being read; a reader may set `inputs` anew."""

    builder: _Builder
    table: Any
    inputs: tuple[int, ...]
    output: int

    def input(self, place: int) -> Value:
        """A tensor that it reads. Raises _Refused if it is left out."""
        if place >= len(self.inputs) or self.inputs[place] < 0:
            raise _Refused(f"input {place} is missing")
        return self.builder.values[self.inputs[place]]

    def constant(self, place: int, what: str, rank: int) -> Value:
        """An input whose elements the file has."""
        value = self.input(place)
        if value.constant is None:
            found = f"of type {value.kind}" if value.stored else "computed"
            raise _Refused(f"{what} are {found}; legal: {what} of the file, as integers")
        if len(value.shape) != rank:
            raise _Refused(f"{what} of shape {list(value.shape)}; legal: {rank} dimensions")
        return value

    def options(self, name: str) -> Any:
        """Its options, of a type of the schema; those by default if it has none. Raises _Refused for others."""
        kind = getattr(schema, name)
        found = kind()
        if self.table.BuiltinOptionsType() == getattr(schema.BuiltinOptions, name):
            table = self.table.BuiltinOptions()
            if table is None:
                raise _Refused("its options are missing")
            found.Init(table.Bytes, table.Pos)
            return found
        raise _Refused("its options are missing or of another operator")

    def clamp(self, options: Any) -> Range:
        """The activation that is part of it."""
        found = _RANGES.get(options.FusedActivationFunction())
        if found is None:
            names = _named(schema.ActivationFunctionType)
            number = options.FusedActivationFunction()
            raise _Refused(f"activation {names.get(number, number)}; legal: NONE, RELU, RELU6, RELU_N1_TO_1")
        return found

    def patch(self, options: Any, kernel: tuple[int, int]) -> Patch:
        """Its window; padding SAME puts the odd row and column at the end."""
        stride = options.StrideH(), options.StrideW()
        if min(*kernel, *stride) < 1:
            raise _Refused(f"a window of {kernel[0]}x{kernel[1]} with strides {stride[0]}x{stride[1]}")
        plain = Patch(kernel_h=kernel[0], kernel_w=kernel[1], stride_h=stride[0], stride_w=stride[1])
        if options.Padding() == schema.Padding.VALID:
            return plain
        if options.Padding() != schema.Padding.SAME:
            raise _Refused(f"padding {options.Padding()}; legal: SAME, VALID")
        shape = self.input(0).map
        if shape is None:
            raise _Refused(f"a map of shape {list(self.input(0).shape)}; legal: one sample of four dimensions")
        pads = [
            max(0, (-(-size // s) - 1) * s + k - size) for size, s, k in zip(shape[:2], stride, kernel, strict=True)
        ]
        return replace(
            plain, top=pads[0] // 2, bottom=pads[0] - pads[0] // 2, left=pads[1] // 2, right=pads[1] - pads[1] // 2
        )

    def weighted(self, weights: Value, order: tuple[int, ...] | None, axis: int) -> None:
        """Set the inputs: the weights in another order of axes, of which `axis` was that of the output channels."""
        assert weights.constant is not None
        steps = weights.steps
        if steps is None:
            raise _Refused(f"weights are {weights.kind} without scales; legal: int8 or uint8 with scales")
        if not steps.single and steps.scales.size != weights.shape[axis]:
            raise _Refused(f"{steps.scales.size} scales for {weights.shape[axis]} output channels")
        taps = weights.constant if order is None else weights.constant.transpose(order)
        self.add_weights(replace(weights, shape=taps.shape, constant=taps))

    def add_weights(self, weights: Value) -> None:
        """Set the inputs: the map, these weights, and the bias if there is one."""
        self.builder.elements += math.prod(weights.shape)
        if self.builder.elements > MAX_ELEMENTS:
            raise _Wrong(f"its operators read more than {MAX_ELEMENTS:,} weights")
        self.builder.values.append(weights)
        bias = tuple(i for i in self.inputs[2:3] if i >= 0)
        self.inputs = (self.inputs[0], len(self.builder.values) - 1, *bias)


def _undilated(options: Any) -> None:
    factors = options.DilationHFactor(), options.DilationWFactor()
    if factors != (1, 1):
        raise _Refused(f"dilation {factors[0]}x{factors[1]}; legal: 1x1")


def _convolution(operator: _Operator) -> Operation:
    options, weights = operator.options("Conv2DOptions"), operator.constant(1, "weights", 4)
    _undilated(options)
    channels = (operator.input(0).map or (0, 0, 0))[2]
    if weights.shape[3] != channels:
        raise _Refused(f"weights for {weights.shape[3]} of {channels} input channels; legal: one group")
    operator.weighted(weights, (0, 3, 1, 2), axis=0)
    return Convolve(patch=operator.patch(options, (weights.shape[1], weights.shape[2])), clamp=operator.clamp(options))


def _by_channel(operator: _Operator) -> Operation:
    options, weights = operator.options("DepthwiseConv2DOptions"), operator.constant(1, "weights", 4)
    _undilated(options)
    _, height, width, outputs = weights.shape
    channels = (operator.input(0).map or (0, 0, 0))[2]
    if weights.shape[0] != 1 or channels not in (1, outputs):
        raise _Refused(
            f"{outputs} output channels of {channels}; legal: as many (depth multiplier 1), or any number of one"
        )
    alone = channels == outputs
    if alone and weights.constant is not None:
        flat = replace(weights, shape=weights.shape[1:], constant=weights.constant[0])
        operator.weighted(flat, (2, 0, 1), axis=2)
    else:
        operator.weighted(weights, (3, 0, 1, 2), axis=3)
    return Convolve(patch=operator.patch(options, (height, width)), per_channel=alone, clamp=operator.clamp(options))


def _connection(operator: _Operator) -> Operation:
    options, weights = operator.options("FullyConnectedOptions"), operator.constant(1, "weights", 2)
    if options.WeightsFormat() != schema.FullyConnectedOptionsWeightsFormat.DEFAULT:
        raise _Refused(f"weights in format {options.WeightsFormat()}; legal: DEFAULT")
    operator.weighted(weights, None, axis=0)
    return Connect(clamp=operator.clamp(options))


def _addition(operator: _Operator) -> Operation:
    first, second = operator.input(0), operator.input(1)
    if len(operator.inputs) != 2 or first.constant is not None or second.constant is not None:
        raise _Refused("a constant is added; legal: two maps")
    if first.shape != second.shape:
        raise _Refused(f"shapes {list(first.shape)} and {list(second.shape)}; legal: equal shapes")
    return Add(clamp=operator.clamp(operator.options("AddOptions")))


def _pooling(operator: _Operator) -> tuple[Patch, Range]:
    options = operator.options("Pool2DOptions")
    return operator.patch(options, (options.FilterHeight(), options.FilterWidth())), operator.clamp(options)


def _average(operator: _Operator) -> Operation:
    patch, clamp = _pooling(operator)
    if patch.pads:
        raise _Refused("an average whose windows leave the map; legal: padding VALID, or windows within the map")
    return Average(patch=patch, of_codes=True, clamp=clamp)


def _largest(operator: _Operator) -> Operation:
    patch, clamp = _pooling(operator)
    return Largest(patch=patch, clamp=clamp)


def _mean(operator: _Operator) -> Operation:
    source, axes = operator.input(0), operator.constant(1, "axes", len(operator.input(1).shape))
    assert axes.constant is not None
    found = sorted(int(axis) % 4 for axis in axes.constant.ravel()[:8])
    if source.map is None or len(source.shape) != 4 or found != [1, 2]:
        raise _Refused(
            f"the mean over axes {found} of shape {list(source.shape)}; legal: over rows and columns, 1 and 2"
        )
    operator.inputs = operator.inputs[:1]
    return Average(patch=Patch(kernel_h=source.shape[1], kernel_w=source.shape[2]), of_codes=False)


def _surround(operator: _Operator) -> Operation:
    pads = operator.constant(1, "paddings", 2)
    if pads.shape != (4, 2) or pads.constant is None:
        raise _Refused(f"paddings of shape {list(pads.shape)}; legal: [4, 2]")
    (_, _), (top, bottom), (left, right), (_, _) = found = pads.constant.astype(np.int64).tolist()
    if found[0] != [0, 0] or found[3] != [0, 0] or min(map(min, found)) < 0:
        raise _Refused(f"paddings {found}; legal: of rows and columns")
    operator.inputs = operator.inputs[:1]
    return Surround(top=top, left=left, bottom=bottom, right=right)


def _reshape(operator: _Operator) -> Operation:
    if math.prod(operator.input(0).shape) != math.prod(operator.builder.values[operator.output].shape):
        raise _Refused("its shapes have different numbers of elements")
    operator.inputs = operator.inputs[:1]
    return Reshape()


def _transpose(operator: _Operator) -> Operation:
    order = operator.constant(1, "axes", 1).constant
    operator.inputs = operator.inputs[:1]
    assert order is not None
    return Transpose(order=tuple(int(axis) for axis in order[:MAX_RANK]))


def _conversion(operator: _Operator) -> Operation:
    return Convert()


READERS: dict[str, Callable[[_Operator], Operation]] = {
    "ADD": _addition,
    "AVERAGE_POOL_2D": _average,
    "CONV_2D": _convolution,
    "DEPTHWISE_CONV_2D": _by_channel,
    "DEQUANTIZE": _conversion,
    "FULLY_CONNECTED": _connection,
    "MAX_POOL_2D": _largest,
    "MEAN": _mean,
    "PAD": _surround,
    "QUANTIZE": _conversion,
    "RELU": lambda operator: Limit(clamp=Range(low=0.0)),
    "RELU6": lambda operator: Limit(clamp=Range(low=0.0, high=6.0)),
    "RELU_N1_TO_1": lambda operator: Limit(clamp=Range(low=-1.0, high=1.0)),
    "RESHAPE": _reshape,
    "SOFTMAX": lambda operator: Softmax(),
    "SQUEEZE": _reshape,
    "TRANSPOSE": _transpose,
}
"""How every supported operator is read, by its name in the schema."""
