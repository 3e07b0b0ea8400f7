"""Messages are one line of bounded length, and no control character in them reaches a terminal."""

import pytest
import torch

from nlp_rnn.errors import RunError, UsageError, join_names, naming_memory, one_line, printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("größe 漢字 é", "größe 漢字 é"),
        ("\x1b[2J\x07", r"\x1b[2J\x07"),
        ("\x9b31m", r"\x9b31m"),
        ("a\u202eb\u2066", r"a\u202eb\u2066"),
        ("a\u2028b\0", r"a\u2028b\x00"),
        ("\ud800", r"\ud800"),
        ("a\rb\tc", r"a\rb\tc"),
    ],
)
def test_control_characters_are_shown_as_escapes(text, shown):
    assert printable(text) == shown
    assert printable(shown) == shown
    assert shown.isprintable()


def test_a_long_message_keeps_its_beginning_and_its_end():
    message = str(UsageError(f"file.tsv: column {'x' * 421_000}; rename it"))
    assert len(message) == 1_000
    assert message.startswith("file.tsv: column xxx")
    assert message.endswith("xxx; rename it")
    assert one_line("two\n  lines \x1b") == r"two lines \x1b"
    assert one_line("x" * 1_000) == "x" * 1_000


@pytest.mark.parametrize(
    "error",
    [
        MemoryError("Unable to allocate 7.45 GiB for an array"),
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory"
        ),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB."),
        RuntimeError("std::bad_alloc"),
        OSError(12, "Cannot allocate memory"),
    ],
)
def test_a_lack_of_memory_names_what_to_lower(error):
    with pytest.raises(RunError, match=r"^out of memory; lower --batch-size$"), naming_memory("--batch-size"):
        raise error


@pytest.mark.parametrize(
    "error", [RuntimeError("broken"), OSError(2, "none"), RunError("out of memory; lower x")]
)
def test_other_errors_stay_as_they_are(error):
    with pytest.raises(type(error)) as raised, naming_memory("--batch-size"):
        raise error
    assert raised.value is error


def test_many_names_are_counted():
    assert join_names(["a", "b"]) == "a, b"
    assert join_names(range(20)) == ", ".join(map(str, range(20)))
    assert join_names(range(1_023)) == f"{', '.join(map(str, range(20)))}, ... (1,003 more)"
