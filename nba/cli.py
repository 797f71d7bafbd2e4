# SPDX-License-Identifier: Apache-2.0
"""The command line: arguments and printing. Everything heavy is imported by the command that needs it; what a command
does is a function of nba.api or nba.flow.commands, and how it ends is nba.terminal's."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from nba.boards import names
from nba.core import assets
from nba.core.streams import say
from nba.core.version import __version__
from nba.terminal import end_with, guard, run_stages, show, show_tools, start

app = typer.Typer(
    name="nba-codesign",
    help="Turn a dataset and a hardware budget into a matched network, bitwidths and accelerator. Verilog and HLS C++ "
    "are checked to compute the integers of the network bit for bit, and the Verilog to take the predicted cycles.",
    epilog=f"Built-in specs: {', '.join(assets.examples())}. Boards: {', '.join(names())}, or a YAML "
    "file that describes one (docs/boards.md).",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Debug = Annotated[bool, typer.Option("--debug", help="Show tracebacks and the log of the library.")]
Out = Annotated[Path, typer.Option("--out", "-o", help="Folder to write to.", metavar="FOLDER")]
BuildFolder = Annotated[
    Optional[Path],  # noqa: UP045
    typer.Option("--out", "-o", help="Folder to write to; by default build/<name of the spec>.", metavar="FOLDER"),
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
Seed = Annotated[Optional[int], typer.Option(help="Random seed; overrides that of the spec.", min=0, max=2**31 - 1)]  # noqa: UP045
Data = Annotated[
    Optional[Path],  # noqa: UP045
    typer.Option("--data", help="Folder of the images; overrides dataset.path of the spec.", metavar="PATH"),
]
Force = Annotated[bool, typer.Option("--force", help="Repeat the stages even if nothing changed.")]
Model = Annotated[Path, typer.Argument(help="A fully integer TFLite file.", metavar="FILE")]
Bundle = Annotated[Path, typer.Argument(help="Folder of an emitted bundle.", metavar="BUNDLE")]

AGAIN = "; run the same command again to continue"


@app.callback(invoke_without_command=True)
def _root(version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False) -> None:
    if version:
        print(f"nba-codesign {__version__}")
        raise typer.Exit


@app.command(name="run")
def _run(
    spec: SpecFile, out: BuildFolder = None, architecture: Arch = None, data: Data = None, seed: Seed = None,
    force: Force = False, debug: Debug = False,
) -> None:  # fmt: skip
    """Run the whole flow: search, train, map, emit, verify, synthesise, baselines, report.

    With torchrun, several processes share the search and the training:
    torchrun --nproc_per_node=2 -m nba run SPEC -o FOLDER.
    A stage whose inputs have not changed is not repeated, and a run that was killed continues where it stopped. The run
    ends with a table of its figures, which are also in FOLDER/metrics.json. The exit status is 0 only if every claim
    of the table holds.
    """
    with guard(debug, again=AGAIN):
        from nba.api import load_spec
        from nba.flow.metrics import closing

        chosen = load_spec(spec, seed=seed, data=data, architecture=architecture)
        build, found = run_stages(chosen, out, "report", force)
        if not show(f"{found.get('name', '')} {str(found.get('design_id', ''))[:12]}", closing(found, build)):
            raise typer.Exit(1)


@app.command(name="search")
def _search(
    spec: SpecFile, out: BuildFolder = None, data: Data = None, seed: Seed = None, force: Force = False,
    debug: Debug = False,
) -> None:  # fmt: skip
    """Search network, bitwidths and accelerator together; the result is in FOLDER/search."""
    with guard(debug, again=AGAIN):
        from nba.api import load_spec

        run_stages(load_spec(spec, seed=seed, data=data), out, "search", force)


@app.command(name="train")
def _train(
    spec: SpecFile, out: BuildFolder = None, architecture: Arch = None, data: Data = None, seed: Seed = None,
    force: Force = False, debug: Debug = False,
) -> None:  # fmt: skip
    """Train the searched network, or that of --architecture, quantise it, and map it to an accelerator.

    If there is neither, search first. The result is in FOLDER/design.
    """
    with guard(debug, again=AGAIN):
        from nba.api import load_spec

        chosen = load_spec(spec, seed=seed, data=data, architecture=architecture)
        build, found = run_stages(chosen, out, "map", force)
        end_with("", found)
        print(build / "design" / "design.json")


@app.command(name="emit")
def _emit(
    design: Annotated[
        Path, typer.Argument(help="A design.json, with its weights.npz in the same folder.", metavar="DESIGN")
    ],
    out: Out,
    images: Annotated[
        int, typer.Option(help="Number of test images in the vectors of the bundle.", min=1, max=1024)
    ] = 32,
    debug: Debug = False,
) -> None:
    """Write the bundle of a design: Verilog, HLS C++, weights, vectors, benches and scripts.

    The same design always gives the same bytes.
    """
    with guard(debug):
        from nba.flow.commands import emit_folder

        name = emit_folder(design, out, images)
        print(f"{out}: bundle of design {name[:12]}")


@app.command(name="verify")
def _verify(
    bundle: Bundle,
    only: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(
            "--only", help="Run only this check: verilator, icarus or hls. May be given several times.", metavar="WHAT"
        ),
    ] = None,
    images: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(
            help="Images for each check (Icarus: at most 2); by default 32, or all that the bundle holds, and in "
            "Verilator up to 128 frames, where it takes as many to reach the steady interval.",
            min=1,
        ),
    ] = None,
    debug: Debug = False,
) -> None:
    """Simulate the RTL of a bundle, run its HLS C++, and compare every output and every cycle.

    The outputs are compared with the integer reference, the cycles with the prediction. The exit status is 1 if any
    differs.
    """
    with guard(debug):
        from nba.core.progress import on_stderr
        from nba.flow.commands import verify_part

        with on_stderr() as (_, progress):
            part = verify_part(bundle, only or (), images, progress)
        end_with(str(bundle), part)


@app.command(name="synth")
def _synth(bundle: Bundle, debug: Debug = False) -> None:
    """Synthesise a bundle with yosys for the family of its device, and compare DSP and BRAM with the prediction.

    The exit status is 1 if they differ.
    """
    with guard(debug):
        from nba.core.progress import on_stderr
        from nba.flow.commands import synth_part

        with on_stderr() as (_, progress):
            part = synth_part(bundle, progress)
        end_with(str(bundle), part)


@app.command(name="report")
def _report(
    build: Annotated[Path, typer.Argument(help="Folder that `run` wrote.", metavar="BUILD")],
    out: Annotated[Optional[Path], typer.Option("--out", "-o", help="Page to write.", metavar="FILE")] = None,  # noqa: UP045
    debug: Debug = False,
) -> None:
    """Write the HTML report of a build to BUILD/report/report.html, or to FILE."""
    with guard(debug):
        from nba.flow.commands import report_page

        print(report_page(build, out))


# Long by its options, as typer has them: one parameter each.
@app.command(name="map")
def _map(
    network: Annotated[
        str,
        typer.Argument(
            help="alexnet, vgg16, resnet18 or mobilenet_v2; a design.json or network.json; or the folder of a run (if "
            "it has several bitwidths, the lowest one, unless --bits names another).",
            metavar="NETWORK",
        ),
    ],
    platform: Annotated[
        str,
        typer.Option(
            help="Memory hierarchy: a name, or the path of a description in YAML.", metavar="NAME", show_default=False
        ),
    ],
    objective: Annotated[str, typer.Option(help="Objective: edp, latency, energy or fps.")] = "edp",
    bits: Annotated[Optional[int], typer.Option(help="Bitwidth of all weights and activations.", min=1)] = None,  # noqa: UP045
    seed: Annotated[int, typer.Option(help="Random seed of the search.", min=0, max=2**31 - 1)] = 0,
    effort: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(help="Number of mappings to evaluate for each distinct layer.", min=1000, max=100_000_000),
    ] = None,
    prove: Annotated[
        float,
        typer.Option(help="Seconds of exact search for each distinct layer; 0 for none.", min=0, metavar="SECONDS"),
    ] = 0.0,
    summary: Annotated[bool, typer.Option("--summary", help="Print only the table of layers, no loop nests.")] = False,
    out: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--out", "-o", help="Also write the mappings as JSON.", metavar="FILE"),
    ] = None,
    debug: Debug = False,
) -> None:
    """Find the best loop nest of every layer of a network on a memory hierarchy (AutoMapper).

    The command prints the loop nests and their cost.
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
            print(f"not mapped, because they have no multiply-accumulates: {', '.join(found.unmapped)}")


