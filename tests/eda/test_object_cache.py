# SPDX-License-Identifier: Apache-2.0
"""Objects that a test run compiles once are those that the compiler would have made."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests import object_cache

pytestmark = pytest.mark.eda


def _compiled(build: Path, objects: Path, value: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Compile a source whose header says `value`, in the folder `build`."""
    build.mkdir()
    (build / "value.h").write_text(f"#define VALUE {value}\n")
    (build / "value.cpp").write_text('#include "value.h"\nint value() { return VALUE; }\n')
    objects.mkdir(exist_ok=True)
    compiler = ["g++", "-I.", "-MMD", *options, "-c", "-o", "value.o", "value.cpp"]
    command = [sys.executable, "-I", "-S", str(Path(object_cache.__file__).resolve()), str(objects), *compiler]
    return subprocess.run(command, cwd=build, capture_output=True, text=True)


def test_an_object_is_compiled_once_for_each_source_header_and_option(tmp_path: Path) -> None:
    objects, kept = tmp_path / "objects", []
    cases = (("a", "1", ()), ("b", "1", ()), ("c", "2", ()), ("d", "1", ("-O1",)))
    for name, value, options in cases:
        done = _compiled(tmp_path / name, objects, value, *options)
        assert done.returncode == 0, done.stderr
        assert "value.h" in (tmp_path / name / "value.d").read_text()
        kept.append(len(list(objects.glob("*.o"))))
    assert kept == [1, 1, 2, 3]
    code = {name: (tmp_path / name / "value.o").read_bytes() for name, *_ in cases}
    assert code["a"] == code["b"]
    assert len(set(code.values())) == 3


@pytest.mark.parametrize("value", ["unknown", '1\n#include "missing.h"'])
def test_an_error_is_the_compilers_own_and_nothing_is_kept(value: str, tmp_path: Path) -> None:
    done = _compiled(tmp_path / "a", tmp_path / "objects", value)
    assert done.returncode == 1
    assert "error" in done.stderr
    assert list((tmp_path / "objects").glob("*.o")) == []
