# SPDX-License-Identifier: Apache-2.0
"""AutoMapper: speed of the model, the evolutionary search against proved optima, whole networks, fixed dataflows.

    python benchmarks/automapper.py [--parts speed,optima,network,dataflows] [--seconds 30] [--hierarchy eyeriss-like]
        [--networks alexnet,vgg16,resnet18,mobilenet_v2] [--effort N] [--json FILE]

Batch 1, 8-bit weights and activations. One core; seconds are CPU time of this process, after compilation.

speed: distinct random legal mappings of the distinct layers of MobileNetV2, sizes that divide and sizes that do not
mixed, each evaluated to energy and latency. optima: for every distinct layer of the networks the evolutionary search
(one seed) and the exact search, which starts from its result. network: the whole of MobileNetV2. dataflows: the
networks under RS, WS, OS and IS with the best sizes that each allows, by the same search with the same effort. Prints
the tables for benchmarks/RESULTS.md. With --json the optima found are kept in a file, and those that are there already
are not sought again.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from pathlib import Path

import numpy as np

from nba.core.errors import NbaError
from nba.core.figures import clock_text
from nba.loopnest.cost import cost
from nba.loopnest.dataflows import DATAFLOWS
from nba.loopnest.description import load_hierarchy
from nba.loopnest.evolve import EVALUATIONS, evolve
from nba.loopnest.exact import solve
from nba.loopnest.hierarchy import Hierarchy
from nba.loopnest.layer import NestLayer
from nba.loopnest.model import Machine, access_counts, evaluate_all, machine, scratch
from nba.loopnest.network_map import map_loop_nests, search_mapping
from nba.loopnest.shapes import NETWORKS, distinct, published
from nba.loopnest.space import level_orders, random_member, room

SEED = 1
BATCH = 20_000
"""Mappings of one layer in the measurement of speed."""


def speed(hierarchy: Hierarchy) -> None:
    """Evaluations per CPU-second: of mappings whose blocks all divide, and of those with smaller last blocks."""
    depth = len(hierarchy.levels)
    choices, work = level_orders(hierarchy), scratch(depth)
    batches: dict[str, list[tuple[Machine, np.ndarray]]] = {"all blocks divide": [], "some do not": []}
    layers = distinct(published("mobilenet_v2"))
    for layer in layers.values():
        state = np.array([SEED], np.uint64)
        space = room(layer, hierarchy)
        plans = np.ones((BATCH, 3, depth, 8), np.int64)
        plans[:, 2] = np.arange(8)
        axes = np.zeros((depth, 8), np.int64)
        for plan in plans:
            random_member(space, choices, plan[0], plan[1], axes, plan[2], state)
        plans = np.unique(plans.reshape(BATCH, -1), axis=0).reshape(-1, 3, depth, 8)
        np.random.default_rng(SEED).shuffle(plans)
        uneven = (plans[:, 1, :-1] % plans[:, 0, 1:] != 0).any(axis=(1, 2))
        facts = machine(layer, hierarchy)
        batches["all blocks divide"].append((facts, plans[~uneven]))
        batches["some do not"].append((facts, plans[uneven]))
    print(f"\n| distinct random legal mappings of {len(layers)} layers | number | million per CPU-second (best of 5) |")
    print("|---|---|---|")
    for name, found in batches.items():
        total, seconds = sum(len(plans) for _, plans in found), math.inf
        for _ in range(5):
            began = time.process_time()
            for facts, plans in found:
                energies, cycles = np.zeros(len(plans)), np.zeros(len(plans), np.int64)
                evaluate_all(*facts, plans, *work, energies, cycles)
            seconds = min(seconds, time.process_time() - began)
        print(f"| {name} | {total:,} | {total / seconds / 1e6:.2f} |", flush=True)
    print()


def optima(hierarchy: Hierarchy, names: list[str], seconds: float, kept: Path | None) -> None:
    """The evolutionary search against the exact one, layer by layer."""
    known = json.loads(kept.read_text()) if kept is not None and kept.exists() else {}
    layers: dict[tuple[int, ...], tuple[str, NestLayer]] = {}
    for name in names:
        for shape, layer in distinct(published(name)).items():
            layers.setdefault(shape, (name, layer))
    print(
        "| network | layer | N G M C P Q R S, stride | evolutionary, EDP [pJ cycles] | CPU-s | exact | bound, EDP "
        "| CPU-s |"
    )
    print("|---|---|---|---|---|---|---|---|")
    proved, worst, worst_open, slowest = 0, 0.0, 0.0, 0.0
    for name, layer in layers.values():
        began = time.process_time()
        found = search_mapping(layer, hierarchy, seed=SEED)
        took = time.process_time() - began
        value = found.best.energy_pj * found.best.cycles
        key = f"{hierarchy.name} {layer.shape}"
        if key not in known:
            began = time.process_time()
            proof = solve(layer, hierarchy, incumbent=found.best.mapping, seconds=seconds)
            known[key] = {
                "status": proof.status, "value": proof.value, "lower": proof.lower, "nodes": proof.nodes,
                "seconds": time.process_time() - began,
            }  # fmt: skip
            if kept is not None:
                kept.write_text(json.dumps(known, indent=1))
        exact = known[key]
        gap = value / exact["lower"] - 1
        slowest = max(slowest, took)
        if exact["status"] == "optimal":
            proved += 1
            worst = max(worst, gap)
            text = f"+{gap:.2%}" if gap > 1e-9 else "the same"
        else:
            worst_open = max(worst_open, gap)
            text = f"at most +{gap:.1%}"
        shape = " ".join(str(n) for n in layer.extents) + f", {layer.stride_text}"
        print(
            f"| {name} | {layer.name} | {shape} | {value:.4g} | {took:.2f} | {exact['status']}: {text} | "
            f"{exact['lower']:.4g} | {exact['seconds']:.1f} |",
            flush=True,
        )
    print(
        f"\n{proved} of {len(layers)} distinct layers proved; the evolutionary search is at most {worst:.3%} above the "
        f"optimum there (elsewhere at most {worst_open:.1%} above the bound), in at most {slowest:.2f} "
        f"CPU-seconds a layer ({EVALUATIONS:,} evaluations).\n"
    )


def network(hierarchy: Hierarchy, kept: Path | None) -> None:
    """The whole of MobileNetV2: time, EDP, bound."""
    layers = published("mobilenet_v2")
    began = time.process_time()
    found = map_loop_nests(layers, hierarchy, seed=SEED)
    took = time.process_time() - began
    known = json.loads(kept.read_text()) if kept is not None and kept.exists() else {}
    lowers = [known.get(f"{hierarchy.name} {layer.shape}", {}).get("lower") for layer in layers]
    print(
        f"MobileNetV2, {len(layers)} layers, {len(distinct(layers))} distinct: {took:.1f} CPU-seconds, "
        f"{found.evaluations:,} evaluations; "
        f"EDP {found.edp_pj_cycles:.5g} pJ cycles ({found.energy_pj / 1e9:.4f} mJ, {found.latency_cycles:,} cycles, "
        f"{found.frames_per_second:.1f} frames per second {clock_text(found.clock_mhz)})."
    )
    if all(lower is not None for lower in lowers):
        bound = sum(math.sqrt(lower) for lower in lowers) ** 2
        print(
            f"Bound from the layers' bounds {bound:.5g}: the EDP is at most "
            f"{found.edp_pj_cycles / bound - 1:.2%} above it."
        )
    print(f"Warnings: {len(found.warnings)}, such as: {found.warnings[0] if found.warnings else 'none'}.\n", flush=True)


def dataflows(hierarchy: Hierarchy, names: list[str], effort: int) -> None:
    """AutoMapper against fixed dataflows, so many evaluations per distinct layer each."""
    print("| network | dataflow | EDP [pJ cycles] | energy [mJ] | latency [cycles] | EDP relative to AutoMapper |")
    print("|---|---|---|---|---|---|")
    for name in names:
        layers = published(name)
        best = map_loop_nests(layers, hierarchy, seed=SEED, effort=effort)
        reference = best.edp_pj_cycles
        rows = [("AutoMapper", best.energy_pj, best.latency_cycles)]
        for flow in DATAFLOWS:
            energy, cycles = 0.0, 0
            try:
                mapped = {
                    shape: evolve(layer, hierarchy, seed=SEED, flow=flow, evaluations=effort).best
                    for shape, layer in distinct(layers).items()
                }
            except NbaError as error:
                print(f"| {name} | {flow.name} | {error} | | | |")
                continue
            for layer in layers:
                mapping = mapped[layer.shape].mapping
                real = cost(layer, hierarchy, mapping, access_counts(layer, hierarchy, mapping))
                energy, cycles = energy + real.energy_pj, cycles + real.cycles
            rows.append((flow.name, energy, cycles))
        for label, energy, cycles in rows:
            edp = energy * cycles
            print(
                f"| {name} | {label} | {edp:.4g} | {energy / 1e9:.3f} | {cycles:,} | {edp / reference:.2f} |",
                flush=True,
            )
    print()


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", default="speed,optima,network,dataflows")
    parser.add_argument("--seconds", type=float, default=30.0, help="time limit of the exact search for a layer")
    parser.add_argument("--hierarchy", default="eyeriss-like")
    parser.add_argument("--networks", default=",".join(NETWORKS))
    parser.add_argument("--effort", type=int, default=EVALUATIONS, help="evaluations per layer for the dataflows")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    hierarchy = load_hierarchy(options.hierarchy)
    names, parts = options.networks.split(","), options.parts.split(",")
    small = NestLayer(name="small", m=4, c=4, p=4, q=4)
    evolve(small, hierarchy, evaluations=500)
    solve(small, hierarchy, seconds=1.0)
    if "speed" in parts:
        speed(hierarchy)
    if "optima" in parts:
        optima(hierarchy, names, options.seconds, options.json)
    if "network" in parts:
        network(hierarchy, options.json)
    if "dataflows" in parts:
        dataflows(hierarchy, names, options.effort)


if __name__ == "__main__":
    main()
