# SPDX-License-Identifier: Apache-2.0
"""The import order: every module may import its own layer and those before it, functions included; no circles."""

from __future__ import annotations

import ast
import re
import subprocess
import sys

import pytest

from nba.core.sources import PACKAGE, closure, import_circles, imported_names, imports, module_file, modules_of

LAYERS: tuple[tuple[str, ...], ...] = (
    ("nba.core",),
    ("nba.boards",),
    ("nba.ir",),
    ("nba.machine",),
    ("nba.zoo",),
    ("nba.imports",),
    ("nba.explore", "nba.loopnest"),
    ("nba.learn",),
    ("nba.deviations", "nba.presets", "nba.published", "nba.spec"),
    ("nba.emit",),
    ("nba.verify", "nba.synth", "nba.report"),
    ("nba.flow", "nba.doctor"),
    ("nba.api", "nba.terminal"),
    ("nba", "nba.cli", "nba.__main__"),
)
IMPORTERS = ("import_module", "__import__", "run_module")
"""Functions that could import a module that no import statement names."""
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


def by_string(source: str) -> list[str]:
    """Calls that import by a string anything but a module of torchvision, which is optional."""
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    names = {call: ast.unparse(call.func).rpartition(".")[2] for call in calls}
    return [
        ast.unparse(call)
        for call in calls
        if names[call] in IMPORTERS and not re.match(r"'torchvision[.']", ast.unparse(call.args[0]))
    ]


@pytest.mark.parametrize("module", MODULES)
def test_nothing_is_imported_by_a_string(module: str) -> None:
    path = module_file(module)
    assert path is not None
    assert by_string(path.read_text(encoding="utf-8")) == []


def test_an_import_by_a_string_is_found() -> None:
    assert by_string('importlib.import_module(f"nba.{x}")') == ["importlib.import_module(f'nba.{x}')"]
    assert by_string('__import__("nba.spec")') == ["__import__('nba.spec')"]
    assert by_string('import_module("torchvision.datasets")') == []


def test_the_runner_knows_no_stage() -> None:
    assert not [name for name in closure(["nba.flow.runner"]) if name.startswith("nba.flow.stages")]
    assert {name for name in imports("nba.flow.pipelines") if name.startswith("nba.flow.stages.")} == {
        module for module in MODULES if module.startswith("nba.flow.stages.")
    }


def test_the_rules_can_fail() -> None:
    assert layer("nba.ir.design") < layer("nba.emit") < layer("nba.flow.runner") < layer("nba.cli")
    assert "torch" in imported_names("nba.learn.train.loop")
    assert "nba.flow.artifacts" in imports("nba.flow.stages.train")


@pytest.mark.parametrize("modules", ["nba.cli", "nba.flow.runner", "nba.flow.pipelines"])
def test_importing_does_not_load_torch(modules: str) -> None:
    code = f"import sys, {modules}; print([m for m in {LEARNING!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=PACKAGE.parent)
    assert done.stdout.strip() == "[]"
