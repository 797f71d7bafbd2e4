# SPDX-License-Identifier: Apache-2.0
"""The sections `budgets` and `accelerator` of a spec: the hard limits of a design, the numbers of chunks that are
searched, and where weights lie."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from nba.core.section import Positive, PositiveFloat, Rate, Section
from nba.ir.accelerator import MAX_BANKS


class ResourceBudgets(Section):
    """The hard limits that the user and the search have in one unit; None is no limit.

    dsp: DSP blocks. bram: 36-Kbit memory blocks (a half is one 18-Kbit block). uram: UltraRAM blocks; None: all of the
    board. lut: 6-input LUTs, by the calibrated estimate. power_w: dynamic watts at one frame per interval, by a
    relative model.
    """

    dsp: Positive
    bram: PositiveFloat
    uram: Annotated[int, Field(ge=0, strict=True)] | None = None
    lut: Positive | None = None
    power_w: PositiveFloat | None = None


class RunBudgets(ResourceBudgets):
    """Hard limits: what is emitted satisfies them, or the run says which it does not and ends with an error.

    dsp: DSP blocks. bram: 36-Kbit blocks (a half is one 18-Kbit block). uram: UltraRAM blocks, by default all that the
    board has; 0: none. lut: 6-input LUTs, by an estimate whose error the report states. power_w: dynamic watts at full
    speed, by a relative model. latency_us: from the first input to the first output. fps: frames per second, at least.
    accuracy: of the integer network on the test images, at least (share of 1); it is known once the network is trained.
    clock_mhz: the target clock [MHz], at most the one that the platform supports, which is the default.
    """

    latency_us: PositiveFloat | None = None
    fps: PositiveFloat | None = None
    accuracy: Rate | None = None
    clock_mhz: Annotated[float, Field(ge=1.0, le=10_000.0, allow_inf_nan=False)] | None = None


Columns = Annotated[int, Field(ge=1, le=MAX_BANKS, strict=True)]


Placement = Literal["on_chip", "streamed", "auto"]
"""Where the weights of a design may lie."""


class WeightSource(Section):
    """The fields of the section `accelerator` that say where the weights of a design lie; `ChunkLimits` describes
    them."""

    weights: Placement = "auto"
    memory_share: Rate = 1.0
    memory_ports: Positive = 1

    @model_validator(mode="after")
    def _only_of_a_port(self) -> WeightSource:
        if self.weights == "on_chip" and (self.memory_share != 1.0 or self.memory_ports != 1):
            raise ValueError(
                "memory_share and memory_ports belong to weights that may be streamed; leave them out, or give "
                "`weights: auto` or `weights: streamed`"
            )
        return self


class ChunkLimits(WeightSource):
    """Bounds of the accelerators that are searched, and where their weights lie. Every network has layers of two kinds,
    with chunks of their own.

    columns: columns of a map that an engine may work on at once, the numbers to choose from; None: 1, 2, 4 and 8.
    min_chunks, max_chunks and columns hold for designs with all weights on chip; the mapper of streamed weights chooses
    its own numbers.

    weights: `on_chip`: all in the memories of the device; `streamed`: those of late layers in the external memory of
    the board, from where they are read in every frame; `auto`: on chip, and streamed only where no design with all
    weights on chip meets the budgets. memory_share: share of the bytes per cycle of the port that streamed weights may
    take. memory_ports: ports of the board's memory that are taken side by side, as one of so many times the width.
    """

    min_chunks: Annotated[int, Field(ge=1, le=8, strict=True)] = 2
    max_chunks: Annotated[int, Field(ge=2, le=8, strict=True)] = 4
    columns: Annotated[tuple[Columns, ...], Field(min_length=1)] | None = None

    @model_validator(mode="after")
    def _ordered(self) -> ChunkLimits:
        if self.min_chunks > self.max_chunks:
            raise ValueError(f"min_chunks {self.min_chunks} is more than max_chunks {self.max_chunks}")
        return self
