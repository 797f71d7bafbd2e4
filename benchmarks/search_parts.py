# SPDX-License-Identifier: Apache-2.0
"""What each part of the final choice of an accelerator (`nba.explore.choose`) is worth: left out, one at a time.

    python -m benchmarks.search_parts [--networks 4] [--parts NAME ...] [--json FILE]

Cases: random networks of the default space (seeds 0, 1, ...), each under three DSP budgets; with the budgets of DSP and
memory alone, with a LUT or a memory budget that binds (shares of what the design without one takes), and for the
objectives latency and edp. For each part: in how many cases the objective becomes worse or better
without it, the worst and the mean ratio of the objective, the mean ratio of the latency (the second aim of a short
interval), refusals, and the CPU seconds that it costs. A part that changes no case is redundant.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from unittest.mock import patch

import numpy as np
from rich.console import Console
from rich.table import Table

from nba.boards import get
from nba.core.errors import InfeasibleError
from nba.core.files import write_atomic
from nba.core.progress import on_stderr
from nba.explore import choose
from nba.explore.budgets import Budgets
from nba.explore.choose import Effort, map_certified
from nba.explore.finalise import Candidate
from nba.ir.design import Cost
from nba.ir.network import Network
from nba.learn.space.network import Architecture, blocks, choices, skeleton
from nba.machine.usage import Objective, value_of
from tests.spaces import DIGITS_SPACE

PLATFORM = get("generic-xc7")
DSP = (48, 120, 220)
BRAM = 140.0
LUT_SHARES = (0.8, 0.4)
"""Of the LUTs of the design without a LUT budget."""
BRAM_SHARE = 0.5
"""Of the block RAM of the design without a binding memory budget."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """One network, objective and budgets."""

    name: str
    network: Network
    budgets: Budgets
    objective: Objective = "interval"


def random_networks(count: int) -> list[Network]:
    """Networks of the default space: the operators and the bitwidths of all blocks drawn."""
    macro = DIGITS_SPACE
    found = []
    for seed in range(count):
        rng = np.random.default_rng(seed)
        ops = tuple(str(rng.choice(choices(block))) for block in blocks(macro))
        bits = tuple(int(rng.choice(block.bitwidths)) for block in blocks(macro))
        found.append(skeleton(Architecture(macro=macro, ops=ops, bits=bits)))
    return found


def plain_cases(networks: list[Network]) -> list[Case]:
    """The cases without a LUT budget."""
    found = []
    for n, network in enumerate(networks):
        for dsp in DSP:
            budgets = Budgets(dsp=dsp, bram=BRAM)
            found.append(Case(name=f"{n} dsp {dsp}", network=network, budgets=budgets))
        budgets = Budgets(dsp=DSP[1], bram=BRAM)
        found.append(Case(name=f"{n} latency", network=network, budgets=budgets, objective="latency"))
        found.append(Case(name=f"{n} edp", network=network, budgets=budgets, objective="edp"))
    return found


def bound_cases(case: Case, before: Outcome) -> Iterator[Case]:
    """`case` with a further budget that binds, where it has the outcome `before` without one."""
    if before.lut is not None:
        for share in LUT_SHARES:
            yield replace(case, name=f"{case.name} lut {share}", budgets=case.budgets.but(lut=int(share * before.lut)))
    if before.bram is not None:
        bram = round(2 * BRAM_SHARE * before.bram) / 2
        yield replace(case, name=f"{case.name} bram {bram}", budgets=case.budgets.but(bram=bram))


def objective_of(case: Case, cost: Cost) -> float:
    """What the case minimises."""
    return value_of(case.objective, cost.interval_cycles, cost.first_output_latency_cycles, cost.energy_pj)


def parts() -> dict[str, tuple[Callable[[], AbstractContextManager[object]], Effort]]:
    """Name of a part: how it is left out, and the effort of the search without it."""

    def keep(self: object, design: Candidate) -> Candidate:
        return design

    def nowhere(*_: object, **__: object) -> None:
        return None

    def no_bound(*_: object, **__: object) -> int:
        return 0

    def without(name: str, stand_in: Callable[..., object]) -> Callable[[], AbstractContextManager[object]]:
        return lambda: patch.object(choose._Search, name, stand_in)

    plain = Effort()
    return {
        "nothing": (nullcontext, plain),
        "exact search": (without("exact", no_bound), plain),
        "local search of engines": (without("_fastest", nowhere), plain),
        "refinement by all closed forms": (without("_refined", nowhere), plain),
        "shares of a map that rings hold": (lambda: patch.object(choose, "MAP_SHARES", (1.0,)), plain),
        "smaller shares of the DSP budget": (lambda: patch.object(choose, "DSP_SHARES", ()), plain),
        "reordering": (nullcontext, replace(plain, reorder_steps=0)),
        "trimming": (without("_trimmed", keep), plain),
        "second local search": (nullcontext, replace(plain, climb_steps=0)),
    }


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """Of one case: the objective (None: refused), latency, LUTs, block RAM and CPU seconds."""

    value: float | None
    latency: float | None
    lut: float | None
    bram: float | None
    seconds: float


def judge(case: Case, effort: Effort) -> Outcome:
    """Search once."""
    began = time.process_time()
    try:
        cost = map_certified(
            case.network, PLATFORM, case.budgets, objective=case.objective, min_chunks=2, max_chunks=4, effort=effort
        ).cost
    except InfeasibleError:
        return Outcome(value=None, latency=None, lut=None, bram=None, seconds=time.process_time() - began)
    return Outcome(
        value=objective_of(case, cost), latency=cost.first_output_latency_cycles, lut=cost.lut, bram=cost.bram,
        seconds=time.process_time() - began,
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Worth:
    """Of one part left out, over all cases. Ratios are over the cases that are met with it and without; None where
    there is none."""

    part: str
    cases: int
    worse: int
    better: int
    refused: int
    mean_ratio: float | None
    worst_ratio: float | None
    latency_ratio: float | None
    seconds: float


def compare(part: str, found: list[Outcome], whole: list[Outcome]) -> Worth:
    """`found` without the part against `whole` with it."""
    both = [(f.value, w.value) for f, w in zip(found, whole, strict=True) if f.value and w.value]
    ratios = [f / w for f, w in both]
    latencies = [f.latency / w.latency for f, w in zip(found, whole, strict=True) if f.latency and w.latency]
    return Worth(
        part=part,
        cases=len(whole),
        worse=sum(r > 1.0 for r in ratios),
        better=sum(r < 1.0 for r in ratios),
        refused=sum(f.value is None and w.value is not None for f, w in zip(found, whole, strict=True)),
        mean_ratio=fmean(ratios) if ratios else None,
        worst_ratio=max(ratios, default=None),
        latency_ratio=fmean(latencies) if latencies else None,
        seconds=sum(w.seconds - f.seconds for f, w in zip(found, whole, strict=True)),
    )


def shown(ratio: float | None) -> str:
    """A ratio as the table has it."""
    return "-" if ratio is None else f"{ratio:.3f}"


def main() -> None:
    """Run all cases with every part left out in turn, and print what each is worth."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", type=int, default=4)
    parser.add_argument("--parts", nargs="*", choices=sorted(parts()), help="default: all")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    cases = plain_cases(random_networks(args.networks))
    judge(cases[0], Effort())  # compiled once, outside the measurement
    found: dict[str, list[Outcome]] = {}
    with on_stderr() as (_, progress):
        first = [judge(case, Effort()) for case in cases]
        cases += [
            bound
            for case, before in zip(cases, first, strict=True)
            if case.objective == "interval"
            for bound in bound_cases(case, before)
        ]
        chosen = {name: way for name, way in parts().items() if name == "nothing" or name in (args.parts or parts())}
        progress.start("search", len(chosen) * len(cases))
        for part, (leave_out, effort) in chosen.items():
            with leave_out():
                found[part] = []
                for case in cases:
                    found[part].append(judge(case, effort))
                    progress.advance(1, f"without {part}: {case.name}")
        progress.finish()
    worth = [compare(part, found[part], found["nothing"]) for part in found]
    table = Table("left out", "cases", "worse", "better", "refused", "mean", "worst", "latency", "costs [CPU s]")
    for w in worth:
        table.add_row(
            w.part, str(w.cases), str(w.worse), str(w.better), str(w.refused), shown(w.mean_ratio),
            shown(w.worst_ratio), shown(w.latency_ratio), f"{w.seconds:.1f}",
        )  # fmt: skip
    Console().print(table)
    if args.json:
        rows = [{name: getattr(w, name) for name in Worth.__slots__} for w in worth]
        write_atomic(args.json, json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
