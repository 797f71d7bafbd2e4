# SPDX-License-Identifier: Apache-2.0
"""The stage runner: what is done again and what is not, what a failure or a kill leaves behind."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from filelock import FileLock

from nba.core.errors import DataError, DiskError, InfeasibleError, NbaError, SpecError, ToolError
from nba.core.progress import Silent
from nba.core.sources import folder_state
from nba.flow import digests, runner
from nba.flow.digests import inputs_digest
from nba.flow.folders import new_folder
from nba.flow.pipelines import MIXED, NOT_LEARNED, SWITCHABLE, stages_of, up_to
from nba.flow.stage import Context, Stage
from nba.flow.stamps import Stamp, read_stamp, stamp_path
from nba.spec import Spec

SPEC = Spec.model_validate(
    {
        "name": "t",
        "dataset": {"name": "digits"},
        "network": {"stem_channels": 8, "stages": [{"channels": 8, "blocks": 1}], "head_channels": 8},
        "platform": "p",
        "budgets": {"dsp": 8, "bram": 8},
    }
)
SWITCHED = Spec.model_validate({**SPEC.model_dump(), "precision": "switchable", "switchable": {}})
READY = Spec.model_validate(
    {"name": "t", "given": {"published": "resnet8"}, "platform": "p", "budgets": {"dsp": 8, "bram": 8}}
)  # fmt: skip
"""A spec whose network is given."""


@dataclass
class Lab:
    """Three stages that write what they are told; `ran` lists those that did something."""

    build: Path
    ran: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    work: dict[str, Callable[[Context], None]] = field(default_factory=dict)
    checks: dict[str, Callable[[Spec], None]] = field(default_factory=dict)
    source: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.stages = (
            self._stage("search", "one", sections=("seed", "budgets.dsp")),
            self._stage("train", "two", after=("search",), sections=("schedule.train",), scratch=("learn.pt",)),
            self._stage("map", "three", after=("search", "train")),
        )

    def _stage(self, name: str, folder: str, **inputs: tuple[str, ...]) -> Stage:
        def run(context: Context) -> None:
            self.ran.append(name)
            self.work.get(name, lambda c: (c.folder / "out.txt").write_text(f"{name} {c.spec.seed}") and None)(context)

        def preflight(spec: Spec) -> None:
            self.checks.get(name, lambda s: None)(spec)

        run.__module__ = f"lab.{name}"
        return Stage(name=name, title="a stage", folder=folder, run=run, preflight=preflight, **inputs)  # type: ignore[arg-type]

    def go(self, spec: Spec = SPEC, *, force: bool = False) -> list[str]:
        """Run the flow; returns the names of the stages that were done."""
        self.ran.clear()
        self.said.clear()
        runner.run(spec, self.build, stages=self.stages, progress=Silent(), say=self.said.append, force=force)
        return list(self.ran)

    def files(self) -> set[str]:
        """Everything in the build folder but the runner's own notes."""
        paths = (p.relative_to(self.build).as_posix() for p in self.build.rglob("*") if p.is_file())
        return {p for p in paths if not p.startswith(".nba/") or p.count("/") > 2}


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """A Lab whose stages write their spec's seed into a file."""
    lab = Lab(build=tmp_path / "build")
    monkeypatch.setattr(digests, "digest_source", lambda module: lab.source.get(module, ""))
    return lab


def fail(error: BaseException) -> Callable[..., None]:
    """A function that raises `error`."""

    def function(*args: object) -> None:
        raise error

    return function


def with_seed(seed: int) -> Spec:
    return SPEC.model_copy(update={"seed": seed})


def test_nothing_is_done_twice(lab: Lab) -> None:
    assert lab.go() == ["search", "train", "map"]
    assert lab.files() == {"one/out.txt", "two/out.txt", "three/out.txt"}
    assert lab.go() == []
    assert all("up to date" in line for line in lab.said)
    assert lab.go(force=True) == ["search", "train", "map"]


def test_later_stages_that_are_up_to_date_still_count(lab: Lab) -> None:
    """`search` on a finished build keeps the figures of the stages behind it, as long as they belong to its search."""
    lab.go()

    def stamps(spec: Spec) -> list[str]:
        found: list[str] = []
        runner.run(
            spec, lab.build, stages=lab.stages[:1], later=lab.stages[1:], progress=Silent(),
            say=lambda line: None, done=lambda stamps: found.__setitem__(slice(None), stamps),
        )  # fmt: skip
        return found

    assert stamps(SPEC) == ["search", "train", "map"]
    schedule = SPEC.schedule.model_copy(update={"train": SPEC.schedule.train.model_copy(update={"epochs": 7})})
    assert stamps(SPEC.model_copy(update={"schedule": schedule})) == ["search"]
    assert stamps(with_seed(5)) == ["search"]


