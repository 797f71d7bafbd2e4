# SPDX-License-Identifier: Apache-2.0
"""Image folders: `<folder>/<class>/<image>`, or `<folder>/train/<class>/...` and `<folder>/test/<class>/...`."""

from __future__ import annotations

import importlib
import logging
from pathlib import Path

import numpy as np

from nba.data.dataset import DataConfig, Dataset, input_codes, split_by
from nba.data.torchvision_import import torchvision
from nba.errors import DataError

_log = logging.getLogger(__name__)
_PIXEL_MAX = 255.0
_LAYOUT = "expected <folder>/<class>/<image>, or <folder>/train/<class>/<image> and <folder>/test/<class>/<image>"


def load_folder(path: Path, config: DataConfig) -> Dataset:
    """All images under `path`, scaled to the size of `config`. Raises DataError naming what is missing and where."""
    if not path.is_dir():
        what = "is a file, not a folder" if path.exists() else "no such folder"
        raise DataError(f"dataset.path: {path}: {what}; {_LAYOUT}; give the folder's path, or unpack the data there")
    if config.channels not in (1, 3):
        raise DataError(f"dataset folder: {config.channels} channels; images give 1 (grey) or 3 (RGB)")
    train, test = path / "train", path / "test"
    if not train.is_dir():
        classes, x, y = _read(path, config)
        return split_by(path.name, classes, x, y, config)
    if not test.is_dir():
        raise DataError(f"dataset.path: {path} has a folder train but no folder test; {_LAYOUT}")
    classes, train_x, train_y = _read(train, config)
    test_classes, test_x, test_y = _read(test, config)
    if classes != test_classes:
        odd = ", ".join(sorted(set(classes) ^ set(test_classes)))
        raise DataError(f"dataset.path: {path}: train and test differ in their classes ({odd}); make them the same")
    return Dataset(name=path.name, classes=classes, train_x=train_x, train_y=train_y, test_x=test_x, test_y=test_y)


def _read(path: Path, config: DataConfig) -> tuple[tuple[str, ...], np.ndarray, np.ndarray]:
    torchvision()
    datasets = importlib.import_module("torchvision.datasets")
    transforms = importlib.import_module("torchvision.transforms.functional")
    try:
        found = datasets.ImageFolder(str(path))
    except FileNotFoundError as err:
        raise DataError(f"dataset.path: {path}: no images found ({str(err).splitlines()[0]}); {_LAYOUT}") from None
    _log.info("%s: reading %d images of %d classes", path, len(found), len(found.classes))
    x = np.empty((len(found), config.height, config.width, config.channels), dtype=np.uint8)
    y = np.empty(len(found), dtype=np.int64)
    for i, (file, label) in enumerate(found.samples):
        try:
            image = found.loader(file)
        except OSError as err:
            raise DataError(f"{file}: not a readable image ({err}); remove or replace it") from None
        if config.channels == 1:
            image = image.convert("L")
        image = transforms.resize(image, [config.height, config.width])
        pixels = np.asarray(image).reshape(config.height, config.width, config.channels)
        x[i], y[i] = input_codes(pixels, _PIXEL_MAX), label
    return tuple(found.classes), x, y
