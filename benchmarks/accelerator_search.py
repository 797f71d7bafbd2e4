# SPDX-License-Identifier: Apache-2.0
"""Accelerator search: gamma, random and evolutionary search at equal CPU time, against the exact optimum.

    python benchmarks/accelerator_search.py [--seconds 5] [--seeds 10] [--networks digits,cifar,mobilenet]
        [--methods gamma,random,evolutionary,logits] [--json FILE]

Three networks, one space (nba.explore.space.AcceleratorSpace as it is by default: four chunks): the network of the
digits example's size (120 DSP, 40 BRAM); the 22-block CIFAR example with bits 4, 6, 8 in turn and operators k3_e3,
k5_e3, k3_e6, k3_e1 in turn (the published example does not list its own), 900 DSP; MobileNetV2 at 224x224 with 6-bit
weights, resident, and the 2,160 BRAM of an XCVU9P (DS890; no device of the 7 series holds weights and maps), 900 DSP.
Weights and maps of the CIFAR example do not fit the 545 BRAM of the ZC706 at full speed, so it gets the 1,470 of
generic-xc7.

CPU time of this process counts, not wall clock: other work on the machine slows both alike. Every method first takes a
few steps, so that compilation is not timed. Gamma, random and evolutionary search are judged by the closed-form
interval of their best design within the budgets, the exact search by the exact schedule and resources of a complete
design. Quality is the proved lower bound over the interval. Prints the table for benchmarks/RESULTS.md.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from nba.boards import get
from nba.explore.baselines import EvolutionarySearch, RandomSearch
from nba.explore.budgets import Budgets
from nba.explore.exact import ExactSearch, Menu, Plan
from nba.explore.finalise import build, finalise
from nba.explore.gamma import GammaSearch, GammaSettings
from nba.explore.search import AcceleratorSearch
from nba.explore.space import AcceleratorSpace
from nba.ir.network import Network
from nba.learn.space.config import StageSpace
from nba.learn.space.network import Architecture, Macro, blocks, macs, skeleton
from tests.spaces import DIGITS_SPACE

PLATFORM = get("generic-xc7")
BATCH = 512
MAX_REJECTED = 5
CEILING = 50
"""A plan is given up once memory costs it this part of its interval."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """One network and its budgets."""

    network: Network
    budgets: Budgets


def _network(macro: Macro, ops: tuple[str, ...], bits: tuple[int, ...]) -> Network:
    n = len(blocks(macro))
    return skeleton(
        Architecture(
            macro=macro,
            ops=tuple(ops[i % len(ops)] for i in range(n)),
            bits=tuple(bits[i % len(bits)] for i in range(n)),
        )
    )


def _stages(channels: tuple[int, ...], counts: tuple[int, ...], strides: tuple[int, ...]) -> tuple[StageSpace, ...]:
    zipped = zip(channels, counts, strides, strict=True)
    return tuple(StageSpace(channels=c, blocks=b, stride=s) for c, b, s in zipped)


def cases() -> dict[str, Case]:
    """The three networks."""
    digits = DIGITS_SPACE.but(name="digits")
    cifar = DIGITS_SPACE.but(
        name="cifar", height=32, width=32, channels=3, classes=10, stem_channels=16, head_channels=1504,
        stages=_stages((16, 24, 32, 64, 112, 184, 352), (1, 4, 4, 4, 4, 4, 1), (1, 1, 2, 2, 1, 2, 1)),
        bitwidths=(4, 6, 8), operators=("k3_e1", "k3_e3", "k3_e6", "k5_e3"),
    )  # fmt: skip
    mobilenet = DIGITS_SPACE.but(
        name="mobilenet", height=224, width=224, channels=3, classes=1000, stem_channels=32, stem_stride=2,
        head_channels=1280, operators=("k3_e1", "k3_e6"), bitwidths=(6,), head_bits=6,
        stages=_stages((16, 24, 32, 64, 96, 160, 320), (1, 2, 3, 4, 3, 3, 1), (1, 2, 2, 2, 1, 2, 1)),
    )  # fmt: skip
    ops = ("k3_e1", *("k3_e6",) * (len(blocks(mobilenet)) - 1))
    return {
        "digits": Case(network=_network(digits, ("k3_e3",), (8,)), budgets=Budgets(dsp=120, bram=40)),
        "cifar": Case(
            network=_network(cifar, ("k3_e3", "k5_e3", "k3_e6", "k3_e1"), (4, 6, 8)),
            budgets=Budgets(dsp=900, bram=1470),
        ),
        "mobilenet": Case(network=_network(mobilenet, ops, (6,)), budgets=Budgets(dsp=900, bram=2160)),
    }


def space_of(network: Network) -> AcceleratorSpace:
    """The default space for the layers of `network`."""
    return AcceleratorSpace(slots=tuple(x.operator.mixes for x in network.layers))


def menu_of(space: AcceleratorSpace) -> Menu:
    """The engines of `space`."""
    return Menu(
        packing=1, columns=space.columns, sizes_m=space.sizes_m, sizes_n=space.sizes_n, drains=space.drains,
        min_chunks=1, max_chunks=space.n_chunks,
    )  # fmt: skip


def exact(case: Case) -> dict[str, object]:
    """Optimum, lower bound and CPU seconds, complete designs included."""
    found: dict[str, object] = {}

    def judge(plan: Plan) -> int | None:
        base = build(case.network, plan.packing, plan.pp, plan.owner, plan.engines)
        ceiling = plan.interval + plan.interval // CEILING
        done = finalise(case.network, base, PLATFORM, case.budgets.bram18, "interval", ceiling)
        if done is None:
            return None
        interval = done.speed.interval_cycles
        if not found or interval < int(str(found["interval"])):
            found.update(interval=interval, dsp=done.dsp, bram=done.bram18 / 2, pp=plan.pp, engines=plan.engines)
        return interval

    began = time.process_time()
    search = ExactSearch(case.network, menu_of(space_of(case.network)), case.budgets.dsp, judge)
    _, lower = search.run(MAX_REJECTED)
    found.update(lower_bound=lower, seconds=round(time.process_time() - began, 2), pairs=search.pairs)
    if "interval" in found:
        interval = int(str(found["interval"]))
        found.update(optimal=interval == lower, gap=1 - lower / interval)
        found["macs_per_dsp_cycle"] = macs(case.network) / interval / case.budgets.dsp
    return found


def one(method: str, case: Case, seed: int, seconds: float, steps: int = 0) -> dict[str, float]:
    """Best closed-form interval (0 if nothing fits) of one run of at least `steps`, its evaluations and CPU seconds."""
    space, where = space_of(case.network), tuple(range(len(case.network.layers)))
    search: AcceleratorSearch
    if method == "random":
        search = RandomSearch(space=space, platform=PLATFORM, budgets=case.budgets, seed=seed)
    elif method == "evolutionary":
        search = EvolutionarySearch(space=space, platform=PLATFORM, budgets=case.budgets, seed=seed)
    else:
        settings = GammaSettings(local=0.0) if method == "logits" else GammaSettings()
        search = GammaSearch(space=space, platform=PLATFORM, budgets=case.budgets, seed=seed, settings=settings)
    began = time.process_time()
    while time.process_time() - began < seconds or search.steps < steps:
        search.step(case.network, where, BATCH)
    cost = search.cost(case.network, where)
    return {
        "interval": cost.interval_cycles if cost.feasible else 0,
        "evaluations": search.evaluations,
        "seconds": time.process_time() - began,
    }


METHODS = ("gamma", "random", "evolutionary", "logits")
WARM_UP = 3


def main() -> None:
    """Run everything, print the table, write the JSON file."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--networks", default="digits,cifar,mobilenet")
    parser.add_argument("--methods", default=",".join(METHODS), help="logits: gamma without variations")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    every = cases()
    exact(every["digits"])
    results: dict[str, object] = {"arguments": sys.argv[1:]}
    print("| network | method | quality, median | least | most | evaluations, median | better than random |")
    print("|---|---|---|---|---|---|---|")
    notes = []
    for name in options.networks.split(","):
        case = every[name]
        best = exact(case)
        lower = int(str(best["lower_bound"]))
        runs: dict[str, list[dict[str, float]]] = {}
        for method in options.methods.split(","):
            one(method, case, 0, 0.0, WARM_UP)
            runs[method] = [one(method, case, seed, options.seconds) for seed in range(options.seeds)]
        for method, found in runs.items():
            quality = sorted(lower / r["interval"] if r["interval"] else 0.0 for r in found)
            wins = sum(
                r["interval"] > 0 and (r["interval"] < o["interval"] or not o["interval"])
                for r, o in zip(found, runs.get("random", []), strict=False)
            )
            compared = f"{wins} of {len(found)}" if "random" in runs and method != "random" else ""
            print(
                f"| {name} | {method} | {median(quality):.3f} | {quality[0]:.3f} | {quality[-1]:.3f} | "
                f"{median(r['evaluations'] for r in found):,.0f} | {compared} |",
                flush=True,
            )
        budgets = {"dsp": case.budgets.dsp, "bram": case.budgets.bram}
        results[name] = {"layers": len(case.network.layers), "budgets": budgets, "exact": best, "runs": runs}
        notes.append(f"{name}: {len(case.network.layers)} layers, {macs(case.network):,} MAC, exact: {best}")
    print("\n" + "\n".join(notes))
    if options.json:
        options.json.write_text(json.dumps({**results, "space": asdict(space_of(every["digits"].network))}, indent=1))


if __name__ == "__main__":
    main()
