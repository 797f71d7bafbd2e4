# SPDX-License-Identifier: Apache-2.0
"""Which rows of a tensor its readers need and release, and how few rows a ring may have.

What is said here holds for every program, of whole jobs or of turns: it follows from the data that a row depends on,
and not from the order in which the chunks work.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nba.ir.accelerator import HOST, Port
from nba.ir.network import Network
from nba.machine.program import min_ring_rows

Use = tuple[int, int, Port]
"""(tensor, consuming layer or HOST, port): what one ring is for."""


def uses_of(network: Network) -> list[Use]:
    """The use of every ring that a design of `network` has, in a fixed order."""
    uses: list[Use] = [(layer.input, i, "main") for i, layer in enumerate(network.layers)]
    uses += [(layer.residual, i, "residual") for i, layer in enumerate(network.layers) if layer.residual is not None]
    uses.append((len(network.layers), HOST, "main"))
    return sorted(uses)


@dataclass(frozen=True, kw_only=True, slots=True)
class Window:
    """What row y of a layer does to the `height` rows of its input: it needs those before `needed(y)`, and releases
    those before `passed(y)`, of every frame."""

    stride: int
    pad: int
    kernel: int
    rows: int
    height: int

    def needed(self, y: int) -> int:
        """Input rows that row y needs, counted from the first of the frame."""
        return min(self.height, y * self.stride - self.pad + self.kernel)

    def passed(self, y: int) -> int:
        """Input rows that nobody needs after row y."""
        return self.height if y == self.rows - 1 else max(0, (y + 1) * self.stride - self.pad)


def window(network: Network, consumer: int, port: Port, tensor: int) -> Window:
    """The window of a use of `tensor`; the host, and residual operands, take row after row."""
    height = network.tensors[tensor].height
    if consumer == HOST or port == "residual":
        return Window(stride=1, pad=0, kernel=1, rows=height, height=height)
    layer = network.layers[consumer]
    rows = network.result(consumer).height
    return Window(stride=layer.stride_h, pad=layer.pad_top, kernel=layer.kernel_h, rows=rows, height=height)


def fewest_rows(network: Network) -> dict[Use, int]:
    """Rows of every ring without which no program of any accelerator can run: a lower bound of all rings.

    A ring holds the window of its reader. Where a layer adds a residual operand, what its row y depends on also goes
    through the layers between: all rows of the operand's tensor that these need are written, and row y not yet
    released, when the row begins.
    """
    found: dict[Use, int] = {}
    for tensor, consumer, port in uses_of(network):
        found[tensor, consumer, port] = min_ring_rows(network, consumer, port)
        if consumer != HOST and network.layers[consumer].residual is not None:
            seen = window(network, consumer, port, tensor)
            asked = rows_asked(network, consumer, tensor)
            held = max(rows - (seen.passed(y - 1) if y else 0) for y, rows in enumerate(asked))
            found[tensor, consumer, port] = max(found[tensor, consumer, port], held)
    return found


def rows_asked(network: Network, consumer: int, tensor: int) -> list[int]:
    """Rows of `tensor`, from the first of the frame, that every row of layer `consumer` depends on, directly or
    through other layers."""
    asked = {consumer + 1: np.arange(1, network.result(consumer).height + 1)}
    for made in range(consumer + 1, tensor, -1):
        if made not in asked:
            continue
        last = asked.pop(made) - 1
        layer = network.layers[made - 1]
        uses: list[tuple[int, Port]] = [(layer.input, "main")]
        if layer.residual is not None:
            uses.append((layer.residual, "residual"))
        for source, port in uses:
            seen = window(network, made - 1, port, source)
            needed = np.minimum(seen.height, last * seen.stride - seen.pad + seen.kernel)
            asked[source] = np.maximum(asked.get(source, 0), needed)
    found: list[int] = asked[tensor].tolist()
    return found
