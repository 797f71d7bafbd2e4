# SPDX-License-Identifier: Apache-2.0
"""Which cases of the tests marked `sampled(every=n)` a run with --sample takes: about one of n. Without it: all.

The choice follows from the name of the case alone, so it is the same on every machine, and a new case changes none of
the others.
"""

from __future__ import annotations

import zlib

import pytest

OPTION = "--sample"


def taken(name: str, every: int) -> bool:
    """Whether a run takes the case of this name out of a test of which it takes one of `every`."""
    return zlib.crc32(name.encode()) % every == 0


def left_out(items: list[pytest.Item]) -> list[pytest.Item]:
    """The items that a run leaves out; at least the first case of every test stays."""
    out: list[pytest.Item] = []
    kept: set[str] = set()
    first: dict[str, pytest.Item] = {}
    for item in items:
        mark = item.get_closest_marker("sampled")
        if mark is None:
            continue
        test = item.nodeid.partition("[")[0]
        if taken(item.nodeid.rpartition("@")[0] or item.nodeid, mark.kwargs["every"]):
            kept.add(test)
        else:
            out.append(item)
            first.setdefault(test, item)
    alone = {id(item) for test, item in first.items() if test not in kept}
    return [item for item in out if id(item) not in alone]
