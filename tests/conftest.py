"""Fixtures of many modules; what they and the tests call is in support/."""

import os
import shutil

os.environ["VIDEO_HOME"] = "."  # weights/ and data/ are in the folder of a test, not the project
if "PYTEST_XDIST_WORKER" in os.environ:  # as many processes as cores: threads would only wait
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import models  # noqa: F401  before TensorFlow
from support.backbones import shrunk_i3d
from support.backends import untraced_steps
from support.videos import write_dataset

import pytest

BROWSERS = ("chromium", "chromium-browser", "google-chrome")


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
    from utils.pictures import recognition_plot, run_plots

    close = run_plots.plt.close
    for plots in (recognition_plot, run_plots):
        monkeypatch.setattr(plots, "save_figure", lambda figure, *_, **__: close(figure))


@pytest.fixture(scope="session")
def browser():
    """Playwright's Chromium, with a camera that is made up."""
    reason = "Playwright is not installed (requirements-demo.txt)"
    playwright = pytest.importorskip("playwright.sync_api", reason=reason)
    found = [path for name in BROWSERS if (path := shutil.which(name))]
    if not found:
        pytest.skip("No Chromium on this machine, such as Debian's package chromium")
    camera = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=found[0], args=["--no-sandbox", *camera])
        yield browser
        browser.close()
