# SPDX-License-Identifier: Apache-2.0
"""Stage report: one self-contained HTML page about a build."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from nba.flow import metrics, places
from nba.flow.artifacts import Json
from nba.flow.limits import BOARDS
from nba.flow.stage import Context, Stage
from nba.spec import Spec


def run(context: Context) -> None:
    """Writes report.html."""
    write(context.build, context.folder / "report.html")


def write(build: Path, page: Path) -> None:
    """Write the page about the build folder `build`. Raises NbaError if the build is incomplete or damaged."""
    from nba.report import write_report
    from nba.report.inputs import Claim

    found = metrics.read(build / metrics.FILE)
    claims = tuple(Claim(label=x.label, value=x.value, holds=x.holds) for x in metrics.table(found))
    write_report(build, page, metrics=cast(Json, found), claims=claims)


STAGE = Stage(
    name="report", title="report", folder=places.REPORT, run=run,
    after=("search", "train", "map", "emit", "verify", "synth", "baselines"), sections=tuple(Spec.model_fields),
    asset_kinds=("templates",), package_data=(BOARDS,),
)  # fmt: skip
