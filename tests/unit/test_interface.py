# SPDX-License-Identifier: Apache-2.0
"""What a bundle says to a user who has nothing else: interface.json alone is enough to send the frames and to read the
results; ports that Vivado recognises; scripts that find yosys or say what to install."""

from __future__ import annotations

import json
import os
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nba.core.errors import DesignError, NbaError
from nba.core.sources import digest_tree
from nba.core.tools import require_tool, run_tool
from nba.emit.bundle import emit_bundle, render_bundle
from nba.emit.interface import Truth
from nba.emit.vectors import default_images
from nba.flow.artifacts import load_classes, save_images
from nba.flow.stages.emit import emit
from nba.ir.reference import image_codes, run
from nba.machine.design_file import save_design
from tests.modes import modes_case
from tests.strategies import NetworkLimits
from tests.tiny import tiny_design


def _received(text: str, port: dict[str, Any]) -> np.ndarray:
    """Codes [B, H, W, C] in the lines of vectors/*.hex, by what interface.json says and nothing else."""
    stream = port["stream"]
    kind = f"<{'i' if port['signed'] else 'u'}{stream['code_bytes']}"
    frames = []
    for line in text.split():
        codes = iter(np.frombuffer(bytes.fromhex(line), kind))
        frame = np.full((port["height"], port["width"], port["channels"]), 10**9)
        for row in range(port["height"]):
            for column in range(0, port["width"], stream["columns"]):
                for word in range(0, port["channels"], stream["lanes"]):
                    for x in range(column, column + stream["columns"]):
                        for channel in range(word, word + stream["lanes"]):
                            code = next(codes)
                            if x < port["width"] and channel < port["channels"]:
                                frame[row, x, channel] = code
        assert next(codes, None) is None
        assert stream["beats_per_frame"] * stream["beat_bits"] == 4 * len(line)
        frames.append(frame)
    return np.array(frames)


@pytest.mark.parametrize(("seed", "n_modes", "bits"), [(0, 1, 8), (1, 2, 8), (2, 3, 8), (3, 1, 16), (4, 2, 16)])
def test_a_driver_needs_nothing_but_interface_json(seed: int, n_modes: int, bits: int) -> None:
    design, weights, images = modes_case(seed, n_modes, NetworkLimits(bits=bits) if bits == 16 else None)
    files = render_bundle(design, weights, images)
    about = json.loads(files["interface.json"])
    assert about["design_id"] == design.id
    assert (about["input"]["bits"], about["output"]["bits"]) == (bits, bits)
    sent = files[about["vectors"]["input"]].decode()
    assert np.array_equal(_received(sent, about["input"]), images)
    assert len(about["vectors"]["expected"]) == n_modes
    for m, name in enumerate(about["vectors"]["expected"]):
        wanted = run(*design.mode(m, weights), images)
        assert np.array_equal(_received(files[name].decode(), about["output"]), wanted)
    assert about["vectors"] | {"input": 0, "expected": 0} == {
        "frames": len(images), "input": 0, "expected": 0, "labels": None, "what": "codes without labels",
    }  # fmt: skip


def test_scales_are_those_of_every_mode() -> None:
    design, weights, images = modes_case(1, 2)
    tensors = design.modes[0].tensors
    other = replace(design.modes[0], tensors=(*tensors[:-1], replace(tensors[-1], scale=0.25)))
    found = json.loads(render_bundle(replace(design, modes=(other,)), weights, images)["interface.json"])
    last = design.network.tensors[-1]
    assert found["output"]["modes"] == [
        {"scale": last.scale, "zero_point": last.zero_point},
        {"scale": 0.25, "zero_point": tensors[-1].zero_point},
    ]


@pytest.mark.parametrize(("bits", "text"), [(8, "code = pixel"), (16, "code = pixel << 8")])
def test_pixels_become_codes_as_the_file_says(bits: int, text: str) -> None:
    for seed in range(50):
        design, weights, images = modes_case(seed, 1, NetworkLimits(bits=bits) if bits == 16 else None)
        first = design.network.tensors[0]
        said = json.loads(render_bundle(design, weights, images)["interface.json"])["input"]["pixel_of_8_bits"]
        if first.signed or first.zero_point:
            assert said is None
            continue
        assert said == text
        pixels = np.arange(256, dtype=np.uint8)
        codes = image_codes(design.network, pixels)
        assert codes.tolist() == [eval(text.removeprefix("code = "), {"pixel": int(pixel)}) for pixel in pixels]
        return
    raise AssertionError("no such design was drawn")


