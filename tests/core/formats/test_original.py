"""Files of the original code, written here as it writes them."""

import os

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

h5py = pytest.importorskip("h5py")

from landscope import Objective  # noqa: E402
from landscope.formats import compare, read_directions, read_h5  # noqa: E402
from landscope.landscape import slice2d  # noqa: E402
from landscope.measurements import Slice1D, Slice2D  # noqa: E402

X, Y = np.linspace(-1, 1, 5), np.linspace(-0.5, 1.0, 4)


def loss_at(x, y):
    return 1.0 + (x - 0.2) ** 2 + 10.0 * y**2 + 3.0 * x * y


def fill(file, name, function, x=X, y=Y, computed=None):
    """An array of -1 with the shape (len(x), len(y)), filled in the order in which meshgrid lists the points."""
    array = -np.ones((len(x), len(y)))
    places = np.meshgrid(x, y)
    listed = list(zip(places[0].ravel(), places[1].ravel(), strict=True))
    for index in range(len(listed) if computed is None else computed):
        array.ravel()[index] = function(*listed[index])
    file[name] = array


@pytest.fixture
def surface(tmp_path):
    path = tmp_path / "net_weights_xignore=biasbn_xnorm=filter.h5_[-1,1,5]x[-0.5,1,4].h5"
    with h5py.File(path, "w") as file:
        file["dir_file"] = "net_weights_xignore=biasbn_xnorm=filter.h5"
        file["xcoordinates"], file["ycoordinates"] = X, Y
        fill(file, "train_loss", loss_at)
        fill(file, "train_acc", lambda x, y: 100.0 - 10.0 * (x + 1) - y)
        fill(file, "test_loss", lambda x, y: 2.0 * loss_at(x, y))
        fill(file, "test_acc", lambda x, y: 50.0 + y)
    return path


@pytest.fixture
def directions(tmp_path):
    path = tmp_path / "directions.h5"
    with h5py.File(path, "w") as file:
        for name, scale in (("xdirection", 1.0), ("ydirection", -2.0)):
            group = file.create_group(name)
            for index in range(12):  # "10" comes before "2" among names, not among parameters
                group[str(index)] = np.full((2, 3) if index % 2 else (4,), scale * index, dtype=np.float32)
    return path


def test_every_number_of_a_plane_is_at_its_point(surface):
    plane = read_h5(surface)
    assert isinstance(plane, Slice2D)
    assert (plane.alpha.tolist(), plane.beta.tolist()) == (X.tolist(), Y.tolist())
    np.testing.assert_array_equal(plane.loss, loss_at(X[:, None], Y))
    np.testing.assert_allclose(plane.accuracy, (100.0 - 10.0 * (X[:, None] + 1) - Y) / 100)
    np.testing.assert_array_equal(plane.metrics["test/loss"], 2.0 * loss_at(X[:, None], Y))
    np.testing.assert_allclose(plane.metrics["test/accuracy"], np.broadcast_to((50 + Y) / 100, (5, 4)))
    assert set(plane.metrics) == {"test/loss", "test/accuracy"}
    assert plane.centre_loss == loss_at(0.0, 0.0)
    assert plane.normalisation == "filter"
    assert plane.checks == (("points computed", "pass", "0 of 20 were not"),)
    assert plane.provenance.split == "train"


def test_a_square_plane_is_not_transposed(tmp_path):
    with h5py.File(tmp_path / "square.h5", "w") as file:
        file["xcoordinates"], file["ycoordinates"] = X, X
        fill(file, "train_loss", loss_at, X, X)
    np.testing.assert_array_equal(read_h5(tmp_path / "square.h5").loss, loss_at(X[:, None], X))


def test_axes_that_run_backwards_are_turned_round(tmp_path):
    with h5py.File(tmp_path / "backwards.h5", "w") as file:
        file["xcoordinates"], file["ycoordinates"] = X, Y[::-1]
        fill(file, "train_loss", loss_at, X, Y[::-1])
    plane = read_h5(tmp_path / "backwards.h5")
    assert plane.beta.tolist() == Y.tolist()
    np.testing.assert_array_equal(plane.loss, loss_at(X[:, None], Y))


