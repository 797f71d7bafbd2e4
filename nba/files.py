# SPDX-License-Identifier: Apache-2.0
"""Writing files so that a reader, or a kill, never sees half of one."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def write_atomic_bytes(path: Path, data: bytes) -> None:
    """Replace `path` by `data` in one step; leaves the file alone if it already holds `data`."""
    if path.is_file() and path.read_bytes() == data:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    fd, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(fd, "wb") as handle:
            handle.write(data)
            handle.flush()
            os.fsync(handle.fileno())
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(name, 0o666 & ~umask)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def write_atomic(path: Path, text: str) -> None:
    """`write_atomic_bytes` for UTF-8 text with Unix line ends."""
    write_atomic_bytes(path, text.encode("utf-8"))
