# SPDX-License-Identifier: Apache-2.0
"""Which cases of the tests marked `sampled(every=n)` a run takes: about one of n, or all with --all-cases.

The choice follows from the name of the case alone, so it is the same on every machine, and a new case changes none of
the others. A case that is asked for by its name (path::test[case]) runs in any case.
"""

from __future__ import annotations

import zlib

import pytest

OPTION = "--all-cases"


def taken(name: str, every: int) -> bool:
    """Whether a run takes the case of this name out of a test of which it takes one of `every`."""
    return zlib.crc32(name.encode()) % every == 0


def left_out(items: list[pytest.Item]) -> list[pytest.Item]:
    """The items that a run leaves out; at least the first case of every test stays."""
    out: list[pytest.Item] = []
    kept: dict[str, bool] = {}
    last: dict[str, pytest.Item] = {}
    for item in items:
        mark = item.get_closest_marker("sampled")
        if mark is None:
            continue
        test = item.nodeid.partition("[")[0]
        if taken(item.nodeid.rpartition("@")[0] or item.nodeid, mark.kwargs["every"]):
            kept[test] = True
        else:
            out.append(item)
            last.setdefault(test, item)
    alone = {id(item) for test, item in last.items() if test not in kept}
    return [item for item in out if id(item) not in alone]
