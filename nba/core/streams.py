# SPDX-License-Identifier: Apache-2.0
"""The streams of a program whose reader may go away.

A command ends, with status 141, once nobody reads its standard output any more. Messages and progress go to stderr,
and a run does not end for want of a reader of these: where stderr alone is lost, what is said there goes nowhere. Where
both are the same pipe, they are lost together.
"""

from __future__ import annotations

import os
import select
import sys
from contextlib import suppress


def nobody_reads(fd: int) -> bool:
    """Whether a file descriptor is that of a pipe, or a socket, without a reader."""
    poll = select.poll()
    poll.register(fd, select.POLLOUT)
    return any(event & (select.POLLERR | select.POLLHUP | select.POLLNVAL) for _, event in poll.poll(0))


def lose(fd: int) -> None:
    """Whatever is written to a file descriptor from now on goes nowhere, what Python still holds for it included: else
    the flush at its end would fail, and give the program a status of its own."""
    with suppress(OSError, ValueError, AttributeError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, fd)
        os.close(null)


def say(text: str) -> None:
    """Print a line to stderr. Raises BrokenPipeError if nobody reads either stream."""
    try:
        print(text, file=sys.stderr, flush=True)
    except BrokenPipeError:
        stderr_broke()
    except (OSError, ValueError):
        lose(2)


def stderr_broke() -> None:
    """To be called where writing to stderr raised BrokenPipeError, which this raises again if stdout is lost too."""
    lose(2)
    if nobody_reads(1):
        raise BrokenPipeError
