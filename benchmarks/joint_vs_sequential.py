# SPDX-License-Identifier: Apache-2.0
"""Joint search against network, then bitwidths, then accelerator, at equal search cost.

    python -m benchmarks.joint_vs_sequential --setting digits --seeds 1,2,3 -o FOLDER
    python -m benchmarks.joint_vs_sequential --setting cifar16 --seeds 1,2 --data PATH -o FOLDER

Equal: steps of the weights, steps of alpha/beta, evaluations of the accelerator's cost model (the samples of the joint
search and what it asks for its penalty), training of what is found, final mapping, budgets. The sequential search
spends half of the alpha/beta steps on operators at the largest bitwidth, with log MACs as their cost; half on the bits
of that network, with log bit operations as theirs, going on with its weights; then all evaluations on its accelerator.
--weights: weights of the cost, the same for both (default: the setting's); several show a front.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from benchmarks import evidence
from nba.core.errors import InfeasibleError
from nba.ir.accelerator import Accelerator
from nba.learn.data.dataset import Dataset
from nba.learn.search.joint import JointSearch
from nba.learn.space.network import Architecture, skeleton, slot_of_layer
from nba.learn.supernet import paths

_SAMPLES = 50
Found = tuple[Architecture, Accelerator | None, dict[str, int]]


def run(setting: evidence.Setting, dataset: Dataset, unit: dict[str, Any], work: Path) -> dict[str, Any]:
    """Search, train and map one unit."""
    torch.set_num_threads(1)
    setting = replace(setting, search=evidence.weighted(setting.search, unit["weight"]))
    if unit["method"] == "joint":
        architecture, accelerator, counts = joint(setting, dataset, unit["seed"], work)
    else:
        architecture, accelerator, counts = sequential(setting, dataset, unit["seed"], unit["evaluations"], work)
    return {**evidence.outcome(setting, dataset, architecture, accelerator, unit["seed"], work), **counts}


def joint(setting: evidence.Setting, dataset: Dataset, seed: int, work: Path) -> Found:
    """All at once."""
    hardware = evidence.CountedHardware(setting, seed)
    whole = JointSearch(setting.macro, dataset, hardware, setting.search, seed)
    whole.epochs(work)
    best = whole.derived()
    whole.oracle.improve(best, setting.search.hardware_last)
    return best, _accelerator(hardware, best), {**_steps(whole), "evaluations": hardware.evaluations}


def sequential(setting: evidence.Setting, dataset: Dataset, seed: int, evaluations: int, work: Path) -> Found:
    """Network, bitwidths, accelerator."""
    config, macro = setting.search, setting.macro
    half = config.joint_epochs // 2
    whole = JointSearch(macro, dataset, evidence.MacsHardware(), config, seed)
    between = whole.learning_rate(config.pretrain_epochs + half)
    network = JointSearch(
        macro, dataset, evidence.MacsHardware(),
        config.but(joint_epochs=half, learning_rate_last=between, bits_weight=0.0),
        seed, paths.legal_at_bits(macro, macro.all_bitwidths[-1]),
    )  # fmt: skip
    bits_config = config.but(
        pretrain_epochs=0, joint_epochs=config.joint_epochs - half, learning_rate=between, bits_weight=1.0
    )
    network.epochs(_made(work / "network"))
    bits = JointSearch(macro, dataset, evidence.MacsHardware(), bits_config, seed, paths.only(macro, network.derived()))
    bits.net.load_state_dict(network.net.state_dict())
    bits.epochs(_made(work / "bits"))
    best = bits.derived()
    hardware = evidence.CountedHardware(setting, seed)
    while hardware.evaluations < evaluations:
        samples = min(_SAMPLES, evaluations - hardware.evaluations)
        hardware.step(skeleton(best), slot_of_layer(best), samples)
    first, second = _steps(network), _steps(bits)
    steps = {key: first[key] + second[key] for key in first}
    return best, _accelerator(hardware, best), {**steps, "evaluations": hardware.evaluations}


def _made(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    return folder


def _accelerator(hardware: evidence.CountedHardware, best: Architecture) -> Accelerator | None:
    """The best accelerator; None if it exceeds the budgets (the mapper then has the last word)."""
    try:
        return hardware.best(skeleton(best), slot_of_layer(best))
    except InfeasibleError:
        return None


def _steps(run: JointSearch) -> dict[str, int]:
    config = run.config
    return {
        "weight_steps": (config.pretrain_epochs + config.joint_epochs) * run.steps(),
        "choice_steps": config.joint_epochs * run.steps(),
    }


def table(results: list[dict[str, Any]]) -> str:
    """Per weight of the cost and method: accuracy and frames per second, mean and range over seeds, and the costs."""
    rows = [
        f"{'method':12}{'weight':>8}{'seeds':>7}  {'accuracy %':26}{'frames/s':44}{'MMAC':>7}{'weight':>8}{'choice':>8}"
        f"{'evaluations':>13}{'CPU s':>8}"
    ]
    for weight in dict.fromkeys(r["unit"]["weight"] for r in results):
        for method in ("joint", "sequential"):
            mine = [r for r in results if r["unit"]["method"] == method and r["unit"]["weight"] == weight]
            accuracy = evidence.spread([100 * r["accuracy"] for r in mine], 2)
            rows.append(
                f"{method:12}{'own' if weight is None else format(weight, 'g'):>8}{len(mine):>7}  {accuracy:26}"
                f"{evidence.spread([r['fps'] for r in mine], 0):44}"
                f"{sum(r['mmac'] for r in mine) / len(mine):7.2f}{mine[0]['weight_steps']:8}{mine[0]['choice_steps']:8}"
                f"{max(r['evaluations'] for r in mine):13}{sum(r['cpu_seconds'] for r in mine) / len(mine):8.0f}"
            )
    return "\n".join([*rows, evidence.note(results)])


def main(arguments: list[str] | None = None) -> int:
    """Run what is missing, print the table."""
    parser = argparse.ArgumentParser(description="Joint against sequential search at equal cost")
    parser.add_argument("--setting", choices=tuple(evidence.SETTINGS), default="digits")
    parser.add_argument("--seeds", default="1,2,3")
    parser.add_argument("--weights", default="", help="weights of the cost; default: the setting's own")
    parser.add_argument("--data", type=Path, default=None, help="folder with train/<class> and test/<class>")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--only", default=None, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.only is not None:
        evidence.run_unit(run, json.loads(given.only), given.data, given.output)
        return 0
    results: list[dict[str, Any]] = []
    for weight in [float(w) for w in given.weights.split(",") if w] or [None]:
        for seed in (int(s) for s in given.seeds.split(",")):
            unit: dict[str, Any] = {"setting": given.setting, "seed": seed, "weight": weight, "method": "joint"}
            done = evidence.run_units("benchmarks.joint_vs_sequential", [unit], given.data, given.output)
            unit = {**unit, "method": "sequential", "evaluations": done[0]["evaluations"]}
            done += evidence.run_units("benchmarks.joint_vs_sequential", [unit], given.data, given.output)
            results += done
    print(f"{given.setting}, seeds {given.seeds}: mean (range)")
    print(table(results))
    return 0


if __name__ == "__main__":
    sys.exit(main())
