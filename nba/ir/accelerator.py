# SPDX-License-Identifier: Apache-2.0
"""The accelerator: chunks, their programs, and the row rings between them (docs/template.md)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from nba.ir.operators import MIXING, Kind

HOST = -1
"""Stands for the host wherever a chunk or a consuming layer is expected."""
MAX_BANKS = 16
"""Banks of a buffer at most: pp times packing."""

Port = Literal["main", "residual"]

MemoryPort = Literal["main", "residual", "weights"]
"""What a memory that is written serves at its consumer."""

Place = Literal["dsp", "lut"]
"""What multipliers are made of: DSP blocks (products that synthesis finds too small for one: LUTs), or adders in
LUTs."""
MULTIPLIER_PLACES: tuple[Place, ...] = get_args(Place)


def input_word(mixes: bool, pm: int, pn: int) -> int:
    """Channels in a word of the input of an engine of pm x pn lanes. (nba.machine.geometry compiles it.)"""
    return pn if mixes else pm


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """A layer that a chunk executes, in round r on frame r - `stage`.

    slices: parts of its output channels, of as many channel groups each. With more than one, a frame is computed slice
    after slice, each on all rows of the map: so the weights of a slice are used up before those of the next one.
    streamed: its weights come from external memory, slice by slice (`Accelerator.memory`).
    """

    layer: int
    stage: int = 0
    slices: int = 1
    streamed: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Turn:
    """The next `rows` output rows of job number `job` of a chunk, all of one slice. late: how many rounds after its
    job's frame begins they are computed, 0 or 1: in round r they are of frame r - stage - late."""

    job: int
    rows: int
    late: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Chunk:
    """A sub-accelerator: pm x pn x pp MACs (dense) or pm x pp MACs (depthwise, pn = 1), pq requantised channels per
    cycle and column, and the jobs that it executes.

    turns: the order in which it executes their rows, round after round; none: every job once per round, all its rows
    (slice after slice), in the order of `jobs`.
    columns: its own columns, a divisor of pp (for layers of narrow maps); 0: pp.
    requant, products: what the multipliers of its requantisers and of its MACs (depthwise only) are made of; cycles and
    bits are the same.
    """

    kind: Kind
    pm: int
    pn: int
    pq: int
    jobs: tuple[Job, ...]
    turns: tuple[Turn, ...] = ()
    requant: Place = "dsp"
    products: Place = "dsp"
    columns: int = 0

    @property
    def mixes(self) -> bool:
        """Whether an output channel is a sum over many input channels (pn of them per cycle), or over its own alone."""
        return self.kind == MIXING

    @property
    def last_stage(self) -> int:
        """Rounds that the chunk takes more than there are frames."""
        late = [job.stage for job in self.jobs] + [self.jobs[turn.job].stage + turn.late for turn in self.turns]
        return max(late)

    @property
    def lanes(self) -> int:
        """Channels in one word of this chunk's input buffers."""
        return input_word(self.mixes, self.pm, self.pn)


@dataclass(frozen=True, kw_only=True, slots=True)
class Ring:
    """A ring of `rows` rows of tensor `tensor` for one use of it: by layer `consumer` (or HOST) on its `port`.

    Rings that share producer chunk, consumer chunk, port and `lane` share one physical buffer (an edge). A tensor
    with two uses in one chunk needs two lanes: an edge takes one write of a tensor per cycle.

    share: rings of one edge with the same number, which is not 0, lie on the same memory and take turns: a frame of one
    is all released before the first row of the next one's is written, in the order of `Accelerator.rings`, frame after
    frame.

    parts: with more than one, a row holds the channels of one slice alone, and the ring takes the map slice by slice:
    producer and consumer compute in so many slices, and a slice of the consumer waits for its own channels only.
    """

    tensor: int
    consumer: int
    port: Port = "main"
    rows: int
    lane: int = 0
    share: int = 0
    parts: int = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class WeightMemory:
    """The external memory that the weights of streamed jobs come from: `bus_bits` data bits of its AXI4 read port, read
    in bursts of `burst` beats; `latency`: cycles from the handshake of an address to the first beat of its data, after
    which a beat comes in every cycle.

    slots: slices of weights that a chunk has room for. order: the chunk of every slice in the order in which the slices
    of a round are read, those of a chunk as it uses them; none: the chunks by turns, in proportion (`fetch_order`).
    """

    bus_bits: int
    latency: int
    burst: int = 16
    slots: int = 2
    order: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class UltraMemory:
    """A memory that is built of UltraRAM: that of the buffer from chunk `producer` to chunk `consumer` (each may be the
    HOST) on this port and lane; or, on port "weights" from HOST, the store of the streamed weights of chunk
    `consumer`."""

    producer: int
    consumer: int
    port: MemoryPort
    lane: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Accelerator:
    """K chunks working concurrently on `pp` columns each; `out_lanes` channels per beat of the output stream.

    packing: 1, 2 or 4, the most columns whose narrow codes share one multiplier's operand in chunks that mix channels;
    buffers have so many times pp banks. block_luts: LUTs that a block RAM of 18 Kbit is worth: a bank of a buffer is
    built of LUTs if it takes no more of them (nba.machine.kernels.priced_block); 0: by the platform's limits on its
    size. memory: where the weights of streamed jobs come from; None where there are none. ultra: the memories that are
    built of UltraRAM.
    """

    pp: int
    chunks: tuple[Chunk, ...]
    rings: tuple[Ring, ...]
    out_lanes: int
    packing: int = 1
    block_luts: int = 0
    memory: WeightMemory | None = None
    ultra: tuple[UltraMemory, ...] = ()

    @property
    def banks(self) -> int:
        """Columns that lie side by side in every buffer."""
        return self.pp * self.packing

    def place(self) -> dict[int, int]:
        """layer index -> chunk index."""
        return {job.layer: k for k, chunk in enumerate(self.chunks) for job in chunk.jobs}
