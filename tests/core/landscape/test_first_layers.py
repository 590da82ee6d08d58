"""First layers shared between points: which calls they are, and the same losses as without."""

import pytest
import torch
from torch import nn
from torch.func import functional_call
from torch.nn import functional as F
from torch.nn.utils import parametrizations

from landscope.landscape.evaluator import PlaneEvaluator
from landscope.landscape.plans import Plan
from landscope.landscape.surveys import survey
from landscope.objective import Objective

POINTS = torch.tensor([[0.0, 0.0], [0.7, -0.4], [-1.3, 0.2], [0.7, 0.9]], dtype=torch.float64)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def numbers(*shape, seed=0):
    return torch.randn(*shape, generator=generator(seed), dtype=torch.float64)


def square(output, target):
    return (output - target).square().mean()


class Model(nn.Module):
    """Modules by name, and a forward given as a function."""

    def __init__(self, function, **parts):
        super().__init__()
        self.function = function
        for name, part in parts.items():
            if isinstance(part, torch.Tensor) and not isinstance(part, nn.Parameter):
                self.register_buffer(name, part)
            else:
                setattr(self, name, part)
        self.double()

    def forward(self, *inputs, **named):
        return self.function(self, *inputs, **named)


def seeded(make):
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return make()


def by_hand(objective, batches, centre, directions, forward=lambda model, batch: model(batch[0]), loss=square):
    """The mean loss of all examples at POINTS, each by a call of its own of the model with weights exchanged."""
    found = []
    model = objective.model
    for coordinates in POINTS:
        theta = centre + coordinates @ directions
        named, at = {}, 0
        for name in objective.layout.names:
            shape = dict(model.named_parameters())[name].shape
            named[name] = theta[at : at + shape.numel()].reshape(shape)
            at += shape.numel()
        total = 0.0
        for batch in batches:
            call = Model(lambda self, batch: forward(self.model, batch), model=model)
            output = functional_call(call, {f"model.{name}": t for name, t in named.items()}, (batch,))
            total += len(batch[-1]) * float(loss(output, batch[-1]))
        found.append(total / sum(len(batch[-1]) for batch in batches))
    return torch.tensor(found, dtype=torch.float64)


def agrees(model, batches, *, forward=None, loss=square, plans=((1, None), (1, 3), (2, None))):
    """Compares every way of evaluating with single calls; returns the evaluator, whose survey can be looked at."""
    model.eval()
    objective = Objective(model, loss, batches, forward=forward)
    centre = objective.theta()
    directions = numbers(2, objective.layout.size, seed=7) * 0.3
    with objective.measuring():
        options = {} if forward is None else {"forward": forward}
        expected = by_hand(objective, batches, centre, directions, loss=loss, **options)
        evaluator = PlaneEvaluator(objective, centre, directions)
        plain = [Plan(rows=rows if evaluator._separable else None, together=k) for k, rows in plans]
        for plan in [Plan(together=p.together, rows=p.rows, reuse=r) for p in plain for r in (False, True)]:
            evaluator = PlaneEvaluator(objective, centre, directions)
            evaluator._plan, evaluator._candidates = plan, iter(())
            torch.testing.assert_close(evaluator(POINTS)["loss"], expected, rtol=1e-12, atol=1e-13)
    return evaluator


def shared(evaluator):
    """Weights of the layers that the survey found to be shareable."""
    return sorted(call.weight for call in evaluator._survey.calls.values())


def conv(dimensions, transposed=False, **options):
    kind = getattr(nn, f"Conv{'Transpose' * transposed}{dimensions}d")
    return seeded(lambda: kind(4, 6, 3, groups=2, stride=2, padding=1, **options))


def headed(first, **more):
    """A first layer, an in-place nonlinearity, and the mean of what it gives."""
    return Model(lambda self, x: F.relu_(self.first(x)).flatten(1).mean(1, keepdim=True).sin(), first=first, **more)


@pytest.mark.parametrize(
    ("first", "shape"),
    [
        (seeded(lambda: nn.Linear(5, 4)), (5,)),
        (seeded(lambda: nn.Linear(5, 4, bias=False)), (5,)),
        (seeded(lambda: nn.Linear(5, 4)), (3, 2, 5)),
        (conv(1), (4, 9)),
        (conv(2), (4, 7, 9)),
        (conv(2, bias=False), (4, 7, 9)),
        (conv(3), (4, 5, 5, 4)),
        (conv(1, transposed=True, output_padding=1), (4, 5)),
        (conv(2, transposed=True), (4, 5, 4)),
        (conv(3, transposed=True), (4, 3, 3, 2)),
    ],
)
def test_linear_layers_of_inputs_are_shared(first, shape):
    batches = [(numbers(n, *shape, seed=n), numbers(n, 1)) for n in (7, 4)]
    evaluator = agrees(headed(first), batches)
    assert shared(evaluator) == ["first.weight"]
    assert set(evaluator._needed(evaluator.plan)) == set()


