# SPDX-License-Identifier: Apache-2.0
"""What a file of another tool says, whatever its format: operators on tensors of static shape, quantised or not.

A reader (nba.imports.tflite) makes a `Graph`, passes (nba.imports.rewrites) bring it into the form that
nba.imports.lower turns into layers. Maps are in the order batch, row, column, channel; weights in the order of
`LayerWeights`, with the output channel first. A pass never renumbers values or nodes: their numbers are those of the
file as long as they stand for what the file has.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

CODES = {"int8": (-128, 127), "uint8": (0, 255)}
"""Types of feature maps that the integer network has, and their codes."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Steps:
    """The real value of a code: scale * (code - zero point). One pair, or one for every index of the first axis."""

    scales: np.ndarray
    zero_points: np.ndarray

    @property
    def single(self) -> bool:
        """Whether one pair holds for the whole tensor."""
        return self.scales.size == 1

    @property
    def scale(self) -> float:
        """That of the whole tensor."""
        return float(self.scales[0])

    @property
    def zero_point(self) -> int:
        """That of the whole tensor."""
        return int(self.zero_points[0])

    def equals(self, other: Steps) -> bool:
        """Whether every code stands for the same value."""
        return np.array_equal(self.scales, other.scales) and np.array_equal(self.zero_points, other.zero_points)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Value:
    """A tensor. kind: the type of its elements, by numpy's name or the file's own. steps: None where it is not
    quantised. constant: its elements, where the file has them as integers or float32. stored: the file has them, of
    whatever type. dynamic: a dimension other than the first is open."""

    name: str
    shape: tuple[int, ...]
    kind: str
    steps: Steps | None = None
    constant: np.ndarray | None = None
    stored: bool = False
    dynamic: bool = False

    @property
    def map(self) -> tuple[int, int, int] | None:
        """Rows, columns and channels, where it is a map or a vector of one sample."""
        if len(self.shape) == 4 and self.shape[0] == 1:
            return self.shape[1], self.shape[2], self.shape[3]
        return (1, 1, self.shape[1]) if len(self.shape) == 2 and self.shape[0] == 1 else None

    def like(self, other: Value) -> bool:
        """Whether an element stands for the same value in both."""
        if self.steps is None or other.steps is None:
            return self.kind == other.kind and self.steps is other.steps
        return self.kind == other.kind and self.steps.equals(other.steps)


@dataclass(frozen=True, kw_only=True, slots=True)
class Patch:
    """The window that slides over a map, and the rows and columns that are added around the map."""

    kernel_h: int
    kernel_w: int
    stride_h: int = 1
    stride_w: int = 1
    top: int = 0
    left: int = 0
    bottom: int = 0
    right: int = 0

    @property
    def pads(self) -> bool:
        """Whether anything is added."""
        return bool(self.top or self.left or self.bottom or self.right)

    def results(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of the result, for a map of `height` x `width`."""
        rows = (height + self.top + self.bottom - self.kernel_h) // self.stride_h + 1
        return rows, (width + self.left + self.right - self.kernel_w) // self.stride_w + 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Range:
    """Real values between which a result is clamped; None: no bound of its own."""

    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Convolve:
    """Inputs: map, weights [M, N, KH, KW] ([M, KH, KW] with `per_channel`), bias [M] or none."""

    patch: Patch
    per_channel: bool = False
    clamp: Range = Range()


@dataclass(frozen=True, kw_only=True, slots=True)
class Connect:
    """Fully connected. Inputs: map or vector, weights [M, K] in the order of the map, bias [M] or none."""

    clamp: Range = Range()


@dataclass(frozen=True, kw_only=True, slots=True)
class Add:
    """The sum of two maps of one shape."""

    clamp: Range = Range()


@dataclass(frozen=True, kw_only=True, slots=True)
class Average:
    """The mean of a window. of_codes: codes are averaged, halves away from code 0, and keep their scale; otherwise real
    values are."""

    patch: Patch
    of_codes: bool
    clamp: Range = Range()


@dataclass(frozen=True, kw_only=True, slots=True)
class Largest:
    """The largest code of a window; what lies outside the map does not count."""

    patch: Patch
    clamp: Range = Range()


@dataclass(frozen=True, kw_only=True, slots=True)
class Limit:
    """A clamp of its own."""

    clamp: Range


@dataclass(frozen=True, kw_only=True, slots=True)
class Surround:
    """Rows and columns of real zero around a map."""

    top: int
    left: int
    bottom: int
    right: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Reshape:
    """The same elements in another shape."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Transpose:
    """Another order of axes."""

    order: tuple[int, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Convert:
    """Other codes, or real numbers, for the same values."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Softmax:
    """Shares of 1 in the order of the codes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Unknown:
    """What cannot be expressed. why: the operator, or what of it."""

    why: str


Operation = (
    Convolve
    | Connect
    | Add
    | Average
    | Largest
    | Limit
    | Surround
    | Reshape
    | Transpose
    | Convert
    | Softmax
    | Unknown
)  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Node:
    """An operator of the file. number: its place there; title: what the format calls it. inputs: numbers of values."""

    number: int
    title: str
    operation: Operation
    inputs: tuple[int, ...]
    output: int

    @property
    def where(self) -> str:
        """It, as messages name it."""
        return f"operator {self.number} ({self.title})"


@dataclass(frozen=True, kw_only=True, slots=True)
class Graph:
    """nodes: in an order in which every value is there when it is read. fates: what became of operators that are no
    nodes any more, by number. before, after: what the host does with inputs and outputs."""

    name: str
    values: tuple[Value, ...]
    nodes: tuple[Node, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    fates: tuple[tuple[int, str], ...] = ()
    before: tuple[str, ...] = field(default=())
    after: tuple[str, ...] = field(default=())

    def readers(self, value: int) -> tuple[Node, ...]:
        """The nodes that read a value."""
        return tuple(node for node in self.nodes if value in node.inputs)

    def writer(self, value: int) -> Node | None:
        """The node that makes a value."""
        return next((node for node in self.nodes if node.output == value), None)

    def without(self, node: Node, fate: str) -> Graph:
        """The graph without a node; its readers, and the outputs, have its first input instead."""
        source = node.inputs[0]

        def other(value: int) -> int:
            return source if value == node.output else value

        return replace(
            self,
            nodes=tuple(
                replace(n, inputs=tuple(map(other, n.inputs))) if node.output in n.inputs else n
                for n in self.nodes
                if n is not node
            ),
            outputs=tuple(map(other, self.outputs)),
            fates=(*self.fates, (node.number, fate)),
        )

    def with_node(self, node: Node) -> Graph:
        """The graph with `node` in the place of the one that has its number."""
        return replace(self, nodes=tuple(node if n.number == node.number else n for n in self.nodes))

    def with_value(self, value: Value) -> tuple[Graph, int]:
        """The graph with one more value, and its number."""
        return replace(self, values=(*self.values, value)), len(self.values)
