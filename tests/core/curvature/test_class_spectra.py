import numpy as np
import pytest
import torch
from conftest import explicit_hessian
from torch import nn
from torch.nn.functional import cross_entropy, mse_loss

from landscope.curvature import class_spectra
from landscope.figures import figure
from landscope.measurements import Measurement
from landscope.objective import Objective


@pytest.fixture(scope="module")
def imbalanced():
    """Three classes of 100, 30 and 6 examples, trained a little."""
    torch.manual_seed(0)
    y = torch.tensor([2] * 100 + [0] * 30 + [1] * 6)
    x = (torch.randn(3, 5)[y] + torch.randn(len(y), 5)).double()
    model = nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 3)).double()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    for _ in range(30):
        optimizer.zero_grad()
        cross_entropy(model(x), y).backward()
        optimizer.step()
    return model, x, y


@pytest.fixture(scope="module")
def spectra(imbalanced):
    model, x, y = imbalanced
    return class_spectra(Objective(model, cross_entropy, (x, y)), k=2, tolerance=1e-6, trace_budget=80)


def test_agrees_with_each_classs_explicit_hessian(imbalanced, spectra):
    model, x, y = imbalanced
    assert spectra.classes.tolist() == [0, 1, 2]
    assert spectra.counts.tolist() == [30, 6, 100]
    for row, label in enumerate(spectra.classes):
        own = y == int(label)
        values = torch.linalg.eigvalsh(explicit_hessian(model, cross_entropy, x[own], y[own])).numpy()
        np.testing.assert_allclose(spectra.largest[row], values[:-3:-1], rtol=1e-5)
        np.testing.assert_allclose(spectra.smallest[row], values[:2], rtol=1e-5)
        assert spectra.traces[row] == pytest.approx(values.sum(), rel=1e-9)  # 66 parameters: exact
        assert spectra.losses[row] == pytest.approx(cross_entropy(model(x[own]), y[own]).item(), rel=1e-9)
        assert spectra.ratio[row] == pytest.approx(-values[0] / values[-1], rel=1e-5)
        assert spectra.scalars()[f"negative ratio/{label}"] == spectra.ratio[row]


def test_work_is_counted_in_passes_over_all_examples(imbalanced):
    model, x, y = imbalanced
    measured = class_spectra(Objective(model, cross_entropy, (x, y)), trace_budget=80)
    assert 66 <= measured.provenance.products < 66 + 120
    assert measured.provenance.examples == 136


def test_the_figure_orders_classes_by_their_examples(spectra):
    back = Measurement.from_bytes(spectra.to_bytes())
    for dark in (False, True):
        drawn = figure(back, dark=dark)
        assert list(drawn.data[0].x) == ["2<br>100", "0<br>30", "1<br>6"]
        assert {trace.name for trace in drawn.data} == {"largest", "smallest"}
        assert (np.array(drawn.data[2].y) < 0).all()
        np.testing.assert_allclose(drawn.data[0].customdata[:, 0], spectra.largest[[2, 0, 1], 0])


def test_what_makes_no_sense_is_refused(imbalanced):
    model, x, y = imbalanced
    objective = Objective(model, cross_entropy, (x, y))
    with pytest.raises(ValueError, match="k must be positive"):
        class_spectra(objective, 0)
    with pytest.raises(ValueError, match="both ends apart among 66"):
        class_spectra(objective, 40)
    with pytest.raises(ValueError, match="tolerance must be positive"):
        class_spectra(objective, tolerance=0)
    with pytest.raises(ValueError, match="one integer class per example"):
        class_spectra(Objective(model, mse_loss, (x, torch.randn(len(x), 3).double())))
