# SPDX-License-Identifier: Apache-2.0
"""Files that others wrote: whatever stands in them, one message says what is wrong, and nothing waits or grows."""

from __future__ import annotations

import io
import json
import os
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nba.boards import names
from nba.core.errors import MAX_LINES, DesignError, NbaError, SpecError
from nba.core.jsonfile import parse_json, read_bytes, read_json
from nba.core.npzfile import read_npz
from nba.core.yamlfile import dump_yaml, parse_yaml
from nba.flow.artifacts import load_images, load_network, read_part, save_images, save_network
from nba.flow.stages.emit import emit
from nba.machine.design_file import load_design, save_design
from nba.spec import parse_spec
from tests.tiny import tiny_design


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("9" * 400, "the integer 999999999999999999999999... does not fit 64 bits"),
        ("9" * 5000, "does not fit 64 bits"),
        ("[9223372036854775808]", "the integer 9223372036854775808 does not fit 64 bits"),
        ("1e999", "the number 1e999 is too large"),
        ("NaN", "NaN is not a number"),
        ("-Infinity", "-Infinity is not a number"),
        ("[" * 100_000, "nested too deeply"),
        ('{"a": 1, "a": 2}', "repeated field 'a'"),
        ('[{"b": ["\\ud800"]}]', r"the text '\ud800' holds half of a surrogate pair"),
        ('{"\\uDfff": 1}', r"the text '\udfff' holds half of a surrogate pair"),
        ("", "Expecting value"),
    ],
)
def test_json_that_nothing_can_be_done_with(text: str, message: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the message is compared below
        parse_json(text)
    assert message in str(caught.value)
    assert len(str(caught.value)) < 200


def test_json_that_is_fine() -> None:
    text = '{"a": [1, -9223372036854775807, 1.5, "\\ud83d\\ude00", "\\\\ud800", null, true]}'
    assert parse_json(text) == {"a": [1, -9223372036854775807, 1.5, "\U0001f600", "\\ud800", None, True]}


def test_only_plain_files_of_a_bounded_size_are_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero"), Path("/dev/null")):
        with pytest.raises(ValueError, match="a pipe, socket or device"):
            read_bytes(path)
    (tmp_path / "large").write_bytes(b"x" * 11)
    assert read_bytes(tmp_path / "large", 11) == b"x" * 11
    with pytest.raises(ValueError, match="it has 11 bytes; legal: at most 10"):
        read_bytes(tmp_path / "large", 10)
    with pytest.raises(IsADirectoryError):
        read_bytes(tmp_path)
    with pytest.raises(ValueError, match="null byte"):
        read_json(Path("a\x00b"))


def _zip(members: dict[str, bytes], kind: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", kind) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def _npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array, allow_pickle=True)
    return buffer.getvalue()


def _claims(shape: str, descr: str = "'<i4'") -> bytes:
    head = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    head += b" " * (-(len(head) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head


ONE = np.arange(6, dtype=np.int32).reshape(2, 3)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (_npy(ONE), "a single array (.npy), not an archive"),
        (b"", "not a whole .npz file"),
        (_zip({"a.npy": _npy(ONE)})[:-20], "not a whole .npz file"),
        (_zip({"b.npy": _npy(ONE)}), "it holds no array 'a'"),
        (_zip({"a": _npy(ONE)}), "it holds no array 'a'"),
        (_zip({"a.npy": _npy(np.array(["x"]))}), "the array 'a' is not one of integers"),
        (_zip({"a.npy": _npy(np.array([None]))}), "the array 'a' is not one of integers"),
        (_zip({"a.npy": _npy(np.array([1.5]))}), "the array 'a' is not one of integers"),
        (_zip({"a.npy": b"text"}), "the entry 'a' is no array"),
        (_zip({"a.npy": _claims("(274877906944,)")}), "the array 'a' claims 1,099,511,627,776 bytes but holds 0"),
        (_zip({"a.npy": _claims("(2, 2)") + b"0" * 15}), "the array 'a' claims 16 bytes but holds 15"),
        (_zip({"a.npy": _claims("(-1,)")}), "the array 'a' is not one of integers"),
        (_zip({"a.npy": _claims("(1,)", "__import__('os')")}), "the array 'a' is not one of integers"),
        (
            _zip({"a.npy": bytes(1 << 21)}, zipfile.ZIP_DEFLATED),
            "its arrays have 2,097,152 bytes; legal: at most 1,048,576",
        ),
    ],
    ids=lambda value: "archive" if isinstance(value, bytes) else None,
)
def test_arrays_that_are_none(data: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_bytes(data)
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the message is compared below
        read_npz(tmp_path / "a.npz", ("a",), limit=1 << 20)
    assert message in str(caught.value)


def test_arrays_are_read_as_numpy_reads_them(tmp_path: Path) -> None:
    arrays = {
        "a": ONE, "f": np.asfortranarray(ONE), "e": np.zeros((0, 5), np.int8), "s": np.array(7, np.uint16),
        "n": np.arange(5, dtype=np.int64),
    }  # fmt: skip
    for save in (np.savez, np.savez_compressed):
        save(tmp_path / "a.npz", **arrays)  # type: ignore[operator]
        found = read_npz(tmp_path / "a.npz")
        assert set(found) == set(arrays)
        for name, array in arrays.items():
            assert found[name].dtype == array.dtype
            assert found[name].shape == array.shape
            assert np.array_equal(found[name], array)
            assert found[name].flags.writeable


def test_an_archive_that_is_encrypted_or_squeezed_otherwise(tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_bytes(_zip({"a.npy": _npy(ONE)}, zipfile.ZIP_LZMA))
    assert np.array_equal(read_npz(tmp_path / "a.npz", ("a",))["a"], ONE)
    data = bytearray(_zip({"a.npy": _npy(ONE)}))
    for signature, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(signature) + at] |= 1
    (tmp_path / "a.npz").write_bytes(bytes(data))
    with pytest.raises(ValueError, match="encrypted"):
        read_npz(tmp_path / "a.npz", ("a",))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("seed: !!int x", "1:7: 'x' is not a YAML 1.2 int"),
        ("seed: !!int [1]", "1:7: expected a scalar node"),
        ("seed: !!float x", "1:7: 'x' is not a YAML 1.2 float"),
        ("seed: !!float 1e999", "1:7: the number 1e999 is too large"),
        ("seed: !!bool x", "1:7: 'x' is not a YAML 1.2 bool"),
        ("seed: !!timestamp x", "could not determine a constructor for the tag 'tag:yaml.org,2002:timestamp'"),
        ("seed: !!timestamp 2001-01-01", "could not determine a constructor"),
        ("seed: !!binary x", "could not determine a constructor"),
        ("seed: !!set {a}", "could not determine a constructor"),
        ("seed: !!omap [a: 1]", "could not determine a constructor"),
        ("seed: !!python/object:os.system x", "could not determine a constructor"),
        ("seed: !!map x", "1:7: expected fields"),
        (f"seed: {'9' * 5000}", "1:7: an integer of 5,000 digits; legal: at most 40"),
        ("seed: 1e999", "1:7: the number 1e999 is too large"),
        ('name: "\\ud800"', r"1:7: the character '\ud800' in a text"),
        ('"\\udfff": 1', r"1:1: the character '\udfff' in a text"),
        ('name: "a\\0b"', r"1:7: the character '\x00' in a text"),
        (f"name: {'x' * 5000}", "1:7: a text of 5,000 characters; legal: at most 4,096"),
        ("a: &a {b: *a}", "1:4: an alias stands inside its own value"),
        (
            "a0: &a0 [x, x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]\n" for i in range(1, 40)),
            "more than 20,000 values",
        ),
        ("[" * 100_000, "nested too deeply"),
        ("x" * 200_000, "it has 200,000 characters; legal: at most 131,072"),
        ("a: \x07", "not YAML: unacceptable character"),
    ],
)
def test_yaml_that_nothing_can_be_done_with(text: str, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse_yaml(text, where="f.yaml", what="spec", fields=["a"])
    assert message in str(caught.value)
    assert len(str(caught.value)) < 300
    assert "\n" not in str(caught.value)


def test_tags_that_mean_something() -> None:
    text = "a: !!int 3\nb: !!float 3\nc: !!float 2.5\nd: !!bool true\ne: !!str 3\nf: !!null ~\ng: &x [1]\nh: *x\n"
    found = parse_yaml(text, where="f.yaml", what="spec", fields=["a"])
    assert found == {"a": 3, "b": 3.0, "c": 2.5, "d": True, "e": "3", "f": None, "g": [1], "h": [1]}
    assert isinstance(found["b"], float)


@pytest.mark.parametrize(
    "value",
    [
        "1e5",
        "yes",
        "010",
        "0x10",
        ".5",
        "1_000",
        "12:30",
        "2001-01-01",
        "=",
        "~",
        "null",
        "",
        " a ",
        "é\u2028",
        "a: b",
        "#",
        "<<",
    ],
)
def test_what_is_printed_reads_back(value: str) -> None:
    whole: dict[str, Any] = {"a": value, value: [value, 1, 1.0, 1e-7, 1e20, True, None]}
    assert parse_yaml(dump_yaml(whole), where="f", what="spec", fields=["a"]) == whole


def test_a_spec_prints_texts_that_look_like_numbers() -> None:
    text = (
        "name: '010'\nplatform: zc706\nbudgets: {dsp: 64, bram: 32.5}\n"
        "dataset: {name: cifar10, transforms: [{name: Resize, options: {interpolation: '1e5', antialias: 'yes'}}]}\n"
        "network: {stem_channels: 8, stages: [{channels: 8, blocks: 1}], head_channels: 16}\n"
    )
    spec = parse_spec(text, where="f", folder=Path(), platforms=names())
    again = parse_spec(spec.yaml(), where="g", folder=Path(), platforms=names())
    assert again == spec
    assert again.name == "010"
    assert again.dataset.transforms[0].options == {"interpolation": "1e5", "antialias": "yes"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "n" * 1_000_000}, "design.name: has 1,000,000 characters; legal: at most 200"),
        ({"network": {"tensors": []}}, "0 tensors for"),
        ({"network": {"tensors.0.scale": 0.0}}, "scale is 0.0; legal: 1e-30..1e+30"),
        ({"cost": {"energy_pj": -5.0}}, "cost.energy_pj is -5.0; legal: 0..1e+30"),
        ({"cost": {"lut": -1}}, "cost.lut is -1; legal: 0..9.22337e+18"),
        ({"clock_mhz": 900_000.0}, "clock_mhz is 900000.0; legal: 0.001..1000"),
        ({"clock_mhz": 1e300}, "clock_mhz is 1e+300; legal: 0.001..1000"),
        ({"versions": [["a", "b"]] * 1000}, "versions: 1000 entries; legal: at most 64"),
        ({"x" * 100_000: 1}, "unknown field"),
    ],
)
def test_meaningless_designs(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    design, weights = tiny_design()
    save_design(design, weights, tmp_path)
    raw = json.loads((tmp_path / "design.json").read_text())
    _apply(raw, change)
    (tmp_path / "design.json").write_text(json.dumps(raw))
    with pytest.raises(DesignError) as caught:
        load_design(tmp_path / "design.json")
    assert message in str(caught.value)
    assert len(str(caught.value)) < 3000


def _apply(raw: Any, change: dict[str, Any]) -> None:
    for key, value in change.items():
        if isinstance(value, dict):
            _apply(raw[key], value)
            continue
        *path, last = key.split(".")
        place = raw
        for step in path:
            place = place[int(step) if step.isdigit() else step]
        place[last] = value


@pytest.mark.parametrize("old", ['"lut": ', '"clock_mhz": ', '"energy_pj": ', '"seed": ', '"scale": '])
@pytest.mark.parametrize("number", ["9" * 400, "-" + "9" * 5000, "1e999", "NaN", "Infinity"])
def test_numbers_of_a_design_that_are_none(old: str, number: str, tmp_path: Path) -> None:
    design, weights = tiny_design()
    save_design(design, weights, tmp_path)
    text = (tmp_path / "design.json").read_text()
    at = text.index(old) + len(old)
    end = min(text.index(mark, at) for mark in (",", "\n"))
    (tmp_path / "design.json").write_text(text[:at] + number + text[end:])
    with pytest.raises(DesignError, match="not valid JSON"):
        load_design(tmp_path / "design.json")


def test_thousands_of_problems_are_one_message(tmp_path: Path) -> None:
    design, weights = tiny_design()
    save_design(design, weights, tmp_path)
    raw = json.loads((tmp_path / "design.json").read_text())
    raw |= {f"field{i}": 1 for i in range(30_000)}
    (tmp_path / "design.json").write_text(json.dumps(raw))
    with pytest.raises(DesignError, match=f"and {30_000 - MAX_LINES:,} more") as caught:
        load_design(tmp_path / "design.json")
    assert str(caught.value).count("\n") == MAX_LINES + 1
    assert len(caught.value.problems) == 30_000


def test_images_that_are_none(tmp_path: Path) -> None:
    design, weights = tiny_design()
    save_design(design, weights, tmp_path)
    first = design.network.tensors[0]
    shape = (2, first.height, first.width, first.channels)
    for x, y, message in (
        (np.zeros((0, *shape[1:]), np.uint8), np.zeros(0, np.int64), "at least one"),
        (np.zeros(shape, np.int32), np.zeros(2, np.int64), "legal: uint8 images"),
        (np.zeros(shape, np.uint8), np.zeros(3, np.int64), "legal: uint8 images"),
        (np.zeros(shape[:3], np.uint8), np.zeros(2, np.int64), "legal: uint8 images"),
    ):
        np.savez(tmp_path / "images.npz", x=x, y=y)
        with pytest.raises(NbaError, match=message):
            load_images(tmp_path / "images.npz")
    np.savez(tmp_path / "images.npz", y=np.zeros(2, np.int64))
    with pytest.raises(NbaError, match="it holds no array 'x'"):
        load_images(tmp_path / "images.npz")
    save_images(np.zeros((2, 3, 50, 1), np.uint8), np.zeros(2, np.int64), (), tmp_path)
    with pytest.raises(NbaError, match=r"images of \(3, 50, 1\); legal: "):
        emit(tmp_path / "design.json", tmp_path / "bundle", 2)


def test_a_network_that_is_handed_over_is_legal(tmp_path: Path) -> None:
    design, weights = tiny_design()
    save_network(design.network, weights, tmp_path)
    raw = json.loads((tmp_path / "network.json").read_text())
    (tmp_path / "network.json").write_text(json.dumps({**raw, "tensors": []}))
    with pytest.raises(DesignError, match="0 tensors for"):
        load_network(tmp_path)
    save_network(design.network, (weights[1], *weights[1:]), tmp_path)
    with pytest.raises(DesignError, match=r"weights\.npz"):
        load_network(tmp_path)
    (tmp_path / "metrics-part.json").write_text("[]")
    with pytest.raises(NbaError, match="not an object"):
        read_part(tmp_path)
