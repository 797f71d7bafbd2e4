# SPDX-License-Identifier: Apache-2.0
"""Verification starts from the design: whatever in a bundle is not what its design renders to is named and refused,
before anything is simulated, whatever the bundle's own digests and predictions say; and nothing in it is executed."""

from __future__ import annotations

import fnmatch
import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nba.verify as verification
import nba.verify.bundle as checking
from nba.core.errors import DesignError, ToolError
from nba.core.progress import Silent
from nba.core.version import __version__
from nba.emit.bundle import LEFTOVERS, emit_bundle, is_leftover, render_bundle
from nba.emit.interface import Truth
from nba.emit.vectors import default_images
from nba.flow.stages.synth import synthesise
from nba.flow.stages.verify import verify
from nba.verify.bundle import check_bundle
from nba.verify.hls import HlsResult, run_hls
from tests.tiny import tiny_design

pytestmark = pytest.mark.xdist_group("verify-bundle")

FRAMES = 4
Forgery = Callable[[Path], None]


@pytest.fixture(scope="module")
def emitted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of FRAMES frames, whose labels and class names are known."""
    design, weights = tiny_design()
    folder = tmp_path_factory.mktemp("emitted") / "bundle"
    emit_bundle(design, weights, folder, default_images(design, FRAMES), _truth())
    return folder


def _truth() -> Truth:
    last = tiny_design()[0].network.tensors[-1]
    values = last.height * last.width * last.channels
    return Truth(labels=(0, 1 % values, 0, 0), classes=tuple(f"class {i}" for i in range(values)))


@pytest.fixture
def bundle(emitted: Path, tmp_path: Path) -> Path:
    """A copy of it that a test may spoil."""
    return Path(shutil.copytree(emitted, tmp_path / "bundle"))


def _refused(bundle: Path) -> str:
    """Why neither `verify` nor `synth` takes the bundle; neither starts any tool."""
    said = []
    for command in (
        lambda work: verify(bundle, work, {"icarus": 2, "hls": 2}, Silent()),  # type: ignore[arg-type]
        lambda work: synthesise(bundle, work, Silent()),  # type: ignore[arg-type]
    ):
        work = bundle.parent / f"work{len(said)}"
        with pytest.raises(DesignError) as info:
            command(work)
        assert not work.exists()
        said.append(str(info.value))
    assert said[0] == said[1]
    return said[0]


def _edit(path: Path, change: Callable[[Any], Any]) -> None:
    value = json.loads(path.read_text())
    path.write_text(json.dumps(change(value), indent=1, sort_keys=True) + "\n")


def rehashed(bundle: Path) -> None:
    """Digests of the files as they are now, in the bundle's manifest."""
    manifest = json.loads((bundle / "manifest.json").read_text())
    for name in manifest["files"]:
        manifest["files"][name] = hashlib.sha256((bundle / name).read_bytes()).hexdigest()
    (bundle / "manifest.json").write_text(json.dumps(manifest, indent=1, sort_keys=True) + "\n")


def _replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_an_untouched_bundle_is_taken(emitted: Path, tmp_path: Path) -> None:
    found = check_bundle(emitted, tmp_path / "copy")
    design, weights = tiny_design()
    assert found.design == design
    assert np.array_equal(found.images, default_images(design, FRAMES))
    assert len(found.outputs) == 1
    copied = {path.relative_to(found.folder): path.read_bytes() for path in found.folder.rglob("*") if path.is_file()}
    assert copied == {path.relative_to(emitted): path.read_bytes() for path in emitted.rglob("*") if path.is_file()}
    rendered = render_bundle(design, weights, default_images(design, FRAMES), _truth())
    assert {path.as_posix() for path in copied} == {*rendered, "manifest.json"}


