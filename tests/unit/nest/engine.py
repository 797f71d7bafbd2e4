# SPDX-License-Identifier: Apache-2.0
"""What the model of a mapping says about the engines of a design, in the units of nba.machine.energy.FrameEvents."""

from __future__ import annotations

from dataclasses import dataclass

from nba.ir.accelerator import Accelerator
from nba.ir.network import Network
from nba.loopnest.chunk import engine_layer, engine_mapping
from nba.loopnest.description import load_hierarchy
from nba.loopnest.layer import INPUTS, OUTPUTS, WEIGHTS
from nba.loopnest.mapping import problems
from nba.loopnest.model import access_counts
from nba.machine.program import Program


@dataclass(frozen=True, kw_only=True, slots=True)
class EngineEvents:
    """Events of one frame, in words as wide as an engine's lanes: products; weight words and activation words that the
    arrays read; values that they write."""

    macs: int
    weight_words: int
    activation_words: int
    outputs: int


def nest_events(network: Network, accelerator: Accelerator) -> EngineEvents:
    """All layers of a design, each mapped on its engine."""
    hierarchy = load_hierarchy("chunk-generic-xc7")
    place = accelerator.place()
    macs = weights = activations = outputs = 0
    for index in range(len(network.layers)):
        chunk = accelerator.chunks[place[index]]
        layer = engine_layer(network, index, chunk, accelerator.pp)
        mapping = engine_mapping(layer, chunk, accelerator.pp)
        assert problems(layer, hierarchy, mapping) == []
        found = access_counts(layer, hierarchy, mapping).outer[2]
        macs += layer.macs
        # A weight word holds pm x pn weights (depthwise: pm), an activation word pn channels (pm) of one column.
        words, rest = divmod(found[WEIGHTS], chunk.pm * chunk.pn)
        assert rest == 0
        weights += words
        words, rest = divmod(found[INPUTS], chunk.lanes)
        assert rest == 0
        activations += words
        outputs += found[OUTPUTS]
    return EngineEvents(macs=macs, weight_words=weights, activation_words=activations, outputs=outputs)


def other_reads(network: Network, accelerator: Accelerator, program: Program) -> int:
    """Words that edges hand out to others than arrays: residual operands, and the result to the host."""
    words = program.out_rows * program.out_col_groups * program.out_chan_words * program.pp
    for chunk in program.chunks:
        for job in chunk.jobs:
            if job.res_edge is not None:
                columns = job.rows_out * job.col_groups * program.pp
                words += columns * -(-network.tensors[job.layer + 1].channels // chunk.pq)
    return words


def has_single_steps(program: Program) -> bool:
    """Whether a layer has one step per channel group: see nba.loopnest.chunk.engine_mapping."""
    return any(job.steps == 1 for chunk in program.chunks for job in chunk.jobs)
