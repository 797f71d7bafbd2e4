# SPDX-License-Identifier: Apache-2.0
"""The spec: what it accepts, every error it reports, and that its schema does not change unseen."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from nba.api import load_spec
from nba.core import assets
from nba.core.errors import SpecError
from nba.learn.space.config import StemPoolSpace
from nba.spec import PATHS, Spec, parse_spec, paths_of

PLATFORMS = ("zc706", "zcu102")
GOLDEN = Path(__file__).parent / "spec_schema.json"
GOOD = """
name: small
dataset: {name: digits}
network:
  stem_channels: 8
  stages: [{channels: 8, blocks: 1}, {channels: 16, blocks: 2, stride: 2}]
  head_channels: 32
platform: zc706
budgets: {dsp: 64, bram: 32.5}
"""


STRIDE = "input should be a number from 1 to 4, or [rows, columns] of these"
POOL = "stem_channels: 8\n  stem_pool: {"
POOL_SECTION = "a section is needed; legal here: kernel, stride"
RESIZED = "{{name: folder, path: x, image_size: 8, transforms: [{{name: Resize, options: {}}}]}}"
OPTION = "input should be true or false, a number up to 1e12, a text, or a list of numbers"


def parse(text: str) -> Spec:
    return parse_spec(text, where="f.yaml", folder=Path("/data"), platforms=PLATFORMS)


def problems(text: str) -> list[str]:
    """The lines of the message that the spec `text` is refused with."""
    with pytest.raises(SpecError) as caught:
        parse(text)
    return str(caught.value).splitlines()


def changed(old: str, new: str) -> str:
    assert old in GOOD
    return GOOD.replace(old, new)


def test_defaults_are_filled_in() -> None:
    spec = parse(GOOD)
    assert spec.bitwidths == (2, 4, 6, 8)
    assert spec.network.stages[0].stride == 1
    assert spec.budgets.bram == 32.5
    assert "skip" in spec.network.operators
    assert spec.objective == "interval"
    assert (spec.budgets.lut, spec.budgets.fps, spec.budgets.accuracy) == (None, None, None)


@pytest.mark.parametrize(
    ("word", "objective"), [("fps", "interval"), ("latency", "latency"), ("energy", "energy"), ("edp", "edp")]
)
def test_objectives(word: str, objective: str) -> None:
    assert parse(GOOD + f"objective: {word}\n").objective == objective


def test_printed_spec_reads_back_the_same() -> None:
    spec = parse(GOOD)
    assert parse(spec.yaml()) == spec


def test_switchable_precision() -> None:
    assert (parse(GOOD).precision, parse(GOOD).switchable) == ("mixed", None)
    found = parse(GOOD + "precision: switchable\n")
    assert found.switchable is not None
    assert found.switchable.bitwidths == (4, 8, 12, 16, 32)
    assert (found.switchable.beta, found.switchable.teachers) == (1.0, "all")
    assert (found.switchable.stem_bits, found.switchable.classifier_bits) == (None, None)
    chosen = parse(GOOD + "precision: switchable\nswitchable: {bitwidths: [2, 4, 8], beta: 0.5, teachers: highest}\n")
    assert chosen.switchable is not None
    assert chosen.switchable.bitwidths == (2, 4, 8)
    assert parse(chosen.yaml()) == chosen
    assert parse(found.yaml()) == found


GIVEN = """
name: ready
given: {published: resnet8}
platform: zc706
budgets: {dsp: 64, bram: 32.5}
"""


def test_a_given_network() -> None:
    spec = parse(GIVEN)
    assert spec.given is not None
    assert (spec.given.published, spec.given.image, spec.given.weights) == ("resnet8", 32, "random")
    assert (spec.dataset, spec.network) == (None, None)
    assert not {"dataset", "network", "schedule", "bitwidths"} & set(yaml.safe_load(spec.yaml()))
    assert parse(spec.yaml()) == spec
    large = parse(GIVEN.replace("resnet8", "mobilenet_v2"))
    assert large.given is not None
    assert large.given.image == 224
    for ask in (lambda: spec.data, lambda: spec.space):
        with pytest.raises(SpecError, match="missing; a network that is learned needs one"):
            ask()


def test_a_network_in_a_file(tmp_path: Path) -> None:
    """The path is relative to the spec, and is one of the files that stages depend on."""
    (tmp_path / "s.yaml").write_text(GIVEN.replace("published: resnet8", "file: sub/model.tflite"))
    spec = load_spec(tmp_path / "s.yaml")
    assert spec.given is not None
    assert spec.given.file == str(tmp_path / "sub" / "model.tflite")
    assert (spec.given.published, spec.given.image, spec.given.weights) == (None, None, None)
    assert paths_of(spec) == {"given.file": tmp_path / "sub" / "model.tflite"}
    assert parse(spec.yaml()) == spec


LEARNED = "belongs to a network that is learned; leave it out, or leave `given` out"


@pytest.mark.parametrize(
    ("more", "lines"),
    [
        ("dataset: {name: digits}", [f"dataset: {LEARNED}"]),
        ("network: {preset: auto-nba-cifar}", [f"network: {LEARNED}"]),
        ("bitwidths: [4]", [f"bitwidths: {LEARNED}"]),
        ("schedule: {train: {epochs: 3}}", [f"schedule: {LEARNED}"]),
        ("architecture: a.yaml", [f"architecture: {LEARNED} (found 'a.yaml')"]),
        ("precision: switchable", [f"precision: {LEARNED} (found 'switchable')"]),
        ("given: {published: vgg}", ["given.published: input should be 'mobilenet_v1',"]),
        (
            "given: {published: resnet18, image: 2}",
            ["given.image: input should be greater than or equal to 4 (found 2"],
        ),
        ("given: {published: resnet18, weights: zero}", ["given.weights: input should be 'random' (found 'zero'"]),
        ("given: {}", ["given: give one of `published`, a name, and `file`, a file of a trained network"]),
        ("given: {published: resnet8, file: a.tflite}", ["given: give one of `published`, a name, and `file`"]),
        ("given: {file: a.tflite, image: 32}", ["given: `image` and `weights` belong to `published`"]),
        ("given: {network: resnet18}", ["given.network: unknown field"]),
        ("given: resnet18", ["given: a section is needed; legal here: published, image, weights, file"]),
        ("budgets: {dsp: 1, bram: 1, accuracy: 0.5}", ["budgets.accuracy: a network that is given"]),
    ],
)
def test_what_has_no_place_beside_a_given_network(more: str, lines: list[str]) -> None:
    field = more.split(":")[0]
    kept = [line for line in GIVEN.splitlines() if not line.startswith(f"{field}:")]
    found = [line.removeprefix("  - ") for line in problems("\n".join([*kept, more, ""]))[1:]]
    assert len(found) == len(lines)
    for line, start in zip(found, lines, strict=True):
        assert line.startswith(start)


@pytest.mark.parametrize("field", ["dataset", "network"])
def test_a_learned_network_needs_its_sections(field: str) -> None:
    lines = [line for line in GOOD.splitlines() if not line.startswith((f"{field}:", "  "))]
    assert f"  - {field}: missing" in problems("\n".join(lines))
    empty = problems("\n".join([*lines, f"{field}: null"]))
    assert f"  - {field}: a section is needed, unless `given` names a network" in "\n".join(empty)


def test_options_of_what_is_learned_are_refused(tmp_path: Path) -> None:
    (tmp_path / "ready.yaml").write_text(GIVEN)
    for option, given in (("--data", {"data": tmp_path}), ("--architecture", {"architecture": tmp_path / "a.yaml"})):
        with pytest.raises(SpecError, match=f"{option}: nothing is learned here"):
            load_spec(tmp_path / "ready.yaml", **given)


SWITCHED = "precision: switchable\nswitchable: "


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (SWITCHED + "{bitwidths: [8, 4]}", "switchable.bitwidths: [8, 4]: give each bitwidth once, in rising order"),
        (SWITCHED + "{bitwidths: [4, 4]}", "switchable.bitwidths: [4, 4]: give each bitwidth once, in rising order"),
        (
            SWITCHED + "{bitwidths: [4, 9]}",
            "switchable.bitwidths[1]: not a legal number of bits; legal: 2..8, 12, 16, 32 (found 9)",
        ),
        (SWITCHED + "{bitwidths: [12, 32]}", "switchable.bitwidths: the lowest is 12; legal: at most 8"),
        (SWITCHED + "{bitwidths: [4]}", "switchable.bitwidths: the number of entries is 1; legal: at least 2"),
        (SWITCHED + "{beta: -1.0}", "switchable.beta: input should be greater than or equal to 0 (found -1.0)"),
        (
            SWITCHED + "{teachers: some}",
            "switchable.teachers: input should be 'all', 'highest' or 'none' (found 'some'",
        ),
        (SWITCHED + "{stem_bits: 16}", "switchable.stem_bits: input should be less than or equal to 8 (found 16)"),
        (SWITCHED + "{bits: [4, 8]}", "switchable.bits: unknown field"),
        (SWITCHED + "{}\nbitwidths: [4, 8]", "bitwidths: belongs to `precision: mixed`"),
        ("switchable: {bitwidths: [4, 8]}", "switchable: belongs to `precision: switchable`"),
        ("precision: float", "precision: input should be 'mixed' or 'switchable' (found 'float')"),
        (
            "precision: switchable\nschedule: {train: {distillation: {weight: 0.5}}}",
            "schedule.train.distillation: a switchable network teaches itself",
        ),
    ],
)
def test_switchable_errors(text: str, line: str) -> None:
    found = problems(GOOD + text + "\n")
    assert found[0] == "f.yaml: 1 error"
    assert found[1].removeprefix("  - ").startswith(line)


def test_values_are_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        parse(GOOD).seed = 3  # type: ignore[misc]


def test_every_error_is_reported_at_once() -> None:
    text = changed("name: small", "nmae: small\nseed: -1").replace("dsp: 64", "dsp: 0").replace("zc706", "zc760")
    found = problems(text)
    assert found[0] == "f.yaml: 5 errors"
    assert found[1:] == [
        "  - name: missing",
        "  - seed: input should be greater than or equal to 0 (found -1)",
        "  - budgets.dsp: input should be greater than 0 (found 0)",
        "  - nmae: unknown field (did you mean 'name'?); legal here: " + ", ".join(Spec.model_fields),
        "  - platform: 'zc760' is not known (did you mean 'zc706'?); legal: zc706, zcu102, or a YAML file "
        "that describes a board (its path holds a / or ends in .yaml)",
    ]


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("blocks: 2,", "block: 2,", "network.stages[1].block: unknown field (did you mean 'blocks'?)"),
        ("stride: 2", "stride: 5", f"network.stages[1].stride: {STRIDE} (found 5)"),
        ("stride: 2", "stride: true", f"network.stages[1].stride: {STRIDE} (found True)"),
        ("stride: 2", "stride: [1, 5]", f"network.stages[1].stride: {STRIDE}; it is [1, 5]"),
        ("stride: 2", "stride: [2]", f"network.stages[1].stride: {STRIDE}; it is [2]"),
        ("stem_channels: 8", "stem_channels: 8\n  stem_stride: [1, 2, 1]", f"network.stem_stride: {STRIDE}; it is [1,"),
        (
            "stem_channels: 8",
            "stem_channels: 8192",
            "network.stem_channels: input should be less than or equal to 8191",
        ),
        ("stem_channels: 8", f"{POOL}kernel: 4}}", "network.stem_pool.kernel: input should be an odd number from 3 to"),
        (
            "stem_channels: 8",
            f"{POOL}kernel: 129}}",
            "network.stem_pool.kernel: input should be an odd number from 3 to",
        ),
        ("stem_channels: 8", f"{POOL}stride: 6}}", f"network.stem_pool.stride: {STRIDE} (found 6)"),
        ("stem_channels: 8", f"{POOL}pad: 3}}", "network.stem_pool.pad: unknown field; legal here: kernel, stride"),
        (
            "head_channels: 32",
            "head_channels: 32\n  operators: [k129_e1]",
            "network.operators: k129_e1: an operator is",
        ),
        ("stem_channels: 8", "stem_channels: 8\n  stem_pool: 3", f"network.stem_pool: {POOL_SECTION} (found 3)"),
        ("stem_channels: 8", "stem_channels: 8\n  stem_pool: [3]", f"network.stem_pool: {POOL_SECTION}"),
        ("{name: digits}", "{name: digits, transforms: 3}", "dataset.transforms: a list is needed (found 3)"),
        ("{name: digits}", RESIZED.format("3"), "dataset.transforms[0].options: a section is needed (found 3)"),
        ("{name: digits}", RESIZED.format("{size: [[6]]}"), f"dataset.transforms[0].options.size: {OPTION}"),
        ("{name: digits}", RESIZED.format("{size: 1e13}"), f"dataset.transforms[0].options.size: {OPTION} (found"),
        ("stem_channels: 8", "stem_channels: 8.5", "network.stem_channels: input should be a valid integer"),
        (
            "stem_channels: 8",
            "stem_channels: true",
            "network.stem_channels: input should be a valid",
        ),
        (
            "stem_channels: 8",
            "stem_bits: 9\n  stem_channels: 8",
            "network.stem_bits: not a legal number of bits; legal: 2..8, 16 (found 9)",
        ),
        (
            "head_channels: 32",
            "head_channels: 32\n  classifier_bits: 17",
            "network.classifier_bits: not a legal number of bits; legal: 2..8, 16 (found 17)",
        ),
        (
            "platform: zc706",
            "platform: zc706\nbitwidths: [8, 15]",
            "bitwidths[1]: not a legal number of bits; legal: 2..8, 16 (found 15)",
        ),
        ("head_channels: 32", "head_channels: 32\n  operators: [k4_e1]", "network.operators: k4_e1: an operator is"),
        (
            "head_channels: 32",
            "head_channels: 32\n  operators: [skip]",
            "network.operators: at least one operator",
        ),
        (
            "head_channels: 32",
            "head_channels: 32\n  operators: [k3_e1, k3_e1]",
            "network.operators: an operator is",
        ),
        (
            "platform: zc706",
            "platform: zc706\nbitwidths: [1, 4]",
            "bitwidths[0]: not a legal number of bits; legal: 2..8, 16 (found 1)",
        ),
        ("platform: zc706", "platform: zc706\nbitwidths: [4, 4]", "bitwidths: a bitwidth is listed twice"),
        (
            "platform: zc706",
            "platform: zc706\nbitwidths: []",
            "bitwidths: the number of entries is 0; legal: at least 1",
        ),
        ("platform: zc706", "platform: 7", "platform: input should be a valid string (found 7)"),
        (
            "platform: zc706",
            "platform: zc706\nobjective: speed",
            "objective: input should be 'interval', 'latency', 'energy' or 'edp' (found 'speed')",
        ),
        ("bram: 32.5", "bram: 32.5, accuracy: 98", "budgets.accuracy: input should be less than or equal to 1"),
        ("bram: 32.5", "bram: 32.5, power_w: 0", "budgets.power_w: input should be greater than 0"),
        ("bram: 32.5", "bram: 32.5, lut: 1.5", "budgets.lut: input should be a valid integer"),
        ("platform: zc706", "platform: zc706\naccelerator: {min_chunks: 5}", "accelerator: min_chunks 5 is more than"),
        ("platform: zc706", "platform: zc706\naccelerator: {columns: [7, 17]}", "accelerator.columns"),
        ("platform: zc706", "platform: zc706\naccelerator: {columns: []}", "accelerator.columns"),
        (
            "platform: zc706",
            "platform: zc706\nschedule: {train: {epochs: 0}}",
            "schedule.train.epochs: input should",
        ),
        ("platform: zc706", "platform: zc706\nschedule: {train: {learning_rate: no}}", "schedule.train.learning_rate:"),
        ("bram: 32.5", "bram: .inf", "budgets.bram: input should be a valid number (found '.inf')"),
        ("bram: 32.5", "brams: 32.5", "budgets.brams: unknown field (did you mean 'bram'?); legal here: dsp, bram"),
        ("name: small", 'name: "../x"', "name: letters, digits, `_`, `.` and `-` only"),
        ("name: small", 'name: "a\\nb"', "name: letters, digits, `_`, `.` and `-` only"),
        ("{name: digits}", "{name: mnist}", "dataset.name: input should be 'digits', 'cifar10'"),
        ("{name: digits}", "{name: folder}", "dataset: a folder dataset needs `image_size`"),
        ("{name: digits}", "{name: digits, path: x}", "dataset: `path`, `download` and `transforms` do not"),
        ("{name: digits}", "{name: cifar10, image_size: 64}", "dataset: `image_size` and `channels` belong to"),
        ("{name: digits}", "{name: imagenet, download: true}", "dataset: `download`: imagenet cannot be downloaded"),
        (
            "{name: digits}",
            "{name: digits, classes: [3]}",
            "dataset.classes.names: the number of entries is 1; legal: at least 2",
        ),
        ("{name: digits}", "{name: digits, classes: [3, 4, 3]}", "dataset.classes.names: 3: listed twice"),
        ("{name: digits}", "{name: digits, classes: {seed: 3}}", "dataset.classes: give a list of names, or `count`"),
        ("{name: digits}", "{name: digits, classes: {count: 1}}", "dataset.classes.count: input should be greater"),
        ("{name: digits}", "{name: digits, classes: {number: 3}}", "dataset.classes.number: unknown field"),
        (
            "{name: digits}",
            "{name: digits, classes: 5}",
            "dataset.classes: give a list of names, or `count` (and `seed`) (found 5)",
        ),
        ("{name: digits}", "{name: digits, test_fraction: 0.9}", "dataset.test_fraction: input should be less than"),
    ],
)
def test_each_field_is_checked(old: str, new: str, line: str) -> None:
    found = problems(changed(old, new))
    assert any(f.startswith(f"  - {line}") for f in found), found


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "f.yaml: the file is empty; it must hold the fields name, seed,"),
        ("- a\n- b", "f.yaml: the file is a list; it must hold"),
        ("just words", "f.yaml: the file is a str; it must hold"),
        (GOOD + "name: again\n", "f.yaml:10:1: `name` is given twice (first in line 2)"),
        (changed("dsp: 64", "dsp: 64, dsp: 65"), "f.yaml:9:20: `dsp` is given twice (first in line 9)"),
        ("name: x\n\tseed: 1", "f.yaml:2:1: found character '\\t' that cannot start any token (YAML indents with"),
        ("name: [", "f.yaml:1:8: "),
        ("a: &x [*x]", "f.yaml:1:4: an alias stands inside its own value"),
        ("? [a]\n: b", "f.yaml:1:3: found unhashable key"),
        ("a: !!python/object/apply:os.getcwd []", "f.yaml:1:4: could not determine a constructor"),
        ("[" * 20000, "f.yaml: nested too deeply"),
        ("a: \x00", "f.yaml: not YAML: unacceptable character"),
    ],
)
def test_what_is_not_a_spec_at_all(text: str, message: str) -> None:
    assert problems(text)[0].startswith(message)


def test_numbers_and_words_are_read_as_in_yaml_1_2() -> None:
    spec = parse(changed("name: small", "name: no\nseed: 010") + "schedule: {train: {learning_rate: 1e-3}}\n")
    assert (spec.name, spec.seed, spec.schedule.train.learning_rate) == ("no", 10, 0.001)


def test_dataset_path_is_relative_to_the_spec(tmp_path: Path) -> None:
    file = tmp_path / "s.yaml"
    file.write_text(changed("{name: digits}", "{name: folder, path: images, image_size: 32}"))
    assert load_spec(file).dataset.path == str(tmp_path / "images")


def test_every_path_is_relative_to_the_spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever it names; what is ready under a name is no path."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "specs"
    folder.mkdir()
    (folder / "s.yaml").write_text(
        changed("{name: digits}", "{name: folder, path: ../images, image_size: 32}")
        + "schedule: {train: {distillation: {teacher: runs/teacher.pt}}}\n"
    )
    spec = load_spec(folder / "s.yaml")
    assert paths_of(spec) == {
        "dataset.path": folder / "../images",
        "schedule.train.distillation.teacher": folder / "runs/teacher.pt",
    }
    for given, wanted in (
        ("own.yaml", str(folder / "own.yaml")), ("sub/own", str(folder / "sub/own")), ("/own", "/own"),
        ("tpu-like", "tpu-like"),
    ):  # fmt: skip
        (folder / "s.yaml").write_text(GOOD + f"precision: switchable\nswitchable: {{hierarchy: {given}}}\n")
        found = load_spec(folder / "s.yaml").switchable
        assert found is not None
        assert found.hierarchy == wanted
    (folder / "s.yaml").write_text(GOOD + "schedule: {train: {distillation: {teacher: float}}}\n")
    assert paths_of(load_spec(folder / "s.yaml")) == {}


NO_PATHS = {"dataset.classes.names", "name", "dataset.transforms.name", "dataset.transforms.options"}
"""Fields of free text that name no file."""


def test_every_field_of_free_text_is_a_path_or_known_not_to_be() -> None:
    """What a field names must be part of the digests, and relative to the spec: a new one has to say what it is."""
    schema = Spec.model_json_schema()
    texts: set[str] = set()

    def walk(node: Any, where: str) -> None:
        if isinstance(node, list):
            for item in node:
                walk(item, where)
        if not isinstance(node, dict):
            return
        if "$ref" in node:
            walk(schema["$defs"][node["$ref"].rpartition("/")[2]], where)
        if node.get("type") == "string" and not {"enum", "const"} & set(node):
            texts.add(where)
        for key in ("anyOf", "allOf", "items", "prefixItems", "additionalProperties"):
            walk(node.get(key), where)
        for name, child in node.get("properties", {}).items():
            walk(child, f"{where}.{name}" if where else name)

    walk(schema, "")
    operators = {where for where in texts if where.endswith(".operators")}
    assert texts - operators == NO_PATHS | set(PATHS)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    latin = tmp_path / "latin.yaml"
    latin.write_bytes(b"name: caf\xe9\n")
    for path, message in (
        (tmp_path / "none.yaml", "no such file"),
        (tmp_path, "is a folder"),
        (latin, "not UTF-8 text"),
        (latin / "below", "cannot be read"),
    ):
        with pytest.raises(SpecError, match=message):
            load_spec(path)


def test_built_in_examples_are_valid() -> None:

    assert "digits" in assets.examples()
    for name in assets.examples():
        assert load_spec(assets.root("examples") / f"{name}.yaml").name == name


@pytest.mark.golden
def test_schema_is_frozen() -> None:
    """A change of the spec is a change for every user: look at the difference, then record it with NBA_RECORD=1."""
    text = json.dumps(Spec.model_json_schema(), indent=1, sort_keys=True) + "\n"
    if os.environ.get("NBA_RECORD"):
        GOLDEN.write_text(text)
    assert GOLDEN.read_text() == text


def test_presets_are_overridden_field_by_field() -> None:
    text = """
