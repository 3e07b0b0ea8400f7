"""The table of export formats; it imports no library."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import cast

from nlp_rnn.errors import UsageError


@dataclass(frozen=True)
class Format:
    """One format of `nlp-rnn export`.

    Args:
        summary: what is written, in one line.
        module: the module with `export(source, output, **options)`. It writes a model folder `source` to
            `output`, whole or not at all, and returns the lines to print.
        extra: the extra of this package that installs what the module imports; empty if nothing is missing.
        ending: what the default output has behind the name of the model folder.
        options: the options that only some formats have, by their names in Python, which this one has. All
            of them are switches, passed to `export` as bool.
    """

    summary: str
    module: str
    extra: str
    ending: str
    options: tuple[str, ...] = ()

    def writer(self) -> Callable[..., list[str]]:
        """The function `export` of the format's module.

        Raises:
            UsageError: it needs a package that is not installed.
        """
        try:
            return cast(Callable[..., list[str]], import_module(self.module).export)
        except ModuleNotFoundError as error:
            if not self.extra:
                raise
            raise UsageError(
                f"this format needs the package {error.name}: pip install 'nlp-rnn[{self.extra}]'"
            ) from error

    def default_output(self, source: Path) -> Path:
        """Where to write if no output is named: in the working directory, under the model folder's name."""
        return Path(source.resolve().name + self.ending)


FORMATS: dict[str, Format] = {
    "onnx": Format(
        "a folder with ONNX graphs in place of the weights",
        "nlp_rnn.export.onnx.writing",
        "onnx",
        "_onnx",
        ("int8",),
    ),
    "c": Format(
        "one C99 file that needs the C library alone",
        "nlp_rnn.export.c.writing",
        "",
        ".c",
        ("int8",),
    ),
    "html": Format(
        "one HTML file, a page that runs the model in any browser",
        "nlp_rnn.export.html.writing",
        "",
        ".html",
    ),
}
"""The formats, by the value of `--format`."""
