# SPDX-License-Identifier: Apache-2.0
"""A run that ends in the middle, within one process."""

from __future__ import annotations


class Stopped(Exception):
    """The run ends here."""


class StopAt:
    """A progress observer that ends its run after some epochs."""

    def __init__(self, epochs: int):
        self.left = epochs

    def start(self, task: str, total: int | None = None) -> None:
        """Ignored."""

    def advance(self, n: int = 1, note: str = "") -> None:
        """One epoch less."""
        self.left -= n
        if self.left == 0:
            raise Stopped

    def finish(self) -> None:
        """Ignored."""
