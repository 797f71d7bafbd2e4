# SPDX-License-Identifier: Apache-2.0
"""A short slice of the fuzzers; `make fuzz` does thousands."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from nba.core.errors import NbaError
from tests.fuzz import run
from tests.fuzz.outcome import ACCEPTED, HANG, INTERNAL, REFUSED, Target, attempt

CASES = 300


@pytest.mark.torch
def test_no_internal_error_and_no_hang() -> None:
    tally = run.fuzz(run.schedule(CASES, run.TARGETS), seed=1)
    assert tally.failures == [], "\n".join((tally.table(), *tally.failures))
    assert tally.cases >= CASES * 0.9
    assert tally.of(ACCEPTED) >= CASES / 20
    assert tally.of(REFUSED) >= CASES / 3


def _reads(path: Path) -> None:
    """A reader with all the faults that the fuzzers look for."""
    word = (path / "word").read_text()
    if word == "refused":
        raise NbaError("word: refused; give another")
    if word == "traceback":
        raise NbaError("Traceback (most recent call last): ...")
    if word == "unprintable":
        raise NbaError("\ud800")
    if word == "index":
        [][1]
    if word == "exit":
        raise SystemExit(3)
    while word == "sleep":
        time.sleep(0.01)
    while word == "loop":
        pass


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("fine", ACCEPTED), ("refused", REFUSED), ("traceback", INTERNAL), ("unprintable", INTERNAL), ("index",
        INTERNAL),
        ("exit", INTERNAL), ("loop", HANG), ("sleep", HANG),
    ],
)  # fmt: skip
def test_the_driver_sees_each_outcome(word: str, kind: str, tmp_path: Path) -> None:
    (tmp_path / "word").write_text(word)
    target = Target(name="planted", make=lambda rng, folder: None, check=_reads, limit_s=0.2)
    assert attempt(target, tmp_path).kind == kind


def test_a_case_is_drawn_from_its_name_and_number_alone(tmp_path: Path) -> None:
    target = run.TARGETS[0]
    drawn = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        random.seed(len(drawn))
        target.make(random.Random(f"5/{target.name}/7"), tmp_path / name)
        drawn.append((tmp_path / name / "spec.yaml").read_bytes())
    assert drawn[0] == drawn[1]


@pytest.mark.torch
def test_every_reader_accepts_something() -> None:
    """A target that refuses whatever it gets looks for nothing behind the first check."""
    slow = {"report", "command", "image-folder", "spec-soup", "spec-bytes"}
    for target in run.TARGETS:
        if target.name not in slow:
            tally = run.fuzz([(target, index) for index in range(25)], seed=2)
            assert tally.failures == []
            assert tally.of(ACCEPTED), (target.name, tally.table())
