# SPDX-License-Identifier: Apache-2.0
"""Files that others wrote: read only where they are plain files of a bounded size, and as JSON only where every number
and every string in them can be used."""

from __future__ import annotations

import errno
import json
import math
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nba.core.errors import NbaError

MAX_JSON_BYTES = 64 << 20
"""Size of a JSON file; the largest that the product writes have a few MB."""
MAX_INT_DIGITS = 19
MAX_INT = (1 << 63) - 1
"""Integers of a file fit 64 bits."""
SHOWN = 60
"""Characters of a foreign text that a message repeats."""


RUN_AGAIN = "write it again with `nba-codesign run`"
"""What to do where a file that a run leaves is damaged."""


@contextmanager
def understood(where: str, again: str) -> Iterator[None]:
    """Within the block, a value that was read from `where` is taken apart: what fails because it has another shape, or
    holds numbers that nothing can be computed with, is raised as NbaError, which ends with what to do, `again`."""
    try:
        yield
    except (LookupError, TypeError, ValueError, ArithmeticError, AttributeError) as err:
        raise NbaError(f"{where}: damaged, or of another version ({err!r:.200}); {again}") from err


def read_bytes(path: Path, limit: int = MAX_JSON_BYTES) -> bytes:
    """The content of the plain file `path`, of at most `limit` bytes.

    Never waits for a pipe or a device. Raises OSError if it cannot be opened, ValueError if it is no plain file or is
    larger.
    """
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as handle:
        status = os.fstat(handle.fileno())
        if stat.S_ISDIR(status.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not stat.S_ISREG(status.st_mode):
            raise ValueError("a pipe, socket or device; give a plain file")
        data = handle.read(limit + 1) if status.st_size <= limit else b""
        if status.st_size > limit or len(data) > limit:
            raise ValueError(f"it has {max(status.st_size, len(data)):,} bytes; legal: at most {limit:,}")
    return data


def read_json(path: Path) -> Any:
    """The JSON value in the plain file `path`. Raises OSError if it cannot be read, ValueError if it is damaged: not
    UTF-8, not JSON, a field given twice, a number or string that nothing can be done with."""
    return parse_json(read_bytes(path, MAX_JSON_BYTES).decode("utf-8"))


def parse_json(text: str) -> Any:
    """The JSON value `text`. Raises ValueError, as `read_json`."""
    try:
        found = json.loads(
            text, parse_int=_integer, parse_float=_real, parse_constant=_constant, object_pairs_hook=_object
        )  # fmt: skip
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if "\\ud" in text.lower():
        _encodable(found)
    return found


def shown(value: object) -> str:
    """`value` as a message repeats it: at most `SHOWN` characters, on one line."""
    return f"{value!r:.{SHOWN}}"


def _integer(digits: str) -> int:
    if len(digits.lstrip("-")) > MAX_INT_DIGITS or abs(int(digits)) > MAX_INT:
        raise ValueError(f"the integer {digits[:24]}{'...' if len(digits) > 24 else ''} does not fit 64 bits")
    return int(digits)


def _real(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError(f"the number {digits[:24]} is too large")
    return value


def _constant(name: str) -> float:
    raise ValueError(f"{name} is not a number that a file may hold")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise ValueError(f"repeated field {shown(twice)}")
    return found


def _encodable(value: Any) -> None:
    """Raise ValueError if a string in `value` holds half of a surrogate pair, which no encoding can write."""
    todo = [value]
    while todo:
        item = todo.pop()
        if isinstance(item, str) and any("\ud800" <= c <= "\udfff" for c in item):
            raise ValueError(f"the text {ascii(item)[:SHOWN]} holds half of a surrogate pair")
        if isinstance(item, dict):
            todo.extend((*item, *item.values()))
        elif isinstance(item, list):
            todo.extend(item)
