# SPDX-License-Identifier: Apache-2.0
"""Calibrates the estimate of LUTs and flip-flops on complete syntheses of small random designs.

    python benchmarks/calibrate_logic.py                     synthesises what is missing or of other Verilog, fits
    python benchmarks/calibrate_logic.py --fit-only          only fits what is recorded
    python benchmarks/calibrate_logic.py --write             also writes nba/boards/logic_xc7.py

Designs are those of benchmarks/logic_designs.py, seeds 0, 1, ...; each takes minutes. Finished ones are kept in
benchmarks/logic_xc7.json, and a second run goes on where the first one stopped. Every kind of part is fitted by itself,
by non-negative least squares. The error that is printed and stored is that of leaving one design out; a larger design,
as the mapper makes them, is synthesised as well and only compared.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.optimize import nnls

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

from logic_designs import PLATFORM, Parts, as_synthesised, draw, mapped, rtl_of, synthesise_parts  # noqa: E402

from nba.boards import get  # noqa: E402
from nba.core.sources import digest_json  # noqa: E402
from nba.ir.accelerator import Accelerator  # noqa: E402
from nba.ir.network import Network, Weights  # noqa: E402
from nba.machine.logic import FEATURES, features_of  # noqa: E402
from nba.machine.parts import C_PP, CHUNK_COLUMNS, EDGE_COLUMNS, H_PP, HOST_COLUMNS, parts  # noqa: E402
from nba.machine.parts import Parts as Tables  # noqa: E402
from nba.machine.program import Program  # noqa: E402

RECORD = ROOT / "benchmarks" / "logic_xc7.json"
TABLE = ROOT / "nba" / "boards" / "logic_xc7.py"
DESIGNS = 12
MAPPED = -1
"""Stands for the seed of the mapper's design."""
MODELS = {
    "weights": "roms", "params": "roms", "host_in": "host", "host_out": "host", "top": "host",
}  # fmt: skip
"""Part of a netlist -> part of the model, where they differ."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """A design that was synthesised: its parts (nba.machine.parts), and the (LUTs, flip-flops) of each; `verilog` is
    the digest of the templates that it was made of."""

    tables: Tables
    cells: Parts
    verilog: str


def sample(subject: tuple[Network, Weights, Accelerator, Program]) -> Sample:
    """Synthesise a design."""
    cells = synthesise_parts(rtl_of(subject), "nba_t")
    return Sample(tables=parts(subject[3]), cells=cells, verilog=verilog_digest())


def verilog_digest() -> str:
    """12 hex digits over all Verilog templates, comments and proofs left out."""
    files = sorted((*ROOT.glob("templates/rtl/**/*.v"), *ROOT.glob("templates/rtl/**/*.j2")))
    return digest_json({path.name: as_synthesised(path.read_text(encoding="utf-8")) for path in files})[:12]


OPTIONAL = ("nest",)
"""Parts that some chunks do not have; there they take no cells."""


def samples(found: Sample) -> list[tuple[str, np.ndarray, tuple[int, int]]]:
    """(part of the model, its features [53], (LUTs, flip-flops)) of every part of a design."""
    tables, platform = found.tables, get(PLATFORM)
    totals: dict[tuple[str, str], tuple[int, int]] = {
        (f"chunk{k}", kind): (0, 0) for k in range(len(tables.chunks)) for kind in OPTIONAL
    }
    for name, (lut, ff) in found.cells.items():
        place, _, kind = name.rpartition("/")
        key = place, MODELS.get(kind, kind)
        old = totals.get(key, (0, 0))
        totals[key] = (old[0] + lut, old[1] + ff)
    rows = []
    for (place, kind), cells in totals.items():
        chunks, edges = tables.chunks[:0], tables.edges[:0]
        if place.startswith("chunk"):
            chunks = tables.chunks[int(place[5:])][None]
        elif place.startswith("edge"):
            edges = tables.edges[int(place[4:])][None]
        else:
            chunks = tables.chunks
        one = features_of(Tables(chunks=chunks, edges=edges, host=tables.host), platform)
        mine = np.array([part == kind for part, _ in FEATURES])
        assert mine.any(), kind
        rows.append((kind, np.where(mine, one, 0), cells))
    return rows


def fit(rows: list[tuple[str, np.ndarray, tuple[int, int]]]) -> np.ndarray:
    """int64 [53, 2]: thousandths of a LUT and of a flip-flop per feature, every part by itself."""
    result = np.zeros((len(FEATURES), 2), np.int64)
    for kind in sorted({part for part, _ in FEATURES}):
        columns = [i for i, (part, _) in enumerate(FEATURES) if part == kind]
        mine = [(f[columns], cells) for part, f, cells in rows if part == kind]
        a = np.array([f for f, _ in mine], float)
        size = np.maximum(np.abs(a).max(0), 1.0)
        for which in range(2):
            found, _ = nnls(a / size, np.array([cells[which] for _, cells in mine], float))
            result[columns, which] = np.round(1000 * found / size)
    return result


def predict(rows: list[tuple[str, np.ndarray, tuple[int, int]]], table: np.ndarray) -> np.ndarray:
    """(LUTs, flip-flops) of one design."""
    return -(-(np.sum([f for _, f, _ in rows], axis=0) @ table) // 1000)


def errors(designs: dict[int, Sample]) -> tuple[np.ndarray, list[str]]:
    """Relative errors [designs, 2] of each design by the fit of all others, and a table of them."""
    rows = {seed: samples(found) for seed, found in designs.items()}
    found, lines = [], ["| seed | LUT | estimated | error | FF | estimated | error |", "|---|---|---|---|---|---|---|"]
    for seed in designs:
        table = fit([row for other, mine in rows.items() if other != seed for row in mine])
        want = np.sum([cells for _, _, cells in rows[seed]], axis=0)
        got = predict(rows[seed], table)
        error = got / want - 1.0
        found.append(error)
        lines.append(
            f"| {seed} | {want[0]:,} | {got[0]:,} | {100 * error[0]:+.1f} % "
            f"| {want[1]:,} | {got[1]:,} | {100 * error[1]:+.1f} % |"
        )
    return np.array(found), lines


def part_errors(designs: dict[int, Sample], table: np.ndarray) -> list[str]:
    """For every part of the model: LUTs and flip-flops in all designs, and the sum of absolute errors."""
    rows = [row for found in designs.values() for row in samples(found)]
    lines = ["| part | LUT | abs. error | FF | abs. error |", "|---|---|---|---|---|"]
    for kind in dict.fromkeys(part for part, _ in FEATURES):
        mine = [(f @ table / 1000, np.array(cells)) for part, f, cells in rows if part == kind]
        total = np.sum([cells for _, cells in mine], axis=0)
        off = np.sum([np.abs(got - cells) for got, cells in mine], axis=0)
        lines.append(f"| {kind} | {total[0]:,} | {off[0]:,.0f} | {total[1]:,} | {off[1]:,.0f} |")
    return lines


def module(table: np.ndarray, error: np.ndarray) -> str:
    """The text of nba/boards/logic_xc7.py."""
    rows = "\n".join(
        f'        Coefficient(part="{part}", feature="{name}", lut_milli={lut}, ff_milli={ff}),'
        for (part, name), (lut, ff) in zip(FEATURES, table.tolist(), strict=True)
    )
    mean, worst = np.abs(error).mean(0), np.abs(error).max(0)
    return f'''# SPDX-License-Identifier: Apache-2.0
"""Calibration of LUTs and flip-flops for `synth_xilinx -family xc7`, as benchmarks/calibrate_logic.py --write left
it."""

from nba.boards.logic import Coefficient, LogicTable
from nba.boards.logic_mul_xc7 import XC7_MULTIPLIERS

XC7 = LogicTable(
    source="yosys synth_xilinx -family xc7, complete, hierarchy kept; benchmarks/calibrate_logic.py",
    designs={len(error)},
    lut_mean_error={mean[0]:.4f},
    lut_worst_error={worst[0]:.4f},
    ff_mean_error={mean[1]:.4f},
    ff_worst_error={worst[1]:.4f},
    coefficients=(
{rows}
    ),
    multipliers=XC7_MULTIPLIERS,
    deep_ram_lut_milli={get(PLATFORM).logic.deep_ram_lut_milli},
)
'''


def load() -> dict[int, Sample]:
    """Designs that were synthesised before; MAPPED is that of the mapper, which is not fitted to."""
    if not RECORD.is_file():
        return {}
    found = {}
    for seed, raw in json.loads(RECORD.read_text(encoding="utf-8")).items():
        tables = {name: np.array(raw[name], np.int64) for name in ("chunks", "edges", "host")}
        # The recorded designs are older than the last columns, which are 0 in all of them, but for the columns of an
        # engine, which were those of the design.
        older = tables["chunks"].shape[1] <= C_PP
        tables["chunks"] = np.pad(tables["chunks"], ((0, 0), (0, CHUNK_COLUMNS - tables["chunks"].shape[1])))
        tables["edges"] = np.pad(tables["edges"], ((0, 0), (0, EDGE_COLUMNS - tables["edges"].shape[1])))
        tables["host"] = np.pad(tables["host"], (0, HOST_COLUMNS - tables["host"].size))
        if older:
            tables["chunks"][:, C_PP] = tables["host"][H_PP]
        cells = {name: (int(lut), int(ff)) for name, (lut, ff) in raw["cells"].items()}
        found[int(seed)] = Sample(tables=Tables(**tables), cells=cells, verilog=str(raw["verilog"]))
    return found


def fitted(designs: dict[int, Sample]) -> dict[int, Sample]:
    """Those that the coefficients are fitted to."""
    return {seed: found for seed, found in designs.items() if seed != MAPPED}


def save(designs: dict[int, Sample]) -> None:
    """Keep what was synthesised."""
    lines = []
    for seed, found in sorted(designs.items()):
        tables = {name: getattr(found.tables, name).tolist() for name in ("chunks", "edges", "host")}
        lines.append(
            f' "{seed}": {json.dumps({**tables, "cells": found.cells, "verilog": found.verilog}, sort_keys=True)}'
        )
    temporary = RECORD.with_suffix(".tmp")
    temporary.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
    temporary.replace(RECORD)


def main() -> int:
    """Command line; see the module's text."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--designs", type=int, default=DESIGNS, help=f"how many (default {DESIGNS})")
    parser.add_argument("--fit-only", action="store_true", help="synthesise nothing")
    parser.add_argument("--write", action="store_true", help="write nba/boards/logic_xc7.py")
    args = parser.parse_args()
    if args.designs < 3:
        parser.error("--designs must be at least 3")
    designs = load()
    for seed in () if args.fit_only else (*range(args.designs), MAPPED):
        if seed not in designs or designs[seed].verilog != verilog_digest():
            begin = time.perf_counter()
            designs[seed] = sample(mapped() if seed == MAPPED else draw(seed))
            save(designs)
            print(f"seed {seed}: {time.perf_counter() - begin:.0f} s", flush=True)
    old = sum(found.verilog != verilog_digest() for found in designs.values())
    if old:
        print(f"{old} of {len(designs)} recorded designs were synthesised from other Verilog than the present one\n")
    larger = designs.get(MAPPED)
    designs = fitted(designs)
    rows = [row for found in designs.values() for row in samples(found)]
    table = fit(rows)
    error, lines = errors(designs)
    mean, worst = 100 * np.abs(error).mean(0), 100 * np.abs(error).max(0)
    print("\n".join(lines), "", *part_errors(designs, table), sep="\n")
    print(
        f"\n{len(designs)} designs, each left out of its own fit: LUT {mean[0]:.1f} % on average, {worst[0]:.1f} % at "
        f"worst; FF {mean[1]:.1f} % on average, {worst[1]:.1f} % at worst"
    )
    if larger is not None:
        want = np.sum(list(larger.cells.values()), axis=0)
        got = predict(samples(larger), table)
        off = 100 * (got / want - 1)
        print(
            f"a mapped design of 19 layers, outside the fit: LUT {want[0]:,}, estimated {got[0]:,} ({off[0]:+.1f} %); "
            f"FF {want[1]:,}, estimated {got[1]:,} ({off[1]:+.1f} %)"
        )
    if args.write:
        TABLE.write_text(module(table, error), encoding="utf-8")
        print(f"written: {TABLE.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
