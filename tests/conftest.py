"""What all tests share: a cache of their own, one thread per process, no network."""

import gc
import os
import signal

# There is a test process per core; with more threads than cores each of them is many times slower.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_DATASETS_OFFLINE", "1")

from pathlib import Path

import pytest
import torch

from nlp_rnn.cli.main import main
from nlp_rnn.plots import curves

# A shell lets what runs in its background ignore Ctrl-C, and what that starts ignores it too.
signal.signal(signal.SIGINT, signal.default_int_handler)

LONGEST = ("test_docs.py", "test_notebooks.py", "test_resuming.py")
SHARED = Path(__file__).parents[2] / "shared" / "data"


def pytest_collection():
    """Collect no garbage while tests are collected, which makes millions of objects that stay.

    A process that only hands tests to others goes on so; it makes little.
    """
    gc.disable()


def pytest_collection_finish():
    """And never look at these again."""
    gc.freeze()
    gc.enable()


def pytest_collection_modifyitems(items):
    """Test the longest files first: each is tested by one process, and none is to wait at the end."""
    items.sort(key=lambda item: item.path.name not in LONGEST)


@pytest.fixture(autouse=True, scope="session")
def cache_home(tmp_path_factory):
    """What is made from corpora is made afresh for each run of the tests."""
    folder = tmp_path_factory.mktemp("cache")
    os.environ["NLP_RNN_CACHE"] = str(folder)
    return folder


@pytest.fixture(autouse=True, scope="session")
def unsynced():
    """Wait for no disk: no test checks what survives a power failure."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda file: None)
        yield


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def few_curves(request, monkeypatch):
    """A small run takes as long to draw its learning curves as for all else: only tests of `curves` do.

    Others only find out what there is to draw.
    """

    def find_panels(metrics_csv, monitor, mode, loss_unit):
        panels = curves._panels(curves._read(metrics_csv), str(metrics_csv))
        return panels, monitor and curves._best(panels, monitor, mode)

    if "curves" not in request.keywords:
        monkeypatch.setattr(curves, "learning_curves_figure", find_panels)
        monkeypatch.setattr(curves, "save", lambda figure, out: None)


@pytest.fixture
def shared_data():
    """The folder of real corpora that lies beside a checkout of the maintainers."""
    if not SHARED.is_dir():
        pytest.skip(f"no real corpora in {SHARED}")
    return SHARED


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """A hub on loopback, which this process uses, with an empty cache and without a token."""
    from hub_server import serving, use_hub

    with serving() as (state, url):
        use_hub(monkeypatch, url, tmp_path / "hub")
        yield state


@pytest.fixture
def run(capfd):
    """Calls the command line; gives (exit code, standard output, standard error)."""

    def call(*arguments):
        capfd.readouterr()
        code = 0
        try:
            main(list(arguments))
        except SystemExit as stopped:
            code = stopped.code
        return code, *capfd.readouterr()

    return call
