# SPDX-License-Identifier: Apache-2.0
"""Errors that a user can act on. The CLI prints their message alone and exits with status 2."""

from __future__ import annotations

from collections.abc import Iterable


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
        super().__init__(f"{where}:\n" + "\n".join(f"  - {p}" for p in self.problems))


class DeadlockError(DesignError):
    """The row schedule of a design cannot finish: some job waits for a row that never comes."""


class InfeasibleError(NbaError):
    """No design meets the budgets; the message names the budgets and the closest design found."""


class DivergedError(NbaError):
    """Training diverged: the loss is no number any more."""


class ToolError(NbaError):
    """An external program is missing or failed."""
