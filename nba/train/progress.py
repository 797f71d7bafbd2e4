# SPDX-License-Identifier: Apache-2.0
"""How long work tells an observer how far it is. The command line draws bars; the library draws nothing."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Told of one task at a time: `start`, any number of `advance`, `finish`."""

    def start(self, task: str, total: int) -> None:
        """A task of `total` steps begins."""
        ...

    def advance(self, n: int = 1) -> None:
        """`n` more steps are done."""
        ...

    def finish(self) -> None:
        """The task is over."""
        ...


class Silent:
    """The observer that does nothing."""

    def start(self, task: str, total: int) -> None:
        """Ignored."""

    def advance(self, n: int = 1) -> None:
        """Ignored."""

    def finish(self) -> None:
        """Ignored."""
