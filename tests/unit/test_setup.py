# SPDX-License-Identifier: Apache-2.0
"""Set-up: what it says before it does it, and which PyTorch it finds. Nothing is installed here."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from nba import doctor

ROOT = Path(__file__).parents[2]
SETUP = ROOT / ".ci" / "setup"
PYTHON = """#!{bash}
case "$*" in
  --version) echo "Python {version}.0" ;;
  *"-m venv"*) echo "venv is next" >&2; exit 9 ;;
  -) exit 0 ;;
  *version_info*) exec {real} -c "import sys; sys.version_info = (*map(int, '{version}.0'.split('.')),); ${{@: -1}}" ;;
  *) exit 0 ;;
esac
"""


def set_up(folder: Path, version: str, *there: str) -> tuple[int, list[str]]:
    """Status and lines of set-up on a machine that has a Python of that version, the programs `there` and no more, as
    far as the system goes; it ends where the virtual environment would be made."""
    bash, tools = shutil.which("bash"), folder / "bin"
    assert bash is not None
    tools.mkdir()
    bodies = dict.fromkeys(there, "exit 0") | {"id": "echo 0", "env": 'shift; exec "$@"'}
    if "apt-get" in there:
        bodies["apt-get"] = f'echo "apt-get $*" >> {folder / "said"}'
    for name, body in bodies.items():
        (tools / name).write_text(f"#!{bash}\n{body}\n")
    (tools / "python3").write_text(PYTHON.format(bash=bash, version=version, real=sys.executable))
    for path in tools.iterdir():
        path.chmod(0o755)
    (tools / "rm").symlink_to(str(shutil.which("rm")))
    (tools / "cat").symlink_to(str(shutil.which("cat")))
    with (folder / "said").open("a") as said:
        done = subprocess.run(
            [bash, str(SETUP), str(folder / "venv")], cwd=ROOT, env={"PATH": str(tools), "LC_ALL": "C"},
            stdin=subprocess.DEVNULL, stdout=said, stderr=said, check=False,
        )  # fmt: skip
    return done.returncode, (folder / "said").read_text().splitlines()


EVERYTHING = ("g++", "make", "perl", "iverilog", "vvp")


@pytest.mark.parametrize(("version", "tested"), [("3.11", True), ("3.12", False), ("3.13", True)])
def test_an_untested_python_is_called_so(version: str, tested: bool, tmp_path: Path) -> None:
    status, said = set_up(tmp_path, version, *EVERYTHING, "ccache")
    untested = (
        f"setup: Python {version}.0 is accepted but untested; Python 3.11 and 3.13 are tested (PYTHON=path chooses "
        "another)"
    )
    assert (status, said) == (9, [*([] if tested else [untested]), "venv is next"])


@pytest.mark.parametrize("version", ["3.10", "3.14"])
def test_another_python_is_refused(version: str, tmp_path: Path) -> None:
    status, said = set_up(tmp_path, version, *EVERYTHING, "ccache")
    assert (status, said) == (
        1, [f"setup: Python {version}.0 is not supported; give PYTHON=path of a Python 3.11 to 3.13"]
    )  # fmt: skip


def test_ccache_is_announced_before_it_is_installed(tmp_path: Path) -> None:
    status, said = set_up(tmp_path, "3.11", *EVERYTHING, "apt-get")
    assert status == 9
    assert said == [
        "setup: installing ccache with apt-get (at most 2 MB to download), so that C++ is compiled once; nothing needs "
        "it",
        "apt-get -qq install -y --no-install-recommends ccache",
        "venv is next",
    ]
    assert "ccache" in (ROOT / "README.md").read_text().partition("**Set-up**")[2].partition("\n\n")[0]


def test_what_is_missing_is_announced_before_it_is_installed(tmp_path: Path) -> None:
    _, said = set_up(tmp_path, "3.11", "g++", "make", "perl", "ccache", "apt-get")
    assert said[0] == "setup: missing system packages: iverilog (at most 110 MB to download)"
    assert said[1].startswith("apt-get")


def test_the_tested_versions_are_those_that_are_claimed(monkeypatch: pytest.MonkeyPatch) -> None:
    claimed = re.findall(r"Python :: (3\.\d+)\"", (ROOT / "pyproject.toml").read_text())
    assert tuple(claimed) == doctor.TESTED
    for version, text in (("3.11.9", "3.11.9"), ("3.12.1", "3.12.1 (untested)"), ("3.13.0", "3.13.0")):
        monkeypatch.setattr("platform.python_version", lambda version=version: version)
        assert doctor.python_version() == text


@pytest.fixture
def torch_build() -> ModuleType:
    """The script .ci/torch_build.py."""
    spec = importlib.util.spec_from_file_location("torch_build", ROOT / ".ci" / "torch_build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


NVIDIA = "nvidia-cublas-cu12==12.8.4.1; platform_system == 'Linux'"


@pytest.mark.parametrize(
    ("installs", "word"),
    [
        ([], "installed"),
        ([{"metadata": {}}], "cpu"),
        ([{"metadata": {"requires_dist": ["filelock", "typing-extensions>=4.10"]}}], "cpu"),
        ([{"metadata": {"requires_dist": ["filelock", NVIDIA]}}], "cuda"),
        ([{"metadata": {"requires_dist": ["cuda-bindings==12.9.4; python_version >= '3.0'"]}}], "cuda"),
        ([{"metadata": {"requires_dist": [NVIDIA.replace("Linux", "None of them")]}}], "cpu"),
        ([{"metadata": {"requires_dist": ["nvidia-x; extra == 'gpu'", "my-cuda-x"]}}], "cpu"),
    ],
)
def test_which_build_of_torch_pip_would_take(
    torch_build: ModuleType, installs: list[Any], word: str, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    commands: list[list[str]] = []

    def run(command: list[str], **more: Any) -> SimpleNamespace:
        commands.append(command)
        return SimpleNamespace(returncode=0, stdout=json.dumps({"install": installs}))

    monkeypatch.setattr(torch_build.subprocess, "run", run)
    monkeypatch.setattr(sys, "argv", ["torch_build.py", "--find-links", "wheels"])
    torch_build.main()
    assert capsys.readouterr().out == f"{word}\n"
    (command,) = commands
    assert command[:3] == [sys.executable, "-m", "pip"]
    assert command[-3:] == ["--find-links", "wheels", "torch"]
    assert {"--dry-run", "--no-deps"} <= set(command), "nothing but metadata is fetched"


def test_no_torch_at_all(torch_build: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch_build.subprocess, "run", lambda *a, **k: SimpleNamespace(returncode=1, stdout=""))
    with pytest.raises(SystemExit) as ended:
        torch_build.main()
    assert ended.value.code == 1


def test_the_script_of_set_up_is_a_program() -> None:
    assert os.access(SETUP, os.X_OK)