name: p
dataset: {name: digits}
network: {preset: auto-nba-cifar, head_channels: 7, classifier_bits: 4}
platform: zc706
budgets: {dsp: 900, bram: 545}
schedule: {preset: published-auto-nba-cifar, search: {joint_epochs: 3}}
"""
    spec = parse(text)
    assert (spec.network.head_channels, spec.network.classifier_bits, spec.network.stem_channels) == (7, 4, 16)
    assert sum(stage.blocks for stage in spec.network.stages) == 22
    assert spec.bitwidths == (4, 6, 8)
    search = spec.schedule.search
    assert (search.pretrain_epochs, search.joint_epochs, search.temperature_factor) == (30, 3, 0.975)
    assert (search.optimiser, search.learning_rate, search.alpha_learning_rate) == ("sgd", 0.025, 3e-4)
    assert parse(spec.yaml()) == spec
    assert parse(text.replace("name: p", "name: p\nbitwidths: [2, 8]")).bitwidths == (2, 8)
    found = problems(text.replace("published-auto-nba-cifar", "fast").replace("auto-nba-cifar", "auto-nba"))
    assert any("network.preset" in line and "'auto-nba'" in line for line in found)
    assert any("schedule.preset" in line and "'fast'" in line for line in found)
    found = problems(text.replace("preset: auto-nba-cifar", "preset: [auto-nba-cifar]"))
    assert any("network.preset:" in line for line in found)


def test_a_target_in_frames_per_second_needs_the_interval() -> None:
    text = GOOD + "schedule: {search: {target_fps: 100.0}}\n"
    assert parse(text).schedule.search.target_fps == 100
    assert any("target_fps: 100 is a target for" in line for line in problems(text + "objective: latency\n"))
    text = GOOD + "schedule: {search: {fps_range: [10, 20]}}\n"
    assert parse(text).schedule.search.fps_range == (10, 20)
    assert any("fps_range: [10.0, 20.0] is a target for" in line for line in problems(text + "objective: edp\n"))


@pytest.mark.parametrize(
    ("schedule", "line"),
    [
        ("search: {clip_norm: 0.0}", "schedule.search.clip_norm: input should be greater than 0"),
        ("train: {clip_norm: -1.0}", "schedule.train.clip_norm: input should be greater than 0"),
        ("train: {learning_rate_last: 0.1}", "schedule.train: learning_rate_last 0.1 is above learning_rate 0.004"),
        ("train: {resized_crop: {scale: [0.9, 0.5]}}", "schedule.train.resized_crop: scale [0.9, 0.5]: give the least"),
        ("train: {resized_crop: {scale: [0.5, 2]}}", "schedule.train.resized_crop: scale [0.5, 2.0]: give the least"),
        ("search: {resized_crop: {ratio: [2, 1]}}", "schedule.search.resized_crop: ratio [2.0, 1.0]: give the least"),
        ("search: {cost_range: [2, 1]}", "schedule.search.cost_range: [2.0, 1.0]: give the least and the most"),
        ("search: {fps_range: [0, 0]}", "schedule.search.fps_range: [0.0, 0.0]: give the least and the most"),
        ("search: {fps_range: [1, 2], target: 5}", "schedule.search: target and fps_range exclude each other"),
        (
            "search: {network_objective: macs, target_fps: 5}",
            "schedule.search: target_fps: a frame rate is a property of the hardware, but network_objective is macs",
        ),
        ("search: {network_objective: flops}", "schedule.search.network_objective: input should be 'hardware', 'macs'"),
    ],
)
def test_schedule_errors(schedule: str, line: str) -> None:
    found = problems(GOOD + f"schedule: {{{schedule}}}\n")
    assert any(f.startswith(f"  - {line}") for f in found), found


def test_classes_are_a_list_or_a_number() -> None:
    names = parse(changed("{name: digits}", "{name: digits, classes: [3, 7]}"))
    assert names.dataset.classes is not None
    assert names.dataset.classes.names == ("3", "7")
    drawn = parse(changed("{name: digits}", "{name: digits, classes: {count: 4, seed: 9}}"))
    assert drawn.dataset.classes is not None
    assert (drawn.dataset.classes.names, drawn.dataset.classes.count, drawn.dataset.classes.seed) == (None, 4, 9)
    for spec in (names, drawn):
        assert parse(spec.yaml()) == spec


def test_one_random_resized_crop() -> None:
    transforms = "{name: cifar10, path: x, transforms: [{name: RandomResizedCrop, options: {size: 32}}]}"
    text = changed("{name: digits}", transforms) + "schedule: {train: {resized_crop: {}}}\n"
    assert any(
        "dataset.transforms has a RandomResizedCrop, and so has schedule.train" in line for line in problems(text)
    )


def test_strides_may_differ_by_axis_and_the_stem_may_be_pooled() -> None:
    text = changed("stride: 2", "stride: [1, 2]").replace("stem_channels: 8", f"{POOL}stride: [2, 1]}}")
    found = parse(text.replace("  stem_pool", "  stem_stride: [2, 2]\n  stem_pool")).network
    assert (found.stages[1].stride, found.stem_stride) == ((1, 2), 2)
    assert found.stem_pool is not None
    assert (found.stem_pool.kernel, found.stem_pool.stride) == (3, (2, 1))
    assert parse(GOOD.replace("stem_channels: 8", f"{POOL}}}")).network.stem_pool == StemPoolSpace(kernel=3, stride=2)
    assert parse(GOOD).network.stem_pool is None
    for spec in (parse(text), parse(GOOD)):
        assert parse(spec.yaml()) == spec
    assert "stride:\n    - 1\n    - 2\n" in parse(text).yaml()


def test_the_widest_and_the_largest_operators() -> None:
    wide = parse(changed("channels: 16", "channels: 8191, operators: [k127_e1, k1_e1]").replace("32\n", "8191\n", 1))
    assert (wide.network.stages[1].channels, wide.network.head_channels) == (8191, 8191)
    assert wide.network.stages[1].operators == ("k127_e1", "k1_e1")


def test_a_stage_may_have_choices_of_its_own() -> None:
    own = changed("blocks: 1}", "blocks: 1, operators: [k5_e2_g2], bitwidths: [16, 4]}")
    stage = parse(own).network.stages[0]
    assert (stage.operators, stage.bitwidths) == (("k5_e2_g2",), (4, 16))
    assert any("k3_e1_g3" in line for line in problems(own.replace("k5_e2_g2", "k3_e1_g3")))
    assert any("listed twice" in line for line in problems(own.replace("[16, 4]", "[16, 16]")))
