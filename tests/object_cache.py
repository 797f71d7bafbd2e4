# SPDX-License-Identifier: Apache-2.0
"""Compiles each C++ file once in a test run: most of what a model of Verilator is made of is the same in every model.

As a program, `object_cache.py FOLDER COMPILER...` (Verilator's makefiles put $OBJCACHE in front of the compiler, as
they do ccache): an object whose preprocessed source was compiled before with the same options is copied from FOLDER,
which all processes of a test run share. `shared` sets $OBJCACHE. ccache, where it is installed, is left to do this.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def shared() -> Iterator[None]:
    """An empty folder of objects for this process and all that it starts, unless it has one; removed at the end."""
    if "OBJCACHE" in os.environ or shutil.which("ccache"):
        yield
        return
    with tempfile.TemporaryDirectory(prefix="nba_objects_") as folder:
        os.environ["OBJCACHE"] = f"{sys.executable} -I -S {Path(__file__).resolve()} {folder}"
        try:
            yield
        finally:
            del os.environ["OBJCACHE"]


def _preprocessed(command: list[str], target: Path, work: str) -> bytes | None:
    """The source with all that it includes; writes make's list of these as well. None if there is an error in it."""
    text = Path(work, "source.i")
    listed = ["-MF", str(target.with_suffix(".d")), "-MT", target.name]
    if subprocess.run([*command, "-E", "-o", str(text), *listed], stderr=subprocess.DEVNULL, check=False).returncode:
        return None
    return text.read_bytes()


def compile_once(command: list[str], folder: Path) -> int:
    """Exit status of the compiler's `command`, or 0 where its object was there."""
    if "-c" not in command or "-o" not in command or "-MMD" not in command:
        return subprocess.run(command, check=False).returncode
    where = command.index("-o")
    target, rest = Path(command[where + 1]), [*command[:where], *command[where + 2 :]]
    with tempfile.TemporaryDirectory(dir=folder) as work:
        text = _preprocessed([word for word in rest if word != "-c"], target, work)
        if text is None:
            return subprocess.run(command, check=False).returncode
        compiler = os.stat(shutil.which(command[0]) or command[0])
        words = "\0".join([*rest, str(compiler.st_size), str(compiler.st_mtime_ns)])
        kept = folder / f"{hashlib.sha256(words.encode() + text).hexdigest()}.o"
        with open(kept.with_suffix(".lock"), "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not kept.exists():
                status = subprocess.run(command, check=False).returncode
                if status:
                    return status
                copy = Path(work, "object.o")
                shutil.copyfile(target, copy)
                copy.rename(kept)
                return 0
        shutil.copyfile(kept, target)
    return 0


if __name__ == "__main__":
    sys.exit(compile_once(sys.argv[2:], Path(sys.argv[1])))
