# SPDX-License-Identifier: Apache-2.0
"""What the search found, as one JSON file."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol, TypeVar

from nba.core.errors import NbaError, SpecError
from nba.core.files import write_atomic
from nba.core.jsonfile import read_json
from nba.core.yamlfile import report
from nba.ir.accelerator import Accelerator
from nba.ir.decode import decode
from nba.learn.space.architecture_file import architecture_json
from nba.learn.space.check import check_architecture
from nba.learn.space.network import Architecture
from nba.machine.usage import Objective


@dataclass(frozen=True, kw_only=True, slots=True)
class SearchRecord:
    """Curves of one epoch. Losses are means; valid_accuracy is that of the sampled paths, on the alpha/beta half.

    Entropies are fractions of their maximum. cost (the value of the objective, in its unit), interval_cycles, dsp,
    bram18 and feasible are those of the architecture derived at the end of the epoch on the accelerator that was best
    then. What only the joint phase measures is None before it (feasible: False).
    cost_weight: weight of the penalty during the epoch. macs, bit_operations: of that architecture.
    """

    epoch: int
    joint: bool
    train_loss: float
    valid_loss: float | None
    valid_accuracy: float | None
    temperature: float
    alpha_entropy: float
    beta_entropy: float
    cost: float | None
    interval_cycles: int | None
    dsp: int | None
    bram18: int | None
    feasible: bool
    ops: tuple[str, ...]
    bits: tuple[int, ...]
    cost_weight: float = 0.0
    gamma_entropy: float = 0.0
    macs: int = 0
    bit_operations: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class SearchResult:
    """The derived architecture, the accelerator that was best for it, what was minimised, and the curves that led
    there."""

    architecture: Architecture
    accelerator: Accelerator
    objective: Objective
    seed: int
    records: tuple[SearchRecord, ...]


class _Found(Protocol):
    @property
    def architecture(self) -> Architecture: ...


Result = TypeVar("Result", bound=_Found)


def save_result(result: SearchResult, path: Path) -> None:
    """Write `result` to `path`, whole or not at all; the same result gives the same bytes."""
    raw = {
        "architecture": json.loads(architecture_json(result.architecture)),
        "accelerator": asdict(result.accelerator),
        "objective": result.objective,
        "seed": result.seed,
        "records": [asdict(record) for record in result.records],
    }
    write_atomic(path, json.dumps(raw, indent=1, sort_keys=True) + "\n")


def load_result(path: Path) -> SearchResult:
    """Read what `save_result` wrote. Raises NbaError if the file is missing or damaged."""
    return read_result(SearchResult, path)


def read_result(kind: type[Result], path: Path) -> Result:
    """The JSON file `path` as a value of `kind`, whose `architecture` is a point of its space. Raises NbaError if the
    file is missing or damaged."""
    problems: list[str] = []
    try:
        found: Result = decode(kind, read_json(path), path.stem, problems, defaults=True)
        if not problems:
            check_architecture(found.architecture)
    except FileNotFoundError:
        raise NbaError(f"{path}: no such file; run the search first") from None
    except (OSError, ValueError, SpecError) as err:
        raise NbaError(f"{path}: damaged ({err}); repeat the search") from None
    if problems:
        raise NbaError(f"{report(str(path), problems)}\nthe file is damaged; repeat the search")
    return found


def record_from(raw: dict[str, object]) -> SearchRecord:
    """The record of a dict of its fields (lists for tuples)."""
    return _record(raw)


def _record(raw: dict[str, object]) -> SearchRecord:
    fields = {key: tuple(value) if isinstance(value, (list, tuple)) else value for key, value in raw.items()}
    return SearchRecord(**fields)  # type: ignore[arg-type]
