# SPDX-License-Identifier: Apache-2.0
"""Makes `runner` and `params` importable by the tests of this folder; simulations without processes in between."""

from __future__ import annotations

import os
import runpy
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from nba.core.tools import ToolResult
from nba.verify import rtl

sys.path.insert(0, str(Path(__file__).parent))


def _run_here(
    command: Sequence[str], *, log_path: Path | None = None, env: Mapping[str, str] | None = None, **_: Any
) -> ToolResult:
    """In place of nba.core.tools.run_tool: the command of nba.core.tools.python_command, in this process."""
    _python, _isolated, _option, _launch, paths, script, *arguments = command
    found, output = 0, StringIO()
    with (
        patch.dict(os.environ, dict(os.environ if env is None else env), clear=True),
        patch.object(sys, "argv", [script, *arguments]),
        patch.object(sys, "path", [str(Path(script).parent), *paths.split(os.pathsep)]),
        redirect_stdout(output),
        redirect_stderr(output),
    ):
        try:
            runpy.run_path(script, run_name="__main__")
        except SystemExit as end:
            found = int(end.code or 0)
    if log_path is not None:
        log_path.write_text(output.getvalue())
    return ToolResult(returncode=found, output=output.getvalue())


@pytest.fixture
def simulated_here() -> Iterator[None]:
    """A bundle's sim/run_sim.py runs in this process: to start Python and import cocotb's runner takes longer than many
    a simulation. test_simulation and test_forged start it as the product does."""
    with patch.object(rtl, "run_tool", _run_here):
        yield
