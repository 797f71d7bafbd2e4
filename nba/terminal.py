# SPDX-License-Identifier: Apache-2.0
"""How a command ends and what it says: exit status, messages on stderr, signals, closed streams, several processes.

Exit status: 0 what the command claims holds; 1 it does not (a differing output, a missing requirement); 2 the user can
mend it (spec, file, tool, budget); 3 a defect of nba-codesign; 130 interrupted, 141 nobody reads the output, 143
terminated. A reader of stderr alone that goes away ends nothing (nba.core.streams).
"""

from __future__ import annotations

import logging
import os
import shutil
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event
from types import FrameType
from typing import TYPE_CHECKING

import typer

from nba.core import arithmetic
from nba.core.errors import DiskError, NbaError, SpecError
from nba.core.files import disk_error
from nba.core.streams import lose, nobody_reads, say

if TYPE_CHECKING:
    from nba.doctor import Item
    from nba.flow.metrics import Line
    from nba.flow.metrics_model import Metrics
    from nba.learn.train.team import Team
    from nba.spec import Spec


class _Terminated(BaseException):
    """SIGTERM or SIGHUP, as an exception: what is running ends its child processes on the way out."""


_asked_to_end = Event()
"""Such a signal came. Foreign code that calls Python back (a compiler) may swallow the exception and fail in a way of
its own."""


def _terminate(signum: int, frame: FrameType | None) -> None:
    _asked_to_end.set()
    raise _Terminated


def _note_thread(failed: threading.ExceptHookArgs) -> None:
    """A writer's thread that the disk failed says so to the thread that waits for it, whose message is enough."""
    if isinstance(failed.exc_value, OSError):
        logging.getLogger(__name__).debug("in a thread", exc_info=failed.exc_value)
    else:
        threading.__excepthook__(failed)


def _err(text: str) -> bool:
    """Print an error; where torchrun started several processes, the first that fails does. Nothing is left to be done
    where stderr is gone, as after SIGHUP. Returns whether anybody may read what the command writes."""
    team = _joined()
    if isinstance(team, SpecError):
        team = None
    if team is None or team.speaks_first():
        try:
            say(text)
        except BrokenPipeError:
            return False
        finally:
            if team is not None:
                team.spoken()
    return True


def _team() -> Team | None:
    """The processes that torchrun started, if there are several. Raises SpecError where they cannot meet."""
    found = _joined()
    if isinstance(found, SpecError):
        raise found
    return found


class _Meeting:
    """What came of the meeting of the processes, if there was one."""

    tried = False
    found: Team | SpecError | None = None


def _joined() -> Team | SpecError | None:
    """See `_team`; tried once, and not again by the message about a signal that ends it."""
    if not _Meeting.tried:
        _Meeting.tried = True
        _Meeting.found = _join()
    return _Meeting.found


def _join() -> Team | SpecError | None:
    size = os.environ.get("WORLD_SIZE", "1")
    if "RANK" not in os.environ or size in ("", "0", "1"):
        return None
    if not (size.isascii() and size.isdigit()):
        return SpecError(
            f"WORLD_SIZE={size}: not a number of processes; torchrun sets it; unset it where torchrun does not start "
            "this program"
        )
    from nba.learn.train.team import Team

    try:
        return Team(lambda text: say(f"nba-codesign: {text}"))
    except SpecError as err:
        return err