def _slower(bundle: Path) -> None:
    """Slower Verilog, the prediction that fits it, and digests that fit both."""
    _replace(bundle / "rtl" / "nba_seq.v", "endmodule", "  // slow\nendmodule")

    def later(modes: list[dict[str, Any]]) -> list[dict[str, Any]]:
        for batch in modes[0].values():
            batch["first_output_latency"] += 7
            batch["batch_interval_cycles"] += 1
        return modes

    _edit(bundle / "sim" / "predicted.json", later)
    rehashed(bundle)


def _bundle_json(bundle: Path) -> None:
    _edit(bundle / "bundle.json", lambda info: info | {"interval_cycles": 1})
    rehashed(bundle)


def _vectors(bundle: Path) -> None:
    """Expected outputs that are wrong alike in both files."""
    raw = bytearray((bundle / "hls" / "expected.bin").read_bytes())
    raw[0] ^= 1
    (bundle / "hls" / "expected.bin").write_bytes(bytes(raw))
    rehashed(bundle)


def _other_images(bundle: Path) -> None:
    raw = bytearray((bundle / "hls" / "input.bin").read_bytes())
    raw[0] ^= 1
    (bundle / "hls" / "input.bin").write_bytes(bytes(raw))
    rehashed(bundle)


def _link(bundle: Path) -> None:
    (bundle / "rtl").rename(bundle.parent / "elsewhere")
    (bundle / "rtl").symlink_to(bundle.parent / "elsewhere")


def _planted(name: str) -> Forgery:
    def plant(bundle: Path) -> None:
        (bundle / name).parent.mkdir(parents=True, exist_ok=True)
        (bundle / name).write_text("raise SystemExit")

    return plant


def _fewer(bundle: Path) -> None:
    _edit(bundle / "manifest.json", lambda m: m | {"files": dict(sorted(m["files"].items())[:3])})


def _pipe(bundle: Path) -> None:
    (bundle / "README.md").unlink()
    os.mkfifo(bundle / "README.md")


FORGERIES: dict[str, tuple[Forgery, tuple[str, ...]]] = {
    "slower": (_slower, ("rtl/nba_seq.v: is not what", "sim/predicted.json: is not what", "manifest.json: is not")),
    "empty manifest": (
        lambda b: _edit(b / "manifest.json", lambda m: m | {"files": {}}), ("manifest.json: is not what",)
    ),
    "fewer files": (_fewer, ("manifest.json: is not what",)),
    "fewer files, one gone": (
        lambda b: (_fewer(b), (b / "rtl" / "nba_skid.v").unlink())[0],
        ("manifest.json: is not what", "rtl/nba_skid.v: missing"),
    ),
    "bundle.json": (_bundle_json, ("bundle.json: is not what",)),
    "expected outputs": (_vectors, ("hls/expected.bin: is not what",)),
    "other images": (_other_images, ("vectors/input.hex: is not what",)),
    "labels": (
        lambda b: _edit(b / "interface.json", lambda i: i | {"classes": i["classes"][::-1], "format": 7}),
        ("interface.json: is not what",),
    ),
    "bench": (lambda b: _replace(b / "sim" / "bench.py", "import", "pass\nimport"), ("sim/bench.py: is not what",)),
    "makefile": (lambda b: _replace(b / "Makefile", "sim:", "sim: evil"), ("Makefile: is not what",)),
    "python in sim": (_planted("sim/argparse.py"), ("sim/argparse.py: is not of the bundle",)),
    "python above": (_planted("random.py"), ("random.py: is not of the bundle",)),
    "verilog": (_planted("rtl/nba_more.v"), ("rtl/nba_more.v: is not of the bundle",)),
    "hidden": (_planted(".git/config"), (".git/config: is not of the bundle",)),
    "odd name": (_planted("sim/a\nb\x1b.py"), ("sim/a?b?.py: is not of the bundle",)),
    "folder is a link": (_link, ("rtl: is not of the bundle",)),
    "pipe": (_pipe, ("README.md: is not what",)),
    "weights": (
        lambda b: (b / "weights.npz").write_bytes((b / "weights.npz").read_bytes() + b"\0") and None,
        ("weights.npz",),
    ),
    "design": (lambda b: _edit(b / "design.json", lambda d: d | {"seed": 99}), ("bundle.json: is not what",)),
}  # fmt: skip


