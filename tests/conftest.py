"""Fixtures of many modules; what they and the tests call is in support/."""

import models  # noqa: F401  before TensorFlow
from support.backbones import shrunk_i3d
from support.backends import untraced_steps
from support.videos import write_dataset

import pytest


@pytest.fixture
def dataset(tmp_path):
    return write_dataset(tmp_path / "videos")


@pytest.fixture
def small_i3d():
    """For what does not depend on I3D's size; the whole one takes seconds to build and trace."""
    with shrunk_i3d():
        yield


@pytest.fixture
def untraced():
    """TensorFlow's steps are run, not traced: for few of them tracing takes most of the time."""
    with untraced_steps():
        yield


@pytest.fixture
def no_pictures(monkeypatch):
    """Plots are made but not drawn, where a test does not look at them."""
    from utils.pictures import run_plots

    close = run_plots.plt.close
    monkeypatch.setattr(run_plots, "save_figure", lambda figure, *_, **__: close(figure))
