# SPDX-License-Identifier: Apache-2.0
"""Processes of a test: waiting for what they do, however long it takes, and finding all that they started.

Nothing here has a time-out: how fast the machine is decides nothing, and pytest's own ends what hangs.
"""

from __future__ import annotations

import os
import subprocess
import time
import uuid
from collections.abc import Callable
from pathlib import Path

from nba.core.sources import PACKAGE

MARK = "NBA_TEST_MARK"
"""A variable that a process hands down to all that it starts."""


def marked_environment(**more: str) -> dict[str, str]:
    """The environment with a mark of its own and this checkout's package."""
    return {**os.environ, "PYTHONPATH": str(PACKAGE.parent), MARK: uuid.uuid4().hex, **more}


def alive(environment: dict[str, str]) -> set[int]:
    """All living processes that were started in `environment`, at any depth."""
    wanted, found = f"{MARK}={environment[MARK]}".encode(), set()
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                ended = (process / "stat").read_bytes().rpartition(b")")[2].split()[0] in (b"Z", b"X")
                if not ended and wanted in (process / "environ").read_bytes().split(b"\0"):
                    found.add(int(process.name))
            except OSError:
                continue
    return found


def wait_until(holds: Callable[[], object], process: subprocess.Popen[str] | None = None) -> None:
    """Return once `holds()`; fails if `process` ends before."""
    while not holds():
        if process is not None and process.poll() is not None:
            assert holds(), f"ended with {process.returncode}: {process.communicate()}"
            return
        time.sleep(0.02)
