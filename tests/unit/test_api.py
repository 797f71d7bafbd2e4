# SPDX-License-Identifier: Apache-2.0
"""The public API: what it exports, that importing it costs nothing, and what its functions give and refuse.

The whole of it is executed by tests/torch/test_readme_example.py, simulation by tests/eda/test_simulate.py.
"""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import nba
from nba.api import Result
from nba.core import assets
from nba.core.sources import PACKAGE, closure, digest_tree
from nba.emit.bundle import emit_bundle
from nba.zoo.weights import random_codes
from tests.tiny import tiny_design

ROOT = PACKAGE.parent


def fresh(code: str) -> str:
    """What Python prints that imports nba for the first time."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_importing_it_loads_nothing_heavy() -> None:
    loaded = "[m for m in ('numpy', 'numba', 'torch', 'pydantic', 'jinja2', 'rich') if m in sys.modules]"
    assert fresh(f"import sys, nba; print({loaded})") == "[]"


def test_every_name_is_there_and_none_else() -> None:
    found = {name: getattr(nba, name) for name in nba.__all__}
    assert all(callable(value) for name, value in found.items() if name != "__version__")
    assert set(nba.__all__) <= set(dir(nba))
    assert list(nba.__all__) == sorted(nba.__all__)
    with pytest.raises(AttributeError, match="module 'nba' has no attribute 'frobnicate'"):
        _ = nba.frobnicate


def test_every_name_has_a_type_and_a_description() -> None:
    """For type checkers, which do not see what `__getattr__` does, and in docs/api.md."""
    tree = ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8"))
    imported = {a.asname or a.name for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) for a in n.names}
    assert set(nba.__all__) <= imported
    assert (PACKAGE / "py.typed").is_file()
    text = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    assert [name for name in nba.__all__ if name != "__version__" and not re.search(rf"`(nba\.)?{name}\b", text)] == []
    missing = [name for name in nba.__all__ if name != "__version__" and not inspect.getdoc(getattr(nba, name))]
    assert missing == []


def test_the_documented_signatures_are_the_real_ones() -> None:
    """Name and default of every parameter in the headings of docs/api.md."""
    headings = [line for line in (ROOT / "docs" / "api.md").read_text().splitlines() if line.startswith("### `")]
    seen = []
    for line in headings:
        text = line.split("`")[1]
        name = text.partition("(")[0]
        function = type(nba.emit).__call__ if name == "emit" else getattr(nba, name)
        shown = ast.parse(f"def {text.partition(' ->')[0]}: pass").body[0]
        assert isinstance(shown, ast.FunctionDef)
        real = [p for p in inspect.signature(function).parameters.values() if p.name != "self"]
        arguments = [*shown.args.args, *shown.args.kwonlyargs]
        assert [a.arg for a in arguments] == [p.name for p in real], name
        assert [a.arg for a in shown.args.kwonlyargs] == [p.name for p in real if p.kind is p.KEYWORD_ONLY], name
        defaults = [d for d in (*shown.args.defaults, *shown.args.kw_defaults) if d is not None]
        wanted = [p.default for p in real if p.default is not p.empty]
        for default, value in zip(map(ast.unparse, defaults), wanted, strict=True):
            assert default in ("...", "Ellipsis") or ast.literal_eval(default) == value, (name, default)
        seen.append(name)
    assert sorted(seen) == sorted(name for name in nba.__all__ if name.islower() and name != "__version__")


def test_a_module_and_a_function_of_one_name() -> None:
    """`nba.emit` stays what can be called when its modules are imported, before and after."""
    code = (
        "import nba; a = nba.emit; import nba.emit.bundle; from nba import emit; import inspect;"
        "assert a is emit is nba.emit; print([*inspect.signature(emit).parameters])"
    )
    assert fresh(code) == "['design', 'weights', 'folder', 'images']"


def test_no_stage_depends_on_the_api() -> None:
    """It lies in the package that holds them, and its functions would import everything."""
    found = closure(["nba.flow.stages.emit"])
    assert "nba" in found
    assert "nba.core.errors" in found
    assert not {"nba.api", "nba.learn.search.joint"} & set(found)
    assert "nba.api" in closure(["nba"])


def test_load_spec_takes_names_files_and_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = nba.load_spec("digits")
    path = tmp_path / "in" / "my.yaml"
    path.parent.mkdir()
    path.write_text((assets.root("examples") / "digits.yaml").read_text())
    assert nba.load_spec(path) == nba.load_spec(str(path)) == spec
    changed = nba.load_spec("digits", changes={"budgets": {"dsp": 64}, "schedule": {"preset": "quick"}}, seed=7)
    assert (changed.budgets.dsp, changed.budgets.bram, changed.seed) == (64, spec.budgets.bram, 7)
    assert changed.schedule.search.joint_epochs == 6
    monkeypatch.chdir(tmp_path)
    assert nba.load_spec("digits", architecture="a.json").architecture == str(tmp_path / "a.json")
    assert nba.load_spec("cifar10", data="images").dataset.path == str(tmp_path / "images")
    with pytest.raises(nba.SpecError, match="dataset digits is embedded"):
        nba.load_spec("digits", data="images")


def test_load_spec_says_everything_that_is_wrong() -> None:
    with pytest.raises(nba.SpecError) as caught:
        nba.load_spec("digits", changes={"budgets": {"dspp": 1}, "sede": 2, "verify": {"icarus": -1}})
    for part in ("digits.yaml", "budgets.dspp: unknown field", "sede: unknown field", "verify.icarus"):
        assert part in str(caught.value)
    with pytest.raises(nba.SpecError, match="nowhere: no such file"):
        nba.load_spec("nowhere")


LITTLE = nba.Effort(scout_steps=20, climb_steps=20, finalists=1, reorder_steps=0, refine_steps=5)


def test_from_a_network_to_a_bundle(tmp_path: Path) -> None:
    design, weights = tiny_design()
    network = design.network
    budgets = nba.Budgets(dsp=400, bram=300)
    found = nba.map_network(network, "zc706", budgets, effort=LITTLE, seed=2)
    assert found == nba.map_network(network, "zc706", budgets, effort=LITTLE, seed=2)
    assert found.cost.dsp <= 400
    assert found.certificate is not None
    made = nba.make_design(network, weights, found, "zc706", name="made", seed=5)
    assert (made.name, made.network, made.cost, made.platform) == ("made", network, found.cost, "zc706")
    assert nba.emit(made, weights, tmp_path / "bundle") == tmp_path / "bundle"
    again, same = nba.load_design(tmp_path / "bundle" / "design.json")
    assert again == made
    assert all(np.array_equal(a.weight, b.weight) for a, b in zip(weights, same, strict=True))
    with pytest.raises(nba.DesignError, match="made"):
        nba.make_design(network, weights[:-1], found, "zc706", name="made")


def test_map_network_names_the_budget() -> None:
    network = tiny_design()[0].network
    with pytest.raises(nba.InfeasibleError, match=r"budgets\.dsp: 1\b"):
        nba.map_network(network, "zc706", nba.Budgets(dsp=1, bram=300), weights="on_chip", effort=LITTLE)
    with pytest.raises(nba.SpecError, match="platform: 'zc7006' is not known"):
        nba.map_network(network, "zc7006", nba.Budgets(dsp=1, bram=1))


def test_emit_takes_images_and_gives_the_same_bytes(tmp_path: Path) -> None:
    design, weights = tiny_design()
    images = random_codes(np.random.default_rng(3), design.network.tensors[0], 3)
    nba.emit(design, weights, str(tmp_path / "a"), images)
    emit_bundle(design, weights, tmp_path / "b", images)
    assert digest_tree(tmp_path / "a") == digest_tree(tmp_path / "b")
    nba.emit(design, weights, tmp_path / "a", images[:2])
    assert (tmp_path / "a" / "vectors" / "input.hex").read_text().count("\n") == 2


def test_emit_refuses(tmp_path: Path) -> None:
    design, weights = tiny_design()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("mine")
    with pytest.raises(nba.SpecError, match=r"mine: holds other files \(no manifest\.json\)"):
        nba.emit(design, weights, tmp_path / "mine")
    with pytest.raises(nba.SpecError, match=r"letter\.txt: is a file"):
        nba.emit(design, weights, tmp_path / "mine" / "letter.txt")
    with pytest.raises(nba.DataError, match="images of shape"):
        nba.emit(design, weights, tmp_path / "new", np.zeros((1, 2, 3), np.uint8))
    wrong = replace(design, cost=replace(design.cost, dsp=design.cost.dsp + 1))
    with pytest.raises(nba.DesignError, match=r"cost\.dsp"):
        nba.emit(wrong, weights, tmp_path / "new")
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_a_claim_that_does_not_hold_is_seen(tmp_path: Path) -> None:
    design, weights = tiny_design()

    def result(synthesised: int) -> Result:
        part = {"dsp": synthesised, "bram": 1.0}
        found = {"resources": {"predicted": {"dsp": 5, "bram": 1.0}, "synthesised": part}}
        return Result(
            design=design, weights=weights, metrics=found, build=tmp_path, bundle=tmp_path, report=tmp_path
        )  # fmt: skip

    assert result(5).holds
    assert not result(6).holds
    with pytest.raises(nba.NbaError, match=r"images\.npz: missing or damaged"):
        result(5).test_images()
