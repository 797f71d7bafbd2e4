# SPDX-License-Identifier: Apache-2.0
"""`Dataset`: images as the integer codes that the accelerator receives, and the fixed splits of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nba.errors import DataError

CODE_MAX = 255
"""Largest input code; the input tensor is unsigned, 8 bits, zero point 0."""
INPUT_SCALE = 1.0 / CODE_MAX
"""Real value of one input code: a full-scale pixel is 1.0."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Dataset:
    """Input codes uint8 [B, H, W, C] and labels int64 [B]. `classes` are the class names, in label order."""

    name: str
    classes: tuple[str, ...]
    train_x: np.ndarray
    train_y: np.ndarray
    test_x: np.ndarray
    test_y: np.ndarray


@dataclass(frozen=True, kw_only=True, slots=True)
class DataConfig:
    """Which data. name: "digits" (embedded) or "folder" (a folder of images, one subfolder per class).

    path: the folder ("folder" only). height, width, channels: size of the images fed to the network; images of a folder
    are scaled to it; digits are 8x8x1. test_fraction: share kept for the test, per class, drawn with `split_seed`
    (ignored by folders that hold `train` and `test` themselves). The split never depends on the run's seed.
    """

    name: str = "digits"
    path: str | None = None
    height: int = 8
    width: int = 8
    channels: int = 1
    test_fraction: float = 0.2
    split_seed: int = 0


def input_codes(pixels: np.ndarray, maximum: float) -> np.ndarray:
    """Pixels in 0..maximum -> the unsigned 8-bit input codes: round half up of pixel * 255 / maximum, clamped.

    The only definition of the input: training sees code * INPUT_SCALE, the integer network sees the code.
    """
    scaled = np.floor(np.asarray(pixels, dtype=np.float64) * CODE_MAX / maximum + 0.5)
    return np.clip(scaled, 0, CODE_MAX).astype(np.uint8)


def stratified_split(labels: np.ndarray, fraction: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(kept, drawn) indices, ascending: of every class, round(fraction * size) members are drawn with `seed`."""
    rng = np.random.default_rng(seed)
    drawn = np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == label))
        drawn[members[: int(np.floor(fraction * len(members) + 0.5))]] = True
    return np.flatnonzero(~drawn), np.flatnonzero(drawn)


def split_by(name: str, classes: tuple[str, ...], x: np.ndarray, y: np.ndarray, config: DataConfig) -> Dataset:
    """A Dataset whose test part is the stratified split that `config` names."""
    train, test = stratified_split(y, config.test_fraction, config.split_seed)
    if not len(train) or not len(test):
        raise DataError(
            f"dataset {name}: test_fraction {config.test_fraction} of {len(y)} images leaves {len(train)} for training "
            f"and {len(test)} for the test; choose a fraction between 0 and 1 that leaves some for both"
        )
    return Dataset(name=name, classes=classes, train_x=x[train], train_y=y[train], test_x=x[test], test_y=y[test])


def load(config: DataConfig) -> Dataset:
    """The dataset that `config` names. Raises DataError if it is missing, empty or of the wrong shape."""
    if config.name == "digits":
        from nba.data.digits import load_digits

        return load_digits(config)
    if config.name == "folder":
        from nba.data.folder import load_folder

        if config.path is None:
            raise DataError("dataset.path: missing; name the folder that holds the images (one subfolder per class)")
        return load_folder(Path(config.path), config)
    raise DataError(f"dataset.name: {config.name!r} is not known; use digits, or folder with a path")
