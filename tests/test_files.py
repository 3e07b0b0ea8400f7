import io
import os
import sys
from pathlib import Path

import pytest

from nlp_rnn.errors import RunError, UsageError
from nlp_rnn.files import atomic_write, check_output, check_writable, printed


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    return path


class TestAtomicWrite:
    def test_the_file_appears_at_the_end(self, tmp_path):
        out = write(tmp_path, "out", "old")
        with atomic_write(out) as temporary:
            temporary.write_text("new")
            assert out.read_text() == "old"
            assert temporary.parent == tmp_path
        assert out.read_text() == "new"
        assert list(tmp_path.iterdir()) == [out]

    def test_an_error_leaves_the_earlier_file(self, tmp_path):
        out = write(tmp_path, "out", "old")
        with pytest.raises(ZeroDivisionError), atomic_write(out) as temporary:
            temporary.write_text(str(1 / 0))
        assert out.read_text() == "old"
        assert list(tmp_path.iterdir()) == [out]

    def test_of_a_link_the_file_it_points_to_is_replaced(self, tmp_path):
        out = write(tmp_path, "out", "old")
        (tmp_path / "link").symlink_to("out")
        with atomic_write(tmp_path / "link") as temporary:
            temporary.write_text("new")
        assert (tmp_path / "link").is_symlink()
        assert out.read_text() == "new"

    def test_a_device_is_written_to_not_replaced(self, tmp_path):
        with atomic_write(Path(os.devnull)) as temporary:
            temporary.write_text("new")
        assert not Path(os.devnull).is_file()

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
    def test_a_full_disk_is_one_line_with_the_name(self):
        with (
            pytest.raises(RunError, match=r"^/dev/full: cannot be written \(No space left on device\)$"),
            atomic_write(Path("/dev/full")) as temporary,
        ):
            temporary.write_text("new")

    def test_a_place_is_checked_before_it_is_needed(self, tmp_path):
        (tmp_path / "file").write_text("")
        for place, fault in (
            (tmp_path / "file", "is not a folder"),
            (tmp_path / "file" / "folder", "is not a folder"),
            (Path("/proc/none"), "cannot be written"),
            (tmp_path / ("x" * 300), r"cannot be written \(File name too long\)"),
            (tmp_path / "a\0b", "has a NUL character"),
        ):
            with pytest.raises(UsageError, match=f"^--runs /.*: .*{fault}.*; choose another place$"):
                check_writable(place, "--runs")
        check_writable(tmp_path / "new" / "folder", "--runs")
        assert [path.name for path in tmp_path.iterdir()] == ["file"]

    def test_an_output_is_checked_before_it_is_written(self, tmp_path):
        for out in (tmp_path, tmp_path / ("x" * 300), Path("/proc/none")):
            with pytest.raises(UsageError, match=r"^--output /"):
                check_output(out, "--output")
        for out in (tmp_path / "new", tmp_path / "folder" / "new", Path(os.devnull)):
            check_output(out, "--output")
        assert list(tmp_path.iterdir()) == []

    def test_an_output_is_checked_where_its_link_points_to(self, tmp_path):
        (tmp_path / "file").touch()
        link = tmp_path / "link"
        link.symlink_to("/proc/none/new")
        with pytest.raises(UsageError, match=r"^--output /proc/none: cannot be written"):
            check_output(link, "--output")
        if Path("/proc/self/fd").exists():  # where nobody can make a file
            with (tmp_path / "file").open("w") as file:
                check_output(Path(f"/proc/self/fd/{file.fileno()}"), "--output")

    def test_an_error_of_another_file_passes_through(self, tmp_path):
        with pytest.raises(FileNotFoundError), atomic_write(tmp_path / "out"):
            (tmp_path / "elsewhere" / "none").read_text()
        with pytest.raises(BrokenPipeError), atomic_write(tmp_path / "out"):
            raise BrokenPipeError

    def test_what_killed_processes_left_is_removed_but_not_what_is_being_written(self, tmp_path):
        out = tmp_path / "out"
        (tmp_path / ".out.0123abcd.tmp").write_text("left over")
        (tmp_path / ".out.of.mine.tmp").write_text("not ours")
        with atomic_write(out) as first:
            with atomic_write(out) as second:
                second.write_text("second")
            first.write_text("first")
        assert out.read_text() == "first"
        assert {path.name for path in tmp_path.iterdir()} == {"out", ".out.of.mine.tmp"}


def test_a_terminal_gets_no_control_characters_and_a_file_all(monkeypatch):
    text = "a\tb\x1b[31m\u202e\n\x9b\n"
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    assert printed(text) == text
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert printed(text) == "a\tb\\x1b[31m\\u202e\n\\x9b\n"
