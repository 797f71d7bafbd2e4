# SPDX-License-Identifier: Apache-2.0
"""CIFAR-10, CIFAR-100 and Fashion-MNIST: torchvision's files under `path`, or the same images as train/ and test/
folders there. Every file is checked before it is read: a download that broke off is named, not half used."""

from __future__ import annotations

import importlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from nba.core.errors import DataError
from nba.core.progress import Progress
from nba.learn.data.config import PUBLISHED_DATASETS, DataConfig, PublishedDataset
from nba.learn.data.dataset import Dataset, chosen_classes, first_of_each, input_codes, of_classes
from nba.learn.data.folder import TESTS, folder_parts, load_folder
from nba.learn.data.images import ArrayImages, Images, Shape
from nba.learn.data.torchvision_import import torchvision


def load_published(path: Path, config: DataConfig, cache: Path | None, progress: Progress) -> Dataset:
    """The dataset `config.name` under `path`. Raises DataError."""
    about = PUBLISHED_DATASETS[config.name]
    if (path / "train").is_dir() or any((path / name).is_dir() for name in TESTS):
        _check_folders(path, config, about)
        return replace(load_folder(path, config, cache, progress), name=config.name)
    kind = _kind(about)
    missing = [file for file in _files(kind, path) if not file.is_file()]
    if missing and config.download:
        download(path, config.name)
    _check_files(kind, path, config.name)
    train, test = kind(str(path), train=True), kind(str(path), train=False)
    names = tuple(train.classes)
    chosen = chosen_classes(names, config)
    train_x, train_y = _arrays(train, chosen)
    test_x, test_y = _arrays(test, chosen)
    kept, tested = first_of_each(train_y, config.train_images), first_of_each(test_y, config.test_images)
    images: Images = train_x[kept]
    if config.transforms:
        images = ArrayImages(train_x[kept], Shape.of(config.size), config.transforms, config.workers)
    return Dataset(
        name=config.name,
        classes=tuple(names[i] for i in chosen),
        train_x=images,
        train_y=train_y[kept],
        test_x=test_x[tested],
        test_y=test_y[tested],
    )


def download(path: Path, name: str) -> None:
    """Fetch the dataset `name` into `path` with torchvision, unless it is there. Raises DataError if that fails."""
    kind = _kind(PUBLISHED_DATASETS[name])
    try:
        path.mkdir(parents=True, exist_ok=True)
        for train in (True, False):
            kind(str(path), train=train, download=True)
    except (OSError, RuntimeError, EOFError) as err:
        raise DataError(
            f"dataset {name}: the download into {path} failed ({err}); repeat it, or get the data otherwise and give "
            "its folder as dataset.path or --data"
        ) from None


def _kind(about: PublishedDataset) -> Any:
    torchvision()
    return getattr(importlib.import_module("torchvision.datasets"), about.kind)


def _files(kind: Any, path: Path) -> list[Path]:
    if hasattr(kind, "base_folder"):
        names = [name for name, _ in (*kind.train_list, *kind.test_list)] + [kind.meta["filename"]]
        return [path / kind.base_folder / name for name in names]
    raw = path / kind.__name__ / "raw"
    return [raw / Path(name).stem for name, _ in kind.resources]


def _check_files(kind: Any, path: Path, name: str) -> None:
    """Raise DataError for the first file that is missing or not as published."""
    again = "delete it and run with dataset.download: true, or unpack the published archive again"
    for file in _files(kind, path):
        if not file.is_file():
            folder = file.parent.relative_to(path)
            raise DataError(
                f"dataset {name}: {file} is missing; dataset.path must hold {folder}/ as torchvision writes it, or the "
                "folders train/<class>/ and test/<class>/ of images; or set dataset.download: true"
            )
    if hasattr(kind, "base_folder"):
        check = importlib.import_module("torchvision.datasets.utils").check_integrity
        sums = dict((*kind.train_list, *kind.test_list, (kind.meta["filename"], kind.meta["md5"])))
        for file in _files(kind, path):
            if not check(str(file), sums[file.name]):
                size = file.stat().st_size
                raise DataError(f"dataset {name}: {file} ({size:,} bytes) is damaged or incomplete; {again}")
        return
    for file in _files(kind, path):
        wanted = _idx_size(file.read_bytes()[:16])
        if file.stat().st_size != wanted:
            found = file.stat().st_size
            raise DataError(f"dataset {name}: {file} has {found:,} bytes, not {wanted:,}; {again}")


def _idx_size(head: bytes) -> int:
    """Size in bytes that the head of an IDX file of bytes announces; 0 for another kind of file."""
    if len(head) < 8 or head[:3] != b"\0\0\x08" or head[3] > 3 or len(head) < 4 + 4 * head[3]:
        return 0
    sizes = np.frombuffer(head[4 : 4 + 4 * head[3]], dtype=">u4").astype(np.int64)
    return int(4 + 4 * head[3] + sizes.prod())


def _arrays(dataset: Any, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    pixels = np.asarray(dataset.data)
    x = input_codes(pixels if pixels.ndim == 4 else pixels[..., np.newaxis], 255.0)
    kept, labels = of_classes(np.asarray(dataset.targets, dtype=np.int64), chosen)
    return x[kept], labels


def _check_folders(path: Path, config: DataConfig, about: PublishedDataset) -> None:
    """Raise DataError unless the folders hold as many classes and images as were published."""
    for part, wanted, what in zip(
        folder_parts(path, config), (about.train, about.test), ("train", "test"), strict=True
    ):
        if (len(part.classes), len(part.files)) != (about.classes, wanted):
            raise DataError(
                f"dataset {config.name}: {path}: {what} holds {len(part.files):,} images of {len(part.classes)} "
                f"classes, not {wanted:,} of {about.classes}; unpack the whole archive again, or use `name: folder` "
                "for other data"
            )
