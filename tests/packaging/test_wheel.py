# SPDX-License-Identifier: Apache-2.0
"""The wheel, installed into an empty environment, works outside the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

from nba.core import assets
from nba.core.sources import PACKAGE, digest_tree
from nba.flow.stages.emit import emit
from tests.tiny import save_tiny_design

CHECKOUT = PACKAGE.parent
pytestmark = pytest.mark.xdist_group("wheel")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout, built without the network."""
    folder = tmp_path_factory.mktemp("wheel")
    command = ["-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--no-index", "-q", "-w", str(folder), "."]
    done = subprocess.run([sys.executable, *command], cwd=CHECKOUT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (found,) = folder.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment that holds the wheel. The wheel's dependencies are those that run this test, found through a
    .pth file at the end of the path, so that nothing is downloaded; nba itself can only come from the wheel."""
    folder = tmp_path_factory.mktemp("env")
    venv.create(folder, with_pip=False)
    site = Path(sysconfig.get_path("purelib", "venv", {"base": str(folder), "platbase": str(folder)}))
    command = [sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python"), "install", "-q", "--no-deps"]
    done = subprocess.run([*command, "--no-index", str(wheel)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    dependencies = sysconfig.get_path("purelib")
    # addsitedir would also process the development environment's own .pth files, one of which leads to the checkout.
    (site / "dependencies.pth").write_text(f"{dependencies}\n")
    return folder


def command(installed: Path, *arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run the installed nba-codesign in `cwd`, with no way to find the checkout."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "COV"))}
    program = installed / "bin" / "nba-codesign"
    return subprocess.run([program, *map(str, arguments)], cwd=cwd, env=env, capture_output=True, text=True)


def test_the_wheel_holds_all_assets(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    for kind in ("templates", "sim", "examples"):
        files = digest_tree(CHECKOUT / kind)
        assert files
        assert {f"nba/_assets/{kind}/{name}" for name in files} <= names
    sources = {f"nba/{name}" for name in digest_tree(PACKAGE) if name.endswith((".py", ".yaml"))}
    assert "nba/loopnest/hierarchies/eyeriss-like.yaml" in sources
    assert sources <= names
    assert "nba/py.typed" in names
    assert not [n for n in names if "__pycache__" in n or n.endswith(".pyc") or n.startswith("tests/")]
    assert any(n.endswith("LICENSE") for n in names)


def test_nba_comes_from_the_wheel(installed: Path, tmp_path: Path) -> None:
    code = (
        "import nba, nba.core.assets as a; print(nba.__file__, *[a.root(k) for k in ('templates', 'sim', 'examples')])"
    )
    done = subprocess.run(
        [installed / "bin" / "python", "-I", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert str(CHECKOUT) + os.sep not in done.stdout.replace(str(installed), "")
    assert done.stdout.count(str(installed)) == 4


def test_doctor_and_spec(installed: Path, tmp_path: Path) -> None:
    done = command(installed, "doctor", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "nba-codesign" in done.stdout
    done = command(installed, "spec", "digits", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("name: digits\n")


def test_the_installed_tool_emits_the_same_bundle(installed: Path, tmp_path: Path) -> None:
    """Byte for byte what the checkout emits: the templates and benches in the wheel are all there."""
    design = save_tiny_design(tmp_path / "in")
    done = command(installed, "emit", design, "-o", "bundle", "--images", "2", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    emit(design, tmp_path / "here", 2)
    assert digest_tree(tmp_path / "bundle") == digest_tree(tmp_path / "here")


def test_examples_are_found_by_name() -> None:
    assert "digits" in assets.examples()
