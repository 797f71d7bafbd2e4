# SPDX-License-Identifier: Apache-2.0
"""Curves of search and training as one SVG, the same bytes for the same values."""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from nba.machine.usage import UNITS
from nba.report.inputs import SearchCurves, TrainCurves

INK = "#1c1d1f"
FAINT = "#d5d8dd"
"""Colours that the page's style sheet exchanges in dark mode."""
LINES = ("#4477aa", "#ee6677", "#228833", "#aa3377", "#66ccee", "#ccbb44", "#777777")
"""Tol's `bright` scheme, told apart by all forms of colour blindness."""
DASHES = ("-", "--", ":", "-.", (0, (5, 1)), (0, (1, 1)), (0, (3, 1, 1, 1)))


@dataclass(frozen=True, kw_only=True, slots=True)
class Panel:
    """One diagram: curves (label, values) over `epochs`, None where there is no value; an optional horizontal limit."""

    title: str
    unit: str
    epochs: tuple[int, ...]
    lines: tuple[tuple[str, tuple[float | None, ...]], ...]
    limit: tuple[str, float] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Tradeoff:
    """Two quantities against each other: points (label, x, y), joined in their order; x is on a logarithmic axis."""

    title: str
    x_label: str
    y_label: str
    points: tuple[tuple[str, float, float], ...]


def panels(search: SearchCurves | None, train: TrainCurves | None, budgets: dict[str, float]) -> tuple[Panel, ...]:
    """All diagrams for which there is data. budgets: dsp, bram (36-Kbit blocks), interval and latency
    [cycles], where they are known."""
    found: list[Panel] = []
    if search is not None and search.epochs:
        found += [*_network_panels(search), *_derived_panels(search, budgets)]
    if train is not None and train.epochs:
        for title, unit, values in (
            ("training: loss", "nats", train.loss),
            ("training: accuracy on training images", "share", train.accuracy),
        ):
            found.append(Panel(title=title, unit=unit, epochs=train.epochs, lines=(("", values),)))
    return tuple(found)


def _network_panels(search: SearchCurves) -> Iterator[Panel]:
    """Losses and distributions of the search, of all epochs."""

    def panel(title: str, unit: str, *lines: tuple[str, str]) -> Panel:
        shown = tuple((label, search.scalars[name]) for label, name in lines)
        return Panel(title=title, unit=unit, epochs=search.epochs, lines=shown)

    yield panel(
        "search: loss", "nats", ("images for the weights", "train_loss"), ("images for alpha and beta", "valid_loss")
    )
    yield panel("search: accuracy of sampled paths", "share", ("images for alpha and beta", "valid_accuracy"))
    yield panel("search: Gumbel temperature", "", ("temperature", "temperature"))
    yield panel(
        "search: entropy", "share of maximum",
        ("operators", "alpha_entropy"), ("bitwidths", "beta_entropy"), ("accelerator", "gamma_entropy"),
    )  # fmt: skip


def _derived_panels(search: SearchCurves, budgets: dict[str, float]) -> Iterator[Panel]:
    """What the derived architecture costs, of the epochs in which the accelerator was searched too."""
    joint = [i for i, j in enumerate(search.joint) if j]
    if not joint:
        return
    shown: list[tuple[str, str, str, str, float]] = [
        (f"search: {search.objective} (the objective)", UNITS[search.objective], "cost", search.objective, 1.0)
    ]
    if search.objective != "interval":
        shown.append(("search: interval", UNITS["interval"], "interval_cycles", "interval", 1.0))
    shown += [
        ("search: DSP", "blocks", "dsp", "dsp", 1.0),
        ("search: BRAM", "blocks", "bram18", "bram", 0.5),
        ("search: multiply-accumulates", "MAC per frame", "macs", "", 1.0),
        ("search: bit operations", "MAC x bits x bits", "bit_operations", "", 1.0),
    ]
    for title, unit, name, budget, factor in shown:
        values = tuple(_scaled(search.scalars[name][i], factor) for i in joint)
        yield Panel(
            title=title, unit=unit,
            epochs=tuple(search.epochs[i] for i in joint),
            lines=(("derived architecture", values),),
            limit=("budget", budgets[budget]) if budget in budgets else None,
        )  # fmt: skip


def _scaled(value: float | None, factor: float) -> float | None:
    return None if value is None else factor * value


_COLUMNS = 3
"""Diagrams side by side."""


def svg(diagrams: Sequence[Panel | Tradeoff]) -> str:
    """The diagrams as an <svg> element without links, ids of elements being unique in it."""
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    rows = -(-len(diagrams) // _COLUMNS)
    settings: Any = {
        **matplotlib.rcParamsDefault,
        "svg.fonttype": "none", "svg.hashsalt": "nba", "font.size": 9, "axes.edgecolor": INK, "axes.labelcolor": INK,
        "text.color": INK, "xtick.color": INK, "ytick.color": INK, "grid.color": FAINT, "axes.titlesize": 10,
        "axes.spines.top": False, "axes.spines.right": False, "path.simplify": True, "text.parse_math": False,
    }  # fmt: skip
    with matplotlib.rc_context(settings), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        figure = Figure(figsize=(12, 2.5 * rows), layout="constrained")
        FigureCanvasSVG(figure)
        figure.patch.set_visible(False)
        grid = figure.subplots(rows, _COLUMNS, squeeze=False)
        for n, axes in enumerate(grid.flat):
            if n >= len(diagrams):
                axes.set_axis_off()
                continue
            axes.patch.set_visible(False)
            axes.grid(visible=True, linewidth=0.6)
            diagram = diagrams[n]
            axes.set_title(diagram.title, loc="left")
            if isinstance(diagram, Tradeoff):
                _points(axes, diagram)
            else:
                _curves(axes, diagram)
        out = io.StringIO()
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = out.getvalue()
    return text[text.index("<svg") :]


def _curves(axes: Any, diagram: Panel) -> None:
    for (label, values), colour, dash in zip(diagram.lines, LINES, DASHES, strict=False):
        points = [math.nan if value is None else value for value in values]
        dots = "o" if sum(value is not None for value in values) == 1 else ""
        axes.plot(diagram.epochs, points, color=colour, linestyle=dash, marker=dots, linewidth=1.6, label=label)
    if diagram.limit is not None:
        axes.axhline(diagram.limit[1], color=LINES[1], linestyle="--", linewidth=1.2, label=diagram.limit[0])
    axes.set_xlabel("epoch")
    axes.set_ylabel(diagram.unit)
    axes.xaxis.get_major_locator().set_params(integer=True)
    if len(diagram.lines) > 1 or diagram.limit is not None:
        axes.legend(frameon=False, fontsize=8)


def _points(axes: Any, diagram: Tradeoff) -> None:
    _, x, y = zip(*diagram.points, strict=True)
    axes.set_xscale("log")
    axes.plot(x, y, color=LINES[0], marker="o", linewidth=1.2)
    for label, at_x, at_y in diagram.points:
        axes.annotate(label, (at_x, at_y), xytext=(5, -11), textcoords="offset points", fontsize=8)
    axes.margins(x=0.15, y=0.2)
    axes.set_xlabel(diagram.x_label)
    axes.set_ylabel(diagram.y_label)
