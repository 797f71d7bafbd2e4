# SPDX-License-Identifier: Apache-2.0
"""A given architecture in the place of a search, and the way from a search to training on several nodes: by the command
line, with everything real but torchrun's machines, which are two folders of this one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from nba.api import load_spec
from nba.core.progress import Silent
from nba.core.sources import PACKAGE
from nba.flow import runner
from nba.flow.architecture import chosen
from nba.flow.pipelines import up_to
from nba.flow.stage import Context
from nba.ir.shared import load_shared
from tests.torch.test_ranks import free_port
from tests.torch.test_run import nba

pytestmark = [pytest.mark.torch, pytest.mark.xdist_group("given")]

SPEC = """
name: small
seed: 3
dataset: {name: digits, train_images: 24, test_images: 4, classes: ["1", "4", "6", "8"]}
network:
  stem_channels: 4
  stages: [{channels: 4, blocks: 1, stride: 2}, {channels: 6, blocks: 1, stride: 2}]
  operators: [k3_e1, k3_e3]
  head_channels: 8
bitwidths: [4, 8]
platform: pynq-z2
budgets: {dsp: 40, bram: 20}
schedule:
  search: {pretrain_epochs: 1, joint_epochs: 1, batch_size: 16, hardware_first: 100, hardware_last: 100, clip_norm: 5.0,
           optimiser: sgd}
  train: {epochs: 2, batch_size: 16, clip_norm: 5.0, optimiser: sgd, learning_rate: 0.01, fold_fraction: 0.0}
