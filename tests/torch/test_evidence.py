# SPDX-License-Identifier: Apache-2.0
"""The evidence runs in their smallest setting: equal costs are equal, finished units are not run again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import evidence, joint_vs_sequential, sampling_ablation
from nba.boards import get
from nba.core.figures import clock_text

pytestmark = pytest.mark.torch


def _unit(run: evidence.Run, unit: dict[str, object], folder: Path) -> dict[str, object]:
    folder.mkdir(exist_ok=True)
    evidence.run_unit(run, unit, None, folder)
    (found,) = (path for path in folder.glob("*.json") if json.loads(path.read_text())["unit"] == unit)
    return json.loads(found.read_text())


def test_joint_and_sequential_search_cost_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unit = {"setting": "smoke", "seed": 1, "weight": 0.5, "method": "joint"}
    joint = _unit(joint_vs_sequential.run, unit, tmp_path)
    other = {**unit, "method": "sequential", "evaluations": joint["evaluations"]}
    sequential = _unit(joint_vs_sequential.run, other, tmp_path)
    same = ("weight_steps", "choice_steps", "evaluations")
    assert [joint[key] for key in same] == [sequential[key] for key in same]
    assert (joint["weight_steps"], joint["choice_steps"]) == (12, 8)
    assert joint["evaluations"] > 100 + 100 + 4 * 20, "what the penalty asks counts as well"
    text = joint_vs_sequential.table([joint, sequential])
    assert len(text.splitlines()) == 4
    monkeypatch.setattr(evidence.subprocess, "run", lambda *a, **k: pytest.fail("it is there already"))
    assert evidence.run_units("benchmarks.joint_vs_sequential", [unit, other], None, tmp_path) == [joint, sequential]
    assert [path.suffix for path in tmp_path.iterdir()] == [".json"] * 2


def test_the_sequential_search_takes_one_decision_after_the_other(tmp_path: Path) -> None:
    setting = evidence.SETTINGS["smoke"]
    dataset = evidence.data(setting, None)
    architecture, accelerator, counts = joint_vs_sequential.sequential(setting, dataset, 2, 150, tmp_path)
    assert counts["evaluations"] == 150
    assert accelerator is not None

    assert set(_records(tmp_path / "network")[-1]["bits"]) == {8}
    assert tuple(_records(tmp_path / "bits")[-1]["ops"]) == architecture.ops


def _records(folder: Path) -> list[dict[str, object]]:
    import torch

    return torch.load(folder / "search.pt", weights_only=True)["records"]


def test_sampling_ablation(tmp_path: Path) -> None:
    results = [
        _unit(sampling_ablation.run, {"setting": "smoke", "seed": 1, "sampling": mode}, tmp_path)
        for mode in sampling_ablation.MODES
    ]
    assert len({r["beta_entropy"] for r in results}) == 3
    assert all(r["fps"] is None or r["fps"] > 0 for r in results)
    *_, note = table = sampling_ablation.table(results).splitlines()
    assert len(table) == 5
    assert note.startswith(f"accuracies are on {results[0]['images']} test images")
    assert note.endswith(f"frames/s {clock_text(get(evidence.PLATFORM).clock_mhz)}")
