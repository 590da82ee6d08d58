"""Every way of evaluating gives the numbers that the definition gives."""

import functools
import itertools
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from landscope.landscape import evaluator as module
from landscope.landscape.evaluator import PlaneEvaluator
from landscope.landscape.plans import Plan
from landscope.objective import Objective

POINTS = torch.tensor([[0.0, 0.0], [0.5, -0.4], [-0.7, 0.2]], dtype=torch.float64)


def numbers(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def classes(*shape, count=3, seed=0):
    return torch.randint(0, count, shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(autouse=True)
def _seed():
    with torch.random.fork_rng():
        torch.manual_seed(3)
        yield


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(2, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.norm, self.last = nn.BatchNorm2d(4), nn.Linear(4, 3)

    def forward(self, images):
        hidden = self.first(images)
        hidden = hidden + self.norm(self.second(hidden.relu()))
        return self.last(hidden.mean((2, 3)))


class Pooled(nn.Module):
    """Max pooling in the forms that slices can and cannot do."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Conv2d(2, 4, 3, padding=1), nn.Linear(4 * 4, 3)

    def forward(self, images):
        hidden = F.max_pool2d(self.first(images).relu(), 3, 2, padding=1, ceil_mode=True)
        hidden, where = F.max_pool2d(hidden, 2, return_indices=True)
        hidden = F.adaptive_max_pool2d(F.max_pool2d(hidden, 1), 2) + 0.01 * F.adaptive_avg_pool2d(where.double(), 2)
        return self.last(hidden.flatten(1))


class Transformer(nn.Module):
    def __init__(self):
        super().__init__()
        self.words, self.places = nn.Embedding(11, 8), nn.Parameter(torch.randn(5, 8))
        self.layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True, norm_first=True)
        self.last = nn.Linear(8, 3)

    def forward(self, tokens):
        return self.last(self.layer(self.words(tokens) + self.places).mean(1))


def images(*sizes):
    return [(numbers(n, 2, 8, 8, seed=n), classes(n, seed=n)) for n in sizes]


def rows(*sizes):
    return [(numbers(n, 5, seed=n), classes(n, seed=n)) for n in sizes]


def norm_layers_trained(model):
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_mean.copy_(numbers(len(layer.running_mean)))
            layer.running_var.copy_(numbers(len(layer.running_var)).square() + 0.5)
    return model


MODELS = {
    "mlp": lambda: (nn.Sequential(nn.Linear(5, 7), nn.ReLU(), nn.Linear(7, 3)), rows(8, 8, 3)),
    "cnn": lambda: (
        nn.Sequential(
            nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.MaxPool2d(2), nn.Flatten(),
            nn.Linear(64, 3),
        ),
        images(6, 4),
    ),
    "residual": lambda: (Residual(), images(5, 3)),
    "pooled": lambda: (Pooled(), images(5, 3)),
    "transformer": lambda: (Transformer(), [(classes(n, 5, count=11, seed=n), classes(n, seed=n)) for n in (6, 3)]),
}  # fmt: skip


def evaluated(objective, plan, directions, **options):
    evaluator = PlaneEvaluator(objective, objective.theta(), directions, **options)
    evaluator._plan, evaluator._candidates = plan, iter(())
    return evaluator(POINTS)


def setting(objective, scale=0.3):
    directions = numbers(2, objective.layout.size, seed=5) * scale
    return directions, objective.theta() + POINTS @ directions


@pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)
def test_every_plan_gives_the_same_numbers(make):
    model, batches = make()
    model = norm_layers_trained(model.double().eval())
    objective = Objective(model, nn.CrossEntropyLoss(), batches)
    directions, thetas = setting(objective)
    with objective.measuring():
        expected = objective.metrics(thetas)
        for together, division, reuse, last in itertools.product((1, 8), (None, 3), (False, True), (False, True)):
            plan = Plan(together=together, rows=division, reuse=reuse, channels_last=last)
            try:
                found = evaluated(objective, plan, directions)
            except RuntimeError:  # a view of what lies in another order, which a trial would refuse
                assert last
                continue
            for name, values in expected.items():
                torch.testing.assert_close(found[name], values, rtol=1e-12, atol=1e-13, msg=str(plan))


def test_the_race_itself_gives_them_too(monkeypatch):
    monkeypatch.setattr(module, "_SLOW", 1e9)
    for make in MODELS.values():
        model, batches = make()
        objective = Objective(model.double().eval(), nn.CrossEntropyLoss(), batches)
        directions, _ = setting(objective)
        points = numbers(120, 2, seed=2)
        with objective.measuring():
            evaluator = PlaneEvaluator(objective, objective.theta(), directions)
            found = evaluator(points)["loss"]
            again = PlaneEvaluator(objective, objective.theta(), directions)
            assert again.plan == evaluator.plan == module._plans[model][evaluator._kind()]
            expected = objective.values(objective.theta() + points @ directions)
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-13)


class Pair(nn.Module):
    """Two inputs, two outputs."""

    def __init__(self, form):
        super().__init__()
        self.a, self.b, self.form = nn.Linear(5, 3), nn.Linear(5, 3), form

    def forward(self, x, y):
        return self.form(self.a(x).sin(), self.b(y) * self.a(y))


FORMS = {
    "tuple": (lambda u, v: (u, v), lambda out, t: F.cross_entropy(out[0] + out[1], t)),
    "dict": (lambda u, v: {"u": u, "v": v}, lambda out, t: F.cross_entropy(out["u"] - out["v"], t)),
    "nothing": (lambda u, v: (u + v, None), lambda out, t: F.cross_entropy(out[0], t)),
    "text": (lambda u, v: {"u": u + v, "kind": "logits"}, lambda out, t: F.cross_entropy(out["u"], t)),
    "scalar": (lambda u, v: (u, v.square().mean()), lambda out, t: F.cross_entropy(out[0], t) + out[1]),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("plan", [Plan(), Plan(reuse=True)])
def test_several_inputs_and_outputs_of_any_form(form, plan):
    build, loss = FORMS[form]
    batches = [(numbers(n, 5), numbers(n, 5, seed=1), classes(n)) for n in (6, 3)]
    objective = Objective(Pair(build).double(), loss, batches)
    directions, thetas = setting(objective)
    with objective.measuring():
        expected = objective.values(thetas)
        torch.testing.assert_close(evaluated(objective, plan, directions)["loss"], expected, rtol=1e-12, atol=0)
        race = PlaneEvaluator(objective, objective.theta(), directions)
        torch.testing.assert_close(race(POINTS.repeat(9, 1))["loss"], expected.repeat(9), rtol=1e-12, atol=0)


def focal(output, target):
    return ((1 - output.softmax(1)) * -output.log_softmax(1)).gather(1, target.unsqueeze(1)).mean()


def folded(output, target):
    """A plain mean as long as it is positive, which it is at the centre."""
    return (output.mean() - output.mean().detach() + (output[:, 0] - 0.1 * target).mean()).abs()


class Sloped(nn.CrossEntropyLoss):
    def forward(self, output, target):
        return super().forward(output, target).square()


def doubled(target):
    return torch.stack([target, 2 - target], 1)


def sometimes(loss):
    return loss if loss < 1.5 else loss.clone()


def one_hot(target):
    return F.one_hot(target, 3).double()


LOSSES = {
    "cross-entropy": (nn.CrossEntropyLoss(), None, True),
    "smoothed": (functools.partial(F.cross_entropy, label_smoothing=0.1), None, True),
    "weights": (nn.CrossEntropyLoss(weight=torch.tensor([1.0, 2.0, 5.0]).double()), None, False),
    "ignored": (nn.CrossEntropyLoss(ignore_index=1), None, False),
    "own class": (Sloped(), None, False),
    "focal": (focal, None, True),
    "square": (lambda out, t: focal(out, t).square(), None, False),
    "folded": (folded, None, None),
    "sequence": (nn.CrossEntropyLoss(), doubled, True),
    "mean square": (nn.MSELoss(), one_hot, True),
    "binary": (nn.BCEWithLogitsLoss(), one_hot, True),
    "divergence": (lambda out, t: F.kl_div(out.log_softmax(1), t, reduction="batchmean"), one_hot, True),
    "function": (F.multilabel_soft_margin_loss, one_hot, True),
    "huber": (nn.HuberLoss(), one_hot, True),
    "wrapped": (lambda out, t: F.cross_entropy(out.flatten(0, 1), t.flatten()), doubled, True),
    "other order": (lambda out, t: F.mse_loss(out.T, t.T), one_hot, True),
    "sometimes": (lambda out, t: sometimes(F.cross_entropy(out, t)), None, True),
    "branching": (lambda out, t: (out.cos() if float(out.detach().mean()) > 0 else out.exp()).mean(), None, None),
}  # fmt: skip


SEQUENCES = {"sequence": (3, 2), "wrapped": (2, 3)}


@pytest.mark.parametrize("name", LOSSES)
def test_losses_of_every_kind_and_their_errors(name):
    loss, form, plain = LOSSES[name]
    model = nn.Sequential(nn.Linear(5, 6), nn.Tanh(), nn.Linear(6, 6 if name in SEQUENCES else 3)).double()
    if name in SEQUENCES:
        model.append(nn.Unflatten(1, SEQUENCES[name]))
    if name == "folded":
        model[2].bias.data += 5
    batches = [(x, t if form is None else form(t)) for x, t in rows(7, 5)]
    objective = Objective(model, loss, batches)
    directions, thetas = setting(objective, scale=1.0)
    with objective.measuring():
        for plan in (Plan(), Plan(together=2, reuse=True, rows=3)):
            found = evaluated(objective, plan, directions)
            torch.testing.assert_close(found["loss"], objective.values(thetas), rtol=1e-12, atol=0)
        assert plain is None or ("error" in found) == plain
        if plain:
            centre = objective.losses()
            for point, theta in enumerate(thetas):
                losses = objective.losses(theta)
                error, contrast = (x.std() / len(centre) ** 0.5 for x in (losses, losses - centre))
                assert float(found["error"][point]) == pytest.approx(float(error), rel=1e-10)
                assert float(found["contrast_error"][point]) == pytest.approx(float(contrast), rel=1e-10, abs=1e-14)


def test_losses_of_each_class_and_further_metrics():
    objective = Objective(nn.Linear(5, 3).double(), F.cross_entropy, rows(9, 6))
    directions, thetas = setting(objective)

    def wrong(output, target):
        return (output.argmax(1) != target).double().mean()

    def counted(output, target):  # vmap refuses it
        return float((output.argmax(1) != target).sum()) / len(target)

    metrics = {"right": wrong, "counted": counted, "square": lambda out, t: out.square().mean()}
    with objective.measuring():
        found = evaluated(objective, Plan(rows=2), directions, metrics=metrics, per_class=True)
        for label in range(3):
            expected = objective.of_class(label).values(thetas)
            torch.testing.assert_close(found[f"class/{label}"], expected, rtol=1e-12, atol=0)
        expected = objective.with_loss(metrics["square"]).values(thetas)
        torch.testing.assert_close(found["square"], expected, rtol=1e-12, atol=0)
        torch.testing.assert_close(found["accuracy"], objective.metrics(thetas)["accuracy"])
        torch.testing.assert_close(found["right"], 1 - found["accuracy"])
        torch.testing.assert_close(found["counted"], 1 - found["accuracy"])


@pytest.mark.parametrize("policy", ["batch", "recompute"])
def test_batch_statistics(policy):
    model, batches = MODELS["residual"]()
    objective = Objective(model.double(), nn.CrossEntropyLoss(), batches, batch_norm=policy)
    directions, thetas = setting(objective)
    before = {name: buffer.clone() for name, buffer in model.named_buffers()}
    with objective.measuring():
        evaluator = PlaneEvaluator(objective, objective.theta(), directions)
        found = evaluator(POINTS.repeat(6, 1))["loss"]
        assert evaluator.plan.rows is None
        torch.testing.assert_close(found, objective.values(thetas).repeat(6), rtol=1e-12, atol=0)
    assert all(torch.equal(buffer, before[name]) for name, buffer in model.named_buffers())


@pytest.mark.parametrize("strength", [1.0, 1e-4])
def test_batches_whose_examples_touch_each_other_are_not_divided(strength):
    class Centred(nn.Linear):
        def forward(self, x):
            return super().forward(x - strength * x.mean(0))

    objective = Objective(Centred(5, 3).double(), nn.CrossEntropyLoss(), rows(8, 5))
    directions, thetas = setting(objective)
    with objective.measuring():
        evaluator = PlaneEvaluator(objective, objective.theta(), directions, memory=1)
        assert evaluator.plan.rows is None
        torch.testing.assert_close(evaluator(POINTS)["loss"], objective.values(thetas), rtol=1e-12, atol=0)


def test_models_that_insist_on_their_batch_are_not_divided():
    class Strict(nn.Linear):
        def forward(self, x):
            assert len(x) == 8
            return super().forward(x)

    objective = Objective(Strict(5, 3).double(), nn.CrossEntropyLoss(), rows(8))
    directions, thetas = setting(objective)
    with objective.measuring():
        found = PlaneEvaluator(objective, objective.theta(), directions)(POINTS)["loss"]
        torch.testing.assert_close(found, objective.values(thetas), rtol=1e-12, atol=0)


def test_losses_that_read_the_model_are_read_after_each_call():
    class Routed(nn.Linear):
        def forward(self, x):
            out = super().forward(x)
            self.penalty = out.square().mean()
            return out

    model = Routed(5, 3).double()
    metrics = {"penalty": lambda output, target: model.penalty}
    for loss in (lambda out, t: F.cross_entropy(out, t) + model.penalty, nn.CrossEntropyLoss()):
        objective = Objective(model, loss, rows(8, 5))
        directions, thetas = setting(objective)
        with objective.measuring():
            found = PlaneEvaluator(objective, objective.theta(), directions, metrics=metrics)(POINTS)
            torch.testing.assert_close(found["loss"], objective.values(thetas), rtol=1e-12, atol=0)
            penalties = objective.with_loss(lambda out, t: out.square().mean()).values(thetas)
            torch.testing.assert_close(found["penalty"], penalties, rtol=1e-12, atol=0)


class Branching(nn.Linear):
    def forward(self, x):
        hidden = super().forward(x)
        return hidden.sin() if bool(hidden.detach().mean() > 0) else hidden.cos()


def test_what_vmap_refuses_is_evaluated_point_by_point(monkeypatch):
    monkeypatch.setattr(module, "_SLOW", 1e9)
    objective = Objective(Branching(5, 3).double(), nn.CrossEntropyLoss(), rows(8))
    directions, _ = setting(objective)
    points = numbers(60, 2)
    with objective.measuring():
        evaluator = PlaneEvaluator(objective, objective.theta(), directions)
        found = evaluator(points)["loss"]
        assert evaluator.plan.together == 1
        expected = objective.values(objective.theta() + points @ directions)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=0)


def test_a_known_way_that_fails_is_given_up_and_errors_of_the_model_are_raised():
    objective = Objective(Branching(5, 3).double(), nn.CrossEntropyLoss(), rows(8))
    directions, thetas = setting(objective)
    with objective.measuring():
        evaluator = PlaneEvaluator(objective, objective.theta(), directions)
        evaluator._plan, evaluator._candidates = Plan(together=8), iter(())
        torch.testing.assert_close(evaluator(POINTS)["loss"], objective.values(thetas), rtol=1e-12, atol=0)
        assert evaluator.plan == Plan()

    class Fragile(nn.Linear):
        def forward(self, x):
            if float(self.weight.detach().abs().max()) > 3:
                raise ValueError("weights are too large")
            return super().forward(x)

    objective = Objective(Fragile(5, 3).double(), nn.CrossEntropyLoss(), rows(8))
    with objective.measuring():
        evaluator = PlaneEvaluator(objective, objective.theta(), torch.ones(2, 18).double())
        with pytest.raises(ValueError, match="weights are too large"):
            evaluator(POINTS * 100)


def test_a_way_found_for_one_call_of_a_model_is_not_taken_for_another():
    model = nn.Linear(5, 3).double()
    whole = Objective(model, nn.CrossEntropyLoss(), rows(8))
    centred = Objective(model, nn.CrossEntropyLoss(), rows(8), forward=lambda model, b: model(b[0] - b[0].mean(0)))
    directions, thetas = setting(whole)
    memory = 600  # so little that batches are divided
    with whole.measuring():
        first = PlaneEvaluator(whole, whole.theta(), directions, memory=memory)
        first(numbers(60, 2))
        assert first.plan.rows
        found = PlaneEvaluator(centred, whole.theta(), directions, memory=memory)(POINTS)["loss"]
        torch.testing.assert_close(found, centred.values(thetas), rtol=1e-12, atol=0)


def test_numbers_of_points():
    objective = Objective(nn.Linear(5, 3).double(), nn.CrossEntropyLoss(), rows(8))
    directions, _ = setting(objective)
    with objective.measuring():
        evaluator = PlaneEvaluator(objective, objective.theta(), directions)
        assert evaluator(torch.empty(0, 2)) == {}
        before = objective.work.forwards
        assert len(evaluator(numbers(37, 2))["loss"]) == 37
        assert objective.work.forwards - before == 37


PEAK = """
import torch
from torch import nn
from landscope.landscape import slice2d
from landscope.objective import Objective

def peak():  # that of getrusage may be the parent's
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))

torch.set_num_threads(1)
torch.manual_seed(0)
model = nn.Sequential(nn.Linear(4, 8192), nn.ReLU(), nn.Linear(8192, 2))
objective = Objective(model, nn.CrossEntropyLoss(), (torch.randn(128, 4), torch.randint(0, 2, (128,))))
slice2d(objective, points=2, memory=2**22)  # loads libraries
before = peak()
for points in (5, 13):
    slice2d(objective, points=points, memory=2**22)
    print(peak() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads Linux's own count of memory")
def test_peak_memory_is_bounded_whatever_the_grid():
    """The budget is 4 MiB, which whole batches would take for each activation, and their first layers thrice."""
    # What is freed is given back at once, so that what counts is what was held, and not how it lay.
    given_back = os.environ | {"MALLOC_MMAP_THRESHOLD_": str(2**16)}
    ran = subprocess.run([sys.executable, "-c", PEAK], check=True, capture_output=True, text=True, env=given_back)
    few, many = (int(line) for line in ran.stdout.split())
    assert many < few + 4 * 1024  # KiB
