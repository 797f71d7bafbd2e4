# SPDX-License-Identifier: Apache-2.0
"""What the commands do, without terminal: the API (nba.api) and the command line (nba.cli) call these functions."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nba.core.errors import NbaError, SpecError
from nba.deviations import notes
from nba.flow import pipelines
from nba.flow.folders import new_folder

if TYPE_CHECKING:
    from nba.core.progress import Progress
    from nba.flow.metrics_model import Metrics
    from nba.imports.compare import LiteRTAgreement
    from nba.learn.train.team import Team
    from nba.loopnest.hierarchy import Hierarchy
    from nba.loopnest.network_map import NetworkMapping
    from nba.spec import Spec

FEW = 2
"""Images that Icarus simulates at most where a number is given for all implementations."""


def do_stages(
    spec: Spec, build: Path, last: str, *, progress: Progress, say: Callable[[str], None], force: bool = False,
    team: Team | None = None,
) -> Metrics:  # fmt: skip
    """`pipelines.run_spec`, after lines that say what is run, and what of a published preset cannot be expressed."""
    say(f"{spec.name}: seed {spec.seed}, output folder {build}")
    for line in notes(spec):
        say(f"note: {line}")
    return pipelines.run_spec(spec, build, last=last, progress=progress, say=say, force=force, team=team)


def follow(team: Team, spec: Spec, build: Path) -> None:
    """The part in `do_stages` of a process that does not lead its `team`: it ends when that dismisses it."""
    for stage, group in team.calls():
        with group:
            pipelines.assist_stage(stage, spec, build)


def emit_folder(design_json: Path, folder: Path, n_images: int) -> str:
    """Write the bundle of a design file to `folder`, which is new, empty, or an earlier bundle, with vectors of at most
    `n_images` images (nba.flow.stages.emit.emit). Returns the design's id. Raises NbaError."""
    from nba.emit.bundle import MANIFEST
    from nba.flow.stages.emit import emit

    with new_folder(folder, marker=MANIFEST) as work:
        return emit(design_json, work, n_images)


def import_folder(model: Path, folder: Path, inputs: int, seed: int) -> LiteRTAgreement:
    """Write the network in the file `model`, which another tool wrote, to `folder`, which is new, empty, or of an
    earlier import, and compare it with that tool on random inputs. Raises NbaError."""
    from nba.flow.artifacts import METRICS_PART
    from nba.flow.stages.given import import_network

    with new_folder(folder, marker=METRICS_PART) as work:
        return import_network(model, work, count=inputs, seed=seed)


def verify_part(bundle: Path, only: Sequence[str], images: int | None, progress: Progress) -> Metrics:
    """Compare implementations of a bundle with the integer reference and the exact schedule.

    only: out of nba.flow.stages.verify.CHECKS; all if empty. images: for each of them (Icarus: at most `FEW`); if
    None, `AT_LEAST`, or all that the bundle holds, and Verilator simulates as many frames as it takes to reach the
    steady interval. Returns the part of the metrics on how it went. Raises NbaError.
    """
    from nba.flow.stages.verify import CHECKS, require, verify
    from nba.verify.frames import AT_LEAST

    checks = tuple(dict.fromkeys(only or CHECKS))
    wrong = [name for name in checks if name not in CHECKS]
    if wrong:
        raise SpecError(f"--only {wrong[0]}: not known; legal: {', '.join(CHECKS)}")
    require(checks)
    count = images or AT_LEAST
    wanted = {name: min(count, FEW) if name == "icarus" else count for name in checks}
    with tempfile.TemporaryDirectory() as work:
        return verify(bundle, Path(work), wanted, progress, at_most=images is None, settle=images is None)


def synth_part(bundle: Path, progress: Progress) -> Metrics:
    """Synthesise a bundle; the part of the metrics that says what the netlist uses. Raises NbaError."""
    from nba.flow.stages.synth import synthesise
    from nba.synth import require_yosys

    require_yosys()
    with tempfile.TemporaryDirectory() as work:
        return synthesise(bundle, Path(work), progress)


def report_page(build: Path, page: Path | None) -> Path:
    """Write the page about a build to `page`, or to its place in the folder. Returns its path. Raises NbaError."""
    from nba.flow.stages.report import write

    page = page or build / "report" / "report.html"
    write(build, page)
    return page


@dataclass(frozen=True, kw_only=True, slots=True)
class LoopNests:
    """The loops of a network, mapped on a hierarchy; `unmapped` layers have no multiply-accumulates."""

    mapping: NetworkMapping
    hierarchy: Hierarchy
    unmapped: tuple[str, ...]


def loop_nests(
    network: str, platform: str, *, objective: str, bits: int | None, seed: int, effort: int | None, prove: float,
    out: Path | None, progress: Progress,
) -> LoopNests:  # fmt: skip
    """Map the loops of a network (nba.flow.load_layers) on a hierarchy of memories, in `effort` evaluations (None: the
    default) and `prove` seconds of exact search for each distinct layer; `out`: a file for the mappings as JSON.
    Raises NbaError."""
    from nba.core.files import write_atomic
    from nba.flow.load_layers import LayerProgress, load_nests
    from nba.loopnest.description import load_hierarchy
    from nba.loopnest.evolve import EVALUATIONS
    from nba.loopnest.network_map import map_loop_nests
    from nba.loopnest.report import mapping_json

    if out is not None and (out.is_dir() or not out.name):
        raise NbaError(f"--out {out}: is a folder; give the path of a file to write")
    hierarchy, found = load_hierarchy(platform), load_nests(network, bits)
    mapping = map_loop_nests(
        found.layers, hierarchy, objective=objective, seed=seed, effort=effort or EVALUATIONS, prove_seconds=prove,
        progress=LayerProgress(progress, "loop nests"),
    )  # fmt: skip
    if out is not None:
        write_atomic(out, mapping_json(mapping))
    return LoopNests(mapping=mapping, hierarchy=hierarchy, unmapped=tuple(found.unmapped))
