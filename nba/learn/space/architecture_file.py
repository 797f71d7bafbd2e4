# SPDX-License-Identifier: Apache-2.0
"""The architecture file (docs/architecture-file.md): an operator and bits for every block, written by a search or by
hand, in JSON or YAML. What the blocks are (channels, strides, stem, header) stands in the spec; `architecture_json`
holds it as well, for the stages that come after."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from nba.core.errors import SpecError
from nba.core.jsonfile import parse_json
from nba.core.yamlfile import explain, parse_yaml, read_text, report
from nba.ir.decode import decode
from nba.ir.network import MASTER_BITS
from nba.learn.space.check import check_architecture
from nba.learn.space.network import SKIP, Architecture, Block, Macro, blocks, choices
from nba.learn.space.strides import stride_text

ARCHITECTURE_FILE = "architecture.json"
"""Name of the file that a search leaves."""


class BlockChoice(BaseModel):
    """One block: its operator, and its bits (weights and activations alike)."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    operator: Annotated[str, Field(min_length=1, max_length=32)]
    bits: Annotated[int, Field(strict=True)] | None = None


class ArchitectureFile(BaseModel):
    """The content of an architecture file."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    format: Literal[1] = 1
    blocks: Annotated[tuple[BlockChoice, ...], Field(min_length=1)]


def architecture_text(architecture: Architecture, *, with_bits: bool) -> str:
    """The file of `architecture`; a switchable network has no bits of its own (`with_bits` False)."""
    places = zip(architecture.ops, architecture.bits, strict=True)
    lines = [json.dumps({"operator": op, "bits": bits} if with_bits else {"operator": op}) for op, bits in places]
    return '{\n "format": 1,\n "blocks": [\n  ' + ",\n  ".join(lines) + "\n ]\n}\n"


def read_architecture(path: Path, macro: Macro, *, with_bits: bool) -> Architecture:
    """The architecture in the file `path`, a point of the space `macro`. Raises SpecError with every error."""
    text = read_text(path, what="network architecture", example="search/architecture.json of a build folder")
    raw = parse_yaml(text, where=str(path), what="architecture", fields=ArchitectureFile.model_fields)
    try:
        found = ArchitectureFile.model_validate(raw)
    except ValidationError as err:
        raise SpecError(report(str(path), explain(err, ArchitectureFile))) from None
    places = blocks(macro)
    if len(found.blocks) != len(places):
        said = f"blocks: {len(found.blocks)}, but the spec's network has {len(places)}; give one entry for each"
        raise SpecError(report(str(path), [said]))
    problems: list[str] = []
    for i, (block, choice) in enumerate(zip(places, found.blocks, strict=True)):
        problems.extend(_operator_problems(i, block, choice))
        problems.extend(_bits_problems(i, block, choice, with_bits))
    problems.extend(_group_problems(places, found.blocks, macro))
    if problems:
        raise SpecError(report(str(path), problems))
    return Architecture(
        macro=macro, ops=tuple(choice.operator for choice in found.blocks),
        bits=tuple(_bits(places, found.blocks, with_bits)),
    )  # fmt: skip


def _operator_problems(i: int, block: Block, choice: BlockChoice) -> Iterator[str]:
    legal = choices(block)
    if choice.operator == SKIP and SKIP not in legal and SKIP in block.operators:
        yield (
            f"blocks[{i}].operator: skip, but this block changes its shape ({block.in_channels} to "
            f"{block.out_channels} channels, stride {stride_text(block.stride)}) and cannot be left out; legal: "
            f"{', '.join(legal)}"
        )
    elif choice.operator not in legal:
        yield (
            f"blocks[{i}].operator: {choice.operator!r} is not one of this block's, {', '.join(legal)}; choose one of "
            "these, or add it to network.operators (or the stage's)"
        )


def _bits_problems(i: int, block: Block, choice: BlockChoice, with_bits: bool) -> Iterator[str]:
    if not with_bits:
        if choice.bits is not None:
            yield (
                f"blocks[{i}].bits: {choice.bits}, but a switchable network has the bits of switchable.bitwidths; "
                "leave it out"
            )
        return
    legal = ", ".join(map(str, block.bitwidths))
    if choice.bits is None and choice.operator != SKIP:
        yield f"blocks[{i}].bits: missing; legal: {legal}"
    elif choice.bits is not None and choice.bits not in block.bitwidths:
        yield f"blocks[{i}].bits: {choice.bits} is not one of {legal}; choose one, or add it to the spec's bitwidths"


def _group_problems(places: tuple[Block, ...], found: tuple[BlockChoice, ...], macro: Macro) -> Iterator[str]:
    first: dict[int, int] = {}
    for i, (block, choice) in enumerate(zip(places, found, strict=True)):
        if choice.bits is None:
            continue
        j = first.setdefault(block.bits_group, i)
        if found[j].bits != choice.bits:
            yield (
                f"blocks[{i}].bits: {choice.bits}, but blocks[{j}] has {found[j].bits} and the spec says "
                f"network.bits_per: {macro.bits_per}; give both the same"
            )


def _bits(places: tuple[Block, ...], found: tuple[BlockChoice, ...], with_bits: bool) -> Iterator[int]:
    """The bits of every block; a skipped one without has those of its group."""
    groups: dict[int, int] = {}
    for block, choice in zip(places, found, strict=True):
        if choice.bits is not None:
            groups[block.bits_group] = choice.bits
    for block in places:
        yield groups.get(block.bits_group, block.bitwidths[0]) if with_bits else MASTER_BITS


def macro_fields(macro: Macro) -> dict[str, Any]:
    """The fields of `macro` as files and fingerprints have them: what a space without a `stem_pool` says of itself is
    what it said before there was one."""
    found = macro.model_dump(mode="json")
    if macro.stem_pool is None:
        del found["stem_pool"]
    return found


def architecture_json(architecture: Architecture) -> str:
    """JSON text that `architecture_from_json` reads back."""
    raw = {"macro": macro_fields(architecture.macro), "ops": architecture.ops, "bits": architecture.bits}
    return json.dumps(raw, indent=1, sort_keys=True) + "\n"


def architecture_from_json(text: str) -> Architecture:
    """The architecture of `architecture_json`. Raises SpecError if the text is damaged or not of its space."""
    try:
        raw = parse_json(text)
    except ValueError as err:
        raise SpecError(f"architecture: damaged JSON ({err}); repeat the search") from None
    problems: list[str] = []
    found: Architecture = decode(Architecture, raw, "architecture", problems, defaults=True)
    if problems:
        raise SpecError(f"{report('architecture', problems)}\nthe file is damaged; repeat the search")
    check_architecture(found)
    return found
