# SPDX-License-Identifier: Apache-2.0
"""The import order: every module may import its own layer and those before it, functions included; no circles."""

from __future__ import annotations

import subprocess
import sys

import pytest

from nba.core.sources import PACKAGE, import_circles, imported_names, imports, modules_of

LAYERS: tuple[tuple[str, ...], ...] = (
    ("nba.core",),
    ("nba.ir",),
    ("nba.boards",),
    ("nba.machine",),
    ("nba.explore", "nba.loopnest"),
    ("nba.learn",),
    ("nba.deviations", "nba.presets", "nba.published", "nba.spec"),
    ("nba.emit",),
    ("nba.verify", "nba.synth", "nba.report"),
    ("nba.flow", "nba.doctor"),
    ("nba.api", "nba.terminal"),
    ("nba", "nba.cli", "nba.__main__"),
)
LEARNING = ("torch", "torchvision", "sklearn")
ORDER = {name: i for i, names in enumerate(LAYERS) for name in names}

MODULES = modules_of()


def layer(module: str) -> int:
    """Layer of a module: that of the longest listed name which is it or holds it; `nba` itself holds nothing."""
    name = module
    while name not in ORDER:
        name = name.rpartition(".")[0]
    assert name != "nba" or module == name, f"{module}: in no layer; add it to LAYERS where it belongs"
    return ORDER[name]


@pytest.mark.parametrize("module", MODULES)
def test_nothing_imports_a_later_layer(module: str) -> None:
    later = {name for name in imports(module) if layer(name) > layer(module)}
    assert not later


@pytest.mark.parametrize("module", [m for m in MODULES if not m.startswith("nba.learn") and m != "nba.core.arithmetic"])
def test_only_learn_imports_learning_packages(module: str) -> None:
    assert not {name for name in imported_names(module) if name.partition(".")[0] in LEARNING}


def test_only_tools_starts_programs() -> None:
    users = {m for m in MODULES if "subprocess" in imported_names(m)}
    assert users == {"nba.core.tools"}


def test_no_import_cycles() -> None:
    assert import_circles() == []


def test_the_rules_can_fail() -> None:
    assert layer("nba.ir.design") < layer("nba.emit") < layer("nba.flow.runner") < layer("nba.cli")
    assert "torch" in imported_names("nba.learn.train.loop")
    assert "nba.flow.artifacts" in imports("nba.flow.stages.train")


STAGES = ("map", "emit", "verify", "synth", "report")


@pytest.mark.parametrize(
    "modules", ["nba.cli", "nba.flow.runner", ", ".join(f"nba.flow.stages.{name}" for name in STAGES)]
)
def test_importing_does_not_load_torch(modules: str) -> None:
    code = f"import sys, {modules}; print([m for m in {LEARNING!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=PACKAGE.parent)
    assert done.stdout.strip() == "[]"
