# SPDX-License-Identifier: Apache-2.0
"""Stage nas: the architecture of a switchable network (SP-NAS), its cost that of the AutoMapper; leaves nas.json."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nba.core import arithmetic
from nba.flow import data, hierarchy, places
from nba.flow.architecture import save
from nba.flow.artifacts import write_part
from nba.flow.data import learning_preflight, load_data, macro
from nba.flow.hierarchy import HIERARCHIES
from nba.flow.limits import BOARDS
from nba.flow.stage import Context, Stage
from nba.flow.stages.cascade import CASCADE
from nba.flow.stages.search import check_space

if TYPE_CHECKING:
    from nba.learn.switchable.efficiency import EfficiencyObjective
    from nba.spec import Spec

_FILE = "nas.json"
_CHECKPOINT = "nas.pt"


def check(spec: Spec) -> None:
    """The data are there, all networks of the space are legal, and the hierarchy can multiply every bitwidth."""
    data.check_data(spec)
    check_space(macro(spec, data.n_classes(spec)))
    hierarchy.check_hierarchy(spec)


def run(context: Context) -> None:
    """Writes nas.json (costs of all operators, curves, the architecture) and, for `train --architecture`,
    architecture.json. Of several processes, rank 0 alone writes."""
    from nba.learn.switchable.search import search_switchable
    from nba.learn.switchable.search_result import save_switchable_search
    from nba.learn.switchable.tabulate import efficiency_table
    from nba.learn.train import ranks
    from nba.loopnest.evolve import EVALUATIONS

    spec, wanted = context.spec, context.spec.switched
    dataset = load_data(context, spec.schedule.search.resized_crop)
    space = macro(spec, len(dataset.classes))
    mapped_on = hierarchy.of(spec)
    config = spec.schedule.search.in_cycles(mapped_on.clock_mhz)
    table = efficiency_table(
        space, wanted.bitwidths[0], mapped_on, efficiency_objective(spec), spec.seed,
        effort=wanted.mapping_effort or EVALUATIONS, progress=context.progress,
        stem_bits=wanted.stem_bits, classifier_bits=wanted.classifier_bits,
    )  # fmt: skip
    checkpoint = context.folder / _CHECKPOINT
    found = search_switchable(
        space, dataset, wanted, table, config, spec.seed, checkpoint=checkpoint,
        progress=context.progress,
    )  # fmt: skip
    if not ranks.current().writes:
        return
    save_switchable_search(found, context.folder / _FILE)
    save(found.architecture, spec, context.folder)
    write_part(context.folder, {"arithmetic": {"nas": arithmetic.used()}})


def efficiency_objective(spec: Spec) -> EfficiencyObjective:
    """What the search pays for; layers run one after another, so the interval between frames is the latency."""
    if spec.schedule.search.network_objective != "hardware":
        return spec.schedule.search.network_objective
    return "latency" if spec.objective == "interval" else spec.objective


STAGE = Stage(
    name="nas", title="search of a switchable network", folder=places.SEARCH, run=run, check=check,
    preflight=learning_preflight,
    sections=(
        "seed", "dataset", "network", "bitwidths", "objective", "schedule.search", *CASCADE,
        "switchable.architecture_bits", "switchable.hierarchy", "switchable.mapping_effort",
    ),
    package_data=(HIERARCHIES, BOARDS), packages=("torch", "numpy", "scikit-learn", "numba"), together=True,
    scratch=(_CHECKPOINT,),
)  # fmt: skip
