# SPDX-License-Identifier: Apache-2.0
"""Which files of a folder are images of which class. Every image counts once, under one class: links that lead round in
a circle or to another class are refused, and nothing but plain files is ever opened."""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nba.core.errors import DataError

_log = logging.getLogger(__name__)
EXTENSIONS = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")
"""Endings of image files, in small letters."""
STRAY = frozenset({"__MACOSX", "__pycache__", "lost+found", "$RECYCLE.BIN", "System Volume Information", "@eaDir"})
"""Folders that unpacking, file systems and tools leave behind; hidden ones (`.git`, `.ipynb_checkpoints`) besides."""
_ARCHIVES = (".tar", ".zip", ".gz", ".tgz")
Identity = tuple[int, int]
"""Device and number of a file or folder: the same for all links to it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageFiles:
    """The class names, sorted, and the image files with the number of their class, class by class and sorted by folder
    and name. `identities` say which files they are, whatever link led there."""

    classes: tuple[str, ...]
    files: tuple[str, ...]
    labels: tuple[int, ...]
    identities: frozenset[Identity]


def stray(name: str) -> bool:
    """Whether a file or folder of this name is nobody's data."""
    return name.startswith(".") or name in STRAY


def find_images(path: Path, layout: str) -> ImageFiles:
    """The images of `<path>/<class>/`. Raises DataError if there are fewer than two classes, a class has no images,
    or a file or folder counts twice; `layout` says what was expected."""
    classes, skipped = class_names(path)
    if skipped:
        _log.warning("%s: skipped, since these are no classes: %s", path, ", ".join(skipped))
    files: list[str] = []
    labels: list[int] = []
    seen = _Seen()
    empty = []
    for label, name in enumerate(classes):
        found = sorted(_images(path / name, name, seen, ()))
        if not found:
            empty.append(name)
        files += [os.path.join(folder, file) for folder, file in found]
        labels += [label] * len(found)
    if not files or empty:
        raise DataError(f"dataset.path: {path}: no images found{_whose(empty)}{_hint(path)}; {layout}")
    if len(classes) < 2:
        raise DataError(f"dataset.path: {path}: holds one class ({classes[0]}); at least two are needed; {layout}")
    return ImageFiles(
        classes=tuple(classes), files=tuple(files), labels=tuple(labels), identities=frozenset(seen.images)
    )  # fmt: skip


def _whose(empty: list[str]) -> str:
    shown = ", ".join(empty[:8]) + (f" and {len(empty) - 8} more" if len(empty) > 8 else "")
    return f" in the class{'es' if len(empty) > 1 else ''} {shown}" if empty else ""


def _hint(path: Path) -> str:
    there = sorted(entry.name for entry in os.scandir(path) if not _is_folder(entry))
    archives = [name for name in there if name.endswith(_ARCHIVES)]
    if archives:
        return f"; unpack {archives[0]} there"
    flat = any(name.lower().endswith(EXTENSIONS) for name in there)
    return "; move its images into one folder per class" if flat else ""


def class_names(path: Path) -> tuple[list[str], list[str]]:
    """Names of the folders in `path`, sorted: those of classes, and those that are nobody's data. Raises
    DataError if it cannot be read, or if a class has a name that cannot be printed."""
    try:
        names = sorted(entry.name for entry in os.scandir(path) if _is_folder(entry))
    except OSError as err:
        raise DataError(f"dataset.path: {path}: cannot be read ({err.strerror})") from None
    classes = [name for name in names if not stray(name)]
    for name in classes:
        # Such a name can stand in no JSON and on no page: the whole run would end with a bundle that is refused.
        if not name.isprintable():
            raise DataError(
                f"dataset.path: {path}: the folder {name!a} holds bytes that are not UTF-8 text, or control "
                "characters; a class needs a name that can be printed; rename it"
            )
    return classes, [name for name in names if stray(name)]


class _Seen:
    """Which folders and images were met already, and where."""

    def __init__(self) -> None:
        self.known: dict[Identity, tuple[str, str, bool]] = {}
        self.images: set[Identity] = set()

    def meet(self, status: os.stat_result, place: str, label: str, link: bool) -> None:
        """Raise DataError if a link led to this file or folder before. Hard links within a class, as they come from
        tools that save space, are equal images like any others."""
        here, folder = (status.st_dev, status.st_ino), stat.S_ISDIR(status.st_mode)
        if not folder:
            self.images.add(here)
        before, of, linked = self.known.setdefault(here, (place, label, link))
        if before != place and (folder or of != label or link or linked):
            what = "holds the same folder" if folder else "is the same file"
            also = "would count its images twice" if of == label else f"would have the classes {of} and {label}"
            raise DataError(f"dataset.path: {place}: {what} as {before} (a link), and {also}; remove one of them")


def _images(folder: Path, label: str, seen: _Seen, above: tuple[Identity, ...]) -> Iterator[tuple[str, str]]:
    """(folder, file name) of every image below `folder`, of the class `label`. `above`: the folders that it lies in."""
    status = folder.stat()
    here = (status.st_dev, status.st_ino)
    if here in above:
        raise DataError(f"dataset.path: {folder}: a link that leads back to a folder above it; remove it")
    seen.meet(status, str(folder), label, folder.is_symlink())
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as err:
        raise DataError(f"dataset.path: {folder}: cannot be read ({err.strerror})") from None
    for entry in entries:
        if stray(entry.name):
            continue
        if _is_folder(entry):
            yield from _images(folder / entry.name, label, seen, (*above, here))
        elif entry.name.lower().endswith(EXTENSIONS):
            seen.meet(_plain(entry), entry.path, label, entry.is_symlink())
            yield str(folder), entry.name


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself
        return False


def _plain(entry: os.DirEntry[str]) -> os.stat_result:
    """The state of an image file. Raises DataError unless it is a plain file (or a link to one)."""
    try:
        status = entry.stat()
    except OSError as err:
        what = "a link to nothing" if entry.is_symlink() else f"cannot be read ({err.strerror})"
        raise DataError(f"dataset.path: {entry.path}: {what}; remove it, or get the image again") from None
    if not stat.S_ISREG(status.st_mode):
        raise DataError(f"dataset.path: {entry.path}: a pipe, socket or device, not an image; remove it")
    return status
