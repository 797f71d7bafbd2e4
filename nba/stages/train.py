# SPDX-License-Identifier: Apache-2.0
"""Stage train: the searched architecture from scratch, quantisation-aware; leaves the integer network."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from nba.files import write_atomic
from nba.stages.data import load_data, preflight
from nba.stages.exchange import save_images, save_network, write_part

if TYPE_CHECKING:
    from nba.flow import Context

__all__ = ["preflight", "run"]


def run(context: Context) -> None:
    """Writes network.json, weights.npz, images.npz (test images), curves.json."""
    from nba.search.result import load_result
    from nba.train.loop import TrainConfig, train

    spec = context.spec
    architecture = load_result(context.of("search") / "search.json").architecture
    dataset = load_data(context)
    config = TrainConfig(**spec.schedule.train.model_dump())
    trained = train(architecture, dataset, config, spec.seed, context.folder, context.progress)
    save_network(trained.network, trained.weights, context.folder)
    save_images(dataset.test_x, dataset.test_y, context.folder)
    curves = {"records": [asdict(r) for r in trained.records], "agreement": asdict(trained.agreement)}
    write_atomic(context.folder / "curves.json", json.dumps(curves, indent=1, sort_keys=True) + "\n")
    write_part(
        context.folder,
        {"accuracy": {"integer": trained.integer_accuracy, "fake_quant": trained.fake_accuracy}},
    )
    (context.folder / "train.pt").unlink(missing_ok=True)
