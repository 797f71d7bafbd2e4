# SPDX-License-Identifier: Apache-2.0
"""Where weights lie: which mapper is asked, what each choice refuses, and that `auto` changes nothing where all weights
fit on the chip."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

import nba
from nba.boards import ExternalMemory, Platform, get
from nba.core.errors import InfeasibleError, SpecError
from nba.explore import mapping
from nba.explore.budgets import Budgets
from nba.explore.choose import Effort, Mapped, map_certified
from nba.explore.config import ChunkLimits, WeightSource
from nba.explore.mapping import map_weights, memory_problems, streaming_problems
from nba.explore.streaming import StreamEffort, map_streamed, streaming_memory
from nba.flow.digests import inputs_digest
from nba.flow.limits import check_limits
from nba.flow.pipelines import MIXED
from nba.flow.stages.map import memory_figures
from nba.flow.stamps import Stamp
from nba.ir.accelerator import Accelerator
from nba.ir.network import Network
from nba.machine.check import check_accelerator
from nba.machine.program import lower
from nba.spec import Spec
from nba.zoo.networks import Builder

QUICK = Effort(scout_steps=20, climb_steps=20, finalists=1, reorder_steps=0, refine_steps=5, exact=False)
SHORT = StreamEffort(sift_steps=300, start_steps=600, starts=1, rounds=((2, 10), (1, 40)))
MEMORY = ExternalMemory(ports=2, bytes_per_cycle=8, latency_cycles=60, at_clock_mhz=160.0, source="x")
BOARD = replace(get("pynq-z2"), memory=MEMORY)
ROOM = Budgets(dsp=64, bram=100, lut=53_200)
TIGHT = ROOM.but(bram=30.0)
"""Block RAM that does not hold the weights of `heavy`."""
NOTHING = ROOM.but(bram=0.5)


def heavy() -> Network:
    """Small maps, and late layers with most of 200,000 weights."""
    net = Builder()
    here = net.add("dense", net.image(16), 8, 3, 2)
    here = net.add("dense", here, 32, 3, 2)
    here = net.add("dense", here, 256)
    here = net.add("dense", here, 256)
    here = net.add("dense", here, 512)
    here = net.add("avgpool", here, 512, net.tensors[here].height)
    net.add("dense", here, 20, relu=False)
    return net.network("heavy")


def mapped(budgets: Budgets, weights: str, platform: Platform = BOARD, **more: Any) -> Mapped:
    """What `map_weights` finds for `heavy`."""
    source = WeightSource.model_validate({"weights": weights})
    return map_weights(heavy(), platform, budgets, source=source, effort=QUICK, stream_effort=SHORT, **more)


def test_auto_is_what_it_was_where_the_weights_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*given: object, **more: object) -> Mapped:
        raise AssertionError("nothing is to be streamed")

    monkeypatch.setattr(mapping, "map_streamed", refuse)
    before = map_certified(heavy(), BOARD, ROOM, effort=QUICK, seed=3, max_chunks=3)
    for weights in ("auto", "on_chip"):
        assert mapped(ROOM, weights, seed=3, max_chunks=3) == before
    assert before.accelerator.memory is None


def test_auto_streams_what_does_not_fit() -> None:
    """The design of `map_streamed` itself; on_chip says what it said."""
    with pytest.raises(InfeasibleError) as alone:
        map_certified(heavy(), BOARD, TIGHT, effort=QUICK)
    with pytest.raises(InfeasibleError) as on_chip:
        mapped(TIGHT, "on_chip")
    assert str(on_chip.value) == str(alone.value)
    wanted = map_streamed(heavy(), BOARD, TIGHT, memory=streaming_memory(BOARD), effort=SHORT)
    assert mapped(TIGHT, "auto") == mapped(TIGHT, "streamed") == wanted
    assert check_accelerator(heavy(), wanted.accelerator) == ()
    assert all(part <= 1 for part in TIGHT.excess_of(wanted.cost).values())
    program = lower(heavy(), wanted.accelerator)
    assert wanted.accelerator.memory is not None
    figures = memory_figures(program, 0.5)
    assert figures is not None
    assert figures["bytes_per_frame"] == program.streamed_bytes == 8 * sum(fetch.beats for fetch in program.fetches) > 0
    assert (figures["bytes_per_cycle"], figures["latency_cycles"], figures["share"]) == (8, 60, 0.5)


def test_the_device_limits_luts_that_have_no_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Budgets] = []

    def note(network: Network, platform: Platform, budgets: Budgets, **more: object) -> Mapped:
        asked.append(budgets)
        raise InfeasibleError("noted")

    monkeypatch.setattr(mapping, "map_streamed", note)
    for budgets in (TIGHT.but(lut=None), TIGHT.but(lut=9000)):
        with pytest.raises(InfeasibleError, match="noted"):
            mapped(budgets, "streamed")
    assert asked == [TIGHT.but(lut=BOARD.lut), TIGHT.but(lut=9000)]


def test_an_accelerator_that_streams_is_no_start_for_one_that_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    streams, stays = mapped(TIGHT, "streamed").accelerator, mapped(ROOM, "on_chip")
    begun: list[Accelerator | None] = []

    def note(*given: object, start: Accelerator | None, **more: object) -> Mapped:
        begun.append(start)
        return stays

    monkeypatch.setattr(mapping, "map_certified", note)
    for start in (streams, stays.accelerator, None):
        assert mapped(ROOM, "auto", start=start) == stays
    assert begun == [None, stays.accelerator, None]


def test_what_neither_mapper_finds_has_both_messages() -> None:
    with pytest.raises(InfeasibleError) as on_chip:
        mapped(NOTHING, "on_chip")
    with pytest.raises(InfeasibleError) as streamed:
        mapped(NOTHING, "streamed")
    with pytest.raises(InfeasibleError) as both:
        mapped(NOTHING, "auto")
    assert str(both.value) == f"with all weights on chip: {on_chip.value}\nwith streamed weights: {streamed.value}"


def test_auto_does_not_stream_where_that_is_impossible(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message is that of the mapper of weights on chip alone."""

    def refuse(*given: object, **more: object) -> Mapped:
        raise AssertionError("nothing can be streamed")

    monkeypatch.setattr(mapping, "map_streamed", refuse)
    bare = replace(BOARD, memory=None)
    for platform, more in ((bare, {}), (BOARD, {"objective": "latency"})):
        with pytest.raises(InfeasibleError) as error:
            mapped(NOTHING, "auto", platform, **more)
        assert "streamed" not in str(error.value)
    for budgets in (NOTHING.but(power_w=1.0), NOTHING.but(latency_cycles=10_000)):
        with pytest.raises(InfeasibleError) as error:
            mapped(budgets, "auto")
        assert "streamed" not in str(error.value)