@app.command(name="check")
def _check(model: Model, debug: Debug = False) -> None:
    """List every operator of a TFLite file, what becomes of it, and everything that cannot be built and why.

    The exit status is 1 if its network cannot be built.
    """
    with guard(debug):
        from nba.imports.load import examine
        from nba.imports.text import operators_text

        found = examine(model)
        for line in operators_text(found):
            print(line)
        if found.found.problems:
            raise typer.Exit(1)


@app.command(name="import")
def _import(
    model: Model,
    out: Out,
    inputs: Annotated[int, typer.Option(help="Random inputs to compare on.", min=1, max=1024)] = 4,
    seed: Seed = None,
    debug: Debug = False,
) -> None:
    """Turn a TFLite file into network.json and weights.npz, and compare every layer with LiteRT.

    FOLDER/metrics-part.json has the comparison. To build hardware, name the file in a spec (docs/import.md). The exit
    status is 1 if a layer differs by more than one code on the inputs that LiteRT's operator has.
    """
    with guard(debug):
        from nba.flow.commands import import_folder
        from nba.imports.text import agreement_text

        found = import_folder(model, out, inputs, seed or 0)
        for line in agreement_text(found):
            print(line)
        print(out / "network.json")
        if not found.holds:
            raise typer.Exit(1)


@app.command(name="spec")
def _spec(spec: SpecFile, data: Data = None, debug: Debug = False) -> None:
    """Check a spec, and print it with every default filled in.

    The files that the spec names are checked too, and its budgets against the board, but not whether some network can
    meet them, which takes minutes. Settings of a published preset that a spec cannot express are listed on stderr.
    """
    with guard(debug):
        from nba.api import load_spec
        from nba.deviations import notes
        from nba.flow.pipelines import check, unchecked

        found = load_spec(spec, data=data)
        for line in notes(found):
            say(f"# {line}")
        check(found)
        print(found.yaml(), end="", flush=True)
        say(f"# {unchecked(found)}")


@app.command(name="doctor")
def _doctor(
    compile_ahead: Annotated[
        bool, typer.Option("--compile", help="Instead, compile now what is else compiled on first use (some minutes).")
    ] = False,
    debug: Debug = False,
) -> None:
    """Print the version of every package and tool, and say what is missing, what needs it and how to install it."""
    with guard(debug):
        if compile_ahead:
            from nba.flow.compile_ahead import compile_ahead as compile_now

            compile_now(print)
            return
        from nba.doctor import inspect

        lacking = show_tools(inspect())
        if lacking:
            raise typer.Exit(1)


def main() -> None:
    """Entry point of nba-codesign."""
    start(app)
