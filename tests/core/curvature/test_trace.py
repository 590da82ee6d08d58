import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from landscope.curvature import eigenvalues, trace
from landscope.curvature.hutchinson import complement, hutch_pp, hutchinson, krylov, on_span
from landscope.curvature.leave_one_out import xtrace
from landscope.objective import Objective

ESTIMATORS = {"hutchinson": hutchinson, "hutch++": hutch_pp, "xtrace": xtrace, "krylov": krylov}


def test_two_standard_errors_cover(mlp):
    exact = mlp.eigenvalues.sum().item()
    measured = [trace(mlp.objective, probes=20, seed=seed) for seed in range(80)]
    hits = [abs(one.value - exact) < 2 * one.stderr for one in measured]
    assert 0.87 < np.mean(hits) < 1.0  # Student's t with 19 degrees of freedom: 0.94


def test_deflation_is_unbiased_and_sharpens(objective_of):
    torch.manual_seed(0)
    spectrum = torch.cat([torch.linspace(50, 100, 5), torch.linspace(-1, 1, 60)]).double()
    turn = torch.linalg.qr(torch.randn(65, 65).double())[0]
    objective = objective_of(turn * spectrum @ turn.T)
    leading = eigenvalues(objective, 5).vectors
    plain = [trace(objective, probes=10, seed=seed).value for seed in range(30)]
    deflated = [trace(objective, probes=10, deflate=leading, seed=seed) for seed in range(30)]
    values = np.array([one.value for one in deflated])
    assert abs(values.mean() - spectrum.sum().item()) < 3.5 * values.std() / np.sqrt(30)
    assert values.std() < 0.1 * np.std(plain)
    assert deflated[0].provenance.products == 15


def test_stale_or_arbitrary_vectors_do_no_harm(objective_of):
    torch.manual_seed(0)
    matrix = torch.randn(40, 40).double()
    objective = objective_of(matrix + matrix.T)
    wrong = torch.randn(40, 40).double()  # all of the space: nothing is left to chance
    measured = trace(objective, deflate=wrong)
    assert measured.value == pytest.approx(2 * matrix.trace().item(), rel=1e-12)
    assert measured.stderr < 1e-12


def test_random_signs_are_exact_on_a_diagonal(objective_of):
    measured = trace(objective_of(torch.diag(torch.arange(-3.0, 9.0).double())), probes=2)
    assert measured.value == pytest.approx(30, rel=1e-14)
    assert measured.stderr < 1e-13


def spread(estimator, hessian, budget, seeds):
    """Traces and Frobenius norms, and their standard errors, over seeds: (4, seeds)."""
    like = hessian[0]
    found = [
        estimator(lambda block: block @ hessian, like, budget, torch.Generator().manual_seed(seed))
        for seed in range(seeds)
    ]
    return np.array([(one.trace, one.square, one.trace_error, one.square_error) for one in found]).T


@pytest.fixture(scope="module")
def sixty(trained):
    """What each method makes of sixty products with the trained network's Hessian, over seeds."""
    return {name: spread(estimator, trained.hessian, 60, 100) for name, estimator in ESTIMATORS.items()}


def test_sixty_products_are_enough_for_a_trained_network(sixty, trained):
    exact = trained.eigenvalues.sum().item()
    errors = {name: np.median(np.abs(found[0] / exact - 1)) for name, found in sixty.items()}
    assert errors["krylov"] < 0.004
    assert errors["xtrace"] < 0.006
    assert errors["hutch++"] < 0.012
    assert errors["krylov"] < errors["xtrace"] < errors["hutch++"] < errors["hutchinson"]
    measured = trace(trained.objective)
    assert (measured.method, measured.provenance.products) == ("krylov", 60)
    assert abs(measured.value - exact) < min(3 * measured.stderr, 0.01 * exact)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_errors_are_honest_and_nothing_is_biased(sixty, trained, name):
    traces, squares, trace_errors, square_errors = sixty[name]
    # probes that share what they are tried on understate their scatter
    least, most = (0.7, 1.6) if name == "xtrace" else (0.85, 1.25)
    for truth, values, errors in (
        (trained.eigenvalues.sum().item(), traces, trace_errors),
        ((trained.eigenvalues**2).sum().item(), squares, square_errors),
    ):
        apart = values - truth
        assert np.mean(np.abs(apart) < 2 * errors) >= least
        assert np.sqrt(np.mean(apart**2) / np.mean(errors**2)) < most
        assert abs(apart.mean()) < 3.5 * apart.std() / np.sqrt(len(apart))


