# SPDX-License-Identifier: Apache-2.0
"""How bitwidths are sampled in the search: hetero, soft or hard; what the network that is found is worth.

    python -m benchmarks.sampling_ablation --setting digits --seeds 1,2,3 -o FOLDER
    python -m benchmarks.sampling_ablation --setting cifar16 --seeds 1 --data PATH -o FOLDER

Same schedule, space, budgets, seeds, training and mapping; only schedule.search.bit_sampling differs. CPU seconds and
peak memory (above that of the loaded data) are those of the search.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

import torch

from benchmarks import evidence
from nba.core.errors import InfeasibleError
from nba.learn.data.dataset import Dataset
from nba.learn.search.joint import JointSearch
from nba.learn.space.network import skeleton, slot_of_layer

MODES = ("hetero", "soft", "hard")


def run(setting: evidence.Setting, dataset: Dataset, unit: dict[str, Any], work: Path) -> dict[str, Any]:
    """Search with one way of sampling, train and map."""
    torch.set_num_threads(1)
    seed = unit["seed"]
    hardware = evidence.CountedHardware(setting, seed)
    before, cpu = _peak_mib(), time.process_time()
    found = JointSearch(setting.macro, dataset, hardware, setting.search.but(bit_sampling=unit["sampling"]), seed)
    found.epochs(work)
    best = found.derived()
    found.oracle.improve(best, setting.search.hardware_last)
    search = {"search_cpu_seconds": time.process_time() - cpu, "search_peak_mib": _peak_mib() - before}
    try:
        start = hardware.best(skeleton(best), slot_of_layer(best))
    except InfeasibleError:
        start = None
    entropy = {"beta_entropy": found.records[-1].beta_entropy}
    return {**evidence.outcome(setting, dataset, best, start, seed, work), **search, **entropy}


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def table(results: list[dict[str, Any]]) -> str:
    """Per way of sampling: mean and range over seeds."""
    rows = [
        f"{'sampling':10}{'seeds':>6}  {'accuracy %':26}{'frames/s':44}{'mean bits':>10}{'search CPU s':>14}{'MiB':>7}"
    ]
    for mode in MODES:
        mine = [r for r in results if r["unit"]["sampling"] == mode]
        bits = [b for r in mine for b, op in zip(r["bits"], r["ops"], strict=True) if op != "skip"]
        rows.append(
            f"{mode:10}{len(mine):>6}  {evidence.spread([100 * r['accuracy'] for r in mine], 2):26}"
            f"{evidence.spread([r['fps'] for r in mine], 0):44}{sum(bits) / max(1, len(bits)):10.2f}"
            f"{sum(r['search_cpu_seconds'] for r in mine) / len(mine):14.0f}"
            f"{max(r['search_peak_mib'] for r in mine):7.0f}"
        )
    return "\n".join([*rows, evidence.note(results)])


def main(arguments: list[str] | None = None) -> int:
    """Run what is missing, print the table."""
    parser = argparse.ArgumentParser(description="hetero, soft and hard sampling of bitwidths")
    parser.add_argument("--setting", choices=tuple(evidence.SETTINGS), default="digits")
    parser.add_argument("--seeds", default="1,2,3")
    parser.add_argument("--data", type=Path, default=None, help="folder with train/<class> and test/<class>")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--only", default=None, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.only is not None:
        evidence.run_unit(run, json.loads(given.only), given.data, given.output)
        return 0
    units = [
        {"setting": given.setting, "seed": int(seed), "sampling": mode}
        for seed in given.seeds.split(",")
        for mode in MODES
    ]
    results = evidence.run_units("benchmarks.sampling_ablation", units, given.data, given.output)
    print(f"{given.setting}, seeds {given.seeds}: mean (range)")
    print(table(results))
    return 0


if __name__ == "__main__":
    sys.exit(main())
