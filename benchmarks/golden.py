# SPDX-License-Identifier: Apache-2.0
"""What the product computes for fixed inputs, as digests: proof that a change of the code left its output as it was.

    python -m benchmarks.golden -o before.json            at the commit before the change
    python -m benchmarks.golden --compare before.json     after it; exit status 1 with every key that differs

Keys: `pair.<seed>.*` random networks and accelerators: tables, exact cost, schedule, energy, resources, every file of
the bundle. `modes.<seed>` designs with modes. `map.*` the choice of an accelerator, `gamma.*` the search in its space,
`nests.*` loop nests, `run.*` two short runs of the command line: the design, its bundle and the metrics, without times.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.accelerator_search import PLATFORM, cases, space_of
from nba.boards import get
from nba.emit.bundle import render_bundle
from nba.explore.baselines import EvolutionarySearch, RandomSearch
from nba.explore.choose import map_certified
from nba.explore.gamma import GammaSearch
from nba.ir.design import Design
from nba.ir.network import weights_digest
from nba.ir.reference import run
from nba.loopnest import network_map
from nba.loopnest.description import load_hierarchy
from nba.loopnest.network import layers_of
from nba.machine.batch import output_cycles
from nba.machine.blocks import block_counts
from nba.machine.closed_form import speed_bounds
from nba.machine.designs import layer_table
from nba.machine.energy import frame_events
from nba.machine.program import design_programs
from nba.machine.schedule import schedule
from nba.machine.total import exact_cost
from nba.zoo.weights import random_codes
from tests.modes import modes_case
from tests.strategies import NetworkLimits, random_pair

PAIRS = range(60)
MODES = range(12)
NEST_LAYERS = 6
ROOT = Path(__file__).resolve().parent.parent
SMALL = """
dataset: {name: digits, train_images: 40, test_images: 20}
network:
  stem_channels: 8
  stages: [{channels: 8, blocks: 1, stride: 2}, {channels: 12, blocks: 2, stride: 2}]
  operators: [k3_e1, k3_e3, k5_e3, skip]
  head_channels: 24
