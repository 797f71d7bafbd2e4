# SPDX-License-Identifier: Apache-2.0
"""The mapping of a whole network as text: loop nests of its distinct layers, a table of all layers, the totals."""

from __future__ import annotations

import json
from dataclasses import asdict

from nba.core.figures import clock_text
from nba.loopnest.cost import area_mm2
from nba.loopnest.hierarchy import Hierarchy
from nba.loopnest.layer import DIMS
from nba.loopnest.mapping import mac_bits
from nba.loopnest.network_map import NetworkMapping
from nba.loopnest.shapes import distinct
from nba.loopnest.text import aligned, cost_text, nest_text


def nests_text(found: NetworkMapping, hierarchy: Hierarchy) -> str:
    """Loop nest and costs of every distinct layer; a pipeline maps each layer on its part."""
    shown = distinct(tuple(m.layer for m in found.layers)) if found.execution == "multi-cycle" else None
    parts = []
    for m in found.layers:
        if shown is not None and shown[m.layer.shape].name != m.layer.name:
            continue
        parts.append(nest_text(m.layer, hierarchy, m.mapping) + "\n" + cost_text(hierarchy, m.cost))
    return "\n\n".join(parts)


def summary_text(found: NetworkMapping, hierarchy: Hierarchy) -> str:
    """One line per layer, the groups of a pipeline, the totals, and how far from the optimum they may be."""
    rows: list[tuple[str, ...]] = [
        ("layer", *DIMS, "stride", "bits", "cycles", "energy [uJ]", "EDP [pJ cycles]", "utilisation", "array")
    ]
    for m in found.layers:
        bits = f"{m.layer.weight_bits}/{m.layer.act_bits}"
        rows.append(
            (
                m.layer.name, *map(str, m.layer.extents), m.layer.stride_text, bits, f"{m.cost.cycles:,}",
                f"{m.cost.energy_pj / 1e6:,.3f}", f"{m.cost.edp_pj_cycles:.4g}", f"{m.cost.utilisation:.1%}",
                f"{m.cost.occupancy:.1%}",
            )
        )  # fmt: skip
    lines = aligned(rows, 1)
    lines.insert(1, "-" * max(len(line) for line in lines))
    lines.append("")
    if found.execution == "pipeline":
        for number, group in enumerate(found.groups):
            names = found.layers[group.first].layer.name, found.layers[group.last].layer.name
            lines.append(
                f"group {number}: {names[0]} to {names[1]} on {group.parts} of {group.of} parts of the array, "
                f"{group.cycles:,} cycles"
            )
    us = 1 / found.clock_mhz
    lines += [
        f"{found.hierarchy} {clock_text(found.clock_mhz)}, objective {found.objective}, seed {found.seed}: "
        f"{found.execution}, {found.evaluations:,} mappings evaluated",
        f"energy {found.energy_pj / 1e6:,.4f} uJ; "
        f"latency {found.latency_cycles:,} cycles ({found.latency_cycles * us:,.3f} us); "
        f"interval {found.interval_cycles:,} cycles ({found.frames_per_second:,.1f} frames/s)",
        "EDP, (sum of energies) x (sum of latencies): "
        f"{found.edp_pj_cycles:.6g} pJ cycles, {found.energy_pj * found.latency_cycles * us * 1e-18:.4g} J s",
    ]
    for width in sorted({mac_bits(m.layer) for m in found.layers}):
        area = area_mm2(hierarchy, width)
        what = f"{area:,.4g} mm2" if area else "not stated in its description"
        lines.append(f"area of {found.hierarchy} with {width}-bit MACs, without the memories of level 0: {what}")
    if found.gap is not None and found.lower is not None:
        lines.append(
            f"proved lower bound of {found.objective} (multi-cycle): {found.lower:.6g}; the mapping found is at most "
            f"{found.gap:.2%} above the optimum"
        )
    lines += [f"warning: {line}" for line in found.warnings]
    return "\n".join(lines) + "\n"


def network_text(found: NetworkMapping, hierarchy: Hierarchy) -> str:
    """Loop nests, then the summary."""
    return nests_text(found, hierarchy) + "\n\n" + summary_text(found, hierarchy)


def mapping_json(found: NetworkMapping) -> str:
    """The mapping and all its figures as JSON."""
    return json.dumps(asdict(found), indent=1) + "\n"
