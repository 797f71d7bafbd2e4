# SPDX-License-Identifier: Apache-2.0
"""The functions and values of the public API, which the package `nba` exports (docs/api.md)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nba.boards import Platform, load_board, names
from nba.core import assets
from nba.core.errors import NbaError, SpecError
from nba.core.files import expanded
from nba.core.progress import Progress, Silent
from nba.core.section import merged
from nba.core.version import __version__
from nba.core.yamlfile import dump_yaml, parse_yaml, read_text
from nba.flow import metrics
from nba.flow.artifacts import IMAGES, load_images
from nba.flow.commands import do_stages
from nba.ir.design import Design
from nba.ir.network import Network, Weights, weights_digest
from nba.machine.design_file import load_design
from nba.spec import Spec, parse_spec

if TYPE_CHECKING:
    import numpy as np

    from nba.explore.budgets import Budgets
    from nba.explore.choose import Effort, Mapped
    from nba.explore.config import Placement
    from nba.explore.streaming import StreamEffort
    from nba.flow.metrics_model import Metrics
    from nba.ir.accelerator import Accelerator
    from nba.learn.space.network import Architecture
    from nba.machine.usage import Objective

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Result:
    """What a whole run left. design, weights: the matched network, bitwidths and accelerator, and its integers.
    metrics: the content of metrics.json (docs/metrics.md). build: the folder of the run; bundle: the folder of the
    hardware files in it; report: the HTML page."""

    design: Design
    weights: Weights
    metrics: Metrics
    build: Path
    bundle: Path
    report: Path

    @property
    def holds(self) -> bool:
        """Whether every claim holds: bits, cycles and resources as predicted, all budgets met."""
        return all(line.holds is not False for line in metrics.table(self.metrics))

    def test_images(self) -> tuple[np.ndarray, np.ndarray]:
        """The first test images of the data set, uint8 [B, H, W, C] as the network takes them, B up to 1,024; and their
        labels, int64 [B]. Raises NbaError if the file is damaged, and for a network that was given: it has none."""
        if "given" in self.metrics or "imported" in self.metrics:
            raise NbaError(f"{self.build}: no test images, since the network was given; its bundle has random frames")
        found = load_images(self.build / "design" / IMAGES)
        return found.x, found.y


@dataclass(frozen=True, kw_only=True, slots=True)
class Searched:
    """What a search found. architecture: operator and bits of every block. accelerator: the one that was found with
    it, before its final mapping; None for a switchable network, which is mapped after training. build: the folder."""

    architecture: Architecture
    accelerator: Accelerator | None
    build: Path


def load_spec(
    source: Path | str, *, changes: Mapping[str, Any] | None = None, seed: int | None = None,
    data: Path | str | None = None, architecture: Path | str | None = None,
) -> Spec:  # fmt: skip
    """Read and check a spec: a file in YAML, or the name of a built-in example where there is no such file.

    changes: fields in place of the file's, section by section, in the form of the YAML. seed, data (the folder or file
    of the images) and architecture (a file): in place of the spec's `seed`, `dataset.path`, `architecture`; unlike
    paths in the spec, which are relative to its folder, these are relative to the working directory.

    Raises SpecError with everything that is wrong, field by field.
    """
    path = Path(source)
    if not path.exists() and str(source) in assets.examples():
        path = assets.root("examples") / f"{source}.yaml"
    text = read_text(path, what="spec", example="examples/digits.yaml")
    if changes:
        raw = parse_yaml(text, where=str(path), what="spec", fields=Spec.model_fields)
        text = dump_yaml(merged(raw, dict(changes)))
    spec = parse_spec(text, where=str(path), folder=path.parent, platforms=names())
    for option, value in (("--data", data), ("--architecture", architecture)):
        if spec.given is not None and value is not None:
            raise SpecError(f"{option}: nothing is learned here, since {path} gives its network; leave {option} out")
    if data is not None:
        spec = spec.model_copy(update={"dataset": spec.data.at(Path(data))})
    if architecture is not None:
        spec = spec.model_copy(update={"architecture": str(expanded(architecture, "--architecture").absolute())})
    return spec if seed is None else spec.model_copy(update={"seed": seed})


def run(
    spec: Spec, build: Path | str | None = None, *, force: bool = False, progress: Progress | None = None,
    say: Callable[[str], None] = log.info,
) -> Result:  # fmt: skip
    """Everything: search, train, map, emit, verify, synthesise, baselines, report.

    build: the folder to work in, build/<name of the spec> if None. Stages that were done there with the same inputs are
    not done again, unless `force`; a run that was stopped continues where it was. progress: told how far long work is.
    say: gets a line about each stage (default: the log of the library).

    A claim that does not hold is no error: see `Result.holds`. Raises SpecError, DataError, InfeasibleError (no design
    meets the budgets), DivergedError, ToolError, DiskError, all of them NbaError.
    """
    folder = _folder(spec, build)
    found = do_stages(spec, folder, "report", progress=progress or Silent(), say=say, force=force)
    design, weights = load_design(folder / "design" / "design.json")
    return Result(
        design=design, weights=weights, metrics=found, build=folder, bundle=folder / "bundle",
        report=folder / "report" / "report.html",
    )  # fmt: skip


def load(source: Path | str) -> tuple[Network, Weights]:
    """The integer network in a file that another tool wrote, and its weights, for `map_network` and `make_design`.

    source: a TFLite file of a fully integer network (docs/import.md). Raises NbaError if it cannot be read, and
    DesignError, with every reason, if its network cannot be built.
    """
    from nba.imports.load import examine

    found = examine(Path(source)).importable.found
    assert found.network is not None
    return found.network, found.weights


def search(
    spec: Spec, build: Path | str | None = None, *, force: bool = False, progress: Progress | None = None,
    say: Callable[[str], None] = log.info,
) -> Searched:  # fmt: skip
    """Only the search: operators, bitwidths and accelerator together. Arguments and errors are those of `run`, which
    goes on from here with the same spec and folder."""
    from nba.learn.search.result import load_result
    from nba.learn.switchable.search_result import load_switchable_search

    folder = _folder(spec, build)
    do_stages(spec, folder, "search", progress=progress or Silent(), say=say, force=force)
    if spec.switchable is not None:
        architecture = load_switchable_search(folder / "search" / "nas.json").architecture
        return Searched(architecture=architecture, accelerator=None, build=folder)
    found = load_result(folder / "search" / "search.json")
    return Searched(architecture=found.architecture, accelerator=found.accelerator, build=folder)


def _folder(spec: Spec, build: Path | str | None) -> Path:
    return Path("build") / spec.name if build is None else Path(build)


# Its arguments are the problem, how hard it is solved, and who is told.
def map_network(
    network: Network, platform: Platform | str, budgets: Budgets, *, objective: Objective = "interval", seed: int = 0,
    weights: Placement = "auto", memory_share: float = 1.0, memory_ports: int = 1, min_chunks: int = 2,
    max_chunks: int = 4, columns: tuple[int, ...] | None = None, effort: Effort | None = None,
    stream_effort: StreamEffort | None = None, progress: Callable[[int, int, str], None] | None = None,
) -> Mapped:  # fmt: skip
    """An accelerator for an integer network on a board, within hard budgets.

    platform: a board, its name, or the path of a board file. objective: what is made small: interval, latency, energy
    or edp. The same arguments give the same accelerator. weights, memory_share, memory_ports: where weights lie, as in
    the section `accelerator` of a spec: on_chip, streamed, or auto, which is on_chip wherever a design with all weights
    on chip meets the budgets. min_chunks, max_chunks, columns, effort: of designs with all weights on chip; columns:
    how many columns of a map an engine may work on, numbers of 1..16; None: 1, 2, 4 or 8. effort: how long to look;
    stream_effort: the same for designs that stream weights. progress: called with (done, total, note) now and then.

    The result holds the accelerator, its exact cost and, where the interval is the objective, what is proved about it.
    Raises SpecError for an unknown board, or where weights cannot be streamed and shall be; pydantic's ValidationError
    for a share or a number of ports out of range; InfeasibleError, which names the budget that cannot be met and the
    closest design found.
    """
    from nba.explore.config import WeightSource
    from nba.explore.mapping import map_weights

    board = load_board(platform) if isinstance(platform, str) else platform
    source = WeightSource(weights=weights, memory_share=memory_share, memory_ports=memory_ports)
    return map_weights(
        network, board, budgets, source=source, objective=objective, seed=seed, min_chunks=min_chunks,
        max_chunks=max_chunks, columns=columns, effort=effort, stream_effort=stream_effort,
        progress=progress,
    )  # fmt: skip


def make_design(
    network: Network, weights: Weights, mapping: Mapped, platform: Platform | str, *, name: str | None = None,
    seed: int = 0,
) -> Design:  # fmt: skip
    """The design that `emit` takes, of a network, its weights and what `map_network` found for it on the same
    `platform`. name: of the design, the network's if None. seed: kept with it; random test vectors are drawn from it.
    Raises DesignError if the weights do not fit the network, or the accelerator the template."""
    from nba.machine.check import check_design

    board = load_board(platform) if isinstance(platform, str) else platform
    design = Design(
        name=name or network.name, network=network, accelerator=mapping.accelerator, platform=board.name,
        clock_mhz=board.clock_mhz, cost=mapping.cost, weights_sha256=weights_digest(weights), seed=seed,
        versions=(("nba-codesign", __version__),), board=board.described,
    )  # fmt: skip
    check_design(design, weights, where=f"design {design.name!r}")
    return design
