# SPDX-License-Identifier: Apache-2.0
"""Checkpoints that something damaged: it is said, and the run comes to the same result as without them."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from nba.core.errors import NbaError
from nba.core.files import seal, unsealed
from nba.ir.network import weights_digest
from nba.learn.data import cache
from nba.learn.search.joint import search_jointly
from nba.learn.space.network import Architecture
from nba.learn.switchable.search import search_switchable
from nba.learn.train import checkpoint
from nba.learn.train.config import Distillation, TrainSchedule
from nba.learn.train.loop import TEACHER, train
from tests.torch.fake_hardware import FakeHardware
from tests.torch.hand_table import hand_table
from tests.torch.small import MACRO, few_digits
from tests.torch.stops import StopAt, Stopped
from tests.torch.test_search import SHORT as SEARCH
from tests.torch.test_switchable_search import CASCADE
from tests.torch.test_switchable_search import SHORT as NAS

pytestmark = pytest.mark.torch
CASES = 600
SHORT = TrainSchedule(epochs=4, batch_size=16, fold_fraction=0.5, warmup_epochs=1.0)
ARCHITECTURE = Architecture(macro=MACRO, ops=("k3_e2", "k5_e2", "skip"), bits=(8, 4, 4))


def damaged(whole: bytes, rng: random.Random) -> bytes:
    """`whole` with bits flipped, cut short, grown, with a part zeroed, doubled, left out, or of another file."""
    found, i, j = bytearray(whole), *sorted(rng.sample(range(len(whole)), 2))
    kind = rng.randrange(8)
    if kind == 0:
        found[i] ^= 1 << rng.randrange(8)
    elif kind == 1:
        for _ in range(rng.randrange(1, 20)):
            found[rng.randrange(len(found))] = rng.randrange(256)
    elif kind == 2:
        del found[i:]
    elif kind == 3:
        found += rng.randbytes(rng.randrange(1, 100))
    elif kind == 4:
        found[i:j] = bytes(j - i)
    elif kind == 5:
        found[i:i] = found[i:j]
    elif kind == 6:
        del found[i:j]
    else:
        found = bytearray(rng.randbytes(rng.randrange(len(whole))))
    return bytes(found)


def _value(state: dict[str, object] | None) -> float | None:
    return None if state is None else float(state["value"][0])  # type: ignore[index]


def test_nothing_damaged_is_believed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path, rng = tmp_path / "x.pt", random.Random(7)
    for value in (1.0, 2.0):
        checkpoint.save_checkpoint(path, {"fingerprint": "a", "value": torch.full((50,), value), "words": ["x"] * 9})
    newest, older = path.read_bytes(), checkpoint.before(path).read_bytes()
    assert _value(checkpoint.load_checkpoint(path, "a")) == 2.0
    for case in range(CASES):
        spoiled = damaged(newest, rng)
        if spoiled == newest:
            continue
        path.write_bytes(spoiled)
        both = case % 4 == 0
        checkpoint.before(path).write_bytes(damaged(older, rng) if both else older)
        caplog.clear()
        wanted = None if checkpoint.before(path).read_bytes() != older else 1.0
        assert _value(checkpoint.load_checkpoint(path, "a")) == wanted
        assert f"{path}: a damaged checkpoint" in caplog.text
        assert ("starting anew" in caplog.text) == (wanted is None)


def test_every_byte_counts() -> None:
    whole = b"some data" + seal(bytes.fromhex("1307990e6ba5ca145eb35e99182a9bec46531bc54ddf656a602c780fa0240dee"))
    assert unsealed(whole) == b"some data"
    for i in range(len(whole)):
        assert unsealed(whole[:i]) is None
        assert unsealed(whole + whole[: i + 1]) is None
        for bit in range(8):
            assert unsealed(whole[:i] + bytes([whole[i] ^ 1 << bit]) + whole[i + 1 :]) is None


def test_of_a_save_that_fails_the_one_before_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.pt"
    checkpoint.save_checkpoint(path, {"fingerprint": "a", "value": torch.ones(1)})

    def full(*given: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        with pytest.raises(NbaError, match=r"x\.pt: cannot be written: No space left on device; free some space"):
            checkpoint.save_checkpoint(path, {"fingerprint": "a", "value": torch.zeros(1)})
    assert _value(checkpoint.load_checkpoint(path, "a")) == 1.0
    assert [p.name for p in tmp_path.iterdir()] == ["x.pt.before"]


def _trained(folder: Path | None, stop: int | None) -> object:
    found = train(ARCHITECTURE, few_digits(32), SHORT, 3, folder, None if stop is None else StopAt(stop))
    return weights_digest(found.weights), found.records


def _searched(folder: Path | None, stop: int | None) -> object:
    progress = None if stop is None else StopAt(stop)
    return search_jointly(MACRO, few_digits(64), FakeHardware(5), SEARCH, 2, folder, progress)


def _switched(folder: Path | None, stop: int | None) -> object:
    path, progress = None if folder is None else folder / "nas.pt", None if stop is None else StopAt(stop)
    return search_switchable(
        MACRO, few_digits(64), CASCADE, hand_table(), NAS, 2, checkpoint=path, progress=progress
    )  # fmt: skip


@pytest.mark.parametrize("run", [_trained, _searched, _switched])
def test_damage_changes_no_result(run: Callable[[Path | None, int | None], object], tmp_path: Path) -> None:
    """The newest checkpoint damaged, and the one before as well."""
    whole, rng = run(None, None), random.Random(1)
    for case in range(4):
        folder = tmp_path / str(case)
        folder.mkdir()
        with pytest.raises(Stopped):
            run(folder, 2)
        (path,) = folder.glob("*.pt")
        for file in (path, checkpoint.before(path))[: 1 + case % 2]:
            file.write_bytes(damaged(file.read_bytes(), rng))
        assert run(folder, None) == whole


def test_a_damaged_teacher_is_refused(tmp_path: Path) -> None:
    """It is the user's file: there is nothing to go back to."""
    taught = TrainSchedule(epochs=1, batch_size=16, warmup_epochs=0.0, distillation=Distillation())
    train(ARCHITECTURE, few_digits(32), taught, 1, tmp_path)
    path, rng = tmp_path / TEACHER, random.Random(3)
    whole = path.read_bytes()
    given = TrainSchedule(
        epochs=1, batch_size=16, warmup_epochs=0.0, distillation=Distillation(teacher=str(path))
    )  # fmt: skip
    for _ in range(20):
        path.write_bytes(damaged(whole, rng))
        with pytest.raises(NbaError, match=r"teacher\.pt: not the teacher\.pt of a network .*damaged"):
            train(ARCHITECTURE, few_digits(32), given, 1)
    state = torch.load(path.write_bytes(whole) and path, weights_only=True)
    for odd in ({}, {**state, "records": 3}, {**state, "model": []}, {**state, "optimiser": {"state": 0}}):
        checkpoint.save_checkpoint(path, odd)
        with pytest.raises(NbaError, match=r"teacher\.pt: not the teacher\.pt of a network"):
            train(ARCHITECTURE, few_digits(32), given, 1)


def test_damaged_images_are_decoded_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What is kept of the images is a checkpoint too."""
    images, rng = np.random.default_rng(0).integers(0, 256, (9, 4, 4, 3)).astype(np.uint8), random.Random(5)
    assert cache.read_cached(tmp_path, "k") is None
    cache.write_cached(tmp_path, "k", images)
    path = tmp_path / "k.npy"
    whole = path.read_bytes()
    assert np.array_equal(np.load(path), images)
    for _ in range(CASES):
        path.write_bytes(damaged(whole, rng))
        caplog.clear()
        assert cache.read_cached(tmp_path, "k") is None or path.read_bytes() == whole
        assert f"{path}: damaged" in caplog.text or path.read_bytes() == whole
    path.write_bytes(whole)
    found = cache.read_cached(tmp_path, "k")
    assert found is not None
    assert np.array_equal(found, images)