@pytest.mark.parametrize("name", ESTIMATORS)
def test_known_vectors_count_and_help(trained, objective_of, name):
    exact, leading = trained.eigenvalues.sum().item(), torch.linalg.eigh(trained.hessian)[1][:, -10:].T
    known = on_span(lambda block: block @ trained.hessian, leading)
    rest = complement(lambda block: block @ trained.hessian, leading)(torch.eye(419).double())
    assert known.trace + rest.trace().item() == pytest.approx(exact, rel=1e-12)
    assert known.square + (rest**2).sum().item() == pytest.approx((trained.hessian**2).sum().item(), rel=1e-12)
    measured = trace(objective_of(trained.hessian), method=name, budget=40, deflate=leading)
    assert measured.provenance.products == 40
    assert abs(measured.value - exact) < 4 * measured.stderr


@pytest.mark.parametrize("factor", [1e-6, 1e6])
@pytest.mark.parametrize("name", ESTIMATORS)
def test_low_rank_and_scaled_losses(objective_of, name, factor):
    torch.manual_seed(1)
    thin = torch.randn(90, 4).double()
    hessian = factor * thin @ thin.T
    measured = trace(objective_of(hessian), method=name, budget=40)
    assert abs(measured.value - hessian.trace().item()) <= 3 * measured.stderr + 1e-9 * hessian.trace().item()
    if name != "hutchinson":  # the rank is less than the range they take out
        assert measured.value == pytest.approx(hessian.trace().item(), rel=1e-9)
        assert measured.frobenius == pytest.approx(hessian.norm().item(), rel=1e-9)
        assert measured.stderr < 1e-9 * measured.value


@pytest.mark.parametrize("name", ["auto", *ESTIMATORS])
def test_zero_hessian(objective_of, name):
    measured = trace(objective_of(torch.zeros(70, 70, dtype=torch.float64)), method=name, budget=30)
    assert (measured.value, measured.stderr) == (0, 0)
    assert (measured.frobenius, measured.frobenius_stderr) == (0, 0)


@pytest.mark.parametrize("size", [1, 2, 17, 60])
def test_few_parameters_are_exact(objective_of, size):
    torch.manual_seed(0)
    matrix = torch.randn(size, size).double()
    measured = trace(objective_of(matrix + matrix.T))
    assert measured.method == "exact"
    assert measured.value == pytest.approx(2 * matrix.trace().item(), rel=1e-12)
    assert measured.frobenius == pytest.approx((matrix + matrix.T).norm().item(), rel=1e-12)
    assert (measured.stderr, measured.probes, measured.provenance.products) == (0, 0, size)


@pytest.mark.parametrize("operator", ["ggn", "fisher", "empirical-fisher"])
def test_every_operator_and_derived_objectives(mlp, operator):
    part = mlp.objective.of_class(2).with_parameters(["2.*"])
    exact = trace(part, operator=operator, budget=part.layout.size)
    assert exact.method == "exact"
    found = trace(part, operator=operator, budget=40)
    assert abs(found.value - exact.value) < 4 * found.stderr
    assert found.operator == operator


@pytest.mark.parametrize("precision", [torch.float16, torch.bfloat16, torch.float32])
def test_short_floats_and_eight_examples(precision):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 12), nn.Tanh(), nn.Linear(12, 3)).to(precision)
    x, y = torch.randn(8, 6).to(precision), torch.randint(3, (8,))
    with_double = Objective(nn.Sequential(*model).to(torch.float64), cross_entropy, (x.double(), y))
    exact = trace(with_double, budget=200)
    model.to(precision)
    found = trace(Objective(model, cross_entropy, (x, y)))
    tolerance = {torch.float16: 2e-2, torch.bfloat16: 8e-2, torch.float32: 1e-5}[precision]
    assert abs(found.value - exact.value) < 4 * found.stderr + tolerance * exact.value


def test_a_loss_that_is_not_finite_is_an_error(mlp):
    nowhere = torch.full_like(mlp.objective.theta(), float("nan"))
    for name in ESTIMATORS:
        with pytest.raises(FloatingPointError, match="not finite"):
            trace(mlp.objective, method=name, theta=nowhere)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"probes": 1}, "probes must be at least 2"),
        ({"probes": 8, "method": "xtrace"}, "probes are Hutchinson's"),
        ({"deflate": np.ones((2, 3))}, "deflate must have shape"),
        ({"method": "lucky"}, "method must be 'auto' or one of"),
        ({"budget": 3, "method": "xtrace"}, "budget of method 'xtrace' must be at least 4 products, got 3"),
        ({"budget": 6, "deflate": np.eye(5, 125)}, "at least 2 products beside the 5 on known vectors, got 1"),
        ({"backend": "jax"}, "backend must be"),
        ({"backend": "pyhessian", "method": "xtrace"}, "Hutchinson's method alone"),
        ({"backend": "pyhessian", "budget": 1}, "at least 2 products"),
    ],
)
def test_what_makes_no_sense_is_refused(mlp, options, message):
    with pytest.raises(ValueError, match=message):
        trace(mlp.objective, **options)
