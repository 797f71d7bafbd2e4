# SPDX-License-Identifier: Apache-2.0
"""`spec` refuses what `run` would refuse before it learns anything."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from nba.api import load_spec
from nba.boards.clocks import SEVEN_SERIES
from nba.cli import app
from nba.core.errors import SpecError
from nba.spec import PATHS

BASE = """
name: small
dataset: {name: digits}
network:
  stem_channels: 8
  stages: [{channels: 8, blocks: 1}]
  head_channels: 16
platform: pynq-z2
budgets: {dsp: 64, bram: 32.5}
"""
FOLDER = "dataset: {name: folder, image_size: 8, path: images}"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("dsp: 64", "dsp: 1000", "budgets.dsp: 1000, but pynq-z2 has 220; give at most that"),
        ("bram: 32.5", "bram: 141", "budgets.bram: 141, but pynq-z2 has 140"),
        ("bram: 32.5", "bram: 32.5, lut: 60000", "budgets.lut: 60000, but pynq-z2 has 53200"),
        (
            "bram: 32.5",
            "bram: 32.5, fps: 1.0e+9",
            f"budgets.fps: 1000000000, but pynq-z2 has {SEVEN_SERIES.clock_mhz:g} million cycles a second",
        ),
        (
            "bram: 32.5",
            "bram: 32.5, latency_us: 0.001",
            f"budgets.latency_us: 0.001, but a cycle of pynq-z2 takes {1 / SEVEN_SERIES.clock_mhz:g} us",
        ),
        (
            "bram: 32.5",
            "bram: 32.5, clock_mhz: 1000",
            f"budgets.clock_mhz: 1000, but {SEVEN_SERIES.clock_mhz:g} MHz are supported on 7-series (an estimate: ",
        ),
        (
            "platform: pynq-z2",
            "platform: generic-xc7\naccelerator: {weights: streamed}",
            "accelerator.weights: streamed, but generic-xc7 has no external memory of 4 bytes per cycle or more; "
            "legal: a board that has one (section `memory` of a board file, docs/boards.md), or weights: on_chip",
        ),
        (
            "platform:",
            "accelerator: {weights: streamed}\nprecision: switchable\nswitchable: {bitwidths: [4, 8]}\nplatform:",
            "accelerator.weights: streamed, but the hardware switches between bitwidths, and the weights of several "
            "modes stay on chip; legal: one bitwidth in switchable.hardware_bits, or weights: on_chip",
        ),
        (
            "platform:",
            "accelerator: {weights: streamed}\nobjective: energy\nplatform:",
            "accelerator.weights: streamed, but objective is energy, and its mapper minimises the interval; legal: ",
        ),
        (
            "bram: 32.5}",
            "bram: 32.5, power_w: 0.5}\naccelerator: {weights: streamed}",
            "accelerator.weights: streamed, but its mapper does not search by budgets.power_w: 0.5; legal: budgets ",
        ),
        (
            "platform:",
            "accelerator: {memory_ports: 3}\nplatform:",
            "accelerator.memory_ports: 3, but the external memory of pynq-z2 has 2; give at most that",
        ),
        (
            "platform:",
            "accelerator: {weights: on_chip, memory_share: 0.5}\nplatform:",
            "accelerator: memory_share and memory_ports belong to weights that may be streamed; leave them out, or",
        ),
        ("dataset: {name: digits}", FOLDER, "images: no such folder; give the folder that holds the images"),
        (
            "dataset: {name: digits}",
            "dataset: {name: digits, classes: {count: 11}}",
            "dataset.classes.count: 11, but the dataset has 10; give at most that",
        ),
        (
            "dataset: {name: digits}",
            "dataset: {name: cifar10, path: ., classes: {count: 11}}",
            "dataset.classes.count: 11, but the dataset has 10; give at most that",
        ),
        (
            "dataset: {name: digits}",
            "dataset: {name: digits, classes: [1, 2, ten]}",
            "dataset.classes: ten: not a class of this dataset",
        ),
        ("dataset: {name: digits}", "dataset: {name: imagenet}", "dataset.path: missing; give the folder of imagenet"),
        (
            "platform:",
            "schedule: {train: {distillation: {teacher: nowhere.pt}}}\nplatform:",
            "schedule.train.distillation.teacher: ",
        ),
        (
            "platform:",
            "precision: switchable\nswitchable: {bitwidths: [4, 8], hierarchy: nowhere}\nplatform:",
            "switchable.hierarchy: hierarchy: 'nowhere' is not known",
        ),
        (
            "platform:",
            "precision: switchable\nswitchable: {bitwidths: [4, 12], hierarchy: chunk-zc706}\nplatform:",
            "switchable.hierarchy: chunk-zc706 has no MAC of 12 bits",
        ),
        (
            "channels: 8, blocks: 1}",
            "channels: 2048, blocks: 2, operators: [k3_e1, k3_e9]}",
            "network: the largest network of this space, for images of 8x8, cannot be built with the template: "
            "tensor 5 ('block1_expand'): channels is 18432; legal: 1..8191",
        ),
    ],
)
def test_what_run_would_refuse(old: str, new: str, message: str, tmp_path: Path) -> None:
    assert old in BASE
    (tmp_path / "spec.yaml").write_text(BASE.replace(old, new, 1))
    done = CliRunner().invoke(app, ["spec", str(tmp_path / "spec.yaml")])
    assert done.exit_code == 2, done.output
    assert done.output.startswith("nba-codesign: ")
    assert message in done.output


@pytest.mark.parametrize(
    ("more", "when"),
    [
        ("", "before they learn anything"),
        ("precision: switchable\nswitchable: {bitwidths: [4, 8]}\n", "once the network is trained and mapped"),
    ],
)
def test_what_is_not_checked_is_said(more: str, when: str, tmp_path: Path) -> None:
    """No network meets these budgets, which only a search can tell."""
    (tmp_path / "spec.yaml").write_text(BASE.replace("{dsp: 64, bram: 32.5}", "{dsp: 1, bram: 1}") + more)
    done = CliRunner().invoke(app, ["spec", str(tmp_path / "spec.yaml")])
    assert done.exit_code == 0, done.output
    assert done.stderr == (
        f"# not checked: whether a network of this space can meet the budgets; `run` and `train` find out {when}\n"
    )
    assert done.stdout.startswith("name: small\n")


NOBODY = "~no-such-user/x"
NO_HOME = f"'{NOBODY}': this machine does not know the home folder that `~` stands for; give the path without `~`"
SWITCHABLE = f"precision: switchable\nswitchable: {{bitwidths: [4, 8], hierarchy: {NOBODY}}}\nplatform:"


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        ("dataset: {name: digits}", FOLDER.replace("images", NOBODY), "dataset.path"),
        ("platform: pynq-z2", f"platform: {NOBODY}", "platform"),
        ("platform:", f"architecture: {NOBODY}\nplatform:", "architecture"),
        ("platform:", SWITCHABLE, "switchable.hierarchy"),
        (
            "platform:", f"schedule: {{train: {{distillation: {{teacher: {NOBODY}}}}}}}\nplatform:",
            "schedule.train.distillation.teacher",
        ),
    ],
)  # fmt: skip
def test_the_home_of_nobody(old: str, new: str, field: str, tmp_path: Path) -> None:
    assert field in PATHS
    (tmp_path / "spec.yaml").write_text(BASE.replace(old, new, 1))
    done = CliRunner().invoke(app, ["spec", str(tmp_path / "spec.yaml")])
    assert done.exit_code == 2, done.output
    assert done.output.endswith(f"\n  - {field}: {NO_HOME}\n")


def test_the_home_of_nobody_in_options(tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text(BASE.replace("dataset: {name: digits}", FOLDER))
    for command, option in (("spec", "--data"), ("train", "--data"), ("train", "--architecture")):
        arguments = [command, str(tmp_path / "spec.yaml"), option, NOBODY]
        done = CliRunner().invoke(app, arguments)
        assert (done.exit_code, done.output) == (2, f"nba-codesign: {option}: {NO_HOME}\n")


def test_every_home_of_nobody_is_named_at_once(tmp_path: Path) -> None:
    text = BASE.replace("dataset: {name: digits}", FOLDER.replace("images", NOBODY))
    (tmp_path / "spec.yaml").write_text(text.replace("platform: pynq-z2", f"platform: {NOBODY}"))
    with pytest.raises(SpecError) as found:
        load_spec(tmp_path / "spec.yaml")
    assert f"  - dataset.path: {NO_HOME}" in str(found.value)
    assert f"  - platform: {NO_HOME}" in str(found.value)


def test_all_of_it_at_once(tmp_path: Path) -> None:
    text = BASE.replace("dsp: 64", "dsp: 1000").replace("dataset: {name: digits}", FOLDER)
    (tmp_path / "spec.yaml").write_text(text)
    done = CliRunner().invoke(app, ["spec", str(tmp_path / "spec.yaml")])
    assert done.exit_code == 2
    assert "budgets.dsp" in done.output
    assert "no such folder" in done.output


def test_images_too_large_for_the_pooling(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        (tmp_path / "images" / name).mkdir(parents=True)
    text = BASE.replace("dataset: {name: digits}", FOLDER)
    (tmp_path / "spec.yaml").write_text(text)
    assert CliRunner().invoke(app, ["spec", str(tmp_path / "spec.yaml")]).exit_code == 0
    (tmp_path / "spec.yaml").write_text(text.replace("image_size: 8", "image_size: 130"))
    done = CliRunner().invoke(app, ["spec", str(tmp_path / "spec.yaml")])
    assert done.exit_code == 2
    assert "('pool'): kernel_h is 130; legal: 1..128" in done.output


def test_data_may_lie_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text(BASE.replace("dataset: {name: digits}", FOLDER))
    (tmp_path / "here" / "cat").mkdir(parents=True)
    arguments = ["spec", str(tmp_path / "spec.yaml"), "--data", str(tmp_path / "here")]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 2
    assert "holds 1 folder of images; at least two classes are needed" in done.output
    (tmp_path / "here" / "dog").mkdir()
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    assert f"path: {tmp_path}/here" in done.output
    text = BASE.replace("dataset: {name: digits}", FOLDER.replace("path: images", "path: here, classes: [cat, cow]"))
    (tmp_path / "spec.yaml").write_text(text)
    done = CliRunner().invoke(app, ["spec", str(tmp_path / "spec.yaml")])
    assert done.exit_code == 2
    assert "dataset.classes: cow: not a class of this dataset" in done.output
