# SPDX-License-Identifier: Apache-2.0
"""The import order: every module may import its own layer and those before it, functions included."""

from __future__ import annotations

import subprocess
import sys

import networkx as nx
import pytest

from nba.sources import PACKAGE, imported_names, imports

LAYERS: tuple[tuple[str, ...], ...] = (
    (
        "nba",
        "nba.errors",
        "nba.supervisor",
        "nba.files",
        "nba.tools",
        "nba.assets",
        "nba.sources",
        "nba.progress",
        "nba.figures",
        "nba.compiled",
        "nba.yamlfile",
        "nba.jsonfile",
        "nba.npzfile",
    ),
    ("nba.ir",),
    ("nba.spec", "nba.presets", "nba.published"),
    ("nba.platform", "nba.cost"),
    ("nba.quant", "nba.quant.bounds", "nba.quant.integer"),
    ("nba.space", "nba.mapper", "nba.nest"),
    ("nba.emit",),
    ("nba.verify", "nba.synth", "nba.report"),
    (
        "nba.arithmetic",
        "nba.data",
        "nba.quant.blend",
        "nba.quant.fake",
        "nba.quant.nested",
        "nba.quant.norm",
        "nba.quant.rounding",
        "nba.quant.export",
        "nba.supernet",
        "nba.search",
        "nba.train",
        "nba.switchable",
        "nba.frontend",
    ),
    ("nba.stages", "nba.flow", "nba.metrics", "nba.doctor"),
    ("nba.cli", "nba.__main__"),
)
TORCH_SIDE = LAYERS[8]
LEARNING = ("torch", "torchvision", "sklearn")
ORDER = {name: i for i, names in enumerate(LAYERS) for name in names}

MODULES = sorted(
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")
    for path in PACKAGE.rglob("*.py")
    if "_assets" not in path.parts
)


def layer(module: str) -> int:
    """Layer of a module: that of the longest listed name which is it or holds it."""
    name = module
    while name != "nba":
        if name in ORDER:
            return ORDER[name]
        name = name.rpartition(".")[0]
    assert module == "nba", f"{module}: in no layer; add it to LAYERS where it belongs"
    return 0


@pytest.mark.parametrize("module", MODULES)
def test_nothing_imports_a_later_layer(module: str) -> None:
    later = {name for name in imports(module) if layer(name) > layer(module)}
    assert not later


@pytest.mark.parametrize("module", [m for m in MODULES if layer(m) != ORDER[TORCH_SIDE[0]]])
def test_only_the_torch_side_imports_learning_packages(module: str) -> None:
    assert not {name for name in imported_names(module) if name.partition(".")[0] in LEARNING}


def test_only_tools_starts_programs() -> None:
    users = {m for m in MODULES if "subprocess" in imported_names(m)}
    assert users == {"nba.tools"}


def test_no_import_cycles() -> None:
    graph = nx.DiGraph((m, other) for m in MODULES for other in imports(m, lazy=False) if not m.startswith(f"{other}."))
    assert list(nx.simple_cycles(graph)) == []


def test_the_rules_can_fail() -> None:
    assert layer("nba.ir.design") < layer("nba.emit") < layer("nba.train.loop") < layer("nba.cli")
    assert "torch" in imported_names("nba.train.loop")
    assert "nba.stages.exchange" in imports("nba.stages.train")


@pytest.mark.parametrize(
    "modules",
    ["nba.cli", "nba.flow", "nba.stages.map, nba.stages.emit, nba.stages.verify, nba.stages.synth, nba.stages.report"],
)
def test_importing_does_not_load_torch(modules: str) -> None:
    code = f"import sys, {modules}; print([m for m in {LEARNING!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=PACKAGE.parent)
    assert done.stdout.strip() == "[]"
