# SPDX-License-Identifier: Apache-2.0
"""Stage verify: RTL and HLS C++ of a bundle against the integer reference, bit for bit and cycle for cycle."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

from nba.core.errors import ToolError
from nba.doctor import tool_version
from nba.flow import places
from nba.flow.artifacts import write_part
from nba.flow.limits import BOARDS
from nba.flow.stage import Context, Stage

if TYPE_CHECKING:
    from nba.core.progress import Progress
    from nba.flow.metrics_model import Metrics
    from nba.spec import Spec

CHECKS = ("verilator", "icarus", "hls")
"""Implementations that can be compared with the integer reference."""
STEADY = "steady"
"""What a spec says in place of Verilator's number of images where that is left to `verify`."""


def require(checks: tuple[str, ...]) -> None:
    """Raise ToolError, naming all, if tools or packages that `checks` need are missing."""
    from nba.verify.hls import require_compiler
    from nba.verify.rtl import require_simulator

    problems: list[str] = []
    for check in checks:
        try:
            if check == "hls":
                require_compiler()
            else:
                require_simulator("verilator" if check == "verilator" else "icarus")
        except ToolError as err:
            problems += str(err).splitlines()
    if problems:
        raise ToolError("\n".join(dict.fromkeys(problems)))


def preflight(spec: Spec) -> None:
    """Raise ToolError if a simulator or compiler is missing."""
    require(tuple(wanted(spec)))


def wanted(spec: Spec) -> dict[str, int]:
    """Images by implementation, of those that are to be compared; those of a batch that grows until it shows the steady
    interval are its least number."""
    from nba.verify.frames import AT_LEAST

    counts = {check: getattr(spec.verify, check) for check in CHECKS}
    return {check: AT_LEAST if count == STEADY else count for check, count in counts.items() if count}


def run(context: Context) -> None:
    """Writes metrics-part.json and the logs."""
    part = verify(
        context.of(places.BUNDLE), context.folder, wanted(context.spec), context.progress, at_most=True,
        settle=context.spec.verify.verilator == STEADY, every_test=context.spec.verify.tests == "all",
    )  # fmt: skip
    part["versions"] = {tool: tool_version(tool) for tool in ("iverilog", "g++")}
    write_part(context.folder, part)


def verify(
    bundle: Path, work: Path, images: dict[str, int], progress: Progress, *, at_most: bool = False,
    settle: bool = False, every_test: bool = True,
) -> Metrics:  # fmt: skip
    """Compare each implementation in `images` on that many images (with `at_most`: or all that there are, where these
    are fewer; with `settle`: Verilator on as many frames as show the steady interval; with `every_test` in all tests of
    the bench); the part of the metrics that says how it went.

    Builds and logs go to `work`. Raises ToolError if a tool is missing or breaks, DesignError if the bundle is
    not what its design renders to.
    """
    from nba.verify import verify_bundle

    found = verify_bundle(
        bundle, work=work, images=images, progress=progress, at_most=at_most, settle=settle, every_test=every_test
    )  # fmt: skip
    return cast("Metrics", found)


STAGE = Stage(
    name="verify", title="verification", folder=places.VERIFY, run=run, preflight=preflight, after=("emit",),
    sections=("verify",), package_data=(BOARDS,), packages=("cocotb", "cocotbext-axi", "verilator"),
)  # fmt: skip
