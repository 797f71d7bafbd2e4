# SPDX-License-Identifier: Apache-2.0
"""interface.json of a bundle: what the numbers on its streams mean, for a driver that knows nothing of the design."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

from nba.core.errors import DesignError
from nba.emit.names import IMAGE, IMAGE_ALIGNMENT, expected_name
from nba.ir.design import Design
from nba.ir.network import MASTER_BITS, Tensor
from nba.machine.program import Program

NAME = "interface.json"
"""The file's name in a bundle."""
RANDOM = "codes without labels"
TEST_IMAGES = "the first images of the data set's test part, in order"


@dataclass(frozen=True, kw_only=True, slots=True)
class Truth:
    """What is known about a bundle's input frames besides their codes. labels: the class of each, None where the frames
    are random codes; classes: the names of the classes in label order, empty where nobody knows them."""

    labels: tuple[int, ...] | None = None
    classes: tuple[str, ...] = ()


def check_truth(design: Design, truth: Truth, count: int) -> None:
    """Raise DesignError if labels or class names do not fit the design's outputs and its `count` frames."""
    last = design.network.tensors[-1]
    values = last.height * last.width * last.channels
    problems = []
    if truth.classes and len(truth.classes) != values:
        problems.append(f"classes: {len(truth.classes)} names, but the network has {values} outputs")
    if truth.labels is not None and len(truth.labels) != count:
        problems.append(f"labels: {len(truth.labels)}, but there are {count} frames")
    odd = [label for label in truth.labels or () if not 0 <= label < values]
    if odd:
        problems.append(f"labels: {odd[0]} is no class; legal: 0..{values - 1}")
    if problems:
        raise DesignError(f"test images of design {design.id[:12]}", problems)


def _codes(tensors: Sequence[Tensor]) -> dict[str, object]:
    """The codes of a feature map, `tensors` being what it is in every mode."""
    tensor = tensors[0]
    scales = [{"scale": t.scale, "zero_point": t.zero_point} for t in tensors]
    return {
        "height": tensor.height,
        "width": tensor.width,
        "channels": tensor.channels,
        "bits": tensor.bits,
        "signed": tensor.signed,
        "code_min": tensor.code_min,
        "code_max": tensor.code_max,
        "value": "(code - zero_point) * scale",
        **scales[0],
        **({"modes": scales} if len(scales) > 1 else {}),
    }


def _pixel(tensor: Tensor) -> str | None:
    """How a pixel of an 8-bit image becomes a code; None where only scale and zero point say it."""
    if tensor.signed or tensor.zero_point:
        return None
    shift = tensor.bits - MASTER_BITS
    return f"code = pixel << {shift}" if shift else "code = pixel"


def _stream(
    name: str, columns: int, lanes: int, rows: int, col_groups: int, words: int, bits: int
) -> dict[str, object]:
    return {
        "port": name,
        "beat_bits": columns * lanes * bits,
        "beats_per_frame": rows * col_groups * words,
        "columns": columns,
        "lanes": lanes,
        "code_bytes": bits // 8,
        "byte_order": "little",
        "order": "rows; in a row, groups of `columns` columns; in a group, words of `lanes` channels; code "
        "column * lanes + lane of a beat, counted from the low bits, is that channel of that column",
        "absent": "columns and channels beyond the map are sent as 0 and mean nothing where they are received",
    }


def _weights(program: Program, image: bytes) -> dict[str, object]:
    """What a driver needs to know of the image of streamed weights; nothing where all weights are on chip."""
    if program.memory is None:
        return {}
    return {
        "weights": {
            "file": IMAGE,
            "bytes": len(image),
            "beat_bytes": program.memory.bus_bits // 8,
            "alignment": IMAGE_ALIGNMENT,
            "sha256": hashlib.sha256(image).hexdigest(),
            "crc32": zlib.crc32(image),
        }
    }


def interface(
    design: Design, program: Program, truth: Truth, count: int, image: bytes = b""
) -> dict[str, object]:  # fmt: skip
    """The content of interface.json for a bundle of `count` input frames, whose streamed weights are in `image`. Raises
    DesignError as `check_truth` does."""
    check_truth(design, truth, count)
    inputs = [network.tensors[0] for network in design.networks]
    outputs = [network.tensors[-1] for network in design.networks]
    bits = program.code_bits
    return {
        "format": 1,
        "design_id": design.id,
        "input": {
            **_codes(inputs),
            "pixel_of_8_bits": _pixel(inputs[0]),
            "stream": _stream(
                "s_axis", program.in_cols, program.in_lanes, program.in_rows, program.in_col_groups,
                program.in_chan_words, bits,
            ),
        },
        "output": {
            **_codes(outputs),
            "class": "the number, from 0, of the largest output code",
            "stream": _stream(
                "m_axis", program.out_cols, program.out_lanes, program.out_rows, program.out_col_groups,
                program.out_chan_words, bits,
            ),
        },
        **_weights(program, image),
        "classes": list(truth.classes) or None,
        "vectors": {
            "frames": count,
            "input": "vectors/input.hex",
            "expected": [f"vectors/{expected_name(m, 'hex')}" for m in range(len(design.networks))],
            "what": RANDOM if truth.labels is None else TEST_IMAGES,
            "labels": None if truth.labels is None else list(truth.labels),
        },
    }  # fmt: skip
