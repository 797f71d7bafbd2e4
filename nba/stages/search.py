# SPDX-License-Identifier: Apache-2.0
"""Stage search: operators, bitwidths and accelerator together; leaves the architecture, its accelerator, the curves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nba.stages.data import data_config, macro, preflight

if TYPE_CHECKING:
    from nba.flow import Context
    from nba.search.joint import SearchConfig
    from nba.spec import SearchSchedule

__all__ = ["preflight", "run"]


def run(context: Context) -> None:
    """Writes search.json."""
    from nba.data.dataset import load
    from nba.mapper.budgets import Budgets
    from nba.platform import get
    from nba.search.gamma import GammaSearch
    from nba.search.joint import search
    from nba.search.result import save_result
    from nba.space.accelerator import AcceleratorSpace
    from nba.space.network import slots

    spec = context.spec
    dataset = load(data_config(spec))
    space = macro(spec, len(dataset.classes))
    budgets = Budgets(dsp=spec.budgets.dsp, bram=spec.budgets.bram)
    hardware = GammaSearch(
        space=AcceleratorSpace(slots=tuple(s.kind for s in slots(space)), n_chunks=spec.accelerator.max_chunks),
        platform=get(spec.platform),
        budgets=budgets,
        objective=spec.objective,
        seed=spec.seed,
    )
    config = search_config(spec.schedule.search)
    found = search(space, dataset, hardware, config, spec.seed, context.folder, context.progress)
    save_result(found, context.folder / "search.json")
    (context.folder / "search.pt").unlink(missing_ok=True)


def search_config(schedule: SearchSchedule) -> SearchConfig:
    """The section `schedule.search`, as nba.search takes it."""
    from nba.search.joint import SearchConfig
    from nba.search.penalty import CostConfig

    values = schedule.model_dump()
    cost = CostConfig(
        weight=values.pop("cost_weight"),
        bits_weight=values.pop("bits_weight"),
        target_interval_cycles=values.pop("target_interval_cycles"),
    )
    return SearchConfig(cost=cost, **values)
