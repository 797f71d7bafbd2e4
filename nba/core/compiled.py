# SPDX-License-Identifier: Apache-2.0
"""Functions compiled by numba, whose machine code is kept on disk as long as nothing that it is made of changes.

numba itself compares the file of a function only, but code of other modules is inlined, with their constants. So the
cache of a module lies in a folder that is named after the digest of its sources and of all that it imports.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
from numba.extending import register_jitable

from nba.core.sources import PACKAGE, digest_source

log = logging.getLogger(__name__)

config: Any = numba.config

F = TypeVar("F", bound=Callable[..., Any])


def compiled(function: F) -> F:
    """`function` compiled."""
    return _compiled(function)


def fast(function: F) -> F:
    """`function` compiled, with sums in any order."""
    return _compiled(function, fastmath=True)


def inlined(function: F) -> F:
    """`function` compiled into each of its callers: for small ones, whose arguments cost more than what they do."""
    return _compiled(function, inline="always")


def kernel(function: F, *, inlined: bool = True) -> F:
    """`function` itself for Python, and compiled into compiled functions that call it: a formula that both need.

    Not `inlined`: called by them, for a function of several branches, which numba's inlining warns of.
    """
    register_jitable(inline="always" if inlined else "never")(function)
    return function


def kept_in() -> Path | None:
    """The folder that machine code is kept in; None if none can be written."""
    folder = _folder(__name__)
    return None if folder is None else folder.parent


def _compiled(function: F, **options: Any) -> F:
    folder = _folder(function.__module__)
    if folder is None:
        return cast(F, numba.njit(**options)(function))
    with _kept_in(folder):
        return cast(F, numba.njit(cache=True, **options)(function))


@contextmanager
def _kept_in(folder: Path) -> Iterator[None]:
    """numba asks for the folder when a function is decorated."""
    before = config.CACHE_DIR
    config.CACHE_DIR = str(folder)
    try:
        yield
    finally:
        config.CACHE_DIR = before


@cache
def _folder(module: str) -> Path | None:
    """Where the machine code of `module` is kept; None if no folder for that can be written."""
    bases = [Path(config.CACHE_DIR)] if config.CACHE_DIR else [PACKAGE / "__pycache__", Path.home() / ".cache" / "nba"]
    name = f"{module}-{digest_source(module)[:16]}"
    for base in bases:
        folder = base / "compiled" / name
        try:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / ".writable").touch()
        except OSError:
            continue
        for old in folder.parent.glob(f"{module}-*"):
            if old.name != name:
                shutil.rmtree(old, ignore_errors=True)
        return folder
    log.info("no folder for compiled code can be written; %s is compiled anew in every process", module)
    return None
