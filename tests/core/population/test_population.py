"""Many models at once are the same as one after the other, in an ordinary loop."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from landscope.population import MeanFieldNetwork, Population, Settings, Training, mean_field, populations


def train(training, settings, **options):
    return Population(training, **options).train(settings)


def tiny():
    return nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 2)).double()


def data(examples=12):
    generator = torch.Generator().manual_seed(1)
    return (
        torch.randn(examples, 3, generator=generator, dtype=torch.float64),
        torch.randint(2, (examples,), generator=generator),
    )


def ordinary_loop(model, optimizer, loss, batches, whole):
    losses = []
    for x, y in batches:
        with torch.no_grad():
            losses.append(float(loss(model(whole[0]), whole[1])))
        optimizer.zero_grad()
        loss(model(x), y).backward()
        optimizer.step()
    return losses


def seeded(build, seed):
    torch.manual_seed(seed)
    return build()


SWEEP = Settings(
    learning_rate={"*": [0.3, 0.1, 0.5, 1.0, 0.2], "2.*": 0.05},
    momentum=[0.0, 0.9, 0.5, 0.0, 0.3],
    weight_decay={"*": 0.0, "*.weight": [0.0, 0.1, 0.0, 0.01, 0.2]},
    scale=[1.0, 2.0, 0.5, 1.0, 1.0],
    offset={"*": 0.0, "0.weight": [0.0, 0.0, 0.3, 0.0, -0.1]},
    seed=[3, 3, 4, 5, 6],
)


def start(model, k):
    """The initial weights of the k-th model of the sweep."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.mul_(SWEEP.scale[k]).add_(SWEEP.offset["0.weight"][k] if name == "0.weight" else 0.0)
    return model


def groups(model, k):
    return [
        {
            "params": [parameter],
            "lr": 0.05 if name.startswith("2.") else SWEEP.learning_rate["*"][k],
            "momentum": SWEEP.momentum[k],
            "weight_decay": SWEEP.weight_decay["*.weight"][k] if name.endswith("weight") else 0.0,
        }
        for name, parameter in model.named_parameters()
    ]


@pytest.mark.parametrize("lanes", [1, 3, 8])
def test_gradient_descent_is_that_of_torch(lanes):
    x, y = data()
    together = train(Training(tiny, F.cross_entropy, (x, y), steps=25), SWEEP, lanes=lanes)
    assert together.models.tolist() == [0, 1, 2, 3, 4]
    assert not together.diverged.any()
    for k in range(5):
        model = start(seeded(tiny, SWEEP.seed[k]), k)
        losses = ordinary_loop(model, torch.optim.SGD(groups(model, k)), F.cross_entropy, [(x, y)] * 25, (x, y))
        np.testing.assert_allclose(together.losses[k], losses, rtol=1e-10)
        for name, parameter in model.named_parameters():
            torch.testing.assert_close(together.parameters[name][k], parameter.detach(), rtol=1e-10, atol=1e-12)


def test_adam_is_that_of_torch():
    x, y = data()
    rates = [0.01, 0.1, 0.3]
    training = Training(tiny, F.cross_entropy, (x, y), steps=23, optimizer="adam")
    together = train(training, Settings(learning_rate=rates, weight_decay=0.01, seed=[0, 1, 2]), lanes=2)
    for k, rate in enumerate(rates):
        model = seeded(tiny, k)
        optimizer = torch.optim.Adam(model.parameters(), lr=rate, weight_decay=0.01)
        losses = ordinary_loop(model, optimizer, F.cross_entropy, [(x, y)] * 23, (x, y))
        np.testing.assert_allclose(together.losses[k], losses, rtol=1e-9)


