# SPDX-License-Identifier: Apache-2.0
"""A run for a board that the user describes: its file is an input of the stages, and no stage after `map` reads it."""

from __future__ import annotations

from pathlib import Path

import pytest

from nba.boards import get
from nba.core.errors import SpecError
from nba.core.progress import Silent
from nba.flow import pipelines
from nba.flow.commands import emit_folder, report_page
from nba.machine.design_file import load_design
from nba.spec import Spec
from tests.torch.test_declared_inputs import SMALL
from tests.unit.test_boards import EXAMPLE

pytestmark = pytest.mark.torch
LESS = {"train": {"epochs": 1, "baselines": False}, "search": SMALL["schedule"]["search"]}


def test_a_run_for_a_board_of_the_user(tmp_path: Path) -> None:
    file, build, said = tmp_path / "b.yaml", tmp_path / "build", list[str]()
    file.write_text(EXAMPLE)
    spec = Spec.model_validate({**SMALL, "platform": str(file), "schedule": LESS})

    def run() -> set[str]:
        """The stages that did something."""
        said.clear()
        pipelines.run_spec(spec, build, last="map", progress=Silent(), say=said.append)
        return {line.split()[0] for line in said if " done in " in line}

    assert run() == {"search", "train", "map"}
    assert run() == set()
    first, _ = load_design(build / "design" / "design.json")
    assert first.board is not None
    assert (first.platform, first.board.device.dsp) == ("my-board", 360)
    file.write_text(EXAMPLE.replace("dsp: 360", "dsp: 300"))
    assert run() >= {"search", "map"}
    second, _ = load_design(build / "design" / "design.json")
    assert get(second.platform, second.board).dsp == 300
    assert second.id != first.id

    file.unlink()
    emit_folder(build / "design" / "design.json", tmp_path / "bundle", 2)
    assert "-family xcup" in (tmp_path / "bundle" / "synth" / "yosys.ys").read_text()
    assert "my-board<small>whole device" in report_page(build, None).read_text()
    with pytest.raises(SpecError, match=r"platform: .*b\.yaml: no such file; give the path of a board"):
        run()
