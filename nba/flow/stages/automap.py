# SPDX-License-Identifier: Apache-2.0
"""Stage automap: the loop nests of a switchable network, bitwidth by bitwidth, on the hierarchy of the spec."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nba.core.files import write_atomic
from nba.flow import hierarchy, places
from nba.flow.architecture import chosen
from nba.flow.artifacts import write_part
from nba.flow.hierarchy import HIERARCHIES, check_hierarchy
from nba.flow.limits import BOARDS
from nba.flow.load_layers import LayerProgress
from nba.flow.stage import Context, Stage

if TYPE_CHECKING:
    from nba.flow.metrics_model import BitsCost
    from nba.loopnest.network_map import NetworkMapping
    from nba.spec import Spec


def run(context: Context) -> None:
    """Writes at<bits>.json (mappings, costs) and at<bits>.txt (the loop nests, to be read) for every bitwidth."""
    from nba.learn.space.network import skeleton
    from nba.loopnest.evolve import EVALUATIONS
    from nba.loopnest.network import layers_of
    from nba.loopnest.network_map import map_loop_nests
    from nba.loopnest.report import mapping_json, network_text

    spec, found = context.spec, hierarchy.of(context.spec)
    network, wanted = skeleton(chosen(context)), spec.switched
    results: dict[int, NetworkMapping] = {}
    for bits in wanted.bitwidths:
        layers = layers_of(
            network, bits=bits, stem_bits=wanted.stem_bits, classifier_bits=wanted.classifier_bits
        )  # fmt: skip
        results[bits] = map_loop_nests(
            layers, found, objective=loopnest_objective(spec), seed=spec.seed,
            effort=wanted.mapping_effort or EVALUATIONS,
            progress=LayerProgress(context.progress, f"loop nests at {bits} bits"),
        )  # fmt: skip
        write_atomic(context.folder / f"at{bits}.json", mapping_json(results[bits]))
        write_atomic(context.folder / f"at{bits}.txt", network_text(results[bits], found))
    warnings = [f"{bits} bits, {line}" for bits, result in results.items() for line in result.warnings]
    write_part(
        context.folder,
        {
            "automap": {
                "hierarchy": found.name,
                "clock_mhz": found.clock_mhz,
                "objective": loopnest_objective(spec),
                "bits": {str(bits): costs(result) for bits, result in results.items()},
                "warnings": warnings,
            }
        },
    )


def loopnest_objective(spec: Spec) -> str:
    """The spec's objective, as nba.loopnest calls it."""
    return "fps" if spec.objective == "interval" else spec.objective


def costs(found: NetworkMapping) -> BitsCost:
    """The figures of one bitwidth, as they stand in the metrics."""
    seconds = found.latency_cycles / (found.clock_mhz * 1e6)
    return {
        "energy_pj": found.energy_pj,
        "latency_cycles": found.latency_cycles,
        "latency_us": 1e6 * seconds,
        "interval_cycles": found.interval_cycles,
        "fps": found.frames_per_second,
        "edp_pj_cycles": found.edp_pj_cycles,
        "edp_js": found.energy_pj * 1e-12 * seconds,
        "execution": found.execution,
    }


STAGE = Stage(
    name="automap", title="loop nests of every bitwidth", folder=places.MAPPING, run=run, check=check_hierarchy,
    after=("cascade",),
    sections=(
        "seed", "objective", "switchable.bitwidths", "switchable.stem_bits", "switchable.classifier_bits",
        "switchable.hierarchy", "switchable.mapping_effort",
    ),
    package_data=(HIERARCHIES, BOARDS), packages=("numpy", "numba"),
)  # fmt: skip