@pytest.mark.parametrize(
    ("platform", "budgets", "more", "line"),
    [
        (
            replace(BOARD, memory=None), ROOM, {},
            "pynq-z2 has no external memory of 4 bytes per cycle or more; legal: a board that has one (section "
            "`memory` of a board file, docs/boards.md), or weights: on_chip",
        ),
        (
            BOARD, ROOM, {"objective": "energy"},
            "objective is energy, and its mapper minimises the interval; legal: objective: interval, or weights: "
            "on_chip",
        ),
        (
            BOARD, ROOM.but(power_w=0.5), {},
            "its mapper does not search by budgets.power_w: 0.5; legal: budgets without it, or weights: on_chip",
        ),
        (
            BOARD, ROOM.but(latency_cycles=4000, clock_mhz=100.0), {},
            "its mapper does not search by budgets.latency_us: 40; legal: budgets without it, or weights: on_chip",
        ),
    ],
)  # fmt: skip
def test_streamed_is_refused_with_what_is_wrong(
    platform: Platform, budgets: Budgets, more: dict[str, Any], line: str
) -> None:  # fmt: skip
    with pytest.raises(SpecError) as error:
        mapped(budgets, "streamed", platform, **more)
    assert str(error.value) == f"accelerator.weights: streamed, but {line}"


def test_weights_that_are_rounded_are_not_streamed() -> None:
    network = heavy()
    narrow = replace(network.layers[3], weight_bits=4)
    nested = replace(network, layers=(*network.layers[:3], narrow, *network.layers[4:]))
    with pytest.raises(SpecError, match="has weights of which multipliers see fewer bits than are stored"):
        map_weights(nested, BOARD, TIGHT, source=WeightSource(weights="streamed"), stream_effort=SHORT)
    with pytest.raises(InfeasibleError) as error:
        map_weights(nested, BOARD, NOTHING, effort=QUICK)
    assert "streamed" not in str(error.value)


