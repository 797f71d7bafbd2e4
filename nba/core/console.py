# SPDX-License-Identifier: Apache-2.0
"""Consoles of rich, for which a pipe that nobody reads is no reason to end with a status that means something else."""

from __future__ import annotations

import sys

import rich.console

from nba.core.streams import stderr_broke


class Console(rich.console.Console):
    """See nba.core.streams."""

    def on_broken_pipe(self) -> None:
        """Called where writing raised BrokenPipeError; rich ends the program with status 1."""
        if self.file is not sys.stderr:
            raise BrokenPipeError
        self.quiet = True
        stderr_broke()
