# SPDX-License-Identifier: Apache-2.0
"""The spec: what the user asks for. Read from YAML, checked field by field; every error is reported at once."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    BaseModel,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from nba.boards.table import unknown_board
from nba.core.errors import SpecError
from nba.core.files import expanded
from nba.core.section import Section, with_preset
from nba.core.yamlfile import dump_yaml, explain, names_a_file, parse_yaml, report, value_at
from nba.explore.config import ChunkLimits, RunBudgets
from nba.learn.data.config import DataConfig
from nba.learn.search.config import SWITCHABLE_SEARCH, SearchSchedule
from nba.learn.space.config import BITWIDTHS, Bitwidths, NetworkSpace
from nba.learn.space.presets import AUTO_NBA_BITWIDTHS, NETWORK_PRESETS
from nba.learn.switchable.config import Switchable
from nba.learn.train.config import TrainSchedule
from nba.presets import SCHEDULES
from nba.zoo.config import GivenNetwork

Images = Annotated[int, Field(ge=0, le=1024, strict=True)]


class LearningSchedule(Section):
    """Search and training; `preset` gives the fields that do not stand in the sections beside it."""

    preset: (
        Literal["published-auto-nba-cifar", "published-auto-nba-imagenet", "published-instantnet-cifar", "quick"] | None
    ) = None
    search: SearchSchedule = SearchSchedule()
    train: TrainSchedule = TrainSchedule()

    @model_validator(mode="before")
    @classmethod
    def _from_preset(cls, raw: Any) -> Any:
        train = raw.get("train") if isinstance(raw, dict) else None
        if isinstance(train, dict) and isinstance(train.get("preset"), str) and isinstance(raw.get("preset"), str):
            raise ValueError(
                f"preset {raw['preset']} and train.preset {train['preset']} both define the training; give only one "
                "of them"
            )
        return with_preset(raw, SCHEDULES)


class Verify(Section):
    """Test images that each implementation must reproduce, all logits, bit for bit, or all that there are; 0 leaves one
    out (Icarus takes about a hundred times as long as Verilator). verilator: `steady` stands for 32, and for as many
    more frames, up to 128, as it takes to simulate the steady interval; a number stands for itself. tests: `all` those
    of the bench in Verilator (docs/simulation.md), which stall, reset and start it over and over; or `cycles`, frames
    back to back, for networks whose frames take long to simulate."""

    verilator: Images | Literal["steady"] = "steady"
    icarus: Images = 2
    hls: Images = 32
    tests: Literal["all", "cycles"] = "all"

    @model_validator(mode="after")
    def _something(self) -> Verify:
        if not (self.verilator or self.icarus):
            raise ValueError("`verilator` and `icarus` are both 0; at least one must simulate the Verilog")
        return self


LEARNING = ("dataset", "network", "bitwidths", "precision", "switchable", "schedule", "architecture")
"""Fields that a network has which is searched or trained."""


def _learns(raw: Any) -> bool:
    """Whether these are the fields of a spec whose network is searched or trained."""
    return isinstance(raw, dict) and raw.get("given") is None


class Spec(Section):
    """One run of nba-codesign. platform: a built-in board, or a file that describes one (docs/boards.md). precision:
    `mixed` gives every block bits of its own; `switchable` gives one network that works at several bitwidths, as the
    section of that name says. architecture: a file with the operator and the bits of every block
    (docs/architecture-file.md); nothing is searched then. given: a network that is neither searched nor trained
    (docs/given-networks.md); `dataset`, `network` and all else that is about learning has no place beside it."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
    seed: Annotated[int, Field(ge=0, lt=2**31, strict=True)] = 0
    given: GivenNetwork | None = None
    dataset: DataConfig | None
    network: NetworkSpace | None
    bitwidths: Bitwidths = BITWIDTHS
    platform: str
    budgets: RunBudgets
    objective: Literal["interval", "latency", "energy", "edp"] = "interval"
    accelerator: ChunkLimits = ChunkLimits()
    precision: Literal["mixed", "switchable"] = "mixed"
    switchable: Switchable | None = None
    schedule: LearningSchedule = LearningSchedule()
    verify: Verify = Verify()
    architecture: Annotated[str, Field(min_length=1)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _nothing_is_learned(cls, raw: Any) -> Any:
        return {"dataset": None, "network": None, **raw} if isinstance(raw, dict) and not _learns(raw) else raw

    @model_validator(mode="before")
    @classmethod
    def _bitwidths_of_preset(cls, raw: Any) -> Any:
        network = raw.get("network") if _learns(raw) else None
        preset = network.get("preset") if isinstance(network, dict) else None
        if isinstance(preset, str) and preset in NETWORK_PRESETS:
            return {"bitwidths": list(AUTO_NBA_BITWIDTHS), **raw}
        return raw

    @model_validator(mode="before")
    @classmethod
    def _switchable_defaults(cls, raw: Any) -> Any:
        if _learns(raw) and raw.get("precision") == "switchable" and raw.get("switchable") is None:
            return {**raw, "switchable": {}}
        return raw

    @model_validator(mode="before")
    @classmethod
    def _switchable_schedule(cls, raw: Any) -> Any:
        """The search of a switchable network has defaults of its own, where no preset gives others."""
        if not _learns(raw) or raw.get("precision") != "switchable":
            return raw
        schedule = {} if raw.get("schedule") is None else raw["schedule"]
        search = schedule.get("search", {}) if isinstance(schedule, dict) else None
        if not isinstance(search, dict) or schedule.get("preset") is not None:
            return raw
        own = {
            k: v for k, v in SWITCHABLE_SEARCH.items() if k != "temperature_factor" or "temperature_last" not in search
        }
        return {**raw, "schedule": {**schedule, "search": {**own, **search}}}

    @field_validator("objective", mode="before")
    @classmethod
    def _fps(cls, objective: object) -> object:
        """Frames per second are the inverse of the interval."""
        return "interval" if objective == "fps" else objective

    @field_validator(*LEARNING)
    @classmethod
    def _learned_or_given(cls, value: object, info: ValidationInfo) -> object:
        """`given` stands before all these fields; it is not in `info.data` if it is wrong."""
        if info.field_name in ("dataset", "network") and value is None and info.data.get("given", cls) is None:
            raise ValueError("a section is needed, unless `given` names a network")
        default = cls.model_fields[str(info.field_name)].get_default(call_default_factory=True)
        if info.data.get("given") is not None and value not in (None, default):
            raise ValueError("belongs to a network that is learned; leave it out, or leave `given` out")
        return value

    @model_validator(mode="after")
    def _accuracy_of_what_is_learned(self) -> Spec:
        if self.given is not None and self.budgets.accuracy is not None:
            raise ValueError(
                "budgets.accuracy: a network that is given (`given`) has no test images here, and a published one "
                "random weights; leave it out"
            )
        return self

    @model_validator(mode="after")
    def _target_of_the_objective(self) -> Spec:
        search = self.schedule.search
        for name, instead in (("target_fps", "target"), ("fps_range", "cost_range")):
            value = getattr(search, name)
            if value is not None and self.objective != "interval":
                text = f"{value:g}" if isinstance(value, float) else str(list(value))
                raise ValueError(
                    f"schedule.search.{name}: {text} is a target for objective: interval, not for {self.objective}; "
                    f"give schedule.search.{instead}"
                )
        return self

    @model_validator(mode="after")
    def _one_resized_crop(self) -> Spec:
        for name, section in (("search", self.schedule.search), ("train", self.schedule.train)):
            transforms = () if self.dataset is None else self.dataset.transforms
            if section.resized_crop and any(t.name == "RandomResizedCrop" for t in transforms):
                raise ValueError(
                    f"dataset.transforms has a RandomResizedCrop, and so has schedule.{name}.resized_crop; give one"
                )
        return self

    @model_validator(mode="after")
    def _one_kind_of_precision(self) -> Spec:
        if self.precision == "mixed" and self.switchable is not None:
            raise ValueError("switchable: belongs to `precision: switchable`; add that line, or leave the section out")
        if self.precision == "switchable" and self.bitwidths not in (BITWIDTHS, AUTO_NBA_BITWIDTHS):
            raise ValueError("bitwidths: belongs to `precision: mixed`; leave it out, and give switchable.bitwidths")
        if self.precision == "switchable" and self.schedule.train.distillation is not None:
            raise ValueError(
                "schedule.train.distillation: a switchable network teaches itself; leave it out, and choose its "
                "teachers with switchable.teachers"
            )
        return self

    @property
    def data(self) -> DataConfig:
        """The section `dataset`. Raises SpecError for a spec that gives its network."""
        if self.dataset is None:
            raise SpecError("dataset: missing; a network that is learned needs one")
        return self.dataset

    @property
    def space(self) -> NetworkSpace:
        """The section `network`. Raises SpecError for a spec that gives its network."""
        if self.network is None:
            raise SpecError("network: missing; a network that is learned needs one")
        return self.network

    @property
    def switched(self) -> Switchable:
        """The section `switchable`. Raises SpecError for a spec of another precision."""
        if self.switchable is None:
            raise SpecError("precision: mixed; a switchable network needs `precision: switchable`")
        return self.switchable

    def yaml(self) -> str:
        """The whole spec, defaults filled in, as YAML that `parse_spec` reads back to the same value. What has no place
        beside a given network is left out with it."""
        return dump_yaml(self.model_dump(mode="json", exclude=set() if self.given is None else set(LEARNING)))


def parse_spec(text: str, *, where: str, folder: Path, platforms: Collection[str]) -> Spec:
    """The spec written in `text`; `where` names it in messages, `platforms` are the legal names of the field
    `platform`, which may name a file as well. Relative paths (`PATHS`) are relative to `folder`. Raises SpecError with
    every error of the text."""
    raw = parse_yaml(text, where=where, what="spec", fields=Spec.model_fields)
    problems: list[str] = []
    spec: Spec | None = None
    try:
        spec = Spec.model_validate(raw)
    except ValidationError as err:
        problems.extend(explain(err, Spec))
    platform = raw.get("platform")
    if isinstance(platform, str) and platform not in platforms and not names_a_file(platform):
        problems.append(unknown_board(platform, platforms))
    if problems or spec is None:
        raise SpecError(report(where, problems))
    for field, path in paths_of(spec).items():
        try:
            spec = _replaced(spec, field, str((folder / expanded(path, field)).absolute()))
        except SpecError as err:
            problems.append(str(err))
    if problems:
        raise SpecError(report(where, problems))
    return spec


PATHS: dict[str, Callable[[str], bool]] = {
    "architecture": lambda text: True,
    "dataset.path": lambda text: True,
    "given.file": lambda text: True,
    "platform": names_a_file,
    "switchable.hierarchy": names_a_file,
    "schedule.train.distillation.teacher": lambda text: text != "float",
}
"""Fields that may name files or folders of the user, and whether a value does."""


def paths_of(spec: Spec) -> dict[str, Path]:
    """The files and folders that the spec names, by field."""
    values = spec.model_dump(mode="json")
    found = {field: value_at(values, field) for field in PATHS}
    return {field: Path(text) for field, text in found.items() if isinstance(text, str) and PATHS[field](text)}


Part = TypeVar("Part", bound=BaseModel)


def _replaced(section: Part, field: str, value: str) -> Part:
    """`section` with another value of `field`."""
    name, _, rest = field.partition(".")
    return section.model_copy(update={name: _replaced(getattr(section, name), rest, value) if rest else value})
