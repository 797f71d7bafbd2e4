# SPDX-License-Identifier: Apache-2.0
"""TFLite files that tests make: any operators with any attributes, and small whole networks drawn from a seed."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

TYPES = {"int8": schema.TensorType.INT8, "uint8": schema.TensorType.UINT8, "int32": schema.TensorType.INT32,
         "float32": schema.TensorType.FLOAT32, "float16": schema.TensorType.FLOAT16}  # fmt: skip
RELU, RELU6 = schema.ActivationFunctionType.RELU, schema.ActivationFunctionType.RELU6


def options(kind: str, **values: Any) -> tuple[int, Any]:
    """Options of an operator by their name in the schema."""
    found = getattr(schema, f"{kind}T")()
    for name, value in values.items():
        assert hasattr(found, name), name
        setattr(found, name, value)
    return getattr(schema.BuiltinOptions, kind), found


def window(stride: tuple[int, int] = (1, 1), *, same: bool = True, relu: int = 0, **more: int) -> dict[str, Any]:
    """What the options of every operator with a window have."""
    return {
        "padding": schema.Padding.SAME if same else schema.Padding.VALID, "strideH": stride[0], "strideW": stride[1],
        "fusedActivationFunction": relu, **more,
    }  # fmt: skip


UNDILATED = {"dilationHFactor": 1, "dilationWFactor": 1}


@dataclass(kw_only=True)
class File:
    """A TFLite file that grows; tensors are the numbers that its methods return."""

    tensors: list[Any] = field(default_factory=list)
    buffers: list[Any] = field(default_factory=lambda: [schema.BufferT()])
    operators: list[Any] = field(default_factory=list)
    codes: list[Any] = field(default_factory=list)
    inputs: list[int] = field(default_factory=list)
    outputs: list[int] = field(default_factory=list)

    def tensor(
        self, shape: tuple[int, ...], kind: str = "int8", scale: Any = None, zero: Any = 0, *,
        data: np.ndarray | None = None, axis: int = 0,
    ) -> int:  # fmt: skip
        """A tensor, with its elements if they are given; scale and zero: numbers, or a vector of them."""
        tensor = schema.TensorT()
        tensor.shape, tensor.type, tensor.name = np.array(shape, np.int32), TYPES[kind], f"t{len(self.tensors)}"
        tensor.buffer = 0
        if scale is not None:
            steps = schema.QuantizationParametersT()
            steps.scale = np.atleast_1d(np.array(scale, np.float32))
            steps.zeroPoint = np.broadcast_to(np.array(zero, np.int64), steps.scale.shape).copy()
            steps.quantizedDimension = axis
            tensor.quantization = steps
        if data is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(np.ascontiguousarray(data).tobytes(), np.uint8)
            self.buffers.append(buffer)
            tensor.buffer = len(self.buffers) - 1
        self.tensors.append(tensor)
        return len(self.tensors) - 1

    def add(self, name: str, inputs: tuple[int, ...], output: int, chosen: tuple[int, Any] | None = None) -> int:
        """An operator; returns its output."""
        code = schema.OperatorCodeT()
        code.builtinCode = getattr(schema.BuiltinOperator, name)
        code.deprecatedBuiltinCode, code.version = min(code.builtinCode, 127), VERSIONS.get(name, 1)
        self.codes.append(code)
        operator = schema.OperatorT()
        operator.opcodeIndex = len(self.codes) - 1
        operator.inputs, operator.outputs = np.array(inputs, np.int32), np.array([output], np.int32)
        if chosen is not None:
            operator.builtinOptionsType, operator.builtinOptions = chosen
        self.operators.append(operator)
        return output

    def content(self) -> bytes:
        """The bytes of the file."""
        graph = schema.SubGraphT()
        graph.tensors, graph.operators = self.tensors, self.operators
        graph.inputs, graph.outputs = np.array(self.inputs, np.int32), np.array(self.outputs, np.int32)
        model = schema.ModelT()
        model.version, model.operatorCodes, model.subgraphs, model.buffers = 3, self.codes, [graph], self.buffers
        builder = flatbuffers.Builder(1024)
        builder.Finish(model.Pack(builder), b"TFL3")
        return bytes(builder.Output())

    def write(self, path: Path) -> Path:
        """Write it."""
        path.write_bytes(self.content())
        return path


VERSIONS = {"CONV_2D": 3, "DEPTHWISE_CONV_2D": 3, "FULLY_CONNECTED": 4, "ADD": 2, "AVERAGE_POOL_2D": 2,
            "MAX_POOL_2D": 2, "MEAN": 2, "PAD": 2, "RELU": 2, "RELU6": 2, "SOFTMAX": 2, "QUANTIZE": 1,
            "DEQUANTIZE": 2, "TRANSPOSE": 2}  # fmt: skip
"""Versions of the operators whose first one takes no int8."""


@dataclass(kw_only=True)
class Drawn:
    """Appends random layers to a file of int8 maps (uint8 with `kind`)."""

    rng: np.random.Generator
    file: File = field(default_factory=File)
    kind: str = "int8"

    def map(self, shape: tuple[int, ...], *, like: int | None = None) -> int:
        """A feature map with random scale and zero point, or those of another."""
        if like is not None:
            steps = self.file.tensors[like].quantization
            return self.file.tensor(shape, self.kind, steps.scale[0], steps.zeroPoint[0])
        low = -128 if self.kind == "int8" else 0
        zero = int(self.rng.integers(low, low + 256))
        return self.file.tensor(shape, self.kind, float(self.rng.uniform(0.02, 0.2)), zero)

    def shape(self, tensor: int) -> tuple[int, ...]:
        """Its shape."""
        return tuple(int(n) for n in self.file.tensors[tensor].shape)

    def image(self, *shape: int) -> int:
        """The input."""
        self.file.inputs = [self.map((1, *shape))]
        return self.file.inputs[0]

    def weights(self, shape: tuple[int, ...], axis: int, source: int, out: int) -> tuple[int, int]:
        """Weights, one scale for every channel (one for all in uint8), and a bias, so that codes are spread."""
        count, terms = shape[axis], int(np.prod(shape)) // shape[axis]
        if len(shape) == 4 and axis == 3:
            terms = shape[1] * shape[2]
        reach = self.file.tensors[out].quantization.scale[0] / self.file.tensors[source].quantization.scale[0]
        several = self.kind == "int8"
        scale = reach * self.rng.uniform(0.3, 3.0, count if several else 1) / (64 * np.sqrt(terms))
        zero = 0 if several else int(self.rng.integers(60, 200))
        low, high = (-127, 128) if several else (0, 256)
        data = self.rng.integers(low, high, shape).astype(self.kind)
        made = self.file.tensor(shape, self.kind, scale, zero, data=data, axis=axis)
        bias = self.rng.normal(0, 1000 * np.sqrt(terms), count).astype(np.int32)
        first = self.file.tensors[source].quantization.scale[0]
        return made, self.file.tensor((count,), "int32", scale * first, 0, data=bias)

    def result(self, source: int, kernel: tuple[int, int], stride: tuple[int, int], same: bool) -> tuple[int, int]:
        """Rows and columns behind a window."""
        _, height, width, _ = self.shape(source)
        sizes = zip((height, width), kernel, stride, strict=True)
        rows, columns = (-(-n // s) if same else (n - k) // s + 1 for n, k, s in sizes)
        return rows, columns

    def convolve(
        self, source: int, channels: int, kernel: tuple[int, int] = (3, 3), stride: tuple[int, int] = (1, 1), *,
        same: bool = True, relu: int = 0,
    ) -> int:  # fmt: skip
        """A convolution."""
        out = self.map((1, *self.result(source, kernel, stride, same), channels))
        weights = self.weights((channels, *kernel, self.shape(source)[3]), 0, source, out)
        chosen = options("Conv2DOptions", **window(stride, same=same, relu=relu), **UNDILATED)
        return self.file.add("CONV_2D", (source, *weights), out, chosen)

    def by_channel(
        self, source: int, kernel: tuple[int, int] = (3, 3), stride: tuple[int, int] = (1, 1), *, same: bool = True,
        relu: int = 0, multiplier: int = 1,
    ) -> int:  # fmt: skip
        """A convolution of every channel by itself."""
        channels = self.shape(source)[3] * multiplier
        out = self.map((1, *self.result(source, kernel, stride, same), channels))
        weights = self.weights((1, *kernel, channels), 3, source, out)
        chosen = options(
            "DepthwiseConv2DOptions", **window(stride, same=same, relu=relu), **UNDILATED, depthMultiplier=multiplier
        )
        return self.file.add("DEPTHWISE_CONV_2D", (source, *weights), out, chosen)

    def pool(
        self, name: str, source: int, kernel: tuple[int, int], stride: tuple[int, int], *, same: bool = False
    ) -> int:
        """A pooling."""
        out = self.map((1, *self.result(source, kernel, stride, same), self.shape(source)[3]), like=source)
        chosen = options("Pool2DOptions", **window(stride, same=same), filterHeight=kernel[0], filterWidth=kernel[1])
        return self.file.add(name, (source,), out, chosen)

    def join(self, first: int, second: int, *, relu: int = 0) -> int:
        """The sum of two maps."""
        return self.file.add(
            "ADD", (first, second), self.map(self.shape(first)), options("AddOptions", fusedActivationFunction=relu)
        )

    def pad(self, source: int, rows: tuple[int, int], columns: tuple[int, int]) -> int:
        """Rows and columns around a map."""
        _, height, width, channels = self.shape(source)
        sizes = self.file.tensor((4, 2), "int32", data=np.array([(0, 0), rows, columns, (0, 0)], np.int32))
        out = self.map((1, height + sum(rows), width + sum(columns), channels), like=source)
        return self.file.add("PAD", (source, sizes), out, options("PadOptions"))

    def mean(self, source: int) -> int:
        """The mean over the map."""
        axes = self.file.tensor((2,), "int32", data=np.array([1, 2], np.int32))
        out = self.map((1, 1, 1, self.shape(source)[3]))
        return self.file.add("MEAN", (source, axes), out, options("ReducerOptions", keepDims=True))

    def alone(self, name: str, source: int, *, same_steps: bool = False) -> int:
        """An operator with one input and no options, such as RELU."""
        return self.file.add(name, (source,), self.map(self.shape(source), like=source if same_steps else None))

    def reshape(self, source: int, *shape: int) -> int:
        """The same elements in another shape."""
        sizes = self.file.tensor((len(shape),), "int32", data=np.array(shape, np.int32))
        return self.file.add(
            "RESHAPE", (source, sizes), self.map(shape, like=source), options("ReshapeOptions", newShape=list(shape))
        )

    def connect(self, source: int, outputs: int) -> int:
        """A fully connected layer."""
        out = self.map((1, outputs))
        terms = int(np.prod(self.shape(source)[1:]))
        several, self.kind = self.kind, self.kind
        weights = self.weights((outputs, terms), 0, source, out)
        assert several == self.kind
        return self.file.add("FULLY_CONNECTED", (source, *weights), out, options("FullyConnectedOptions"))

    def finish(self, source: int, *, softmax: bool = True) -> File:
        """The file, with softmax behind it."""
        if softmax:
            low = -128 if self.kind == "int8" else 0
            out = self.file.tensor(self.shape(source), self.kind, 1 / 256, low)
            source = self.file.add("SOFTMAX", (source,), out, options("SoftmaxOptions", beta=1.0))
        self.file.outputs = [source]
        return self.file


def whole_network(seed: int) -> File:
    """A small network with nearly every operator that can be imported, drawn from `seed`."""
    rng = np.random.default_rng(seed)
    net = Drawn(rng=rng)
    image = net.image(int(rng.integers(11, 16)), int(rng.integers(10, 15)), 3)
    stem = net.convolve(image, 8, (3, 3), (2, 2) if seed % 2 else (1, 2), relu=RELU6)
    inside = net.by_channel(stem, (3, 3), relu=RELU)
    inside = net.convolve(net.pad(inside, (1, 1), (1, 1)), 8, same=False)
    here = net.join(stem, inside, relu=RELU if seed % 3 else 0)
    here = net.pool("MAX_POOL_2D", here, (2, 2), (2, 2), same=bool(seed % 2))
    here = net.alone("RELU6" if seed % 2 else "RELU", here)
    here = net.join(here, net.convolve(here, 8, (1, 1)))
    if seed % 3 == 0:
        here = net.mean(here)
    elif seed % 3 == 1:
        here = net.pool("AVERAGE_POOL_2D", here, net.shape(here)[1:3], (1, 1))
    vector = net.reshape(here, 1, int(np.prod(net.shape(here))))
    return net.finish(net.connect(vector, 5))