def test_the_memory_is_the_share_of_the_board_that_is_asked_for() -> None:
    assert memory_problems(WeightSource(memory_ports=2, memory_share=0.25), BOARD) == ()
    assert memory_problems(WeightSource(memory_ports=3), BOARD) == (
        "accelerator.memory_ports: 3, but the external memory of pynq-z2 has 2; give at most that",
    )
    assert memory_problems(WeightSource(memory_share=0.25), BOARD) == (
        "accelerator.memory_share: 0.25 of the 8 bytes per cycle (at 160 MHz) of "
        "pynq-z2, but a design reads at least 4; give at least 0.5",
    )
    third = replace(BOARD, memory=replace(MEMORY, bytes_per_cycle=12))
    assert memory_problems(WeightSource(memory_share=0.3333), third)[0].endswith("give at least 0.3334")
    assert memory_problems(WeightSource(memory_share=0.3334), third) == ()
    narrow = replace(BOARD, memory=replace(MEMORY, bytes_per_cycle=3))
    assert memory_problems(WeightSource(), narrow) == (
        "accelerator.memory_ports: 1, which on pynq-z2 move 3 bytes per cycle (at 160 MHz), but a design "
        "reads at least 4; give at least 2",
    )
    assert memory_problems(WeightSource(memory_ports=2), narrow) == ()
    assert memory_problems(WeightSource(memory_ports=3), replace(BOARD, memory=None)) == ()
    with pytest.raises(SpecError, match=r"accelerator\.memory_ports: 3"):
        map_weights(heavy(), BOARD, ROOM, source=WeightSource(memory_ports=3))
    source = WeightSource(weights="streamed", memory_ports=2)
    found = map_weights(heavy(), BOARD, TIGHT, source=source, stream_effort=SHORT)
    assert found.accelerator.memory is not None
    assert found.accelerator.memory.bus_bits == 128


def test_memory_without_streamed_weights_is_an_error_of_the_section() -> None:
    for field, value in (("memory_share", 0.5), ("memory_ports", 2)):
        with pytest.raises(ValidationError, match="belong to weights that may be streamed"):
            ChunkLimits.model_validate({"weights": "on_chip", field: value})
    for field, wrong in (("memory_share", 0.0), ("memory_share", 1.1), ("memory_ports", 0), ("weights", "off_chip")):
        with pytest.raises(ValidationError, match=field):
            ChunkLimits.model_validate({field: wrong})


def test_the_api_has_the_same_choice() -> None:
    more: dict[str, Any] = {"effort": QUICK, "stream_effort": SHORT}
    assert nba.map_network(heavy(), BOARD, TIGHT, **more) == mapped(TIGHT, "streamed")
    assert nba.map_network(heavy(), BOARD, ROOM, weights="on_chip", **more) == mapped(ROOM, "on_chip")
    found = nba.map_network(heavy(), BOARD, TIGHT, weights="streamed", memory_share=0.5, **more)
    assert found.accelerator.memory is not None
    assert found.accelerator.memory.bus_bits == 32
    with pytest.raises(nba.SpecError, match="generic-xc7 has no external memory"):
        nba.map_network(heavy(), "generic-xc7", TIGHT, weights="streamed")
    with pytest.raises(ValidationError, match="memory_share"):
        nba.map_network(heavy(), BOARD, TIGHT, memory_share=2.0)


SPEC: dict[str, Any] = {
    "name": "s", "dataset": {"name": "digits"}, "platform": "pynq-z2", "budgets": {"dsp": 40, "bram": 20},
    "network": {"stem_channels": 4, "stages": [{"channels": 4, "blocks": 1}], "head_channels": 8},
}  # fmt: skip


def test_a_changed_field_maps_again() -> None:
    """The digests of the stages that map, search included."""
    stages = {stage.name: stage for stage in MIXED if stage.name in ("search", "map")}
    stamps = {name: Stamp(inputs="", outputs={}, seconds=0.0) for name in ("search", "train")}
    for stage in stages.values():
        digests = {
            inputs_digest(stage, Spec.model_validate({**SPEC, "accelerator": section}), stamps)
            for section in ({}, {"weights": "on_chip"}, {"weights": "streamed"}, {"memory_share": 0.5},
                            {"memory_ports": 2})
        }  # fmt: skip
        assert len(digests) == 5


def test_a_spec_for_several_modes_cannot_stream() -> None:
    section = {"accelerator": {"weights": "streamed"}, "precision": "switchable"}
    wrong = Spec.model_validate({**SPEC, **section, "switchable": {"bitwidths": [4, 8]}})
    with pytest.raises(SpecError, match=r"accelerator\.weights: streamed, but the hardware switches between bitwidths"):
        check_limits(wrong)
    check_limits(Spec.model_validate({**SPEC, **section, "switchable": {"bitwidths": [4, 8], "hardware_bits": 8}}))
    check_limits(Spec.model_validate({**SPEC, "precision": "switchable", "switchable": {"bitwidths": [4, 8]}}))


def test_all_that_is_wrong_is_said_at_once() -> None:
    found = streaming_problems(
        replace(BOARD, memory=None), ROOM.but(power_w=1.0, latency_cycles=9), objective="edp", switches=True
    )
    assert len(found) == 5
    slow = replace(BOARD, memory=replace(MEMORY, bytes_per_cycle=1))
    assert memory_problems(WeightSource(weights="streamed"), slow) == ()
    assert len(streaming_problems(slow, ROOM)) == 1
