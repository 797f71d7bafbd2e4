# SPDX-License-Identifier: Apache-2.0
"""What the report reads from a build folder. Only the design must be there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nba.core.errors import NbaError
from nba.core.jsonfile import RUN_AGAIN, read_json, understood
from nba.core.yamlfile import read_text
from nba.ir.design import Design
from nba.machine.design_file import load_design
from nba.machine.usage import OBJECTIVES, Objective

_DESIGN = "design/design.json"
_SEARCH = "search/search.json"
_TRAIN = "train/curves.json"
NAS = "search/nas.json"
_CASCADE = "train/cascade.json"
SYNTHESISED = "synth/synthesised.json"
SPEC = ".nba/spec.yaml"

Metrics = dict[str, Any]
"""metrics.json as it stands in docs/metrics.md."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Claim:
    """A row of the headline table. `holds` is None where the row claims nothing."""

    label: str
    value: str
    holds: bool | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class SearchCurves:
    """The search, epoch by epoch. `scalars` maps a field of the search's records to its values; ops[e][b] and
    bits[e][b] are the operator and the bitwidth derived for block b at the end of epoch e; `joint` tells the epochs in
    which the accelerator was searched too, `feasible` those whose design met the budgets; `objective` is what `cost`
    is the value of. A value that an epoch did not measure is None."""

    objective: Objective
    epochs: tuple[int, ...]
    scalars: dict[str, tuple[float | None, ...]]
    joint: tuple[bool, ...]
    feasible: tuple[bool, ...]
    ops: tuple[tuple[str, ...], ...]
    bits: tuple[tuple[int, ...], ...]

    def of_joint_epochs(self) -> SearchCurves:
        """The epochs in which operators and bitwidths were searched."""
        of = [i for i, joint in enumerate(self.joint) if joint]
        return SearchCurves(
            objective=self.objective, epochs=tuple(self.epochs[i] for i in of),
            scalars={name: tuple(values[i] for i in of) for name, values in self.scalars.items()},
            joint=(True,) * len(of), feasible=tuple(self.feasible[i] for i in of),
            ops=tuple(self.ops[i] for i in of), bits=tuple(self.bits[i] for i in of),
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainCurves:
    """The training, epoch by epoch, and how closely the integers follow it (shares of 1, codes)."""

    epochs: tuple[int, ...]
    loss: tuple[float, ...]
    accuracy: tuple[float, ...]
    equal: float
    largest: int
    same_class: float


@dataclass(frozen=True, kw_only=True, slots=True)
class SwitchableCurves:
    """Search and training, epoch by epoch; valid_loss is None where it was not measured. losses,
    accuracies [bitwidth][epoch] are those of training images."""

    bitwidths: tuple[int, ...]
    epochs: tuple[int, ...]
    losses: tuple[tuple[float, ...], ...]
    accuracies: tuple[tuple[float, ...], ...]
    search_epochs: tuple[int, ...]
    valid_loss: tuple[float | None, ...]
    cost: tuple[float, ...]
    objective: str
    ops: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Netlist:
    """What synthesis counted; lut and ff are None if it stopped before mapping them."""

    tool: str
    lut: int | None
    ff: int | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Inputs:
    """Everything that a report is made of."""

    design: Design
    metrics: Metrics
    claims: tuple[Claim, ...]
    search: SearchCurves | None
    train: TrainCurves | None
    switchable: SwitchableCurves | None
    netlist: Netlist | None
    spec_yaml: str | None


SCALARS = (
    "train_loss", "valid_loss", "valid_accuracy", "temperature", "alpha_entropy", "beta_entropy", "gamma_entropy",
    "cost", "interval_cycles", "dsp", "bram18", "macs", "bit_operations",
)  # fmt: skip


def _measured(value: Any) -> float | None:
    return None if value is None else float(value)


def _search(raw: Any) -> SearchCurves:
    records = raw["records"]
    objective = raw["objective"]
    if objective not in OBJECTIVES:
        raise ValueError(f"objective {objective!r}")
    return SearchCurves(
        objective=objective,
        epochs=tuple(int(r["epoch"]) for r in records),
        scalars={name: tuple(_measured(r[name]) for r in records) for name in SCALARS},
        joint=tuple(bool(r["joint"]) for r in records),
        feasible=tuple(bool(r["feasible"]) for r in records),
        ops=tuple(tuple(str(op) for op in r["ops"]) for r in records),
        bits=tuple(tuple(int(b) for b in r["bits"]) for r in records),
    )


def _train(raw: Any) -> TrainCurves:
    records, agreement = raw["records"], raw["agreement"]
    return TrainCurves(
        epochs=tuple(int(r["epoch"]) for r in records),
        loss=tuple(float(r["loss"]) for r in records),
        accuracy=tuple(float(r["accuracy"]) for r in records),
        equal=float(agreement["equal"]),
        largest=int(agreement["largest"]),
        same_class=float(agreement["same_class"]),
    )


def _switchable_curves(search: Any, train: Any) -> SwitchableCurves:
    epochs, found = train["records"], search["records"]
    bitwidths = tuple(int(b) for b in epochs[0]["bitwidths"])

    def by_bits(name: str) -> tuple[tuple[float, ...], ...]:
        return tuple(tuple(float(r[name][i]) for r in epochs) for i in range(len(bitwidths)))

    return SwitchableCurves(
        bitwidths=bitwidths, epochs=tuple(int(r["epoch"]) for r in epochs), losses=by_bits("losses"),
        accuracies=by_bits("accuracies"), search_epochs=tuple(int(r["epoch"]) for r in found),
        valid_loss=tuple(_measured(r["valid_loss"]) for r in found), cost=tuple(float(r["cost"]) for r in found),
        objective=str(search["table"]["objective"]), ops=tuple(tuple(str(op) for op in r["ops"]) for r in found),
    )  # fmt: skip


def _netlist(raw: Any) -> Netlist:
    return Netlist(
        tool=str(raw["tool"]),
        lut=None if raw["lut"] is None else int(raw["lut"]),
        ff=None if raw["ff"] is None else int(raw["ff"]),
    )


def _optional(path: Path, decode: Any) -> Any:
    """`decode` of the JSON in `path`; None if there is no such file. Raises NbaError if it is damaged."""
    try:
        with understood(str(path), RUN_AGAIN):
            return decode(read_json(path))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as err:
        raise NbaError(f"{path}: cannot be read ({err.strerror}); {RUN_AGAIN}") from None


def _spec(path: Path) -> str | None:
    return read_text(path, what="spec", example="examples/digits.yaml") if path.is_file() else None


def _switchable(build: Path) -> SwitchableCurves | None:
    search = _optional(build / NAS, lambda raw: raw)
    if search is None:
        return None
    found: SwitchableCurves | None = _optional(build / _CASCADE, lambda raw: _switchable_curves(search, raw))
    return found


def read_inputs(build: Path, metrics: Metrics, claims: tuple[Claim, ...]) -> Inputs:
    """Read the build folder `build`, whose metrics.json holds `metrics`. Raises NbaError, naming the file, if there is
    no design, if any file is damaged, or if the metrics belong to another design."""
    design, _ = load_design(build / _DESIGN)
    if metrics.get("design_id", design.id) != design.id:
        raise NbaError(
            f"{build / 'metrics.json'}: is about design {str(metrics['design_id'])[:12]}, but {_DESIGN} is "
            f"{design.id[:12]}; bring the build up to date with `nba-codesign run`"
        )
    return Inputs(
        design=design,
        metrics=metrics,
        claims=claims,
        search=_optional(build / _SEARCH, _search),
        train=_optional(build / _TRAIN, _train),
        switchable=_switchable(build),
        netlist=_optional(build / SYNTHESISED, _netlist),
        spec_yaml=_spec(build / SPEC),
    )
