# SPDX-License-Identifier: Apache-2.0
"""What the evidence runs share: settings (data, space, budget, schedule), equal training and mapping, resumable units.

A unit is one search with one seed, trained and mapped. Each runs in a process of its own (so that its peak memory is
its own) and leaves one JSON file; a unit whose file is there, with the same setting, is not run again, and one that was
killed goes on from its checkpoints.
"""

from __future__ import annotations

import hashlib
import json
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nba.boards import get
from nba.core.errors import DataError, InfeasibleError
from nba.core.figures import clock_text, standard_error
from nba.core.files import write_atomic
from nba.explore.budgets import Budgets
from nba.explore.choose import find_accelerator
from nba.explore.gamma import GammaSearch
from nba.explore.protocol import HardwareCost
from nba.explore.space import AcceleratorSpace
from nba.ir.accelerator import Accelerator
from nba.ir.network import Network
from nba.learn.data.config import DataConfig
from nba.learn.data.dataset import Dataset, input_codes
from nba.learn.data.load import load
from nba.learn.search.config import SearchSchedule
from nba.learn.space.config import StageSpace
from nba.learn.space.network import Architecture, Macro, macs, skeleton, slots
from nba.learn.space.operators import AUTO_NBA_OPERATORS
from nba.learn.train.loop import TrainSchedule, train
from nba.machine.program import lower
from nba.machine.steady import steady_interval
from tests.spaces import DIGITS_SPACE

PLATFORM = "zc706"
FORMAT = 2
"""Of the results: those of another one are measured again."""
_MIB = 2**20


@dataclass(frozen=True, kw_only=True, slots=True)
class Setting:
    """One problem: data, space, budgets, schedule of the search, training of what it finds.

    train_images, test_images: per class, of image folders (0: the embedded digits). max_chunks: of the accelerator.
    """

    name: str
    train_images: int
    test_images: int
    macro: Macro
    dsp: int
    bram: float
    max_chunks: int
    search: SearchSchedule
    train: TrainSchedule

    @property
    def budgets(self) -> Budgets:
        """The hard limits."""
        return Budgets(dsp=self.dsp, bram=self.bram)


_SMALL_IMAGES = DIGITS_SPACE.but(
    name="cifar16", height=16, width=16, channels=3, stem_channels=16, head_channels=128, expand_at_one=True,
    stages=tuple(
        StageSpace(channels=c, blocks=b, stride=s)
        for c, b, s in zip((16, 24, 40, 64), (1, 2, 2, 2), (1, 2, 2, 1), strict=True)
    ),
    operators=AUTO_NBA_OPERATORS, bitwidths=(4, 6, 8),
)  # fmt: skip

SETTINGS: dict[str, Setting] = {
    "digits": Setting(
        name="digits", train_images=0, test_images=0, macro=DIGITS_SPACE, dsp=128, bram=96.0,
        max_chunks=4, search=SearchSchedule(), train=TrainSchedule(),
    ),
    "cifar16": Setting(
        name="cifar16", train_images=400, test_images=100, macro=_SMALL_IMAGES, dsp=200, bram=140.0, max_chunks=4,
        search=SearchSchedule(
            pretrain_epochs=4, joint_epochs=10, batch_size=64, alpha_learning_rate=0.04, beta_learning_rate=0.04,
            shift_pixels=1.0, rotation_degrees=0.0, mirror=True, steps_per_epoch=30,
        ),
        train=TrainSchedule(epochs=30, shift_pixels=1.0, rotation_degrees=0.0, mirror=True, mixup=0.0),
    ),
    "smoke": Setting(
        name="smoke", train_images=0, test_images=0,
        macro=DIGITS_SPACE.but(
            stem_channels=8,
            stages=(StageSpace(channels=8, blocks=2, stride=2), StageSpace(channels=12, blocks=1, stride=2)),
            head_channels=16, operators=("k3_e1", "k3_e3", "skip"), bitwidths=(4, 8),
        ),
        dsp=40, bram=20.0, max_chunks=3,
        search=SearchSchedule(
            pretrain_epochs=1, joint_epochs=2, steps_per_epoch=4, hardware_every=2, hardware_samples=20,
            hardware_first=100, hardware_last=100,
        ),
        train=TrainSchedule(epochs=2),
    ),
}  # fmt: skip
"""cifar16: CIFAR-10 at 16x16, 4,000 training and 1,000 test images, a seven-block space of the nine operators."""