@pytest.mark.parametrize("name", FORGERIES)
def test_forgery_is_named(bundle: Path, name: str) -> None:
    forge, named = FORGERIES[name]
    forge(bundle)
    said = _refused(bundle)
    for text in named:
        assert text in said
    assert "nba-codesign emit" in said or "damaged" in said


def test_every_file_is_compared(bundle: Path) -> None:
    """Also where the digests fit: one byte more in any file, one file after the other, is found."""
    for path in sorted(p for p in bundle.rglob("*") if p.is_file()):
        good = path.read_bytes()
        path.write_bytes(good + b"\n")
        with pytest.raises(DesignError):
            check_bundle(bundle, bundle.parent / "copy")
        path.unlink()
        with pytest.raises(DesignError):
            check_bundle(bundle, bundle.parent / "copy")
        path.write_bytes(good)
    check_bundle(bundle, bundle.parent / "copy")


def test_many_strange_files_are_not_all_named(bundle: Path) -> None:
    for i in range(3000):
        (bundle / f"x{i}").touch()
    said = _refused(bundle)
    assert "x0: is not of the bundle" in said
    assert "more" in said
    assert len(said.splitlines()) < 30


@pytest.mark.parametrize(
    "content",
    [b"", b"[" * 100_000, b'{"a":' * 100_000, b"null", b"[]", b"\xff\xfe", b'{"version": 3}', b"{}", b'{"files": 1}'],
)
def test_damaged_manifest(bundle: Path, content: bytes) -> None:
    (bundle / "manifest.json").write_bytes(content)
    assert "manifest.json" in _refused(bundle)


@pytest.mark.parametrize("name", ["a\0b", "../../etc/passwd", "/etc/passwd", chr(0xDCFF), chr(0xD800), "x" * 5000, ""])
def test_hostile_names_in_the_manifest(bundle: Path, name: str) -> None:
    _edit(bundle / "manifest.json", lambda m: m | {"files": m["files"] | {name: "0" * 64}})
    assert re.search(r"manifest\.json: is not what|manifest\.json:\n  - damaged \(the text", _refused(bundle))
    design, weights = tiny_design()
    emit_bundle(design, weights, bundle, default_images(design, FRAMES), _truth())
    check_bundle(bundle, bundle.parent / "copy")


def test_a_manifest_of_brackets_is_replaced(bundle: Path) -> None:
    design, weights = tiny_design()
    (bundle / "manifest.json").write_bytes(b"[" * 100_000)
    emit_bundle(design, weights, bundle, default_images(design, FRAMES), _truth())
    check_bundle(bundle, bundle.parent / "copy")


def test_no_bundle_at_all(tmp_path: Path) -> None:
    assert "holds no manifest.json: not a bundle" in _refused(tmp_path)


@pytest.mark.parametrize("version", ["0.0.9", "99.1.0rc1"])
def test_another_version_is_refused_by_name(bundle: Path, version: str) -> None:
    """That alone is said, whatever else differs, and before the rest is read."""
    _edit(bundle / "manifest.json", lambda m: m | {"version": version})
    (bundle / "design.json").write_text("{")
    said = _refused(bundle)
    assert repr(version) in said
    assert repr(__version__) in said
    assert "is not what" not in said


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"", "holds 0 bytes"), (b"\0", "holds 1 bytes"), (b"\0" * 10_000_000, "legal: at most")],
    ids=["empty", "part of a frame", "too many"],
)
def test_input_frames_are_whole(bundle: Path, content: bytes, said: str) -> None:
    (bundle / "hls" / "input.bin").write_bytes(content)
    assert said in _refused(bundle)


