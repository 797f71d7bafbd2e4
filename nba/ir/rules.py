# SPDX-License-Identifier: Apache-2.0
"""What a legality table is made of: named rules, tried in steps (nba.machine.check)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

Subject = TypeVar("Subject")
Problems = Iterator[str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule(Generic[Subject]):
    """One named rule. Rules of a step are tried only if the steps before found nothing, so they may rely on those."""

    name: str
    find: Callable[[Subject], Problems]
    step: int = 1


def apply_rules(rules: tuple[Rule[Subject], ...], subject: Subject) -> list[tuple[str, str]]:
    """(rule name, problem) of everything that `rules` find in `subject`, up to the first step that finds anything."""
    for step in sorted({rule.step for rule in rules}):
        found = [(rule.name, line) for rule in rules if rule.step == step for line in rule.find(subject)]
        if found:
            return found
    return []


def limit(what: str, value: int, low: int, high: int) -> Problems:
    """The problem, if any, that `value` is outside low..high."""
    if not low <= value <= high:
        yield f"{what} is {value}; legal: {low}..{high}"