def test_embeddings_with_padding_and_tied_to_the_last_layer():
    embedding = seeded(lambda: nn.Embedding(50, 6, padding_idx=0))
    last = nn.Linear(6, 50, bias=False)
    last.weight = embedding.weight
    model = Model(lambda self, x: self.last(self.embedding(x).mean(1).tanh()), embedding=embedding, last=last)
    tokens = torch.randint(0, 50, (6, 4), generator=generator())
    tokens[:, 0] = 0
    evaluator = agrees(model, [(tokens, numbers(6, 50))])
    assert shared(evaluator) == ["embedding.weight"]
    assert "embedding.weight" in evaluator._needed(Plan(reuse=True))  # the last layer needs it


def test_embeddings_that_are_worth_sharing_are():
    embedding = seeded(lambda: nn.Embedding(4000, 3))
    model = Model(lambda self, x: self.embedding(x).sin().sum(1), embedding=embedding)
    tokens = torch.randint(0, 4000, (6, 4), generator=generator())
    evaluator = agrees(model, [(tokens, numbers(6, 3))])
    assert evaluator.plan.reuse
    assert list(evaluator._calls) == [0]


def test_embeddings_that_renormalise_their_weights_are_not_linear():
    embedding = seeded(lambda: nn.Embedding(9, 3, max_norm=1.0))
    model = Model(lambda self, x: self.embedding(x).sum(1), embedding=embedding)
    with torch.no_grad():
        named = {name: p.detach() for name, p in model.named_parameters()}
        found = survey(lambda named: functional_call(model, named, (torch.tensor([[1, 2]]),)), named)
    assert not found.calls


@pytest.mark.parametrize("multiply", [lambda x, W: x @ W, torch.matmul, torch.mm, lambda x, W: x.matmul(W)])
def test_products_with_a_weight(multiply):
    W = nn.Parameter(numbers(5, 2))
    evaluator = agrees(Model(lambda self, x: multiply(x, self.W).tanh(), W=W), [(numbers(6, 5), numbers(6, 2))])
    (call,) = evaluator._survey.calls.values()
    assert call.columns == 5


@pytest.mark.parametrize(
    "use",
    [
        lambda x, W: W @ x.T @ x,
        lambda x, W: x @ W.T,
        lambda x, W: x @ torch.cat(W.chunk(2, 1)[::-1], 1),
        lambda x, W: torch.einsum("ni,io->no", x, W),
        lambda x, W: x @ W.view(5, 5),
        lambda x, W: x @ (W * W),
        lambda x, W: F.linear(x, W.detach()) + W.sum(),
        lambda x, W: F.linear(x @ W, W),
    ],
)
def test_weights_used_in_other_ways(use):
    W = nn.Parameter(numbers(5, 5) / 4)
    model = Model(lambda self, x: use(x, self.W).tanh(), W=W)
    assert "W" in agrees(model, [(numbers(5, 5), numbers(5, 5))])._needed(Plan(reuse=True))


def test_frozen_bias_and_frozen_weight():
    first, second = (seeded(lambda: nn.Linear(5, 5)) for _ in range(2))
    first.bias.requires_grad_(False)
    second.weight.requires_grad_(False)
    model = Model(lambda self, x: self.a(x).tanh() + self.b(x).sin(), a=first, b=second)
    evaluator = agrees(model, [(numbers(6, 5), numbers(6, 5))])
    assert shared(evaluator) == ["a.weight"]
    assert evaluator._needed(Plan(reuse=True)) == ["b.bias"]


def test_a_layer_used_on_constants_and_on_activations():
    layer = seeded(lambda: nn.Linear(5, 5))
    model = Model(lambda self, x: self.a(self.a(x).tanh()) + self.a(x * self.scale), a=layer, scale=numbers(5))
    evaluator = agrees(model, [(numbers(6, 5), numbers(6, 5))])
    assert shared(evaluator) == ["a.weight", "a.weight"]
    assert set(evaluator._needed(Plan(reuse=True))) == {"a.weight", "a.bias"}


def test_parallel_branches_positions_and_several_inputs():
    parts = {name: seeded(lambda: nn.Linear(5, 4)) for name in "abc"}

    def function(self, x, y):
        return self.c(torch.cat([self.a(x) + self.positions, self.b(y)], -1)[:, 2:7].tanh())

    model = Model(function, positions=nn.Parameter(numbers(4)), **parts)
    batches = [{"x": numbers(6, 5), "y": numbers(6, 5, seed=1), "target": numbers(6, 4)}]
    objective_batches = [(batch["x"], batch["y"], batch["target"]) for batch in batches]
    evaluator = agrees(model, objective_batches, forward=lambda model, batch: model(y=batch[1], x=batch[0]))
    assert shared(evaluator) == ["a.weight", "b.weight"]


