# SPDX-License-Identifier: Apache-2.0
"""The command line: arguments and printing. Everything heavy is imported by the command that needs it; what a command
does is a function of nba.api or nba.flow.commands, and how it ends is nba.terminal's."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from nba.boards import names
from nba.core import assets
from nba.core.version import __version__
from nba.terminal import guard, show, show_tools, start, team

if TYPE_CHECKING:
    from nba.flow.artifacts import Json
    from nba.spec import Spec

app = typer.Typer(
    name="nba-codesign",
    help="From a dataset and a hardware budget to a matched network, bitwidths and accelerator: Verilog and HLS C++ "
    "that are proved to compute the same integers in the predicted number of cycles.",
    epilog=f"Built-in specs: {', '.join(assets.examples())}. Boards: {', '.join(names())}.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Debug = Annotated[bool, typer.Option("--debug", help="Show tracebacks and the log of the library.")]
Out = Annotated[Path, typer.Option("--out", "-o", help="Folder to write to.", metavar="FOLDER")]
BuildFolder = Annotated[
    Optional[Path],  # noqa: UP045
    typer.Option("--out", "-o", help="Folder to write to; build/<name of the spec> if left out.", metavar="FOLDER"),
]
SpecFile = Annotated[
    str,
    typer.Argument(
        help=f"Spec file (YAML), or the name of a built-in example: {', '.join(assets.examples())}.", metavar="SPEC"
    ),
]
Arch = Annotated[
    Optional[Path],  # noqa: UP045
    typer.Option("--architecture", help="Architecture file (JSON or YAML) to use instead of a search.", metavar="FILE"),
]
Seed = Annotated[Optional[int], typer.Option(help="Seed instead of the spec's.", min=0, max=2**31 - 1)]  # noqa: UP045
Data = Annotated[
    Optional[Path],  # noqa: UP045
    typer.Option("--data", help="Folder of the images instead of the spec's dataset.path.", metavar="PATH"),
]
Force = Annotated[bool, typer.Option("--force", help="Do the stages again even where nothing changed.")]
Bundle = Annotated[Path, typer.Argument(help="Folder of an emitted bundle.", metavar="BUNDLE")]

AGAIN = "; the same command continues where it was"


def _advance(spec: Spec, given: Path | None, last: str, force: bool) -> tuple[Path, Json]:
    """Do the stages up to `last` in the folder `given`, or build/<name>, in this process or with those that torchrun
    started. Returns the folder and the content of metrics.json."""
    from nba.core.progress import on_stderr
    from nba.flow.commands import do_stages, follow

    out, processes = given or Path("build") / spec.name, team()
    if processes is not None and not processes.leads:
        follow(processes, spec, out)
        raise typer.Exit
    with on_stderr() as (console, progress):
        found = do_stages(
            spec, out, last, progress=progress, say=lambda line: console.print(line, markup=False), force=force,
            team=processes,
        )  # fmt: skip
    return out, found


def _end_with(title: str, metrics: Json) -> None:
    """Print the table of a part of the metrics; the status is 1 if a claim in it does not hold."""
    from nba.flow.metrics import table

    if not show(title, table(metrics)):
        raise typer.Exit(1)


@app.callback(invoke_without_command=True)
def _root(version: Annotated[bool, typer.Option("--version", help="Print the version and end.")] = False) -> None:
    if version:
        print(f"nba-codesign {__version__}")
        raise typer.Exit


@app.command(name="run")
def _run(
    spec: SpecFile, out: BuildFolder = None, architecture: Arch = None, data: Data = None, seed: Seed = None,
    force: Force = False, debug: Debug = False,
) -> None:  # fmt: skip
    """Everything: search, train, map, emit, verify, synthesise, baselines, report.

    Several processes share the work of search and training when torchrun starts them:
    torchrun --nproc_per_node=2 -m nba run SPEC -o FOLDER.
    Stages that were done with the same inputs are not done again; a killed run continues where it was. Ends with a
    table of the figures, which also stand in FOLDER/metrics.json; the exit status is 0 only if every claim holds.
    """
    with guard(debug, again=AGAIN):
        from nba.api import load_spec
        from nba.flow.metrics import closing

        chosen = load_spec(spec, seed=seed, data=data, architecture=architecture)
        build, found = _advance(chosen, out, "report", force)
        if not show(f"{found.get('name', '')} {str(found.get('design_id', ''))[:12]}", closing(found, build)):
            raise typer.Exit(1)


@app.command(name="search")
def _search(
    spec: SpecFile, out: BuildFolder = None, data: Data = None, seed: Seed = None, force: Force = False,
    debug: Debug = False,
) -> None:  # fmt: skip
    """Search network, bitwidths and accelerator together; the result lies in FOLDER/search."""
    with guard(debug, again=AGAIN):
        from nba.api import load_spec

        _advance(load_spec(spec, seed=seed, data=data), out, "search", force)


@app.command(name="train")
def _train(
    spec: SpecFile, out: BuildFolder = None, architecture: Arch = None, data: Data = None, seed: Seed = None,
    force: Force = False, debug: Debug = False,
) -> None:  # fmt: skip
    """Train the searched network (searching first if that is not done), or the one of --architecture, quantise it,
    map it: FOLDER/design."""
    with guard(debug, again=AGAIN):
        from nba.api import load_spec

        chosen = load_spec(spec, seed=seed, data=data, architecture=architecture)
        build, found = _advance(chosen, out, "map", force)
        _end_with("", found)
        print(build / "design" / "design.json")


@app.command(name="emit")
def _emit(
    design: Annotated[Path, typer.Argument(help="A design.json; its weights.npz lies beside it.", metavar="DESIGN")],
    out: Out,
    images: Annotated[int, typer.Option(help="Test images in the bundle's vectors.", min=1, max=1024)] = 32,
    debug: Debug = False,
) -> None:
    """Write the bundle of a design: Verilog, HLS C++, weights, vectors, benches, scripts. The same design gives the
    same bytes."""
    with guard(debug):
        from nba.flow.commands import emit_folder

        name = emit_folder(design, out, images)
        print(f"{out}: bundle of design {name[:12]}")


@app.command(name="verify")
def _verify(
    bundle: Bundle,
    only: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option("--only", help="verilator, icarus or hls; may be given several times.", metavar="WHAT"),
    ] = None,
    images: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(
            help="Images for each of them (Icarus: at most 2); 32, or all that the bundle holds, if left out.", min=1
        ),
    ] = None,
    debug: Debug = False,
) -> None:
    """Simulate a bundle's RTL, compile its HLS C++, and compare every output and every cycle. Exit status 1 if one
    differs."""
    with guard(debug):
        from nba.core.progress import on_stderr
        from nba.flow.commands import verify_part

        with on_stderr() as (_, progress):
            part = verify_part(bundle, only or (), images, progress)
        _end_with(str(bundle), part)


@app.command(name="synth")
def _synth(bundle: Bundle, debug: Debug = False) -> None:
    """Synthesise a bundle for Xilinx 7-series with yosys. Exit status 1 if DSP or BRAM differ from the prediction."""
    with guard(debug):
        from nba.core.progress import on_stderr
        from nba.flow.commands import synth_part

        with on_stderr() as (_, progress):
            part = synth_part(bundle, progress)
        _end_with(str(bundle), part)


@app.command(name="report")
def _report(
    build: Annotated[Path, typer.Argument(help="Folder that `run` wrote.", metavar="BUILD")],
    out: Annotated[Optional[Path], typer.Option("--out", "-o", help="Page to write.", metavar="FILE")] = None,  # noqa: UP045
    debug: Debug = False,
) -> None:
    """Write the HTML page about a build: BUILD/report/report.html, or FILE."""
    with guard(debug):
        from nba.flow.commands import report_page

        print(report_page(build, out))


@app.command(name="map")
def _map(
    network: Annotated[
        str,
        typer.Argument(
            help="alexnet, vgg16, resnet18 or mobilenet_v2; a design.json or network.json; the folder of a run (of "
            "several bitwidths the lowest, unless --bits says another).",
            metavar="NETWORK",
        ),
    ],
    platform: Annotated[
        str,
        typer.Option(
            help="Hierarchy of memories: a name, or a description in YAML.", metavar="NAME", show_default=False
        ),
    ],
    objective: Annotated[str, typer.Option(help="edp, latency, energy or fps.")] = "edp",
    bits: Annotated[Optional[int], typer.Option(help="Bits of all weights and activations.", min=1)] = None,  # noqa: UP045
    seed: Annotated[int, typer.Option(help="Seed of the search.", min=0, max=2**31 - 1)] = 0,
    effort: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(help="Mappings evaluated for each distinct layer.", min=1000, max=100_000_000),
    ] = None,
    prove: Annotated[
        float, typer.Option(help="Seconds of exact search for each distinct layer; 0: none.", min=0, metavar="SECONDS")
    ] = 0.0,
    summary: Annotated[bool, typer.Option("--summary", help="Only the table of layers, no loop nests.")] = False,
    out: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--out", "-o", help="Write the mappings as JSON too.", metavar="FILE"),
    ] = None,
    debug: Debug = False,
) -> None:
    """Map the loops of a network on a hierarchy of memories (AutoMapper), and print the loop nests and what they cost.

    The model is exact for the machine of docs/mapping-model.md. The same seed and effort give the same mappings.
    """
    with guard(debug):
        from nba.core.progress import on_stderr
        from nba.flow.commands import loop_nests
        from nba.loopnest.report import nests_text, summary_text

        with on_stderr() as (_, progress):
            found = loop_nests(
                network, platform, objective=objective, bits=bits, seed=seed, effort=effort, prove=prove, out=out,
                progress=progress,
            )  # fmt: skip
        if not summary:
            print(nests_text(found.mapping, found.hierarchy) + "\n")
        print(summary_text(found.mapping, found.hierarchy), end="")
        if found.unmapped:
            print(f"without multiply-accumulates, not mapped: {', '.join(found.unmapped)}")


@app.command(name="spec")
def _spec(spec: SpecFile, data: Data = None, debug: Debug = False) -> None:
    """Check a spec, with the files that it names and the budgets of its board, and print it with every default filled
    in; on stderr, what of a published preset it cannot say."""
    with guard(debug):
        from nba.api import load_spec
        from nba.deviations import notes
        from nba.flow.runner import check

        found = load_spec(spec, data=data)
        for line in notes(found):
            print(f"# {line}", file=sys.stderr)
        check(found)
        print(found.yaml(), end="")


@app.command(name="doctor")
def _doctor(debug: Debug = False) -> None:
    """Print the version of everything that is used, what is missing, what needs it and how to install it."""
    with guard(debug):
        from nba.doctor import inspect

        lacking = show_tools(inspect())
        if lacking:
            raise typer.Exit(1)


def main() -> None:
    """Entry point of nba-codesign."""
    start(app)
