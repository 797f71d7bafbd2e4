# SPDX-License-Identifier: Apache-2.0
"""How one case ends: accepted, refused with one message, an internal error, or a hang."""

from __future__ import annotations

import faulthandler
import random
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from nba.core.errors import NbaError

ACCEPTED, REFUSED, INTERNAL, HANG = "accepted", "refused", "INTERNAL ERROR", "HANG"
BAD = (INTERNAL, HANG)
MAX_MESSAGE = 80_000
"""Characters of a refusal: a list of 50 problems, each with what it found."""
WAITS = 6
"""Times the limit that a case may take by the clock: the machine may have other work."""
HARD = 12
"""Times the limit after which a case that no signal can end takes the whole process with it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """A reader of the product. make: writes the case that a generator draws into an empty folder. check: reads it;
    raises NbaError where the product refuses, and anything else only by mistake. share: cases in proportion."""

    name: str
    make: Callable[[random.Random, Path], None]
    check: Callable[[Path], None]
    share: int = 1
    limit_s: float = 20.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """kind: one of the four; detail: the message, or the traceback."""

    kind: str
    detail: str
    seconds: float


class _Hang(BaseException):
    """The limit has passed."""


def _rings(signum: int, frame: FrameType | None) -> None:
    raise _Hang


@contextmanager
def guard(limit_s: float) -> Iterator[None]:
    """Raise _Hang in the block after `limit_s` seconds of CPU, or WAITS times that by the clock; where even that does
    not end it, end the process with the tracebacks of its threads."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, _rings) for number in (signal.SIGALRM, signal.SIGPROF)}
    stream = sys.__stderr__
    if stream is not None:
        faulthandler.dump_traceback_later(limit_s * HARD, exit=True, file=stream)
    # Again every second: foreign code that calls Python back may swallow the first.
    signal.setitimer(signal.ITIMER_PROF, limit_s, 1.0)
    signal.setitimer(signal.ITIMER_REAL, limit_s * WAITS, 1.0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        faulthandler.cancel_dump_traceback_later()
        for number, handler in before.items():
            signal.signal(number, handler)


def attempt(target: Target, folder: Path) -> Outcome:
    """Read the case in `folder`."""
    began = time.monotonic()
    kind, detail = ACCEPTED, ""
    try:
        with guard(target.limit_s):
            target.check(folder)
    except NbaError as err:
        kind, detail = _refusal(str(err))
    except _Hang:
        kind, detail = HANG, traceback.format_exc()
    except KeyboardInterrupt:
        raise
    except BaseException:  # what a case may raise is what is looked for
        kind, detail = INTERNAL, traceback.format_exc()
    return Outcome(kind=kind, detail=detail, seconds=time.monotonic() - began)


def _refusal(message: str) -> tuple[str, str]:
    """A refusal is one message that can be printed, and nothing else."""
    wrong = ""
    if not message.strip() or len(message) > MAX_MESSAGE:
        wrong = f"a message of {len(message)} characters"
    elif "Traceback (most recent call last)" in message or "internal error" in message:
        wrong = "a traceback as a message"
    else:
        try:
            message.encode()
        except UnicodeEncodeError:
            wrong = "a message that cannot be printed"
    return (INTERNAL, f"{wrong}: {message[:2000]!r}") if wrong else (REFUSED, message)
