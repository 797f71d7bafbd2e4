# SPDX-License-Identifier: Apache-2.0
"""The one description of the registers: nba_axil answers at every address as it says; all that is written from it."""

from __future__ import annotations

import subprocess
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from runner import LIB
from template_pairs import STREAM_SEED, subject

from benchmarks import registers as made
from nba.core.tools import run_tool
from nba.emit.bundle import render_bundle
from nba.emit.registers import FOLDER, HEADER, IPXACT, RegisterMap, register_map, words
from tests.modes import modes_case
from tests.tiny import tiny_design

pytestmark = pytest.mark.eda

SWEEP = Path(__file__).parent / "decoder_sweep.v"
ONE_MODE = {"VERSION": 0x01020304, "DESIGN_ID": 0x1CAFE5A5, "N_CHUNKS": 3, "N_MODES": 1, "MEMORY": 0}
DESIGNS = (
    ONE_MODE,
    {"VERSION": 0xFEDCBA98, "DESIGN_ID": 0xFFFFFFFF, "N_CHUNKS": 48, "N_MODES": 16, "MEMORY": 0},
    ONE_MODE | {"MEMORY": 1},
)
"""One has the most modes, so that each number which fits into MODE is one."""
OKAY, SLVERR = "0", "2"
Answers = dict[tuple[str, ...], tuple[str, int]]


def sweep(design: dict[str, int], work: Path) -> Answers:
    """What nba_axil answers to every access of decoder_sweep.v: (kind, [bit,] address) -> response, data."""
    values = [f"-Pdecoder_sweep.{name}={value}" for name, value in design.items()]
    files = [str(SWEEP), str(LIB / "nba_axil.v")]
    run_tool(["iverilog", "-g2005", "-Wall", "-o", "sweep.vvp", "-s", "decoder_sweep", *values, *files], cwd=work)
    found: Answers = {}
    for line in run_tool(["vvp", "-n", "sweep.vvp"], cwd=work).output.splitlines():
        cells = line.split()
        if cells[0] == "W":
            found[("W", cells[1])] = (cells[2], 0)
        elif cells[0] in ("R0", "R1", "B"):
            found[tuple(cells[:-2])] = (cells[-2], int(cells[-1], 16))
    assert len(found) == 3 * 16384 + 32 * 32
    return found


def words_of(registers: RegisterMap) -> dict[int, tuple]:
    """address -> fields of every word that the description names."""
    found = {register.offset: register.fields for register in registers.registers}
    counters = registers.counters
    for chunk in range(counters.chunks):
        for job in range(counters.jobs):
            for register in counters.registers:
                place = counters.offset + chunk * counters.chunk_stride + job * counters.job_stride + register.offset
                assert place not in found
                found[place] = register.fields
    return found


def differences(registers: RegisterMap, answers: Answers) -> list[str]:
    """Accesses that nba_axil answers otherwise than the description says."""
    named, problems = words_of(registers), []

    def compare(key: tuple[str, ...], wanted: tuple[str, int]) -> None:
        if answers[key] != wanted:
            problems.append(f"{' '.join(key)}: answered {answers[key]}, not {wanted}")

    for address in range(0, 1 << 16, 4):
        fields, name = named.get(address), f"{address:04x}"
        if fields is None:
            for kind in ("R0", "R1", "W"):
                compare((kind, name), (SLVERR, 0))
            continue
        # With all inputs low every bit that the machine writes is 0, and with all high it is 1.
        fixed = sum((f.reset or 0) << f.low for f in fields if "r" in f.access)
        driven = sum(f.mask for f in fields if f.volatile)
        compare(("R0", name), (OKAY, fixed))
        compare(("R1", name), (OKAY, fixed | driven))
        compare(("W", name), (OKAY if any("w" in f.access for f in fields) else SLVERR, 0))
    for address in range(0, 128, 4):
        fields = named.get(address, ())
        writable = sum(f.mask for f in fields if "w" in f.access)
        kept = sum(f.mask for f in fields if f.access == "rw")
        for bit in range(32):
            response, data = answers[("B", str(bit), f"{address:04x}")]
            if kept and data != (1 << bit & kept):
                problems.append(f"bit {bit} of {address:04x}: reads {data:08x} after it was written")
            if 1 << bit & writable and response != OKAY:
                problems.append(f"bit {bit} of {address:04x}: refused")
    return problems


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Answers]:
    """The answers of a machine of one mode, of one of sixteen, and of one that streams weights."""
    return {i: sweep(design, tmp_path_factory.mktemp("sweep")) for i, design in enumerate(DESIGNS)}