def test_a_change_redoes_what_depends_on_it(lab: Lab) -> None:
    lab.go()
    assert lab.go(with_seed(5)) == ["search", "train", "map"]
    assert (lab.build / "one/out.txt").read_text() == "search 5"
    schedule = SPEC.schedule.model_copy(update={"train": SPEC.schedule.train.model_copy(update={"epochs": 7})})
    # Stage three depends on stage two only by its output, which the new schedule leaves as it was.
    assert lab.go(SPEC.model_copy(update={"seed": 5, "schedule": schedule})) == ["train"]
    assert lab.go(SPEC.model_copy(update={"seed": 5, "schedule": schedule, "name": "other"})) == []


def test_changed_source_redoes_the_stage(lab: Lab) -> None:
    lab.go()
    lab.source["lab.train"] = "edited"
    assert lab.go() == ["train"]


@pytest.mark.parametrize("spoil", [Path.unlink, lambda path: path.write_text("edited")])
def test_spoiled_outputs_are_made_again(lab: Lab, spoil: Callable[[Path], None]) -> None:
    lab.go()
    spoil(lab.build / "two/out.txt")
    assert lab.go() == ["train"]
    assert f"train   {lab.build / 'two/out.txt'}: changed or missing; the stage is repeated" in lab.said
    assert (lab.build / "two/out.txt").read_text() == "train 0"


def test_a_spoiled_stamp_is_no_stamp(lab: Lab) -> None:
    """Cut short anywhere, or with any byte changed."""
    lab.go()
    path = stamp_path(lab.build, lab.stages[0])
    whole = path.read_bytes()
    assert read_stamp(path) is not None
    for i in range(len(whole) - 2):
        for spoiled in (whole[:i], whole[:i] + bytes([whole[i] ^ 1 << i % 8]) + whole[i + 1 :]):
            path.write_bytes(spoiled)
            found = read_stamp(path)
            assert found is None or spoiled.split() == whole.split(), spoiled
    path.write_bytes(whole[:100])
    assert lab.go() == ["search"]
    assert f"search  {path}: damaged; the stage is repeated" in lab.said


def test_what_others_add_is_left_alone(lab: Lab) -> None:
    lab.go()
    (lab.build / "three/sim_build").mkdir()
    (lab.build / "three/sim_build/x").write_text("")
    assert lab.go() == []


def test_a_killed_run_continues(lab: Lab) -> None:
    def killed(context: Context) -> None:
        (context.folder / "checkpoint").write_text("half")
        raise KeyboardInterrupt

    def resumed(context: Context) -> None:
        assert (context.folder / "checkpoint").read_text() == "half"
        (context.folder / "checkpoint").rename(context.folder / "out.txt")

    lab.work["train"] = killed
    with pytest.raises(KeyboardInterrupt):
        lab.go()
    assert lab.files() == {"one/out.txt", ".nba/work/train/checkpoint"}
    lab.work["train"] = resumed
    assert lab.go() == ["train", "map"]
    assert lab.files() == {"one/out.txt", "two/out.txt", "three/out.txt"}


def test_checkpoints_of_other_inputs_are_not_used(lab: Lab) -> None:
    def killed(context: Context) -> None:
        assert not list(context.folder.iterdir())
        (context.folder / "checkpoint").write_text("half")
        raise KeyboardInterrupt

    lab.work["search"] = killed
    for seed in (1, 2):
        with pytest.raises(KeyboardInterrupt):
            lab.go(with_seed(seed))


def test_a_user_error_leaves_nothing(lab: Lab) -> None:
    lab.work["search"] = fail(InfeasibleError("no"))
    with pytest.raises(InfeasibleError):
        lab.go()
    assert not lab.build.exists()


@pytest.mark.parametrize(
    "error", [InfeasibleError("no"), DataError("cut short"), DiskError("full"), KeyError("defect")]
)
def test_an_error_keeps_what_was_finished(lab: Lab, error: Exception) -> None:
    """Also within a stage: what it has learned until then is where the next run goes on."""

    def half(context: Context) -> None:
        (context.folder / "checkpoint").write_text("half")
        (context.folder / ".out.txt.x.part").write_text("ha")
        raise error

    def resumed(context: Context) -> None:
        assert [p.name for p in context.folder.iterdir()] == ["checkpoint"]
        (context.folder / "checkpoint").rename(context.folder / "out.txt")

    lab.work["map"] = half
    with pytest.raises(type(error)):
        lab.go()
    lab.work["map"] = resumed
    assert lab.go() == ["map"]
    assert lab.files() == {"one/out.txt", "two/out.txt", "three/out.txt"}


