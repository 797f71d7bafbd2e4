# SPDX-License-Identifier: Apache-2.0
"""The numbers of README.md and RESULTS.md, from what was recorded: figures.json and recorded/*.metrics.json.

    python -m benchmarks.render_docs [--check]

Each lies between a line `<!-- generated: NAME -->` and a line `<!-- end -->`; the rest of the documents is written by
hand. --check changes nothing and ends with status 1 if a document is not what the records say.
"""

from __future__ import annotations

import argparse
import io
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from benchmarks.figures_file import FILE, ROOT, Figure, read
from benchmarks.structure import RECORDED as STRUCTURE
from benchmarks.structure import TITLES
from nba.boards.logic_xc7 import XC7
from nba.core.files import write_atomic
from nba.flow import metrics
from nba.flow.metrics import Json, Line
from nba.flow.pipelines import ARCHITECTURE, MIXED, SWITCHABLE

RECORDED = ROOT / "benchmarks" / "recorded"
DOCUMENTS = ("README.md", "benchmarks/RESULTS.md")
BLOCK = re.compile(r"(<!-- generated: ([a-z0-9-]+) -->\n).*?(<!-- end -->)", re.DOTALL)
SHOWN = (
    "at ", "all bitwidths", "baselines", "DSP", "BRAM", "bit-exact, Verilator",
    "cycles predicted = simulated, Verilator",
)  # fmt: skip
"""Rows of a switchable run that README shows."""
CLOCK = RECORDED / "clock.json"
FLOW_TITLES = {
    "xc7": "7-series, without wires", "ecp5": "ECP5 LFE5U-85F-8, routed", "sky130": "sky130 tt, without wires",
    "nangate45": "nangate45 typical, without wires",
}  # fmt: skip
"""Flows of benchmarks/clock.py, in the order of their columns."""
STAGES = tuple(dict.fromkeys(stage.name for stage in (*MIXED, *SWITCHABLE, ARCHITECTURE)))
"""Names of all stages, in the order in which they are shown."""


class NotRecorded(Exception):
    """The example of that name has not been recorded."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Recorded:
    """What was recorded: figures by key, the metrics of the examples by name, the counts of benchmarks/structure.py."""

    figures: dict[str, Figure]
    runs: dict[str, Json]
    structure: Json | None = None
    clock: Json | None = None

    def run(self, name: str) -> tuple[Json, Figure]:
        """The metrics of an example and the figure of its wall clock, of one and the same run. Raises NotRecorded."""
        key = wall_key(name)
        if name not in self.runs or key not in self.figures:
            raise NotRecorded(name)
        return self.runs[name], self.figures[key]


def wall_key(name: str) -> str:
    """The key of the wall clock of the example `name`."""
    return f"run.{name}.wall_s"


def load() -> Recorded:
    """Everything that was recorded."""
    paths = sorted(RECORDED.glob("*.metrics.json"))
    return Recorded(
        figures=read(FILE) if FILE.exists() else {},
        runs={path.name.removesuffix(".metrics.json"): metrics.read(path) for path in paths},
        structure=metrics.read(STRUCTURE) if STRUCTURE.exists() else None,
        clock=metrics.read(CLOCK) if CLOCK.exists() else None,
    )


def seconds_text(seconds: float) -> str:
    """A duration in minutes and seconds."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def terminal(rows: tuple[Line, ...]) -> str:
    """The rows as the command prints them, indented as a block of code."""
    out = io.StringIO()
    Console(file=out, width=metrics.WIDTH, highlight=False, color_system=None).print(metrics.grid("", rows))
    return "".join(f"    {line.rstrip()}\n" for line in out.getvalue().splitlines())


def readme_digits(found: Recorded) -> str:
    """What `make run` prints at its end."""
    run, wall = found.run("digits")
    rows = terminal(metrics.closing(run, Path("build/digits")))
    return (
        "`make run` runs the whole flow on the handwritten digits of scikit-learn (8x8 pixels, no download). It ends, "
        f"after {seconds_text(wall.value)} on {wall.machine},\nwith this table (commit {wall.commit}, "
        f"{wall.date}):\n\n{rows}"
    )


def readme_instantnet(found: Recorded) -> str:
    """The rows of the switchable example that concern its bitwidths and the hardware."""
    run, wall = found.run("instantnet_digits")
    rows = tuple(row for row in metrics.table(run) if row.label.startswith(SHOWN))
    command = f"    {wall.command}      # {seconds_text(wall.value)} on {wall.machine}\n"
    return f"{command}\n{terminal(rows)}\nFrom one run at commit {wall.commit}, {wall.date}.\n"


def results_run(name: str) -> Callable[[Recorded], str]:
    """The whole closing table of an example's run, and how long its stages took."""

    def render(found: Recorded) -> str:
        run, wall = found.run(name)
        seconds = run["seconds"]
        stages = ", ".join(f"{stage} {seconds[stage]:.0f}" for stage in STAGES if stage in seconds)
        rows = [(row.label, row.value) for row in metrics.table(run)]
        rows += [("seconds of wall clock", f"{wall.value:.0f}: {stages}"), ("design", run["design_id"][:12])]
        body = "".join(f"| {label} | {value} |\n" for label, value in rows)
        return f"{source(wall)} All rows are from this one run.\n\n| figure | value |\n|---|---|\n{body}"

    return render


def results_figures(found: Recorded) -> str:
    """All recorded figures."""
    rows = "".join(
        f"| `{key}` | {number(f.value)} {f.unit} | `{f.command}` | {f.commit}, {f.date} | {f.machine} |\n"
        for key, f in sorted(found.figures.items())
    )
    return f"| figure | value | command | commit, date | machine |\n|---|---|---|---|---|\n{rows}"


