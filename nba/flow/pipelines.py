# SPDX-License-Identifier: Apache-2.0
"""The stages of a run in order, and a run of them.

A spec of mixed precision searches, trains and maps one network; with `precision: switchable` the stages nas, cascade
and automap take the place of search and train; where an architecture is given, its check takes that of the search;
where a network is given, it takes the place of both, and nothing is learned.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from nba.core.errors import SpecError
from nba.core.progress import Progress
from nba.flow import metrics, runner
from nba.flow.metrics_model import Metrics
from nba.flow.stage import Stage
from nba.flow.stages.architecture import STAGE as ARCHITECTURE
from nba.flow.stages.automap import STAGE as AUTOMAP
from nba.flow.stages.baselines import STAGE as BASELINES
from nba.flow.stages.cascade import STAGE as CASCADE
from nba.flow.stages.emit import STAGE as EMIT
from nba.flow.stages.given import STAGE as GIVEN
from nba.flow.stages.map import STAGE as MAP
from nba.flow.stages.nas import STAGE as NAS
from nba.flow.stages.report import STAGE as REPORT
from nba.flow.stages.search import STAGE as SEARCH
from nba.flow.stages.synth import STAGE as SYNTH
from nba.flow.stages.train import STAGE as TRAIN
from nba.flow.stages.verify import STAGE as VERIFY
from nba.flow.stamps import Stamp
from nba.spec import Spec

if TYPE_CHECKING:
    from nba.learn.train.team import Team

MIXED: tuple[Stage, ...] = (SEARCH, TRAIN, MAP, EMIT, VERIFY, SYNTH, BASELINES, REPORT)

SWITCHABLE: tuple[Stage, ...] = (
    NAS,
    CASCADE,
    AUTOMAP,
    replace(MAP, after=("cascade",)),
    EMIT,
    VERIFY,
    SYNTH,
    replace(BASELINES, after=("nas",)),
    replace(REPORT, after=("nas", "cascade", "automap", "map", "emit", "verify", "synth", "baselines")),
)

NOT_LEARNED: tuple[Stage, ...] = (
    GIVEN,
    replace(MAP, after=("given",)),
    EMIT,
    VERIFY,
    SYNTH,
    replace(REPORT, after=("given", "map", "emit", "verify", "synth")),
)

_IN_PLACE_OF = {"search": ("nas",), "train": ("cascade", "given")}


def stages_of(spec: Spec) -> tuple[Stage, ...]:
    """The stages of a run, in order."""
    if spec.given is not None:
        return NOT_LEARNED
    stages = SWITCHABLE if spec.precision == "switchable" else MIXED
    if spec.architecture is None:
        return stages
    search = stages[0].name
    later = (replace(s, after=tuple(ARCHITECTURE.name if n == search else n for n in s.after)) for s in stages[1:])
    return (ARCHITECTURE, *later)


def up_to(spec: Spec, last: str) -> tuple[Stage, ...]:
    """All stages in order, up to and with the one named `last`, or what stands in its place. Raises SpecError."""
    stages = stages_of(spec)
    names = [stage.name for stage in stages]
    if spec.architecture is not None and last == "search":
        raise SpecError(f"architecture: {spec.architecture} is given, so there is nothing to search; leave it out")
    if spec.given is not None and last == "search":
        raise SpecError(f"given: {spec.given.title} is given, so there is nothing to search; use `run` or `train`")
    (place,) = (names.index(name) for name in (last, *_IN_PLACE_OF.get(last, ())) if name in names)
    return stages[: place + 1]


def check(spec: Spec) -> None:
    """What is wrong with the spec and the files that it names: no tool and no package is looked for. Raises SpecError
    with all."""
    runner.check(spec, stages_of(spec))


def unchecked(spec: Spec) -> str:
    """What `check` leaves open, because it takes minutes, and which stage finds out."""
    if spec.given is not None:
        return "not checked: whether this network can meet the budgets; `run` and `train` find out once they map it"
    late = spec.precision == "switchable"
    when = "once the network is trained and mapped" if late else "before they learn anything"
    return f"not checked: whether a network of this space can meet the budgets; `run` and `train` find out {when}"


def run_spec(
    spec: Spec,
    build: Path,
    *,
    progress: Progress,
    say: Callable[[str], None],
    last: str = REPORT.name,
    force: bool = False,
    team: Team | None = None,
) -> Metrics:
    """Do the stages of `spec` up to `last` in the folder `build`, those whose inputs or outputs changed (all with
    `force`), and keep metrics.json up to date after each. Returns its content.

    `say` gets one line per stage. With a `team`, the others take part (`assist_stage`) in the stages that learn. Raises
    NbaError.
    """
    stages = up_to(spec, last)
    found: Metrics = {}

    def done(stamps: dict[str, Stamp]) -> None:
        nonlocal found
        seconds = {name: stamp.seconds for name, stamp in stamps.items()}
        found = metrics.assemble(build, seconds=seconds, seed=spec.seed)

    later = stages_of(spec)[len(stages) :]
    runner.run(
        spec, build, stages=stages, later=later, progress=progress, say=say, done=done, force=force, team=team
    )  # fmt: skip
    return found


def assist_stage(name: str, spec: Spec, build: Path) -> None:
    """The part of a process that does not lead in the stage called `name`, which is done together."""
    (stage,) = (stage for stage in stages_of(spec) if stage.name == name)
    runner.assist(stage, spec, build)
