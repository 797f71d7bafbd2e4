# SPDX-License-Identifier: Apache-2.0
"""How many frames a simulated batch needs, so that the steady interval is among what it shows."""

from __future__ import annotations

from collections.abc import Iterable

from nba.machine.program import Program
from nba.machine.settled import reach

AT_LEAST = 32
"""Frames that Verilator simulates where their number is left to `verify`."""
AT_MOST = 128
"""Frames that it simulates for the steady interval at most; a design that takes longer to settle gets `AT_LEAST`, and
the closing table says so."""


def frames_that_show(programs: Iterable[Program], at_least: int, at_most: int = AT_MOST) -> int:
    """The frames, from `at_least` to `at_most`, in the middle of which every mode of a design is in its steady state
    (nba.machine.settled.reach); `at_least` where `at_most` are too few for some mode. Raises DeadlockError."""
    wanted = at_least
    for program in programs:
        first = reach(program, 1).first_frame
        if first is None:
            return at_least
        # The steady state has to begin before the middle; the last frames differ again, which `reach` finds.
        n_frames = max(wanted, 2 * (first + 1))
        while n_frames <= at_most and not reach(program, n_frames).reached:
            n_frames += 2
        if n_frames > at_most:
            return at_least
        wanted = n_frames
    return wanted
