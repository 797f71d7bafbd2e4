# SPDX-License-Identifier: Apache-2.0
"""Stage search: operators, bitwidths and accelerator together; leaves the architecture, its accelerator, the curves."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from nba.core import arithmetic
from nba.flow import data, places
from nba.flow.architecture import save
from nba.flow.artifacts import write_part
from nba.flow.data import learning_preflight, load_data, macro
from nba.flow.limits import BOARDS, budgets_of, platform_of
from nba.flow.stage import Context, Stage

if TYPE_CHECKING:
    from nba.explore.choose import Effort
    from nba.explore.search import AcceleratorSearch
    from nba.explore.streaming import StreamEffort
    from nba.ir.accelerator import Accelerator
    from nba.ir.network import Network
    from nba.learn.space.network import Architecture, Macro
    from nba.spec import Spec


def run(context: Context) -> None:
    """Writes search.json and, for `train --architecture`, architecture.json. Of several processes that search together,
    rank 0 alone writes."""
    from nba.explore.choose import Effort
    from nba.explore.space import AcceleratorSpace
    from nba.learn.search.joint import search_jointly
    from nba.learn.search.result import save_result
    from nba.learn.space.network import slots, widest_map
    from nba.learn.train import ranks
    from nba.machine.accelerator_rules import columns_of

    spec = context.spec
    dataset = load_data(context, spec.schedule.search.resized_crop)
    space = macro(spec, len(dataset.classes))
    fits(space, spec)
    chunks = AcceleratorSpace(
        slots=tuple(s.mixes for s in slots(space)), n_chunks=spec.accelerator.max_chunks,
        columns=columns_of(1, spec.accelerator.columns),
    )  # fmt: skip
    hardware = hardware_search(spec)(
        space=chunks.within(widest_map(space)),
        platform=platform_of(spec),
        budgets=budgets_of(spec),
        objective=spec.objective,
        seed=spec.seed,
    )
    config = spec.schedule.search.in_cycles(platform_of(spec).clock_mhz)
    found = search_jointly(
        space, dataset, hardware, config, spec.seed, context.folder, context.progress,
        mapper=lambda network: mapped(network, spec, Effort()), objective=spec.objective,
    )  # fmt: skip
    if not ranks.current().writes:
        return
    save_result(found, context.folder / "search.json")
    save(found.architecture, spec, context.folder)
    write_part(context.folder, {"arithmetic": {"search": arithmetic.used()}})


def check(spec: Spec) -> None:
    """Raise DataError if the data are not there, SpecError if the board is none, or a network of the space cannot be
    built."""
    data.check_data(spec)
    platform_of(spec)
    check_space(macro(spec, data.n_classes(spec)))


def check_space(space: Macro) -> None:
    """Raise SpecError unless the template's integers can express the smallest and the largest network of `space`."""
    from nba.core.errors import SpecError
    from nba.ir.check import check_network
    from nba.learn.space.network import skeleton

    for what, architecture in (("smallest", smallest(space)), ("largest", largest(space))):
        problems = check_network(skeleton(architecture))
        if problems:
            more = f" (and {len(problems) - 3} more)" if len(problems) > 3 else ""
            raise SpecError(
                f"network: the {what} network of this space, for images of {space.height}x{space.width}, cannot be "
                f"built with the template: {'; '.join(problems[:3])}{more}; change channels, strides, operators or "
                "image_size"
            )


def _work(operator: str) -> float:
    """Multiplications of a block with this operator, in a unit of its own."""
    from nba.learn.space.network import SKIP
    from nba.learn.space.operators import parse_operator

    if operator == SKIP:
        return 0.0
    shape = parse_operator(operator)
    return shape.kernel**2 * shape.expansion / shape.groups


def hardware_search(spec: Spec) -> type[AcceleratorSearch]:
    """The accelerator search that `schedule.search.hardware_method` names."""
    from nba.explore.baselines import EvolutionarySearch, RandomSearch
    from nba.explore.gamma import GammaSearch

    methods: dict[str, type[AcceleratorSearch]] = {
        "gamma": GammaSearch, "random": RandomSearch, "evolutionary": EvolutionarySearch,
    }  # fmt: skip
    return methods[spec.schedule.search.hardware_method]


def smallest(space: Macro) -> Architecture:
    """The architecture of `space` with the fewest bit operations: blocks left out, else the cheapest operator."""
    from nba.learn.space.network import Architecture, blocks, choices

    ops = tuple(min(choices(block), key=_work) for block in blocks(space))
    return Architecture(macro=space, ops=ops, bits=tuple(block.bitwidths[0] for block in blocks(space)))


def largest(space: Macro) -> Architecture:
    """The architecture of `space` with the widest layers and the most bits."""
    from nba.learn.space.network import SKIP, Architecture, blocks, choices
    from nba.learn.space.operators import parse_operator

    def width(operator: str) -> tuple[int, float]:
        return (0 if operator == SKIP else parse_operator(operator).expansion, _work(operator))

    ops = tuple(max(choices(block), key=width) for block in blocks(space))
    return Architecture(macro=space, ops=ops, bits=tuple(block.bitwidths[-1] for block in blocks(space)))


def fits(space: Macro, spec: Spec) -> None:
    """Raise InfeasibleError, before any learning, if not even the smallest network of the space meets the budgets."""
    from nba.core.errors import InfeasibleError
    from nba.explore.choose import Effort
    from nba.explore.streaming import StreamEffort
    from nba.learn.space.network import skeleton

    network = skeleton(smallest(space))
    quick = Effort(scout_steps=60, climb_steps=60, finalists=2, reorder_steps=0, refine_steps=20, exact=False)
    little = StreamEffort(sift_steps=1000, start_steps=2000, starts=1, rounds=((2, 50), (1, 150)))
    try:
        mapped(network, spec, quick, little)
    except InfeasibleError:
        # The exact search, which takes most of the time, may find what the others do not.
        mapped(network, spec, replace(quick, exact=True))


def mapped(network: Network, spec: Spec, effort: Effort, stream_effort: StreamEffort | None = None) -> Accelerator:
    """An accelerator for `network` within the spec's budgets. stream_effort: None is the default. Raises
    InfeasibleError if none is found."""
    from nba.explore.mapping import map_weights

    return map_weights(
        network,
        platform_of(spec),
        budgets_of(spec),
        source=spec.accelerator,
        objective=spec.objective,
        seed=spec.seed,
        min_chunks=spec.accelerator.min_chunks,
        max_chunks=spec.accelerator.max_chunks,
        columns=spec.accelerator.columns,
        effort=effort,
        stream_effort=stream_effort,
    ).accelerator


STAGE = Stage(
    name="search", title="joint search", folder=places.SEARCH, run=run, check=check, preflight=learning_preflight,
    sections=(
        "seed", "dataset", "network", "bitwidths", "platform", "objective", "accelerator", "schedule.search",
        *(f"budgets.{name}" for name in ("dsp", "bram", "uram", "lut", "power_w", "latency_us", "fps", "clock_mhz")),
    ),
    package_data=(BOARDS,), packages=("torch", "numpy", "scikit-learn"), together=True, scratch=("search.pt",),
)  # fmt: skip