@contextmanager
def guard(debug: bool, *, again: str = "") -> Iterator[None]:
    """Turn every way in which a command can end into its message and exit status; `again` follows an interruption."""
    logging.basicConfig(level=logging.DEBUG if debug else logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    for chatty in ("numba", "matplotlib", "asyncio", "PIL"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    threading.excepthook = _note_thread
    with _signals():
        try:
            try:
                yield
                if sys.stdout is not None:
                    sys.stdout.flush()
            except Exception as err:
                if _asked_to_end.is_set() and not isinstance(err, typer.Exit):
                    raise _Terminated from err
                raise
        except (typer.Exit, SystemExit):
            raise
        except BaseException as err:
            end = _ending(err, again)
            if end is None or (debug and not isinstance(err, KeyboardInterrupt | _Terminated | BrokenPipeError)):
                raise
            status, text = end
            if text and not _err(f"nba-codesign: {text}") and status == 2:
                status = 141
            if isinstance(err, OSError):
                lose(1)
            raise typer.Exit(status) from None


@contextmanager
def _signals() -> Iterator[None]:
    """SIGTERM and SIGHUP raise `_Terminated` within the block. What is ignored from the start stays so: that is how
    nohup works."""
    _asked_to_end.clear()
    caught = [number for number in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, _terminate) for number in caught}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _ending(err: BaseException, again: str) -> tuple[int, str] | None:
    """Exit status and message of a command that met `err`; None for what only a traceback explains."""
    if isinstance(err, KeyboardInterrupt):
        return 130, f"interrupted{again}"
    if isinstance(err, _Terminated):
        return 143, f"terminated{again}"
    if isinstance(err, NbaError):
        return 2, f"{err}{again if isinstance(err, DiskError) else ''}"
    if isinstance(err, BrokenPipeError):
        return 141, ""
    if isinstance(err, OSError):
        return 2, f"{_explained(err)}{again}"
    if isinstance(err, ModuleNotFoundError):
        own = (err.name or "").partition(".")[0] == "nba"
        text = f"the Python package {err.name} is missing; `nba-codesign doctor` says how to install it"
        return None if own else (2, text)
    if isinstance(err, MemoryError):
        what = f" ({' '.join(str(err).split())})" if str(err) else ""
        return 2, f"not enough memory{what}; use a machine with more memory, smaller images or smaller batches"
    if isinstance(err, Exception):
        return 3, f"internal error ({type(err).__name__}: {err}); please report it; --debug shows the traceback"
    return None


def _explained(err: OSError) -> str:
    """What an error of the system is about, and what to do, as far as that is known."""
    if isinstance(err, shutil.Error) and err.args and isinstance(err.args[0], list):
        return "; ".join(f"{target}: {why}" for _, target, why in err.args[0][:3])
    where = err.filename2 or err.filename or "standard output"
    return str(disk_error(where, err) or f"{where if err.filename else 'system'}: {err.strerror or err}")


def show(title: str, rows: tuple[Line, ...]) -> bool:
    """Print a closing table; returns whether every claim in it holds."""
    from nba.core.console import Console
    from nba.flow.metrics import WIDTH, grid

    Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH).print(grid(title, rows))
    return all(row.holds is not False for row in rows)


def run_stages(spec: Spec, given: Path | None, last: str, force: bool) -> tuple[Path, Metrics]:
    """Do the stages up to `last` in the folder `given`, or build/<name>, in this process or with those that torchrun
    started. Returns the folder and the content of metrics.json."""
    from nba.core.progress import on_stderr
    from nba.flow.commands import do_stages, follow

    out, processes = given or Path("build") / spec.name, _team()
    if processes is not None and not processes.leads:
        follow(processes, spec, out)
        raise typer.Exit
    with on_stderr() as (console, progress):
        found = do_stages(
            spec, out, last, progress=progress, say=lambda line: console.print(line, markup=False), force=force,
            team=processes,
        )  # fmt: skip
    return out, found


def end_with(title: str, metrics: Metrics) -> None:
    """Print the table of a part of the metrics; the status is 1 if a claim in it does not hold."""
    from nba.flow.metrics import table

    if not show(title, table(metrics)):
        raise typer.Exit(1)


def show_tools(items: Sequence[Item]) -> list[str]:
    """Print what nba.doctor found; returns the names of what is missing and required."""
    from rich.table import Table
    from rich.text import Text

    from nba.core.console import Console
    from nba.doctor import platform_line

    grid = Table(box=None, pad_edge=False)
    for title in ("", "version", "needed by", "install with"):
        grid.add_column(title, no_wrap=True)
    for item in items:
        state = Text(item.version) if item.version else Text("MISSING" if item.required else "missing", style="red")
        grid.add_row(item.name, state, item.needed_by, Text("" if item.version else item.install))
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 160)
    console.print(platform_line(), markup=False)
    console.print(grid)
    lacking = [item.name for item in items if item.required and not item.version]
    console.print(
        f"missing: {', '.join(lacking)}" if lacking else "everything that `run` needs is installed", markup=False
    )
    return lacking


def start(app: Callable[[], object]) -> None:
    """Run the program `app` with what it may take for granted about its streams, and end as they do."""
    for number in (0, 2):  # else the next file that is opened would take its place
        with suppress(OSError):
            if _is_closed(number):
                os.open(os.devnull, os.O_RDWR)
    if sys.stderr is None:
        sys.stderr = os.fdopen(2, "w", closefd=False)
    if sys.stdout is None:
        print("nba-codesign: standard output is closed; give it a file or a pipe (or /dev/null)", file=sys.stderr)
        sys.exit(2)
    arithmetic.pin()
    stdout = os.dup(1)  # rich puts another in the place of a pipe that breaks
    try:
        try:
            app()
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        lose(1)
        sys.exit(141)
    except OSError as err:
        _err(f"nba-codesign: {_explained(err)}")
        lose(1)
        sys.exit(2)
    except SystemExit as err:
        # So do rich and typer end where the help or a message of theirs meets a pipe that nobody reads.
        if not isinstance(err.__context__, BrokenPipeError):
            raise
        lose(2)
        sys.exit(141 if nobody_reads(stdout) else 2)


def _is_closed(number: int) -> bool:
    """Whether a file descriptor is closed."""
    try:
        os.fstat(number)
    except OSError:
        return True
    return False
