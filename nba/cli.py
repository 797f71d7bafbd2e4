# SPDX-License-Identifier: Apache-2.0
"""The command line. Everything heavy is imported by the command that needs it.

Exit status: 0 what the command claims holds; 1 it does not (a differing output, a missing requirement); 2 the user can
mend it (spec, file, tool, budget); 3 a defect of nba-codesign; 130 interrupted, 141 nobody reads the output, 143
terminated.
"""

from __future__ import annotations

import logging
import os
import shutil
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from threading import Event
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from nba import __version__
from nba.boards import names
from nba.core import arithmetic, assets
from nba.core.errors import DiskError, NbaError, SpecError
from nba.core.files import disk_error

if TYPE_CHECKING:
    from nba.flow.artifacts import Json
    from nba.flow.metrics import Line
    from nba.learn.train.team import Team
    from nba.spec import Spec

app = typer.Typer(
    name="nba-codesign",
    help="Turn a dataset and a hardware budget into a matched network, bitwidths and accelerator. Verilog and HLS C++ "
    "are checked to compute the integers of the network bit for bit, and the Verilog to take the predicted cycles.",
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
Bundle = Annotated[Path, typer.Argument(help="Folder of an emitted bundle.", metavar="BUNDLE")]


class _Terminated(BaseException):
    """SIGTERM or SIGHUP, as an exception: what is running ends its child processes on the way out."""


_asked_to_end = Event()
"""Such a signal came. Foreign code that calls Python back (a compiler) may swallow the exception and fail in a way of
its own."""


def _terminate(signum: int, frame: FrameType | None) -> None:
    _asked_to_end.set()
    raise _Terminated


def _note_thread(failed: threading.ExceptHookArgs) -> None:
    """A writer's thread that the disk failed says so to the thread that waits for it, whose message is enough."""
    if isinstance(failed.exc_value, OSError):
        logging.getLogger(__name__).debug("in a thread", exc_info=failed.exc_value)
    else:
        threading.__excepthook__(failed)


def _err(text: str) -> None:
    """Print an error; where torchrun started several processes, the first that fails does. Nothing is left to be done
    where stderr is gone, as after SIGHUP."""
    team = _joined()
    if isinstance(team, SpecError):
        team = None
    if team is None or team.speaks_first():
        with suppress(OSError):
            print(text, file=sys.stderr, flush=True)
        if team is not None:
            team.spoken()


def _team() -> Team | None:
    """The processes that torchrun started, if there are several. Raises SpecError where they cannot meet."""
    found = _joined()
    if isinstance(found, SpecError):
        raise found
    return found


@cache
def _joined() -> Team | SpecError | None:
    """See `_team`; tried once."""
    size = os.environ.get("WORLD_SIZE", "1")
    if "RANK" not in os.environ or size in ("", "0", "1"):
        return None
    if not (size.isascii() and size.isdigit()):
        return SpecError(
            f"WORLD_SIZE={size}: not a number of processes; torchrun sets it; unset it where torchrun does not start "
            "this program"
        )
    from nba.learn.train.team import Team

    try:
        return Team()
    except SpecError as err:
        return err


@contextmanager
def _guard(debug: bool, *, again: str = "") -> Iterator[None]:
    """Turn every way in which a command can end into its message and exit status; `again` follows an interruption."""
    logging.basicConfig(level=logging.DEBUG if debug else logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    for chatty in ("numba", "matplotlib", "asyncio", "PIL"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    _asked_to_end.clear()
    threading.excepthook = _note_thread
    # What is ignored from the start stays so: that is how nohup works.
    caught = [number for number in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, _terminate) for number in caught}
    try:
        try:
            yield
            if sys.stdout is not None:
                sys.stdout.flush()
        except Exception as err:
            if _asked_to_end.is_set() and not isinstance(err, typer.Exit):
                raise _Terminated from err
            raise
    except (typer.Exit, SystemExit):
        raise
    except KeyboardInterrupt:
        _err(f"nba-codesign: interrupted{again}")
        raise typer.Exit(130) from None
    except _Terminated:
        _err(f"nba-codesign: terminated{again}")
        raise typer.Exit(143) from None
    except NbaError as err:
        if debug:
            raise
        _err(f"nba-codesign: {err}{again if isinstance(err, DiskError) else ''}")
        raise typer.Exit(2) from None
    except BrokenPipeError:
        _silence()
        raise typer.Exit(141) from None
    except OSError as err:
        if debug:
            raise
        _err(f"nba-codesign: {_explained(err)}{again}")
        _silence()
        raise typer.Exit(2) from None
    except ModuleNotFoundError as err:
        if debug or (err.name or "").partition(".")[0] == "nba":
            raise
        _err(f"nba-codesign: the Python package {err.name} is missing; `nba-codesign doctor` says how to install it")
        raise typer.Exit(2) from None
    except MemoryError as err:
        if debug:
            raise
        what = f" ({' '.join(str(err).split())})" if str(err) else ""
        _err(
            f"nba-codesign: not enough memory{what}; use a machine with more memory, smaller images or smaller batches"
        )
        raise typer.Exit(2) from None
    except Exception as err:
        if debug:
            raise
        what = f"{type(err).__name__}: {err}"
        _err(f"nba-codesign: internal error ({what}); please report it; --debug shows the traceback")
        raise typer.Exit(3) from None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _explained(err: OSError) -> str:
    """What an error of the system is about, and what to do, as far as that is known."""
    if isinstance(err, shutil.Error) and err.args and isinstance(err.args[0], list):
        return "; ".join(f"{target}: {why}" for _, target, why in err.args[0][:3])
    where = err.filename2 or err.filename or "standard output"
    return str(disk_error(where, err) or f"{where if err.filename else 'system'}: {err.strerror or err}")


def _silence() -> None:
    """What is still to be written to a stdout that takes nothing goes nowhere, instead of failing at the end again."""
    with suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _load(
    spec: str, seed: int | None = None, data: Path | None = None, architecture: Path | None = None
) -> Spec:  # fmt: skip
    """The spec in a file, or the built-in example of that name; the others stand in for its own."""
    from nba.spec import load_spec

    path = Path(spec)
    if not path.exists() and spec in assets.examples():
        path = assets.root("examples") / f"{spec}.yaml"
    found = load_spec(path, platforms=names())
    if data is not None:
        found = found.model_copy(update={"dataset": found.dataset.at(data)})
    if architecture is not None:
        found = found.model_copy(update={"architecture": str(architecture.expanduser().absolute())})
    return found if seed is None else found.model_copy(update={"seed": seed})


def _show(title: str, rows: tuple[Line, ...]) -> bool:
    """Print a closing table; returns whether every claim in it holds."""
    from rich.console import Console

    from nba.flow.metrics import WIDTH, grid

    Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH).print(grid(title, rows))
    return all(row.holds is not False for row in rows)


def _stages(spec: Spec, given: Path | None, last: str, force: bool) -> tuple[Path, Json]:
    """Run the stages up to `last` in the folder `given`, or build/<name>, and keep metrics.json up to date.

    Returns the folder and the content of metrics.json."""
    from nba.core.progress import on_stderr
    from nba.deviations import notes
    from nba.flow import metrics
    from nba.flow import runner as flow

    found: Json = {}
    out = given or Path("build") / spec.name
    team = _team()
    if team is not None and not team.leads:
        for stage, group in team.calls():
            with group:
                flow.assist(stage, spec, out)
        raise typer.Exit

    def done(stamps: dict[str, flow.Stamp]) -> None:
        nonlocal found
        seconds = {name: stamp.seconds for name, stamp in stamps.items()}
        found = metrics.assemble(out, seconds=seconds, seed=spec.seed)

    with on_stderr() as (console, progress):
        console.print(f"{spec.name}: seed {spec.seed}, output folder {out}", markup=False)
        for line in notes(spec):
            console.print(f"note: {line}", markup=False)
        flow.run(
            spec, out, stages=flow.up_to(spec, last), progress=progress, force=force, done=done, team=team,
            say=lambda line: console.print(line, markup=False),
        )  # fmt: skip
    return out, found


AGAIN = "; run the same command again to continue"


@app.callback(invoke_without_command=True)
def _root(version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False) -> None:
    if version:
        print(f"nba-codesign {__version__}")
        raise typer.Exit


@app.command()
def run(
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
    with _guard(debug, again=AGAIN):
        from nba.flow.metrics import closing

        build, found = _stages(_load(spec, seed, data, architecture), out, "report", force)
        rows = closing(found, build)
        if not _show(f"{found.get('name', '')} {str(found.get('design_id', ''))[:12]}", rows):
            raise typer.Exit(1)


@app.command()
def search(
    spec: SpecFile, out: BuildFolder = None, data: Data = None, seed: Seed = None, force: Force = False,
    debug: Debug = False,
) -> None:  # fmt: skip
    """Search network, bitwidths and accelerator together; the result is in FOLDER/search."""
    with _guard(debug, again=AGAIN):
        _stages(_load(spec, seed, data), out, "search", force)


@app.command()
def train(
    spec: SpecFile, out: BuildFolder = None, architecture: Arch = None, data: Data = None, seed: Seed = None,
    force: Force = False, debug: Debug = False,
) -> None:  # fmt: skip
    """Train the searched network, or that of --architecture, quantise it, and map it to an accelerator.

    If there is neither, search first. The result is in FOLDER/design.
    """
    with _guard(debug, again=AGAIN):
        from nba.flow.metrics import table

        build, found = _stages(_load(spec, seed, data, architecture), out, "map", force)
        if not _show("", table(found)):
            raise typer.Exit(1)
        print(build / "design" / "design.json")


@app.command()
def emit(
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
    with _guard(debug):
        from nba.emit.bundle import MANIFEST
        from nba.flow.runner import new_folder
        from nba.flow.stages.emit import emit as emit_design

        with new_folder(out, marker=MANIFEST) as folder:
            name = emit_design(design, folder, images)
        print(f"{out}: bundle of design {name[:12]}")


@app.command()
def verify(
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
            help="Images for each check (Icarus: at most 2); by default 32, or all that the bundle holds.", min=1
        ),
    ] = None,
    debug: Debug = False,
) -> None:
    """Simulate the RTL of a bundle, run its HLS C++, and compare every output and every cycle.

    The outputs are compared with the integer reference, the cycles with the prediction. The exit status is 1 if any
    differs.
    """
    with _guard(debug):
        import tempfile

        from nba.core.errors import SpecError
        from nba.core.progress import on_stderr
        from nba.flow.metrics import table
        from nba.flow.stages.verify import CHECKS, require
        from nba.flow.stages.verify import verify as verify_bundle

        checks = tuple(dict.fromkeys(only or CHECKS))
        wrong = [name for name in checks if name not in CHECKS]
        if wrong:
            raise SpecError(f"--only {wrong[0]}: not known; legal: {', '.join(CHECKS)}")
        require(checks)
        wanted = {name: min(images or 32, 2) if name == "icarus" else images or 32 for name in checks}
        with on_stderr() as (_, progress), tempfile.TemporaryDirectory() as work:
            part = verify_bundle(bundle, Path(work), wanted, progress, at_most=images is None)
        if not _show(str(bundle), table(part)):
            raise typer.Exit(1)


@app.command()
def synth(bundle: Bundle, debug: Debug = False) -> None:
    """Synthesise a bundle for Xilinx 7-series with yosys, and compare DSP and BRAM with the prediction.

    The exit status is 1 if they differ.
    """
    with _guard(debug):
        import tempfile

        from nba.core.progress import on_stderr
        from nba.flow.metrics import table
        from nba.flow.stages.synth import synthesise
        from nba.synth import require

        require()
        with on_stderr() as (_, progress), tempfile.TemporaryDirectory() as work:
            part = synthesise(bundle, Path(work), progress)
        if not _show(str(bundle), table(part)):
            raise typer.Exit(1)


@app.command()
def report(
    build: Annotated[Path, typer.Argument(help="Folder that `run` wrote.", metavar="BUILD")],
    out: Annotated[Optional[Path], typer.Option("--out", "-o", help="Page to write.", metavar="FILE")] = None,  # noqa: UP045
    debug: Debug = False,
) -> None:
    """Write the HTML report of a build to BUILD/report/report.html, or to FILE."""
    with _guard(debug):
        from nba.flow.stages.report import write

        page = out or build / "report" / "report.html"
        write(build, page)
        print(page)


@app.command(name="map")
def map_(
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
    with _guard(debug):
        from nba.core.progress import on_stderr
        from nba.flow.load_layers import LayerProgress, load_nests
        from nba.loopnest.description import load_hierarchy
        from nba.loopnest.evolve import EVALUATIONS
        from nba.loopnest.network_map import map_network
        from nba.loopnest.report import mapping_json, nests_text, summary_text

        if out is not None and (out.is_dir() or not out.name):
            raise NbaError(f"--out {out}: is a folder; give the path of a file to write")
        hierarchy, found = load_hierarchy(platform), load_nests(network, bits)
        with on_stderr() as (_, progress):
            result = map_network(
                found.layers, hierarchy, objective=objective, seed=seed, effort=effort or EVALUATIONS,
                prove_seconds=prove, progress=LayerProgress(progress, "loop nests"),
            )  # fmt: skip
        if out is not None:
            from nba.core.files import write_atomic

            write_atomic(out, mapping_json(result))
        if not summary:
            print(nests_text(result, hierarchy) + "\n")
        print(summary_text(result, hierarchy), end="")
        if found.unmapped:
            print(f"not mapped, because they have no multiply-accumulates: {', '.join(found.unmapped)}")


@app.command()
def spec(spec: SpecFile, data: Data = None, debug: Debug = False) -> None:
    """Check a spec, and print it with every default filled in.

    The files that the spec names are checked too, and its budgets against the board. Settings of a published preset
    that a spec cannot express are listed on stderr.
    """
    with _guard(debug):
        from nba.deviations import notes
        from nba.flow.runner import check

        found = _load(spec, data=data)
        for line in notes(found):
            print(f"# {line}", file=sys.stderr)
        check(found)
        print(found.yaml(), end="")


@app.command()
def doctor(debug: Debug = False) -> None:
    """Print the version of every package and tool, and say what is missing, what needs it and how to install it."""
    with _guard(debug):
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        from nba.doctor import inspect, platform_line

        grid = Table(box=None, pad_edge=False)
        for title in ("", "version", "needed by", "install with"):
            grid.add_column(title, no_wrap=True)
        items = inspect()
        for item in items:
            state = Text(item.version) if item.version else Text("MISSING" if item.required else "missing", style="red")
            grid.add_row(item.name, state, item.needed_by, Text("" if item.version else item.install))
        console = Console(highlight=False, width=None if sys.stdout.isatty() else 160)
        console.print(platform_line(), markup=False)
        console.print(grid)
        lacking = [item.name for item in items if item.required and not item.version]
        console.print(
            f"missing: {', '.join(lacking)}" if lacking else "everything that `run` needs is installed", markup=False
        )
        if lacking:
            raise typer.Exit(1)


def main() -> None:
    """Entry point of nba-codesign."""
    for number in (0, 2):  # else the next file that is opened would take its place
        with suppress(OSError):
            if _is_closed(number):
                os.open(os.devnull, os.O_RDWR)
    if sys.stderr is None:
        sys.stderr = os.fdopen(2, "w", closefd=False)
    if sys.stdout is None:
        print("nba-codesign: standard output is closed; give it a file or a pipe (or /dev/null)", file=sys.stderr)
        sys.exit(2)
    arithmetic.pin()
    try:
        try:
            app()
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        _silence()
        sys.exit(141)
    except OSError as err:
        _err(f"nba-codesign: {_explained(err)}")
        _silence()
        sys.exit(2)


def _is_closed(number: int) -> bool:
    """Whether a file descriptor is closed."""
    try:
        os.fstat(number)
    except OSError:
        return True
    return False
