# SPDX-License-Identifier: Apache-2.0
"""Files that stages hand to each other: an integer network with its weights, test images, parts of the metrics."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from nba.core.errors import DesignError, NbaError
from nba.core.figures import standard_error
from nba.core.files import write_atomic, write_atomic_bytes
from nba.core.jsonfile import read_json
from nba.core.npzfile import read_npz
from nba.ir.check import check_network, check_weights
from nba.ir.decode import decode
from nba.ir.network import Network, Weights, document
from nba.machine.design_file import load_weights, weights_bytes

if TYPE_CHECKING:
    from nba.flow.metrics_model import Blocks, Metrics, Sample
    from nba.learn.data.images import Images

METRICS_PART = "metrics-part.json"
"""File in which a stage leaves what it adds to metrics.json."""
IMAGES = "images.npz"
CLASSES = "classes.json"
MAX_IMAGES = 1024
"""Test images that are kept for verification."""


Json = dict[str, Any]


def write_part(folder: Path, part: Metrics) -> None:
    """Write what a stage adds to metrics.json: an object that is merged with the others, section by section."""
    write_atomic(folder / METRICS_PART, json.dumps(part, indent=1, sort_keys=True) + "\n")


def read_part(folder: Path) -> Metrics:
    """What `write_part` left in `folder`. Raises NbaError if it is missing or damaged."""
    path = folder / METRICS_PART
    try:
        found = read_json(path)
    except (OSError, ValueError) as err:
        raise NbaError(f"{path}: missing or damaged ({err}); repeat the training") from None
    if not isinstance(found, dict):
        raise NbaError(f"{path}: damaged (not an object); repeat the training")
    return cast("Metrics", found)


def device_blocks(dsp: int, bram: float, uram: int) -> Blocks:
    """Blocks of a device as metrics.json has them: UltraRAM only where there is any."""
    return {"dsp": dsp, "bram": bram, "uram": uram} if uram else {"dsp": dsp, "bram": bram}


def measured(accuracy: float, images: int) -> Sample:
    """What metrics.json says of an accuracy beside its value: images and binomial standard error."""
    return {"images": images, "standard_error": standard_error(accuracy, images)}


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ImageSet:
    """Input codes uint8 [B, H, W, C] and labels int64 [B]; the first `MAX_IMAGES` of the test split."""

    x: np.ndarray
    y: np.ndarray


def save_network(network: Network, weights: Weights, folder: Path) -> None:
    """Write network.json and weights.npz."""
    write_atomic(folder / "network.json", json.dumps(document(network), sort_keys=True, indent=1) + "\n")
    write_atomic_bytes(folder / "weights.npz", weights_bytes(weights))


def load_network(folder: Path) -> tuple[Network, Weights]:
    """Read what `save_network` wrote. Raises DesignError if it is damaged."""
    network = read_network(folder / "network.json")
    weights = load_weights(folder / "weights.npz", len(network.layers))
    if problems := check_weights(network, weights):
        raise DesignError(str(folder / "weights.npz"), problems)
    return network, weights


def read_network(path: Path) -> Network:
    """The network of `save_network` without its weights. Raises DesignError if it is damaged or not legal."""
    problems: list[str] = []
    try:
        network: Network = decode(Network, read_json(path), "network", problems)
    except (OSError, ValueError) as err:
        raise DesignError(str(path), [f"missing or damaged ({err}); repeat the training"]) from None
    problems = problems or [*check_network(network)]
    if problems:
        raise DesignError(str(path), problems)
    return network


def save_images(x: Images, y: np.ndarray, classes: tuple[str, ...], folder: Path) -> None:
    """Write images.npz: uint8 input codes [B, H, W, C] and labels; and classes.json: the names of all labels."""
    buffer = io.BytesIO()
    np.savez(buffer, x=x[:MAX_IMAGES].astype(np.uint8), y=y[:MAX_IMAGES].astype(np.int64))
    write_atomic_bytes(folder / IMAGES, buffer.getvalue())
    write_atomic(folder / CLASSES, json.dumps(classes, indent=1) + "\n")


def load_classes(path: Path) -> tuple[str, ...]:
    """The class names that `save_images` wrote; none if there is no such file. Raises NbaError if it is damaged."""
    try:
        found = read_json(path)
    except FileNotFoundError:
        return ()
    except (OSError, ValueError) as err:
        raise NbaError(f"{path}: damaged ({err}); repeat the training") from None
    if not isinstance(found, list) or not all(isinstance(name, str) for name in found):
        raise NbaError(f"{path}: is not a list of class names; repeat the training, or remove the file")
    return tuple(found)


def load_images(path: Path) -> ImageSet:
    """Read what `save_images` wrote. Raises NbaError if it is missing or damaged, or holds no images."""
    try:
        found = read_npz(path, ("x", "y"))
    except (OSError, ValueError) as err:
        raise NbaError(f"{path}: missing or damaged ({err}); repeat the training") from None
    x, y = found["x"], found["y"]
    if x.dtype != np.uint8 or x.ndim != 4 or not x.size or y.dtype != np.int64 or y.shape != x.shape[:1]:
        raise NbaError(
            f"{path}: x is {x.dtype} {list(x.shape)} and y {y.dtype} {list(y.shape)}; legal: uint8 images [B, H, W, C] "
            "and int64 labels [B], at least one; repeat the training"
        )
    return ImageSet(x=x, y=y)
