# SPDX-License-Identifier: Apache-2.0
"""The bundle as files: the same bytes every time, safe under any name, nothing stale."""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import pytest

from nba.core.tools import run_tool
from nba.emit.bundle import emit_bundle, render_bundle
from nba.emit.env import COMMENT_CHARS, comment
from nba.emit.names import identifier
from nba.emit.vectors import default_images
from nba.ir.design import Design
from tests.tiny import tiny_design

ROOT = Path(__file__).resolve().parents[2]
LIB = ROOT / "templates" / "rtl" / "lib"
HOSTILE = (
    "module",
    "class",
    'say "hi"',
    "`include /etc/passwd",
    "a\nendmodule\nb",
    "../../escape",
    "/absolute",
    "größe 日本語 \U0001f600",
    "",
    "x" * 5000,
    "*/ int evil; /*",
    "??/\n??=",
    "back\\",
    "$(rm -rf x)",
    "{{ name }}{% raw %}",
    "\x00\x1b[31m\r\t",
    "ring",
    "Chunk",
    "tb",
    "9lives",
    "\udcff",
)


@lru_cache(maxsize=1)
def _rendered() -> dict[str, bytes]:
    return render_bundle(*tiny_design())


def _named(name: str, layers: str | None) -> Design:
    """The tiny design under another name; its layers are called `layers` too, or layer_0, layer_1, ..."""
    design, _ = tiny_design()
    renamed = [
        replace(layer, name=f"layer_{i}" if layers is None else layers) for i, layer in enumerate(design.network.layers)
    ]
    return replace(design, name=name, network=replace(design.network, name=name, layers=tuple(renamed)))


def _digest(files: dict[str, bytes]) -> str:
    total = hashlib.sha256()
    for path in sorted(files):
        total.update(f"{path}\n{hashlib.sha256(files[path]).hexdigest()}\n".encode())
    return total.hexdigest()


def test_same_design_same_bytes() -> None:
    assert _rendered() == render_bundle(*tiny_design())


def test_same_bytes_in_another_process(tmp_path: Path) -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from tests.unit.test_emit import _digest, _rendered\n"
        "print(_digest(_rendered()))\n"
    )
    for seed in ("1", "4711"):
        env = {**os.environ, "PYTHONHASHSEED": seed, "LC_ALL": "C", "TZ": "Pacific/Auckland"}
        done = run_tool([sys.executable, "-c", code, str(ROOT)], cwd=tmp_path, env=env)
        assert done.output.split()[-1] == _digest(_rendered())


def test_another_seed_gives_other_bytes() -> None:
    assert _digest(render_bundle(*tiny_design(4))) != _digest(_rendered())


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_identifier(name: str) -> None:
    top = identifier(name)
    assert re.fullmatch(r"nba_[A-Za-z0-9_]*[A-Za-z0-9]", top)
    assert len(top) <= 60
    assert not (LIB / f"{top.lower()}.v").exists()
    assert top.lower() != "nba_tb"


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_comment(name: str) -> None:
    text = comment(name)
    assert re.fullmatch(r"[A-Za-z0-9 _.,:+=()<>\[\]-]*", text)
    assert len(text) <= COMMENT_CHARS


