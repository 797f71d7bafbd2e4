# SPDX-License-Identifier: Apache-2.0
"""Errors that a user can act on. The CLI prints their message alone and exits with status 2."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

MAX_LINES = 50
"""Problems that one message lists; a file that is wrong throughout has many thousands."""
MAX_LINE = 1200
"""Characters of each: what a message repeats of a file may be of any length."""


def listed(problems: Sequence[str]) -> str:
    """The lines of a message that name `problems`, one each, as far as anybody reads them."""
    lines = [f"  - {p if len(p) <= MAX_LINE else p[:MAX_LINE] + ' ...'}" for p in problems[:MAX_LINES]]
    if len(problems) > MAX_LINES:
        lines.append(f"  - and {len(problems) - MAX_LINES:,} more")
    return "\n".join(lines)


class NbaError(Exception):
    """A problem that the user can mend: the message says what, where, what is legal and what to do."""


class SpecError(NbaError):
    """The spec file, or a command-line value, is not valid."""


class DataError(NbaError):
    """A dataset is missing, incomplete or of the wrong kind."""


class DesignError(NbaError):
    """A design or its weights are corrupt, or describe hardware that the template cannot build."""

    def __init__(self, where: str, problems: Iterable[str]):
        self.problems = tuple(problems)
        super().__init__(f"{where}:\n" + listed(self.problems))


class DeadlockError(DesignError):
    """The row schedule of a design cannot finish: some job waits for a row that never comes."""


class InfeasibleError(NbaError):
    """No design meets the budgets; the message names the budgets and the closest design found."""


class DivergedError(NbaError):
    """Training diverged: the loss is no number any more."""


class DiskError(NbaError):
    """A file cannot be written: the disk is full, read-only or broken. Nothing that was finished is lost."""


class ToolError(NbaError):
    """An external program is missing or failed."""
