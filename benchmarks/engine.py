# SPDX-License-Identifier: Apache-2.0
"""What a DSP block and a LUT give: products per block by width, and LUTs of a whole design per product.

    python -m benchmarks.engine [--record] [--work FOLDER]

blocks: yosys maps an array of 8 x 8 x 2 multipliers that packs four columns (nba_array) for 7-series; its products per
cycle by the bits of weights and activations, divided by the blocks that the netlist has. luts: the MobileNetV2-like
network for 32 x 32 x 3 images of tests/large.py (8 bits), mapped within 400 DSP blocks, the whole design synthesised;
its LUTs divided by the products per cycle of its arrays. The synthesis of the design takes about ten minutes.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.figures_file import record
from nba.core import assets
from nba.core.files import write_atomic
from nba.emit.rtl import render_rtl
from nba.machine.kernels import degree
from nba.machine.program import lower
from nba.machine.steady import steady_interval
from nba.synth.run import Synthesised, synthesise_rtl
from tests.large import BUDGETS, large_design

COMMAND = "python -m benchmarks.engine --record"
PM, PN, PP, DEGREE, ACC_BITS = 8, 8, 2, 4, 24
WIDTHS = (8, 4, 2)
MODULES = ("nba_array", "nba_dot", "nba_pair", "nba_sum")
HOURS_S = 4 * 3600.0


def array(folder: Path) -> Synthesised:
    """The netlist of one nba_array that packs DEGREE columns."""
    rtl = folder / "rtl"
    rtl.mkdir(parents=True)
    library = assets.root("templates") / "rtl" / "lib"
    for name in MODULES:
        (rtl / f"{name}.v").write_text((library / f"{name}.v").read_text(encoding="utf-8"), encoding="utf-8")
    values = {"PM": PM, "PN": PN, "PP": PP, "DEGREE": DEGREE, "PACK": 1, "ACC_BITS": ACC_BITS}
    parameters = ", ".join(f".{name}({value})" for name, value in values.items())
    (rtl / "top.v").write_text(
        f"module top(input wire clk, rst, s_valid, s_first, input wire [1:0] s_degree, "
        f"input wire [{PP * PN * 15 - 1}:0] s_a, input wire [{PM * PN * 8 - 1}:0] s_w, "
        f"output wire [{PM * PP * DEGREE * ACC_BITS - 1}:0] m_acc);\n"
        f"nba_array #({parameters}) u_array (.clk(clk), .rst(rst), .s_a(s_a), .s_w(s_w), .s_valid(s_valid), "
        ".s_first(s_first), .s_max(1'b0), .s_degree(s_degree), .m_acc(m_acc));\nendmodule\n",
        encoding="utf-8",
    )
    return synthesise_rtl(rtl, "top", folder / "work", mode="full", timeout_s=HOURS_S)


def blocks(view: Table, folder: Path) -> Iterator[tuple[str, float, str]]:
    """Products per DSP block, by the bits of both operands."""
    found = array(folder)
    for bits in WIDTHS:
        products = PM * PN * PP * degree(True, bits, bits, DEGREE)
        view.add_row(f"{bits} x {bits} bits", str(products), str(found.dsp), f"{products / found.dsp:g}", "")
        yield f"dsp.products.{bits}x{bits}", products / found.dsp, "products per DSP block and cycle"


def luts(view: Table, folder: Path) -> Iterator[tuple[str, float, str]]:
    """LUTs of the whole design per product."""
    design, weights = large_design()
    program = lower(design.network, design.accelerator)
    for name, text in render_rtl(design, weights, "nba_t", (program,)).items():
        write_atomic(folder / name, text)
    found = synthesise_rtl(folder / "rtl", "nba_t", folder / "work", mode="full", timeout_s=HOURS_S)
    products = sum(chunk.pm * (chunk.pn if chunk.mixes else 1) * program.pp for chunk in program.chunks)
    assert found.lut is not None
    assert (found.dsp, found.bram) == (design.cost.dsp, design.cost.bram)
    share = found.lut / products
    interval = steady_interval(program)
    view.add_row(
        "MobileNetV2-like, 32x32", str(products), str(found.dsp), f"{products / found.dsp:.2f}", f"{share:.1f}"
    )
    key = "mobilenet32"
    yield f"lut_per_product.{key}", round(share, 2), "LUTs of the whole design per 8-bit product and cycle"
    yield f"{key}.lut", found.lut, "LUTs (yosys)"
    yield f"{key}.dsp", found.dsp, f"DSP blocks of {BUDGETS.dsp} allowed"
    yield f"{key}.products", products, "8-bit products per cycle"
    yield f"{key}.cycles", float(interval), "cycles a frame"


@contextmanager
def place(wanted: Path | None) -> Iterator[Path]:
    """The folder that is asked for, or one that is gone afterwards."""
    if wanted is not None:
        wanted.mkdir(parents=True)
        yield wanted.resolve()
        return
    with tempfile.TemporaryDirectory(prefix="nba-engine-") as name:
        yield Path(name)


def main() -> None:
    """Synthesise, print; record on request."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--record", action="store_true", help="put the figures into benchmarks/figures.json")
    parser.add_argument("--work", type=Path, help="keep the files in this folder, which must not exist")
    args = parser.parse_args()
    view = Table("what", "products a cycle", "DSP", "products a DSP", "LUTs a product")
    with place(args.work) as folder:
        figures = [*blocks(view, folder / "array"), *luts(view, folder / "design")]
    Console(width=120).print(view)
    if args.record:
        for key, value, unit in figures:
            record(key, value, unit, COMMAND)


if __name__ == "__main__":
    sys.exit(main())
