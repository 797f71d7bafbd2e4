# SPDX-License-Identifier: Apache-2.0
"""What the benchmark of the search's parts says of one part."""

from __future__ import annotations

from benchmarks.search_parts import Outcome, compare, shown


def _outcome(value: float | None) -> Outcome:
    return Outcome(value=value, latency=value, lut=None, bram=None, seconds=1.0)


def test_a_part_whose_cases_are_all_refused_has_no_ratio() -> None:
    whole = [_outcome(value) for value in (100.0, 50.0, None)]
    none = compare("part", [_outcome(None)] * 3, whole)
    assert (none.cases, none.refused, none.worse, none.better) == (3, 2, 0, 0)
    assert (none.mean_ratio, none.worst_ratio, none.latency_ratio) == (None, None, None)
    assert shown(none.mean_ratio) == "-"
    some = compare("part", [_outcome(value) for value in (125.0, None, 7.0)], whole)
    assert (some.refused, some.worse, some.mean_ratio, some.worst_ratio, some.latency_ratio) == (1, 1, 1.25, 1.25, 1.25)
    assert shown(some.mean_ratio) == "1.250"
