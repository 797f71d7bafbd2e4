# SPDX-License-Identifier: Apache-2.0
"""No process outlives the run that started it, however that run ends.

As a program (nba.core.tools starts every external tool by it): `python -I -S supervisor.py PARENT COMMAND...` runs
COMMAND, passes its exit status on, and kills all of its descendants once COMMAND ends, SIGTERM comes, or the process
PARENT is gone. Descendants that lost their own parents are found too. `die_with_parent` is for forks of our own.

It needs Linux (nothing happens elsewhere) and imports nothing but the standard library.
"""

from __future__ import annotations

import itertools
import os
import signal
import sys
import time
from typing import NoReturn

LINUX = sys.platform.startswith("linux")
"""Whether the kernel can do what this module asks of it."""
_SET_PDEATHSIG, _SET_CHILD_SUBREAPER = 1, 36
_LOOK_EVERY_S = 0.2
_END = signal.SIGTERM
_ORPHANED = signal.SIGUSR1
"""From the kernel, when the thread that started the supervisor ends; that is not always the whole process."""
_WAITED_FOR = (_END, _ORPHANED, signal.SIGCHLD)


def _prctl(option: int, value: int) -> None:
    import ctypes

    ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def die_with_parent(parent: int, number: int = signal.SIGKILL) -> None:
    """Let the kernel send signal `number` to this process when the process `parent`, which forked it, ends; at once if
    that has ended already."""
    if LINUX:
        _prctl(_SET_PDEATHSIG, number)
        if os.getppid() != parent:
            os.kill(os.getpid(), number)


def descendants(of: int) -> set[int]:
    """All processes below the process `of`; those that have ended and wait for their parents are left out. Without
    /proc none is found."""
    parents: dict[int, int] = {}
    for name in filter(str.isdigit, os.listdir("/proc") if os.path.isdir("/proc") else ()):
        try:
            with open(f"/proc/{name}/stat", "rb") as handle:
                state, parent = handle.read().rpartition(b")")[2].split()[:2]
        except (OSError, ValueError):  # it ended meanwhile
            continue
        if state not in (b"Z", b"X"):
            parents[int(name)] = int(parent)
    found: set[int] = set()
    grown = {of}
    while grown:
        grown = {child for child, parent in parents.items() if parent in grown} - found
        found |= grown
    return found


def _clear() -> None:
    """Kill all descendants, and those that they start meanwhile. They are stopped first: no shell lives to report the
    death of what it had started."""
    while left := descendants(os.getpid()):
        for what, number in itertools.product((signal.SIGSTOP, signal.SIGKILL), left):
            try:
                os.kill(number, what)
            except ProcessLookupError:
                continue
        _reap()
        time.sleep(0.005)


def _reap(wanted: int = 0) -> int | None:
    """Collect the children that have ended; the wait status of `wanted`, if that is one of them."""
    found = None
    try:
        while True:
            number, status = os.waitpid(-1, os.WNOHANG)
            if number == 0:
                return found
            if number == wanted:
                found = status
    except ChildProcessError:
        return found


def _end_as(status: int) -> int:
    """Exit status for a wait status; a signal is passed on by dying of it."""
    if not os.WIFSIGNALED(status):
        return os.WEXITSTATUS(status)
    import resource

    number = os.WTERMSIG(status)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if number != signal.SIGKILL:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})
    os.kill(os.getpid(), number)
    return 128 + number


def supervise(parent: int, command: list[str]) -> int:
    """Run `command` while the process `parent` lives; its exit status, 143 where it was ended from outside."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _WAITED_FOR)
    _prctl(_SET_PDEATHSIG, _ORPHANED)
    _prctl(_SET_CHILD_SUBREAPER, 1)
    me = os.getpid()
    child = os.fork()
    if child == 0:
        _become(command, me)
    while True:
        came = signal.sigtimedwait(_WAITED_FOR, _LOOK_EVERY_S)
        status = _reap(child)
        if status is not None or (came is not None and came.si_signo == _END) or os.getppid() != parent:
            _clear()
            return 143 if status is None else _end_as(status)


def _become(command: list[str], supervisor: int) -> NoReturn:
    """In the child: the command, with signals as a shell would give them."""
    try:
        die_with_parent(supervisor)
        for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores them
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _WAITED_FOR)
        os.execv(command[0], command)
    except OSError as err:
        os.write(2, f"{command[0]}: cannot be started ({err.strerror})\n".encode())
    finally:
        os._exit(126)


if __name__ == "__main__":
    sys.exit(supervise(int(sys.argv[1]), sys.argv[2:]))
