# SPDX-License-Identifier: Apache-2.0
"""Running yosys on the Verilog of a bundle and reading its cell counts."""

from __future__ import annotations

import importlib.util
import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from nba.boards import FAMILIES
from nba.core import assets
from nba.core.errors import ToolError
from nba.core.files import naming, write_atomic
from nba.core.tools import HANG_S, python_command, run_tool
from nba.core.version import __version__
from nba.emit.env import environment

Mode = Literal["count", "full"]
"""count: up to the point where DSP, block RAM and UltraRAM are final; full: LUTs and flip-flops too."""

SCRIPTS: dict[Mode, str] = {"count": "yosys_count", "full": "yosys"}
RUNNER = "run_yosys.py"
RESULT = "synthesised.json"

LUT_CELLS = {
    **{f"LUT{n}": 1 for n in range(1, 7)},
    "SRL16E": 1,
    "SRLC32E": 1,
    "RAM32X1D": 2,
    "RAM64X1D": 2,
    "RAM64X1S": 1,
    "RAM32X1S": 1,
    "RAM128X1S": 2,
    "RAM128X1D": 4,
    "RAM256X1S": 4,
    "RAM32M": 4,
    "RAM64M": 4,
    "RAM256X1D": 8,
    "RAM512X1S": 8,
    "RAM32M16": 8,
    "RAM64M8": 8,
    "RAM32X16DR8": 8,
    "RAM64X8SW": 8,
}
"""LUT sites that a cell of 7-series or UltraScale+ takes."""
FF_CELLS = frozenset({"FDRE", "FDSE", "FDCE", "FDPE", "FDRE_1", "FDSE_1", "FDCE_1", "FDPE_1"})
BRAM18_CELLS = {
    cell: blocks for family in FAMILIES.values() for cell, blocks in ((family.bram18, 1), (family.bram36, 2))
}
URAM_CELLS = {family.uram: 1 for family in FAMILIES.values() if family.uram}
DSP_CELLS = {family.dsp: 1 for family in FAMILIES.values()}


@dataclass(frozen=True, kw_only=True, slots=True)
class ModuleCells:
    """One module of the netlist, submodules excluded."""

    module: str
    dsp: int
    bram18: int
    uram: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Synthesised:
    """What the netlist uses. lut and ff are None in mode "count"; modules: those with a DSP, block RAM or UltraRAM."""

    dsp: int
    bram18: int
    lut: int | None
    ff: int | None
    mode: Mode
    tool: str
    modules: tuple[ModuleCells, ...]
    uram: int = 0

    @property
    def bram(self) -> float:
        """Block RAMs in units of 36 Kib."""
        return self.bram18 / 2


def _sum(cells: dict[str, int], weights: dict[str, int]) -> int:
    return sum(weights.get(cell, 0) * count for cell, count in cells.items())


def read_stat(path: Path, mode: Mode) -> Synthesised:
    """Parse what yosys' `stat -json` wrote to `path`. Raises ToolError if it is not that."""
    try:
        stat = json.loads(path.read_text(encoding="utf-8"))
        total: dict[str, int] = stat["design"]["num_cells_by_type"]
        by_module: dict[str, dict[str, int]] = {
            name.lstrip("\\"): module["num_cells_by_type"] for name, module in stat["modules"].items()
        }
        tool = " ".join(str(stat["creator"]).split()[:2])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as err:
        raise ToolError(f"{path}: not the cell statistics of yosys ({err}); read the log beside it") from None
    modules = (
        ModuleCells(
            module=name, dsp=_sum(cells, DSP_CELLS), bram18=_sum(cells, BRAM18_CELLS), uram=_sum(cells, URAM_CELLS)
        )
        for name, cells in sorted(by_module.items())
    )
    full = mode == "full"
    return Synthesised(
        dsp=_sum(total, DSP_CELLS),
        bram18=_sum(total, BRAM18_CELLS),
        lut=_sum(total, LUT_CELLS) if full else None,
        ff=sum(count for cell, count in total.items() if cell in FF_CELLS) if full else None,
        mode=mode,
        tool=tool,
        modules=tuple(m for m in modules if m.dsp or m.bram18 or m.uram),
        uram=_sum(total, URAM_CELLS),
    )


def require_yosys() -> None:
    """Raise ToolError if yosys is missing."""
    if importlib.util.find_spec("pyosys") is None:
        raise ToolError("pyosys (yosys): not installed; install it with: pip install pyosys")


def _fresh_copy(source: Path, target: Path) -> None:
    if target.exists():
        shutil.rmtree(target)
    with naming(target):
        shutil.copytree(source, target)


def _yosys(work: Path, mode: Mode, timeout_s: float) -> Synthesised:
    """Run work/synth/<script> and read its result; also writes work/synthesised.json."""
    require_yosys()
    script, folder = SCRIPTS[mode], work / "synth"
    stat = folder / f"{script}.json"
    stat.unlink(missing_ok=True)
    run_tool(
        python_command(folder / RUNNER, "--with", "pyosys", f"{script}.ys"),
        cwd=folder, timeout_s=timeout_s, log_path=work / f"{script}.log",
    )  # fmt: skip
    if not stat.is_file():
        raise ToolError(f"yosys ended without {stat.name}; whole log: {work / f'{script}.log'}")
    found = read_stat(stat, mode)
    write_atomic(work / RESULT, json.dumps({**asdict(found), "bram": found.bram}, indent=1, sort_keys=True) + "\n")
    return found


def synthesise_bundle(bundle: Path, work: Path) -> Synthesised:
    """Run the bundle's own yosys script on a copy of its rtl/ in `work`; the bundle itself is not touched.

    Leaves the log (yosys_count.log) and synthesised.json in `work`. Raises ToolError if pyosys is missing, if yosys
    refuses the design or hangs, or if the bundle lacks the script.
    """
    script = bundle / "synth" / f"{SCRIPTS['count']}.ys"
    if not script.is_file() or not (bundle / "rtl").is_dir():
        raise ToolError(f"{bundle}: not a bundle (no rtl/ or no synth/{script.name}); emit it again")
    _fresh_copy(bundle / "rtl", work / "rtl")
    _fresh_copy(bundle / "synth", work / "synth")
    return _yosys(work, "count", HANG_S)


def synthesise_rtl(
    rtl: Path, top: str, work: Path, *, mode: Mode = "count", family: str = "7-series", timeout_s: float = HANG_S
) -> Synthesised:
    """As `synthesise_bundle`, for any folder of Verilog and memory contents with top module `top`, and a family of
    devices (nba.boards.FAMILIES); mode `full` is complete synthesis (yosys.log). Raises ToolError also if yosys is not
    done after `timeout_s`."""
    _fresh_copy(rtl, work / "rtl")
    text = environment().get_template(f"synth/{SCRIPTS[mode]}.ys.j2").render(
        version=__version__, design_id="0" * 64, top=top, family=FAMILIES[family],
        rtl_files=sorted(p.name for p in rtl.glob("*.v")),
    )  # fmt: skip
    write_atomic(work / "synth" / f"{SCRIPTS[mode]}.ys", text)
    shutil.copy(assets.root("templates") / "synth" / RUNNER, work / "synth")
    return _yosys(work, mode, timeout_s)
