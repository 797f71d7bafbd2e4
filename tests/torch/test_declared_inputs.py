# SPDX-License-Identifier: Apache-2.0
"""A stage is done anew where a field changes that it reads: every stage, run on small specs, reads what it declares."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from nba.core.progress import Silent
from nba.core.section import Section
from nba.explore import mapping
from nba.explore.choose import Effort
from nba.flow import pipelines, runner
from nba.flow.pipelines import stages_of, up_to
from nba.flow.stage import Context, Stage
from nba.flow.stages import synth, verify
from nba.learn.space.config import NetworkFrame, StemPoolSpace
from nba.spec import Spec

pytestmark = pytest.mark.torch

NETWORK = {f"network.{name}" for name in NetworkFrame.model_fields if name != "stem_pool"}
NETWORK |= {f"network.stem_pool.{name}" for name in StemPoolSpace.model_fields}
"""Every field of that section but `preset`, which stands for other fields."""
SMALL: dict[str, Any] = {
    "name": "small",
    "dataset": {"name": "digits", "train_images": 8, "test_images": 2},
    "network": {
        "stem_channels": 4, "stem_pool": {"kernel": 3, "stride": [1, 2]}, "operators": ["k3_e1", "k3_e3"],
        "stages": [{"channels": 4, "blocks": 1, "stride": 2, "operators": ["k3_e1", "k5_e1"], "bitwidths": [4, 8]}],
        "head_channels": 8, "bits_per": "stage", "stem_bits": 6,
    },
    "platform": "pynq-z2",
    "budgets": {"dsp": 40, "bram": 20},
    "schedule": {
        "search": {"pretrain_epochs": 0, "joint_epochs": 1, "hardware_first": 50, "hardware_last": 50},
        "train": {"epochs": 1, "distillation": {"teacher": "float"}, "baselines": True},
    },
    "verify": {"verilator": 1, "icarus": 1, "hls": 1},
}  # fmt: skip
QUICK = Effort(scout_steps=20, climb_steps=20, finalists=1, reorder_steps=0, refine_steps=5, exact=False)
MIXED = Spec.model_validate(SMALL)
SWITCHABLE = Spec.model_validate(
    {
        **SMALL,
        "precision": "switchable",
        "switchable": {"bitwidths": [4, 8], "hierarchy": "mcu-class", "mapping_effort": 1000},
        "schedule": {**SMALL["schedule"], "train": {"epochs": 1}},
    }
)


class Recorder:
    """A section of a spec that notes the fields that are read: each by itself, or a whole section."""

    def __init__(self, section: Section, where: str, read: Callable[[str], None]):
        self._section, self._where, self._read = section, where, read

    def __getattr__(self, name: str) -> Any:
        kind = type(self._section)
        if name in kind.model_fields:
            value = getattr(self._section, name)
            where = self._where + name
            if isinstance(value, Section):
                return Recorder(value, f"{where}.", self._read)
            self._read(where)
            return value
        own = getattr(kind, name)  # what a method or a property of the section reads is noted as well
        if isinstance(own, property):
            assert own.fget is not None
            return own.fget(self)
        return partial(own, self)

    def model_dump(
        self, *, include: set[str] | None = None, exclude: set[str] | None = None, exclude_none: bool = False
    ) -> dict[str, Any]:
        """As that of the section."""
        for name in (include or set(type(self._section).model_fields)) - (exclude or set()):
            value = getattr(self, name)
            if isinstance(value, Recorder):
                value.model_dump()
        return self._section.model_dump(include=include, exclude=exclude, exclude_none=exclude_none)

    def model_copy(self, *, update: dict[str, Any]) -> Recorder:
        """As that of the section: what is read of the copy is noted."""
        return Recorder(self._section.model_copy(update=update), self._where, self._read)

    def but(self, **changes: object) -> Recorder:
        """As that of the section: what is read of the copy is noted."""
        return Recorder(self._section.but(**changes), self._where, self._read)


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> dict[str, set[str]]:
    """The fields that each stage read; simulators and synthesis are left out."""
    found: dict[str, set[str]] = {}
    real = runner.Context

    def recorded(*, spec: Spec, build: Path, folder: Path, progress: Any) -> Context:
        fields = found.setdefault(folder.name, set())
        return real(spec=Recorder(spec, "", fields.add), build=build, folder=folder, progress=progress)  # type: ignore[arg-type]

    monkeypatch.setattr(runner, "Context", recorded)
    monkeypatch.setattr(verify, "verify", lambda *given, **options: {})
    monkeypatch.setattr(synth, "synthesise", lambda *given, **options: {})
    return found


@pytest.mark.parametrize("spec", [MIXED, SWITCHABLE], ids=lambda spec: spec.precision)
def test_every_field_that_a_stage_reads_is_declared(spec: Spec, read: dict[str, set[str]], tmp_path: Path) -> None:
    stages = stages_of(spec)
    pipelines.run_spec(spec, tmp_path / "b", progress=Silent(), say=lambda line: None)
    for stage in stages:
        undeclared = sorted(field for field in read[stage.name] if not _covered(stage, field))
        assert undeclared == [], stage.name
    left = {path.name for path in (tmp_path / "b").rglob("*.pt*")}
    assert left == ({"teacher.pt"} if spec.precision == "mixed" else set()), "a checkpoint is not in SCRATCH"
    assert {"seed", "dataset.name", "objective", *NETWORK} <= read[stages[0].name]
    assert "schedule.train.epochs" in read[stages[1].name]


def test_of_a_given_architecture_too(read: dict[str, set[str]], tmp_path: Path) -> None:
    runner.run(MIXED, tmp_path / "a", stages=pipelines.MIXED[:1], progress=Silent(), say=lambda line: None)
    spec = MIXED.model_copy(update={"architecture": str(tmp_path / "a" / "search" / "architecture.json")})
    stages = up_to(spec, "train")
    runner.run(spec, tmp_path / "b", stages=stages, progress=Silent(), say=lambda line: None)
    for stage in stages:
        assert [field for field in sorted(read[stage.name]) if not _covered(stage, field)] == [], stage.name
    assert {"architecture", *NETWORK} <= read["architecture"]


def test_of_a_given_network_too(read: dict[str, set[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mapping, "Effort", lambda: QUICK)
    spec = Spec.model_validate(
        {"name": "g", "given": {"published": "resnet8", "image": 4}, "platform": "pynq-z2",
         "budgets": {"dsp": 16, "bram": 60}, "verify": {"verilator": 1, "icarus": 0, "hls": 0}}
    )  # fmt: skip
    pipelines.run_spec(spec, tmp_path / "b", progress=Silent(), say=lambda line: None)
    for stage in stages_of(spec):
        assert [field for field in sorted(read[stage.name]) if not _covered(stage, field)] == [], stage.name
    assert {"seed", "given.published", "given.image"} <= read["given"]


def _covered(stage: Stage, field: str) -> bool:
    """Whether the digest of `stage` changes with `field`. The list of stages says what `precision` is, and so whether
    there is a section `switchable` at all, and whether an `architecture` or a network was given."""
    return stage.reads(field) or field in ("precision", "switchable", "architecture", "given")


def test_a_field_that_is_not_declared_is_found(read: dict[str, set[str]], tmp_path: Path) -> None:
    """Were a section left out of those of the search, the test above would name every field of it."""
    first = pipelines.MIXED[0]
    runner.run(MIXED, tmp_path / "b", stages=(first,), progress=Silent(), say=lambda line: None)
    for left_out, fields in (("seed", {"seed"}), ("network", NETWORK)):
        without = replace(first, sections=tuple(section for section in first.sections if section != left_out))
        assert {field for field in read["search"] if not _covered(without, field)} == fields
