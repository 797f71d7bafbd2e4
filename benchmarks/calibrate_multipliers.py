# SPDX-License-Identifier: Apache-2.0
"""Calibrates what multipliers made of adders (nba_mul) take: LUTs and flip-flops beyond those of the same module whose
products are in DSP blocks.

    python benchmarks/calibrate_multipliers.py               synthesises what is missing or of other Verilog, fits
    python benchmarks/calibrate_multipliers.py --fit-only    only fits what is recorded
    python benchmarks/calibrate_multipliers.py --write       also writes nba/boards/logic_mul_xc7.py

Every case of CASES is synthesised completely in both forms; what is fitted, by non-negative least squares of the
relative errors, is the difference. LUTs are fitted to the bits of rows and of adders, flip-flops to those of registers
(nba.machine.multipliers.multiplier_bits), requantisers and products by themselves. Requantisers of codes of 16 bits are
compared only: their products take several blocks, which are added in LUTs. Finished cases are kept in
benchmarks/logic_mul_xc7.json.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
from scipy.optimize import nnls

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]

from nba.core.sources import digest_json  # noqa: E402
from nba.machine.multipliers import product_bits, requant_bits  # noqa: E402
from nba.synth.run import synthesise_rtl  # noqa: E402

LIB = ROOT / "templates" / "rtl" / "lib"
RECORD = ROOT / "benchmarks" / "logic_mul_xc7.json"
TABLE = ROOT / "nba" / "boards" / "logic_mul_xc7.py"
REQUANT = (
    (1, 1, 8, 10, 0), (2, 1, 8, 14, 0), (1, 2, 8, 17, 0), (2, 2, 8, 20, 0), (1, 1, 8, 24, 0), (1, 1, 8, 30, 0),
    (1, 1, 8, 12, 1), (2, 1, 8, 18, 1), (1, 2, 8, 22, 1), (1, 1, 16, 34, 0), (1, 1, 16, 36, 1),
)  # fmt: skip
"""PQ, PP, C_BITS, ACC_BITS, HAS_RES of nba_requant."""
ARRAY = (
    (2, 1, 8, 8, 20), (4, 1, 8, 4, 16), (2, 2, 6, 6, 17), (3, 1, 5, 4, 12), (2, 1, 8, 2, 14), (2, 1, 16, 16, 36),
    (4, 1, 7, 8, 18), (2, 1, 2, 8, 13),
)  # fmt: skip
"""PM, PP, A_BITS, W_BITS, ACC_BITS of nba_array, PER_CHANNEL."""
CASES = tuple(("requant", case) for case in REQUANT) + tuple(("array", case) for case in ARRAY)


def verilog_digest() -> str:
    """12 hex digits over the modules that are synthesised, comments left out."""
    names = ("nba_mul", "nba_requant", "nba_array", "nba_dot", "nba_sum", "nba_pair")
    texts = {name: re.sub(r"\s*//.*", "", (LIB / f"{name}.v").read_text(encoding="utf-8")) for name in names}
    return digest_json(texts)[:12]


def cells(kind: str, case: tuple[int, ...], lut: int) -> tuple[int, int]:
    """(LUTs, flip-flops) of a case with its products in DSP blocks (lut 0) or made of adders (1)."""
    if kind == "requant":
        pq, pp, code, acc, res = case
        values = {"PQ": pq, "PP": pp, "C_BITS": code, "ACC_BITS": acc, "HAS_RES": res, "MUL_LUT": lut}
    else:
        pm, pp, act, weight, acc = case
        values = {"PER_CHANNEL": 1, "PM": pm, "PN": 1, "PP": pp, "A_BITS": act, "W_BITS": weight, "ACC_BITS": acc}
        values["MUL_LUT"] = lut
    with tempfile.TemporaryDirectory() as folder:
        rtl = Path(folder) / "rtl"
        rtl.mkdir()
        for name in ("nba_mul", "nba_dot", "nba_sum", "nba_pair", f"nba_{kind}"):
            shutil.copy(LIB / f"{name}.v", rtl)
        text = (rtl / f"nba_{kind}.v").read_text(encoding="utf-8")
        for name, value in values.items():
            text = re.sub(rf"(parameter integer {name} *= )\d+", rf"\g<1>{value}", text)
        (rtl / f"nba_{kind}.v").write_text(text, encoding="utf-8")
        found = synthesise_rtl(rtl, f"nba_{kind}", Path(folder) / "work", mode="full")
    assert lut == 0 or found.dsp == 0
    assert found.lut is not None
    assert found.ff is not None
    return found.lut, found.ff


def bits(kind: str, case: tuple[int, ...]) -> tuple[int, int, int]:
    """Rows, adders and registers of all multipliers of a case."""
    if kind == "requant":
        pq, pp, code, acc, res = case
        return requant_bits(pq, pp, acc, code, res == 1)
    pm, pp, act, weight, acc = case
    return product_bits(pm, pp, act, weight, acc)


def fit(record: dict[str, list[list[int]]]) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Thousandths of a LUT per bit of rows and adders and of a flip-flop per bit of registers, of requantisers and of
    products, int64 [2, 3]; relative errors of the difference in the cases that are fitted [cases, 2]; a table."""
    tables, errors = [], []
    lines = ["| module | case | LUT | estimated | FF | estimated |", "|---|---|---|---|---|---|"]
    for kind, cases in (("requant", REQUANT), ("array", ARRAY)):
        sizes = np.array([bits(kind, case) for case in cases], float)
        both = np.array([record[name(kind, case)] for case in cases], float)
        more = both[:, 1] - both[:, 0]
        fitted = np.array([kind == "array" or case[2] == 8 for case in cases])
        shares = sizes / more[:, [0, 0, 1]]
        lut, _ = nnls(shares[fitted, :2], np.ones(fitted.sum()))
        ff, _ = nnls(shares[fitted, 2:], np.ones(fitted.sum()))
        table = np.round(1000 * np.array([*lut, *ff])).astype(np.int64)
        got = np.stack([sizes[:, :2] @ table[:2], sizes[:, 2] * table[2]], axis=1) / 1000
        lines += [
            f"| {kind} | {case} | {m[0]:.0f} | {g[0]:.0f} | {m[1]:.0f} | {g[1]:.0f} |"
            for case, m, g in zip(cases, more, got, strict=True)
        ]
        tables.append(table)
        errors.append((got / more - 1)[fitted])
    return np.array(tables), np.concatenate(errors), lines


