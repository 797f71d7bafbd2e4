# SPDX-License-Identifier: Apache-2.0
"""benchmarks/figures.json: every headline figure once, with what measured it, at which commit, when and where.

Benchmarks write it with `record`, never by hand; README.md and RESULTS.md are generated from it
(benchmarks/render_docs.py). A figure that was not measured is not there.
"""

from __future__ import annotations

import json
import math
import re
import subprocess
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock

from nba.core.arithmetic import cores, cpu
from nba.core.files import write_atomic

ROOT = Path(__file__).resolve().parent.parent
FILE = ROOT / "benchmarks" / "figures.json"
KEY = re.compile(r"[a-z0-9_]+(\.[a-z0-9_]+)+")
GENERATED = ("benchmarks/figures.json", "benchmarks/recorded", "benchmarks/RESULTS.md", "README.md")
"""What recording changes itself: it does not count as a change of the tree."""

CHANGED = "+changes"
"""Behind the name of a commit from which the measured tree differed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """One measured figure. commit: of the tree that measured it, with "+changes" if the tree had any."""

    value: int | float
    unit: str
    command: str
    commit: str
    date: str
    machine: str


def record(
    key: str, value: int | float, unit: str, command: str, *, path: Path = FILE, measured_at: str | None = None
) -> Figure:
    """Put a figure into the file at `path`, in the place of an earlier one of that key. measured_at: the commit that
    was measured, where it may no longer be this tree's (default: `commit()`). Raises ValueError for a value that is no
    finite number, or a key that is not words of a-z, 0-9 and _ with points between them."""
    _check(key, value)
    figure = Figure(
        value=value, unit=unit, command=command, commit=measured_at or commit(), machine=machine(),
        date=datetime.now(UTC).date().isoformat(),
    )  # fmt: skip
    with FileLock(path.with_name(f".{path.name}.lock")):
        found = {**(read(path) if path.exists() else {}), key: figure}
        raw = {name: asdict(found[name]) for name in found}
        write_atomic(path, json.dumps(raw, indent=1, sort_keys=True) + "\n")
    return figure


def read(path: Path = FILE) -> dict[str, Figure]:
    """All figures by key, sorted. Raises ValueError, naming the key, if one is not as `record` writes it."""
    raw = json.loads(path.read_text(encoding="utf-8"))
    found = {}
    for key in sorted(raw):
        try:
            figure = Figure(**raw[key])
        except TypeError as err:
            raise ValueError(f"{path}: {key}: {err}; record the figure again") from None
        _check(key, figure.value)
        found[key] = figure
    return found


def _check(key: str, value: object) -> None:
    if not KEY.fullmatch(key):
        raise ValueError(f"{key!r}: no key of a figure; legal: words of a-z, 0-9 and _ with points between them")
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{key}: {value!r} is no finite number; a figure that was not measured is left out")


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""


def commit() -> str:
    """The commit of this tree, "+changes" behind it if anything but what is generated differs from it."""
    name = _git("rev-parse", "--short=12", "HEAD")
    if not name:
        return "unknown"
    changed = _git("status", "--porcelain", "--", ".", *(f":(exclude){path}" for path in GENERATED))
    return f"{name}{CHANGED}" if changed else name


def machine() -> str:
    """CPU model and number of cores."""
    found = cores()
    return f"{cpu()}, {found} core{'s' if found > 1 else ''}"
