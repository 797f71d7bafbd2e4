# SPDX-License-Identifier: Apache-2.0
"""The layer graph as a networkx graph, for whoever wants to walk, draw or analyse a network."""

from __future__ import annotations

import networkx as nx

from nba.ir.network import Network


def layer_graph(network: Network) -> nx.MultiDiGraph:
    """Nodes: tensor numbers, with the attribute `layer` (number of the layer that writes the tensor; None for the
    input). Edges: from a layer's operand to its result, with the attribute `port` ("main" or "residual")."""
    graph = nx.MultiDiGraph(name=network.name)
    for tensor in range(len(network.tensors)):
        graph.add_node(tensor, layer=None if tensor == 0 else tensor - 1)
    for i, layer in enumerate(network.layers):
        graph.add_edge(layer.input, i + 1, port="main")
        if layer.residual is not None:
            graph.add_edge(layer.residual, i + 1, port="residual")
    return graph
