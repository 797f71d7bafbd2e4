# SPDX-License-Identifier: Apache-2.0
"""The command line: exit status, one clear message on stderr, no traceback, nothing half-written left behind."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import typer

from nba.boards import names
from nba.cli import app
from nba.core import assets
from nba.core.errors import NbaError
from nba.core.sources import PACKAGE
from nba.terminal import guard
from tests.processes import marked_environment, wait_until

COMMANDS = (
    "run", "search", "train", "emit", "verify", "synth", "report", "map", "check", "import", "spec", "doctor",
)  # fmt: skip
DIGITS = (assets.root("examples") / "digits.yaml").read_text(encoding="utf-8")


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """How a command ended and what it printed."""

    returncode: int
    stdout: str
    stderr: str


def cli(*arguments: str | Path, cwd: Path | None = None, path: str | None = None) -> Result:
    """Run nba-codesign in folder `cwd` with `path` as PATH, in this process (which saves its start)."""
    out, err, here = io.StringIO(), io.StringIO(), Path.cwd()
    env = {"COLUMNS": "200", "NO_COLOR": "1", **({} if path is None else {"PATH": path})}
    with mock.patch.dict(os.environ, env), redirect_stdout(out), redirect_stderr(err):
        os.chdir(cwd or here)
        try:
            app(list(map(str, arguments)))
            status: object = 0
        except SystemExit as end:
            status = end.code
        finally:
            os.chdir(here)
    assert isinstance(status, int)
    return Result(returncode=status, stdout=out.getvalue(), stderr=err.getvalue())


def refused(*arguments: str | Path, cwd: Path | None = None, path: str | None = None) -> str:
    """stderr of a command that must end with status 2, and without a traceback."""
    done = cli(*arguments, cwd=cwd, path=path)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


@pytest.fixture
def spec_file(tmp_path: Path) -> Path:
    """A copy of the embedded example in a folder of its own."""
    (tmp_path / "in").mkdir()
    file = tmp_path / "in" / "digits.yaml"
    file.write_text(DIGITS)
    return file


def test_help_lists_every_command() -> None:
    done = cli("--help")
    assert done.returncode == 0
    assert [c for c in COMMANDS if f" {c} " not in done.stdout] == []


def test_help_names_specs_and_boards() -> None:
    text = cli("--help").stdout
    assert [name for name in (*assets.examples(), *names()) if name not in text] == []


def test_a_run_goes_to_build_and_the_name_of_the_spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Path] = []
    monkeypatch.setattr("nba.flow.runner.run", lambda spec, build, **rest: seen.append(build))
    cli("search", "digits", cwd=tmp_path)
    cli("search", "digits", "-o", "other", cwd=tmp_path)
    assert seen == [Path("build/digits"), Path("other")]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str) -> None:
    done = cli(command, "--help")
    assert done.returncode == 0
    assert "Usage:" in done.stdout


def test_version() -> None:
    from nba.core.version import __version__

    assert cli("--version").stdout.split() == ["nba-codesign", __version__]


def test_a_process_of_its_own(tmp_path: Path) -> None:
    """What the shell sees of `python -m nba`: the status, the message on stderr alone."""
    env = {**os.environ, "PYTHONPATH": str(PACKAGE.parent)}
    command = [sys.executable, "-m", "nba", "emit", "none.json", "-o", "bundle"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=env)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("nba-codesign: none.json:\n  - no such file")
    assert list(tmp_path.iterdir()) == []


def test_spec_prints_itself_completed(tmp_path: Path) -> None:
    done = cli("spec", "digits", cwd=tmp_path)
    assert done.returncode == 0
    (tmp_path / "full.yaml").write_text(done.stdout)
    assert cli("spec", "full.yaml", cwd=tmp_path).stdout == done.stdout


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("seed: 1", "sede: 1", "sede: unknown field (did you mean 'seed'?)"),
        ("  dsp:", "  dspp:", "budgets.dspp: unknown field (did you mean 'dsp'?); legal here: dsp, bram, uram, lut,"),
        ("platform: ", "platform: no_", "is not known"),
        (
            "  name: digits\n",
            "  name: folder\n  path: missing\n  image_size: 8\n",
            "no such folder; give the folder that",
        ),
        ("  bram: ", "  bram: 1000", "budgets.bram: 10"),
    ],
)
def test_bad_specs(spec_file: Path, tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in DIGITS
    spec_file.write_text(DIGITS.replace(old, new))
    assert message in refused("run", spec_file, "-o", tmp_path / "build")
    assert not (tmp_path / "build").exists()


PUBLISHED = assets.root("examples") / "cifar10_published.yaml"


def test_spec_names_what_of_a_published_preset_it_cannot_say(spec_file: Path, tmp_path: Path) -> None:
    """On stderr, as comments, before it is refused for images that are missing; stdout is a spec as ever. A spec of our
    own has nothing to say."""
    said = refused("spec", PUBLISHED, "--data", tmp_path / "none").splitlines()
    digits = PUBLISHED.read_text().replace("name: cifar10\n  path: cifar10 ", "name: digits\n  #")
    (tmp_path / "digits.yaml").write_text(digits)
    done = cli("spec", tmp_path / "digits.yaml")
    assert done.returncode == 0, done.stderr
    *lines, last = done.stderr.splitlines()
    assert said[: len(lines)] == lines
    assert last.startswith("# not checked: ")
    assert len(lines) > 5
    assert all(line.startswith("# published-auto-nba-cifar: ") for line in lines)
    assert any("1x1 convolution" in line for line in lines)
    (tmp_path / "whole.yaml").write_text(done.stdout)
    assert cli("spec", tmp_path / "whole.yaml").stdout == done.stdout
    assert cli("spec", spec_file).stderr == last + "\n"


@pytest.mark.parametrize("command", ["run", "search", "train"])
def test_a_run_says_it_too(command: str, tmp_path: Path) -> None:
    """Before anything else happens; here the images are missing."""
    said = refused(command, PUBLISHED, "--data", tmp_path / "none", "-o", tmp_path / "out").splitlines()
    assert said[0].startswith("cifar10_published: seed 1, output folder ")
    assert said[1].startswith("note: published-auto-nba-cifar: ")
    assert any("no such folder" in line for line in said)


def test_missing_spec(tmp_path: Path) -> None:
    assert "nope.yaml: no such file" in refused("run", "nope.yaml", "-o", "build", cwd=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_usage_errors() -> None:
    assert "SPEC" in refused("run")
    assert "No such command" in refused("frobnicate")
    assert "--seed" in refused("run", "digits", "-o", "x", "--seed", "-3")


def test_missing_tool(tmp_path: Path) -> None:
    """Every program that verification needs is looked for before anything is done or written."""
    message = refused("run", "digits", "-o", tmp_path / "build", path=str(tmp_path))
    for tool, package in (("iverilog", "iverilog"), ("g++", "g++"), ("make", "make"), ("perl", "perl")):
        assert f"{tool}: not found on PATH; install it with: apt-get install {package}" in message
    assert list(tmp_path.iterdir()) == []


def test_doctor_names_what_is_missing(tmp_path: Path) -> None:
    done = cli("doctor", path=str(tmp_path))
    assert done.returncode == 1
    assert "apt-get install iverilog" in done.stdout
    assert "missing: g++, make, perl, iverilog" in done.stdout


def test_output_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "build").write_text("mine")
    assert "is a file; give the path of a folder" in refused("run", "digits", "-o", tmp_path / "build")
    strange = os.fsdecode(bytes(tmp_path) + b"/b\xff")
    said = refused("run", "digits", "-o", strange)
    assert f"{strange!a}: the path holds bytes that are not UTF-8 text; give another folder with -o" in said
    assert not os.path.exists(strange)
    assert (tmp_path / "build").read_text() == "mine"


def test_unwritable_output() -> None:
    assert "cannot be written" in refused("run", "digits", "-o", "/proc/nba-build")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such file"),
        ("", "not valid JSON"),
        ("{", "not valid JSON"),
        ("[]", "expected an object"),
        ("{}", "format: is None"),
        ('{"format": 2, "name": 3}', "design.network: missing"),
    ],
)
def test_corrupt_design(tmp_path: Path, content: str | None, message: str) -> None:
    design = tmp_path / "in" / "design.json"
    design.parent.mkdir()
    if content is not None:
        design.write_text(content)
    assert message in refused("emit", design, "-o", tmp_path / "bundle")
    assert [p.name for p in tmp_path.iterdir()] == ["in"]


@pytest.mark.parametrize("command", ["verify", "synth", "report"])
def test_not_a_bundle_or_build(tmp_path: Path, command: str) -> None:
    assert str(tmp_path) in refused(command, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_unknown_check(tmp_path: Path) -> None:
    assert "legal: verilator, icarus, hls" in refused("verify", tmp_path, "--only", "questa")


@pytest.mark.torch
@pytest.mark.parametrize(
    ("number", "status", "word"), [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")]
)
def test_signals(tmp_path: Path, number: signal.Signals, status: int, word: str) -> None:
    """A run that is stopped says how to go on, and the search that it was in can be resumed."""
    env = marked_environment()
    command = [sys.executable, "-m", "nba", "search", "digits", "-o", str(tmp_path / "build")]
    # A shell starts what it puts into the background with SIGINT ignored, and these tests with it.
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, env=env, preexec_fn=lambda: signal.signal(number, signal.SIG_DFL)
    )
    wait_until((tmp_path / "build" / ".nba" / "work" / "search" / "search.pt").exists, process)
    process.send_signal(number)
    _, stderr = process.communicate()
    assert process.returncode == status, stderr
    assert f"nba-codesign: {word}; run the same command again to continue" in stderr
    assert "Traceback" not in stderr
    assert (tmp_path / "build" / ".nba" / "work" / "search" / "search.pt").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("alexnt", "--platform", "eyeriss-like"), "alexnt: no such network; give one of alexnet, "),
        (
            ("alexnet", "--platform", "eyeris-like"),
            "hierarchy: 'eyeris-like' is not known (did you mean 'eyeriss-like'?)",
        ),
        (("alexnet", "--platform", "none.yaml"), "none.yaml: no such file; give the path of a hierarchy"),
        (
            ("alexnet", "--platform", "eyeriss-like", "--objective", "speed"),
            "objective 'speed' is not known; there are edp",
        ),
        (("alexnet", "--platform", "eyeriss-like", "--bits", "9"), "hierarchy eyeriss-like: no MAC of 9 bits"),
        (
            ("alexnet", "--platform", "eyeriss-like", "--out", "."),
            "--out .: is a folder; give the path of a file to write",
        ),
    ],
)
def test_what_cannot_be_mapped(arguments: tuple[str, ...], message: str, tmp_path: Path) -> None:
    assert message in refused("map", *arguments, cwd=tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("error", [RuntimeError("no compiled object yet"), OSError("cut short"), NbaError("no tool")])
def test_a_termination_that_foreign_code_swallows(error: Exception, capsys: pytest.CaptureFixture[str]) -> None:
    """A compiler that calls back into Python ignores the exception, and fails later in a way of its own."""

    def command() -> None:
        with guard(False):
            with suppress(BaseException):
                os.kill(os.getpid(), signal.SIGTERM)
            raise error

    with pytest.raises(typer.Exit) as ended:
        command()
    assert ended.value.exit_code == 143
    assert capsys.readouterr().err == "nba-codesign: terminated\n"


def test_too_little_memory_is_no_defect(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as caught, guard(False):
        np.zeros((1 << 20, 1 << 20, 1 << 10))
    assert caught.value.exit_code == 2
    assert "nba-codesign: not enough memory (Unable to allocate" in capsys.readouterr().err
