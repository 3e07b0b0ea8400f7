"""Writing the page."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html import escape
from importlib import resources
from pathlib import Path
from string import Template

from nlp_rnn import __version__
from nlp_rnn.errors import UsageError
from nlp_rnn.export.html.models import describe
from nlp_rnn.export.html.weights import pack_weights
from nlp_rnn.files import atomic_write
from nlp_rnn.tasks.base import Task
from nlp_rnn.tasks.pretrained import from_pretrained

RUNTIME = (
    "unicode.js", "tokenizer.js", "splitter.js", "layers.js", "search.js", "tags.js", "models.js",
    "translator.js", "main.js",
)  # fmt: skip
"""The files that run a model, in their order; they touch no page."""
VIEW = ("heatmap.js", "answers.js", "view.js")
"""The files that show it."""

_UNSAFE = re.compile("[<>&\ud800-\udfff]")  # in a page, or in UTF-8


def export(source: Path, output: Path) -> list[str]:
    """Write a model folder as one HTML file.

    Args:
        source: a model folder.
        output: the file to write; it does not exist yet.

    Returns:
        The size of the file, and its path.

    Raises:
        UsageError: the model cannot be loaded or no page can run it, or the output cannot be written.
    """
    size = write_html(from_pretrained(source), output)
    return [f"{size / 1e6:.1f} MB, with weights in 8 bits; open it in a browser", str(output)]


def write_html(task: Task, output: Path) -> int:
    """Write a model as one HTML file, whole or not at all.

    Args:
        task: a trained model with its processor.
        output: the file.

    Returns:
        Its size in bytes.

    Raises:
        UsageError: no page can run the model, or the output cannot be written.
    """
    page = make_page(task).encode()
    with atomic_write(output) as file:
        file.write_bytes(page)
    return len(page)


def make_page(task: Task) -> str:
    """The page of a model, as text.

    Raises:
        UsageError: no page can run the model.
    """
    description = describe(task)
    description["tensors"], weights = pack_weights(task.model.state_dict())
    description["version"] = __version__
    style, script = runtime("style.css"), runtime(*RUNTIME, *VIEW)
    return Template(runtime("page.html")).substitute(
        title=escape(description["title"]),
        style=style,
        script=script,
        policy="; ".join(
            (
                "default-src 'none'",
                f"style-src {_hash(style)}",
                f"script-src {_hash(script)}",
                "base-uri 'none'",
                "form-action 'none'",
            )
        ),
        description=json_text(description),
        weights=weights,
    )


def runtime(*names: str) -> str:
    """The text of files of the runtime, one behind the other."""
    folder = resources.files("nlp_rnn.export.html") / "runtime"
    return "\n".join((folder / name).read_text(encoding="utf-8") for name in names)


def json_text(value: object) -> str:
    """JSON that can stand in an HTML page: no text of it can end a script or begin a comment."""
    try:
        text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    except ValueError as error:
        raise UsageError(f"the model has a setting that is not a number: {error}") from error
    return _UNSAFE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def _hash(text: str) -> str:
    """What the page's policy calls a script or a style by: nothing else may run."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
