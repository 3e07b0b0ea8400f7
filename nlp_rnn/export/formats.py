"""The table of export formats, and exporting by their names; no library is imported before it is needed."""

from __future__ import annotations

import os
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


def export(model: str | Path, output: str | Path, format: str, int8: bool = False) -> list[str]:
    """Write a trained model in a form that runs without this package, as `nlp-rnn export` does.

    Args:
        model: a model folder.
        output: what to write; it must not exist yet.
        format: a name in `FORMATS`.
        int8: whether to write 8-bit weights where possible.

    Returns:
        Lines that say how far the result is from the model, where that is measured, and where it is.

    Raises:
        UsageError: there is no such format or folder, the format has no int8 or needs a package that is not
            installed, the model cannot be written in it, or the output exists or cannot be written.

    Examples:
        >>> export("runs/sentiment_builtin/latest/model", "sentiment.c", "c")
    """
    if format not in FORMATS:
        raise UsageError(f"there is no format {format!r}: use one of {', '.join(FORMATS)}")
    row = FORMATS[format]
    if int8 and "int8" not in row.options:
        raise UsageError(f"format {format} has no int8: leave it out")
    source, target = check_paths(model, output)
    return row.writer()(source, target, **({"int8": int8} if "int8" in row.options else {}))


def check_paths(model: str | Path, output: str | Path) -> tuple[Path, Path]:
    """What is read and written.

    Raises:
        UsageError: the model is no folder, or the output exists.
    """
    source, target = Path(model).expanduser(), Path(output).expanduser()
    if not source.is_dir():
        raise UsageError(f"{model}: no such folder; export takes the model folder of a run")
    if os.path.lexists(target):
        raise UsageError(f"{target} exists: name another output, or remove it first")
    return source, target
