# SPDX-License-Identifier: Apache-2.0
"""HLS C++ of designs of several modes == integer reference of every mode."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nba.core.tools import run_tool
from nba.emit.bundle import render_bundle
from nba.ir.reference import run
from nba.verify.hls import run_hls, verify_hls
from tests.modes import modes_case
from tests.strategies import NetworkLimits


def _written(
    seed: int, n_modes: int, folder: Path, limits: NetworkLimits | None = None
) -> tuple[list[np.ndarray], np.ndarray]:
    """The HLS files of a random design; returns the outputs of every mode, and the inputs."""
    design, weights, x = modes_case(seed, n_modes, limits)
    for path, body in render_bundle(design, weights, x).items():
        if path.startswith("hls/"):
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(body)
    return [run(*design.mode(m, weights), x) for m in range(n_modes)], x


@pytest.mark.parametrize(
    ("seed", "n_modes", "limits"), [(7, 2, None), (0, 2, NetworkLimits()), (59, 3, NetworkLimits(narrow=True))]
)
def test_every_mode_is_exact(seed: int, n_modes: int, limits: NetworkLimits | None, tmp_path: Path) -> None:
    """The second design has four max poolings, most of other bits in its second mode; the third packs four, one and
    two columns in its modes."""
    outputs, x = _written(seed, n_modes, tmp_path, limits)
    network = modes_case(seed, n_modes, limits)[0].network
    assert limits != NetworkLimits() or any(layer.op == "maxpool" for layer in network.layers)
    result = verify_hls(tmp_path / "hls", network, x, outputs[0], tmp_path / "work", tuple(outputs[1:]))
    assert result.by_mode == (0,) * n_modes
    assert result.images == len(x)
    other = run_hls(tmp_path / "work" / "csim", network, x, arguments=(str(n_modes - 1),))
    assert np.count_nonzero(other != outputs[0]) > 0


def test_make_compares_every_mode_and_refuses_other_numbers(tmp_path: Path) -> None:
    _written(3, 3, tmp_path)
    command = ["make", "csim", "CXXFLAGS=-O0"]
    done = run_tool(command, cwd=tmp_path / "hls", check=False)
    assert done.returncode == 0, done.output
    assert [f"csim.exe {m} input.bin" in done.output for m in range(4)] == [True, True, True, False]
    path = tmp_path / "hls" / "expected_2.bin"
    wrong = bytearray(path.read_bytes())
    wrong[-1] ^= 1
    path.write_bytes(wrong)
    done = run_tool(command, cwd=tmp_path / "hls", check=False)
    assert done.returncode == 2
    assert "expected_2.bin" in done.output
    for word in ("3", "-1"):
        program = str(tmp_path / "hls" / "csim.exe")
        done = run_tool([program, word, "input.bin", "out.bin"], cwd=tmp_path / "hls", check=False)
        assert done.returncode == 2
        assert "MODE is 0..2" in done.output