def _saved(folder: Path) -> tuple[Path, tuple[str, ...], np.ndarray]:
    """The tiny design with ten labelled images beside it."""
    design, weights = tiny_design()
    save_design(design, weights, folder)
    images = default_images(design, 10)
    last = design.network.tensors[-1]
    classes = tuple(f"klass \u00e9 {i}" for i in range(last.height * last.width * last.channels))
    save_images(images, np.arange(10) % len(classes), classes, folder)
    return folder / "design.json", classes, images


def test_labels_and_classes_come_from_the_run(tmp_path: Path) -> None:
    (tmp_path / "design").mkdir()
    design, classes, images = _saved(tmp_path / "design")
    emit(design, tmp_path / "bundle", 4)
    about = json.loads((tmp_path / "bundle" / "interface.json").read_text())
    assert about["classes"] == list(classes)
    assert about["vectors"]["labels"] == [i % len(classes) for i in range(4)]
    assert about["vectors"]["what"] == "the first images of the data set's test part, in order"
    sent = (tmp_path / "bundle" / "vectors" / "input.hex").read_text()
    assert np.array_equal(_received(sent, about["input"]), images[:4])
    (tmp_path / "design" / "classes.json").unlink()
    emit(design, tmp_path / "other", 4)
    assert json.loads((tmp_path / "other" / "interface.json").read_text())["classes"] is None


def test_a_bundle_makes_itself_again(tmp_path: Path) -> None:
    """From the files in it alone, with its images, labels and class names, by the command that its README shows."""
    (tmp_path / "design").mkdir()
    design, _, images = _saved(tmp_path / "design")
    emit(design, tmp_path / "bundle", 6)
    assert "design.json -o NEW --images 6`" in (tmp_path / "bundle" / "README.md").read_text()
    emit(tmp_path / "bundle" / "design.json", tmp_path / "again", 6)
    assert digest_tree(tmp_path / "again") == digest_tree(tmp_path / "bundle")
    emit(tmp_path / "bundle" / "design.json", tmp_path / "fewer", 3)
    about = json.loads((tmp_path / "fewer" / "interface.json").read_text())
    assert np.array_equal(_received((tmp_path / "fewer/vectors/input.hex").read_text(), about["input"]), images[:3])
    assert len(about["vectors"]["labels"]) == 3


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b"[" * 100_000, b"\xff"])
def test_a_damaged_list_of_classes_is_named(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "classes.json").write_bytes(content)
    with pytest.raises(NbaError, match=r"classes\.json"):
        load_classes(tmp_path / "classes.json")


@pytest.mark.parametrize(
    ("truth", "said"),
    [
        (Truth(labels=(0,)), "labels: 1, but there are 2 frames"),
        (Truth(labels=(0, 10**6)), "labels: 1000000 is no class"),
        (Truth(labels=(0, -1)), "labels: -1 is no class"),
        (Truth(classes=("a",) * 1000), "classes: 1000 names"),
    ],
)
def test_labels_that_do_not_fit_are_refused(truth: Truth, said: str) -> None:
    design, weights = tiny_design()
    with pytest.raises(DesignError, match=said):
        render_bundle(design, weights, default_images(design, 2), truth)


def test_ports_carry_the_interfaces_of_vivado() -> None:
    files = render_bundle(*tiny_design(), None)
    top = files["rtl/nba_tiny.v"].decode()
    found: dict[str, dict[str, str]] = {}
    for attributes, name in re.findall(
        r"((?:  \(\* .* \*\)\n)*)  (?:input|output)\s+wire\s+(?:\[\d+:0\] )?(\w+);", top
    ):
        found[name] = dict(re.findall(r'\(\* (\w+) = "([^"]*)" \*\)', attributes))
    assert list(found) == re.search(r"module nba_tiny \(\n([^)]*)\n\);", top)[1].replace(",", "").split()  # type: ignore[index]
    clock = "ASSOCIATED_BUSIF s_axis:m_axis:s_axil, ASSOCIATED_RESET rst"
    assert found.pop("clk") == {
        "X_INTERFACE_INFO": "xilinx.com:signal:clock:1.0 clk CLK", "X_INTERFACE_PARAMETER": clock,
    }  # fmt: skip
    assert found.pop("rst") == {
        "X_INTERFACE_INFO": "xilinx.com:signal:reset:1.0 rst RST", "X_INTERFACE_PARAMETER": "POLARITY ACTIVE_HIGH",
    }  # fmt: skip
    kinds = {"s_axis": "axis", "m_axis": "axis", "s_axil": "aximm"}
    for name, attributes in found.items():
        bus, _, signal = name.rpartition("_")
        wanted = (
            {"X_INTERFACE_INFO": f"xilinx.com:interface:{kinds[bus]}:1.0 {bus} {signal.upper()}"}
            if bus in kinds
            else {}
        )
        assert attributes == wanted, name
    assert {name.rpartition("_")[0] for name in found} >= set(kinds)


