# SPDX-License-Identifier: Apache-2.0
"""Folders that are written as a whole, or not at all: build folders with their lock, and new folders."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from nba.core.errors import NbaError, SpecError
from nba.core.files import current_umask
from nba.flow.places import STATE


def _is_utf8(path: Path) -> bool:
    """Whether programs and files that know no other text can hold the path."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True


@contextmanager
def build_folder(build: Path) -> Iterator[None]:
    """Create and lock a build folder. Raises SpecError if it cannot be one, or if another run is working in it.

    A folder that was created here and in which nothing was finished is removed again when an error leaves the block.
    """
    if not _is_utf8(build.absolute()):
        raise SpecError(f"{str(build)!a}: the path holds bytes that are not UTF-8 text; give another folder with -o")
    if build.exists() and not build.is_dir():
        raise SpecError(f"{build}: is a file; give the path of a folder with -o")
    if build.is_dir() and any(build.iterdir()) and not (build / STATE).is_dir():
        raise SpecError(f"{build}: holds files that nba-codesign did not write; give another folder with -o")
    missing = [p for p in (build, *build.parents) if not p.exists()]
    try:
        (build / STATE).mkdir(parents=True, exist_ok=True)
        lock = FileLock(build / STATE / "lock")
        lock.acquire(timeout=0)
    except Timeout:
        raise SpecError(f"{build}: another nba-codesign is working in it; wait, or give another -o") from None
    except OSError as err:
        raise SpecError(f"{build}: cannot be written ({err.strerror}); give another folder with -o") from None
    try:
        yield
    except NbaError:
        done = (*(build / STATE).glob("*.json"), *(build / STATE / "work").glob("*/*"))
        if missing and not done:
            shutil.rmtree(build)
            for parent in missing[1:]:
                parent.rmdir()
        raise
    finally:
        lock.release()


@contextmanager
def new_folder(place: Path, *, marker: str) -> Iterator[Path]:
    """An empty folder to write to, which takes the place of `place` once the block ends well; otherwise it vanishes.

    Only an empty folder, or one that holds the file `marker` (from an earlier run), is replaced. Raises SpecError.
    """
    if place.exists() and not place.is_dir():
        raise SpecError(f"{place}: is a file; give the path of a folder with -o")
    if place.is_dir() and any(place.iterdir()) and not (place / marker).is_file():
        raise SpecError(f"{place}: holds other files (no {marker}); give another folder with -o")
    target = place.resolve()
    missing = [p for p in target.parents if not p.exists()]
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}."))
    except OSError as err:
        raise SpecError(f"{place}: cannot be written ({err.strerror}); give another folder with -o") from None
    try:
        work.chmod(0o777 & ~current_umask())
        yield work
        replace_folder(work, target)
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        for parent in missing:
            with suppress(OSError):
                parent.rmdir()
        raise


def replace_folder(new: Path, place: Path) -> None:
    """Put the whole folder `new` at `place`, taking away what was there."""
    old = new.with_name(new.name + ".old")
    shutil.rmtree(old, ignore_errors=True)
    if place.exists():
        place.rename(old)
    new.rename(place)
    shutil.rmtree(old, ignore_errors=True)