def test_points_that_were_not_computed_are_nan(tmp_path):
    with h5py.File(tmp_path / "part.h5", "w") as file:
        file["xcoordinates"], file["ycoordinates"] = X, Y
        fill(file, "train_loss", lambda x, y: loss_at(x, y) - 2.04, computed=13)  # -1 where x and y are 0
        fill(file, "train_acc", lambda x, y: 0.0, computed=13)
        fill(file, "max_eig", lambda x, y: -1.0)
        fill(file, "min_eig", lambda x, y: 1.0 if x < 0 else -3.0)
    plane = read_h5(tmp_path / "part.h5")
    expected = loss_at(X[:, None], Y) - 2.04
    expected[3:, 2], expected[:, 3] = np.nan, np.nan  # x runs fastest: two rows and three points of the third are done
    np.testing.assert_array_equal(plane.loss, expected)
    assert plane.accuracy[~np.isnan(expected)].tolist() == [0.0] * 13
    assert plane.checks == (("points computed", "fail", "7 of 20 were not"),)
    np.testing.assert_array_equal(plane.metrics["max_eig"][:, 0], [np.nan, np.nan, -1.0, -1.0, -1.0])
    assert plane.centre_loss == -1.0


def test_a_line(tmp_path):
    with h5py.File(tmp_path / "line.h5", "w") as file:
        file["xcoordinates"] = X
        file["test_loss"], file["test_acc"] = loss_at(X, 0.0), np.full(5, 25.0)
        file["note"] = "not an array"
    line = read_h5(tmp_path / "line.h5")
    assert isinstance(line, Slice1D)
    assert line.loss.tolist() == loss_at(X, 0.0).tolist()
    assert line.accuracy.tolist() == [0.25] * 5
    assert line.provenance.split == "test"
    assert line.centre_loss == loss_at(0.0, 0.0)


def test_directions_and_trajectory_go_with_their_plane(surface, directions, tmp_path):
    with h5py.File(tmp_path / "projection.h5", "w") as file:
        file["proj_xcoord"], file["proj_ycoord"] = np.array([0.5, 0.1, 0.0]), np.array([1.0, 0.5, 0.0])
    plane = read_h5(surface, directions=directions, trajectory=tmp_path / "projection.h5")
    expected = np.concatenate([np.full(6 if index % 2 else 4, float(index)) for index in range(12)])
    np.testing.assert_array_equal(plane.directions, [expected, -2 * expected])
    np.testing.assert_allclose(plane.gram, (expected @ expected) * np.array([[1, -2], [-2, 4]]))
    assert plane.cosine == pytest.approx(-1.0)
    assert plane.path.tolist() == [[0.5, 1.0], [0.1, 0.5], [0.0, 0.0]]
    assert plane.provenance.parameters == 60
    with h5py.File(directions, "a") as file:
        del file["ydirection"]
    assert read_directions(directions).shape == (1, 60)
    with pytest.raises(ValueError, match="has 1 directions, expected one for each of 2 coordinates"):
        read_h5(surface, directions=directions)


def test_it_is_compared_with_a_slice_of_ours(surface):
    theirs = read_h5(surface)
    ours = theirs.replaced(loss=theirs.loss.copy())
    assert compare(theirs, ours).largest == 0.0
    ours.loss[2, 1] *= 1.25
    found = compare(theirs, ours)
    assert (found.largest, found.median, found.points, found.lone) == (pytest.approx(0.2), 0.0, 20, 0)
    assert found.where == (X[2], Y[1])
    assert found.method == "same grid"


def test_a_slice_along_its_directions_is_its_surface(tmp_path):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv1d(2, 3, 2), nn.ReLU(), nn.Flatten(), nn.Linear(9, 2)).double()
    data = torch.randn(8, 2, 4).double(), torch.randint(2, (8,))
    weights = [parameter.detach() for parameter in model.parameters()]
    both = [[0.3 * torch.randn_like(weight) for weight in weights] for _ in range(2)]
    with h5py.File(tmp_path / "directions.h5", "w") as file:
        for name, tensors in zip(("xdirection", "ydirection"), both, strict=True):
            for index, tensor in enumerate(tensors):
                file[f"{name}/{index}"] = tensor.numpy()

    def loss(x, y):
        moved = [weight + x * first + y * second for weight, first, second in zip(weights, *both, strict=True)]
        named = dict(zip(dict(model.named_parameters()), moved, strict=True))
        return float(functional.cross_entropy(torch.func.functional_call(model, named, data[:1]), data[1]))

    with h5py.File(tmp_path / "surface.h5", "w") as file:
        file["xcoordinates"], file["ycoordinates"] = X, Y
        fill(file, "train_loss", loss)
    theirs = read_h5(tmp_path / "surface.h5", directions=tmp_path / "directions.h5")
    ours = slice2d(
        Objective(model, functional.cross_entropy, data), torch.from_numpy(theirs.directions),
        points=(5, 4), extent=((-1.0, 1.0), (-0.5, 1.0)),
    )  # fmt: skip
    assert compare(theirs, ours).largest < 1e-12
    assert compare(theirs, ours).points == 20
    assert theirs.centre_loss == pytest.approx(ours.centre_loss, rel=1e-12)
    np.testing.assert_allclose(theirs.gram, ours.gram, rtol=1e-12)
    assert theirs.figure().data