def test_memories_are_files_that_vivado_knows() -> None:
    files = render_bundle(*tiny_design(), None)
    memories = sorted(
        name.removeprefix("rtl/") for name in files if name.startswith("rtl/") and not name.endswith(".v")
    )
    assert memories
    assert all(name.endswith(".mem") for name in memories)
    assert all(f"  {name}\n" in files["synth/vivado.tcl"].decode() for name in memories)
    read = set(re.findall(r'"(\w+\.\w+)"', files["rtl/nba_tiny.v"].decode()))
    assert read == set(memories)


def test_the_hls_says_what_it_is() -> None:
    text = render_bundle(*tiny_design(), None)["hls/README.md"].decode()
    for said in ("The same integers.", "Synthesisable.", "Not the cycles of the Verilog."):
        assert said in text


# ---- make synth, with fake tools

YOSYS = """#!/bin/sh
echo "$@" > "$FAKE_LOG"
pwd >> "$FAKE_LOG"
script="$3"
echo "$FAKE_STAT" > "${script%.ys}.json"
"""
PYOSYS = """
import os
class Design: pass
def run_pass(line, design):
    assert isinstance(design, Design)
    with open(os.environ["FAKE_LOG"], "w") as handle:
        handle.write(f"{line}\\n{os.getcwd()}\\n")
    with open(line.split()[-1].removesuffix(".ys") + ".json", "w") as handle:
        handle.write(os.environ["FAKE_STAT"])
"""


def _stat(dsp: int = 0, bram18: int = 0) -> str:
    """Statistics of a netlist that uses what tiny_design predicts, and so much more."""
    cost = tiny_design()[0].cost
    large, small = divmod(int(2 * cost.bram) + bram18, 2)
    cells = {"DSP48E1": cost.dsp + dsp, "RAMB36E1": large, "RAMB18E1": small}
    return json.dumps({"design": {"num_cells_by_type": {**{k: n for k, n in cells.items() if n}, "LUT6": 7}}})


@pytest.fixture
def emitted(tmp_path: Path) -> Path:
    emit_bundle(*tiny_design(), tmp_path / "bundle")
    return tmp_path / "bundle"


def _make_synth(
    bundle: Path, *variables: str, yosys: bool, pyosys: bool, more: str = "", stat: str | None = None
) -> tuple[int, str, str]:  # fmt: skip
    """`make synth` of a bundle: exit status, what it printed, and what the fake tool was asked for and where. stat: the
    statistics that the tool writes."""
    tools, packages, log = (bundle.parent / name for name in ("tools", "packages", "log"))
    tools.mkdir()
    for tool in ("make", "sh"):
        (tools / tool).symlink_to(require_tool(tool))
    (tools / "python3").write_text(f'#!/bin/sh\nexec "{sys.executable}" -S "$@"\n')
    (tools / "python3").chmod(0o755)
    for name in ["yosys"] * yosys + [more] * bool(more):
        (tools / name).write_text(YOSYS)
        (tools / name).chmod(0o755)
    if pyosys:
        (packages / "pyosys").mkdir(parents=True)
        (packages / "pyosys" / "__init__.py").touch()
        (packages / "pyosys" / "libyosys.py").write_text(PYOSYS)
    env = {"PATH": str(tools), "PYTHONPATH": str(packages), "FAKE_LOG": str(log), "HOME": os.environ.get("HOME", "/")}
    env["FAKE_STAT"] = _stat() if stat is None else stat
    command = ["make", "synth", *([f"YOSYS={more}"] if more else []), *variables]
    done = run_tool(command, cwd=bundle, env=env, check=False)
    return done.returncode, done.output, log.read_text() if log.exists() else ""


