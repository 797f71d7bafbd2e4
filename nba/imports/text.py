# SPDX-License-Identifier: Apache-2.0
"""What is said of a file of another tool: its operators and what becomes of each, and how far it agrees with ours."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from nba.core.errors import listed
from nba.imports.load import Examined
from nba.ir.network import weight_shape

if TYPE_CHECKING:
    from nba.imports.compare import LiteRTAgreement


def operators_text(found: Examined) -> Iterator[str]:
    """A line for every operator of the file, then what the host does, and the size of the network or everything that
    keeps it from being built."""
    fates = dict(found.found.fates)
    rows = [
        (str(node.number), node.title, _shape(found, node.output), fates.get(node.number, ""))
        for node in found.source.nodes
    ]
    widths = [max(len(row[place]) for row in rows) for place in range(3)]
    for number, title, shape, fate in rows:
        yield f"{number:>{widths[0]}}  {title:<{widths[1]}}  {shape:<{widths[2]}}  {fate}"
    for text in (*found.graph.before, *found.graph.after):
        yield f"left to the host: {text}"
    network = found.found.network
    if network is None:
        yield f"{found.path}: cannot be built:"
        yield listed(found.found.problems)
        return
    macs = sum(network.macs(i) for i in range(len(network.layers)))
    weights = sum(math.prod(weight_shape(network, i)) for i in range(len(network.layers)))
    constant = f", {found.found.folded} constant output channels" if found.found.folded else ""
    wide = sum(layer.weight_bits > 8 for layer in network.layers)
    bits = f" (in {wide} layers of 16 bits, since their zero points leave 8)" if wide else ""
    yield (
        f"{found.path}: {len(network.layers)} layers, {macs / 1e6:.2f} million multiply-accumulates, "
        f"{weights:,} weights{bits}{constant}"
    )


def _shape(found: Examined, value: int) -> str:
    tensor = found.source.values[value]
    return f"{' x '.join(map(str, tensor.shape))} {tensor.kind}"


def agreement_text(found: LiteRTAgreement) -> Iterator[str]:
    """A line for every layer, and one for all."""
    width = max(len(layer.name) for layer in found.layers)
    yield f"{'':<{width}}       codes   on LiteRT's inputs   layer after layer   signal to noise"
    yield f"{'':<{width}}             differing  largest  differing  largest"
    for layer in found.layers:
        noise = "" if layer.sqnr_db is None else f"{layer.sqnr_db:.1f} dB"
        yield (
            f"{layer.name:<{width}}{layer.codes:>12,}{layer.own_differing:>10,}{layer.own_largest:>9}"
            f"{layer.chained_differing:>11,}{layer.chained_largest:>9}{noise:>18}"
        )
    own, chained = (100 * n / found.codes for n in (found.own_differing, found.chained_differing))
    yield (
        f"{own:.3f} % of codes differ on LiteRT's inputs, by at most {found.own_largest}; {chained:.2f} % layer after "
        f"layer, by at most {found.chained_largest}; the same class for {found.classes} of {found.inputs} inputs"
    )
