# SPDX-License-Identifier: Apache-2.0
"""Writing files so that a reader, or a kill, never sees half of one; what is written sealed is known to be whole."""

from __future__ import annotations

import errno
import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nba.core.errors import DiskError, SpecError

PART = ".part"
"""End of the names of files that are being written; one that is left is of a process that was killed."""
BEFORE = ".before"
"""End of the names of checkpoints before the newest."""

_ADVICE = {
    errno.ENOSPC: "free some space there",
    errno.EDQUOT: "free some of your quota there",
    errno.EFBIG: "raise the limit of the size of files (ulimit -f), or use another file system",
    errno.EROFS: "make the file system writable, or give another folder",
    errno.EIO: "look at the disk or its mount",
    errno.ENOTCONN: "look at its mount",
    errno.ESTALE: "look at its mount",
}
"""What to do where a file cannot be written, though nothing is wrong with its name."""


def disk_error(path: object, err: OSError) -> DiskError | None:
    """What is wrong with the disk that holds `path`, and what to do; None if `err` is about something else."""
    advice = _ADVICE.get(err.errno or 0)
    return None if advice is None else DiskError(f"{path}: cannot be written: {err.strerror}; {advice}")


def expanded(path: Path | str, field: str) -> Path:
    """`path` with a home folder in place of `~` or `~user`. field: what gives it, an option or a field of a file.
    Raises SpecError where that folder is not known."""
    try:
        return Path(path).expanduser()
    except (RuntimeError, ValueError):
        raise SpecError(
            f"{field}: {str(path)!a:.200}: this machine does not know the home folder that `~` stands for; give the "
            "path without `~`"
        ) from None


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Errors of the disk in this block are about `path`. Raises DiskError for them."""
    try:
        yield
    except OSError as err:
        found = disk_error(path, err)
        if found is None:
            raise
        raise found from err


def write_atomic_bytes(path: Path, data: bytes) -> None:
    """Replace `path` by `data` in one step; leaves the file alone if it already holds `data`. Raises DiskError."""
    with naming(path):
        if path.is_file() and path.read_bytes() == data:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        fd, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=PART)
        try:
            with os.fdopen(fd, "wb") as handle:
                handle.write(data)
                handle.flush()
                os.fsync(handle.fileno())
            os.chmod(name, 0o666 & ~current_umask())
            os.replace(name, path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


def write_atomic(path: Path, text: str) -> None:
    """`write_atomic_bytes` for UTF-8 text with Unix line ends."""
    write_atomic_bytes(path, text.encode("utf-8"))


def current_umask() -> int:
    """The mask of permissions that new files get."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


_SEAL = b"\nnba-codesign sha256 "
SEAL_BYTES = len(_SEAL) + 64
"""Length of a seal."""


def seal(digest: bytes) -> bytes:
    """What follows data of that sha256 in a sealed file. Readers of zip and .npy files do not mind it."""
    return _SEAL + digest.hex().encode()


def write_sealed(path: Path, data: bytes) -> None:
    """`write_atomic_bytes` of `data` and its seal."""
    write_atomic_bytes(path, data + seal(hashlib.sha256(data).digest()))


def unsealed(content: bytes) -> bytes | None:
    """The data in the content of a sealed file; None if one bit of it is not as it was written."""
    data = content[:-SEAL_BYTES]
    return data if content[len(data) :] == seal(hashlib.sha256(data).digest()) else None
