"""Small corpora in files."""

import pytest


@pytest.fixture
def folder(tmp_path):
    """A function that writes text files, given as {name: text}, into a folder and returns its path."""

    def make(files: dict[str, str]) -> str:
        for name, content in files.items():
            (tmp_path / name).write_bytes(content.encode("utf-8"))
        return str(tmp_path)

    return make
