# SPDX-License-Identifier: Apache-2.0
"""Passes from graph to graph: each brings some operators into a form that nba.imports.lower knows, and leaves what it
cannot change exactly as it is. `PASSES` has them in order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

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
    Patch,
    Range,
    Reshape,
    Softmax,
    Surround,
    Transpose,
)


def drop_unused(graph: Graph) -> Graph:
    """Without the operators on which no output depends."""
    needed = set(graph.outputs)
    for node in reversed(graph.nodes):
        if node.output in needed:
            needed.update(node.inputs)
    unused = [node for node in graph.nodes if node.output not in needed]
    return replace(
        graph,
        nodes=tuple(node for node in graph.nodes if node.output in needed),
        fates=(*graph.fates, *((node.number, "no output depends on it") for node in unused)),
    )


def leave_ends_to_the_host(graph: Graph) -> Graph:
    """Without conversions and changes of layout before the first layer, and without conversions, softmax and changes of
    shape behind the last one: the host does them."""
    while node := _first(graph):
        text = f"{node.title} of the input, {_form(graph, node.inputs[0])} to {_form(graph, node.output)}"
        graph = replace(graph.without(node, "left to the host"), before=(*graph.before, text))
        graph = replace(
            graph,
            inputs=(node.output,),
            nodes=tuple(
                replace(n, inputs=tuple(node.output if v == node.inputs[0] else v for v in n.inputs))
                for n in graph.nodes
            ),
        )
    while node := _last(graph):
        text = f"{node.title} of the output, {_form(graph, node.inputs[0])} to {_form(graph, node.output)}"
        graph = replace(graph.without(node, "left to the host"), after=(text, *graph.after))
    return graph


def _first(graph: Graph) -> Node | None:
    """The operator that the host can do before all others."""
    readers = graph.readers(graph.inputs[0]) if len(graph.inputs) == 1 else ()
    if len(readers) != 1 or graph.inputs[0] in graph.outputs or len(readers[0].inputs) != 1:
        return None
    return readers[0] if isinstance(readers[0].operation, Convert | Reshape | Transpose) else None


def _last(graph: Graph) -> Node | None:
    """The operator that the host can do after all others."""
    node = graph.writer(graph.outputs[0]) if len(graph.outputs) == 1 else None
    if node is None or graph.readers(node.output) or graph.writer(node.inputs[0]) is None:
        return None
    return node if isinstance(node.operation, Convert | Reshape | Softmax) else None


def _form(graph: Graph, value: int) -> str:
    """Shape and type of a value."""
    found = graph.values[value]
    return f"{' x '.join(map(str, found.shape))} {found.kind}"


def drop_views(graph: Graph) -> Graph:
    """Without changes of shape that only add or take away dimensions of one."""
    for node in graph.nodes:
        before, after = graph.values[node.inputs[0]], graph.values[node.output]
        same = before.map is not None and before.map == after.map and before.like(after)
        if isinstance(node.operation, Reshape) and same:
            graph = graph.without(node, "nothing to do: rows, columns and channels stay")
    return graph


def connect_as_convolution(graph: Graph) -> Graph:
    """Fully connected layers as convolutions: over a whole map, of which a vector may be the flattened form, or, where
    the weights are those of one pixel, of every pixel."""
    for number in [node.number for node in graph.nodes if isinstance(node.operation, Connect)]:
        graph = _connected(graph, next(node for node in graph.nodes if node.number == number))
    return graph


def _connected(graph: Graph, node: Node) -> Graph:
    operation, weights = node.operation, graph.values[node.inputs[1]]
    flatten = graph.writer(node.inputs[0])
    source = node.inputs[0]
    if (
        flatten is not None
        and isinstance(flatten.operation, Reshape)
        and graph.readers(source) == (node,)
        and graph.values[flatten.inputs[0]].like(graph.values[source])
    ):
        source = flatten.inputs[0]
    else:
        flatten = None
    shape = graph.values[source].map
    if not isinstance(operation, Connect) or weights.constant is None or len(weights.shape) != 2 or shape is None:
        return graph
    (height, width, channels), (outputs, terms) = shape, weights.shape
    kernel = {channels: (1, 1), height * width * channels: (height, width)}.get(terms)
    if kernel is None:
        return graph
    taps = weights.constant.reshape(outputs, *kernel, channels).transpose(0, 3, 1, 2)
    graph, place = graph.with_value(replace(weights, shape=taps.shape, constant=taps))
    if flatten is not None:
        graph = graph.without(flatten, f"folded into {node.where}, whose weights have the shape of the map")
    patch = Patch(kernel_h=kernel[0], kernel_w=kernel[1])
    return graph.with_node(
        replace(node, operation=Convolve(patch=patch, clamp=operation.clamp), inputs=(source, place, *node.inputs[2:]))
    )


def fold_padding(graph: Graph) -> Graph:
    """Rows and columns around a map as the padding of the convolutions that read it, where all its readers are such and
    their windows reach beyond what is added."""
    for node in graph.nodes:
        pad, readers = node.operation, graph.readers(node.output)
        before, after = graph.values[node.inputs[0]], graph.values[node.output]
        if not isinstance(pad, Surround) or not readers or node.output in graph.outputs or not before.like(after):
            continue
        padded = [_padded(reader, node.output, pad) for reader in readers]
        if all(reader is not None for reader in padded):
            for reader in filter(None, padded):
                graph = graph.with_node(reader)
            graph = graph.without(node, f"folded into {', '.join(reader.where for reader in readers)}")
    return graph


def _padded(node: Node, value: int, pad: Surround) -> Node | None:
    """A convolution of the map around which `value` has rows and columns; None if it is none, or cannot be."""
    operation = node.operation
    if not isinstance(operation, Convolve) or node.inputs[0] != value:
        return None
    old = operation.patch
    patch = replace(
        old, top=old.top + pad.top, left=old.left + pad.left, bottom=old.bottom + pad.bottom,
        right=old.right + pad.right,
    )  # fmt: skip
    if max(patch.top, patch.bottom) >= patch.kernel_h or max(patch.left, patch.right) >= patch.kernel_w:
        return None
    return replace(node, operation=replace(operation, patch=patch))


def fold_clamp(graph: Graph) -> Graph:
    """A clamp of its own as that of the operator before, if no other reads that and codes stay what they are."""
    for number in [node.number for node in graph.nodes if isinstance(node.operation, Limit)]:
        node = next(n for n in graph.nodes if n.number == number)
        source = graph.writer(node.inputs[0])
        before, after = graph.values[node.inputs[0]], graph.values[node.output]
        if (
            source is None
            or not before.like(after)
            or graph.readers(source.output) != (node,)
            or source.output in graph.outputs
        ):
            continue
        if isinstance(source.operation, Convolve | Add | Average | Largest) and isinstance(node.operation, Limit):
            both = _both(source.operation.clamp, node.operation.clamp)
            graph = graph.without(node, f"folded into {source.where}")
            graph = graph.with_node(
                replace(source, operation=replace(source.operation, clamp=both), output=node.output)
            )
            graph = replace(
                graph,
                nodes=tuple(
                    replace(n, inputs=tuple(node.output if v == source.output else v for v in n.inputs))
                    for n in graph.nodes
                ),
                outputs=tuple(node.output if v == source.output else v for v in graph.outputs),
            )
    return graph


def _both(first: Range, second: Range) -> Range:
    """One clamp after the other, where the two overlap."""
    lows = [low for low in (first.low, second.low) if low is not None]
    highs = [high for high in (first.high, second.high) if high is not None]
    return Range(low=max(lows) if lows else None, high=min(highs) if highs else None)


PASSES: tuple[Callable[[Graph], Graph], ...] = (
    drop_unused,
    leave_ends_to_the_host,
    drop_views,
    connect_as_convolution,
    fold_padding,
    fold_clamp,
)
"""In the order in which they work."""


def rewritten(graph: Graph) -> Graph:
    """The graph after all passes."""
    for each in PASSES:
        graph = each(graph)
    return graph
