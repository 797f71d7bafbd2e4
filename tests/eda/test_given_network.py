# SPDX-License-Identifier: Apache-2.0
"""A run whose network is given: no data, no training, and everything else real, from the layers to the report."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nba.api import load_spec
from nba.core.progress import Silent
from nba.explore import mapping
from nba.explore.choose import Effort
from nba.flow import pipelines
from nba.flow.artifacts import load_network
from nba.flow.metrics import table
from nba.flow.metrics_model import parse_metrics
from nba.machine.design_file import load_design
from tests.documented import undocumented

pytestmark = [pytest.mark.eda, pytest.mark.xdist_group("given_network")]

QUICK = Effort(scout_steps=20, climb_steps=20, finalists=1, reorder_steps=0, refine_steps=5, exact=False)
SPEC = """
name: tiny
seed: 3
given: {published: resnet8, image: 4}
platform: pynq-z2
budgets: {dsp: 16, bram: 60}
verify: {verilator: 0, icarus: 1, hls: 0}
"""


def run(folder: Path, last: str = "report", *, force: bool = False) -> tuple[dict[str, object], set[str]]:
    """The metrics of a run, and the stages that did something."""
    (folder / "spec.yaml").write_text(SPEC)
    said: list[str] = []
    found = pipelines.run_spec(
        load_spec(folder / "spec.yaml"), folder / "build", last=last, progress=Silent(), say=said.append, force=force
    )
    return dict(found), {line.split()[0] for line in said if " done in " in line}


def test_a_given_network_becomes_hardware(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mapping, "Effort", lambda: QUICK)
    metrics, did = run(tmp_path)
    assert did == {"given", "map", "emit", "verify", "synth", "report"}

    build = tmp_path / "build"
    text = (build / "metrics.json").read_text()
    assert parse_metrics(text) == json.loads(text) == metrics
    assert undocumented(metrics) == set()
    assert metrics["given"] == {"published": "resnet8", "image": 4, "weights": "random"}
    assert not {"accuracy", "baselines", "arithmetic"} & set(metrics)
    rows = {line.label: line for line in table(json.loads(text))}
    assert "accuracy" not in rows
    assert "the outputs mean nothing" in rows["given network"].value
    assert {label for label, line in rows.items() if line.holds} == {
        "DSP", "BRAM", "bit-exact, Icarus", "cycles predicted = simulated, Icarus",
    }  # fmt: skip
    assert all(line.holds is not False for line in rows.values())

    design, _ = load_design(build / "bundle" / "design.json")
    network, _ = load_network(build / "train")
    assert design.random_weights
    assert design.network.layers == network.layers
    assert [design.network.tensors[i].height for i in (0, 3, 6, 9, 11)] == [4, 4, 2, 1, 1]
    for page in ("bundle/README.md", "report/report.html"):
        assert "weights are random" in (build / page).read_text(), page
    assert "nothing was searched or trained" in (build / "report/report.html").read_text()
    interface = json.loads((build / "bundle" / "interface.json").read_text())
    assert (interface["classes"], interface["vectors"]["labels"]) == (None, None)

    before = (build / "bundle" / "manifest.json").read_bytes()
    assert run(tmp_path) == (metrics, set())
    assert run(tmp_path, "emit", force=True)[1] == {"given", "map", "emit"}
    assert (build / "bundle" / "manifest.json").read_bytes() == before
