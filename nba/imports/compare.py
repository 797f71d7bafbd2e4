# SPDX-License-Identifier: Apache-2.0
"""An imported network against the reference kernels of LiteRT: every layer on what LiteRT gave the operator, and all
layers one after the other. Needs the package ai-edge-litert (the extra `tflite`)."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nba.core.errors import NbaError
from nba.core.npzfile import read_npz
from nba.core.tools import python_command, run_tool
from nba.imports import litert
from nba.imports.lower import Lowered
from nba.imports.tflite import litert_content
from nba.ir.network import Network, Weights
from nba.ir.reference import accumulate, requantise

TOLERANCE = 1
"""Codes by which a layer may differ from LiteRT's operator, on the same inputs."""
MAX_COMPARED = 1 << 28
"""Codes of all maps of a network that is compared."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LayerDifference:
    """One layer: how many codes were compared, how many of them differ and by how much at most, on LiteRT's own inputs
    (`own`) and on those that all layers before made (`chained`). sqnr_db: signal to noise of the chained codes; None
    where they are equal."""

    name: str
    codes: int
    own_differing: int
    own_largest: int
    chained_differing: int
    chained_largest: int
    sqnr_db: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class LiteRTAgreement:
    """All layers, over `inputs` inputs, of which `classes` have the same largest output in both."""

    layers: tuple[LayerDifference, ...]
    inputs: int
    classes: int

    @property
    def codes(self) -> int:
        """All codes that were compared."""
        return sum(layer.codes for layer in self.layers)

    @property
    def own_differing(self) -> int:
        """Codes that differ, each layer on LiteRT's own inputs."""
        return sum(layer.own_differing for layer in self.layers)

    @property
    def own_largest(self) -> int:
        """The largest difference of any layer on LiteRT's own inputs."""
        return max(layer.own_largest for layer in self.layers)

    @property
    def chained_differing(self) -> int:
        """Codes that differ, layer after layer."""
        return sum(layer.chained_differing for layer in self.layers)

    @property
    def chained_largest(self) -> int:
        """The largest difference, layer after layer."""
        return max(layer.chained_largest for layer in self.layers)

    @property
    def holds(self) -> bool:
        """Whether no layer differs by more than TOLERANCE on LiteRT's own inputs."""
        return self.own_largest <= TOLERANCE


@dataclass(kw_only=True, slots=True)
class _Sums:
    codes: int = 0
    own_differing: int = 0
    own_largest: int = 0
    chained_differing: int = 0
    chained_largest: int = 0
    signal: int = 0
    noise: int = 0

    def take(self, wanted: np.ndarray, own: np.ndarray, chained: np.ndarray, zero: int) -> None:
        near, far = (np.abs(found.astype(np.int64) - wanted) for found in (own, chained))
        self.codes += wanted.size
        self.own_differing += int(np.count_nonzero(near))
        self.own_largest = max(self.own_largest, int(near.max(initial=0)))
        self.chained_differing += int(np.count_nonzero(far))
        self.chained_largest = max(self.chained_largest, int(far.max(initial=0)))
        self.signal += int(((wanted.astype(np.int64) - zero) ** 2).sum())
        self.noise += int((far**2).sum())

    def of(self, name: str) -> LayerDifference:
        decibels = 10 * math.log10(self.signal / self.noise) if self.noise and self.signal else None
        return LayerDifference(
            name=name, codes=self.codes, own_differing=self.own_differing, own_largest=self.own_largest,
            chained_differing=self.chained_differing, chained_largest=self.chained_largest,
            sqnr_db=None if decibels is None else round(decibels, 2),
        )  # fmt: skip


def compare_with_litert(
    path: Path, found: Lowered, *, count: int, seed: int, inputs: np.ndarray | None = None
) -> LiteRTAgreement:
    """Compare the network of the file `path` with LiteRT on `inputs`, arrays of the shape and type of the file's input
    [B, ...], or on `count` random ones, drawn from `seed`. Raises NbaError if LiteRT cannot execute the file."""
    network, weights = found.network, found.weights
    assert network is not None
    if sum(t.height * t.width * t.channels for t in network.tensors) > MAX_COMPARED:
        raise NbaError(f"{path}: its maps have more than {MAX_COMPARED:,} codes; too many to compare with LiteRT")
    sums = [_Sums() for _ in network.layers]
    classes = total = 0
    for tensors in _executed(path, found, count, seed, inputs):
        wanted = [_map(network, i, codes) for i, codes in enumerate(tensors)]
        chained = wanted[:1]
        for i, layer in enumerate(network.layers):
            residual = layer.residual
            own = _computed(network, weights, i, wanted[layer.input], None if residual is None else wanted[residual])
            chained.append(
                _computed(network, weights, i, chained[layer.input], None if residual is None else chained[residual])
            )
            sums[i].take(wanted[i + 1].astype(np.int64), own, chained[-1], network.result(i).zero_point)
        classes += int(wanted[-1].argmax()) == int(chained[-1].argmax())
        total += 1
    layers = tuple(each.of(layer.name) for each, layer in zip(sums, network.layers, strict=True))
    return LiteRTAgreement(layers=layers, inputs=total, classes=classes)


def _map(network: Network, number: int, codes: np.ndarray) -> np.ndarray:
    tensor = network.tensors[number]
    return codes.reshape(1, tensor.height, tensor.width, tensor.channels).astype(tensor.dtype)


def _computed(
    network: Network, weights: Weights, index: int, codes: np.ndarray, residual: np.ndarray | None
) -> np.ndarray:
    return requantise(network, weights, index, accumulate(network, weights, index, codes), residual)


def _executed(
    path: Path, found: Lowered, count: int, seed: int, inputs: np.ndarray | None
) -> Iterator[list[np.ndarray]]:
    """What LiteRT computes for the tensors of the network, input after input."""
    network = found.network
    assert network is not None
    codes = sum(t.height * t.width * t.channels for t in network.tensors)
    at_once = max(1, (MAX_COMPARED >> 2) // codes)
    with tempfile.TemporaryDirectory() as work:
        model, result = Path(work) / "model.tflite", Path(work) / "result.npz"
        try:
            model.write_bytes(litert_content(path))
        except (OSError, ValueError) as err:
            raise NbaError(f"{path}: cannot be read again ({err})") from None
        if inputs is not None:
            np.save(model.with_name(litert.INPUTS_FILE), inputs, allow_pickle=False)
            count = len(inputs)
        for first in range(0, count, at_once):
            numbers = range(first, min(count, first + at_once))
            _litert(path, model, result, [seed, numbers.start, numbers.stop, *found.sources])
            try:
                tensors = read_npz(result)
            except (OSError, ValueError) as err:
                raise NbaError(f"{path}: what LiteRT computed is damaged ({err})") from None
            for number in numbers:
                yield [tensors[f"{number}_{place}"] for place in range(len(found.sources))]


def _litert(path: Path, model: Path, result: Path, arguments: list[int]) -> None:
    """Run nba.imports.litert. Raises NbaError if LiteRT refuses the file, or ends."""
    program = python_command(Path(litert.__file__), str(model), str(result), *map(str, arguments))
    done = run_tool(program, cwd=model.parent, check=False)
    if done.returncode == litert.REFUSED:
        why = " ".join(done.output.rpartition("refused: ")[2].split())
        raise NbaError(f"{path}: LiteRT does not execute it ({why:.300}); there is nothing to compare with")
    if done.returncode:
        why = " ".join(done.output.split())[-300:]
        raise NbaError(f"{path}: LiteRT ended with status {done.returncode} ({why}); there is nothing to compare with")
