# SPDX-License-Identifier: Apache-2.0
"""A bundle of slower Verilog with a prediction and digests to match, and what `verify` and `synth` say to it; Python
planted beside the benches; and that cycles which are not those predicted are still found by simulation."""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from nba.core.errors import DesignError
from nba.core.progress import Silent
from nba.core.sources import PACKAGE
from nba.core.tools import ToolResult, run_tool
from nba.emit import bundle as emission
from nba.emit.bundle import emit_bundle
from nba.emit.rtl import render_rtl
from nba.emit.vectors import default_images
from nba.flow.stages.synth import synthesise
from nba.flow.stages.verify import verify
from tests.tiny import tiny_design

pytestmark = pytest.mark.eda
FRAMES = 2


def _emit(folder: Path) -> Path:
    design, weights = tiny_design()
    emit_bundle(design, weights, folder, default_images(design, FRAMES))
    return folder


def _own_bench(bundle: Path, *arguments: str) -> ToolResult:
    command = [sys.executable, str(bundle / "sim" / "run_sim.py"), "--tests", "cycles,batches", *arguments]
    return run_tool(command, cwd=bundle, check=False)


def _new_digests(bundle: Path) -> None:
    path = bundle / "manifest.json"
    manifest = json.loads(path.read_text())
    for name in manifest["files"]:
        manifest["files"][name] = hashlib.sha256((bundle / name).read_bytes()).hexdigest()
    path.write_text(json.dumps(manifest, indent=1, sort_keys=True) + "\n")


def _slower(top: str) -> str:
    """The top module, but rows of the input enter in every second group of eight cycles only: the same bits, later."""
    found, count = re.subn(
        r"\.tok_free( +)\(([^)]*)\),\n( +)\.tok_start_pulse\(in_start\)",
        r".tok_free\1((\2) && cycle_q[3]),\n\3.tok_start_pulse(in_start)",
        top,
    )
    assert count == 1
    return found


def test_slow_verilog_with_a_prediction_to_match(tmp_path: Path) -> None:
    bundle = _emit(tmp_path / "bundle")
    honest = json.loads((bundle / "sim" / "predicted.json").read_text())[0]
    top = bundle / "rtl" / "nba_tiny.v"
    top.write_text(_slower(top.read_text()))
    _new_digests(bundle)
    assert "DIFFERS" in _own_bench(bundle, "--json", str(tmp_path / "found.json")).output
    (found,) = json.loads((tmp_path / "found.json").read_text())
    assert found["mismatches"] == 0
    assert found["simulated"]["first_output_latency"] > honest[str(FRAMES)]["first_output_latency"]
    (bundle / "sim" / "predicted.json").write_text(json.dumps([{str(FRAMES): found["simulated"]}]))
    _new_digests(bundle)

    for check in (
        lambda: verify(bundle, tmp_path / "verify", {"icarus": FRAMES}, Silent()),
        lambda: synthesise(bundle, tmp_path / "synth", Silent()),
    ):
        with pytest.raises(DesignError) as info:
            check()
        said = str(info.value)
        assert re.search(r"rtl/nba_tiny\.v: is not what the design renders to", said)
        assert "sim/predicted.json: is not what the design renders to" in said
        assert "manifest.json: is not what the design renders to" in said


@pytest.fixture
def marker(tmp_path: Path) -> tuple[Path, str]:
    """A file, and Python text that writes it."""
    path = tmp_path / "executed"
    return path, f"open({str(path)!r}, 'w').close()\nraise SystemExit(9)\n"


@pytest.mark.parametrize("module", ["argparse", "random", "json", "cocotb", "sitecustomize"])
def test_python_in_a_bundle_is_not_executed(module: str, tmp_path: Path, marker: tuple[Path, str]) -> None:
    bundle = _emit(tmp_path / "bundle")
    (bundle / "sim" / f"{module}.py").write_text(marker[1])
    (bundle / "sim" / "bench.py").write_text(marker[1])
    (bundle / "sim" / "run_sim.py").write_text(marker[1])
    _new_digests(bundle)
    with pytest.raises(DesignError, match=f"sim/{module}.py: is not of the bundle"):
        verify(bundle, tmp_path / "work", {"icarus": FRAMES}, Silent())
    assert not marker[0].exists()


def test_python_in_the_current_folder_is_not_executed(tmp_path: Path, marker: tuple[Path, str]) -> None:
    """A good bundle, verified from a folder full of other people's modules, which $PYTHONPATH names as well."""
    bundle = _emit(tmp_path / "bundle")
    here = tmp_path / "here"
    here.mkdir()
    for module in ("argparse", "random", "hashlib", "xml", "cocotb", "bench", "run_sim", "pyosys", "subprocess"):
        (here / f"{module}.py").write_text(marker[1])
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); from pathlib import Path; from nba.core.progress import Silent;"
        "from nba.flow.stages.verify import verify; from nba.flow.stages.synth import synthesise;"
        "part = verify(Path(sys.argv[2]), Path(sys.argv[3]), {'icarus': 2}, Silent()); print(part['bit_exact']);"
        "print(synthesise(Path(sys.argv[2]), Path(sys.argv[3]), Silent()))"
    )
    command = [sys.executable, "-I", "-c", code, str(PACKAGE.parent), str(bundle), str(tmp_path / "work")]
    done = run_tool(command, cwd=here, check=False, env={**os.environ, "PYTHONPATH": str(here)})
    assert not marker[0].exists()
    assert done.returncode == 0, done.output
    assert "'mismatches': 0" in done.output


def test_cycles_that_are_not_those_predicted_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Slower Verilog in this installation itself: the bundle is what the design renders to; the simulation tells."""

    def slower(*arguments: Any) -> dict[str, str]:
        files = render_rtl(*arguments)
        return files | {"rtl/nba_tiny.v": _slower(files["rtl/nba_tiny.v"])}

    monkeypatch.setattr(emission, "render_rtl", slower)
    bundle = _emit(tmp_path / "bundle")
    part = verify(bundle, tmp_path / "work", {"icarus": FRAMES}, Silent())
    failures = part["verify_failures"]
    assert any("cycles" in failure for failure in failures), failures
    assert part["bit_exact"]["icarus"]["mismatches"] == 0
