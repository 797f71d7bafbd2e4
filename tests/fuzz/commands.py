# SPDX-License-Identifier: Apache-2.0
"""Cases of command lines, in process: whatever stands there, the exit status is that of a use, not of a defect."""

from __future__ import annotations

import json
import os
import random
import shutil
from pathlib import Path

from typer.testing import CliRunner

from nba.cli import app
from nba.core.errors import NbaError
from tests.fuzz import mutate
from tests.fuzz.builds import whole_build, whole_bundle
from tests.fuzz.outcome import Target
from tests.fuzz.specs import spec_texts

COMMANDS = (
    "spec",
    "spec",
    "map",
    "map",
    "emit",
    "emit",
    "report",
    "verify",
    "synth",
    "run",
    "search",
    "train",
    "doctor",
)
OPTIONS = (
    "--out", "-o", "--seed", "--data", "--force", "--images", "--only", "--platform", "--objective", "--bits",
    "--effort",
    "--architecture", "--prove", "--summary", "--help", "-h", "--version", "--nonsense", "-x", "--", "-",
)  # fmt: skip
WORDS = (
    "digits", "cifar10", "spec.yaml", "bad.yaml", "design.json", "network.json", "bundle", "build", "here", ".", "..",
    "",
    "/dev/null", "/dev/zero", "pipe", "nowhere", "a" * 300, "a" * 5000, "\x00", "é", "\udc80", "--", "-1", "0", "1",
    "8",
    "16", "1000", "1e9", "nan", "inf", "9" * 30, "9" * 5000, "eyeriss-like", "tpu-like", "mcu-class", "chunk-zc706",
    "edp",
    "fps", "energy", "resnet18", "alexnet", "verilator", "icarus", "hls", "~", "~nobody/x",
    "~no-such-user/x", "$HOME", "/proc/self/mem",
    "weights.npz", "images.npz", "hierarchy.yaml",
)  # fmt: skip


def _command(rng: random.Random, folder: Path) -> None:
    (folder / "spec.yaml").write_text(spec_texts()[-1])
    (folder / "bad.yaml").write_bytes(mutate.encoded(mutate.text(rng, spec_texts()[-1])))
    for name in ("design.json", "weights.npz"):
        shutil.copyfile(whole_bundle() / name, folder / name)
    raw = json.loads((folder / "design.json").read_text())
    (folder / "network.json").write_text(json.dumps(raw["network"]))
    os.mkfifo(folder / "pipe")
    (folder / "here").mkdir()
    (folder / "here" / "file").write_text("x")
    command = rng.choice(COMMANDS)
    arguments = [command] if rng.random() < 0.97 else [rng.choice(WORDS)]
    arguments += {
        "map": ["design.json", "--platform", "eyeriss-like", "--effort", "1000", "--summary"],
        "emit": ["design.json", "-o", "emitted"], "report": ["build"], "spec": ["spec.yaml"],
    }.get(command, []) if rng.random() < 0.6 else []  # fmt: skip
    for _ in range(rng.randint(0, 4)):
        arguments.insert(rng.randint(1, len(arguments)), rng.choice((rng.choice(WORDS), rng.choice(OPTIONS))))
    if rng.random() < 0.2 and len(arguments) > 1:
        arguments[rng.randrange(1, len(arguments))] = rng.choice(WORDS)
    if command == "report" or "build" in arguments:
        shutil.copytree(whole_build(), folder / "build")
    (folder / "argv.json").write_text(json.dumps(arguments))


RUNS = {"run", "search", "train", "verify", "synth"}
"""Commands that may take minutes where their arguments happen to be good."""
GOOD = {"digits", "cifar10", "spec.yaml", "bad.yaml"}


def _long(arguments: list[str]) -> bool:
    """Whether the command line would really learn or map for long."""
    command = arguments[0] if arguments else ""
    if command in RUNS:
        return bool(GOOD & set(arguments))
    published = {"resnet18", "alexnet", "spec.yaml"} & set(arguments)
    efforts = [a for a in arguments if a.isdigit() and 1000 < int(a[:12]) <= 100_000_000]
    return command == "map" and bool(published or efforts or "--effort" not in arguments or "--prove" in arguments)


def check_command(folder: Path) -> None:
    """Exit status 0 (done), 1 (a claim does not hold) or 2 (refused), and no traceback."""
    arguments = json.loads((folder / "argv.json").read_text())
    if _long(arguments):
        return
    before = Path.cwd()
    os.chdir(folder)
    try:
        done = CliRunner().invoke(app, arguments, env={"COLUMNS": "120"})
    finally:
        os.chdir(before)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    output = done.output
    assert "Traceback" not in output, output
    assert done.exit_code in (0, 1, 2), (done.exit_code, output)
    if done.exit_code == 2:
        raise NbaError(output)


TARGETS = (Target(name="command", make=_command, check=check_command, share=8, limit_s=120.0),)
