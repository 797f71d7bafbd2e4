# SPDX-License-Identifier: Apache-2.0
"""The network space as data: a fixed macro-architecture, and per block an operator and a bitwidth.

A block is 1x1 expand -> kxk depthwise -> 1x1 project (a signed linear bottleneck), with a residual where its stride
is 1 and its channels stay; `k5_e3` is kernel 5, expansion 3 (an expansion of 1 has no expand layer); `skip` passes its
input on. Every layer that could exist has a fixed number, its *slot*, so that nothing shifts when a block is skipped.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass

from nba.errors import SpecError
from nba.ir.accelerator import Kind
from nba.ir.network import MASTER_BITS, Layer, Network, Op, Tensor

SKIP = "skip"
OPERATORS = ("k3_e1", "k3_e3", "k3_e6", "k5_e3", "k5_e6", SKIP)
"""The default operator choices of a block."""
BITWIDTHS = (2, 4, 6, 8)
"""The default bitwidth choices of a block (weights and activations alike)."""
_OPERATOR = re.compile(r"k([13579])_e([1-9][0-9]?)")
_PLACEHOLDER_SHIFT = 16


@dataclass(frozen=True, kw_only=True, slots=True)
class Stage:
    """`blocks` blocks with `channels` output channels; the first has stride `stride`, the others 1."""

    channels: int
    blocks: int
    stride: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Macro:
    """What the search leaves alone: the input, 3x3 stem, stages of blocks, 1x1 header, average pooling, classifier.

    `operators` and `bitwidths` are the choices of every block; `stem_bits` / `head_bits` hold for the stem and for
    header and classifier (weights and activations).
    """

    name: str = "net"
    height: int = 8
    width: int = 8
    channels: int = 1
    classes: int = 10
    stem_channels: int = 16
    stem_stride: int = 1
    stages: tuple[Stage, ...] = (
        Stage(channels=16, blocks=1, stride=2),
        Stage(channels=24, blocks=2, stride=1),
        Stage(channels=32, blocks=2, stride=2),
    )
    head_channels: int = 64
    operators: tuple[str, ...] = OPERATORS
    bitwidths: tuple[int, ...] = BITWIDTHS
    stem_bits: int = 8
    head_bits: int = 8


@dataclass(frozen=True, kw_only=True, slots=True)
class Block:
    """One place of the macro-architecture where an operator is chosen."""

    in_channels: int
    out_channels: int
    stride: int

    @property
    def residual(self) -> bool:
        """Whether input and output have one shape, so that a residual, and skipping, are possible."""
        return self.stride == 1 and self.in_channels == self.out_channels


@dataclass(frozen=True, kw_only=True, slots=True)
class Architecture:
    """One point of the space: an operator and a bitwidth for every block of `macro`.

    `bits` of a skipped block has no meaning for the network, but is kept: indices never shift.
    """

    macro: Macro
    ops: tuple[str, ...]
    bits: tuple[int, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Slot:
    """A layer that some architecture of the space has, and the kind of chunk that can execute it."""

    name: str
    kind: Kind


def operator_shape(operator: str) -> tuple[int, int]:
    """(kernel, expansion) of an operator other than skip. Raises SpecError for a malformed name."""
    match = _OPERATOR.fullmatch(operator)
    if match is None:
        raise SpecError(
            f"network.operators: {operator!r} is not an operator; write k<kernel>_e<expansion>, kernel 1, 3, 5, 7 or 9 "
            f"and expansion 1..99, such as k3_e6, or {SKIP}"
        )
    return int(match[1]), int(match[2])


def blocks(macro: Macro) -> tuple[Block, ...]:
    """The blocks in order."""
    found = []
    channels = macro.stem_channels
    for stage in macro.stages:
        for i in range(stage.blocks):
            found.append(Block(in_channels=channels, out_channels=stage.channels, stride=stage.stride if i == 0 else 1))
            channels = stage.channels
    return tuple(found)


def choices(macro: Macro, block: Block) -> tuple[str, ...]:
    """Operators that `block` may use, in the order of `macro.operators`."""
    return tuple(op for op in macro.operators if op != SKIP or block.residual)


def check_macro(macro: Macro) -> None:
    """Raise SpecError, naming every field that is out of range, unless a network can be built from `macro`."""
    problems = []
    for field in ("height", "width", "channels", "stem_channels", "head_channels"):
        if getattr(macro, field) < 1:
            problems.append(f"network.{field}: {getattr(macro, field)} is not a positive number")
    if macro.classes < 2:
        problems.append(f"network.classes: {macro.classes}; at least 2 are needed")
    if macro.stem_stride not in (1, 2):
        problems.append(f"network.stem_stride: {macro.stem_stride} is not 1 or 2")
    if not macro.stages:
        problems.append("network.stages: empty; at least one stage is needed")
    for i, stage in enumerate(macro.stages):
        if stage.channels < 1 or stage.blocks < 1 or stage.stride not in (1, 2):
            problems.append(
                f"network.stages[{i}]: channels {stage.channels}, blocks {stage.blocks}, stride {stage.stride}; "
                "channels and blocks must be at least 1, stride 1 or 2"
            )
    for operator in macro.operators:
        try:
            if operator != SKIP:
                operator_shape(operator)
        except SpecError as err:
            problems.append(str(err))
    if len(set(macro.operators)) != len(macro.operators) or not set(macro.operators) - {SKIP}:
        problems.append(f"network.operators: {list(macro.operators)} must be distinct and hold more than {SKIP}")
    bits = {"stem_bits": macro.stem_bits, "head_bits": macro.head_bits}
    bits.update({f"bitwidths[{i}]": b for i, b in enumerate(macro.bitwidths)})
    problems.extend(
        f"network.{k}: {b} is not within 2..{MASTER_BITS}" for k, b in bits.items() if not 2 <= b <= MASTER_BITS
    )
    if not macro.bitwidths or list(macro.bitwidths) != sorted(set(macro.bitwidths)):
        problems.append(f"network.bitwidths: {list(macro.bitwidths)} must be distinct and ascending")
    if problems:
        raise SpecError("the network space is not valid:\n" + "\n".join(f"  - {p}" for p in problems))


def check_architecture(architecture: Architecture) -> None:
    """Raise SpecError unless `architecture` is a point of its own space."""
    check_macro(architecture.macro)
    places = blocks(architecture.macro)
    problems = []
    if len(architecture.ops) != len(places) or len(architecture.bits) != len(places):
        raise SpecError(
            f"architecture: {len(architecture.ops)} operators and {len(architecture.bits)} bitwidths "
            f"for {len(places)} blocks; give one of each per block"
        )
    for i, (op, bits, block) in enumerate(zip(architecture.ops, architecture.bits, places, strict=True)):
        legal = choices(architecture.macro, block)
        if op not in legal:
            problems.append(f"ops[{i}]: {op!r} is not one of {', '.join(legal)}")
        if bits not in architecture.macro.bitwidths:
            problems.append(f"bits[{i}]: {bits} is not one of {', '.join(map(str, architecture.macro.bitwidths))}")
    if problems:
        raise SpecError("architecture:\n" + "\n".join(f"  - {p}" for p in problems))


def slots(macro: Macro) -> tuple[Slot, ...]:
    """Every layer that can exist, in order: stem, three per block, header, average pooling, classifier."""
    found = [Slot(name="stem", kind="dense")]
    for i in range(len(blocks(macro))):
        found.append(Slot(name=f"block{i}_expand", kind="dense"))
        found.append(Slot(name=f"block{i}_depthwise", kind="depthwise"))
        found.append(Slot(name=f"block{i}_project", kind="dense"))
    found.append(Slot(name="header", kind="dense"))
    found.append(Slot(name="pool", kind="depthwise"))
    found.append(Slot(name="classifier", kind="dense"))
    return tuple(found)


def slot_of_layer(architecture: Architecture) -> tuple[int, ...]:
    """For every layer of `skeleton(architecture)`, its index in `slots(architecture.macro)`."""
    found = [0]
    for i, op in enumerate(architecture.ops):
        first = 1 + 3 * i
        if op != SKIP:
            found.extend(range(first + (operator_shape(op)[1] == 1), first + 3))
    last = 1 + 3 * len(architecture.ops)
    return (*found, last, last + 1, last + 2)


class _Builder:
    """Appends layers one by one, keeping tensors and layers aligned."""

    def __init__(self, source: Tensor):
        self.tensors = [source]
        self.layers: list[Layer] = []

    def add(
        self,
        name: str,
        op: Op,
        source: int,
        channels: int,
        *,
        kernel: int = 1,
        stride: int = 1,
        bits: int,
        signed: bool,
        residual: int | None = None,
    ) -> int:
        """Append a layer with 'same' padding; returns the index of its output tensor."""
        before = self.tensors[source]
        out = Tensor(
            name=name,
            height=-(-before.height // stride),
            width=-(-before.width // stride),
            channels=channels,
            signed=signed,
        )
        self._append(out, op, source, (kernel, kernel), stride, kernel // 2, bits, residual)
        return len(self.layers)

    def pool(self, name: str, source: int) -> int:
        """Append a global average pooling; returns the index of its output tensor."""
        before = self.tensors[source]
        out = Tensor(name=name, height=1, width=1, channels=before.channels, signed=before.signed)
        self._append(out, "avgpool", source, (before.height, before.width), 1, 0, MASTER_BITS, None)
        return len(self.layers)

    def _append(
        self,
        out: Tensor,
        op: Op,
        source: int,
        kernel: tuple[int, int],
        stride: int,
        pad: int,
        bits: int,
        residual: int | None,
    ) -> None:
        self.tensors.append(out)
        self.layers.append(
            Layer(
                name=out.name,
                op=op,
                input=source,
                residual=residual,
                kernel_h=kernel[0],
                kernel_w=kernel[1],
                stride=stride,
                pad_top=pad,
                pad_left=pad,
                act_bits=bits,
                weight_bits=bits,
                weight_store_bits=bits,
                shift=_PLACEHOLDER_SHIFT,
                res_mult=0 if residual is None else 1,
                q_min=out.code_min,
                q_max=out.code_max,
            )
        )


def skeleton(architecture: Architecture) -> Network:
    """The integer layers of `architecture`: shapes, bits and signs are final, requantisation numbers are placeholders
    (legal, but only `nba.quant.export` knows the true ones). ReLU outputs are unsigned, bottlenecks and logits signed.
    """
    macro = architecture.macro
    net = _Builder(Tensor(name="image", height=macro.height, width=macro.width, channels=macro.channels, signed=False))
    here = net.add(
        "stem", "dense", 0, macro.stem_channels, kernel=3, stride=macro.stem_stride, bits=macro.stem_bits, signed=False
    )
    places = zip(blocks(macro), architecture.ops, architecture.bits, strict=True)
    for i, (block, op, bits) in enumerate(places):
        if op == SKIP:
            continue
        kernel, expansion = operator_shape(op)
        wide = block.in_channels * expansion
        start = here
        if expansion > 1:
            here = net.add(f"block{i}_expand", "dense", here, wide, bits=bits, signed=False)
        here = net.add(
            f"block{i}_depthwise", "depthwise", here, wide, kernel=kernel, stride=block.stride, bits=bits, signed=False
        )
        here = net.add(
            f"block{i}_project",
            "dense",
            here,
            block.out_channels,
            bits=bits,
            signed=True,
            residual=start if block.residual else None,
        )
    here = net.add("header", "dense", here, macro.head_channels, bits=macro.head_bits, signed=False)
    here = net.pool("pool", here)
    net.add("classifier", "dense", here, macro.classes, bits=macro.head_bits, signed=True)
    return Network(name=macro.name, tensors=tuple(net.tensors), layers=tuple(net.layers))


def bit_operations(network: Network) -> int:
    """Sum over layers of MACs x weight bits x activation bits: what narrower multipliers and memories save."""
    return sum(
        network.macs(i) * layer.act_bits * (1 if layer.op == "avgpool" else layer.weight_bits)
        for i, layer in enumerate(network.layers)
    )


def macs(network: Network) -> int:
    """Multiply-accumulates of one frame."""
    return sum(network.macs(i) for i in range(len(network.layers)))


def architecture_json(architecture: Architecture) -> str:
    """JSON text that `architecture_from_json` reads back."""
    return json.dumps(asdict(architecture), indent=1, sort_keys=True) + "\n"


def architecture_from_json(text: str) -> Architecture:
    """The architecture of `architecture_json`. Raises SpecError if the text is damaged or not of its space."""
    try:
        raw = json.loads(text)
        macro = raw["macro"]
        macro["stages"] = tuple(Stage(**stage) for stage in macro["stages"])
        for field in ("operators", "bitwidths"):
            macro[field] = tuple(macro[field])
        found = Architecture(macro=Macro(**macro), ops=tuple(raw["ops"]), bits=tuple(raw["bits"]))
    except (json.JSONDecodeError, KeyError, TypeError, AttributeError) as err:
        raise SpecError(f"architecture: damaged JSON ({err}); repeat the search") from None
    check_architecture(found)
    return found
