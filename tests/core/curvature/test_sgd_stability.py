"""Critical batch sizes of stochastic gradient descent, against dense algebra, closed forms and SGD itself."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy, mse_loss

from landscope.curvature import sgd_stability
from landscope.objective import Objective


def of_slopes(x):
    """An objective with H_i = x_i x_i^T."""
    model = nn.Linear(x.shape[1], 1, bias=False).double()
    return Objective(model, lambda output, _: output.square().mean() / 2, (x.double(), torch.zeros(len(x)).double()))


def growth(curvatures, lr, batch):
    """The spectral radius of E[J x J], J = 1 - lr/B sum x_i H_i, as a matrix (P^2, P^2)."""
    n, size = len(curvatures), curvatures.shape[1]
    mean = np.eye(size) - lr * curvatures.mean(0)
    noise = sum(np.kron(H, H) for H in curvatures) * lr**2 / n * (1 / batch - 1 / n)
    return np.abs(np.linalg.eigvalsh(np.kron(mean, mean) + noise)).max()


@pytest.mark.parametrize(("lr", "batch"), [(0.3, 2), (1.2, 2), (1.2, 7)])
def test_identical_examples(lr, batch):
    """Of one direction: sigma = n, and lr lambda (1 + 1/B - 1/n) = 2 is critical."""
    x = torch.zeros(8, 3)
    x[:, 0] = 1.0
    measured = sgd_stability(of_slopes(x), lr, batch)
    assert measured.lambda_max == pytest.approx(1.0)
    assert measured.coherence == pytest.approx(8.0)
    assert measured.critical == pytest.approx(1 / (2 / lr - 1 + 1 / 8))
    assert measured.diverges_below == pytest.approx(8 / (1 + (8 / lr) ** 2))
    assert measured.stable == (lr * (1 + 1 / batch - 1 / 8) < 2)
    np.testing.assert_allclose(measured.similarities, 1.0)


@pytest.mark.parametrize(("lr", "batch"), [(6.0, 2), (6.0, 4), (10.0, 4)])
def test_orthogonal_examples(lr, batch):
    """Sigma = 1, and lr lambda_i / B = 2 is critical: each example is met alone."""
    measured = sgd_stability(of_slopes(torch.eye(8)), lr, batch)
    assert measured.lambda_max == pytest.approx(1 / 8)
    assert measured.coherence == pytest.approx(1.0)
    assert measured.critical == pytest.approx(lr / 2)
    assert measured.diverges_below == pytest.approx(8 / (1 + (8 / lr) ** 2))
    assert measured.stable == (batch > lr / 2)
    assert ("stays bounded" if measured.stable else "diverges") in measured.verdict


@pytest.mark.parametrize("seed", range(4))
def test_critical_batch_size_is_where_the_second_moments_stop_growing(seed):
    torch.manual_seed(seed)
    x = torch.randn(10, 3).double()
    curvatures = torch.einsum("ni,nj->nij", x, x).numpy()
    lr = 1.6 / np.linalg.eigvalsh(curvatures.mean(0))[-1]
    measured = sgd_stability(of_slopes(x), lr, 5)
    assert growth(curvatures, lr, 0.99 * measured.critical) > 1 > growth(curvatures, lr, 1.01 * measured.critical)
    assert 0 < measured.diverges_below < measured.critical < 10
    assert 1 <= measured.coherence <= 10


def test_gradient_descent_on_batches_does_what_is_said():
    torch.manual_seed(0)
    x = torch.randn(12, 2).double()
    lr = 1.2 / float(torch.linalg.eigvalsh(x.T @ x / 12)[-1])
    critical = sgd_stability(of_slopes(x), lr, 6).critical
    for batch, grows in ((0.6 * critical, True), (1.6 * critical, False)):
        w = torch.ones(20_000, 2).double()
        start = float(w.square().sum(1).mean())
        for _ in range(25):
            drawn = (torch.rand(len(w), 12) < batch / 12).double()
            w = w - lr / batch * (drawn * (w @ x.T)) @ x
        assert (float(w.square().sum(1).mean()) > start) is grows


def test_curvatures_of_a_network_are_its_gauss_newton_matrices(mlp):
    few = mlp.objective.sample(6)
    identity = torch.eye(few.layout.size).double()
    singles = [few.subset([i]).ggn()(identity) for i in range(6)]
    roots = [vectors * values.clamp_min(0).sqrt() @ vectors.T for values, vectors in map(torch.linalg.eigh, singles)]
    truth = np.array([[float((one @ other).norm()) for other in roots] for one in roots])
    lead = float(torch.linalg.eigvalsh(sum(singles) / 6)[-1])
    measured = sgd_stability(few, 1.0 / lead, 3)
    np.testing.assert_allclose(measured.similarities, truth, rtol=1e-5)
    assert measured.lambda_max == pytest.approx(lead)
    widest = max(float(torch.linalg.eigvalsh(single)[-1]) for single in singles)
    assert measured.coherence == pytest.approx(np.linalg.eigvalsh(truth)[-1] / widest)
    assert measured.scalars().keys() == {"coherence", "diverges_below", "critical"}


def test_a_sample_stands_for_all():
    torch.manual_seed(0)
    x = nn.functional.normalize(torch.randn(400, 3)) * 3**0.5
    whole, part = (sgd_stability(of_slopes(x), 0.8, 8, n=n) for n in (400, 100))
    assert whole.examples == part.examples == 400
    assert part.critical == pytest.approx(whole.critical, rel=0.3)
    assert part.similarities.shape == (100, 100)


def test_too_sharp_for_any_batch_and_flat():
    steep = sgd_stability(of_slopes(torch.ones(4, 1)), 2.5, 4)
    assert not steep.stable
    assert steep.critical == np.inf
    assert "any size" in steep.verdict
    flat = sgd_stability(of_slopes(torch.zeros(4, 2)), 2.5, 1)
    assert flat.stable
    assert (flat.critical, flat.lambda_max) == (0.0, 0.0)
    assert np.isnan(flat.coherence)
    assert flat.verdict == "stays where it is: no example has any curvature here"


@pytest.mark.parametrize("factor", [1e-6, 1e6])
def test_scaled_loss_and_learning_rate(factor):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 3))
    data = torch.randn(8, 3), torch.randint(3, (8,))
    plain = sgd_stability(Objective(model, cross_entropy, data), 0.5, 2)
    scaled = sgd_stability(Objective(model, lambda *pair: factor * cross_entropy(*pair), data), 0.5 / factor, 2)
    assert scaled.critical == pytest.approx(plain.critical, rel=1e-3)
    assert scaled.coherence == pytest.approx(plain.coherence, rel=1e-3)


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16])
def test_half_precision(kind):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 3))
    x, y = torch.randn(8, 3), torch.randint(3, (8,))
    single = sgd_stability(Objective(model, cross_entropy, (x, y)), 0.5, 2)
    half = sgd_stability(Objective(model.to(kind), cross_entropy, (x.to(kind), y)), 0.5, 2)
    assert half.critical == pytest.approx(single.critical, rel=0.05)


def test_what_makes_no_sense_is_refused(mlp):
    bad = torch.full((mlp.objective.layout.size,), float("nan")).double()
    with pytest.raises(FloatingPointError, match="loss of an example is not finite"):
        sgd_stability(mlp.objective, 0.1, 2, theta=bad)
    for arguments, message in (
        ((0.0, 2), "lr must be positive"),
        ((0.1, 0), "batch_size must be from 1 to the 200 examples"),
        ((0.1, 201), "batch_size must be from 1 to the 200 examples"),
    ):
        with pytest.raises(ValueError, match=message):
            sgd_stability(mlp.objective, *arguments)
    with pytest.raises(ValueError, match="choose n up to 819"):
        sgd_stability(Objective(nn.Linear(2, 5), mse_loss, (torch.ones(900, 2), torch.ones(900, 5))), 0.1, 2, n=900)
    concave = Objective(nn.Linear(2, 1), lambda output, _: -output.square().mean(), (torch.ones(4, 2), torch.ones(4)))
    with pytest.raises(ValueError, match="convex in the outputs"):
        sgd_stability(concave, 0.1, 2)
