# SPDX-License-Identifier: Apache-2.0
"""Stage search: operators, bitwidths and accelerator together; leaves the architecture, its accelerator, the curves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nba.stages.data import load_data, macro, preflight
from nba.stages.limits import budgets_of

if TYPE_CHECKING:
    from nba.cost.usage import Objective
    from nba.flow import Context
    from nba.ir.accelerator import Accelerator
    from nba.ir.network import Network
    from nba.mapper.automap import Effort
    from nba.search.joint import SearchConfig
    from nba.space.network import Architecture, Macro
    from nba.spec import SearchSchedule, Spec

__all__ = ["preflight", "run"]


TOGETHER = True
"""Several processes may do this stage together (nba.train.ranks)."""


def run(context: Context) -> None:
    """Writes search.json. Of several processes that search together, rank 0 alone writes."""
    from nba.mapper.automap import Effort
    from nba.platform import get
    from nba.search.gamma import GammaSearch
    from nba.search.joint import search
    from nba.search.result import save_result
    from nba.space.accelerator import AcceleratorSpace
    from nba.space.network import slots, widest_map
    from nba.train import ranks

    spec = context.spec
    dataset = load_data(context)
    space = macro(spec, len(dataset.classes))
    fits(space, spec)
    hardware = GammaSearch(
        space=AcceleratorSpace(
            slots=tuple(s.kind for s in slots(space)), n_chunks=spec.accelerator.max_chunks
        ).within(widest_map(space)),
        platform=get(spec.platform),
        budgets=budgets_of(spec),
        objective=spec.objective,
        seed=spec.seed,
    )
    config = search_config(spec.schedule.search, spec.objective, get(spec.platform).clock_mhz)
    found = search(
        space, dataset, hardware, config, spec.seed, context.folder, context.progress,
        mapper=lambda network: mapped(network, spec, Effort()),
    )  # fmt: skip
    if not ranks.current().writes:
        return
    save_result(found, context.folder / "search.json")
    (context.folder / "search.pt").unlink(missing_ok=True)


def smallest(space: Macro) -> Architecture:
    """The architecture of `space` with the fewest bit operations: blocks left out, else the cheapest operator."""
    from nba.space.network import SKIP, Architecture, blocks, choices
    from nba.space.operators import parse_operator

    def work(operator: str) -> float:
        if operator == SKIP:
            return 0.0
        shape = parse_operator(operator)
        return shape.kernel**2 * shape.expansion / shape.groups

    ops = tuple(min(choices(block), key=work) for block in blocks(space))
    return Architecture(macro=space, ops=ops, bits=tuple(block.bitwidths[0] for block in blocks(space)))


def fits(space: Macro, spec: Spec) -> None:
    """Raise InfeasibleError, before any learning, if not even the smallest network of the space meets the budgets."""
    from nba.mapper.automap import Effort
    from nba.space.network import skeleton

    quick = Effort(scout_steps=60, climb_steps=60, finalists=2, reorder_steps=0, refine_steps=20)
    mapped(skeleton(smallest(space)), spec, quick)


def mapped(network: Network, spec: Spec, effort: Effort) -> Accelerator:
    """An accelerator for `network` within the spec's budgets. Raises InfeasibleError if none is found."""
    from nba.mapper.automap import map_network
    from nba.platform import get

    return map_network(
        network,
        get(spec.platform),
        budgets_of(spec),
        objective=spec.objective,
        seed=spec.seed,
        min_chunks=spec.accelerator.min_chunks,
        max_chunks=spec.accelerator.max_chunks,
        effort=effort,
    )[0]


def search_config(schedule: SearchSchedule, objective: Objective, clock_mhz: float) -> SearchConfig:
    """The section `schedule.search` and the objective, as nba.search takes them. The spec has target_fps only where the
    objective is the interval."""
    from nba.search.joint import SearchConfig
    from nba.search.penalty import CostConfig

    values = schedule.model_dump()
    fps, target = values.pop("target_fps"), values.pop("target")
    if fps is not None:
        target = clock_mhz * 1e6 / fps
    cost = CostConfig(
        objective=objective,
        weight=values.pop("cost_weight"),
        bits_weight=values.pop("bits_weight"),
        target=target,
        adapt_rate=values.pop("adapt_rate"),
    )
    return SearchConfig(cost=cost, **values)