@pytest.mark.parametrize("which", range(len(DESIGNS)), ids=["one-mode", "modes", "memory"])
def test_the_decoder_answers_as_described(which: int, answers: dict[int, Answers]) -> None:
    assert differences(made.elaborate(made.DESCRIPTION, DESIGNS[which]), answers[which]) == []


MORE = "start @ 0x0; reg { field {} value[31:0]; } more @ 0x8"
MUTANTS: dict[str, tuple[tuple[str, str], ...]] = {
    "another address": (("} status @ 0x0C;", "} status @ 0x38;"),),
    "changed places": (
        ("} n_frames @ 0x10;", "} n_frames @ 0x14;"),
        ("} frames_done @ 0x14;", "} frames_done @ 0x10;"),
    ),
    "another reset value": (("32'h4341424E", "32'h4341424F"),),
    "read only": (('"Number of frames."; sw = rw; hw = r;', '"Number of frames."; sw = r; hw = r;'),),
    "writable": (('"Cycle."; } value[31:0];\n      } start', '"Cycle."; sw = rw; } value[31:0];\n      } start'),),
    "one bit more": (("value[3:0] = 0", "value[4:0] = 0"),),
    "another bit": (("done[1:1] = 0", "done[3:3] = 0"),),
    "a counter less": (("job[128]", "job[127]"),),
    "a register more": (("start @ 0x0", MORE), ("job[128] @ 0x0 += 0x8", "job[64] @ 0x0 += 0x10")),
    "counters elsewhere": (("chunk[N_CHUNKS] @ 0x4000", "chunk[N_CHUNKS] @ 0x3C00"),),
    "READ_ERROR in every design": (("      ispresent = MEMORY > 0;\n    } read_error", "    } read_error"),),
    "WEIGHTS_LO in every design": (("    ispresent = MEMORY > 0;\n  } weights_lo", "  } weights_lo"),),
    "the words of WEIGHTS changed": (("} weights_lo @ 0x30", "} weights_lo @ 0x38"),),
    "MODE in every design": (("    ispresent = N_MODES > 1;\n  } mode", "  } mode"),),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_a_changed_description_is_found(name: str, answers: dict[int, Answers], tmp_path: Path) -> None:
    text = made.DESCRIPTION.read_text()
    for old, new in MUTANTS[name]:
        assert text.count(old) == 1
        text = text.replace(old, new)
    changed = tmp_path / "nba.rdl"
    changed.write_text(text)
    found = [differences(made.elaborate(changed, design), answers[i]) for i, design in enumerate(DESIGNS)]
    assert any(found)


def test_what_is_committed_is_what_the_description_says() -> None:
    stale = [path.name for path, text in made.rendered().items() if path.read_text() != text]
    assert stale == []
    assert made.read() == register_map()


@pytest.fixture(scope="module")
def bundles() -> tuple[dict[str, bytes], ...]:
    """The files of a bundle of one mode, of one of three, and of one that streams weights."""
    design, weights, images = modes_case(1, 3)
    case = subject(STREAM_SEED)
    return (
        render_bundle(*tiny_design()),
        render_bundle(design, weights, images),
        render_bundle(case.design, case.weights, case.images),
    )


def _design_words(files: dict[str, bytes]) -> dict[str, int]:
    """The words of a bundle's design, out of its own header, and whether it streams weights."""
    lines = [line.split() for line in files[f"{FOLDER}/nba_design.h"].decode().splitlines()]
    defined = {cells[1]: cells[2] for cells in lines if cells[:1] == ["#define"] and len(cells) == 3}
    found = {
        name: int(defined[f"NBA_{name}"].rstrip("u"), 16) for name in ("VERSION", "DESIGN_ID", "N_CHUNKS", "N_MODES")
    }
    return found | {"MEMORY": int("NBA_WEIGHTS_LO_OFFSET" in defined)}


@pytest.mark.parametrize("which", range(3), ids=["one-mode", "modes", "memory"])
def test_ipxact(which: int, bundles: tuple[dict[str, bytes], ...], tmp_path: Path) -> None:
    """What the exporter gives for this design itself, but for registers that are marked as absent there."""
    numbers = _design_words(bundles[which])
    made.export("ip-xact", tmp_path / IPXACT, *made.parameters(numbers))
    wanted = ElementTree.parse(tmp_path / IPXACT).find(".//ipxact:addressBlock", made.NS)
    found = ElementTree.fromstring(bundles[which][f"{FOLDER}/{IPXACT}"]).find(".//ipxact:addressBlock", made.NS)
    assert wanted is not None
    assert found is not None
    for parent in list(wanted.iter()):
        for absent in [e for e in parent if e.find("ipxact:isPresent", made.NS) is not None]:
            parent.remove(absent)
    assert list(map(_shape, found.iter())) == list(map(_shape, wanted.iter()))
    offsets = {
        register.findtext("ipxact:displayName", None, made.NS): register.findtext("ipxact:addressOffset", None, made.NS)
        for register in found.findall("ipxact:register", made.NS)
    }
    assert offsets == {r.name: f"'h{r.offset:x}" for r in register_map().of(numbers["N_MODES"], numbers["MEMORY"] > 0)}


def _shape(element: ElementTree.Element) -> tuple[str, str]:
    return element.tag, (element.text or "").strip()


def test_words_of_a_design() -> None:
    assert words("1cafe5a5" * 8, 3, 1) == {
        "VERSION": words("0" * 64, 1, 1)["VERSION"], "DESIGN_ID": 0x1CAFE5A5, "N_CHUNKS": 3, "N_MODES": 1,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("compiler", "suffix"),
    [(("gcc", "-std=c99"), "c"), (("gcc", "-std=c11"), "c"), (("g++", "-std=c++11"), "cpp")],
    ids=["c99", "c11", "c++11"],
)
def test_headers(compiler: tuple[str, ...], suffix: str, bundles: tuple[dict[str, bytes], ...], tmp_path: Path) -> None:
    """They compile without a warning, and agree with the description in every address, mask and value after a reset."""
    for which, files in enumerate(bundles):
        for name in (HEADER, "nba_design.h"):
            (tmp_path / name).write_bytes(files[f"{FOLDER}/{name}"])
        source = tmp_path / f"check{which}.{suffix}"
        source.write_text(_checks(_design_words(files)))
        command = [*compiler, "-Wall", "-Wextra", "-Werror", "-pedantic", source.name, "-o", f"check{which}"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        ran = subprocess.run([tmp_path / f"check{which}"], capture_output=True, text=True, check=False)
        assert (ran.returncode, ran.stdout) == (0, "")


def _checks(numbers: dict[str, int]) -> str:
    """A program that prints what in the headers is not as described, and ends with the number of such lines."""
    registers, tests = register_map(), []
    full = made.elaborate(made.DESCRIPTION)
    for register in registers.of(numbers["N_MODES"], numbers["MEMORY"] > 0):
        tests.append(f"NBA_{register.name}_OFFSET == {register.offset}u")
        tests.append(f"offsetof(nba_t, {register.name.lower()}) == {register.offset}u")
        for field in register.fields:
            name = f"NBA__{register.name}__{field.name.upper()}"
            tests.append(f"{name}_bm == {field.mask}u")
            if field.reset is not None:
                tests.append(f"{name}_reset == {field.reset}u")
    for register in registers.counters.registers:
        place = 0x4000 + 2 * 0x400 + 5 * 8 + register.offset
        tests.append(f"NBA_JOB_{register.name}_OFFSET(2u, 5u) == {place}u")
        tests.append(f"offsetof(nba_t, chunk[2].job[5].{register.name.lower()}) == {place}u")
    tests.append(f"sizeof(nba_t) == {full.counters.offset + full.counters.chunks * full.counters.chunk_stride}u")
    tests.append(f"sizeof jobs / sizeof *jobs == {numbers['N_CHUNKS']}u")
    lines = [f'  if (!({test})) {{ puts("{test}"); wrong++; }}' for test in tests]
    head = '#include <stddef.h>\n#include <stdio.h>\n#include "nba_regs.h"\n#include "nba_design.h"\n'
    body = "int main(void)\n{\n  static const unsigned jobs[] = NBA_JOBS;\n  int wrong = 0;\n"
    return head + body + "\n".join(lines) + "\n  return wrong;\n}\n"


def test_pages(tmp_path: Path) -> None:
    made.export("html", tmp_path / "html")
    assert (tmp_path / "html" / "index.html").is_file()
    pages = "".join(path.read_text() for path in (tmp_path / "html" / "content").glob("*.html"))
    for register in (*register_map().registers, *register_map().counters.registers):
        assert register.text in pages