def test_what_is_no_surface_file_is_refused(tmp_path, directions):
    path = tmp_path / "surface.h5"
    with pytest.raises(FileNotFoundError):
        read_h5(path)
    path.write_bytes(b"no HDF5")
    with pytest.raises(ValueError, match=r"surface\.h5 cannot be read as HDF5"):
        read_h5(path)
    with pytest.raises(ValueError, match="has no xcoordinates; it has xdirection, ydirection"):
        read_h5(directions)
    for values, why in (
        ({"xcoordinates": X[None]}, "must be finite numbers in one dimension"),
        ({"xcoordinates": X * np.nan}, "must be finite numbers in one dimension"),
        ({"xcoordinates": "-1:1:5"}, "xcoordinates must be a dataset of real numbers"),
        ({"xcoordinates": np.ones(5), "train_loss": X}, "xcoordinates must be different from one another"),
        ({"xcoordinates": X, "train_loss": X[1:]}, "must have train_loss or test_loss over its grid; it has nothing"),
        ({"xcoordinates": X, "loss_0_0": X}, "it has loss_0_0 there"),
    ):
        with h5py.File(path, "w") as file:
            for name, value in values.items():
                file[name] = value
        with pytest.raises(ValueError, match=why):
            read_h5(path)
    with h5py.File(directions, "a") as file:
        del file["xdirection/5"]
    with pytest.raises(ValueError, match="must have the tensors 0 to 10, 5 is not there"):
        read_directions(directions)
    with pytest.raises(ValueError, match="must have a group xdirection"):
        read_directions(path)


def damaged(whole, seed):
    """The bytes of a file with some overwritten, or its end cut off."""
    random = np.random.default_rng(seed)
    data = bytearray(whole)
    for place in random.integers(len(data), size=random.integers(1, 30)):
        data[place] = random.integers(256)
    return bytes(data[: random.integers(1, len(data))]) if seed % 3 == 0 else bytes(data)


def test_damaged_files_are_refused_or_read_but_never_crash(surface, tmp_path):
    whole, path = surface.read_bytes(), tmp_path / "damaged.h5"
    read = 0
    for seed in range(150):
        path.write_bytes(damaged(whole, seed))
        try:
            read += read_h5(path).loss.size == 20
        except ValueError as refused:
            assert "damaged.h5" in str(refused)  # noqa: PT017
    assert 0 < read < 150


def test_nothing_outside_a_file_is_read(surface, tmp_path):
    path = tmp_path / "hostile.h5"
    secret = tmp_path / "secret.raw"
    X.tofile(secret)

    def refused(why):
        with pytest.raises(ValueError, match=why):
            read_h5(path)

    for make in (
        lambda file: file.__setitem__("train_loss", h5py.ExternalLink(str(surface), "train_loss")),
        lambda file: file.__setitem__("dir_file", h5py.ExternalLink(str(surface), "dir_file")),
    ):
        with h5py.File(path, "w") as file:
            file["xcoordinates"] = X
            make(file)
        refused("is a link to another file, which is not read")
    with h5py.File(path, "w") as file:
        file["xcoordinates"] = X
        file.create_dataset("train_loss", (5,), "f8", external=[(str(secret), 0, 40)])
    refused("train_loss is kept in another file, which is not read")
    with h5py.File(path, "w") as file:
        file["xcoordinates"] = X
        layout = h5py.VirtualLayout((5,), "f8")
        layout[:] = h5py.VirtualSource(str(surface), "xcoordinates", (5,))
        file.create_virtual_dataset("train_loss", layout)
    refused("train_loss is kept in another file, which is not read")


def test_a_small_file_cannot_fill_the_memory(tmp_path):
    path = tmp_path / "bomb.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("xcoordinates", (2**40,), "f8", chunks=(2**16,), compression="gzip")
    assert os.path.getsize(path) < 10_000
    with pytest.raises(ValueError, match="with xcoordinates its arrays would take more than 64 times"):
        read_h5(path)
    with h5py.File(path, "w") as file:
        group = file.create_group("xdirection")
        group["0"] = np.zeros(2**12)
        for index in range(1, 2000):
            group[str(index)] = group["0"]  # one array under many names
    with pytest.raises(ValueError, match="more than 64 times"):
        read_directions(path)