def _stripped(path: str, body: bytes, design: Design) -> str:
    """The file without comments and without the design's id."""
    text = body.decode("ascii")
    text = re.sub(rf"'h0*{design.id[:8].lstrip('0')}\b", "'hID", text)
    for length in (64, 12, 8):
        text = text.replace(design.id[:length], "ID").replace(design.id[:length].upper(), "ID")
    marker = "//" if path.endswith((".v", ".cpp", ".h", ".hpp")) else "#"
    return "\n".join(line.split(marker)[0].rstrip() for line in text.splitlines())


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_names_reach_comments_and_json_only(name: str) -> None:
    _, weights = tiny_design()
    hostile = _named(name, name)
    harmless = _named(identifier(name).removeprefix("nba_").removesuffix("_design"), None)
    assert identifier(hostile.name) == identifier(harmless.name)
    first, second = render_bundle(hostile, weights), render_bundle(harmless, weights)
    assert set(first) == set(second)
    for path in sorted(first):
        assert re.fullmatch(r"[A-Za-z0-9_]+(?:[./-][A-Za-z0-9_]+)*", path), path
        if path.endswith((".json", ".md", ".npz")):
            continue
        if path.endswith((".bin", ".hex", ".mem")):
            assert first[path] == second[path], path
        else:
            assert _stripped(path, first[path], hostile) == _stripped(path, second[path], harmless), path
    for path in ("bundle.json", "design.json"):
        assert first[path].isascii()
        assert json.loads(first[path])["name"] == name
    assert len(first["README.md"].splitlines()) == len(second["README.md"].splitlines())


def test_every_path_is_inside_the_folder(tmp_path: Path) -> None:
    _, weights = tiny_design()
    folder = tmp_path / "inside" / "bundle"
    emit_bundle(_named("../../escape", "../../escape"), weights, folder)
    assert {path.name for path in tmp_path.iterdir()} == {"inside"}
    assert {path.name for path in (tmp_path / "inside").iterdir()} == {"bundle"}


def _on_disk(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_manifest_names_every_file(tmp_path: Path) -> None:
    design, weights = tiny_design()
    path = emit_bundle(design, weights, tmp_path)
    manifest = json.loads(path.read_text())
    files = _on_disk(tmp_path)
    files.pop("manifest.json")
    assert manifest["files"] == {name: hashlib.sha256(body).hexdigest() for name, body in files.items()}
    assert manifest["design_id"] == design.id
    assert files == _rendered()


def test_an_older_bundle_leaves_nothing_behind(tmp_path: Path) -> None:
    other, other_weights = tiny_design(4)
    emit_bundle(replace(other, name="older"), other_weights, tmp_path / "bundle")
    (tmp_path / "bundle" / "notes.txt").write_text("mine")
    design, weights = tiny_design()
    emit_bundle(design, weights, tmp_path / "bundle")
    found = _on_disk(tmp_path / "bundle")
    found.pop("manifest.json")
    assert found.pop("notes.txt") == b"mine"
    assert found == _rendered()


def test_a_manifest_cannot_remove_files_outside(tmp_path: Path) -> None:
    design, weights = tiny_design()
    outside = tmp_path / "outside.txt"
    outside.write_text("mine")
    manifest = emit_bundle(design, weights, tmp_path / "bundle")
    content = json.loads(manifest.read_text())
    content["files"] |= {"../outside.txt": "0", str(outside): "0"}
    manifest.write_text(json.dumps(content))
    emit_bundle(design, weights, tmp_path / "bundle")
    assert outside.read_text() == "mine"


def test_a_damaged_manifest_is_replaced(tmp_path: Path) -> None:
    design, weights = tiny_design()
    manifest = emit_bundle(design, weights, tmp_path)
    good = manifest.read_bytes()
    for damaged in (b"", b"[]", b'{"files": 3}', b"\xff"):
        manifest.write_bytes(damaged)
        emit_bundle(design, weights, tmp_path)
        assert manifest.read_bytes() == good


def test_unchanged_files_are_not_touched(tmp_path: Path) -> None:
    design, weights = tiny_design()
    emit_bundle(design, weights, tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    emit_bundle(design, weights, tmp_path)
    assert before == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}


@pytest.mark.parametrize(("images", "batches"), [(1, ["1"]), (4, ["2", "4"]), (8, ["2", "8"])])
def test_cycles_are_predicted_for_every_image_that_is_there(images: int, batches: list[str]) -> None:
    design, weights = tiny_design()
    files = render_bundle(design, weights, default_images(design, images))
    assert [sorted(of_mode, key=int) for of_mode in json.loads(files["sim/predicted.json"])] == [batches]
