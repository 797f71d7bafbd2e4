# SPDX-License-Identifier: Apache-2.0
"""Decoded images, kept as sealed .npy files named by the digest of what they were made of."""

from __future__ import annotations

import hashlib
import logging
import os
import tempfile
from pathlib import Path
from typing import BinaryIO

import numpy as np

from nba.core.files import PART, SEAL_BYTES, seal

_log = logging.getLogger(__name__)
_BLOCK_BYTES = 1 << 20


def read_cached(folder: Path | None, key: str) -> np.ndarray | None:
    """The array kept under `key`, mapped into memory (copied on write); None if there is none that is whole."""
    if folder is None:
        return None
    path = folder / f"{key}.npy"
    try:
        if not _is_whole(path):
            raise ValueError("its digest does not match")
        return np.load(path, mmap_mode="c", allow_pickle=False)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, EOFError) as err:
        _log.warning("%s: damaged (%s); decoding the images again", path, err)
        return None


def write_cached(folder: Path | None, key: str, array: np.ndarray) -> np.ndarray:
    """Keep `array` under `key`, whole or not at all; returns it. A full disk costs the next start its speed only."""
    if folder is None:
        return array
    path = folder / f"{key}.npy"
    name = ""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        fd, name = tempfile.mkstemp(dir=folder, prefix=f".{key}.", suffix=PART)
        with os.fdopen(fd, "wb") as handle:
            hashed = _Hashed(handle)
            np.save(hashed, array)  # type: ignore[arg-type]
            handle.write(seal(hashed.sha256.digest()))
        os.replace(name, path)
    except OSError as err:
        _log.warning("%s: cannot be kept (%s)", path, err)
        if name:
            Path(name).unlink(missing_ok=True)
    return array


class _Hashed:
    """A file to write to, and the digest of what was written."""

    def __init__(self, handle: BinaryIO):
        self._handle = handle
        self.sha256 = hashlib.sha256()

    def write(self, data: bytes) -> int:
        """Write `data`."""
        self.sha256.update(data)
        return self._handle.write(data)


def _is_whole(path: Path) -> bool:
    """Whether a file bears the seal of its content."""
    left, sha256 = path.stat().st_size - SEAL_BYTES, hashlib.sha256()
    with path.open("rb") as handle:
        while left > 0 and (block := handle.read(min(left, _BLOCK_BYTES))):
            sha256.update(block)
            left -= len(block)
        return handle.read() == seal(sha256.digest())