def test_batches_that_are_mappings():
    model = Model(lambda self, features: self.a(features).tanh(), a=seeded(lambda: nn.Linear(5, 4)))
    batch = {"features": numbers(6, 5), "labels": numbers(6, 4)}
    objective = Objective(model, square, batch, forward=lambda model, batch: model(features=batch["features"]))
    centre, directions = objective.theta(), numbers(2, 24, seed=7)
    with objective.measuring():
        evaluator = PlaneEvaluator(objective, centre, directions)
        assert shared(evaluator) == ["a.weight"]
        found = evaluator(POINTS)["loss"]
    for coordinates, value in zip(POINTS, found, strict=True):
        theta = centre + coordinates @ directions
        output = torch.tanh(batch["features"] @ theta[:20].reshape(4, 5).T + theta[20:])
        assert float(value) == pytest.approx(float((output - batch["labels"]).square().mean()), rel=1e-12)


READS = {
    "item": lambda h: h.mean().item() > 0,
    "bool": lambda h: bool((h > 0).all()),
    "tolist": lambda h: h.flatten().tolist()[0] > 0,
    "numpy": lambda h: h.numpy().mean() > 0,
    "int": lambda h: int(h.argmax()) % 2,
    "size": lambda h: (h > 0).nonzero().shape[0] > 3,
    "masked": lambda h: len(h[h > 0]) > 3,
    "unique": lambda h: torch.unique(h.round()).numel() > 2,
    "equal": lambda h: torch.equal(h, h.abs()),
    "slice": lambda h: len(torch.zeros(9)[: h.argmax() % 9]) > 3,
}


@pytest.mark.parametrize("read", READS.values(), ids=READS)
def test_models_that_read_numbers_are_not_shared(read):
    parts = {name: seeded(lambda: nn.Linear(4, 4)) for name in "abc"}

    def function(self, x):
        hidden = self.a(x)
        return self.b(x) if read(hidden.detach()) else self.c(x.sin()) + self.b(x)

    evaluator = agrees(Model(function, **parts), [(numbers(3, 4), numbers(3, 4))], plans=((1, None),))
    assert evaluator._survey.hidden
    assert not evaluator.plan.reuse or not evaluator._calls


ROUTES = {
    "embedding": lambda self, h: self.table(h.argmax(1)),
    "index": lambda self, h: self.table.weight[h.argmax(1)],
    "mask": lambda self, h: self.b((h > 0).double()),
    "where": lambda self, h: self.b(torch.where(h > 0, 1.0, 2.0).double()),
    "view": lambda self, h: self.b(_filled(h)),
    "in place": lambda self, h: self.b(torch.zeros_like(h).add_(h)),
    "added": lambda self, h: self.b(_added(h)),
    "iterated": lambda self, h: self.b(torch.stack([row * 2 for row in h])),
    "data": lambda self, h: self.b(_exchanged(h)),
    "shape": lambda self, h: self.b(h.new_ones(len(h), h.shape[1])) * h,
    "transform": lambda self, h: torch.vmap(lambda row: self.b(row.tanh()))(h),
    "checkpoint": lambda self, h: torch.utils.checkpoint.checkpoint(lambda h: self.b(h.tanh()), h, use_reentrant=False),
    "function": lambda self, h: self.b(_Tanh.apply(h)),
}


def _filled(h):
    empty = torch.zeros_like(h)
    empty[:, :2].copy_(h[:, :2])
    return empty


def _added(h):
    total = torch.zeros_like(h)
    part = total[:, :2]
    part += h[:, :2]
    return total


def _exchanged(h):
    held = torch.zeros_like(h)
    held.data = h * 2
    return held


class _Tanh(torch.autograd.Function):
    @staticmethod
    def forward(ctx, h):
        return h.tanh()

    @staticmethod
    def backward(ctx, slope):
        return slope


@pytest.mark.parametrize("route", ROUTES.values(), ids=ROUTES)
def test_what_depends_on_weights_is_no_constant(route):
    parts = {"a": seeded(lambda: nn.Linear(4, 4)), "b": seeded(lambda: nn.Linear(4, 4))}
    model = Model(lambda self, x: route(self, self.a(x)), table=nn.Embedding(4, 4), **parts)
    agrees(model, [(numbers(5, 4), numbers(5, 4))], plans=((1, None),))


@pytest.mark.filterwarnings("ignore:`torch.jit.script:DeprecationWarning")
def test_scripted_functions_cannot_be_followed():
    scripted = torch.jit.script(_twice)
    parts = {"a": seeded(lambda: nn.Linear(4, 4)), "b": seeded(lambda: nn.Linear(4, 4))}
    evaluator = agrees(
        Model(lambda self, x: self.b(scripted(self.a(x))), **parts),
        [(numbers(5, 4), numbers(5, 4))],
        plans=((1, None),),
    )
    assert not evaluator._survey.calls


