# SPDX-License-Identifier: Apache-2.0
"""The published presets against the table of the released configurations, field by field and in both directions."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from nba.api import load_spec
from nba.boards import names
from nba.core import assets
from nba.deviations import notes
from nba.learn.search.config import SearchSchedule
from nba.learn.train.config import TrainSchedule
from nba.learn.train.recipes import TRAINING
from nba.presets import SCHEDULES
from nba.published import NETWORKS_MISSING, PUBLISHED
from nba.spec import LearningSchedule, Spec, parse_spec

AUTO_CIFAR = "published-auto-nba-cifar"
AUTO_IMAGENET = "published-auto-nba-imagenet"
INSTANT_CIFAR = "published-instantnet-cifar"
COLUMNS = (AUTO_CIFAR, AUTO_IMAGENET, INSTANT_CIFAR)
Row = tuple[tuple[str, ...], tuple[Any, Any, Any]]

TABLE: tuple[Row, ...] = (
    (("search.pretrain_epochs", "search.joint_epochs"), ((30, 90), (45, 75), (0, 25))),
    (("search.batch_size", "search.weights_fraction"), ((64, 0.5), (192, 0.8), (64, 0.5))),
    (
        ("search.learning_rate", "search.learning_rate_last", "search.momentum", "search.weight_decay",
         "search.clip_norm"),
        ((0.025, 0.001, 0.9, 5e-4, 5.0), (0.1, 0.0, 0.9, 5e-4, 5.0), (0.025, 0.001, 0.9, 5e-4, 5.0)),
    ),
    (
        ("search.alpha_learning_rate", "search.beta_learning_rate", "search.adam_betas"),
        ((3e-4, 3e-4, (0.5, 0.999)),) * 3,
    ),
    (("search.temperature_first", "search.temperature_factor"), ((5.0, 0.975), (5.0, 0.956), (3.0, 0.88))),
    (
        ("search.hardware_every", "search.hardware_samples", "search.hardware_method"),
        ((100, 2000, "gamma"), (20, 10_000, "random"), None),
    ),
    (("search.fps_range", "search.cost_range"), (((100.0, 400.0), None), ((0.0, 200.0), None), (None, (1.2e8, 1.3e8)))),
    (("search.network_objective", "search.cost_weight"), (("hardware", 1e-10), ("hardware", 0.0), ("macs", 1e-10))),
    (("train.epochs", "train.batch_size"), ((600, 96), (180, 512), (200, 128))),
    (
        ("train.learning_rate", "train.learning_rate_last", "train.weight_decay"),
        ((0.01, 0.001, 5e-4), (0.2, 0.0, 4e-5), (0.025, 0.001, 5e-4)),
    ),
    *(
        ((f"{section}.crop_pixels", f"{section}.resized_crop", f"{section}.mirror"),
         ((4, None, True), (0, {"scale": (0.08, 1.0), "ratio": (3 / 4, 4 / 3)}, True), (4, None, True)))
        for section in ("search", "train")
    ),
    (("search.optimiser",), (("sgd",),) * 3),
    (("train.optimiser", "train.momentum"), (("sgd", 0.9),) * 3),
)  # fmt: skip
"""Rows of the table: fields of `schedule`, and their values in the three columns (None: the method has no such row)."""

FROM_THE_PAPERS: dict[str, Any] = {"search.bit_sampling": "hetero", "search.n_candidates": 2}
"""Blended bits for the weights, one for beta; two paths in the backward pass."""

OFF: dict[str, Any] = {
    "search.steps_per_epoch": None, "search.bits_weight": 0.0, "search.target": None, "search.target_fps": None,
    "search.cost_form": "linear",
    "train.nesterov": False, "train.clip_norm": None, "train.warmup_epochs": 0.0, "train.label_smoothing": 0.0,
    "train.ema": 0.0, "train.distillation": None, "train.precision": "float32", "train.mixup": 0.0,
    "train.fold_fraction": 0.0, "train.baselines": False,
    **{f"{section}.{field}": 0.0 for section in ("search", "train")
       for field in ("shift_pixels", "rotation_degrees", "zoom")},
}  # fmt: skip
"""What the table does not have: it is off. The weight of the cost is a plain factor."""

UNUSED = {"search.temperature_last", "search.adapt_rate", "search.hardware_first", "search.hardware_last"}
"""Without meaning beside temperature_factor and a range; the last two follow hardware_samples, or mean nothing."""
NO_ACCELERATOR = {"search.hardware_every", "search.hardware_samples", "search.hardware_method"}
"""Without meaning in the search of InstantNet."""


def expected(column: str) -> dict[str, Any]:
    """Every field of `schedule` that has a meaning in a column, and its value."""
    found = {**FROM_THE_PAPERS, **OFF}
    for fields, cells in TABLE:
        cell = cells[COLUMNS.index(column)]
        if cell is not None:
            found.update(zip(fields, cell, strict=True))
    return found


def fields_of_schedule() -> set[str]:
    search = {f"search.{field}" for field in SearchSchedule.model_fields}
    return search | {f"train.{field}" for field in TrainSchedule.model_fields if field != "preset"}


def values(schedule: LearningSchedule) -> dict[str, Any]:
    sections = (("search", schedule.search), ("train", schedule.train))
    return {f"{name}.{field}": value for name, section in sections for field, value in section.model_dump().items()}


@pytest.mark.parametrize("column", COLUMNS)
def test_the_preset_is_the_table(column: str) -> None:
    found = values(LearningSchedule.model_validate({"preset": column}))
    wanted = expected(column)
    assert {field: found[field] for field in wanted} == wanted


@pytest.mark.parametrize("column", COLUMNS)
def test_the_table_covers_every_field_of_the_schedule(column: str) -> None:
    """A field that is added to the schedule must be decided upon here, and for every preset."""
    unused = UNUSED | (NO_ACCELERATOR if column == INSTANT_CIFAR else set())
    assert set(expected(column)) | unused == fields_of_schedule()
    assert not set(expected(column)) & unused


@pytest.mark.parametrize("column", COLUMNS)
def test_no_default_of_ours_comes_in(column: str) -> None:
    """The presets name every field themselves."""
    for section, model in (("search", SearchSchedule), ("train", TrainSchedule)):
        assert set(SCHEDULES[column][section]) == set(model.model_fields) - {"preset"}
    for name, recipe in TRAINING.items():
        assert set(recipe) == set(TrainSchedule.model_fields) - {"preset"}, name


def test_bits_and_spaces_of_the_table() -> None:
    wanted = [dict(PUBLISHED[column].elsewhere) for column in COLUMNS]
    assert wanted[0]["bitwidths"] == [4, 6, 8]
    assert "bitwidths" not in wanted[1]
    assert wanted[2]["switchable.bitwidths"] == [4, 8, 12, 16, 32]
    assert (wanted[1]["dataset.image_size"], wanted[1]["dataset.classes.count"]) == (224, 100)


@pytest.mark.parametrize(
    ("column", "words"),
    [
        (AUTO_CIFAR, ("1x1 convolution", "per block and operator", "fake_hard", "proxy_hard", "12 chunks")),
        (
            AUTO_IMAGENET,
            ("squeeze-and-excitation and h-swish", "(32, off)", "accelerator search is off"),
        ),
        (
            INSTANT_CIFAR,
            (
                "1x1 convolution",
                "quantised anew for every bitwidth",
                "left in float",
                "FLOPs are taken as multiply-accumulates",
            ),
        ),
    ],
)
def test_what_cannot_be_expressed_is_named(column: str, words: tuple[str, ...]) -> None:
    said = "\n".join(PUBLISHED[column].missing)
    for word in words:
        assert word in said
    assert set(NETWORKS_MISSING) == {"auto-nba-cifar", "auto-nba-imagenet"}


SPEC = """
name: p
dataset: {name: digits}
network: {preset: auto-nba-cifar}
platform: zc706
budgets: {dsp: 900, bram: 545}
"""


def parsed(text: str) -> Spec:
    return parse_spec(text, where="f.yaml", folder=Path(), platforms=["zc706"])


def test_a_value_that_is_not_the_published_one_is_named() -> None:
    text = SPEC + f"schedule: {{preset: {AUTO_CIFAR}"
    same, other = notes(parsed(text + "}\n")), notes(parsed(text + ", search: {batch_size: 32}}\nbitwidths: [4, 8]\n"))
    assert [line for line in same if "in this spec" in line] == []
    assert [line for line in other if "in this spec" in line] == [
        f"{AUTO_CIFAR}: bitwidths: [4, 8] in this spec, published [4, 6, 8]",
        f"{AUTO_CIFAR}: schedule.search.batch_size: 32 in this spec, published 64",
    ]
    assert set(same) < set(other)
    assert notes(parsed(SPEC)) == ("auto-nba-cifar: " + NETWORKS_MISSING["auto-nba-cifar"][0],)
    assert notes(parsed(SPEC.replace("{preset: auto-nba-cifar}", "{stem_channels: 8, stages: [{channels: 8, blocks: 1}"
                                     ", {channels: 8, blocks: 1}], head_channels: 8}"))) == ()  # fmt: skip


@pytest.mark.parametrize(
    ("example", "column"), [("cifar10_published", AUTO_CIFAR), ("cifar10_instantnet", INSTANT_CIFAR)]
)
def test_published_examples_are_the_published_settings(example: str, column: str) -> None:
    found = load_spec(assets.root("examples") / f"{example}.yaml")
    assert found.schedule == LearningSchedule.model_validate({"preset": column})
    assert not [line for line in notes(found) if "in this spec" in line]
    assert parse_spec(found.yaml(), where="", folder=Path(), platforms=names()) == found


def test_one_recipe_at_a_time() -> None:
    with pytest.raises(ValueError, match="both define the training; give only one of them"):
        LearningSchedule.model_validate({"preset": AUTO_CIFAR, "train": {"preset": "common-cifar"}})
    common = LearningSchedule.model_validate({"train": {"preset": "common-cifar", "epochs": 3}}).train
    assert (common.epochs, common.batch_size, common.learning_rate) == (3, 128, 0.1)


SWITCHABLE = SPEC + "precision: switchable\n"
INSTANT_SEARCH = (0, 25, 3.0, 0.88)


def search_of(text: str) -> tuple[int, int, float, float | None]:
    found = parsed(text).schedule.search
    return found.pretrain_epochs, found.joint_epochs, found.temperature_first, found.temperature_factor


def test_a_switchable_search_has_the_published_epochs_and_temperature() -> None:
    assert search_of(SWITCHABLE) == INSTANT_SEARCH
    assert search_of(SWITCHABLE + "schedule:\n") == INSTANT_SEARCH
    assert search_of(SWITCHABLE + "schedule: {train: {epochs: 3}}\n") == INSTANT_SEARCH
    assert search_of(SWITCHABLE + "schedule: {search: {joint_epochs: 7}}\n") == (0, 7, 3.0, 0.88)
    assert search_of(SWITCHABLE + "schedule: {search: {temperature_last: 0.1}}\n") == (0, 25, 3.0, None)
    assert search_of(SWITCHABLE + "schedule: {preset: quick}\n") == (2, 6, 5.0, None)
    assert search_of(SPEC) == (10, 30, 5.0, None)
    spec = parsed(SWITCHABLE)
    assert parsed(spec.yaml()) == spec


MIGRATING = Path(__file__).parents[2] / "docs" / "migrating.md"


def test_the_guide_names_fields_that_exist() -> None:
    """Every `schedule.x.y`, and the names that follow it in a cell, is a field; every preset is there."""
    text = MIGRATING.read_text()
    models = {"search": set(SearchSchedule.model_fields), "train": set(TrainSchedule.model_fields)}
    rows = [line for line in text.splitlines() if line.startswith("| ") and "`schedule." in line]
    assert len(rows) > 12
    named = set()
    for row in rows:
        cell = row.split(" | ")[1]
        section = "train" if "schedule.train" in cell else "search"
        words = re.findall(r"`(?:schedule\.(?:search|train)\.)?([a-z_]+)[:`]", cell)
        for word in words:
            if word in models["search"] | models["train"]:
                assert word in models[section], row
                named.add(word)
        for section, word in re.findall(r"schedule\.(search|train)\.([a-z_]+)", cell):
            assert word in models[section], row
    assert {"clip_norm", "resized_crop", "cost_range", "fps_range", "hardware_method", "crop_pixels"} <= named
    for column in COLUMNS:
        assert f"`{column}`" in text