def test_batches_are_pieces_of_random_orders():
    """Twelve examples in fives: a step's batch may end one order and begin the next; each order has all examples."""
    x, y = data()
    training = Training(tiny, F.cross_entropy, (x, y), steps=12, batch_size=5)
    together = train(training, Settings(batch_seed=[7, 8, 7]), lanes=2)
    np.testing.assert_array_equal(together.losses[0], together.losses[2])
    assert abs(together.losses[0] - together.losses[1])[1:].min() > 1e-6
    for k, seed in enumerate([7, 8]):
        generator = torch.Generator().manual_seed(seed)
        order = torch.cat([torch.randperm(12, generator=generator) for _ in range(5)])
        batches = [(x[piece], y[piece]) for piece in order.split(5)]
        model = seeded(tiny, 0)
        losses = ordinary_loop(model, torch.optim.SGD(model.parameters(), lr=0.1), F.cross_entropy, batches, (x, y))
        np.testing.assert_allclose(together.losses[k], losses, rtol=1e-10)


def test_a_batch_of_all_examples_is_a_full_batch():
    """In another order, so up to rounding."""
    settings = Settings(learning_rate=[0.1, 1.0, 10.0])
    full, batch = (train(mean_field(width=4, steps=20, batch_size=size), settings) for size in (None, 20))
    np.testing.assert_allclose(full.losses, batch.losses, rtol=1e-9)


def test_a_model_is_the_same_whatever_the_lanes():
    rates = np.geomspace(1e-3, 1.0, 9)
    training = mean_field(width=4, steps=40)
    settings = Settings(learning_rate={"input": rates, "output": rates[::-1]})
    one, seven = (train(training, settings, lanes=lanes) for lanes in (1, 7))
    np.testing.assert_allclose(one.losses, seven.losses, rtol=1e-12)


@pytest.mark.parametrize("activation", ["tanh", "relu", "identity"])
def test_the_number_of_a_model_is_the_same_to_the_last_bit_in_any_company(activation):
    """At learning rates where training is chaotic, a difference in the last bit would grow to all digits."""
    training = mean_field(width=6, activation=activation, steps=60)
    rates = np.geomspace(1, 1e3, 21)
    whole = train(training, Settings(learning_rate=rates), lanes=16)
    for lanes in (16, 32, 48):
        backwards = train(training, Settings(learning_rate=rates[::-1].copy()), lanes=lanes)
        np.testing.assert_array_equal(whole.losses, backwards.losses[::-1])
    alone = train(training, Settings(learning_rate=rates[13]))
    np.testing.assert_array_equal(whole.losses[13], alone.losses[0])


@pytest.mark.parametrize("steps", [25, 250])
def test_the_number_of_threads_changes_nothing(steps):
    training = mean_field(width=4, steps=steps)
    settings = Settings(learning_rate=np.geomspace(1, 1e3, 70), seed=np.arange(70))
    one = train(training, settings, lanes=16)
    torch.set_num_threads(3)
    try:
        state = torch.get_rng_state()
        three = train(training, settings, lanes=16)
        assert torch.get_num_threads() == 3
        assert torch.equal(torch.get_rng_state(), state)
    finally:
        torch.set_num_threads(1)
    np.testing.assert_array_equal(one.losses, three.losses)
    assert torch.equal(one.parameters["input"][~one.diverged], three.parameters["input"][~three.diverged])


@pytest.mark.parametrize("batch_size", [None, 7])
def test_recorded_operations_are_the_same_to_the_last_bit(monkeypatch, batch_size):
    training = mean_field(width=6, steps=30, batch_size=batch_size)
    settings = Settings(learning_rate=np.geomspace(1, 1e3, 20))
    plain = train(training, settings)
    monkeypatch.setattr(populations, "_WORTH_RECORDING", 0)
    np.testing.assert_array_equal(train(training, settings).losses, plain.losses)


def test_torchs_modes_change_nothing():
    training = mean_field(width=4, steps=5)
    settings = Settings(learning_rate=[0.1, 1.0])
    plain = train(training, settings)
    with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):
        np.testing.assert_array_equal(train(training, settings).losses, plain.losses)


