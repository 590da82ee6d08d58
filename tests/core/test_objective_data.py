"""The objective's value over data in every form, against hand computation."""

from collections import UserDict

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from landscope.objective import Objective

N = 200


@pytest.fixture
def model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 3)).double()


@pytest.fixture
def xy():
    generator = torch.Generator().manual_seed(1)
    return torch.randn(N, 3, generator=generator, dtype=torch.float64), torch.randint(3, (N,), generator=generator)


def mean_loss(model, x, y):
    with torch.no_grad():
        return float(F.cross_entropy(model(x), y))


def generator_of_batches(x, y):
    yield from ((x[start : start + 64], y[start : start + 64]) for start in range(0, N, 64))


def call_x(model, batch):
    return model(batch["x"])


@pytest.mark.parametrize(
    ("form", "forward"),
    [
        (lambda x, y: (x, y), None),
        (lambda x, y: {"x": x, "y": y}, call_x),
        (lambda x, y: UserDict({"x": x, "labels": y}), call_x),
        (lambda x, y: TensorDataset(x, y), None),
        (lambda x, y: DataLoader(TensorDataset(x, y), batch_size=64), None),
        (lambda x, y: DataLoader(TensorDataset(x, y), batch_size=64, shuffle=True), None),
        (lambda x, y: list(generator_of_batches(x, y)), None),
        (generator_of_batches, None),
        (lambda x, y: [{"x": x[:150], "target": y[:150]}, {"x": x[150:], "target": y[150:]}], call_x),
        (lambda x, y: [UserDict({"x": x, "label": y})], call_x),
        (lambda x, y: [[[x, {"y": x}], y]], lambda model, batch: model(batch[0][1]["y"])),
    ],
)
def test_every_form_of_data_has_the_same_mean_loss(model, xy, form, forward):
    objective = Objective(model, F.cross_entropy, form(*xy), forward=forward, batch_size=64)
    assert objective.examples == N
    assert objective.value() == pytest.approx(mean_loss(model, *xy), rel=1e-13)
    assert sorted(objective.labels().tolist()) == sorted(xy[1].tolist())


def test_unequal_batches_weigh_by_their_size(model, xy):
    x, y = xy
    objective = Objective(model, F.cross_entropy, [(x[:128], y[:128]), (x[128:192], y[128:192]), (x[192:], y[192:])])
    assert objective.batches.sizes == (128, 64, 8)
    assert objective.value() == pytest.approx(mean_loss(model, x, y), rel=1e-13)
    wrong = sum(mean_loss(model, *batch) for batch in objective.batches.items) / 3
    assert abs(wrong - mean_loss(model, x, y)) > 1e-3
    loss = F.cross_entropy(model(x), y)
    gradient = torch.cat([g.reshape(-1) for g in torch.autograd.grad(loss, list(model.parameters()))])
    assert torch.allclose(objective.gradient(), gradient, rtol=1e-12, atol=1e-15)


