# SPDX-License-Identifier: Apache-2.0
"""log.txt of a stage: one line per epoch, to be read and searched; no result and no digest depends on it.

    2026-01-31T12:00:00Z search epoch 31 of 120 joint yes train_loss 1.2034 ... temperature 4.875 ... seconds 8.31

A killed run goes on in the same file, from the line of its last checkpoint.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

from nba.core.files import naming, write_atomic
from nba.core.sources import LOG
from nba.learn.train import ranks


class EpochLog:
    """Lines of the work `name` in log.txt of `folder` (None: nowhere), after the first `done` epochs of `total`."""

    def __init__(self, folder: Path | None, name: str, *, done: int, total: int):
        self.name, self.total = name, total
        self._path = None if folder is None or not ranks.current().writes else folder / LOG
        self._began_s = time.monotonic()
        if self._path is not None:
            old = self._path.read_text(encoding="utf-8", errors="replace").splitlines() if self._path.is_file() else []
            kept = [line for line in old if self._stays(line.split(), done)]
            write_atomic(self._path, "".join(f"{line}\n" for line in kept))

    def _stays(self, words: list[str], done: int) -> bool:
        """Whether a line is whole, and of other work or of an epoch that is done."""
        whole = len(words) > 7 and words[2] == "epoch" and words[3].isdigit() and words[-2] == "seconds"
        return whole and (words[1] != self.name or int(words[3]) < done)

    def write(self, epoch: int, values: Mapping[str, object]) -> None:
        """The line of an epoch that has just ended. Raises DiskError."""
        now_s = time.monotonic()
        seconds, self._began_s = now_s - self._began_s, now_s
        if self._path is None:
            return
        shown = {key: value for key, value in values.items() if key != "epoch"}
        said = " ".join(f"{key} {_text(value)}" for key, value in {**shown, "seconds": round(seconds, 2)}.items())
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        with naming(self._path), self._path.open("a", encoding="utf-8") as file:
            file.write(f"{stamp} {self.name} epoch {epoch} of {self.total} {said}\n")


def _text(value: object) -> str:
    """A value as one word; - where nothing was measured."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, tuple | list):
        return ",".join(_text(part) for part in value) or "-"
    return str(value)