def test_lanes_fit_the_memory():
    """A layer of a million weights takes 8 MB, its gradient and optimiser as much each."""
    training = Training(
        lambda: nn.Linear(1000, 1000, bias=False).double(), F.mse_loss,
        (torch.ones(1, 1000).double(), torch.zeros(1, 1000).double()), steps=2,
    )  # fmt: skip
    for memory, lanes in ((10**7, 1), (10**8, 2), (10**9, 16), (10**10, 16)):
        assert Population(training, memory=memory)._most == lanes


def scalar():
    model = nn.Linear(1, 1, bias=False).double()
    nn.init.ones_(model.weight)
    return model


def test_models_that_diverge_disturb_no_others_and_make_room():
    """L(w) = w^2 / 2 has w_t = (1 - lr)^t: it overflows where lr is large, and the others are exact all the same."""
    x, y = torch.ones(1, 1, dtype=torch.float64), torch.zeros(1, 1, dtype=torch.float64)
    rates = np.array([0.5, 1e9, 1.5, 3.0, np.inf, np.nan, 1.0, 1e200])
    training = Training(scalar, lambda output, target: 0.5 * F.mse_loss(output, target), (x, y), steps=60)
    came = list(Population(training, lanes=3).train_progressively(Settings(learning_rate=rates)))
    order = np.concatenate([piece.models for piece in came]).tolist()
    assert sorted(order) == list(range(8))
    assert order[0] == 1  # overflows at step 35, so that its lane is free before those of its neighbours
    together = train(training, Settings(learning_rate=rates), lanes=3)
    assert together.diverged.tolist() == [False, True, False, False, True, True, False, True]
    for k in (0, 2, 3, 6):
        np.testing.assert_allclose(together.losses[k], 0.5 * (1 - rates[k]) ** (2.0 * np.arange(60)), rtol=1e-12)
    assert together.losses[4].tolist() == [0.5, *[np.inf] * 59]
    assert together.losses[7, 0] == 0.5
    assert np.isinf(together.losses[7, 2:]).all()


def test_a_module_is_where_all_start_and_is_left_alone():
    model = tiny().requires_grad_(True)
    model[0].weight.requires_grad_(False)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state = torch.get_rng_state()
    together = train(Training(model, F.cross_entropy, data(), steps=3), Settings(learning_rate=[0.1, 0.2]))
    assert set(together.parameters) == {"0.bias", "2.weight", "2.bias"}
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state)
    assert all(parameter.grad is None for parameter in model.parameters())
    x, y = data()
    for k, rate in enumerate((0.1, 0.2)):
        single = tiny()
        single.load_state_dict(before)
        single[0].weight.requires_grad_(False)
        optimizer = torch.optim.SGD([p for p in single.parameters() if p.requires_grad], lr=rate)
        losses = ordinary_loop(single, optimizer, F.cross_entropy, [(x, y)] * 3, (x, y))
        np.testing.assert_allclose(together.losses[k], losses, rtol=1e-12)


def test_batch_normalisation_is_by_each_models_own_batch():
    def build():
        return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 2)).double()

    x, y = data()
    together = train(Training(build, F.cross_entropy, (x, y), steps=10), Settings(learning_rate=0.3, seed=[0, 1, 2]))
    for k in range(3):
        model = seeded(build, k).train()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.3)
        losses = ordinary_loop(model, optimizer, F.cross_entropy, [(x, y)] * 10, (x, y))
        np.testing.assert_allclose(together.losses[k], losses, rtol=1e-10)


def test_float32_stays_float32():
    together = train(mean_field(width=4, steps=5, dtype=torch.float32), Settings(learning_rate=0.1))
    assert together.losses.dtype == np.float32
    assert together.parameters["input"].dtype == torch.float32


