# SPDX-License-Identifier: Apache-2.0
"""Stage search: operators, bitwidths and accelerator together; leaves the architecture and its accelerator."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from nba.files import write_atomic
from nba.stages.data import data_config, macro, preflight
from nba.stages.exchange import save_accelerator

if TYPE_CHECKING:
    from nba.flow import Context

__all__ = ["preflight", "run"]


def run(context: Context) -> None:
    """Writes architecture.json, accelerator.json, curves.json."""
    from nba.data.dataset import load
    from nba.mapper.budgets import Budgets
    from nba.platform import get
    from nba.search.gamma import GammaSearch
    from nba.search.joint import SearchConfig, search
    from nba.space.network import architecture_json

    spec = context.spec
    dataset = load(data_config(spec))
    space = macro(spec, len(dataset.classes))
    budgets = Budgets(dsp=spec.budgets.dsp, bram=spec.budgets.bram)
    hardware = GammaSearch(space, get(spec.platform), budgets, objective=spec.objective, seed=spec.seed)
    config = SearchConfig(**spec.schedule.search.model_dump())
    found = search(space, dataset, hardware, config, spec.seed, context.folder, context.progress)
    write_atomic(context.folder / "architecture.json", architecture_json(found.architecture))
    save_accelerator(found.accelerator, context.folder / "accelerator.json")
    curves = {"records": [asdict(r) for r in found.records]}
    write_atomic(context.folder / "curves.json", json.dumps(curves, indent=1, sort_keys=True) + "\n")
    (context.folder / "search.pt").unlink(missing_ok=True)
