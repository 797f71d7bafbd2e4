# SPDX-License-Identifier: Apache-2.0
"""Stage train: the searched architecture from scratch, quantisation-aware; leaves the integer network."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from nba.core import arithmetic
from nba.core.errors import DataError
from nba.core.files import write_atomic
from nba.flow import data, places
from nba.flow.artifacts import measured, save_images, save_network, write_part
from nba.flow.data import learning_preflight, load_data
from nba.flow.stage import Context, Stage
from nba.learn.train.config import FLOAT_TEACHER, TrainSchedule

if TYPE_CHECKING:
    from nba.flow.metrics_model import Accuracy
    from nba.spec import Spec


RECIPE = tuple(f"schedule.train.{name}" for name in TrainSchedule.model_fields if name != "baselines")
"""All of `schedule.train` that shapes the trained network."""


def check(spec: Spec) -> None:
    """Raise DataError if the data or the teacher's file are not there."""
    data.check_data(spec)
    wanted = spec.schedule.train.distillation
    if wanted is not None and wanted.teacher != FLOAT_TEACHER and not Path(wanted.teacher).is_file():
        raise DataError(
            f"schedule.train.distillation.teacher: {wanted.teacher}: no such file; give the teacher.pt of a run, or "
            "`float` to train one"
        )


def run(context: Context) -> None:
    """Writes network.json, weights.npz, images.npz (test images), classes.json, curves.json; teacher.pt where a teacher
    was trained.

    Of several processes that train together, rank 0 alone measures and writes.
    """
    from nba.flow.architecture import chosen
    from nba.learn.train import ranks
    from nba.learn.train.loop import fit, measure

    spec = context.spec
    architecture = chosen(context)
    dataset = load_data(context, spec.schedule.train.resized_crop)
    model, records = fit(architecture, dataset, spec.schedule.train, spec.seed, context.folder, context.progress)
    if not ranks.current().writes:
        return
    trained = measure(model, records, dataset)
    save_network(trained.network, trained.weights, context.folder)
    save_images(dataset.test_x, dataset.test_y, dataset.classes, context.folder)
    curves = {"records": [asdict(r) for r in trained.records], "agreement": asdict(trained.agreement)}
    write_atomic(context.folder / "curves.json", json.dumps(curves, indent=1, sort_keys=True) + "\n")
    reached = trained.integer_accuracy
    found: Accuracy = {
        "integer": reached,
        "fake_quant": trained.fake_accuracy,
        **measured(reached, len(dataset.test_y)),
    }
    write_part(context.folder, {"accuracy": found, "arithmetic": {"train": arithmetic.used()}})


STAGE = Stage(
    name="train", title="training and integer network", folder=places.TRAIN, run=run, check=check,
    preflight=learning_preflight,
    after=("search",), sections=("seed", "dataset", *RECIPE), packages=("torch", "numpy", "scikit-learn"),
    together=True, scratch=("train.pt",),
)  # fmt: skip