def name(kind: str, case: tuple[int, ...]) -> str:
    """Key of a case in the record."""
    return f"{kind} {' '.join(map(str, case))}"


def module(table: np.ndarray, error: np.ndarray) -> str:
    """The text of nba/boards/logic_mul_xc7.py."""
    mean, worst = np.abs(error).mean(0), np.abs(error).max(0)
    return f'''# SPDX-License-Identifier: Apache-2.0
"""LUTs and flip-flops of multipliers made of adders for `synth_xilinx -family xc7`, as
benchmarks/calibrate_multipliers.py --write left it."""

from nba.boards.logic import MultiplierTable

XC7_MULTIPLIERS = MultiplierTable(
    source="yosys synth_xilinx -family xc7, complete; benchmarks/calibrate_multipliers.py",
    cases={len(error)},
    lut_mean_error={mean[0]:.4f},
    lut_worst_error={worst[0]:.4f},
    ff_mean_error={mean[1]:.4f},
    ff_worst_error={worst[1]:.4f},
    requant={tuple(table[0].tolist())},
    products={tuple(table[1].tolist())},
)
'''


def load() -> dict[str, object]:
    """What was synthesised: `verilog`, and [[LUTs, flip-flops] in DSP blocks, of adders] of every case."""
    if not RECORD.is_file():
        return {}
    found: dict[str, object] = json.loads(RECORD.read_text(encoding="utf-8"))
    return found


def main() -> int:
    """Command line; see the module's text."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fit-only", action="store_true", help="synthesise nothing")
    parser.add_argument("--write", action="store_true", help="write nba/boards/logic_mul_xc7.py")
    args = parser.parse_args()
    record = load()
    if not args.fit_only:
        if record.get("verilog") != verilog_digest():
            record = {"verilog": verilog_digest()}
        for kind, case in CASES:
            if name(kind, case) not in record:
                record[name(kind, case)] = [cells(kind, case, lut) for lut in (0, 1)]
                RECORD.write_text(json.dumps(record, indent=1, sort_keys=True) + "\n", encoding="utf-8")
                print(name(kind, case), record[name(kind, case)], flush=True)
    table, error, lines = fit(record)  # type: ignore[arg-type]
    print("\n".join(lines))
    mean, worst = 100 * np.abs(error).mean(0), 100 * np.abs(error).max(0)
    print(f"LUT {mean[0]:.1f} % off on average, {worst[0]:.1f} % at worst; FF {mean[1]:.1f} % and {worst[1]:.1f} %")
    if args.write:
        TABLE.write_text(module(table, error), encoding="utf-8")
        print(f"written: {TABLE.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