def test_checkpoints_go_when_the_stage_is_done(lab: Lab) -> None:
    def learn(context: Context) -> None:
        for name in ("out.txt", "learn.pt", "learn.pt.before", "teacher.pt", "teacher.pt.before"):
            (context.folder / name).write_text(name)

    lab.work["train"] = learn
    lab.go()
    assert lab.files() == {"one/out.txt", "two/out.txt", "two/teacher.pt", "three/out.txt"}
    assert lab.go() == []


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(errno.ENOSPC, "No space left on device")])
@pytest.mark.parametrize(("owner", "call"), [(Path, "unlink"), (Path, "rename"), (os, "replace")])
def test_a_stage_that_is_done_stays_done(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, owner: object, call: str, error: type[BaseException] | OSError
) -> None:
    """However often a run ends, or the disk is full, while results are moved to their place: no stage is repeated."""
    real, ended, ran = getattr(owner, call), [], []

    def break_off(*given: object, **more: object) -> object:
        step = (len(ran) + len(lab.ran), str(given[-1]))
        if lab.ran and step not in ended and not step[1].endswith(".stamp"):
            ended.append(step)
            raise error
        return real(*given, **more)

    def learn(context: Context) -> None:
        for name in ("out.txt", "learn.pt.before"):
            (context.folder / name).write_text(name)

    lab.work["search"] = learn
    monkeypatch.setattr(owner, call, break_off)  # type: ignore[call-overload]
    done = False
    while not done:
        with suppress(KeyboardInterrupt, OSError, DiskError):
            lab.go()
            done = True
        ran += lab.ran
    assert len(ended) > 2
    assert ran == ["search", "train", "map"]
    assert lab.files() == {"one/out.txt", "two/out.txt", "three/out.txt"}


def test_a_tool_error_keeps_its_log(lab: Lab) -> None:
    def broken(context: Context) -> None:
        (context.folder / "tool.log").write_text("why")
        raise ToolError("tool: exit status 1")

    lab.work["search"] = broken
    with pytest.raises(ToolError):
        lab.go()
    assert lab.files() == {".nba/work/search/tool.log"}


def test_a_failed_redo_keeps_the_old_result(lab: Lab) -> None:
    lab.go()
    lab.work["search"] = fail(InfeasibleError("no"))
    with pytest.raises(InfeasibleError):
        lab.go(with_seed(1))
    assert (lab.build / "one/out.txt").read_text() == "search 0"
    del lab.work["search"]
    assert lab.go() == []


def test_preflight_reports_all_and_touches_nothing(lab: Lab) -> None:
    lab.checks["search"] = fail(SpecError("a"))
    lab.checks["map"] = fail(ToolError("b"))
    with pytest.raises(NbaError, match=r"^a\nb$"):
        lab.go()
    assert not lab.build.exists()


def test_output_path_is_a_file(lab: Lab) -> None:
    lab.build.write_text("mine")
    with pytest.raises(SpecError, match="is a file"):
        lab.go()
    assert lab.build.read_text() == "mine"


