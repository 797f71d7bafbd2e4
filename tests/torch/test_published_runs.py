# SPDX-License-Identifier: Apache-2.0
"""Every published preset works: all of its fields, on a few digits and for a few epochs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nba.core.progress import Silent
from nba.flow import runner
from nba.flow.pipelines import up_to
from nba.spec import Spec, parse_spec

pytestmark = pytest.mark.torch

SMALL = """
name: small
seed: 1
dataset: {{name: digits, train_images: 24, test_images: 4, classes: {{count: 4, seed: 2}}, workers: 0}}
network:
  stem_channels: 4
  stages: [{{channels: 4, blocks: 1, stride: 2}}, {{channels: 4, blocks: 1}}]
  operators: [k3_e1, k3_e3, skip]
  expand_at_one: true
  head_channels: 8
{precision}
platform: pynq-z2
budgets: {{dsp: 40, bram: 20}}
schedule:
  preset: {preset}
  search: {{pretrain_epochs: {pretrain}, joint_epochs: 2, batch_size: 16, hardware_every: 1, hardware_samples: 20,
           hardware_first: 20, hardware_last: 20}}
  train: {{epochs: 2, batch_size: 16}}
"""
MIXED, SWITCHABLE = "bitwidths: [4, 8]", "precision: switchable\nswitchable: {bitwidths: [4, 8], hierarchy: mcu-class}"


def small(preset: str, precision: str, pretrain: int) -> Spec:
    text = SMALL.format(preset=preset, precision=precision, pretrain=pretrain)
    return parse_spec(text, where="small", folder=Path(), platforms=["pynq-z2"])


@pytest.mark.parametrize("preset", ["published-auto-nba-cifar", "published-auto-nba-imagenet"])
def test_auto_nba(preset: str, tmp_path: Path) -> None:
    spec = small(preset, MIXED, 1)
    runner.run(spec, tmp_path / "b", stages=up_to(spec, "train"), progress=Silent(), say=lambda line: None)
    found = json.loads((tmp_path / "b" / "search" / "search.json").read_text())
    weights = [record["cost_weight"] for record in found["records"]]
    assert set(weights) <= {spec.schedule.search.cost_weight, -spec.schedule.search.cost_weight, 0.0}
    curves = json.loads((tmp_path / "b" / "train" / "curves.json").read_text())
    assert len(curves["records"]) == 2
    assert curves["records"][-1]["learning_rate"] >= spec.schedule.train.learning_rate_last
    assert curves["agreement"]["same_class"] == 1.0


def test_instantnet(tmp_path: Path) -> None:
    """Its cost is the number of multiply-accumulates; below the range, the weight of the cost pushes upwards."""
    spec = small("published-instantnet-cifar", SWITCHABLE, 0)
    runner.run(spec, tmp_path / "b", stages=up_to(spec, "train"), progress=Silent(), say=lambda line: None)
    found = json.loads((tmp_path / "b" / "search" / "nas.json").read_text())
    assert found["table"]["objective"] == "macs"
    for record in found["records"]:
        assert record["cost"] == record["macs"] < 1.2e8
    assert [record["cost_weight"] for record in found["records"]] == [1e-10, -1e-10]
    assert len(json.loads((tmp_path / "b" / "train" / "cascade.json").read_text())["records"]) == 2
