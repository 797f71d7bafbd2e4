# SPDX-License-Identifier: Apache-2.0
"""Legality of networks, of weights for them, and of networks that are to share a machine: every problem at once."""

from __future__ import annotations

from nba.ir.mode_rules import MODE_RULES, Modes
from nba.ir.network import Network, Weights
from nba.ir.network_rules import NETWORK_RULES, WEIGHT_RULES, Weighted
from nba.ir.rules import apply_rules


def check_network(network: Network) -> tuple[str, ...]:
    """Everything that makes `network` illegal, one line each; empty if it is legal."""
    return tuple(line for _, line in apply_rules(NETWORK_RULES, network))


def check_weights(network: Network, weights: Weights) -> tuple[str, ...]:
    """Everything that makes `weights` illegal for `network`, which must be legal itself."""
    return tuple(line for _, line in apply_rules(WEIGHT_RULES, Weighted(network=network, weights=weights)))


def check_modes(networks: tuple[Network, ...], weights: tuple[Weights, ...]) -> tuple[str, ...]:
    """Everything that keeps one machine from executing `networks`, each with its `weights`, one at a time."""
    return tuple(line for _, line in apply_rules(MODE_RULES, Modes(networks=networks, weights=weights)))