def _twice(x: torch.Tensor) -> torch.Tensor:
    return 2 * x.tanh()


def test_batches_that_the_model_treats_differently_are_not_shared():
    """A recurrent cell by hand: as many calls of its layers as there are steps."""

    def function(self, x):
        hidden = torch.zeros(len(x), 4, dtype=x.dtype)
        for step in range(x.shape[1]):
            hidden = torch.tanh(self.a(x[:, step]) + self.b(hidden))
        return hidden

    parts = {"a": seeded(lambda: nn.Linear(4, 4)), "b": seeded(lambda: nn.Linear(4, 4))}
    batches = [(numbers(5, steps, 4), numbers(5, 4)) for steps in (3, 5, 2)]
    agrees(Model(function, **parts), batches, plans=((1, None), (2, None)))


def test_models_that_go_through_a_batch_in_chunks():
    model = Model(lambda self, x: torch.cat([self.a(c) for c in x.split(4)]).sin(), a=seeded(lambda: nn.Linear(4, 4)))
    agrees(model, [(numbers(13, 4), numbers(13, 4))])


def test_a_model_whose_output_is_its_first_layers():
    agrees(Model(lambda self, x: self.a(x), a=seeded(lambda: nn.Linear(4, 3))), [(numbers(5, 4), numbers(5, 3))])


def test_modules_that_keep_their_activations_and_hooks():
    def function(self, x):
        self.kept = self.a(x)
        return self.b(self.kept.relu_())

    parts = {"a": seeded(lambda: nn.Linear(4, 4)), "b": seeded(lambda: nn.Linear(4, 4))}
    model = Model(function, **parts)
    model.a.register_forward_hook(lambda module, inputs, output: output * 2 + inputs[0])
    model.b.register_forward_pre_hook(lambda module, inputs: (inputs[0].sin(),))
    evaluator = agrees(model, [(numbers(5, 4), numbers(5, 4))])
    assert shared(evaluator) == ["a.weight"]
    assert not hasattr(model, "kept")


@pytest.mark.parametrize("wrap", [parametrizations.weight_norm, parametrizations.orthogonal])
def test_parametrised_weights(wrap):
    layer = wrap(seeded(lambda: nn.Linear(4, 4)))
    model = Model(lambda self, x: self.b(self.a(x).tanh()), a=layer, b=seeded(lambda: nn.Linear(4, 4)))
    agrees(model, [(numbers(5, 4), numbers(5, 4))], plans=((1, None),))


@pytest.mark.parametrize("kind", [nn.RNN, nn.LSTM, nn.GRU])
def test_recurrent_layers(kind):
    model = Model(
        lambda self, x: self.last(self.rnn(self.first(x))[0][:, -1]),
        first=seeded(lambda: nn.Linear(4, 3)),
        rnn=seeded(lambda: kind(3, 5, batch_first=True)),
        last=seeded(lambda: nn.Linear(5, 2)),
    )
    evaluator = agrees(model, [(numbers(5, 6, 4), numbers(5, 2))], plans=((1, None), (1, 3)))
    assert shared(evaluator) == ["first.weight"]


def test_attention_and_the_encoder_layer():
    encoder = seeded(lambda: nn.TransformerEncoderLayer(4, 2, 8, batch_first=True, dropout=0.0))
    attention = seeded(lambda: nn.MultiheadAttention(4, 2, batch_first=True))
    model = Model(
        lambda self, x: self.encoder(self.attention(x, x, x)[0] + self.first(x) + self.positions).mean(1),
        first=seeded(lambda: nn.Linear(4, 4)),
        encoder=encoder,
        attention=attention,
        positions=nn.Parameter(numbers(6, 4)),
    )
    evaluator = agrees(model, [(numbers(5, 6, 4), numbers(5, 4))])
    assert shared(evaluator) == ["first.weight"]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_coarse_weights_are_rounded_before_they_are_used(dtype):
    model = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3)).to(dtype)
    inputs, targets = numbers(10, 6).to(dtype), numbers(10, 3).to(dtype)
    objective = Objective(model, square, (inputs, targets))
    directions = numbers(2, objective.layout.size, seed=3).float() * 0.3
    with objective.measuring():
        evaluator = PlaneEvaluator(objective, objective.theta(), directions)
        assert not evaluator._calls
        found = evaluator(POINTS)["loss"]
    thetas = (objective.theta().double() + POINTS @ directions.double()).to(dtype)
    assert found.tolist() == pytest.approx(objective.values(thetas).tolist(), rel=torch.finfo(dtype).eps)
