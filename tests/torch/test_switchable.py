# SPDX-License-Identifier: Apache-2.0
"""Switchable precision: the loss of the paper, what bitwidths share and what not, integers that share their codes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from nba.core.errors import DesignError, NbaError
from nba.core.progress import Silent
from nba.ir.network import Network, weights_digest
from nba.ir.reference import image_codes, nest, run_all
from nba.ir.shared import CODES_FILE, NETWORKS_FILE, SharedNetworks, load_shared, packed, save_shared, shared
from nba.learn.quant.export import exact_codes, export
from nba.learn.quant.nested import NestedLayer, master_codes, master_scale, nested_codes
from nba.learn.quant.rounding import Precision
from nba.learn.space.network import Architecture, skeleton
from nba.learn.switchable.config import Cascade
from nba.learn.switchable.export import master_arrays, shared_networks
from nba.learn.switchable.loop import CascadeFit, train_switchable
from nba.learn.switchable.loss import beta_at, distillation, teachers_of
from nba.learn.switchable.network import SwitchableNetwork, network_at_bits
from nba.learn.switchable.records import SwitchableResult
from nba.learn.train.config import TrainSchedule
from tests.torch.small import MACRO, POOLED, few_digits
from tests.torch.stops import StopAt, Stopped

pytestmark = [pytest.mark.torch, pytest.mark.xdist_group("switchable")]
NETWORK = skeleton(Architecture(macro=MACRO, ops=("k3_e2", "k5_e2", "skip"), bits=(8, 4, 4)))
POOLED_NETWORK = skeleton(Architecture(macro=POOLED, ops=("k3_e2", "k5_e2", "skip"), bits=(8, 4, 4)))
SHORT = TrainSchedule(
    epochs=3, batch_size=16, fold_fraction=0.4, warmup_epochs=1.0, mixup=0.0, label_smoothing=0.0, ema=0.9
)
WIDE = Cascade(bitwidths=(2, 4, 8, 12, 16, 32))
NESTED = Cascade(bitwidths=(2, 3, 4, 5, 6, 7, 8))


def _batch(count: int = 16) -> tuple[Tensor, Tensor]:
    data = few_digits(count)
    return torch.from_numpy(data.train_x).float().permute(0, 3, 1, 2), torch.from_numpy(data.train_y)


def _lived(config: Cascade, seed: int = 0, shape: Network = NETWORK) -> SwitchableNetwork:
    """A network whose statistics, gains (some negative), offsets and scales are not those of the start."""
    generator = torch.Generator().manual_seed(seed)
    model = SwitchableNetwork(shape, config, seed)
    with torch.no_grad():
        for i in range(len(config.bitwidths)):
            for layer in model.layers(i):
                if layer.norm is not None:
                    layer.norm.weight.copy_(torch.randn(layer.norm.weight.shape, generator=generator))
                    layer.norm.bias.copy_(torch.randn(layer.norm.bias.shape, generator=generator))
                elif layer.bias is not None:
                    layer.bias.copy_(torch.randn(layer.bias.shape, generator=generator))
                layer.out.log_scale.add_(0.3 * torch.randn((), generator=generator))
        model.train()
        for _ in range(20):
            x = torch.randint(0, 256, (16, 1, 8, 8), generator=generator).float()
            for i in range(len(config.bitwidths)):
                model(x, i)
    return model.eval()


@pytest.fixture(scope="module")
def trained() -> SwitchableResult:
    return train_switchable(NETWORK, few_digits(96), WIDE, SHORT, 3)


@pytest.mark.parametrize(
    ("teachers", "wanted"),
    [("all", ((1, 2, 3), (2, 3), (3,), ())), ("highest", ((3,), (3,), (3,), ())), ("none", ((), (), (), ()))],
)
def test_who_teaches_whom(teachers: str, wanted: tuple[tuple[int, ...], ...]) -> None:
    assert tuple(teachers_of(i, 4, teachers) for i in range(4)) == wanted  # type: ignore[arg-type]


def test_distances_to_several_teachers() -> None:
    """Two images, two classes: squares 1, 0, 0, 4 and 1, 1, 1, 1, means 1.25 and 1."""
    logits = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    one, two = torch.tensor([[0.0, 2.0], [3.0, 2.0]]), logits - 1
    assert float(distillation(logits, [one])) == 1.25
    assert float(distillation(logits, [one, two])) == 2.25
    assert float(distillation(logits, [one, two], "mean")) == 1.125
    assert float(distillation(logits, [])) == 0.0


def test_beta_rises_where_asked() -> None:
    assert [beta_at(WIDE.but(beta=2.0), epoch) for epoch in range(3)] == [2.0, 2.0, 2.0]
    slow = WIDE.but(beta=2.0, beta_warmup_epochs=3.0)
    assert [beta_at(slow, epoch) for epoch in range(5)] == [0.5, 1.0, 1.5, 2.0, 2.0]


@pytest.mark.parametrize("teachers", ["all", "highest", "none"])
def test_loss_is_the_formula(teachers: str) -> None:
    """Every term in numpy, from logits that do not come from the training step."""
    config = WIDE.but(beta=0.7, teachers=teachers)  # type: ignore[arg-type]
    fit = CascadeFit(NETWORK, few_digits(32), config, SHORT, 1)
    x, y = _batch()
    fit.model.train()
    with torch.no_grad():
        logits = [fit.model(x, i).double().numpy() for i in range(len(WIDE.bitwidths))]
    wanted = []
    for i, mine in enumerate(logits):
        entropy = float(np.mean(np.log(np.exp(mine).sum(1)) - mine[np.arange(len(y)), y.numpy()]))
        above = {"all": logits[i + 1 :], "highest": logits[i + 1 :][-1:], "none": []}[teachers]
        wanted.append(entropy + 0.7 * sum(float(np.mean((mine - other) ** 2)) for other in above))
    losses, _ = fit.step(x, y, 0.0, 0)
    assert losses.tolist() == pytest.approx(wanted, rel=1e-5)


def test_gradient_is_that_of_the_mean_of_all_losses() -> None:
    """One backward pass over the whole formula gives the shared kernels what the turns give them together."""
    train = SHORT.but(optimiser="sgd", ema=0.0)
    fit = CascadeFit(NETWORK, few_digits(32), NESTED, train, 1)
    x, y = _batch()
    model, count = fit.model.train(), len(NESTED.bitwidths)
    logits = [model(x, i) for i in range(count)]
    terms = [torch.nn.functional.cross_entropy(logits[i], y) for i in range(count)]
    terms += [((logits[i] - logits[j].detach()) ** 2).mean() for i in range(count) for j in range(i + 1, count)]
    kernels = [layer.weight for layer in model.layers(0) if layer.weight is not None]
    wanted = torch.autograd.grad(torch.stack(terms).sum() / count, kernels)
    fit.step(x, y, 0.0, 0)
    for kernel, gradient in zip(kernels, wanted, strict=True):
        assert kernel.grad is not None
        assert torch.allclose(kernel.grad, gradient, rtol=1e-3, atol=1e-5 * float(gradient.abs().max()))


def test_teachers_learn_nothing_from_their_pupils() -> None:
    model = SwitchableNetwork(NETWORK, WIDE, 0).train()
    x, _ = _batch()
    low, high = model(x, 0), model(x, 2)
    distillation(low, [high]).backward()
    norms = [(a.norm, b.norm) for a, b in zip(model.layers(0), model.layers(2), strict=True)]
    pairs = [(a, b) for a, b in norms if a is not None and b is not None]
    assert len(pairs) > 5
    assert all(a.weight.grad is not None and b.weight.grad is None for a, b in pairs)
    assert low.grad_fn is not None
    # The highest bitwidth has no teacher: whatever the others do, it gets the gradient of its labels alone.
    fits = [CascadeFit(NETWORK, few_digits(32), WIDE.but(teachers=t), SHORT, 1) for t in ("all", "none")]  # type: ignore[arg-type]
    for fit in fits:
        fit.model.train()
        fit.step(*_batch(), 0.0, 0)
    top = [[p.grad for p in fit.model.layers(5)[0].norm.parameters()] for fit in fits]  # type: ignore[union-attr]
    assert all(torch.equal(a, b) for a, b in zip(*top, strict=True))  # type: ignore[arg-type]
    low_norms = [fit.model.layers(0)[0].norm.weight.grad for fit in fits]  # type: ignore[union-attr]
    assert not torch.equal(*low_norms)  # type: ignore[arg-type]


def test_kernels_are_shared_and_all_else_is_not() -> None:
    model = SwitchableNetwork(NETWORK, WIDE, 0).train()
    names = [dict(model.network(i).named_parameters()) for i in range(len(WIDE.bitwidths))]
    for name in names[0]:
        ids = {id(found[name]) for found in names}
        assert len(ids) == (1 if name.endswith(".weight") and ".norm." not in name else len(names)), name
    before = {name: value.clone() for name, value in model.named_buffers()}
    x, _ = _batch()
    model(x, 1).sum().backward()
    changed = {name.split(".")[1] for name, value in model.named_buffers() if not torch.equal(value, before[name])}
    assert changed == {"1"}
    learned = {name.split(".")[1] for name, p in model.named_parameters() if p.dim() <= 1 and p.grad is not None}
    assert learned == {"1"}
    assert model.layers(1)[0].out.log_scale.grad is not None


@pytest.mark.parametrize("lowest", [2, 5, 8])
def test_codes_are_the_master_codes_rounded(lowest: int) -> None:
    w = torch.randn(5, 3, 3, 3, generator=torch.Generator().manual_seed(lowest))
    masters = master_codes(w, lowest).numpy().astype(np.int8)
    assert masters.min() == -127 or masters.max() == 127
    for bits in range(2, 9):
        codes, scale = nested_codes(w, bits, lowest)
        assert np.array_equal(codes.numpy(), nest(masters, 8, bits, True))
        assert torch.equal(scale, master_scale(w, lowest) * 2.0 ** (8 - bits))
        layer = NestedLayer(
            op="dense", in_channels=3, out_channels=5, kernel=(3, 3), stride=(1, 1), pad=1, signed=True,
            generator=torch.Generator(),
        )  # fmt: skip
        layer.lowest = lowest
        kernel = layer.kernel(w, Precision(bitwidths=(bits,)))
        assert torch.equal(kernel, codes * scale[:, None, None, None])


@pytest.mark.parametrize(("seed", "shape"), [(0, NETWORK), (1, NETWORK), (2, NETWORK), (1, POOLED_NETWORK)])
def test_integers_are_those_of_training_at_every_bitwidth(seed: int, shape: Network) -> None:
    """In float64 every sum is exact: not one code of any tensor differs."""
    config = NESTED.but(stem_bits=(None, 4, 8)[seed], classifier_bits=(None, 8, 2)[seed])
    model = _lived(config, seed, shape).double()
    model.freeze(True)
    masters = master_arrays(model)
    x = np.random.default_rng(seed).integers(0, 256, (32, 8, 8, 1)).astype(np.uint8)
    for i, bits in enumerate(config.bitwidths):
        own = export(model.network(i))
        network, weights = shared(*own, masters)
        weighted = [layer for layer in network.layers if layer.operator.stores_weights]
        assert {layer.weight_store_bits for layer in weighted} == {8}
        assert {layer.weight_bits for layer in weighted[1:-1]} == {bits}
        narrow, codes = packed(network, weights)
        assert narrow == own[0]
        assert weights_digest(codes) == weights_digest(own[1])
        exact = run_all(network, weights, x)
        with torch.no_grad():
            fake = model.network(i).signals(torch.from_numpy(x).double().permute(0, 3, 1, 2))
        for a, b in zip(fake, exact, strict=True):
            assert np.array_equal(a.codes_BCHW.permute(0, 2, 3, 1).numpy(), b)
        assert np.array_equal(exact[-1], run_all(narrow, codes, x)[-1])
        assert len(np.unique(exact[-1])) > 5


def test_sixteen_bits_have_codes_of_their_own() -> None:
    model = _lived(Cascade(bitwidths=(4, 16), stem_bits=4)).double()
    model.freeze(True)
    network, weights = shared(*export(model.network(1)), master_arrays(model))
    assert network.master_bits == 16
    assert [lw.weight.dtype.name for lw in weights] == ["int8", *["int16"] * (len(weights) - 1)]
    x = few_digits(32).test_x
    with torch.no_grad():
        fake = model.network(1).signals(torch.from_numpy(x).double().permute(0, 3, 1, 2))
    for a, b in zip(fake, run_all(network, weights, image_codes(network, x)), strict=True):
        assert np.array_equal(a.codes_BCHW.permute(0, 2, 3, 1).numpy(), b)


def test_batch_norm_changes_no_stored_code_and_gains_have_no_sign() -> None:
    """Negative parameters, other gains, offsets, statistics: multipliers and biases alone take them."""
    model = _lived(WIDE)
    model.freeze(True)
    before, weights = master_arrays(model), export(model.network(1))[1]
    with torch.no_grad():
        for i in range(len(WIDE.bitwidths)):
            for layer in model.layers(i):
                if layer.norm is not None:
                    layer.norm.weight.neg_()
    flipped = export(model.network(1))[1]
    assert weights_digest(flipped) == weights_digest(weights)
    assert all(int(lw.mult.min()) >= 0 for lw in flipped)
    again = _lived(WIDE, 7)
    with torch.no_grad():
        for a, b in zip(again.layers(0), model.layers(0), strict=True):
            if a.weight is not None and b.weight is not None:
                a.weight.copy_(b.weight)
    assert all(np.array_equal(a, b) for a, b in zip(before, master_arrays(again), strict=True))
    again.freeze(True)
    assert weights_digest(export(again.network(1))[1]) != weights_digest(weights)


def test_a_bias_out_of_reach_enlarges_the_gain() -> None:
    """A channel whose gain is nearly 0 keeps its offset: its output is what it was, within a code."""
    model = _lived(NESTED).double()
    layer = model.layers(0)[0]
    assert layer.norm is not None
    with torch.no_grad():
        layer.norm.weight[0] = 1e-6
        layer.norm.bias[0] = 2.0
        layer.norm.running_mean.zero_()  # type: ignore[union-attr]
    x, _ = _batch()
    with torch.no_grad():
        free = model.network(0).signals(x.double())[1]
        model.freeze(True)
        folded = model.network(0).signals(x.double())[1]
    wanted = 2.0 / float(free.scale)
    assert float((free.codes_BCHW[:, 0] - wanted).abs().max()) <= 0.5
    assert float((folded.codes_BCHW[:, 0].mean() - wanted).abs()) < 0.25 * wanted


def test_every_bitwidth_is_measured(trained: SwitchableResult) -> None:
    data = few_digits(96)
    kinds = [(at.bits, at.arithmetic, at.network is not None) for at in trained.results]
    assert kinds == [
        (2, "integer", True), (4, "integer", True), (8, "integer", True), (12, "fake", False), (16, "integer", True),
        (32, "fake", False),
    ]  # fmt: skip
    for bits in (2, 4, 8):
        at = trained.at(bits)
        assert at.network is not None
        assert at.weights is not None
        codes = exact_codes(at.network, at.weights, data.test_x).reshape(40, -1)
        assert float(np.mean(codes.argmax(1) == data.test_y)) == at.accuracy
        assert at.agreement is not None
        assert at.agreement.equal > 0.99
        for lw, master, layer in zip(at.weights, trained.masters, at.network.layers, strict=True):
            assert layer.op == "avgpool" or lw.weight is master
    assert [record.epoch for record in trained.records] == [0, 1, 2]
    assert all(len(record.losses) == len(record.accuracies) == 6 for record in trained.records)


def test_files_hold_the_codes_once_and_come_back_the_same(trained: SwitchableResult, tmp_path: Path) -> None:
    found = shared_networks(trained)
    save_shared(found, tmp_path)
    first = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    save_shared(found, tmp_path)
    assert first == {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    loaded = load_shared(tmp_path)
    assert loaded.bitwidths == (2, 4, 8, 16)
    assert loaded.networks == found.networks
    assert [weights_digest(w) for w in loaded.weights] == [weights_digest(w) for w in found.weights]
    for bits in loaded.bitwidths:
        at = trained.at(bits)
        assert loaded.at(bits)[0] == at.network
        for a, b in zip(loaded.at(bits)[1], at.weights or (), strict=True):
            for mine, theirs in ((a.weight, b.weight), (a.bias, b.bias), (a.mult, b.mult)):
                assert mine.dtype == theirs.dtype
                assert np.array_equal(mine, theirs)
    assert all(a is b.weight for a, b in zip(loaded.masters, loaded.at(4)[1], strict=True) if a.size)
    with np.load(tmp_path / CODES_FILE) as archive:
        kernels = [name for name in archive.files if name.startswith("w")]
    layers = len(NETWORK.layers)
    own = {f"w{i}_at16" for i in range(layers)}
    pools = {f"w{layers - 2}_at{bits}" for bits in (2, 4, 8)}
    assert set(kernels) == {f"w{i}" for i in range(layers)} | own | pools
    with pytest.raises(DesignError, match="bitwidth 3"):
        loaded.at(3)


def test_damaged_files_are_refused(trained: SwitchableResult, tmp_path: Path) -> None:
    found = shared_networks(trained)
    save_shared(found, tmp_path)
    path = tmp_path / NETWORKS_FILE
    text = path.read_text()
    raw = json.loads(text)
    for change, message in (
        ({"format": 9}, "format: is 9"),
        ({"bitwidths": [2, 4]}, "differ in length"),
        ({"networks": 3}, "expected a list"),
        ({"weights_sha256": ["0"] * 4}, "do not match"),
    ):
        path.write_text(json.dumps({**raw, **change}))
        with pytest.raises(DesignError, match=message):
            load_shared(tmp_path)
    path.write_text(text)
    other = SharedNetworks(
        bitwidths=found.bitwidths, networks=found.networks, weights=found.weights,
        masters=tuple(-m for m in found.masters),
    )  # fmt: skip
    save_shared(other, tmp_path)
    path.write_text(text)
    with pytest.raises(DesignError, match="do not match"):
        load_shared(tmp_path)
    (tmp_path / CODES_FILE).write_bytes(b"PK")
    with pytest.raises(DesignError, match=CODES_FILE):
        load_shared(tmp_path)
    path.unlink()
    with pytest.raises(DesignError, match=NETWORKS_FILE):
        load_shared(tmp_path)


@pytest.mark.parametrize("epochs", [1, 2])
def test_a_stopped_run_ends_with_the_same_weights(trained: SwitchableResult, tmp_path: Path, epochs: int) -> None:
    path = tmp_path / "switchable.pt"
    with pytest.raises(Stopped):
        train_switchable(NETWORK, few_digits(96), WIDE, SHORT, 3, checkpoint=path, progress=StopAt(epochs))
    assert path.is_file()
    resumed = train_switchable(NETWORK, few_digits(96), WIDE, SHORT, 3, checkpoint=path)
    assert resumed.records == trained.records
    for a, b in zip(resumed.results, trained.results, strict=True):
        assert (a.bits, a.accuracy, a.fake_accuracy, a.network) == (b.bits, b.accuracy, b.fake_accuracy, b.network)
        assert a.weights is None or weights_digest(a.weights) == weights_digest(b.weights or ())
    # A checkpoint of another run is not continued.
    other = train_switchable(NETWORK, few_digits(96), WIDE.but(beta=0.5), SHORT, 3, checkpoint=path)
    assert other.records != trained.records
    assert len(other.records) == 3


def test_folding_follows_the_schedule_but_32_bits_have_nothing_to_fold() -> None:
    fit = CascadeFit(NETWORK, few_digits(32), WIDE, SHORT, 1)
    for folded in (True, False):
        fit.begin(0, folded)
        for i, bits in enumerate(WIDE.bitwidths):
            assert {layer.frozen for layer in fit.model.layers(i)} == {folded and bits != 32}
            assert {layer.floating for layer in fit.model.layers(i)} == {bits == 32}
    seen = []
    fit.begin = lambda epoch, folded: seen.append((epoch, folded))  # type: ignore[method-assign]
    fit.epochs(None, Silent())
    assert seen == [(0, False), (1, False), (2, True)]


def test_divergence_is_reported() -> None:
    fit = CascadeFit(NETWORK, few_digits(32), WIDE, SHORT, 1)
    with torch.no_grad():
        fit.model.layers(0)[-1].weight.fill_(float("nan"))  # type: ignore[union-attr]
    fit.model.train()
    with pytest.raises(NbaError, match=r"not finite in epoch 4.*learning_rate"):
        fit.step(*_batch(), 0.0, 4)


def test_bits_of_every_layer() -> None:
    for bits, width in ((2, 8), (8, 8), (12, 12), (16, 16), (32, 8)):
        found = network_at_bits(NETWORK, bits)
        assert {t.bits for t in found.tensors} == {width}
        seen = {(layer.act_bits, layer.weight_bits) for layer in found.layers if layer.op != "avgpool"}
        assert seen == {(min(bits, width), min(bits, width))}
        assert [layer.act_bits for layer in found.layers if layer.op == "avgpool"] == [width]
        assert [(layer.q_min, layer.q_max) for layer in found.layers] == [
            (t.code_min, t.code_max) for t in found.tensors[1:]
        ]
    mixed = network_at_bits(NETWORK, 2, stem_bits=8, classifier_bits=4)
    assert [layer.act_bits for layer in mixed.layers] == [8, *[2] * (len(mixed.layers) - 3), 8, 4]
    tensors = (NETWORK.tensors[0], replace(NETWORK.tensors[1], zero_point=4), *NETWORK.tensors[2:])
    with pytest.raises(NbaError, match="zero point"):
        network_at_bits(replace(NETWORK, tensors=tensors), 4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bitwidths": (8, 4)}, "in rising order"),
        ({"bitwidths": (4, 4)}, "each bitwidth once"),
        ({"bitwidths": ()}, "at least 1 item"),
        ({"bitwidths": (4, 9)}, "not a legal.*2..8, 12, 16, 32"),
        ({"stem_bits": 9}, "less than or equal to 8"),
        ({"beta": -1.0}, "greater than or equal to 0"),
        ({"teachers": "some"}, "'all', 'highest' or 'none'"),
    ],
)
def test_config_out_of_range(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        WIDE.but(**change)


def test_classes_must_match() -> None:
    wrong = replace(NETWORK, tensors=(*NETWORK.tensors[:-1], replace(NETWORK.tensors[-1], channels=3)))
    with pytest.raises(NbaError, match="10 classes"):
        train_switchable(wrong, few_digits(32), WIDE, SHORT, 0)
