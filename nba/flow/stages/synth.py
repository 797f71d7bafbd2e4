# SPDX-License-Identifier: Apache-2.0
"""Stage synth: a bundle through yosys; DSP, BRAM and UltraRAM of the netlist."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from nba.flow import places
from nba.flow.artifacts import device_blocks, write_part
from nba.flow.limits import BOARDS
from nba.flow.stage import Context, Stage

if TYPE_CHECKING:
    from nba.core.progress import Progress
    from nba.flow.metrics_model import Metrics
    from nba.spec import Spec


def preflight(spec: Spec) -> None:
    """Raise ToolError if yosys is missing."""
    from nba.synth import require_yosys

    require_yosys()


def run(context: Context) -> None:
    """Writes metrics-part.json and the logs."""
    write_part(context.folder, synthesise(context.of(places.BUNDLE), context.folder, context.progress))


def synthesise(bundle: Path, work: Path, progress: Progress) -> Metrics:
    """Synthesise a bundle in `work`; the part of the metrics that says what the netlist uses. Raises ToolError, and
    DesignError if the bundle is not what its design renders to."""
    from nba.synth import synthesise_bundle
    from nba.verify.bundle import check_bundle

    checked = check_bundle(bundle, work / "bundle")
    cost = checked.design.cost
    progress.start("yosys")
    found = synthesise_bundle(checked.folder, work)
    progress.finish()
    shutil.rmtree(checked.folder)
    return {
        "resources": {
            "predicted": device_blocks(cost.dsp, cost.bram, cost.uram),
            "synthesised": device_blocks(found.dsp, found.bram, found.uram),
        },
        "versions": {"yosys": found.tool.removeprefix("Yosys ")},
    }


STAGE = Stage(
    name="synth", title="synthesis", folder=places.SYNTH, run=run, preflight=preflight, after=("emit",),
    package_data=(BOARDS,), packages=("pyosys",),
)  # fmt: skip
