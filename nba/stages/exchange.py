# SPDX-License-Identifier: Apache-2.0
"""Files that stages hand to each other: an integer network with its weights, test images, parts of the metrics."""

from __future__ import annotations

import io
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nba.errors import DesignError, NbaError
from nba.figures import standard_error
from nba.files import write_atomic, write_atomic_bytes
from nba.ir.design import decode, load_weights, weights_bytes
from nba.ir.network import Network, Weights

if TYPE_CHECKING:
    from nba.data.images import Images

PART = "metrics-part.json"
"""File in which a stage leaves what it adds to metrics.json."""
MAX_IMAGES = 1024
"""Test images that are kept for verification."""


Json = dict[str, Any]


def write_part(folder: Path, part: Json) -> None:
    """Write what a stage adds to metrics.json: an object that is merged with the others, section by section."""
    write_atomic(folder / PART, json.dumps(part, indent=1, sort_keys=True) + "\n")


def read_part(folder: Path) -> Json:
    """What `write_part` left in `folder`. Raises NbaError if it is missing or damaged."""
    path = folder / PART
    try:
        found: Json = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as err:
        raise NbaError(f"{path}: missing or damaged ({err}); repeat the training") from None
    return found


def measured(accuracy: float, images: int) -> Json:
    """What metrics.json says of an accuracy beside its value: images and binomial standard error."""
    return {"images": images, "standard_error": standard_error(accuracy, images)}


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ImageSet:
    """Input codes uint8 [B, H, W, C] and labels int64 [B]; the first `MAX_IMAGES` of the test split."""

    x: np.ndarray
    y: np.ndarray


def save_network(network: Network, weights: Weights, folder: Path) -> None:
    """Write network.json and weights.npz."""
    write_atomic(folder / "network.json", json.dumps(asdict(network), sort_keys=True, indent=1) + "\n")
    write_atomic_bytes(folder / "weights.npz", weights_bytes(weights))


def load_network(folder: Path) -> tuple[Network, Weights]:
    """Read what `save_network` wrote. Raises DesignError if it is damaged."""
    network = read_network(folder / "network.json")
    return network, load_weights(folder / "weights.npz", len(network.layers))


def read_network(path: Path) -> Network:
    """The network of `save_network` without its weights. Raises DesignError if it is damaged."""
    problems: list[str] = []
    try:
        network: Network = decode(Network, json.loads(path.read_text(encoding="utf-8")), "network", problems)
    except (OSError, ValueError, RecursionError) as err:
        raise DesignError(str(path), [f"missing or damaged ({err}); repeat the training"]) from None
    if problems:
        raise DesignError(str(path), problems)
    return network


def save_images(x: Images, y: np.ndarray, folder: Path) -> None:
    """Write images.npz: uint8 input codes [B, H, W, C] and labels."""
    buffer = io.BytesIO()
    np.savez(buffer, x=x[:MAX_IMAGES].astype(np.uint8), y=y[:MAX_IMAGES].astype(np.int64))
    write_atomic_bytes(folder / "images.npz", buffer.getvalue())


def load_images(path: Path) -> ImageSet:
    """Read what `save_images` wrote. Raises NbaError if it is missing or damaged."""
    import zipfile

    try:
        with np.load(path, allow_pickle=False) as archive:
            return ImageSet(x=archive["x"], y=archive["y"])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as err:
        raise NbaError(f"{path}: missing or damaged ({err}); repeat the training") from None
