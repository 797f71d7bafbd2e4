# SPDX-License-Identifier: Apache-2.0
"""External programs: what they print and how they end, and that none outlives the run that started it."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from nba.core.errors import DiskError, ToolError
from nba.core.tools import run_tool
from tests.processes import alive, marked_environment, wait_until

SLOW = """#!/bin/sh
# A tool with a child, a grandchild, a child that left its session and an orphan; all of them ignore what they can.
trap '' TERM HUP INT
sleep 1000000 &
sh -c 'trap "" TERM HUP INT; sleep 1000000; true' &
setsid sh -c 'trap "" TERM; sleep 1000000; true' &
sh -c 'setsid sleep 1000000 & exit 0'
touch {ready}
exec {last}
"""
CALL = """
import sys
from pathlib import Path
from nba.core.tools import run_tool
run_tool(["slow"], cwd=Path(sys.argv[1]))
"""
IN_A_THREAD = """
import sys, threading, time
from pathlib import Path
from nba.core import tools
def start():
    tools.subprocess.Popen.communicate = lambda *given, **more: ("", None)
    tools.run_tool(["slow"], cwd=Path(sys.argv[1]), check=False)
thread = threading.Thread(target=start)
thread.start()
thread.join()
Path(sys.argv[1], "joined").touch()
time.sleep(1e6)
"""


def _tool(folder: Path, name: str, last: str = "sleep 1000000") -> Path:
    path, ready = folder / name, folder / "ready"
    path.write_text(SLOW.format(ready=ready, last=last))
    path.chmod(0o755)
    return ready


def _all_of(env: dict[str, str]) -> set[int]:
    """The processes of a run with one tool, once the children of its children are there too: the run, its supervisor,
    and the seven of SLOW."""
    wait_until(lambda: len(alive(env)) == 9)
    return alive(env)


def _environment(folder: Path) -> dict[str, str]:
    return marked_environment(PATH=f"{folder}:/usr/bin:/bin")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_nothing_outlives_a_run_that_is_killed(tmp_path: Path, number: signal.Signals) -> None:
    ready, env = _tool(tmp_path, "slow"), _environment(tmp_path)
    process = subprocess.Popen([sys.executable, "-c", CALL, str(tmp_path)], env=env, text=True)
    wait_until(ready.exists, process)
    _all_of(env)
    process.send_signal(number)
    assert process.wait() == -number
    wait_until(lambda: not alive(env))


def test_a_tool_outlives_the_thread_that_started_it(tmp_path: Path) -> None:
    """The kernel reports the end of a thread as that of a parent."""
    ready, env = _tool(tmp_path, "slow"), _environment(tmp_path)
    process = subprocess.Popen([sys.executable, "-c", IN_A_THREAD, str(tmp_path)], env=env, text=True)
    wait_until(lambda: ready.exists() and (tmp_path / "joined").exists(), process)
    before = _all_of(env)
    # The supervisor has looked at its parent since: it forks nothing, so its clock of wake-ups must have moved on.
    supervisor = next(pid for pid in before if b"supervisor.py" in Path(f"/proc/{pid}/cmdline").read_bytes())
    switches = _switches(supervisor)
    wait_until(lambda: _switches(supervisor) > switches + 2)
    assert alive(env) == before
    process.kill()
    process.wait()
    wait_until(lambda: not alive(env))


def _switches(pid: int) -> int:
    text = Path(f"/proc/{pid}/status").read_text()
    return int(text.partition("\nvoluntary_ctxt_switches:")[2].split()[0])


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_nothing_outlives_a_command(tmp_path: Path, number: signal.Signals) -> None:
    """A command with slow tools on PATH, stopped in every way there is."""
    ready, env = _tool(tmp_path, "iverilog"), _environment(tmp_path)
    for tool in ("g++", "make", "perl"):
        (tmp_path / tool).symlink_to("iverilog")
    process = subprocess.Popen(
        [sys.executable, "-m", "nba", "doctor"], env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    wait_until(ready.exists, process)
    process.send_signal(number)
    _, stderr = process.communicate()
    wait_until(lambda: not alive(env))
    status, word = {
        signal.SIGKILL: (-9, ""), signal.SIGINT: (130, "nba-codesign: interrupted\n"),
    }.get(number, (143, "nba-codesign: terminated\n"))  # fmt: skip
    assert (process.returncode, stderr) == (status, word)


def test_a_tool_leaves_nothing_behind(tmp_path: Path) -> None:
    """Neither when it ends nor when its time is over."""
    env = _environment(tmp_path)
    _tool(tmp_path, "slow", last="echo done")
    assert run_tool(["slow"], cwd=tmp_path, env=env).output == "done\n"
    assert alive(env) == set()
    _tool(tmp_path, "slow")
    with pytest.raises(ToolError, match=r"slow: no result after 0\.2 s"):
        run_tool(["slow"], cwd=tmp_path, timeout_s=0.2, env=env, log_path=tmp_path / "slow.log")
    assert alive(env) == set()


@pytest.mark.parametrize(
    ("script", "status"),
    [("exit 0", 0), ("exit 7", 7), ("kill -9 $$", -9), ("kill -15 $$", -15), ("kill -11 $$", -11),
     ("yes | head -1 > /dev/null", 0), ("kill -13 $$; exit 3", -13)],
)  # fmt: skip
def test_the_exit_status_is_the_tools(tmp_path: Path, script: str, status: int) -> None:
    """Signals too: those that Python ignores itself are not ignored by what it starts."""
    done = run_tool(["sh", "-c", script], cwd=tmp_path, check=False)
    assert done.returncode == status


def test_a_failing_tool_is_explained(tmp_path: Path) -> None:
    (tmp_path / "broken").write_text("no program")
    (tmp_path / "broken").chmod(0o755)
    with pytest.raises(ToolError, match=r"exit status 126.*\n.*broken: cannot be started \(Exec format error\)"):
        run_tool([str(tmp_path / "broken")], cwd=tmp_path)
    with pytest.raises(ToolError, match=r"(?s)exit status 4; whole log: .*x\.log\nwhy"):
        run_tool(["sh", "-c", "echo why; exit 4"], cwd=tmp_path, log_path=tmp_path / "x.log")
    assert (tmp_path / "x.log").read_text() == "why\n"
    with pytest.raises(DiskError, match=r"/dev/full: cannot be written: No space left on device; free some space"):
        run_tool(["echo", "x"], cwd=tmp_path, log_path=Path("/dev/full"))
    with pytest.raises(ToolError, match="nowhere: not found on PATH"):
        run_tool(["nowhere"], cwd=tmp_path)