platform: zc706
seed: 3
verify: {verilator: 2, icarus: 2, hls: 2}
"""
RUNS = {
    "mixed": f"name: golden\n{SMALL}\nbudgets: {{dsp: 100, bram: 60, lut: 30000}}\nbitwidths: [2, 4, 8]\n"
    "schedule:\n  search: {pretrain_epochs: 1, joint_epochs: 3, hardware_first: 500, hardware_last: 500}\n"
    "  train: {epochs: 3, baselines: false}\n",
    "switchable": f"name: golden\n{SMALL}\nbudgets: {{dsp: 100, bram: 60}}\nprecision: switchable\n"
    "switchable: {bitwidths: [2, 4, 8, 32], beta: 0.1, hierarchy: eyeriss-like}\nobjective: edp\n"
    "schedule:\n  search: {pretrain_epochs: 1, joint_epochs: 2}\n  train: {epochs: 2, baselines: false}\n",
}
"""Specs of the two runs, by `precision`."""
VOLATILE = re.compile(r"seconds|wall|started|host|cpu|commit|when")


def digest(value: object) -> str:
    """16 hex digits of a value: bytes, text, an array, or what repr shows of anything else."""
    if isinstance(value, np.ndarray):
        value = f"{value.dtype}{value.shape}".encode() + np.ascontiguousarray(value).tobytes()
    raw = value if isinstance(value, bytes) else value.encode() if isinstance(value, str) else repr(value).encode()
    return hashlib.sha256(raw).hexdigest()[:16]


def files(prefix: str, found: dict[str, bytes]) -> Iterator[tuple[str, object]]:
    """A key for each file."""
    for path, body in found.items():
        yield f"{prefix}.{path}", digest(body)


def pairs() -> Iterator[tuple[str, object]]:
    """Random networks and accelerators."""
    for seed in PAIRS:
        rng = np.random.default_rng([7, seed])
        pair = random_pair(rng, NetworkLimits(plain=True))
        platform = get("zc706")
        cost = exact_cost((pair.program,), platform)
        key = f"pair.{seed}"
        yield f"{key}.cost", repr(cost)
        exact = schedule(pair.program, 3)
        yield f"{key}.schedule", digest(np.asarray(exact.output_cycle))
        yield f"{key}.counts", digest(repr(asdict(frame_events(pair.program))))
        x = random_codes(rng, pair.network.tensors[0], 2)
        yield f"{key}.output", digest(run(pair.network, pair.weights, x))
        design = Design(
            name=f"pair {seed}", network=pair.network, accelerator=pair.accelerator, platform="zc706",
            clock_mhz=platform.clock_mhz, cost=cost, weights_sha256=weights_digest(pair.weights), seed=seed,
            versions=(),
        )  # fmt: skip
        yield f"{key}.design", design.id
        yield from files(key, render_bundle(design, pair.weights, x))


def modes() -> Iterator[tuple[str, object]]:
    """Designs with modes."""
    for seed in MODES:
        design, weights, x = modes_case(seed, 2 + seed % 3, NetworkLimits(plain=True))
        yield (
            f"modes.{seed}.cost",
            repr(exact_cost(design_programs(design.network, design.accelerator, design.modes), PLATFORM)),
        )
        yield from files(f"modes.{seed}", render_bundle(design, weights, x))


def mapped() -> Iterator[tuple[str, object]]:
    """Accelerators for the networks of the accelerator benchmark."""
    for name, case in cases().items():
        if name == "mobilenet":
            continue
        space, where = space_of(case.network), tuple(range(len(case.network.layers)))
        for method in (GammaSearch, RandomSearch, EvolutionarySearch):
            search = method(space=space, platform=PLATFORM, budgets=case.budgets, seed=5)
            for _ in range(6):
                search.step(case.network, where, 512)
            yield f"gamma.{name}.{method.__name__}", repr((search.cost(case.network, where), search.evaluations))
        table = layer_table(case.network)
        at = space.decode(space.sample(np.random.default_rng(3), 400), table, where)
        bounds, busy = speed_bounds(table, at)
        yield f"closed.{name}", digest(bounds) + digest(busy) + digest(block_counts(table, at, PLATFORM))
        if name == "digits":
            for objective in ("interval", "latency", "energy", "edp"):
                found = map_certified(case.network, PLATFORM, case.budgets, objective=objective, seed=1)
                yield f"map.{name}.{objective}", repr((found.accelerator, found.cost, found.certificate))
            yield f"batch.{name}", digest(output_cycles(table, at, 3))


def nests() -> Iterator[tuple[str, object]]:
    """Loop nests."""
    network = cases()["digits"].network
    hierarchy = load_hierarchy("eyeriss-like")
    for objective in ("edp", "fps"):
        found = network_map.map_loop_nests(
            layers_of(network)[:NEST_LAYERS], hierarchy, objective=objective, seed=2, effort=3000
        )
        yield f"nests.{objective}", repr((found.energy_pj, found.latency_cycles, found.interval_cycles, found.layers))


def _still(value: Any) -> Any:
    """Metrics without what differs from run to run."""
    if isinstance(value, dict):
        return {k: _still(v) for k, v in value.items() if not VOLATILE.search(k)}
    return [_still(v) for v in value] if isinstance(value, list) else value


def runs() -> Iterator[tuple[str, object]]:
    """Two short runs of the command line."""
    for name, text in RUNS.items():
        with tempfile.TemporaryDirectory() as folder:
            spec, build = Path(folder) / "spec.yaml", Path(folder) / "build"
            spec.write_text(text)
            environment = {**os.environ, "PYTHONPATH": str(ROOT)}
            command = [sys.executable, "-m", "nba", "run", str(spec), "-o", str(build)]
            done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
            if done.returncode:
                yield f"run.{name}", f"exit {done.returncode}: {done.stderr[-500:]}"
                continue
            design = json.loads((build / "design" / "design.json").read_text())
            yield f"run.{name}.design", digest(json.dumps(design, sort_keys=True))
            for metric, value in _still(json.loads((build / "metrics.json").read_text())).items():
                yield f"run.{name}.metrics.{metric}", json.dumps(value, sort_keys=True)
            bundle = {
                str(p.relative_to(build / "bundle")): p.read_bytes()
                for p in (build / "bundle").rglob("*")
                if p.is_file()
            }
            yield from files(f"run.{name}", dict(sorted(bundle.items())))


PARTS = {"pairs": pairs, "modes": modes, "mapped": mapped, "nests": nests, "runs": runs}


def main() -> int:
    """Write or compare; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument("--compare", type=Path)
    parser.add_argument("--parts", nargs="*", choices=list(PARTS), default=list(PARTS))
    arguments = parser.parse_args()
    found: dict[str, object] = {}
    for part in arguments.parts:
        found |= PARTS[part]()
        print(f"{part}: {len(found)} keys", file=sys.stderr)
    if arguments.output is not None:
        arguments.output.write_text(json.dumps(found, indent=1) + "\n")
    if arguments.compare is None:
        return 0
    before = json.loads(arguments.compare.read_text())
    groups = {
        "pairs": ("pair",),
        "modes": ("modes",),
        "mapped": ("map", "gamma", "closed", "batch"),
        "nests": ("nests",),
        "runs": ("run",),
    }
    wanted = {key for key in before if any(key.split(".")[0] in groups[part] for part in arguments.parts)}
    differing = sorted(key for key in wanted | set(found) if before.get(key) != found.get(key))
    for key in differing:
        print(f"{key}:\n  before {before.get(key)}\n  now    {found.get(key)}")
    print(f"{len(found)} keys compared, {len(differing)} differ")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