def test_several_inputs_before_the_target(xy):
    class Sum(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(3, 3).double()

        def forward(self, first, second):
            return self.linear(first - 2 * second)

    x, y = xy
    model = Sum()
    objective = Objective(model, F.cross_entropy, (x, x * x, y))
    assert objective.value() == pytest.approx(mean_loss(model.linear, x - 2 * x * x, y), rel=1e-13)


def test_keyword_batches_as_of_hugging_face(xy):
    class Classifier(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = nn.Embedding(7, 3).double()

        def forward(self, input_ids, attention_mask, labels=None):
            hidden = (self.embedding(input_ids) * attention_mask.unsqueeze(-1)).sum(1)
            return {"loss": F.cross_entropy(hidden, labels), "logits": hidden}

    ids, mask = torch.randint(7, (N, 5)), torch.randint(2, (N, 5))
    model = Classifier()
    batches = [UserDict(input_ids=ids, attention_mask=mask, labels=xy[1])]
    objective = Objective(model, lambda output, _: output["loss"], batches, forward=lambda m, batch: m(**batch))
    expected = float(model(ids, mask, xy[1])["loss"].detach())
    assert objective.value() == pytest.approx(expected, rel=1e-13)
    assert objective.gradient().abs().sum() > 0
    with pytest.raises(TypeError, match=r"output is a dict, expected a tensor; pass forward="):
        objective.outputs()
    with pytest.raises(TypeError, match=r"output, got dict; pass forward="):
        objective.ggn()(objective.theta())
    with pytest.raises(ValueError, match=r"losses of single examples need .* got shape \(\)"):
        objective.losses()


class Graph:
    """A batch of graphs as an object: node features, the graph each node belongs to, one label per graph."""

    def __init__(self, nodes, graph, y):
        self.nodes, self.graph, self.y = nodes, graph, y

    def to(self, device):
        return Graph(self.nodes.to(device), self.graph.to(device), self.y.to(device))


def test_graphs_as_opaque_batches(model):
    torch.manual_seed(3)
    graphs = [
        Graph(torch.randn(12, 3).double(), torch.arange(12) % count, torch.randint(3, (count,))) for count in (4, 2)
    ]

    def forward(model, graph):
        pooled = torch.zeros(len(graph.y), 3, dtype=torch.float64).index_add(0, graph.graph, graph.nodes)
        return model(pooled)

    objective = Objective(model, F.cross_entropy, graphs, forward=forward, target=lambda graph: graph.y)
    each = torch.cat([F.cross_entropy(forward(model, g), g.y, reduction="none") for g in graphs]).detach()
    assert objective.examples == 6
    assert objective.value() == pytest.approx(float(each.mean()), rel=1e-13)
    assert torch.allclose(objective.losses(), each)


def test_data_without_targets(model, xy):
    x = xy[0]
    objective = Objective(model, F.mse_loss, x, forward=lambda m, batch: m(batch), batch_size=64)
    assert objective.value() == pytest.approx(float((model(x) - x).pow(2).mean().detach()), rel=1e-13)
    assert objective.labels() is None


def test_how_to_call_the_model_must_be_said_when_it_cannot_be_seen(model, xy):
    with pytest.raises(TypeError, match=r"\(input, target\) when no forward is given, got dict; pass forward="):
        Objective(model, F.cross_entropy, {"x": xy[0], "y": xy[1]})
    with pytest.raises(TypeError, match=r"a pair of tensors as a tuple \(x, y\)"):
        Objective(model, F.cross_entropy, [xy[0], xy[1]])


def test_data_are_fixed_although_the_loader_shuffles_and_augments(model, xy):
    class Noisy(TensorDataset):
        def __getitem__(self, index):
            x, y = super().__getitem__(index)
            return x + torch.randn(3), y

    loader = DataLoader(Noisy(*xy), batch_size=64, shuffle=True)
    state = torch.get_rng_state()
    objective = Objective(model, F.cross_entropy, loader)
    assert torch.equal(torch.get_rng_state(), state)
    value = objective.value()
    list(loader)
    assert objective.value() == value


def test_examples_limits_and_batch_size_divides(model, xy):
    objective = Objective(model, F.cross_entropy, xy, examples=50, batch_size=20)
    assert objective.batches.sizes == (20, 20, 10)
    assert objective.examples == 50
    assert objective.metrics(objective.theta()[None])["accuracy"].item() * 50 % 1 == pytest.approx(0, abs=1e-9)


def test_evaluations_do_not_copy_the_data(model, xy):
    objective = Objective(model, F.cross_entropy, xy)
    seen = []
    objective.model.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].data_ptr()))
    objective.value()
    objective.gradient()
    assert seen == [xy[0].data_ptr()] * 2


def test_data_elsewhere_are_refused_with_the_remedy(model, xy):
    with pytest.raises(ValueError, match=r"model's device cpu, got meta; move it with \.to\('cpu'\)"):
        Objective(model, F.cross_entropy, tuple(tensor.to("meta") for tensor in xy))


def test_failures_of_the_model_say_where_they_happened(model, xy):
    with pytest.raises(RuntimeError) as caught:
        Objective(model, F.cross_entropy, (xy[0][:, :2], xy[1]))
    assert caught.value.__notes__ == ["while evaluating the objective on its first batch of 200 examples"]