def test_foreign_folders_are_not_touched(lab: Lab) -> None:
    lab.build.mkdir()
    (lab.build / "thesis.tex").write_text("mine")
    with pytest.raises(SpecError, match="did not write"):
        lab.go()
    assert [p.name for p in lab.build.iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize("parent", ["/proc", "/dev/null"])
def test_unwritable_output(lab: Lab, parent: str) -> None:
    lab.build = Path(parent) / "nba-build"
    with pytest.raises(SpecError, match="cannot be written"):
        lab.go()


def test_two_runs_do_not_collide(lab: Lab) -> None:
    def second(context: Context) -> None:
        with pytest.raises(SpecError, match="another nba-codesign is working"):
            runner.run(SPEC, lab.build, stages=lab.stages, progress=Silent(), say=lambda line: None)
        (context.folder / "out.txt").write_text("")

    lab.work["train"] = second
    assert lab.go() == ["search", "train", "map"]
    with FileLock(lab.build / ".nba" / "lock", timeout=0):
        pass


def test_new_folder_replaces_only_its_own(tmp_path: Path) -> None:
    place = tmp_path / "a" / "bundle"
    with new_folder(place, marker="manifest.json") as folder:
        (folder / "manifest.json").write_text("1")
    with new_folder(place, marker="manifest.json") as folder:
        (folder / "manifest.json").write_text("2")
    assert (place / "manifest.json").read_text() == "2"
    assert [p.name for p in place.parent.iterdir()] == ["bundle"]
    (place / "manifest.json").unlink()
    (place / "mine").write_text("")
    with pytest.raises(SpecError, match=r"no manifest\.json"), new_folder(place, marker="manifest.json"):
        pass
    assert [p.name for p in place.iterdir()] == ["mine"]


def test_new_folder_vanishes_after_an_error(tmp_path: Path) -> None:
    def interrupted() -> None:
        with new_folder(tmp_path / "a" / "b", marker="m") as folder:
            (folder / "half").write_text("")
            raise InfeasibleError("no")

    with pytest.raises(InfeasibleError):
        interrupted()
    assert list(tmp_path.iterdir()) == []


def switchable(**fields: object) -> Spec:
    assert SWITCHED.switchable is not None
    return SWITCHED.model_copy(update={"switchable": SWITCHED.switchable.model_copy(update=fields)})


def of_switched(spec: Spec) -> dict[str, str]:
    """Digests of the inputs of the stages that learn and map, their upstream outputs taken as unchanged."""
    stamps = {stage.name: Stamp(inputs="", outputs={}, seconds=0.0) for stage in SWITCHABLE}
    return {stage.name: inputs_digest(stage, spec, stamps) for stage in SWITCHABLE[:4]}


def redone(before: dict[str, str], after: dict[str, str]) -> list[str]:
    return [name for name, digest in after.items() if digest != before[name]]


def test_a_field_of_switchable_redoes_the_stages_that_read_it() -> None:
    before = of_switched(SWITCHED)
    assert redone(before, of_switched(switchable(hardware_bits=8))) == ["map"]
    assert redone(before, of_switched(switchable(architecture_bits="all"))) == ["nas"]
    assert redone(before, of_switched(switchable(hierarchy="tpu-like"))) == ["nas", "automap"]
    assert redone(before, of_switched(switchable(beta=0.5))) == ["nas", "cascade"]
    assert redone(before, of_switched(switchable(bitwidths=(4, 8)))) == ["nas", "cascade", "automap", "map"]


def spec_with(**fields: object) -> Spec:
    """SPEC with other values of fields that are written with __ for a dot."""
    values = SPEC.model_dump()
    for name, value in fields.items():
        *above, last = name.split("__")
        place = values
        for part in above:
            place = place[part]
        place[last] = value
    return Spec.model_validate(values)


def searched(spec: Spec) -> dict[str, str]:
    """As `digests`, of a run of mixed precision."""
    stamps = {stage.name: Stamp(inputs="", outputs={}, seconds=0.0) for stage in MIXED}
    return {stage.name: inputs_digest(stage, spec, stamps) for stage in MIXED}


def test_another_name_makes_another_design() -> None:
    """The name is part of the design and of the report; nothing is learned anew for it."""
    assert redone(searched(SPEC), searched(spec_with(name="other"))) == ["map", "report"]
    other = SWITCHED.model_copy(update={"name": "other"})
    assert redone(of_switched(SWITCHED), of_switched(other)) == ["map"]


def test_changed_images_redo_what_learns(tmp_path: Path) -> None:
    """Also those behind links, of files and of folders; links in a circle are no trap."""
    data, store = tmp_path / "data", tmp_path / "store"
    for folder in (data / "a", store / "deep"):
        folder.mkdir(parents=True)
    for file in (data / "a" / "0.png", store / "1.png", store / "deep" / "2.png"):
        file.write_bytes(b"x")
    (data / "b").symlink_to(store)
    (data / "a" / "link.png").symlink_to(store / "deep" / "2.png")
    (data / "a" / "nowhere.png").symlink_to(tmp_path / "nowhere")
    (data / "a" / "itself.png").symlink_to(data / "a" / "itself.png")
    (store / "deep" / "up").symlink_to(data)
    spec = spec_with(dataset={"name": "folder", "path": str(data), "image_size": 8})
    names = [name for name, _, _ in folder_state(data)]
    assert names == ["a/0.png", "a/link.png", "b/1.png", "b/deep/2.png", "b/deep/up"]
    for change in (
        lambda: (data / "a" / "0.png").write_bytes(b"xy"),
        lambda: (store / "1.png").write_bytes(b"xy"),
        lambda: (store / "deep" / "3.png").write_bytes(b"x"),
        lambda: (store / "deep" / "2.png").write_bytes(b"xy"),
        lambda: os.utime(store / "1.png", ns=(1, 1)),
    ):
        before = searched(spec)
        assert redone(before, searched(spec)) == []
        change()
        assert redone(before, searched(spec)) == ["search", "train", "baselines", "report"]


def test_another_teacher_trains_anew(tmp_path: Path) -> None:
    """One file in place of another under the same name, and of the same size and time."""
    teacher = tmp_path / "teacher.pt"
    spec = spec_with(schedule__train__distillation={"teacher": str(teacher)})
    missing = searched(spec)
    teacher.write_bytes(b"one")
    os.utime(teacher, ns=(1, 1))
    first = searched(spec)
    assert redone(missing, first) == ["train", "baselines", "report"]
    teacher.write_bytes(b"two")
    os.utime(teacher, ns=(1, 1))
    assert redone(first, searched(spec)) == ["train", "baselines", "report"]


def test_baselines_are_no_input_of_the_design() -> None:
    """Switching them on or off redoes them, and what shows them, alone; the recipe concerns both."""

    def everything(**fields: object) -> dict[str, str]:
        train = SPEC.schedule.train.model_copy(update=fields)
        spec = SPEC.model_copy(update={"schedule": SPEC.schedule.model_copy(update={"train": train})})
        stamps = {stage.name: Stamp(inputs="", outputs={}, seconds=0.0) for stage in MIXED}
        return {stage.name: inputs_digest(stage, spec, stamps) for stage in MIXED}

    before = everything()
    assert redone(before, everything(baselines=False)) == ["baselines", "report"]
    assert redone(before, everything(epochs=7)) == ["train", "baselines", "report"]
    readers = {stage.name for stage in MIXED if "baselines" in stage.after}
    assert readers == {"report"}, "nothing of the design waits for baselines"


def test_a_changed_description_redoes_search_and_mapping(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text("one")
    before = of_switched(switchable(hierarchy=str(path)))
    assert redone(before, of_switched(switchable(hierarchy=str(path)))) == []
    path.write_text("two")
    assert redone(before, of_switched(switchable(hierarchy=str(path)))) == ["nas", "automap"]


GIVEN = tuple(
    stages_of(spec.model_copy(update={"architecture": "arch.yaml"})) for spec in (SPEC, SWITCHED)
)  # fmt: skip


def test_a_given_architecture_takes_the_place_of_the_search(tmp_path: Path) -> None:
    path = tmp_path / "arch.yaml"
    for spec, given, searched in zip(
        (SPEC, SWITCHED), GIVEN, (MIXED, SWITCHABLE), strict=True
    ):  # fmt: skip
        assert [stage.name for stage in given] == ["architecture", *(stage.name for stage in searched[1:])]
        assert given[0].folder == searched[0].folder
        path.write_text("one")
        named = spec.model_copy(update={"architecture": str(path)})
        before = inputs_digest(given[0], named, {})
        assert inputs_digest(given[0], named, {}) == before
        path.write_text("two")
        assert inputs_digest(given[0], named, {}) != before
        with pytest.raises(SpecError, match="so there is nothing to search"):
            up_to(named, "search")
        assert up_to(named, "train")[-1].name == searched[1].name


def test_a_given_network_takes_the_place_of_search_and_training() -> None:
    stages = stages_of(READY)
    assert [stage.name for stage in stages] == ["given", "map", "emit", "verify", "synth", "report"]
    assert stages[0].folder == MIXED[1].folder
    assert [stage.name for stage in up_to(READY, "map")] == ["given", "map"]
    assert up_to(READY, "train") == stages[:1]
    with pytest.raises(SpecError, match="resnet8 is given, so there is nothing to search"):
        up_to(READY, "search")
    before = inputs_digest(stages[0], READY, {})
    other = READY.model_copy(update={"given": READY.given.model_copy(update={"image": 16})})
    assert inputs_digest(stages[0], other, {}) != before
    assert inputs_digest(stages[0], READY.model_copy(update={"seed": 1}), {}) != before
    assert inputs_digest(stages[0], READY.model_copy(update={"platform": "q"}), {}) == before


@pytest.mark.parametrize(
    ("stages", "number"),
    [(stages, i) for stages in (MIXED, SWITCHABLE, NOT_LEARNED, *GIVEN) for i in range(len(stages))],
)
def test_declared_inputs_exist(stages: tuple[Stage, ...], number: int) -> None:
    """The sections of each stage are fields of the spec, and its upstream stages come before it."""
    stage = stages[number]
    assert set(stage.after) <= {before.name for before in stages[:number]}
    values = {**SWITCHED.model_dump(), "given": READY.model_dump()["given"]}
    for path in stage.sections:
        value = values
        for part in path.split("."):
            value = value[part]