def test_make_synth_takes_the_program(emitted: Path) -> None:
    status, _, asked = _make_synth(emitted, yosys=True, pyosys=True)
    assert (status, asked) == (0, f"-l yosys.log yosys.ys\n{emitted / 'synth'}\n")


def test_make_synth_takes_the_package_where_there_is_no_program(emitted: Path) -> None:
    status, _, asked = _make_synth(emitted, yosys=False, pyosys=True)
    assert (status, asked) == (0, f"tee -o yosys.log script yosys.ys\n{emitted / 'synth'}\n")


def test_make_synth_takes_the_program_that_is_named(emitted: Path) -> None:
    status, _, asked = _make_synth(emitted, yosys=True, pyosys=True, more="yosys-0.70")
    assert (status, asked) == (0, f"-l yosys.log yosys.ys\n{emitted / 'synth'}\n")


def test_make_synth_of_another_script(emitted: Path) -> None:
    status, _, asked = _make_synth(emitted, "SCRIPT=yosys_count.ys", yosys=True, pyosys=False)
    assert (status, asked) == (0, f"-l yosys_count.log yosys_count.ys\n{emitted / 'synth'}\n")


@pytest.mark.parametrize("script", ["yosys.ys", "yosys_count.ys"])
def test_make_synth_compares_with_the_prediction(script: str, emitted: Path) -> None:
    status, said, _ = _make_synth(emitted, f"SCRIPT={script}", yosys=True, pyosys=False)
    cost = tiny_design()[0].cost
    assert status == 0
    assert f"DSP48E1: predicted {cost.dsp}, synthesised {cost.dsp}: =\n" in said
    assert f"block RAM (36 Kbit): predicted {cost.bram:g}, synthesised {cost.bram:g}: =\nPASSED\n" in said


def test_make_synth_knows_the_blocks_of_both_families(emitted: Path) -> None:
    stat = re.sub(r"(DSP48|RAMB36|RAMB18)E1", r"\1E2", _stat(dsp=1))
    assert stat != _stat(dsp=1)
    status, said, _ = _make_synth(emitted, yosys=True, pyosys=False, stat=stat)
    cost = tiny_design()[0].cost
    assert f"DSP48E2: predicted {cost.dsp}, synthesised {cost.dsp + 1}: DIFFERS\n" in said
    assert f"block RAM (36 Kbit): predicted {cost.bram:g}, synthesised {cost.bram:g}: =\nFAILED\n" in said
    assert status == 2


@pytest.mark.parametrize("package", [False, True])
@pytest.mark.parametrize(
    ("stat", "message"),
    [
        (_stat(dsp=1), "DSP48E1: predicted {0.dsp}, synthesised {more_dsp}: DIFFERS"),
        (_stat(bram18=1), "block RAM (36 Kbit): predicted {0.bram:g}, synthesised {more_bram:g}: DIFFERS"),
        ("{}", "cannot be compared (KeyError('design'))"),
        ("", "cannot be compared (JSONDecodeError("),
        ("[]", "cannot be compared (TypeError("),
    ],
)
def test_make_synth_fails_where_the_netlist_is_another(stat: str, message: str, package: bool, emitted: Path) -> None:
    status, said, _ = _make_synth(emitted, yosys=not package, pyosys=package, stat=stat)
    cost = tiny_design()[0].cost
    assert status == 2, "make's own status for a command that failed"
    assert message.format(cost, more_dsp=cost.dsp + 1, more_bram=cost.bram + 0.5) in said
    assert "PASSED" not in said
    assert "Traceback" not in said


def test_make_synth_says_what_to_install(emitted: Path) -> None:
    status, said, asked = _make_synth(emitted, yosys=False, pyosys=False)
    assert status == 2
    assert "pip install pyosys" in said
    assert "Traceback" not in said
    assert asked == ""


def test_make_synth_knows_its_scripts(emitted: Path) -> None:
    done = run_tool(
        [sys.executable, "run_yosys.py", "other.ys"], cwd=emitted / "synth", check=False
    )  # fmt: skip
    assert done.returncode == 2
    assert "there is yosys.ys, yosys_count.ys" in done.output