"""
SWITCHED = SPEC.replace(
    "bitwidths: [4, 8]", "precision: switchable\nswitchable: {bitwidths: [4, 8], hierarchy: mcu-class}"
)


def _curves(folder: Path) -> list[dict[str, float]]:
    return list(json.loads((folder / "train" / "curves.json").read_text())["records"])


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with spec.yaml and what `train` made of it, search included."""
    folder = tmp_path_factory.mktemp("searched")
    (folder / "spec.yaml").write_text(SPEC)
    done = nba("train", "spec.yaml", "-o", "build", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder


def test_the_file_of_a_search_gives_the_same_training(searched: Path, tmp_path: Path) -> None:
    """Bit for bit; nothing is searched. A changed file is trained anew."""
    file = searched / "build" / "search" / "architecture.json"
    found = json.loads((searched / "build" / "search" / "search.json").read_text())["architecture"]
    assert json.loads(file.read_text()) == {
        "format": 1,
        "blocks": [{"operator": op, "bits": bits} for op, bits in zip(found["ops"], found["bits"], strict=True)],
    }
    (tmp_path / "spec.yaml").write_text(SPEC)
    (tmp_path / "arch.json").write_text(file.read_text())
    done = nba("train", "spec.yaml", "--architecture", "arch.json", "-o", "build", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "search  " not in done.stderr
    for name in ("weights.npz", "network.json", "curves.json"):
        assert (tmp_path / "build/train" / name).read_bytes() == (searched / "build/train" / name).read_bytes()
    done = nba("train", "spec.yaml", "--architecture", "arch.json", "-o", "build", cwd=tmp_path)
    assert done.stderr.count("up to date") == 3
    (tmp_path / "arch.yaml").write_text("blocks:\n- {operator: k3_e1, bits: 8}\n- {operator: k3_e3, bits: 4}\n")
    done = nba("train", "spec.yaml", "--architecture", "arch.yaml", "-o", "build", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "up to date" not in done.stderr
    whole = json.loads((tmp_path / "build/search/whole.json").read_text())
    assert (whole["ops"], whole["bits"], whole["macro"]["classes"]) == (["k3_e1", "k3_e3"], [8, 4], 4)


def test_a_search_leaves_its_log(searched: Path) -> None:
    for stage, epochs in (("search", 2), ("train", 2)):
        lines = (searched / "build" / stage / "log.txt").read_text().splitlines()
        assert [line.split()[1:4] for line in lines] == [[stage, "epoch", str(i)] for i in range(epochs)]


def test_what_does_not_fit_is_said_before_anything_is_done(tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text(SPEC + "architecture: wrong.yaml\n")
    (tmp_path / "wrong.yaml").write_text("blocks: [{operator: k9_e9, bits: 8}, {operator: k3_e1, bits: 5}]")
    done = nba("train", "spec.yaml", "-o", "build", cwd=tmp_path)
    assert done.returncode == 2
    assert "wrong.yaml: 2 errors" in done.stderr
    assert "blocks[0].operator: 'k9_e9' is not one of this block's, k3_e1, k3_e3" in done.stderr
    assert "blocks[1].bits: 5 is not one of 4, 8" in done.stderr
    assert not (tmp_path / "build").exists()
    done = nba("search", "spec.yaml", "-o", "build", cwd=tmp_path)
    assert done.returncode == 2
    assert "is given, so there is nothing to search" in done.stderr
    (tmp_path / "wrong.yaml").unlink()
    done = nba("train", "spec.yaml", "-o", "build", cwd=tmp_path)
    assert done.returncode == 2
    assert "wrong.yaml: no such file" in done.stderr


def test_a_switchable_network_may_be_given_too(tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text(SWITCHED)
    (tmp_path / "arch.yaml").write_text("blocks: [{operator: k3_e1}, {operator: k3_e3}]")
    spec = load_spec(tmp_path / "spec.yaml")
    spec = spec.model_copy(update={"architecture": str(tmp_path / "arch.yaml")})
    stages, build = up_to(spec, "train"), tmp_path / "build"
    assert [stage.name for stage in stages] == ["architecture", "cascade"]
    runner.run(spec, build, stages=stages, progress=Silent(), say=lambda line: None)
    network, _ = load_shared(build / "train").at(4)
    assert [layer.name for layer in network.layers][1:6] == [
        "block0_depthwise", "block0_project", "block1_expand", "block1_depthwise", "block1_project",
    ]  # fmt: skip
    context = Context(spec=spec, build=build, folder=tmp_path, progress=Silent())
    assert chosen(context).ops == ("k3_e1", "k3_e3")
    assert up_to(spec, "map")[2].after == ("cascade",)


def _two_nodes(folder: Path, *more: str, files: tuple[Path, ...] = ()) -> Path:
    """Two torchrun nodes on loopback that share no folder; each has a spec and `files`. Returns the build, which one of
    them has; the other holds no result."""
    endpoint = f"127.0.0.1:{free_port()}"
    nodes = []
    for rank in range(2):
        node = folder / f"node{rank}"
        node.mkdir()
        (node / "spec.yaml").write_text(SPEC)
        for file in files:
            (node / file.name).write_bytes(file.read_bytes())
        command = [
            sys.executable, "-m", "torch.distributed.run", "--nnodes", "2", "--node_rank", str(rank),
            "--nproc_per_node", "1", "--rdzv_backend", "c10d", "--rdzv_endpoint", endpoint, "--rdzv_id", "nba",
            "-m", "nba", "train", "spec.yaml", "-o", "build", *more,
        ]  # fmt: skip
        env = {**os.environ, "PYTHONPATH": str(PACKAGE.parent), "OMP_NUM_THREADS": "1"}
        nodes.append(
            subprocess.Popen(command, cwd=node, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        )
    try:
        said = [node.communicate()[0] for node in nodes]
    finally:
        for node in nodes:
            node.kill()
    assert [node.returncode for node in nodes] == [0, 0], said
    builds = [folder / f"node{rank}" / "build" for rank in range(2)]
    (built,) = (build for build in builds if (build / "metrics.json").is_file())
    (other,) = (build for build in builds if build != built)
    assert not [path for path in other.rglob("*") if path.is_file() and path.suffix != ".npy"]
    return built


def _curves_alike(alone: Path, built: Path) -> None:
    for a, b in zip(_curves(alone), _curves(built), strict=True):
        assert a["loss"] == pytest.approx(b["loss"], rel=5e-3)
        assert a["accuracy"] == pytest.approx(b["accuracy"], abs=0.03)
        assert a["learning_rate"] == b["learning_rate"]


def test_two_nodes_search_and_train_like_one_process(searched: Path, tmp_path: Path) -> None:
    alone, built = searched / "build", _two_nodes(tmp_path)
    for a, b in zip(
        *(json.loads((f / "search/search.json").read_text())["records"] for f in (alone, built)), strict=True
    ):
        assert (a["ops"], a["bits"]) == (b["ops"], b["bits"])
        assert a["train_loss"] == pytest.approx(b["train_loss"], rel=5e-3)
    assert (built / "search/architecture.json").read_bytes() == (alone / "search/architecture.json").read_bytes()
    _curves_alike(alone, built)


def test_two_nodes_train_a_given_architecture_like_one_process(searched: Path, tmp_path: Path) -> None:
    """The command of docs/migrating.md, after a search elsewhere: nothing is searched."""
    file = searched / "build" / "search" / "architecture.json"
    built = _two_nodes(tmp_path, "--architecture", "architecture.json", files=(file,))
    assert not (built / "search" / "search.json").exists()
    assert (built / "search" / "architecture.json").read_bytes() == file.read_bytes()
    _curves_alike(searched / "build", built)