def number(value: int | float) -> str:
    """A figure with at most six significant digits, but whole numbers whole."""
    return f"{value:,}" if isinstance(value, int) else f"{value:,.6g}"


def source(figure: Figure) -> str:
    """Command, commit, date and machine of a figure, as a sentence."""
    return f"`{figure.command}` at commit {figure.commit}, {figure.date}, {figure.machine}."


def structure(found: Recorded) -> str:
    """The counts of benchmarks/structure.py, before and after."""
    if not found.structure:
        raise NotRecorded("structure")
    trees = [found.structure[when] for when in ("before", "now") if when in found.structure]
    head = " | ".join(f"commit {tree['commit']}" for tree in trees)
    rows = "".join(
        f"| {TITLES[key]} | {' | '.join(number(tree['counts'][key]) for tree in trees)} |\n"
        for key in TITLES if key in trees[-1]["counts"]
    )  # fmt: skip
    return f"| | {head} |\n|---|{'---|' * len(trees)}\n{rows}"


def clock(found: Recorded) -> str:
    """The slowest case of every module in every flow: its delay and clock (ECP5: of the median seed), and where its
    limiting path is in the first flow that has it."""
    if not found.clock:
        raise NotRecorded("clock")
    cases: dict[tuple[str, str, str], list[Json]] = {}
    for row in found.clock.values():
        cases.setdefault((row["module"], row["flow"], repr(row["parameters"])), []).append(row)
    worst: dict[tuple[str, str], Json] = {}
    for (module, flow, _), rows in cases.items():
        middle = sorted(rows, key=lambda row: row["delay_ns"])[len(rows) // 2]
        if (module, flow) not in worst or middle["delay_ns"] > worst[module, flow]["delay_ns"]:
            worst[module, flow] = {**middle, "seeds": len(rows)}
    flows = [flow for flow in FLOW_TITLES if any(key[1] == flow for key in worst)]
    lines = [f"| module | {' | '.join(FLOW_TITLES[flow] for flow in flows)} | limiting path (first column) | commits |"]
    lines.append(f"|---|{'---|' * (len(flows) + 2)}")
    for module in sorted({key[0] for key in worst}):
        mine = {flow: worst[module, flow] for flow in flows if (module, flow) in worst}
        cells = [_delay(mine[flow]) if flow in mine else "" for flow in flows]
        path = next(iter(mine.values()))["path"]
        commits = ", ".join(sorted({row["commit"] for row in mine.values()}))
        lines.append(f"| `{module}` | {' | '.join(cells)} | `{path['start']}` to `{path['end']}` | {commits} |")
    return "\n".join(lines) + "\n"


def logic(_: Recorded) -> str:
    """The errors of the estimate of LUTs and flip-flops, from the table that the models use."""
    mean_lut, worst_lut, mean_ff, worst_ff = (
        f"{100 * share:.1f} %"
        for share in (XC7.lut_mean_error, XC7.lut_worst_error, XC7.ff_mean_error, XC7.ff_worst_error)
    )
    return (
        f"Of {XC7.designs} designs, each left out of its own fit, the LUTs are {mean_lut} off on average and "
        f"{worst_lut} at worst, the flip-flops {mean_ff} and {worst_ff} (`nba/boards/logic_xc7.py`, which "
        "`python benchmarks/calibrate_logic.py --write` writes; minutes per design).\n"
    )


def _delay(row: Json) -> str:
    text = f"{row['delay_ns']:.2f} ns"
    if row["flow"] == "ecp5":
        text = f"{1000 / row['delay_ns']:.0f} MHz, {row['seeds']} seed{'s' if row['seeds'] > 1 else ''}"
    return text


BLOCKS: dict[str, Callable[[Recorded], str]] = {
    "digits": readme_digits,
    "instantnet": readme_instantnet,
    "results-digits": results_run("digits"),
    "results-instantnet": results_run("instantnet_digits"),
    "figures": results_figures,
    "structure": structure,
    "clock": clock,
    "logic": logic,
}
HOW = {
    "structure": "python -m benchmarks.structure --record", "clock": "python -m benchmarks.clock --record",
}  # fmt: skip
"""What records that which is no example."""


def render(text: str, found: Recorded) -> str:
    """`text` with every generated block as the records say. Raises ValueError for a block that nothing generates, or
    whose end is missing."""

    def block(match: re.Match[str]) -> str:
        begin, name, end = match.groups()
        if name not in BLOCKS or "<!-- generated:" in match.group(0)[len(begin) :]:
            raise ValueError(f"generated block {name!r}: unknown, or without its end; legal: {', '.join(BLOCKS)}")
        try:
            return f"{begin}{BLOCKS[name](found)}{end}"
        except NotRecorded as err:
            how = HOW.get(str(err), f"make record EXAMPLES={err}")
            return f"{begin}Not recorded with this version yet: `{how}`.\n{end}"

    return BLOCK.sub(block, text)


def main(arguments: list[str] | None = None) -> int:
    """Bring the documents up to date; with --check only say which are not."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="change nothing; status 1 if a document is stale")
    check, found, stale = parser.parse_args(arguments).check, load(), []
    for name in DOCUMENTS:
        path = ROOT / name
        before = path.read_text(encoding="utf-8")
        after = render(before, found)
        if before != after:
            stale.append(name)
            if not check:
                write_atomic(path, after)
    for name in stale:
        print(f"{name}: {'not what was recorded; run `make docs`' if check else 'brought up to date'}")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
