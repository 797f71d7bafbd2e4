# SPDX-License-Identifier: Apache-2.0
"""Decoded images, kept as .npy files named by the digest of what they were made of."""

from __future__ import annotations

import logging
import os
import tempfile
from pathlib import Path

import numpy as np

_log = logging.getLogger(__name__)


def read(folder: Path | None, key: str) -> np.ndarray | None:
    """The array kept under `key`, mapped into memory (copied on write); None if there is none that is whole."""
    if folder is None:
        return None
    path = folder / f"{key}.npy"
    try:
        return np.load(path, mmap_mode="c", allow_pickle=False)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, EOFError) as err:
        _log.warning("%s: not a readable array (%s); decoding the images again", path, err)
        return None


def write(folder: Path | None, key: str, array: np.ndarray) -> np.ndarray:
    """Keep `array` under `key`, whole or not at all; returns it. A full disk costs the next start its speed only."""
    if folder is None:
        return array
    path = folder / f"{key}.npy"
    name = ""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        fd, name = tempfile.mkstemp(dir=folder, prefix=f".{key}.")
        with os.fdopen(fd, "wb") as handle:
            np.save(handle, array)
        os.replace(name, path)
    except OSError as err:
        _log.warning("%s: cannot be kept (%s)", path, err)
        if name:
            Path(name).unlink(missing_ok=True)
    return array
