# SPDX-License-Identifier: Apache-2.0
"""Loop nests of any network of the product: a published one, a design, what a stage left, a build."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nba.core.errors import NbaError, SpecError

if TYPE_CHECKING:
    from nba.core.progress import Progress
    from nba.loopnest.layer import NestLayer

PLACES = ("design.json", "network.json", "design/design.json", "train/network.json")
"""Files of a folder in which a network may be, the first one first."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Nests:
    """layers: in order. unmapped: what has no multiply-accumulates."""

    layers: tuple[NestLayer, ...]
    unmapped: tuple[str, ...] = ()


def load_nests(network: str, bits: int | None) -> Nests:
    """The layers of `network`: the name of a published one, a design.json or network.json, or a folder that holds one.

    bits: of weights and activations of all layers (None: those of the network; 8 of a published one). Raises NbaError
    if there is no such network, the file is damaged, or it has a layer that the model does not cover.
    """
    from nba.flow.artifacts import read_network
    from nba.loopnest.network import extract
    from nba.loopnest.shapes import NETWORKS, published
    from nba.machine.design_file import load_design

    if network in NETWORKS:
        return Nests(layers=published(network, weight_bits=bits or 8, act_bits=bits or 8))
    path = Path(network)
    if path.is_dir():
        path = next((path / place for place in PLACES if (path / place).is_file()), path)
    if not path.is_file():
        names = ", ".join(sorted(NETWORKS))
        what = "no network in this folder" if path.is_dir() else "no such network"
        raise SpecError(
            f"{network}: {what}; give one of {names}, a design.json or network.json, or the folder of a run"
        )
    if path.name == "network.json":
        found = extract(read_network(path), bits=bits)
    elif path.suffix == ".json":
        found = extract(load_design(path)[0].network, bits=bits)
    else:
        raise NbaError(f"{network}: not a design.json or network.json")
    return Nests(layers=found.layers, unmapped=found.unmapped)


class LayerProgress:
    """A `Progress` as the callback (layer, done, total) of nba.loopnest.network_map."""

    def __init__(self, progress: Progress, title: str):
        self._progress, self._title = progress, title

    def __call__(self, name: str, done: int, total: int) -> None:
        if done == 1:
            self._progress.start(self._title, total)
        self._progress.advance(1, name)
        if done == total:
            self._progress.finish()