@pytest.mark.parametrize(
    "change",
    [
        lambda i: i | {"vectors": i["vectors"] | {"labels": [0, 1]}},
        lambda i: i | {"vectors": i["vectors"] | {"labels": ["0"] * FRAMES}},
        lambda i: i | {"vectors": i["vectors"] | {"labels": [True] * FRAMES}},
        lambda i: i | {"vectors": i["vectors"] | {"labels": [10**6] * FRAMES}},
        lambda i: i | {"vectors": i["vectors"] | {"labels": [-1] * FRAMES}},
        lambda i: i | {"vectors": None},
        lambda i: i | {"classes": ["a"]},
        lambda i: i | {"classes": "ab"},
        lambda i: i | {"classes": {"a": 1}},
        lambda i: [i],
    ],
    ids=range(10),
)
def test_labels_and_classes_are_checked(bundle: Path, change: Callable[[Any], Any]) -> None:
    _edit(bundle / "interface.json", change)
    said = _refused(bundle)
    assert "labels" in said or "classes" in said or "no object" in said


def test_what_make_leaves_behind_is_taken_and_clean_removes_it(bundle: Path) -> None:
    for pattern in LEFTOVERS:
        path = bundle / pattern.replace("*", "x")
        path.parent.mkdir(parents=True, exist_ok=True)
        if "." in path.name[1:]:
            path.write_text("left")
        else:
            path.mkdir()
            (path / "deep").mkdir()
            (path / "deep" / "file.py").write_text("left")
    check_bundle(bundle, bundle.parent / "copy")
    clean = next(line for line in (bundle / "Makefile").read_text().splitlines() if line.startswith("\trm -rf "))
    assert clean.split()[2:] == list(LEFTOVERS)


def test_leftovers_hide_no_file_of_a_bundle(emitted: Path) -> None:
    names = [path.relative_to(emitted).as_posix() for path in emitted.rglob("*") if path.is_file()]
    assert names
    assert not [name for name in names if is_leftover(name)]
    assert not any(fnmatch.fnmatchcase("rtl", pattern) for pattern in LEFTOVERS)
    assert not is_leftover("hls/lib/x.log")
    assert not is_leftover("x/sim_build")


def test_the_copy_holds_nothing_of_before(emitted: Path, tmp_path: Path) -> None:
    (tmp_path / "copy" / "sim").mkdir(parents=True)
    (tmp_path / "copy" / "sim" / "argparse.py").write_text("raise SystemExit")
    check_bundle(emitted, tmp_path / "copy")
    assert not (tmp_path / "copy" / "sim" / "argparse.py").exists()


