# SPDX-License-Identifier: Apache-2.0
"""log.txt: a line per epoch, whole after a kill, and no part of any digest."""

from __future__ import annotations

from pathlib import Path

import pytest

from nba.core.progress import Silent
from nba.core.sources import LOG, digest_tree
from nba.learn.search.config import SearchSchedule
from nba.learn.search.joint import JointSearch
from nba.learn.train.log import EpochLog
from nba.learn.train.loop import Fit, fit
from tests.torch.fake_hardware import FakeHardware
from tests.torch.pair import ARCHITECTURE, TRAIN
from tests.torch.small import MACRO, few_digits
from tests.torch.stops import StopAt, Stopped

pytestmark = pytest.mark.torch


def _lines(folder: Path) -> list[list[str]]:
    return [line.split() for line in (folder / LOG).read_text().splitlines()]


def _fields(words: list[str]) -> dict[str, str]:
    """What stands in a line after `<time> <work> epoch N of M`."""
    return dict(zip(words[6::2], words[7::2], strict=True))


def test_a_search_writes_a_line_per_epoch(tmp_path: Path) -> None:
    config = SearchSchedule(pretrain_epochs=1, joint_epochs=2, batch_size=16, steps_per_epoch=1, hardware_first=2)
    run = JointSearch(MACRO, few_digits(64), FakeHardware(0), config, 0)
    run.epochs(tmp_path)
    lines = _lines(tmp_path)
    assert [words[1:6] for words in lines] == [["search", "epoch", str(i), "of", "3"] for i in range(3)]
    for words, record in zip(lines, run.records, strict=True):
        found = _fields(words)
        assert float(found["train_loss"]) == pytest.approx(record.train_loss, rel=1e-5)
        if record.joint:
            assert float(found["valid_accuracy"]) == pytest.approx(record.valid_accuracy, rel=1e-5)
            assert float(found["cost"]) == pytest.approx(record.cost, rel=1e-5)
        else:
            assert (found["valid_loss"], found["valid_accuracy"]) == ("-", "-")
        assert float(found["temperature"]) == pytest.approx(record.temperature, rel=1e-5)
        assert (found["joint"], found["feasible"]) == tuple(
            "yes" if x else "no" for x in (record.joint, record.feasible)
        )
        assert found["ops"] == ",".join(record.ops)
        assert float(found["seconds"]) >= 0
        assert {"learning_rate", "cost_weight", "macs", "valid_loss"} <= set(found)


def test_a_killed_training_goes_on_in_its_log(tmp_path: Path) -> None:
    """Teacher and network share a file; lines after the last checkpoint are written again, none twice."""
    config = TRAIN.but(epochs=4)
    with pytest.raises(Stopped):
        fit(ARCHITECTURE, few_digits(64), config, 3, tmp_path, StopAt(6))
    before = _lines(tmp_path)
    with (tmp_path / LOG).open("a") as file:
        file.write("2026-01-31T12:00:00Z train epoch 3 of 4 loss 9 seconds 1\nhalf a li")
    fit(ARCHITECTURE, few_digits(64), config, 3, tmp_path)
    lines = _lines(tmp_path)
    assert lines[: len(before)] == before
    whole = [[name, "epoch", str(i), "of", "4"] for name in ("teacher", "train") for i in range(4)]
    assert [words[1:6] for words in lines] == whole
    assert {"loss", "accuracy", "learning_rate", "seconds"} == set(_fields(lines[-1]))


def test_no_digest_depends_on_it(tmp_path: Path) -> None:
    run = Fit(ARCHITECTURE, few_digits(64), TRAIN.but(epochs=1, distillation=None), 0, teacher=None, floating=False)
    run.epochs(tmp_path / "train.pt", Silent())
    (tmp_path / "catalog.txt").write_text("counts")
    assert (tmp_path / LOG).is_file()
    assert set(digest_tree(tmp_path)) == {"train.pt", "catalog.txt"}


def test_without_a_folder_nothing_is_written() -> None:
    EpochLog(None, "train", done=0, total=1).write(0, {"epoch": 0, "loss": 1.0})