@pytest.mark.parametrize("activation", ["tanh", "relu", "identity"])
def test_the_mean_field_network_is_its_formula(activation):
    network = MeanFieldNetwork(6, activation)
    x = torch.randn(9, 6, dtype=torch.float64)
    hidden = x @ network.input.T / 6**0.5
    phi = {"tanh": lambda z: (2**0.5 * z).tanh(), "relu": lambda z: 2**0.5 * z.relu(), "identity": lambda z: z}
    torch.testing.assert_close(network(x), phi[activation](hidden) @ network.output.T / 6, rtol=1e-12, atol=1e-15)


def test_there_are_as_many_examples_as_degrees_of_freedom():
    assert [mean_field(width=4).examples, mean_field(width=4, activation="identity").examples] == [20, 4]
    single = mean_field(width=4, examples=1, batch_size=1)
    assert single.examples == 1
    assert single.name == "one hidden layer of 4 tanh units, examples: 1, 1 a step"


def control_flow():
    class Branching(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(3, 2))

        def forward(self, x):
            return x @ self.weight if self.weight.sum() > 0 else x @ -self.weight

    return Branching()


def noisy():
    class Noisy(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(3, 2)

        def forward(self, x):
            return self.linear(x) + torch.randn(2)

    return Noisy()


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: nn.Sequential(nn.Linear(3, 2), nn.Dropout(0.5)), r"1 has dropout 0.5, expected 0"),
        (control_flow, r"cannot be computed for many models at once.*control flow"),
        (noisy, r"cannot be computed for many models at once; it must be free of random numbers"),
        (lambda: nn.Linear(3, 2).requires_grad_(False), r"no trainable parameter"),
    ],
)
def test_models_that_cannot_be_batched_are_refused(build, message):
    x, y = data()
    with pytest.raises(ValueError, match=message):
        train(Training(build, F.cross_entropy, (x.float(), y), steps=2), Settings())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (Settings(learning_rate=[0.1, 0.2], momentum=[0.1]), r"one number of models, at least 1, got.*'momentum': 1"),
        (Settings(learning_rate=[]), r"at least 1"),
        (Settings(learning_rate=np.ones((2, 2))), r"learning_rate must be a number or an array .models,., got .*2, 2"),
        (Settings(scale={"*": 1.0, "9.*": 2.0}), r"scale: no parameter matches '9.\*'; parameters: 0.weight"),
        (Settings(scale={"0.*": 1.0}), r'scale is not given for 2.weight, 2.bias; add a pattern such as "\*"'),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        train(Training(tiny, F.cross_entropy, data(), steps=2), settings)


def test_trainings_that_make_no_sense_are_refused():
    x, y = data()
    for changes, message in [
        ({"steps": 0}, "steps must be positive, got 0"),
        ({"data": (x, y[:3])}, r"as many examples each, got shapes \[\(12, 3\), \(3,\)\]"),
        ({"batch_size": 13}, "batch_size must be between 1 and 12 examples, got 13"),
        ({"optimizer": "lbfgs"}, "optimizer must be"),
    ]:
        with pytest.raises(ValueError, match=message):
            Training(**{"model": tiny, "loss": F.cross_entropy, "data": (x, y), "steps": 2} | changes)
    with pytest.raises(ValueError, match="lanes must be positive, got 0"):
        train(Training(tiny, F.cross_entropy, (x, y), steps=2), Settings(), lanes=0)
    with pytest.raises(ValueError, match="one module has one initialisation"):
        train(Training(tiny(), F.cross_entropy, (x, y), steps=2), Settings(seed=[0, 1]))
    with pytest.raises(ValueError, match="momentum is a setting of SGD"):
        train(Training(tiny, F.cross_entropy, (x, y), steps=2, optimizer="adam"), Settings(momentum=0.9))
    with pytest.raises(ValueError, match='activation must be "tanh"'):
        MeanFieldNetwork(4, "gelu")


def test_what_is_not_asked_for_any_more_is_not_computed():
    calls = []

    def loss(output, target):
        calls.append(None)
        return F.mse_loss(output, target)

    model = scalar()
    training = Training(model, loss, (torch.ones(1, 1).double(), torch.zeros(1, 1).double()), steps=5)
    coming = Population(training, lanes=2).train_progressively(Settings(learning_rate=np.full(40, 0.1)))
    first = next(coming)
    coming.close()
    assert len(first.models) == 2
    assert not list(coming)


