# SPDX-License-Identifier: Apache-2.0
"""Stage cascade: the searched network at all bitwidths together; leaves their integer networks and shared codes."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from nba.core import arithmetic
from nba.core.files import write_atomic
from nba.flow import places
from nba.flow.artifacts import measured, save_images, write_part
from nba.flow.data import check_data, learning_preflight, load_data
from nba.flow.stage import Context, Stage
from nba.flow.stages.train import RECIPE
from nba.learn.switchable.config import Cascade

if TYPE_CHECKING:
    from nba.flow.metrics_model import BitsAccuracy, CodesAgreement
    from nba.learn.quant.export import Agreement
    from nba.learn.switchable.records import AtBits


_CHECKPOINT = "cascade.pt"
CASCADE = tuple(f"switchable.{name}" for name in Cascade.model_fields)
"""What of the section `switchable` shapes the weights."""


def run(context: Context) -> None:
    """Writes switchable.json and switchable.npz (integer networks and the codes that they share), images.npz (test
    images), classes.json, cascade.json (curves, accuracies).

    Of several processes that train together, rank 0 alone measures and writes.
    """
    from nba.flow.architecture import chosen
    from nba.ir.shared import save_shared
    from nba.learn.space.network import skeleton
    from nba.learn.switchable.export import measure_switchable, shared_networks
    from nba.learn.switchable.loop import fit_switchable
    from nba.learn.train import ranks

    spec, config = context.spec, context.spec.switched
    network, dataset = skeleton(chosen(context)), load_data(context, spec.schedule.train.resized_crop)
    checkpoint = context.folder / _CHECKPOINT
    model, records = fit_switchable(
        network, dataset, config, spec.schedule.train, spec.seed, checkpoint=checkpoint, progress=context.progress
    )  # fmt: skip
    if not ranks.current().writes:
        return
    found = measure_switchable(model, records, dataset)
    save_shared(shared_networks(found), context.folder)
    save_images(dataset.test_x, dataset.test_y, dataset.classes, context.folder)
    results = [accuracies(at, len(dataset.test_y)) for at in found.results]
    curves = {"records": [asdict(r) for r in found.records], "results": results}
    write_atomic(context.folder / "cascade.json", json.dumps(curves, indent=1, sort_keys=True) + "\n")
    reached = {str(at["bits"]): at for at in results}
    write_part(context.folder, {"switchable": {"accuracy": reached}, "arithmetic": {"cascade": arithmetic.used()}})


def _codes(found: Agreement) -> CodesAgreement:
    return {"equal": found.equal, "largest": found.largest, "same_class": found.same_class}


def accuracies(at: AtBits, images: int) -> BitsAccuracy:
    """What one bitwidth reached on the test images, and by which arithmetic."""
    close, agreement = at.agreement, None
    if close is not None:
        agreement = _codes(close)
    return {
        **measured(at.accuracy, images),
        "bits": at.bits, "accuracy": at.accuracy, "arithmetic": at.arithmetic, "fake_quant": at.fake_accuracy,
        "agreement": agreement,
    }  # fmt: skip


STAGE = Stage(
    name="cascade", title="cascade distillation training", folder=places.TRAIN, run=run, check=check_data,
    preflight=learning_preflight, after=("nas",), sections=("seed", "dataset", *RECIPE, *CASCADE),
    packages=("torch", "numpy", "scikit-learn"), together=True, scratch=(_CHECKPOINT,),
)  # fmt: skip
