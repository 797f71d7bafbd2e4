# SPDX-License-Identifier: Apache-2.0
"""The bundle: everything that a design becomes, in one folder that stands alone."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, fields, replace
from fnmatch import fnmatchcase
from math import isclose
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np

from nba.boards import Platform
from nba.boards import get as get_platform
from nba.core import assets
from nba.core.errors import DesignError
from nba.core.files import write_atomic_bytes
from nba.core.jsonfile import read_json
from nba.core.version import __version__
from nba.emit.env import environment
from nba.emit.hls import render_hls, vector_files
from nba.emit.interface import NAME as INTERFACE
from nba.emit.interface import Truth, interface
from nba.emit.memories import hex_lines, image_bytes, other_weights, weight_image
from nba.emit.names import IMAGE, IMAGE_ALIGNMENT, OTHER_WEIGHTS, expected_name, identifier
from nba.emit.predicted import predicted_cycles, recurrence_source, recurrence_tables
from nba.emit.registers import register_map, render_registers
from nba.emit.rtl import render_rtl
from nba.emit.vectors import default_images, stream_bytes
from nba.ir.accelerator import WeightMemory
from nba.ir.design import EXACT, Cost, Design
from nba.ir.network import Weights
from nba.ir.reference import run
from nba.machine.design_file import weights_bytes
from nba.machine.program import Program, design_programs
from nba.machine.resources import predict
from nba.machine.total import exact_cost, mode_cost, slowest_mode

FRAMES = 32
"""Input frames that a bundle carries."""
FRAME_COUNTS = (2, 8, 16, 32)
"""Batch sizes for which the bundle holds predicted cycles, besides that of all its images."""
MANIFEST = "manifest.json"
"""Every bundle holds it, written last: version, design and the sha256 of every file."""
LEFTOVERS = (
    "sim_build", "sim/__pycache__", "synth/*.log", "synth/*.jou", "synth/yosys*.json", "synth/yosys_netlist.v",
    "synth/vivado", "synth/.Xil", "hls/csim.exe", "hls/output.bin", "hls/project", "hls/*.log",
)  # fmt: skip
"""What the bundle's own `make` and scripts leave in it. `make clean` removes exactly these, and they alone may lie in a
bundle besides the files that were emitted."""


def is_leftover(path: str) -> bool:
    """Whether a file or folder of a bundle (relative, with `/`) is one of LEFTOVERS or lies in one."""
    parts = PurePosixPath(path).parts
    for pattern in LEFTOVERS:
        wanted = pattern.split("/")
        if len(parts) >= len(wanted) and all(map(fnmatchcase, parts, wanted)):
            return True
    return False


def _json(value: object) -> str:
    return json.dumps(value, indent=1, sort_keys=True) + "\n"


def _second_image(program: Program, memory: WeightMemory) -> int:
    """Byte address of the other image in the memory of the bench, behind the first."""
    return -(-program.image_beats * memory.bus_bits // 8 // IMAGE_ALIGNMENT) * IMAGE_ALIGNMENT


def _memory_json(program: Program, memory: WeightMemory) -> dict[str, int]:
    return {
        "bus_bits": memory.bus_bits,
        "latency_cycles": memory.latency,
        "burst_beats": memory.burst,
        "image_bytes": program.image_beats * memory.bus_bits // 8,
        "other_image": _second_image(program, memory),
    }


def _bundle_json(design: Design, program: Program, top: str) -> dict[str, object]:
    latency, interval = design.cost.first_output_latency_cycles, design.cost.interval_cycles
    first, last = design.network.tensors[0], design.network.tensors[-1]
    names = [layer.name for layer in design.network.layers]
    modes = {"modes": [mode._asdict() for mode in mode_bits(design)]} if design.modes else {}
    return {
        **modes,
        **({"memory": _memory_json(program, program.memory)} if program.memory is not None else {}),
        "format": 1,
        "version": __version__,
        "design_id": design.id,
        "name": design.name,
        "top": top,
        "platform": design.platform,
        "clock_mhz": design.clock_mhz,
        "code_bytes": program.code_bits // 8,
        "in": {
            "lanes": program.in_lanes,
            "columns": program.in_cols,
            "height": first.height,
            "width": first.width,
            "channels": first.channels,
        },
        "out": {
            "lanes": program.out_lanes,
            "columns": program.out_cols,
            "height": last.height,
            "width": last.width,
            "channels": last.channels,
        },
        "latency_cycles": latency,
        "interval_cycles": interval,
        "timeout_cycles": 40 * (latency + interval) + 20_000,
        "stages": [chunk.last_stage for chunk in program.chunks],
        "jobs": [[{"layer": job.layer, "name": names[job.layer]} for job in chunk.jobs] for chunk in program.chunks],
    }


class ModeBits(NamedTuple):
    """Bits that the multipliers see of activations and weights in one mode, layer by layer."""

    act_bits: tuple[int, ...]
    weight_bits: tuple[int, ...]


def mode_bits(design: Design) -> tuple[ModeBits, ...]:
    """The bits of every mode of `design`."""
    return tuple(
        ModeBits(
            act_bits=tuple(layer.act_bits for layer in network.layers),
            weight_bits=tuple(layer.weight_bits for layer in network.layers),
        )
        for network in design.networks
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Mode:
    """A row of the table of modes: bits, and speed by the exact schedule of that mode."""

    bits: ModeBits
    latency_cycles: int
    interval_cycles: int
    slowest: bool


def _modes(design: Design, programs: tuple[Program, ...], platform: Platform) -> tuple[_Mode, ...]:
    slowest = slowest_mode(programs)
    costs = [mode_cost(program, platform) for program in programs]
    return tuple(
        _Mode(
            bits=bits, latency_cycles=cost.first_output_latency_cycles, interval_cycles=cost.interval_cycles,
            slowest=mode == slowest,
        )
        for mode, (bits, cost) in enumerate(zip(mode_bits(design), costs, strict=True))
    )  # fmt: skip


_ESTIMATES = tuple(field.name for field in fields(Cost) if field.name not in EXACT)
_CLOSE = 1e-9
"""Share by which an estimate that is no whole number may differ on another processor."""


def _check_cost(design: Design, programs: tuple[Program, ...], platform: Platform) -> None:
    """Raise DesignError unless the design promises what the models give: cycles and blocks of any version, estimates of
    this one (those of an older version had another calibration)."""
    found = exact_cost(programs, replace(platform, clock_mhz=design.clock_mhz))
    wrong = [
        f"cost.{name}: is {getattr(design.cost, name)}, but the exact models give {getattr(found, name)}"
        for name in EXACT
        if getattr(design.cost, name) != getattr(found, name)
    ]
    named = dict(design.versions).get("nba-codesign", __version__)
    if named == __version__:
        wrong += [
            f"cost.{name}: is {getattr(design.cost, name)}, but the estimate of this version is {getattr(found, name)}"
            for name in _ESTIMATES
            if not isclose(getattr(design.cost, name), getattr(found, name), rel_tol=_CLOSE)
        ]
    elif not _is_older(named):
        wrong.append(
            f"versions: nba-codesign is {named[:40]!r}; legal: {__version__!r}, which this is, or an older version"
        )
    if wrong:
        raise DesignError(f"design {design.id[:12]}", [*wrong, "map the network again, or correct the design"])


def _is_older(version: str) -> bool:
    """Whether a version, three numbers, is before this one."""
    given, this = (re.fullmatch(r"(\d{1,9})\.(\d{1,9})\.(\d{1,9})", text, re.ASCII) for text in (version, __version__))
    return given is not None and this is not None and [*map(int, given.groups())] < [*map(int, this.groups())]


def _context(
    design: Design, programs: tuple[Program, ...], platform: Platform, counts: list[int], n_frames: int,
    text: dict[str, str],
) -> dict[str, object]:  # fmt: skip
    """What the templates of sim/, synth/ and bundle/ name; text: the hardware files that the scripts list."""
    program = programs[0]
    return {
        "version": __version__,
        "design_id": design.id,
        "design": design,
        "name": design.name,
        "top": identifier(design.name),
        "part": platform.part,
        "family": platform.family,
        "clock_mhz": design.clock_mhz,
        "rtl_files": sorted(p.removeprefix("rtl/") for p in text if p.startswith("rtl/") and p.endswith(".v")),
        "memory_files": sorted(p.removeprefix("rtl/") for p in text if p.endswith(".mem")),
        "n_chunks": len(program.chunks),
        "in_bits": program.in_cols * program.in_lanes * program.code_bits,
        "out_bits": program.out_cols * program.out_lanes * program.code_bits,
        "program": program,
        "memory_beats": 0
        if program.memory is None
        else _second_image(program, program.memory) * 8 // program.memory.bus_bits + program.image_beats,
        "resources": predict(program, platform),
        "frame_counts": counts,
        "modes": _modes(design, programs, platform) if design.modes else (),
        "leftovers": LEFTOVERS,
        "n_frames": n_frames,
        "registers": register_map().of(len(design.networks), program.memory is not None),
        "counters": register_map().counters,
    }


def _scripts(context: dict[str, object]) -> dict[str, str]:
    """relative path -> text of what the templates of sim/, synth/ and bundle/ give, and of the scripts beside them."""
    text: dict[str, str] = {}
    env, templates = environment(), assets.root("templates")
    for folder in ("sim", "synth", "bundle"):
        for path in sorted((templates / folder).glob("*.j2")):
            target = path.name.removesuffix(".j2")
            target = target if folder == "bundle" else f"{folder}/{target}"
            text[target] = env.get_template(f"{folder}/{path.name}").render(context)
    for path in sorted((templates / "synth").glob("*.py")):
        text[f"synth/{path.name}"] = path.read_text(encoding="utf-8")
    for name in ("bench.py", "control.py", "host.py", "registers.py", "run_sim.py"):
        text[f"sim/{name}"] = (assets.root("sim") / name).read_text(encoding="utf-8")
    return text


def _external_memory(
    design: Design, program: Program, memory: WeightMemory, weights: Weights, x: np.ndarray
) -> dict[str, str]:
    """relative path -> text of the external memory of the bench: its contents, the image of weights and behind it
    another one, and what `x` becomes with that."""
    other = other_weights(program, weights)
    images = [weight_image(program, design.network.layers, one) for one in (weights, other)]
    between = [0] * (_second_image(program, memory) * 8 // memory.bus_bits - len(images[0]))
    y = run(*design.mode(0, other), x)
    frames = stream_bytes(y, program.out_cols, program.out_lanes, program.code_bits)
    return {
        "sim/nba_memory.v": (assets.root("templates") / "sim" / "nba_memory.v").read_text(encoding="utf-8"),
        "vectors/weights.mem": hex_lines([*images[0], *between, *images[1]], memory.bus_bits),
        f"vectors/{OTHER_WEIGHTS}": "".join(f"{f.hex()}\n" for f in frames),
    }


def render_bundle(
    design: Design, weights: Weights, images: np.ndarray | None = None, truth: Truth | None = None
) -> dict[str, bytes]:
    """relative path -> content of every file of the bundle, its manifest left out.

    images: input codes [B, H, W, C], B; random codes if None. truth: their labels and the names of the classes, where
    they are known. The design must have passed nba.machine.check.check_design. A pure function: the same arguments
    give the same bytes, and what nba.verify.bundle compares a bundle with.
    Raises DeadlockError if the design's schedule cannot finish, DesignError if its cost is not the exact one or if the
    labels do not fit it.
    """
    programs = design_programs(design.network, design.accelerator, design.modes)
    program = programs[0]
    platform = get_platform(design.platform, design.board)
    _check_cost(design, programs, platform)
    top = identifier(design.name)
    x = default_images(design, FRAMES) if images is None else images
    outputs = [run(*design.mode(m, weights), x) for m in range(len(design.networks))]
    counts = sorted({*(n for n in FRAME_COUNTS if n < len(x)), len(x)})
    predicted = [{str(n): predicted_cycles(design.network, of_mode, n) for n in counts} for of_mode in programs]

    text: dict[str, str] = render_rtl(design, weights, top, programs)
    text |= render_hls(design, weights, top=f"{top}_hls", part=platform.part)
    image = image_bytes(program, design.network.layers, weights)
    text |= render_registers(design, program, image)
    text |= _scripts(_context(design, programs, platform, counts, len(x), text))
    text["sim/recurrence.py"] = recurrence_source()
    text["sim/predicted.json"] = _json(predicted)
    text["sim/schedule.json"] = json.dumps([recurrence_tables(of_mode) for of_mode in programs]) + "\n"
    text["bundle.json"] = _json(_bundle_json(design, program, top))
    text[INTERFACE] = _json(interface(design, program, truth or Truth(), len(x), image))
    text["design.json"] = json.dumps(design.document(), sort_keys=True, indent=1) + "\n"
    bits = program.code_bits
    sent, received = (
        stream_bytes(x, program.in_cols, program.in_lanes, bits),
        (program.out_cols, program.out_lanes, bits),
    )
    if program.memory is not None:
        text |= _external_memory(design, program, program.memory, weights, x)
    text["vectors/input.hex"] = "".join(f"{f.hex()}\n" for f in sent)
    for m, y in enumerate(outputs):
        frames = stream_bytes(y, *received)
        text[f"vectors/{expected_name(m, 'hex')}"] = "".join(f"{f.hex()}\n" for f in frames)

    files = {path: body.encode("utf-8") for path, body in text.items()}
    files |= vector_files(design.network, x, *outputs)
    if program.memory is not None:
        files[IMAGE] = image
    files["weights.npz"] = weights_bytes(weights, len(design.network.layers))
    return files


def manifest_bytes(design: Design, files: dict[str, bytes]) -> bytes:
    """manifest.json of a bundle with these files: the sha256 of each."""
    digests = {path: hashlib.sha256(body).hexdigest() for path, body in sorted(files.items())}
    return _json({"design_id": design.id, "version": __version__, "files": digests}).encode()


def emit_bundle(
    design: Design, weights: Weights, folder: Path, images: np.ndarray | None = None, truth: Truth | None = None
) -> Path:
    """Write the bundle of `design` into `folder` and return its manifest's path.

    Files whose content is already right are not touched; files of an earlier bundle that this one lacks are removed.
    manifest.json (sha256 of every file) is written last: a folder without it is not a bundle.
    """
    files = render_bundle(design, weights, images, truth)
    manifest = folder / MANIFEST
    content = manifest_bytes(design, files)
    stale = _listed(manifest) - set(files)
    if manifest.is_file() and manifest.read_bytes() != content:
        manifest.unlink()
    for path in sorted(stale):
        _remove(folder, path)
    for path, body in sorted(files.items()):
        write_atomic_bytes(folder / path, body)
    write_atomic_bytes(manifest, content)
    return manifest


def _listed(manifest: Path) -> set[str]:
    """The files that an earlier bundle's manifest names; none if it is missing, damaged or names what is no path."""
    try:
        return set(read_json(manifest)["files"])
    except (OSError, ValueError, KeyError, TypeError):
        return set()


def _remove(folder: Path, name: str) -> None:
    """Remove a file of an earlier bundle, where `name` is that of one: a damaged manifest may hold any text."""
    target = folder / name
    try:
        if target.parent.resolve().is_relative_to(folder.resolve()) and (target.is_file() or target.is_symlink()):
            target.unlink()
    except (OSError, ValueError):
        return
