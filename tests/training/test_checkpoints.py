"""Training resumes from the newest checkpoint that is not damaged, and says which."""

import shutil

import pytest
import torch

from nlp_rnn.errors import UsageError
from nlp_rnn.training.checkpoints import good_or_newest, newest_good


@pytest.fixture
def folder(tmp_path):
    for name, step in {"best": 20, "last": 30, "previous": 25, "weights": 40}.items():
        checkpoint = {"global_step": step, "w": torch.full((9,), step)}
        if name != "weights":
            checkpoint["loops"] = {}
        torch.save(checkpoint, tmp_path / f"{name}.ckpt")
    shutil.copy(tmp_path / "last.ckpt", tmp_path / ".last.ckpt.0123abcd.tmp")
    return tmp_path


def damage(path):
    with path.open("r+b") as file:
        file.truncate(700)


def test_the_newest_by_step(folder):
    path, reason = newest_good(folder)
    assert path == folder / "last.ckpt"
    assert reason == (
        f"{path} (step 30); older: previous.ckpt (step 25), best.ckpt (step 20); "
        "passed over: weights.ckpt: holds weights only"
    )


def test_damaged_ones_are_named(folder):
    damage(folder / "last.ckpt")
    path, reason = newest_good(folder)
    assert path == folder / "previous.ckpt"
    assert reason.startswith(f"{path} (step 25); older: best.ckpt (step 20); passed over: last.ckpt: refused")
    assert "\n" not in reason


def test_of_one_step_the_one_written_last(folder):
    shutil.copy(folder / "last.ckpt", folder / "best.ckpt")
    assert newest_good(folder)[0] == folder / "best.ckpt"


def test_a_named_checkpoint_is_used_if_it_is_good(folder):
    assert good_or_newest(folder / "best.ckpt")[0] == folder / "best.ckpt"
    damage(folder / "best.ckpt")
    assert good_or_newest(folder / "best.ckpt")[0] == folder / "last.ckpt"


def test_without_a_good_one_there_is_one_line(folder):
    for path in folder.glob("[!.w]*"):
        damage(path)
    with pytest.raises(UsageError, match=r"last\.ckpt: refused: damaged"):
        good_or_newest(folder / "last.ckpt")
    (folder / "best.ckpt").write_bytes(b"")
    with pytest.raises(UsageError, match=r"best\.ckpt: empty; .* weights only; begin a new run$"):
        newest_good(folder)
    with pytest.raises(UsageError, match="there is none"):
        newest_good(folder / "none")


def test_a_malicious_checkpoint_is_refused_not_passed_over(folder):
    torch.save({"loops": folder}, folder / "last.ckpt")  # a path is more than tensors and plain values
    with pytest.raises(UsageError, match="refused"):
        good_or_newest(folder / "last.ckpt")
