# SPDX-License-Identifier: Apache-2.0
"""Progress of long work: bars with time left on a terminal, a line every ten seconds elsewhere.

Stages receive a `Progress` and know nothing about terminals. Tasks nest: `start` opens one, `finish` closes the latest.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress

from nba.core.console import Console

log = logging.getLogger(__name__)

LINE_EVERY_S = 10.0
"""Seconds between two progress lines where there is no terminal."""


class Progress(Protocol):
    """What a stage may say about how far it is."""

    def start(self, task: str, total: int | None = None) -> None:
        """Begin `task` of `total` units (None: unknown)."""

    def advance(self, n: int = 1, note: str = "") -> None:
        """`n` more units of the current task are done; `note` (a loss, a name) replaces the one shown before."""

    def finish(self) -> None:
        """The current task is done."""


class Silent:
    """A `Progress` that says nothing."""

    def start(self, task: str, total: int | None = None) -> None:
        """See `Progress.start`."""

    def advance(self, n: int = 1, note: str = "") -> None:
        """See `Progress.advance`."""

    def finish(self) -> None:
        """See `Progress.finish`."""


class Bars:
    """A `Progress` of rich bars on a terminal; each task leaves no trace when it is finished."""

    def __init__(self, console: Console):
        self._rich = RichProgress(
            TextColumn("  {task.description}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
            console=console,
            transient=True,
        )
        self._tasks: list[TaskID] = []

    def start(self, task: str, total: int | None = None) -> None:
        """See `Progress.start`."""
        if not self._tasks:
            self._rich.start()
        self._tasks.append(self._rich.add_task(task, total=total, note=""))

    def advance(self, n: int = 1, note: str = "") -> None:
        """See `Progress.advance`."""
        if note:
            self._rich.update(self._tasks[-1], advance=n, note=note)
        else:
            self._rich.update(self._tasks[-1], advance=n)

    def finish(self) -> None:
        """See `Progress.finish`."""
        self._rich.remove_task(self._tasks.pop())
        if not self._tasks:
            self._rich.stop()

    def close(self) -> None:
        """Take all bars away, whatever is still open."""
        while self._tasks:
            self.finish()


@dataclass(kw_only=True, slots=True)
class _Task:
    name: str
    total: int | None
    began_s: float
    done: int = 0


class Lines:
    """A `Progress` of plain lines, at most one every `LINE_EVERY_S` seconds; for logs and pipes."""

    def __init__(self, console: Console):
        self._console = console
        self._tasks: list[_Task] = []
        self._said_s = time.monotonic()

    def start(self, task: str, total: int | None = None) -> None:
        """See `Progress.start`."""
        now = time.monotonic()
        self._tasks.append(_Task(name=task, total=total, began_s=now))

    def advance(self, n: int = 1, note: str = "") -> None:
        """See `Progress.advance`."""
        task = self._tasks[-1]
        task.done += n
        now = time.monotonic()
        if now - self._said_s < LINE_EVERY_S:
            return
        self._said_s = now
        of = f"/{task.total}" if task.total else ""
        left = ""
        if task.total and task.done:
            left = f", {(now - task.began_s) / task.done * max(0, task.total - task.done):.0f} s left"
        self._console.print(f"  {task.name}: {task.done}{of}{left}{f', {note}' if note else ''}", markup=False)

    def finish(self) -> None:
        """See `Progress.finish`."""
        self._tasks.pop()

    def close(self) -> None:
        """Forget all tasks."""
        self._tasks.clear()


@contextmanager
def on_stderr() -> Iterator[tuple[Console, Progress]]:
    """The console of stderr and the `Progress` that suits it; whatever happens, no bar is left on the terminal."""
    console = Console(file=sys.stderr, highlight=False, soft_wrap=True)
    progress = Bars(console) if console.is_terminal else Lines(console)
    try:
        yield console, progress
    finally:
        progress.close()
