# SPDX-License-Identifier: Apache-2.0
"""Reading .npz files that others wrote: nothing is unpacked before its size is known to be that of its array, and
nothing but integers is read."""

from __future__ import annotations

import io
import math
import re
import zipfile
import zlib
from collections.abc import Collection, Iterable
from pathlib import Path

import numpy as np

from nba.core.jsonfile import read_bytes, shown

_MAX_BYTES = 1 << 29
"""Of a file, and of all arrays that are read from it."""
MAX_MEMBERS = 1 << 17
_HEADER = re.compile(
    rb"\{'descr': '([<>|][iu][1248])', 'fortran_order': (True|False), 'shape': \(([0-9, ]{0,120})\), \} *\n"
)


def read_npz(path: Path, names: Collection[str] | None = None, limit: int = _MAX_BYTES) -> dict[str, np.ndarray]:
    """The integer arrays `names` (None: all) of an .npz file.

    Raises OSError if it cannot be read, ValueError if it is damaged, lacks one of them, holds anything else under
    such a name, or would take more than `limit` bytes.
    """
    data = read_bytes(path, limit)
    if data[:6] == b"\x93NUMPY":
        raise ValueError("a single array (.npy), not an archive of arrays (.npz)")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return _arrays(archive, names, limit)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OverflowError) as err:
        raise ValueError(f"not a whole .npz file ({err})") from None


def _arrays(archive: zipfile.ZipFile, names: Collection[str] | None, limit: int) -> dict[str, np.ndarray]:
    members = archive.infolist()
    if len(members) > MAX_MEMBERS:
        raise ValueError(f"it holds {len(members):,} entries; legal: at most {MAX_MEMBERS:,}")
    there = {info.filename.removesuffix(".npy"): info for info in members if info.filename.endswith(".npy")}
    wanted = list(there if names is None else names)
    missing = [name for name in wanted if name not in there]
    if missing:
        raise ValueError(f"it holds no array {shown(missing[0])}")
    total = sum(there[name].file_size for name in wanted)
    if total > limit:
        raise ValueError(f"its arrays have {total:,} bytes; legal: at most {limit:,}")
    return {name: _array(archive, there[name], name) for name in wanted}


def _array(archive: zipfile.ZipFile, info: zipfile.ZipInfo, name: str) -> np.ndarray:
    with archive.open(info) as handle:
        body = handle.read(info.file_size + 1)
    if body[:6] != b"\x93NUMPY" or body[6:7] not in (b"\x01", b"\x02"):
        raise ValueError(f"the entry {shown(name)} is no array")
    size = 2 if body[6] == 1 else 4
    begin = 8 + size
    end = begin + int.from_bytes(body[8:begin], "little")
    header = _HEADER.fullmatch(body, begin, min(end, len(body)))
    if header is None:
        raise ValueError(f"the array {shown(name)} is not one of integers")
    dtype, shape = np.dtype(header[1].decode()), tuple(map(int, re.findall(rb"[0-9]+", header[3])))
    wanted = math.prod(shape) * dtype.itemsize
    if len(body) - end != wanted:
        raise ValueError(f"the array {shown(name)} claims {wanted:,} bytes but holds {len(body) - end:,}")
    flat = np.frombuffer(body, dtype, offset=end)
    # A copy, so that the array owns its memory and can be written to, as np.load gives it.
    return flat.reshape(shape, order="F" if header[2] == b"True" else "C").copy()


def npz_bytes(arrays: Iterable[tuple[str, np.ndarray]]) -> bytes:
    """An .npz file of named arrays; the same arrays give the same bytes."""
    import io
    import zipfile

    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays:
            data = io.BytesIO()
            np.lib.format.write_array(data, np.ascontiguousarray(array), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy", (1980, 1, 1, 0, 0, 0)), data.getvalue())
    return buffer.getvalue()