def test_losses_of_batches_come_with_their_gradients():
    """Recorded too: then the log-softmax of few classes is computed along another dimension."""
    x, y = data()
    training = Training(tiny, F.cross_entropy, (x, y), steps=100, batch_size=5, losses="batch")
    together = train(training, Settings(batch_seed=[7, 8, 9]), lanes=1)
    for k, seed in enumerate([7, 8, 9]):
        generator = torch.Generator().manual_seed(seed)
        order = torch.cat([torch.randperm(12, generator=generator) for _ in range(42)])[:500]
        model = seeded(tiny, 0)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        losses = []
        for piece in order.split(5):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x[piece]), y[piece])
            loss.backward()
            losses.append(float(loss.detach()))
            optimizer.step()
        np.testing.assert_allclose(together.losses[k], losses, rtol=1e-10)
    with pytest.raises(ValueError, match="losses must be of"):
        Training(tiny, F.cross_entropy, (x, y), steps=2, losses="none")


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_learning_rates_follow_their_schedules(optimizer):
    x, y = data()
    factors = np.stack([np.linspace(1, 0, 17), np.ones(17)])
    training = Training(tiny, F.cross_entropy, (x, y), steps=17, optimizer=optimizer)
    together = train(training, Settings(0.2, schedule=factors), lanes=2)
    kind = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}[optimizer]
    for k in range(2):
        model = seeded(tiny, 0)
        stepping = kind(model.parameters(), lr=0.2)
        for factor in factors[k]:
            stepping.param_groups[0]["lr"] = 0.2 * factor
            stepping.zero_grad()
            F.cross_entropy(model(x), y).backward()
            stepping.step()
        for name, parameter in model.named_parameters():
            torch.testing.assert_close(together.parameters[name][k], parameter.detach(), rtol=1e-9, atol=1e-12)
    for wrong in (np.ones(16), np.ones((3, 2, 17))):
        with pytest.raises(ValueError, match="schedule must be"):
            train(training, Settings(0.2, schedule=wrong))
    with pytest.raises(ValueError, match="one number of models"):
        train(training, Settings([0.1, 0.2, 0.3], schedule=factors))


def test_states_are_those_of_shorter_trainings():
    x, y = data()
    training = Training(tiny, F.cross_entropy, (x, y), steps=25)
    settings = Settings(learning_rate=[0.1, 0.5], seed=[1, 2])
    states = list(Population(training).states(settings, every=10))
    assert [int(np.isfinite(state.losses[0]).sum()) for state in states] == [0, 10, 20, 25]
    for state, steps in zip(states[1:], (10, 20, 25), strict=True):
        shorter = train(Training(tiny, F.cross_entropy, (x, y), steps=steps), settings)
        np.testing.assert_allclose(state.losses[:, :steps], shorter.losses, rtol=1e-12)
        for name, theta in shorter.parameters.items():
            torch.testing.assert_close(state.parameters[name], theta)
    again = list(Population(training).states(settings, every=25, start=states[1].parameters))
    torch.testing.assert_close(again[0].parameters, states[1].parameters)
    np.testing.assert_allclose(again[-1].losses[:, :15], states[-1].losses[:, 10:], rtol=1e-10)
    with pytest.raises(ValueError, match="every must be at least 1"):
        Population(training).states(settings, every=0)
    with pytest.raises(ValueError, match="start must be of"):
        next(Population(training).states(settings, every=5, start={"0.weight": torch.zeros(2, 2)}))


def test_one_weight_that_is_not_finite_is_seen():
    diverged = train(mean_field(width=4, steps=30), Settings(learning_rate=[1.0, 1e30]))
    assert diverged.diverged.tolist() == [False, True]
    assert np.isinf(diverged.losses[1, -1])
