"""What the dashboard's server imports has no torch in it, and every public name is there."""

import subprocess
import sys

import pytest

import landscope


def in_a_fresh_process(code):
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "module",
    [
        "landscope",
        "landscope.measurements",
        "landscope.runs",
        "landscope.figures",
        "landscope.formats",
        "landscope.reports",
        "landscope.lab",
        "landscope.loss_laws",
        "landscope_app",
    ],
)
def test_without_torch(module):
    in_a_fresh_process(f"import sys, {module}; assert 'torch' not in sys.modules")


def test_names_of_light_packages_need_no_torch():
    in_a_fresh_process(
        "import sys, landscope as ls; ls.open, ls.Run, ls.Measurement, ls.Provenance, ls.measurements, ls.figures; "
        "assert 'torch' not in sys.modules; ls.Objective; assert 'torch' in sys.modules"
    )


@pytest.mark.parametrize("name", landscope.__all__)
def test_every_public_name_resolves(name):
    assert getattr(landscope, name) is not None
    assert name in dir(landscope)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'landscope' has no attribute 'landscap'"):
        landscope.landscap  # noqa: B018
