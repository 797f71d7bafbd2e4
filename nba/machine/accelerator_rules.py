# SPDX-License-Identifier: Apache-2.0
"""Legality of an accelerator for a network, as a table of rules (docs/template.md)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from nba.ir.accelerator import HOST, MAX_BANKS, MULTIPLIER_PLACES, Accelerator, Chunk, Ring, UltraMemory, WeightMemory
from nba.ir.network import Network
from nba.ir.network_rules import layer_name, tensor_name
from nba.ir.operators import KINDS
from nba.ir.rules import Problems, Rule, limit
from nba.machine.fetches import slice_beats, words_per_row
from nba.machine.geometry import ceil_div, edge_of, reader_word, stream_columns
from nba.machine.kernels import IN_LUTS, PAIR_BITS, PAIRED, products
from nba.machine.program import ChunkProgram, Program, input_lanes, lower, min_ring_rows
from nba.machine.windows import window

MAX_PARALLEL = 4095
"""Largest pm, pn, pq and out_lanes."""
MAX_WORDS = 65535
"""Words of an edge bank, a weight or a parameter memory: 16 bits hold their number, not only their addresses."""
MAX_ROWS = 32767
"""Rows of a ring whose 16-bit counters still compare."""
MAX_STAGE = 255
MAX_SLICES = 255
"""Slices of a job."""
BUS_BITS = (32, 64, 128, 256, 512)
"""Data bits of the port to external memory."""
MAX_LATENCY = 4095
MAX_SLOTS = 8
MAX_BURST = 256
MAX_BURST_BYTES = 4096
"""Cycles, slices that a chunk has room for, beats and bytes of a burst."""
MAX_BEATS = 65535
"""Beats of a slice of weights."""
MAX_BURSTS = 1 << 24
"""Bursts of the image of weights in external memory, the places that the word of a fetch can name."""
MAX_TURNS = 4096
"""Turns of a round of a chunk."""
MAX_BLOCK_LUTS = 4095
"""LUTs that a block RAM may be worth."""
MAX_CHUNKS = 48
MAX_JOBS = 128
"""Chunks, and jobs of a chunk, that have counters of their own behind AXI4-Lite (nba_axil)."""
MAX_BEAT_BITS = 4096
"""Bits of a beat of either stream; Vitis HLS allows no more."""
MAX_EDGES = 15
MAX_RINGS = 63
PARALLEL_COLUMNS = (1, 2, 4, 8)
"""Values of pp that a search tries unless it is given others; legal are all up to MAX_BANKS."""
PACKINGS = (1, 2, 4)


def columns_of(packing: int, columns: tuple[int, ...] | None = None) -> tuple[int, ...]:
    """Values of pp that a search tries in a design of this packing: those of `columns` that are legal, or, where it is
    not told any, of PARALLEL_COLUMNS with as many banks at most."""
    tried, most = (PARALLEL_COLUMNS, PARALLEL_COLUMNS[-1]) if columns is None else (columns, MAX_BANKS)
    return tuple(pp for pp in tried if pp * packing <= most)


@dataclass(frozen=True, kw_only=True, slots=True)
class MappedNetwork:
    """A legal network, with the further modes of its design, and the accelerator that is to execute them."""

    network: Network
    accelerator: Accelerator
    modes: tuple[Network, ...] = ()
    place: dict[int, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "place", self.accelerator.place())

    def ring(self, i: int) -> str:
        """Ring number `i`, named by what it carries."""
        r = self.accelerator.rings[i]
        consumer = "host" if r.consumer == HOST else f"layer {r.consumer}"
        return f"ring {i} (tensor {r.tensor} -> {consumer}, {r.port})"

    def chunk(self, k: int) -> str:
        """Chunk number `k`, named by its kind and sizes."""
        c = self.accelerator.chunks[k]
        return f"chunk {k} ({c.kind} pm={c.pm} pn={c.pn} pq={c.pq})"

    def producer(self, tensor: int) -> int:
        """Chunk that writes `tensor`, or HOST."""
        return HOST if tensor == 0 else self.place[tensor - 1]

    def edge(self, ring: Ring) -> tuple[int, int, str, int]:
        """Identity of the buffer that `ring` lives in."""
        return edge_of(ring, self.place)

    def uses(self) -> Iterator[tuple[int, int, str]]:
        """(tensor, consumer, port) of everything that needs a ring."""
        for t in range(len(self.network.tensors)):
            for consumer, port in self.network.consumers(t):
                yield t, consumer, port
        yield len(self.network.layers), HOST, "main"


def _columns(s: MappedNetwork) -> Problems:
    yield from limit("accelerator: pp", s.accelerator.pp, 1, MAX_BANKS)
    if s.accelerator.packing not in PACKINGS:
        yield f"accelerator: packing is {s.accelerator.packing}; legal: {', '.join(map(str, PACKINGS))}"
    elif s.accelerator.banks > MAX_BANKS >= s.accelerator.pp:
        yield f"accelerator: pp times packing is {s.accelerator.banks}; legal: up to {MAX_BANKS}, the banks of a buffer"
    if s.accelerator.packing > 1 and s.network.master_bits > PAIR_BITS:
        yield (
            f"accelerator: packing is {s.accelerator.packing}; legal for codes of {s.network.master_bits} bits: 1, "
            "their products fill a multiplier"
        )


def _block_price(s: MappedNetwork) -> Problems:
    yield from limit("accelerator: block_luts", s.accelerator.block_luts, 0, MAX_BLOCK_LUTS)


def _chunk_count(s: MappedNetwork) -> Problems:
    yield from limit("accelerator: number of chunks", len(s.accelerator.chunks), 1, MAX_CHUNKS)


def _engine(s: MappedNetwork) -> Problems:
    for k, c in enumerate(s.accelerator.chunks):
        if c.kind not in KINDS:
            yield f"chunk {k}: kind is {c.kind!r}; legal: {', '.join(KINDS)}"
        for what, value in (("pm", c.pm), ("pn", c.pn), ("pq", c.pq)):
            yield from limit(f"{s.chunk(k)}: {what}", value, 1, MAX_PARALLEL)
    yield from limit("accelerator: out_lanes", s.accelerator.out_lanes, 1, MAX_PARALLEL)


def _own_columns(s: MappedNetwork) -> Problems:
    for k, c in enumerate(s.accelerator.chunks):
        if c.columns < 0 or (c.columns and s.accelerator.pp % c.columns):
            yield f"{s.chunk(k)}: columns is {c.columns}; legal: 0, and divisors of pp, {s.accelerator.pp}"


def _job_layers(s: MappedNetwork) -> Problems:
    for k, c in enumerate(s.accelerator.chunks):
        for j, job in enumerate(c.jobs):
            yield from limit(f"{s.chunk(k)}: layer of job {j}", job.layer, 0, len(s.network.layers) - 1)


def _job_count(s: MappedNetwork) -> Problems:
    for k, c in enumerate(s.accelerator.chunks):
        yield from limit(f"{s.chunk(k)}: number of jobs", len(c.jobs), 1, MAX_JOBS)


def _placed_once(s: MappedNetwork) -> Problems:
    places: dict[int, list[str]] = {}
    for k, c in enumerate(s.accelerator.chunks):
        for j, job in enumerate(c.jobs):
            places.setdefault(job.layer, []).append(f"chunk {k} job {j}")
    for i in range(len(s.network.layers)):
        at = places.get(i, [])
        if len(at) != 1:
            found = ", ".join(at) or "nowhere"
            yield f"{layer_name(s.network, i)}: placed {len(at)} times ({found}); legal: exactly once"


def _ring_uses(s: MappedNetwork) -> Problems:
    wanted = set(s.uses())
    seen: dict[tuple[int, int, str], int] = {}
    for i, r in enumerate(s.accelerator.rings):
        use = (r.tensor, r.consumer, r.port)
        if use not in wanted:
            yield f"{s.ring(i)}: the network has no such use; legal: one ring per use of a tensor"
        elif use in seen:
            yield f"{s.ring(i)}: ring {seen[use]} serves this use already; legal: one ring per use of a tensor"
        seen.setdefault(use, i)
    for tensor, consumer, port in sorted(wanted - set(seen)):
        reader = "the host" if consumer == HOST else f"{layer_name(s.network, consumer)} port {port}"
        yield f"{tensor_name(s.network, tensor)}: no ring towards {reader}; legal: one ring per use of a tensor"


def _kinds(s: MappedNetwork) -> Problems:
    for k, c in enumerate(s.accelerator.chunks):
        for job in c.jobs:
            layer = s.network.layers[job.layer]
            if layer.operator.mixes != c.mixes:
                yield f"{s.chunk(k)}: executes {layer_name(s.network, job.layer)} of op {layer.op}; legal: its own kind"


def _word_of_one(s: MappedNetwork) -> Problems:
    for k, c in enumerate(s.accelerator.chunks):
        if not c.mixes and c.pn != 1:
            yield f"{s.chunk(k)}: pn is {c.pn}; legal for {c.kind}: 1"


def _multipliers(s: MappedNetwork) -> Problems:
    for k, c in enumerate(s.accelerator.chunks):
        for what, value in (("requant", c.requant), ("products", c.products)):
            if value not in MULTIPLIER_PLACES:
                yield f"{s.chunk(k)}: {what} is {value!r}; legal: {', '.join(MULTIPLIER_PLACES)}"
        if c.products == "lut" and c.mixes:
            yield f"{s.chunk(k)}: products is 'lut'; legal for {c.kind}: dsp"


def _without_memory(s: MappedNetwork) -> Program:
    """What the design lowers to, but for the list of fetches, which its own rule checks."""
    return lower(s.network, replace(s.accelerator, memory=None), s.modes)


def _narrow_products(s: MappedNetwork) -> Problems:
    if all(c.products == "dsp" for c in s.accelerator.chunks):
        return
    for k, c in enumerate(_without_memory(s).chunks):
        if c.products == "lut" and products(c.mixes, c.act_bits, c.weight_bits, c.acc_bits, c.packing) == IN_LUTS:
            yield f"{s.chunk(k)}: products is 'lut'; legal for products of less than 9 bits: dsp (they take none)"


def _drain(s: MappedNetwork) -> Problems:
    for k, c in enumerate(s.accelerator.chunks):
        if c.pm % c.pq:
            yield f"{s.chunk(k)}: pq {c.pq} does not divide pm {c.pm}; legal: divisors of pm"


def _stages(s: MappedNetwork) -> Problems:
    for k, c in enumerate(s.accelerator.chunks):
        for j, job in enumerate(c.jobs):
            yield from limit(
                f"{s.chunk(k)}: stage of job {j} (layer {job.layer})",
                job.stage,
                0,
                MAX_STAGE - any(turn.late for turn in c.turns),
            )


def _slices(s: MappedNetwork) -> Problems:
    for k, c in enumerate(s.accelerator.chunks):
        for j, job in enumerate(c.jobs):
            what, layer = f"{s.chunk(k)}: slices of job {j} (layer {job.layer})", s.network.layers[job.layer]
            yield from limit(what, job.slices, 1, MAX_SLICES)
            if job.slices <= 1:
                continue
            groups = ceil_div(s.network.result(job.layer).channels, c.pm)
            if c.mixes and layer.groups != 1:
                yield f"{what} is {job.slices}; legal for a layer that mixes a part of its channels: 1"
            elif layer.pad_codes is not None and not c.mixes:
                yield f"{what} is {job.slices}; legal for a layer of {c.kind} with pad codes per channel: 1"
            elif groups % job.slices:
                yield f"{what} is {job.slices}; legal: divisors of its {groups} groups of {c.pm} channels"


def _parts(s: MappedNetwork) -> Problems:
    """A ring whose rows hold a part of the channels is written and read slice by slice; a layer that does not mix
    channels, computed in slices, reads such a ring."""
    jobs = {job.layer: (c, job) for c in s.accelerator.chunks for job in c.jobs}
    for i, r in enumerate(s.accelerator.rings):
        writer, reader = jobs.get(r.tensor - 1), jobs.get(r.consumer)
        if r.parts == 1:
            if reader is not None and not reader[0].mixes and reader[1].slices > 1 and r.port == "main":
                yield (
                    f"{s.ring(i)}: parts is 1, but layer {r.consumer} takes a slice of its channels; legal: "
                    f"{reader[1].slices}"
                )
            continue
        yield from limit(f"{s.ring(i)}: parts", r.parts, 1, MAX_SLICES)
        if writer is None or reader is None or r.port != "main" or reader[0].mixes:
            legal = "1, but between two layers, on the main port of one that mixes no channels"
            yield f"{s.ring(i)}: parts is {r.parts}; legal: {legal}"
        elif not writer[1].slices == reader[1].slices == r.parts:
            yield (
                f"{s.ring(i)}: parts is {r.parts}, but layers {r.tensor - 1} and {r.consumer} have "
                f"{writer[1].slices} and {reader[1].slices} slices; legal: as many parts as either has slices, or 1"
            )
        else:
            made = [ceil_div(s.network.tensors[r.tensor].channels, c.pm) * c.pm for c, _ in (writer, reader)]
            if made[0] != made[1]:
                yield (
                    f"{s.ring(i)}: parts is {r.parts}, but layers {r.tensor - 1} and {r.consumer} compute {made[0]} "
                    f"and {made[1]} channels, absent ones included; legal: as many"
                )


def _streamed(s: MappedNetwork) -> Problems:
    memory, any_job = s.accelerator.memory, False
    for k, c in enumerate(s.accelerator.chunks):
        for j, job in enumerate(c.jobs):
            if not job.streamed:
                continue
            any_job = True
            what = f"{s.chunk(k)}: job {j} (layer {job.layer}) is streamed"
            if memory is None:
                yield f"{what}, but the accelerator has no memory; legal: a memory, or weights on chip"
            if not s.network.layers[job.layer].operator.stores_weights:
                yield f"{what}, but {s.network.layers[job.layer].op} has no weights; legal: not streamed"
    if memory is None:
        return
    if not any_job:
        yield "accelerator: has a memory, but no job is streamed; legal: no memory"
    if memory.bus_bits not in BUS_BITS:
        yield f"accelerator: memory.bus_bits is {memory.bus_bits}; legal: {', '.join(map(str, BUS_BITS))}"
    yield from limit("accelerator: memory.latency", memory.latency, 1, MAX_LATENCY)
    yield from limit("accelerator: memory.slots", memory.slots, 2, MAX_SLOTS)
    yield from limit("accelerator: memory.burst", memory.burst, 1, MAX_BURST)
    if memory.burst & (memory.burst - 1) or memory.burst * memory.bus_bits > 8 * MAX_BURST_BYTES:
        yield (
            f"accelerator: memory.burst is {memory.burst} beats of {memory.bus_bits} bits; legal: powers of two, up to "
            f"{MAX_BURST_BYTES} bytes"
        )


def _fetch_list(s: MappedNetwork) -> Problems:
    memory = s.accelerator.memory
    if memory is None:
        return
    program = _without_memory(s)
    counts, bursts = [0] * len(program.chunks), 0
    for k, c in enumerate(program.chunks):
        if not c.slot_words:
            continue
        yield from _one_after_the_other(s.chunk(k), c)
        yield from _store(s.chunk(k), c, memory)
        for turn in c.turns:
            if c.jobs[turn.job].streamed and turn.first == 0:
                counts[k] += 1
                words = c.jobs[turn.job].slice_words
                bursts += ceil_div(slice_beats(words, c.weight_width, memory.bus_bits), max(1, memory.burst))
    yield from limit("accelerator: chunks that stream weights", sum(n > 0 for n in counts), 1, MAX_EDGES)
    yield from limit("accelerator: slices of weights in a round", sum(counts), 1, MAX_TURNS)
    yield from limit(f"accelerator: bursts of {memory.burst} beats of the image of weights", bursts, 1, MAX_BURSTS)
    if memory.order and sorted(memory.order) != [k for k, n in enumerate(counts) for _ in range(n)]:
        legal = ", ".join(f"chunk {k} {n} times" for k, n in enumerate(counts) if n)
        yield f"accelerator: memory.order does not name every slice of a round; legal: {legal}"


def _one_after_the_other(what: str, c: ChunkProgram) -> Problems:
    """Round and round, a slice is computed to its end before the next one begins."""
    turns = [turn for turn in c.turns if c.jobs[turn.job].streamed]
    for before, turn in zip([turns[-1], *turns], turns, strict=False):
        if before.ends != (turn.first == 0):
            yield (
                f"{what}: slice {turn.slice} of job {turn.job} is computed before the slice of another turn ends; "
                "legal: streamed slices one after the other"
            )


def _store(what: str, c: ChunkProgram, memory: WeightMemory) -> Problems:
    """The store of a chunk that streams weights."""
    words = c.weight_depth + memory.slots * c.slot_words
    yield from limit(f"{what}: weight words with {memory.slots} slots", words, 1, MAX_WORDS)
    beats = slice_beats(c.slot_words, c.weight_width, memory.bus_bits)
    yield from limit(f"{what}: beats of a slice", beats, 1, MAX_BEATS)
    kind = products(c.mixes, c.act_bits, c.weight_bits, c.acc_bits, c.packing)
    if c.nested_weight and kind == PAIRED and c.packing == 1:
        yield f"{what}: streams weights that it rounds and multiplies in pairs; legal: weights as stored"
    elif c.nested_weight and words_per_row(c.weight_width, memory.bus_bits) > 1:
        yield (
            f"{what}: streams weights that it rounds, in words of half a beat of {memory.bus_bits} bits or "
            "less; legal: a narrower port, or weights as stored"
        )


def _slice_words(s: MappedNetwork) -> Problems:
    """Slices begin and end with words of all rings, and every slice finds the whole map of what it touches."""
    sliced = {
        job.layer: (k, job.slices) for k, c in enumerate(s.accelerator.chunks) for job in c.jobs if job.slices > 1
    }
    for i, r in enumerate(s.accelerator.rings):
        height = s.network.tensors[r.tensor].height
        for layer, port in ((r.tensor - 1, "output"), (r.consumer, r.port)):
            if layer not in sliced:
                continue
            k, slices = sliced[layer]
            if r.rows < height and r.parts == 1:
                legal = f"{height}..{MAX_ROWS}, the whole map that slices of layer {layer} touch"
                yield f"{s.ring(i)}: rows is {r.rows}; legal: {legal}"
            if port == "main":
                continue
            reader = s.accelerator.out_lanes
            if r.consumer != HOST:
                reader = reader_word(s.accelerator.chunks[s.place[r.consumer]], r.port)
            channels = s.network.result(layer).channels
            made = ceil_div(channels, s.accelerator.chunks[k].pm) * s.accelerator.chunks[k].pm
            if made % (slices * reader) or ceil_div(channels, reader) * reader != made:
                legal = f"multiples of the {reader} channels of a word, without empty words behind the last"
                has = f"{slices} slices of {made // slices} channels, of {channels} in all"
                yield f"{s.ring(i)}: layer {layer} has {has}; legal: {legal}"


def _turns(s: MappedNetwork) -> Problems:
    for k, c in enumerate(s.accelerator.chunks):
        yield from limit(f"{s.chunk(k)}: number of turns", _n_turns(c), 0, MAX_TURNS)
        rows, late = [0] * len(c.jobs), [False] * len(c.jobs)
        heights = [s.network.result(job.layer).height for job in c.jobs]
        bad: list[str] = []
        for i, turn in enumerate(c.turns):
            what = f"{s.chunk(k)}: turn {i}"
            bad += limit(f"{what}: job", turn.job, 0, len(c.jobs) - 1)
            bad += limit(f"{what}: late", turn.late, 0, 1)
            if not bad:
                bad += limit(f"{what}: rows of job {turn.job}", turn.rows, 1, heights[turn.job])
        yield from bad
        if bad or not c.turns:
            continue
        # Backwards, so that a turn that is late shows that all before it must be.
        for i, turn in reversed(list(enumerate(c.turns))):
            rows[turn.job] += turn.rows
            if turn.late == 0 and late[turn.job]:
                yield (
                    f"{s.chunk(k)}: turn {i} of job {turn.job} begins a frame before a late one ends that before it; "
                    "legal: all late turns of a job before its others"
                )
            late[turn.job] |= turn.late == 1
        for j, (found, height) in enumerate(zip(rows, heights, strict=True)):
            if found != height * c.jobs[j].slices:
                legal = (
                    f"{height}" if c.jobs[j].slices == 1 else f"{height * c.jobs[j].slices}, {height} of every slice"
                )
                yield f"{s.chunk(k)}: turns of job {j} (layer {c.jobs[j].layer}) have {found} rows; legal: {legal}"
        yield from _within_slices(s, k, heights)


def _n_turns(chunk: Chunk) -> int:
    """Turns of a round, those of a program that does not name them included."""
    return len(chunk.turns) or sum(job.slices for job in chunk.jobs)


def _within_slices(s: MappedNetwork, k: int, heights: list[int]) -> Problems:
    """No turn goes on from one slice to the next. Late turns are those behind the others (nba.machine.program)."""
    done = [0] * len(heights)
    for late in (0, 1):
        for i, turn in enumerate(s.accelerator.chunks[k].turns):
            if turn.late == late:
                height = heights[turn.job]
                left = height - done[turn.job] % height
                if turn.rows > left:
                    legal = f"at most {left}, to the end of its slice"
                    yield f"{s.chunk(k)}: turn {i} has {turn.rows} rows of job {turn.job}; legal: {legal}"
                done[turn.job] += turn.rows


def _write_lanes(s: MappedNetwork) -> Problems:
    place, chunks = s.place, s.accelerator.chunks
    for i, r in enumerate(s.accelerator.rings):
        if r.tensor == 0:
            continue
        k = s.producer(r.tensor)
        if r.consumer == HOST:
            lanes, owner = s.accelerator.out_lanes, "out_lanes"
        else:
            reader = chunks[place[r.consumer]]
            lanes = reader_word(reader, r.port)
            owner = f"{'lanes' if r.port == 'main' else 'pq'} of chunk {place[r.consumer]}"
        if lanes % chunks[k].pq:
            yield f"{s.ring(i)}: {s.chunk(k)} writes pq {chunks[k].pq} lanes; legal: divisors of the {owner}, {lanes}"


def _ring_rows(s: MappedNetwork) -> Problems:
    for i, r in enumerate(s.accelerator.rings):
        yield from limit(f"{s.ring(i)}: rows", r.rows, min_ring_rows(s.network, r.consumer, r.port), MAX_ROWS)


def _ring_shares(s: MappedNetwork) -> Problems:
    alone: dict[tuple[int, tuple[int, int, str, int]], list[int]] = {}
    for i, r in enumerate(s.accelerator.rings):
        yield from limit(f"{s.ring(i)}: share", r.share, 0, MAX_RINGS)
        if r.share == 0:
            continue
        edge = s.edge(r)
        if HOST in edge[:2]:
            yield f"{s.ring(i)}: share {r.share} of an edge of the host; legal: 0, or a ring between two chunks"
            continue
        alone.setdefault((r.share, edge), []).append(i)
        seen = window(s.network, r.consumer, r.port, r.tensor)
        if seen.needed(seen.rows - 1) < seen.height:
            yield (
                f"{s.ring(i)}: shares memory, and its reader never reads row {seen.height - 1}; legal: share 0, "
                "or a reader of the last row"
            )
    for (share, _), rings in sorted(alone.items()):
        if len(rings) == 1:
            yield f"{s.ring(rings[0])}: no other ring of its edge has share {share}; legal: 0, or two rings or more"


def _ring_lanes(s: MappedNetwork) -> Problems:
    for i, r in enumerate(s.accelerator.rings):
        yield from limit(f"{s.ring(i)}: lane", r.lane, 0, MAX_EDGES - 1)


def _one_write(s: MappedNetwork) -> Problems:
    seen: dict[tuple[int, tuple[int, int, str, int]], int] = {}
    for i, r in enumerate(s.accelerator.rings):
        key = (r.tensor, s.edge(r))
        if key in seen:
            yield f"{s.ring(i)}: shares lane {r.lane} with ring {seen[key]} of the same tensor; legal: another lane"
        seen.setdefault(key, i)


def _edge_counts(s: MappedNetwork) -> Problems:
    rings: dict[tuple[int, int, str, int], int] = {}
    for r in s.accelerator.rings:
        rings[s.edge(r)] = rings.get(s.edge(r), 0) + 1
    for (producer, consumer, port, lane), count in sorted(rings.items()):
        yield from limit(f"edge {_end(producer)} -> {_end(consumer)} {port} lane {lane}: rings", count, 1, MAX_RINGS)
    for k in range(HOST, len(s.accelerator.chunks)):
        yield from limit(f"{_end(k)}: edges out", sum(e[0] == k for e in rings), 0, MAX_EDGES)
        yield from limit(f"{_end(k)}: edges in", sum(e[1] == k for e in rings), 0, MAX_EDGES)


def _end(chunk: int) -> str:
    return "host" if chunk == HOST else f"chunk {chunk}"


def _memories(s: MappedNetwork) -> Problems:
    program = _without_memory(s)
    for e in program.edges:
        what = f"edge {_end(e.producer)} -> {_end(e.consumer)} {e.port} lane {e.lane}"
        yield from limit(f"{what}: words per bank", e.depth_words, 1, MAX_WORDS)
    for k, c in enumerate(program.chunks):
        yield from limit(f"{s.chunk(k)}: weight words", c.weight_depth, 0 if c.slot_words else 1, MAX_WORDS)
        yield from limit(f"{s.chunk(k)}: parameter words", c.param_depth, 1, MAX_WORDS)


def _ultra(s: MappedNetwork) -> Problems:
    edges, seen = {s.edge(r) for r in s.accelerator.rings}, set[UltraMemory]()
    stores = {k: c for k, c in enumerate(_without_memory(s).chunks) if c.slot_words}
    for i, memory in enumerate(s.accelerator.ultra):
        k, what = memory.consumer, f"accelerator: ultra[{i}] ({memory_name(memory)})"
        if memory in seen:
            yield f"{what} is named twice; legal: once"
        elif memory.port != "weights":
            if (memory.producer, k, memory.port, memory.lane) not in edges:
                yield f"{what}: there is no such buffer; legal: buffers that rings lie in, and stores of weights"
        elif memory.producer != HOST or memory.lane or k not in stores:
            streaming = ", ".join(map(str, stores)) or "none"
            yield f"{what}: there is no such store; legal: from the host, lane 0, to a chunk that streams ({streaming})"
        elif stores[k].weight_depth:
            yield (
                f"{what}: {stores[k].weight_depth} of its words are always there, and nothing fills UltraRAM with "
                "them; legal: a store of a chunk all of whose weights are streamed"
            )
        seen.add(memory)


def memory_name(memory: UltraMemory) -> str:
    """A memory that a design wants in UltraRAM, in words."""
    if memory.port == "weights":
        return f"weights of {_end(memory.consumer)}"
    return f"edge {_end(memory.producer)} -> {_end(memory.consumer)} {memory.port} lane {memory.lane}"


def _beats(s: MappedNetwork) -> Problems:
    columns = stream_columns(s.accelerator.banks)
    first = columns * input_lanes(s.network, s.accelerator)
    last = 1 if s.network.tensors[-1].width == 1 else columns
    for what, count in (("input", first), ("output", last * s.accelerator.out_lanes)):
        yield from limit(
            f"accelerator: bits of a beat of the {what} stream", count * s.network.master_bits, 1, MAX_BEAT_BITS
        )


ACCELERATOR_RULES: tuple[Rule[MappedNetwork], ...] = (
    Rule(name="columns", find=_columns, step=0),
    Rule(name="price of block RAM", find=_block_price, step=0),
    Rule(name="chunk count", find=_chunk_count, step=0),
    Rule(name="engine", find=_engine, step=0),
    Rule(name="job layers", find=_job_layers, step=0),
    Rule(name="job count", find=_job_count, step=0),
    Rule(name="placed once", find=_placed_once, step=0),
    Rule(name="ring uses", find=_ring_uses, step=0),
    Rule(name="kinds", find=_kinds),
    Rule(name="columns of a chunk", find=_own_columns),
    Rule(name="pn without mixing", find=_word_of_one),
    Rule(name="multipliers", find=_multipliers),
    Rule(name="drain", find=_drain),
    Rule(name="stages", find=_stages),
    Rule(name="slices", find=_slices),
    Rule(name="parts of channels", find=_parts),
    Rule(name="streamed weights", find=_streamed),
    Rule(name="turns", find=_turns),
    Rule(name="words of slices", find=_slice_words, step=2),
    Rule(name="write lanes", find=_write_lanes),
    Rule(name="ring rows", find=_ring_rows),
    Rule(name="ring lanes", find=_ring_lanes),
    Rule(name="shared memory of rings", find=_ring_shares),
    Rule(name="one write per edge", find=_one_write),
    Rule(name="edge counts", find=_edge_counts),
    Rule(name="stream beats", find=_beats),
    Rule(name="memories", find=_memories, step=2),
    Rule(name="UltraRAM", find=_ultra, step=2),
    Rule(name="fetches", find=_fetch_list, step=2),
    Rule(name="narrow products", find=_narrow_products, step=2),
)
