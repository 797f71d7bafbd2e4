# SPDX-License-Identifier: Apache-2.0
"""The cases that a run takes of tests marked `sampled`."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from tests.sampling import left_out, taken


def _item(name: str, every: int | None) -> SimpleNamespace:
    mark = None if every is None else pytest.mark.sampled(every=every).mark
    return SimpleNamespace(nodeid=name, get_closest_marker=lambda _: mark)


def test_a_share_is_taken_and_all_of_one() -> None:
    names = [f"tests/a.py::test_a[{i}]" for i in range(4000)]
    for every in (2, 3, 4):
        assert 0.9 < every * sum(taken(name, every) for name in names) / len(names) < 1.1
    assert all(taken(name, 1) for name in names)


def test_what_is_not_marked_and_one_case_of_every_test_stay() -> None:
    items = [_item(f"tests/a.py::test_a[{i}]", 4) for i in range(200)]
    items += [_item(f"tests/a.py::test_b[{i}]", None) for i in range(50)]
    items += [_item("tests/a.py::test_c[0]", 1 << 31), _item("tests/a.py::test_c[1]", 1 << 31)]
    out = {item.nodeid for item in left_out(items)}  # type: ignore[arg-type]
    assert not any("test_b" in name for name in out)
    assert 120 < sum("test_a" in name for name in out) < 180
    assert out & {"tests/a.py::test_c[0]", "tests/a.py::test_c[1]"} == {"tests/a.py::test_c[1]"}


def test_the_choice_does_not_depend_on_the_other_cases() -> None:
    items = [_item(f"tests/a.py::test_a[{i}]", 3) for i in range(60)]
    out = {item.nodeid for item in left_out(items)}  # type: ignore[arg-type]
    more = {item.nodeid for item in left_out([*items[::-1], _item("tests/a.py::test_a[new]", 3)])}  # type: ignore[arg-type]
    assert {name for name in more if "new" not in name} == out
