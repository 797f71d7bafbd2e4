# SPDX-License-Identifier: Apache-2.0
"""What the search found, as one JSON file."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from nba.cost.usage import OBJECTIVES, Objective
from nba.errors import NbaError, SpecError
from nba.files import write_atomic
from nba.ir.accelerator import Accelerator, Chunk, Job, Ring
from nba.space.network import Architecture, architecture_from_json, architecture_json


@dataclass(frozen=True, kw_only=True, slots=True)
class SearchRecord:
    """Curves of one epoch. Losses are means; valid_accuracy is that of the sampled paths, on the alpha/beta half.

    Entropies are fractions of their maximum. cost (the value of the objective, in its unit), interval_cycles, dsp,
    bram18 and feasible are those of the architecture derived at the end of the epoch on the accelerator that was best
    then. What only the joint phase measures is None before it (feasible: False).
    cost_weight: weight of the penalty during the epoch.
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


@dataclass(frozen=True, kw_only=True, slots=True)
class SearchResult:
    """The derived architecture, the accelerator that was best for it, what was minimised, and the curves that led
    there."""

    architecture: Architecture
    accelerator: Accelerator
    objective: Objective
    seed: int
    records: tuple[SearchRecord, ...]


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
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        return SearchResult(
            architecture=architecture_from_json(json.dumps(raw["architecture"])),
            accelerator=_accelerator(raw["accelerator"]),
            objective=_objective(raw["objective"]),
            seed=int(raw["seed"]),
            records=tuple(_record(record) for record in raw["records"]),
        )
    except FileNotFoundError:
        raise NbaError(f"{path}: no such file; run the search first") from None
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError, ValueError, SpecError) as err:
        raise NbaError(f"{path}: damaged ({err}); repeat the search") from None


def _objective(word: str) -> Objective:
    if word not in OBJECTIVES:
        raise ValueError(f"objective {word!r} is not one of {', '.join(OBJECTIVES)}")
    return word


def record_from(raw: dict[str, object]) -> SearchRecord:
    """The record of a dict of its fields (lists for tuples)."""
    return _record(raw)


def _record(raw: dict[str, object]) -> SearchRecord:
    fields = {key: tuple(value) if isinstance(value, (list, tuple)) else value for key, value in raw.items()}
    return SearchRecord(**fields)  # type: ignore[arg-type]


def _accelerator(raw: dict[str, object]) -> Accelerator:
    chunks = []
    for chunk in raw["chunks"]:  # type: ignore[attr-defined]
        chunks.append(Chunk(**{**chunk, "jobs": tuple(Job(**job) for job in chunk["jobs"])}))
    rings = tuple(Ring(**ring) for ring in raw["rings"])  # type: ignore[attr-defined]
    return Accelerator(**{**raw, "chunks": tuple(chunks), "rings": rings})  # type: ignore[arg-type]
