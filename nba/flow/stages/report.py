# SPDX-License-Identifier: Apache-2.0
"""Stage report: one self-contained HTML page about a build."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from nba.flow import metrics

if TYPE_CHECKING:
    from nba.flow.runner import Context


def run(context: Context) -> None:
    """Writes report.html."""
    write(context.build, context.folder / "report.html")


def write(build: Path, page: Path) -> None:
    """Write the page about the build folder `build`. Raises NbaError if the build is incomplete or damaged."""
    from nba.report import write_report
    from nba.report.inputs import Claim

    found = metrics.read(build / metrics.FILE)
    claims = tuple(Claim(label=x.label, value=x.value, holds=x.holds) for x in metrics.table(found))
    write_report(build, page, metrics=found, claims=claims)
