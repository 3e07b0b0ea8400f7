"""A folder is replaced whole: at every moment there is the old one or the new one."""

import os
import subprocess
import sys
import threading

import pytest

from nlp_rnn.errors import UsageError
from nlp_rnn.lite.folders.folder import current_folder
from nlp_rnn.storage import folders
from nlp_rnn.storage.folders import atomic_folder, swap
from nlp_rnn.tasks.pretrained import from_pretrained, save_pretrained


def write(target, content):
    with atomic_folder(target) as new:
        (new / "file").write_text(content)


@pytest.fixture(params=["swap", "two renames"])
def target(request, tmp_path, monkeypatch):
    """A folder "old", on a system that can swap folders and on one that cannot."""
    write(tmp_path / "target", "old")
    if request.param == "two renames":
        monkeypatch.setattr(folders, "swap", lambda *_: False)
    elif not swap(tmp_path / "target", tmp_path / "target"):
        pytest.skip("the system cannot swap two folders")
    return tmp_path / "target"


def test_the_folder_is_replaced(target):
    write(target, "new")
    assert (target / "file").read_text() == "new"
    assert list(target.parent.iterdir()) == [target]


def test_a_swap_leaves_no_moment_without_a_folder(tmp_path):
    target = tmp_path / "target"
    write(target, "0")
    if not swap(target, target):
        pytest.skip("the system cannot swap two folders")
    missing, stop = [], threading.Event()

    def watch():
        while not stop.is_set():
            missing.append(not os.path.isdir(target))

    watcher = threading.Thread(target=watch)
    watcher.start()
    for number in range(100):
        write(target, str(number))
    stop.set()
    watcher.join()
    assert len(missing) > 100
    assert not any(missing)


def test_an_error_leaves_the_earlier_folder(target, monkeypatch):
    with pytest.raises(RuntimeError), atomic_folder(target):
        raise RuntimeError
    assert (target / "file").read_text() == "old"
    assert list(target.parent.iterdir()) == [target]


def test_between_two_renames_the_old_folder_is_read_and_later_put_back(tmp_path, monkeypatch):
    target = tmp_path / "target"
    write(target, "old")
    monkeypatch.setattr(folders, "swap", lambda *_: False)
    rename = os.rename

    def killed(source, destination, **_):
        if str(source).endswith(".tmp"):
            raise KeyboardInterrupt
        rename(source, destination)

    monkeypatch.setattr(os, "rename", killed)
    with pytest.raises(KeyboardInterrupt):
        write(target, "new")
    monkeypatch.setattr(os, "rename", rename)
    assert not target.exists()
    assert (current_folder(target) / "file").read_text() == "old"
    with pytest.raises(RuntimeError), atomic_folder(target):
        raise RuntimeError
    assert current_folder(target) == target
    assert (target / "file").read_text() == "old"


def test_what_killed_processes_left_is_removed_by_the_next_write(tmp_path):
    program = (
        "import os, sys; from pathlib import Path; from nlp_rnn.storage.folders import atomic_folder\n"
        "with atomic_folder(Path(sys.argv[1])) as new:\n"
        "    (new / 'file').write_text('half')\n"
        "    os.kill(os.getpid(), 9)"
    )
    target = tmp_path / "target"
    write(target, "old")
    subprocess.run([sys.executable, "-c", program, str(target)], check=False)
    assert len(list(tmp_path.iterdir())) == 2
    (tmp_path / ".target.of.somebody.tmp").touch()
    with atomic_folder(target):  # another one at the same time
        write(target, "new")
    assert {path.name for path in tmp_path.iterdir()} == {"target", ".target.of.somebody.tmp"}


def test_a_reader_never_sees_parts_of_two_folders(trained, folder, monkeypatch):
    other = trained[1]["tagging"]
    names = {"sentiment": "tagging", "tagging": "sentiment"}
    read_weights = "nlp_rnn.storage.reading.read_weights"
    from nlp_rnn.storage.reading import read_weights as original

    def replaced_meanwhile(path, root):
        monkeypatch.setattr(read_weights, original)
        save_pretrained(other, folder)
        return original(path, root)

    monkeypatch.setattr(read_weights, replaced_meanwhile)
    assert from_pretrained(folder).name == names["sentiment"]
    assert list(folder.parent.iterdir()) == [folder]


def test_a_folder_that_is_gone_is_no_endless_loop(folder, refused):
    (folder / "model.safetensors").unlink()
    refused(folder, "model.safetensors", "no such file")
    with pytest.raises(UsageError):
        from_pretrained(folder / "none" / "none")
