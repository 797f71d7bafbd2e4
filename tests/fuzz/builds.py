# SPDX-License-Identifier: Apache-2.0
"""Cases of folders: builds that the report is made of, bundles and their manifests, stamps, folders of images."""

from __future__ import annotations

import atexit
import io
import json
import os
import random
import shutil
import socket
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from nba.core.sources import digest_json
from nba.flow import metrics
from nba.flow.pipelines import MIXED
from nba.flow.stages.emit import emit
from nba.flow.stages.report import write
from nba.flow.stamps import read_stamp, spoiled, stamp_path
from nba.report.inputs import read_inputs
from nba.verify.bundle import check_bundle as verified
from tests.fuzz import mutate
from tests.fuzz.outcome import Target
from tests.tiny import save_tiny_design


@cache
def _home() -> Path:
    folder = tempfile.mkdtemp(prefix="nba-fuzz-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


@cache
def whole_build() -> Path:
    """A build as `run` leaves it, with every kind of file that the report reads."""
    from tests.unit.test_report import save_build
    from tests.unit.test_report_switchable import METRICS

    folder = _home() / "build"
    save_build(folder)
    metrics = json.loads((folder / "metrics.json").read_text())
    costs = {b: {**METRICS["automap"]["bits"][b], "latency_cycles": 5} for b in ("4", "8")}  # type: ignore[index]
    metrics |= {
        "switchable": {
            "hardware_bits": [4, 8],
            "accuracy": {
                b: {"accuracy": 0.5, "arithmetic": "integer", "fake_quant": 0.5, "images": 100} for b in ("4", "8")
            },
        },
        "automap": {"hierarchy": "eyeriss-like", "clock_mhz": 200.0, "objective": "edp", "bits": costs,
        "warnings": ["w"]},
        "budgets": {"dsp": 9, "bram": 5.5, "fps": 10.0, "latency_us": 9.0, "lut": 9, "power_w": 1.0, "accuracy": 0.5},
        "estimates": {"lut": 5, "ff": 6, "lut_error": {"mean": 0.1, "worst": 0.2}, "device_lut": 100},
        "energy": {"pj_per_frame": 5.0, "power_w": 0.1, "table": "t", "nature": "n"},
        "certificate": {"note": "n"}, "verify_failures": ["x"],
        "baselines": {name: {"accuracy": 0.5, "images": 100} for name in ("float", "int8")},
    }  # fmt: skip
    (folder / "metrics.json").write_text(json.dumps(metrics))
    record = {"epoch": 0, "bitwidths": [4, 8], "losses": [1.0, 2.0], "accuracies": [0.5, 0.6]}
    (folder / "train" / "cascade.json").write_text(json.dumps({"records": [record, record]}))
    found = {"epoch": 0, "valid_loss": 1.0, "cost": 2.0, "ops": ["k3_e1"]}
    (folder / "search" / "nas.json").write_text(json.dumps({"records": [found, found], "table": {"objective": "edp"}}))
    return folder


READ = (
    "metrics.json", "metrics.json", "metrics.json", "search/search.json", "train/curves.json", "synth/synthesised.json",
    "train/cascade.json", "search/nas.json",
)  # fmt: skip


def _report(rng: random.Random, folder: Path) -> None:
    shutil.copytree(whole_build(), folder / "build")
    for _ in range(rng.choice((1, 1, 2))):
        path = folder / "build" / rng.choice(READ)
        path.write_bytes(mutate.encoded(mutate.json_text(rng, json.loads(whole_build().joinpath(
            path.relative_to(folder / "build")).read_text()))))  # fmt: skip
    if rng.random() < 0.05:
        (folder / "build" / ".nba" / "spec.yaml").write_bytes(bytes(rng.randrange(256) for _ in range(50)))
    (folder / "sample").write_text(str(rng.random()))


def check_report(folder: Path) -> None:
    """A build that is accepted gives a page: some are drawn, of the others all is read."""
    if float((folder / "sample").read_text()) > 0.4:
        found = metrics.read(folder / "build" / metrics.FILE)
        metrics.table(found)
        read_inputs(folder / "build", found, ())
        return
    write(folder / "build", folder / "page.html")
    assert (folder / "page.html").read_text(encoding="utf-8").rstrip().endswith("</html>")


@cache
def whole_bundle() -> Path:
    """An emitted bundle."""
    folder = _home() / "bundle"
    (_home() / "design").mkdir(exist_ok=True)
    emit(save_tiny_design(_home() / "design"), folder, 2)
    return folder


def _bundle(rng: random.Random, folder: Path) -> None:
    shutil.copytree(whole_bundle(), folder / "bundle", copy_function=os.link)
    name = rng.choice(("manifest.json", "manifest.json", "interface.json", "hls/input.bin", "any", "other", "none"))
    path = folder / "bundle" / name
    if name == "any":
        path = rng.choice(sorted(p for p in (folder / "bundle").rglob("*") if p.is_file()))
    elif name == "other":
        path = folder / "bundle" / rng.choice(("x", "sim/argparse.py", "rtl/x.v", "\udcff", "a\nb"))
        path.write_bytes(b"")
    if name == "none":
        return
    before = path.read_bytes()
    path.unlink()
    how = rng.random()
    if how < 0.05:
        path.symlink_to(rng.choice(("/dev/zero", "nowhere", "/etc/passwd")))
    elif how < 0.1:
        os.mkfifo(path)
    elif path.suffix == ".json" and how < 0.9:
        pool = (
            *mutate.VALUES,
            "..",
            "/etc/passwd",
            "a\x00b",
            "rtl",
            ".",
            "/dev/zero",
            "rtl/" + "a" * 300,
            [0] * 2,
            [1.5],
        )
        path.write_bytes(mutate.encoded(mutate.json_text(rng, json.loads(before), pool)))
    else:
        path.write_bytes(mutate.damaged(rng, before))


def check_bundle(folder: Path) -> None:
    """A bundle that is accepted is what its design renders to."""
    verified(folder / "bundle", folder / "rendered")


def _stamp(rng: random.Random, folder: Path) -> None:
    raw = {"inputs": "a" * 64, "seconds": 1.5, "outputs": {"design.json": "0" * 64}}
    path = stamp_path(folder, MIXED[2])
    path.parent.mkdir(parents=True)
    content = mutate.encoded(mutate.json_text(rng, raw))
    with suppress(ValueError, AttributeError, TypeError, RecursionError):
        found = json.loads(content)
        content = json.dumps({**found, "digest": digest_json(found)}).encode()
    path.write_bytes(content)


def check_stamp(folder: Path) -> None:
    """A stamp is one, or none."""
    found = read_stamp(stamp_path(folder, MIXED[2]))
    if found is not None:
        spoiled(folder / MIXED[2].folder, found)


def _picture(rng: random.Random) -> bytes:
    """An image file of some kind."""
    buffer = io.BytesIO()
    mode, kind = rng.choice((
        ("RGB", "PNG"), ("RGB", "JPEG"), ("L", "PNG"), ("1", "PNG"), ("P", "PNG"), ("RGBA", "PNG"), ("LA", "PNG"),
        ("I;16", "PNG"), ("I;16", "TIFF"), ("I", "TIFF"), ("F", "TIFF"), ("CMYK", "JPEG"), ("CMYK", "TIFF"), ("RGB",
        "BMP"),
        ("RGB", "WEBP"), ("L", "PPM"), ("RGB", "TIFF"), ("RGB", "GIF"), ("YCbCr", "JPEG"), ("LAB", "TIFF"), ("HSV",
        "RGB"),
    ))  # fmt: skip
    if kind == "RGB":
        mode, kind = "RGB", "PNG"
    size = (rng.choice((1, 2, 6, 40, 300)), rng.choice((1, 2, 6, 40)))
    image = Image.new(mode, size, 3 if len(Image.new(mode, (1, 1)).getbands()) == 1 else None)
    more = [Image.new(mode, size)] if kind in ("TIFF", "WEBP", "GIF", "PNG") and rng.random() < 0.2 else []
    image.save(buffer, kind, **({"save_all": True, "append_images": more} if more else {}))
    data = buffer.getvalue()
    how = rng.random()
    if how < 0.05:
        return data[: rng.randint(0, len(data))]
    if how < 0.1:
        return mutate.damaged(rng, data)
    if how < 0.12:
        return rng.choice(
            (b"", b"P5 90000 90000 255\n", b"P5 70000 1000 255\n", b"P6\n-1 -1\n255\n", b"GIF89a", b"BM" + b"\xff" * 60)
        )
    return data


NAMES = (
    "a", "b", "c", ".git", "__MACOSX", ".ipynb_checkpoints", "train", "test", "val", "é", "a b", "x" * 100,
    "lost+found",
)  # fmt: skip


def _folder(rng: random.Random, folder: Path) -> None:
    root = folder / "images"
    parts = (root,) if rng.random() < 0.6 else tuple(root / name for name in rng.sample(("train", "test", "val"), 2))
    for part in parts:
        for name in {"a", "b", *rng.sample(NAMES, rng.randint(0, 2))}:
            (part / name).mkdir(parents=True, exist_ok=True)
            for i in range(rng.randint(1, 4)):
                ending = rng.choice((".png", ".png", ".jpg", ".tif", ".webp", ".txt", ".PNG"))
                (part / name / f"{i}{ending}").write_bytes(_picture(rng))
    for _ in range(rng.choice((0, 0, 1, 2))):
        _strange(rng, rng.choice(sorted(p for p in root.rglob("*") if p.is_dir()) or [root]), root)


def _strange(rng: random.Random, place: Path, root: Path) -> None:
    """One thing that is no image."""
    target = place / rng.choice(("z.png", "z", "a", "b", "zz.jpg", "0.png"))
    if target.exists() or target.is_symlink():
        return
    files = sorted(p for p in root.rglob("*") if p.is_file() and not p.is_symlink())
    how = rng.randrange(9)
    if how == 0:
        os.mkfifo(target)
    elif how == 1:
        with socket.socket(socket.AF_UNIX) as server:
            here = os.getcwd()
            os.chdir(target.parent)
            try:
                server.bind(target.name)
            finally:
                os.chdir(here)
    elif how == 2:
        target.symlink_to(
            rng.choice(("/dev/zero", "/dev/null", "nowhere", target.name, "/etc/passwd", "/proc/self/mem"))
        )
    elif how == 3:
        target.symlink_to(rng.choice((root, root / "a", place, place.parent)), target_is_directory=True)
    elif how == 4 and files:
        target.symlink_to(rng.choice(files))
    elif how == 5 and files:
        os.link(rng.choice(files), target)
    elif how == 6:
        target.mkdir()
    elif how == 7:
        target.write_bytes(_picture(rng))
        target.chmod(0)
    else:
        shutil.rmtree(rng.choice((root / "a", root / "train", root / "b")), ignore_errors=True)


def check_folder(folder: Path) -> None:
    """A folder that is accepted gives every image once, under one class."""
    from nba.learn.data.config import DataConfig
    from nba.learn.data.load import load

    data = load(DataConfig(name="folder", path=str(folder / "images"), image_size=5, channels=3))
    n_images = len(data.train_x) + len(data.test_x)
    assert len(data.classes) >= 2
    assert data.train_x.shape[1:] == (5, 5, 3)  # type: ignore[attr-defined]
    plain = {(s.st_dev, s.st_ino) for p in (folder / "images").rglob("*") if p.is_file() for s in (p.stat(),)}
    hard = any(p.is_file() and not p.is_symlink() and p.stat().st_nlink > 1 for p in (folder / "images").rglob("*"))
    assert hard or n_images <= len(plain)
    assert not any(name.startswith((".", "__MACOSX")) for name in data.classes)
    assert np.asarray(data.train_x[:1]).dtype == np.uint8


TARGETS = (
    Target(name="report", make=_report, check=check_report, share=3, limit_s=60.0),
    Target(name="bundle", make=_bundle, check=check_bundle, share=4),
    Target(name="stamp", make=_stamp, check=check_stamp, share=2),
    Target(name="image-folder", make=_folder, check=check_folder, share=8),
)
