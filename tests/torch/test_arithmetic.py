# SPDX-License-Identifier: Apache-2.0
"""What a run computes with is fixed, whatever the machine offers, and said."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from unittest import mock

import pytest

from nba.core import arithmetic

pytestmark = pytest.mark.torch

PROBE = """
import torch
from nba.core import arithmetic
torch.set_num_threads(1)
torch.nn.functional.conv2d(torch.ones(2, 3, 8, 8), torch.ones(4, 3, 3, 3))
torch.ones(30, 40) @ torch.ones(40, 50)
print("USED", arithmetic.used())
"""
LEARN = """
import hashlib, sys
from dataclasses import replace
from nba.core import arithmetic
from nba.learn.data.config import DataConfig
from nba.learn.data.load import load
from nba.learn.space.config import StageSpace
from nba.learn.space.network import Architecture
from nba.learn.train.config import TrainSchedule
from nba.learn.train.loop import fit
from tests.spaces import DIGITS_SPACE
macro = DIGITS_SPACE.but(name="few", stages=(StageSpace(channels=12, blocks=2, stride=2),))
data = load(DataConfig(name="digits"))
data = replace(data, train_x=data.train_x[:160], train_y=data.train_y[:160])
model, _ = fit(Architecture(macro=macro, ops=("k3_e3",) * 2, bits=(4, 6)), data, TrainSchedule(epochs=2), 1)
digest = hashlib.sha256(b"".join(v.numpy().tobytes() for v in model.state_dict().values()))
print("USED", arithmetic.used(), "DIGEST", digest.hexdigest())
"""


def output(code: str, **environment: str) -> str:
    """What a fresh process prints that fixes its arithmetic, as the command line does, and then runs `code`."""
    env = {k: v for k, v in os.environ.items() if k not in (*arithmetic.PINNED, "OMP_NUM_THREADS", "MKL_NUM_THREADS")}
    done = subprocess.run(
        [sys.executable, "-c", "from nba.core import arithmetic; arithmetic.pin()\n" + code],
        env={**env, **environment}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout


def test_every_library_is_held_to_the_same_instructions_where_the_processor_has_them() -> None:
    said = output(PROBE, ONEDNN_VERBOSE="1", MKL_VERBOSE="1")
    able = {"avx2", "fma"} <= set(arithmetic._cpuinfo("flags").split())
    for sign in ("'torch_instructions': 'AVX2'", "isa:Intel AVX2\n", "CNR:COMPATIBLE"):
        assert (sign in said) == able, sign
    assert "'torch_threads': 1" in said


def test_the_users_own_settings_win() -> None:
    assert "'torch_instructions': 'DEFAULT'" in output(PROBE, ATEN_CPU_CAPABILITY="default")


def test_training_does_not_depend_on_the_number_of_threads() -> None:
    one, two = (output(LEARN, OMP_NUM_THREADS=n, MKL_NUM_THREADS=n) for n in ("1", "2"))
    assert "DIGEST" in one
    assert one == two


def test_nothing_is_set_where_the_processor_lacks_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    cpu = tmp_path / "cpuinfo"
    monkeypatch.setattr(arithmetic, "_CPUINFO", cpu)
    with mock.patch.dict(os.environ):  # puts back what pin() sets: the processes of other tests inherit it
        for name in arithmetic.PINNED:
            os.environ.pop(name, None)
        arithmetic.pin()
        cpu.write_text("flags\t\t: sse2 avx\nmodel name\t: old\n")
        arithmetic.pin()
        assert not set(arithmetic.PINNED) & set(os.environ)
        cpu.write_text("model name\t: new\nflags\t\t: fma avx avx2\n")
        os.environ["MKL_CBWR"] = "AVX2"
        arithmetic.pin()
        assert {name: os.environ[name] for name in arithmetic.PINNED} == {**arithmetic.PINNED, "MKL_CBWR": "AVX2"}