def data(setting: Setting, path: Path | None) -> Dataset:
    """The images of `setting`: the digits, or the first of every class below `path`/train and `path`/test."""
    if not setting.train_images:
        return load(DataConfig(name="digits"))
    if path is None:
        raise DataError(f"{setting.name}: give --data PATH, a folder with train/<class>/ and test/<class>/")
    macro = setting.macro
    train_x, train_y, classes = _images(path / "train", setting.train_images, macro)
    test_x, test_y, _ = _images(path / "test", setting.test_images, macro)
    return Dataset(
        name=f"{setting.name}-{len(train_y)}", classes=classes,
        train_x=train_x, train_y=train_y, test_x=test_x, test_y=test_y,
    )  # fmt: skip


def _images(folder: Path, count: int, macro: Macro) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    from PIL import Image

    classes = tuple(sorted(p.name for p in folder.iterdir() if p.is_dir())) if folder.is_dir() else ()
    if not classes:
        raise DataError(f"{folder}: no folders of classes; unpack the images there")
    pixels, labels = [], []
    for label, name in enumerate(classes):
        for file in sorted((folder / name).iterdir())[:count]:
            with Image.open(file) as image:
                scaled = image.convert("RGB").resize((macro.width, macro.height), Image.Resampling.BILINEAR)
            pixels.append(input_codes(np.asarray(scaled), 255.0))
            labels.append(label)
    return np.stack(pixels), np.array(labels, dtype=np.int64), classes


class CountedHardware:
    """The accelerator search of a setting, counting every evaluation of its cost model."""

    def __init__(self, setting: Setting, seed: int):
        kinds = tuple(slot.mixes for slot in slots(setting.macro))
        self._search = GammaSearch(
            space=AcceleratorSpace(slots=kinds, n_chunks=setting.max_chunks), platform=get(PLATFORM),
            budgets=setting.budgets, objective="interval", seed=seed,
        )  # fmt: skip
        self.evaluations = 0

    def step(self, network: Network, slot_of_layer: tuple[int, ...], n_samples: int) -> None:
        """As GammaSearch.step."""
        self.evaluations += n_samples
        self._search.step(network, slot_of_layer, n_samples)

    def cost(self, network: Network, slot_of_layer: tuple[int, ...]) -> HardwareCost:
        """As GammaSearch.cost."""
        self.evaluations += 1
        return self._search.cost(network, slot_of_layer)

    def best(self, network: Network, slot_of_layer: tuple[int, ...]) -> Accelerator:
        """As GammaSearch.best."""
        return self._search.best(network, slot_of_layer)

    def entropy(self) -> float:
        """As GammaSearch.entropy."""
        return self._search.entropy()

    def state(self) -> str:
        """JSON text."""
        return json.dumps({"evaluations": self.evaluations, "search": self._search.state()})

    def load_state(self, state: str) -> None:
        """From `state`."""
        raw = json.loads(state)
        self.evaluations = raw["evaluations"]
        self._search.load_state(raw["search"])


class MacsHardware:
    """No accelerator: a network costs its MACs. What a search for the network alone knows of hardware."""

    def __init__(self) -> None:
        self.evaluations = 0

    def step(self, network: Network, slot_of_layer: tuple[int, ...], n_samples: int) -> None:
        """There is nothing to search."""

    def cost(self, network: Network, slot_of_layer: tuple[int, ...]) -> HardwareCost:
        """MACs in place of cycles."""
        per_layer = np.array([network.macs(i) for i in range(len(network.layers))], dtype=np.int64)
        total = int(per_layer.sum())
        return HardwareCost(
            interval_cycles=total, latency_cycles=total, dsp=0, bram18=0, feasible=True, layer_cycles=per_layer
        )

    def best(self, network: Network, slot_of_layer: tuple[int, ...]) -> Accelerator:
        """Raises InfeasibleError: there is none."""
        raise InfeasibleError("a search for the network alone has no accelerator")

    def entropy(self) -> float:
        """Nothing is undecided."""
        return 0.0

    def state(self) -> str:
        """Nothing."""
        return ""

    def load_state(self, state: str) -> None:
        """Nothing."""


def weighted(config: SearchSchedule, cost_weight: float | None) -> SearchSchedule:
    """`config` with another weight of the cost (None: its own)."""
    return config if cost_weight is None else config.but(cost_weight=cost_weight)


