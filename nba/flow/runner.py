# SPDX-License-Identifier: Apache-2.0
"""The stage runner: does the stages that it is given, each once for the same inputs.

Layout of a build folder: one folder per stage (`Stage.folder`), `metrics.json`, `.nba/` with lock, spec,
stamps and the work folders. A stage writes into `.nba/work/<stage>`, which is renamed to its place when it is whole; a
run that was killed, or met an error, finds its checkpoints there. A stamp holds digests of what went in and of every
file that came out; it is written beside the work folder before anything is moved or taken away, so that no kill and no
full disk can undo a stage that was done.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from nba.core.errors import NbaError, SpecError
from nba.core.files import BEFORE, PART, write_atomic
from nba.core.progress import Progress, Silent
from nba.core.sources import digest_tree
from nba.flow.digests import inputs_digest
from nba.flow.folders import build_folder, replace_folder
from nba.flow.places import STATE
from nba.flow.stage import Context, Stage
from nba.flow.stamps import Stamp, read_stamp, spoiled, stamp_path, write_stamp
from nba.spec import Spec

if TYPE_CHECKING:
    from nba.learn.train.team import Team


def work_folder(build: Path, stage: Stage) -> Path:
    """Where a stage works before its result is moved to its place."""
    return build / STATE / "work" / stage.name


def assist(stage: Stage, spec: Spec, build: Path) -> None:
    """The part of a process that does not lead in a stage that is done together: it writes nothing."""
    stage.run(Context(spec=spec, build=build, folder=work_folder(build, stage), progress=Silent()))


def run_stage(
    stage: Stage, spec: Spec, build: Path, inputs: str, progress: Progress, team: Team | None = None
) -> Stamp:
    """Run one stage in its work folder, move the result to its place, stamp it.

    What a killed run of the same inputs left in the work folder is still there for the stage to resume from; so is what
    a run left that met an error, since nothing that was finished is ever lost, and messages name logs in it.
    """
    work = work_folder(build, stage)
    note, pending = work.with_suffix(".inputs"), work.with_suffix(".stamp")
    if not note.is_file() or note.read_bytes() != inputs.encode():
        shutil.rmtree(work, ignore_errors=True)
    found = read_stamp(pending)
    if found is not None and found.inputs == inputs and _finish(build, stage, found):
        return found
    pending.unlink(missing_ok=True)
    work.mkdir(parents=True, exist_ok=True)
    for half in work.rglob(f"*{PART}"):
        half.unlink()
    write_atomic(note, inputs)
    began = time.monotonic()
    try:
        with team.call(stage.name) if team is not None and stage.together else nullcontext():
            stage.run(Context(spec=spec, build=build, folder=work, progress=progress))
    except BaseException:
        with suppress(OSError):  # an empty folder holds nothing to resume from
            work.rmdir()
        raise
    outputs = {name: sha for name, sha in digest_tree(work).items() if not _is_scratch(stage, name)}
    stamp = Stamp(inputs=inputs, outputs=outputs, seconds=round(time.monotonic() - began, 3))
    write_stamp(pending, stamp)
    if not _finish(build, stage, stamp):
        raise NbaError(
            f"{work}: was changed by another program; run the same command again to repeat the stage {stage.name}"
        )
    return stamp


def _is_scratch(stage: Stage, name: str) -> bool:
    return name in stage.scratch or name.endswith(BEFORE)


def _finish(build: Path, stage: Stage, stamp: Stamp) -> bool:
    """Move what `stamp` is about to its place and put the stamp to its own; False if it is neither in the work folder
    nor there already. Only now are the checkpoints taken away."""
    work, place = work_folder(build, stage), build / stage.folder
    if work.is_dir() and not spoiled(work, stamp):
        for path in [p for p in work.rglob("*") if _is_scratch(stage, p.relative_to(work).as_posix())]:
            path.unlink()
        stamp_path(build, stage).unlink(missing_ok=True)
        replace_folder(work, place)
    elif not stamp.outputs or spoiled(place, stamp):
        return False
    work.with_suffix(".inputs").unlink(missing_ok=True)
    os.replace(work.with_suffix(".stamp"), stamp_path(build, stage))
    return True


def preflight(spec: Spec, stages: tuple[Stage, ...]) -> None:
    """Find what would make one of the stages fail later: a missing folder, tool, package. Raises SpecError with all."""
    _find(spec, (*(stage.check for stage in stages), *(stage.preflight for stage in stages)))


def check(spec: Spec, stages: tuple[Stage, ...]) -> None:
    """What `preflight` finds in the spec alone: no tool and no package is looked for. Raises SpecError with all."""
    _find(spec, tuple(stage.check for stage in stages))


def _find(spec: Spec, finders: tuple[Callable[[Spec], None] | None, ...]) -> None:
    problems: list[str] = []
    for find in finders:
        try:
            if find is not None:
                find(spec)
        except NbaError as err:
            if str(err) not in problems:
                problems.append(str(err))
    if problems:
        raise SpecError("\n".join(problems))


def run(
    spec: Spec,
    build: Path,
    *,
    stages: tuple[Stage, ...],
    later: tuple[Stage, ...] = (),
    progress: Progress,
    say: Callable[[str], None],
    done: Callable[[dict[str, Stamp]], None] = lambda stamps: None,
    force: bool = False,
    team: Team | None = None,
) -> dict[str, Stamp]:
    """Do those of `stages` (in order, complete from the first) whose inputs or outputs changed; all with `force`.

    `say` gets one line per stage; `done` is called with all stamps so far after every stage, and at the end with those
    of the stages `later`, which follow, as far as they are still up to date. With a `team`, the others take part in the
    stages that learn. Raises NbaError.
    """
    preflight(spec, stages)
    stamps: dict[str, Stamp] = {}
    with build_folder(build):
        write_atomic(build / STATE / "spec.yaml", spec.yaml())
        for stage in stages:
            if team is not None and not any(rest.together for rest in stages[stages.index(stage) :]):
                team.dismiss()
                team = None
            inputs = inputs_digest(stage, spec, stamps)
            stamp = None if force else _up_to_date(build, stage, inputs, say)
            if stamp is not None:
                say(f"{stage.name:<7} up to date (took {stamp.seconds:.1f} s)")
            else:
                say(f"{stage.name:<7} {stage.title} ...")
                stamp = run_stage(stage, spec, build, inputs, progress, team)
                say(f"{stage.name:<7} done in {stamp.seconds:.1f} s")
            stamps[stage.name] = stamp
            done(stamps)
        if team is not None:
            team.dismiss()
        for stage in later:
            if read_stamp(stamp_path(build, stage)) is None:
                break
            stamp = _up_to_date(build, stage, inputs_digest(stage, spec, stamps), lambda line: None)
            if stamp is None:
                break
            stamps[stage.name] = stamp
            done(stamps)
    return stamps


def _up_to_date(build: Path, stage: Stage, inputs: str, say: Callable[[str], None]) -> Stamp | None:
    """The stamp of a stage that was done with these inputs and whose outputs are still there; `say` is told what was
    damaged."""
    path = stamp_path(build, stage)
    stamp = read_stamp(path)
    if stamp is None:
        if path.exists():
            say(f"{stage.name:<7} {path}: damaged; the stage is repeated")
        return None
    if stamp.inputs != inputs:
        return None
    for name in spoiled(build / stage.folder, stamp)[:1]:
        say(f"{stage.name:<7} {build / stage.folder / name}: changed or missing; the stage is repeated")
        return None
    return stamp