def test_another_emitter_of_the_same_version_is_found(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is compared is what this installation renders."""

    def other(*arguments: Any) -> dict[str, bytes]:
        files = render_bundle(*arguments)
        return files | {"rtl/nba_skid.v": files["rtl/nba_skid.v"] + b"// newer\n"}

    monkeypatch.setattr(checking, "render_bundle", other)
    assert "rtl/nba_skid.v: is not what" in _refused(bundle)


def test_a_dishonest_cost_is_refused(tmp_path: Path) -> None:
    design, weights = tiny_design()
    wrong = replace(design, cost=replace(design.cost, interval_cycles=design.cost.interval_cycles + 1))
    with pytest.raises(DesignError, match="interval_cycles"):
        emit_bundle(wrong, weights, tmp_path / "bundle")


@pytest.mark.parametrize("written", [0, 1, 10, 30])
def test_outputs_that_are_missing_do_not_pass_for_equal(written: int, tmp_path: Path) -> None:
    """Of a comparison with nothing, or with one frame for all, numpy finds no difference."""
    network = tiny_design()[0].network
    last = network.tensors[-1]
    program = tmp_path / "csim"
    program.write_text(f'#!/bin/sh\nhead -c {written} /dev/zero > "$2"\n')
    program.chmod(0o755)
    x = default_images(tiny_design()[0], 2)
    with pytest.raises(ToolError, match=rf"csim.out: {written} bytes of output codes for 2 frames, not "):
        run_hls(program, network, x)
    program.write_text(f'#!/bin/sh\nhead -c {2 * last.height * last.width * last.channels} /dev/zero > "$2"\n')
    assert not run_hls(program, network, x).any()


def test_where_there_are_few_images_all_are_compared(
    emitted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A data set may have fewer test images than a spec asks for by default: no reason to fail after the training."""

    def compared(folder: Path, network: object, x: np.ndarray, *others: object) -> HlsResult:
        return HlsResult(images=len(x), by_mode=(0,), seconds=0.0)

    monkeypatch.setattr(verification, "verify_hls", compared)
    with pytest.raises(DesignError, match=f"32 images wanted, but the bundle holds {FRAMES}"):
        verify(emitted, tmp_path, {"hls": 32}, Silent())
    found = verify(emitted, tmp_path, {"hls": 32}, Silent(), at_most=True)
    assert found["bit_exact"] == {"hls": {"images": FRAMES, "mismatches": 0}}
    assert verify(emitted, tmp_path, {"hls": 1}, Silent(), at_most=True)["bit_exact"]["hls"]["images"] == 1


@pytest.mark.parametrize(("every_test", "tests"), [(True, None), (False, ("cycles",))])
def test_verilator_does_the_tests_that_it_is_asked_for(
    every_test: bool, tests: tuple[str, ...] | None, emitted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, tuple[str, ...] | None]] = []

    def simulate(folder: Path, simulator: str, *, frames: tuple[int, ...], work: Path, tests: tuple[str, ...] | None):
        asked.append((simulator, tests))
        raise ToolError("enough")

    monkeypatch.setattr(verification, "simulate_rtl", simulate)
    with pytest.raises(ToolError, match="enough"):
        verify(emitted, tmp_path, {"verilator": 2}, Silent(), every_test=every_test)
    assert asked == [("verilator", tests)]


FALSE = {"lut": 1, "ff": 1, "energy_pj": 1e-9, "power_w": 0.0}


@pytest.mark.parametrize("versions", [(), (("nba-codesign", __version__),)])
@pytest.mark.parametrize("field", FALSE)
def test_false_estimates_are_refused(field: str, versions: tuple[tuple[str, str], ...], tmp_path: Path) -> None:
    """Whether the design names this version or none."""
    design, weights = tiny_design()
    honest = getattr(design.cost, field)
    wrong = replace(design, cost=replace(design.cost, **{field: FALSE[field]}), versions=versions)
    said = f"cost.{field}: is {FALSE[field]}, but the estimate of this version is {honest}"
    with pytest.raises(DesignError, match=re.escape(said)):
        emit_bundle(wrong, weights, tmp_path / "bundle")
    assert not (tmp_path / "bundle" / "design.json").exists()


def test_estimates_of_older_versions_stand_and_newer_versions_do_not() -> None:
    design, weights = tiny_design()
    wrong = replace(design, cost=replace(design.cost, lut=1))
    assert render_bundle(replace(wrong, versions=(("nba-codesign", "0.0.9"),)), weights)["design.json"]
    for version in ("9.9.9", "0.1.1", "0.1", "x" * 100, "-1.0.0"):
        named = replace(design, versions=(("nba-codesign", version),))
        said = f"versions: nba-codesign is {version[:40]!r}; legal: {__version__!r}, which this is, or an older version"
        with pytest.raises(DesignError, match=re.escape(said)):
            render_bundle(named, weights)


def test_power_is_that_at_the_clock_of_the_design() -> None:
    """A budget may ask for a lower clock than that of the board."""
    design, weights = tiny_design()
    half = replace(design.cost, power_w=design.cost.power_w / 2)
    slower = replace(design, clock_mhz=design.clock_mhz / 2, cost=half)
    assert render_bundle(slower, weights)["design.json"]
    with pytest.raises(DesignError, match=r"cost\.power_w: is "):
        render_bundle(replace(slower, cost=design.cost), weights)
