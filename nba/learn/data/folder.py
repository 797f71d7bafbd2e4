# SPDX-License-Identifier: Apache-2.0
"""Image folders: `<folder>/<class>/<image>`, or `<folder>/train/<class>/...` and `<folder>/test/<class>/...` (or val).

ImageNet is such a folder. Small parts are decoded once and kept; large ones, and training images with transforms, are
decoded when they are needed.
"""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nba.core.errors import DataError
from nba.core.progress import Progress
from nba.learn.data import cache as cached
from nba.learn.data.config import DataConfig
from nba.learn.data.dataset import Dataset, chosen_classes, first_of_each, of_classes, split
from nba.learn.data.images import Decoder, FileImages, Images, Shape, open_image
from nba.learn.data.scan import Identity, find_images

_log = logging.getLogger(__name__)
_LAYOUT = "expected <folder>/<class>/<image>, or <folder>/{train,test}/<class>/<image> (val is taken for test)"
MEMORY_BYTES = 1 << 31
"""A part that is larger once decoded is a stream of files."""
TESTS = ("test", "val")
"""Names of the folder of test images, in this order."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Part:
    """Files of one part and their labels int64 [B]; `identities` of all files of its folder."""

    classes: tuple[str, ...]
    files: tuple[str, ...]
    labels: np.ndarray
    identities: frozenset[Identity] = frozenset()

    def of(self, index: np.ndarray) -> Part:
        """Those files."""
        return Part(classes=self.classes, files=tuple(self.files[i] for i in index), labels=self.labels[index])

    def only(self, chosen: np.ndarray) -> Part:
        """The files of the classes of these numbers."""
        kept, labels = of_classes(self.labels, chosen)
        classes = tuple(self.classes[i] for i in chosen)
        return Part(classes=classes, files=tuple(self.files[i] for i in kept), labels=labels)


def load_folder(path: Path, config: DataConfig, cache: Path | None, progress: Progress) -> Dataset:
    """All images under `path` at the size of `config`. Raises DataError naming what is missing and where."""
    train, test = (part.only(chosen_classes(part.classes, config)) for part in folder_parts(path, config))
    train = train.of(first_of_each(train.labels, config.train_images))
    test = test.of(first_of_each(test.labels, config.test_images))
    train_x = _images(train, config, path, cache, progress, training=True)
    test_x = _images(test, config, path, cache, progress, training=False)
    return Dataset(
        name=path.name, classes=train.classes, train_x=train_x, train_y=train.labels, test_x=test_x, test_y=test.labels
    )


def folder_parts(path: Path, config: DataConfig) -> tuple[Part, Part]:
    """(train, test) of the folder `path`, with equal classes. Raises DataError."""
    if not path.is_dir():
        what = "is a file, not a folder" if path.exists() else "no such folder"
        raise DataError(f"dataset.path: {path}: {what}; {_LAYOUT}; give the folder's path, or unpack the data there")
    tests = [path / name for name in TESTS if (path / name).is_dir()]
    if not (path / "train").is_dir():
        if tests or config.name == "imagenet":
            raise DataError(f"dataset.path: {path} has no folder train; {_LAYOUT}")
        whole = scan(path)
        train, test = split(path.name, whole.labels, config)
        return whole.of(train), whole.of(test)
    if not tests:
        raise DataError(f"dataset.path: {path} has a folder train but no folder test (or val); {_LAYOUT}")
    first, second = scan(path / "train"), scan(tests[0])
    if first.classes != second.classes:
        odd = sorted(set(first.classes) ^ set(second.classes))
        names = ", ".join(odd[:8]) + (f" and {len(odd) - 8} more" if len(odd) > 8 else "")
        raise DataError(
            f"dataset.path: {path}: train and {tests[0].name} differ in their classes ({names}); make them the same, "
            "or unpack what is missing"
        )
    both = len(first.identities & second.identities)
    if both:
        raise DataError(
            f"dataset.path: {path}: {both:,} files of {tests[0].name} are those of train (links); images "
            "of the training set test nothing; give separate test images"
        )
    return first, second


def scan(path: Path) -> Part:
    """The images of `<path>/<class>/`. Raises DataError if there are none, a class has none, or one counts twice."""
    found = find_images(path, _LAYOUT)
    return Part(
        classes=found.classes, files=found.files, labels=np.array(found.labels, dtype=np.int64),
        identities=found.identities,
    )  # fmt: skip


def _images(
    part: Part, config: DataConfig, root: Path, cache: Path | None, progress: Progress, *, training: bool
) -> Images:
    shape = Shape.of(config.size, crop=config.name == "imagenet")
    transforms = config.transforms if training else ()
    decoded = len(part.files) * shape.height * shape.width * shape.channels
    if transforms or decoded > MEMORY_BYTES:
        return FileImages(part.files, shape, transforms, config.workers)
    key = _key(part, shape, root)
    array = cached.read_cached(cache, key)
    return array if array is not None else cached.write_cached(cache, key, _decoded(part, shape, root, progress))


def _key(part: Part, shape: Shape, root: Path) -> str:
    """Digest of everything that the decoded array depends on, contents by size and time of change."""
    files = []
    for name in part.files:
        status = Path(name).stat()
        files.append((Path(name).relative_to(root).as_posix(), status.st_size, status.st_mtime_ns))
    view = [shape.height, shape.width, shape.channels, shape.crop]
    return hashlib.sha256(json.dumps([view, files]).encode()).hexdigest()


def _decoded(part: Part, shape: Shape, root: Path, progress: Progress) -> np.ndarray:
    _log.info("%s: decoding %d images of %d classes", root, len(part.files), len(part.classes))
    decoder = Decoder(shape)
    x = np.empty((len(part.files), shape.height, shape.width, shape.channels), dtype=np.uint8)
    progress.start("decoding images", len(part.files))
    for i, file in enumerate(part.files):
        x[i] = decoder.still(open_image(Path(file)))
        progress.advance()
    progress.finish()
    return x