def outcome(
    setting: Setting, dataset: Dataset, architecture: Architecture, start: Accelerator | None, seed: int, folder: Path
) -> dict[str, Any]:
    """Train and map `architecture`, the same way whoever found it: integer accuracy, exact frames per second."""
    trained = train(architecture, dataset, setting.train, seed, folder)
    platform = get(PLATFORM)
    found: dict[str, Any] = {
        "ops": list(architecture.ops), "bits": list(architecture.bits), "mmac": macs(skeleton(architecture)) / 1e6,
        "accuracy": trained.integer_accuracy, "images": len(dataset.test_y),
    }  # fmt: skip
    try:
        accelerator, cost = find_accelerator(
            trained.network, platform, setting.budgets, objective="interval", seed=seed, start=start,
            max_chunks=setting.max_chunks,
        )  # fmt: skip
    except InfeasibleError as err:
        return {**found, "fps": None, "infeasible": str(err)}
    interval = float(steady_interval(lower(trained.network, accelerator)))
    return {**found, "fps": platform.clock_mhz * 1e6 / interval, "dsp": cost.dsp, "bram": cost.bram}


Run = Callable[[Setting, Dataset, dict[str, Any], Path], dict[str, Any]]
"""(setting, dataset, unit, work folder) -> result."""


def run_unit(run: Run, unit: dict[str, Any], data_path: Path | None, folder: Path) -> None:
    """Run one unit in this process and write its JSON file."""
    setting = SETTINGS[unit["setting"]]
    dataset = data(setting, data_path)
    work = folder / f"{_name(unit)}.work"
    work.mkdir(parents=True, exist_ok=True)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    began, cpu = time.monotonic(), time.process_time()
    found = run(setting, dataset, unit, work)
    found["seconds"], found["cpu_seconds"] = time.monotonic() - began, time.process_time() - cpu
    found["peak_mib"] = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before) / _MIB
    record = {"unit": unit, "description": description(setting), **found}
    write_atomic(folder / f"{_name(unit)}.json", json.dumps(record, indent=1, sort_keys=True) + "\n")
    shutil.rmtree(work)


def run_units(module: str, units: list[dict[str, Any]], data_path: Path | None, folder: Path) -> list[dict[str, Any]]:
    """Results of `units`, running those that are missing, each by `python -m module --only UNIT`."""
    folder.mkdir(parents=True, exist_ok=True)
    results = []
    for unit in units:
        path = folder / f"{_name(unit)}.json"
        wanted = description(SETTINGS[unit["setting"]])
        if not path.is_file() or json.loads(path.read_text())["description"] != wanted:
            print(f"running {_name(unit)}", file=sys.stderr, flush=True)
            command = [sys.executable, "-m", module, "--only", json.dumps(unit), "-o", str(folder.resolve())]
            command += [] if data_path is None else ["--data", str(data_path.resolve())]
            subprocess.run(command, check=True, cwd=Path(__file__).resolve().parent.parent, timeout=4 * 3600)
        results.append(json.loads(path.read_text()))
    return results


def description(setting: Setting) -> str:
    """Digest of everything a result depends on but its unit."""
    whole = [FORMAT, asdict(setting)]
    text = json.dumps(whole, sort_keys=True, default=lambda section: section.model_dump(mode="json"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _name(unit: dict[str, Any]) -> str:
    return "-".join(str(unit[key]) for key in sorted(unit) if key != "evaluations")


def note(results: list[dict[str, Any]]) -> str:
    """What a table of accuracies and rates must say beside them: images, their standard error, the clock."""
    images = sorted({int(r["images"]) for r in results})
    error = max(100 * standard_error(float(r["accuracy"]), int(r["images"])) for r in results)
    return (
        f"accuracies are on {' and '.join(f'{n:,}' for n in images)} test images (standard error of each at most "
        f"{error:.2f} points); frames/s {clock_text(get(PLATFORM).clock_mhz)}"
    )


def spread(values: list[float | None], digits: int) -> str:
    """Mean and range of the values that are there, as text."""
    known = [v for v in values if v is not None]
    if not known:
        return "-"
    text = f"{np.mean(known):,.{digits}f} ({min(known):,.{digits}f} to {max(known):,.{digits}f})"
    return text if len(known) == len(values) else f"{text}, {len(values) - len(known)} infeasible"
