"""Writing a model as one C99 file: its data, and a runtime that needs nothing but the C library."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import nlp_rnn
from nlp_rnn.export.c.parts import Parts, make_parts
from nlp_rnn.export.c.source import is_float
from nlp_rnn.files import atomic_write, printed
from nlp_rnn.models.layers.quantization import quantize
from nlp_rnn.tasks.base import Task
from nlp_rnn.tasks.pretrained import from_pretrained

_HEAD = """\
/* {summary}
 *
 * Written by nlp_rnn {version}. C99; needs the C library alone: nothing is allocated, and no state is kept
 * but what you hold in an nlp_state. Texts are UTF-8 in Unicode's normal form C.
 *
 *   cc -std=c99 -O3 -DNLP_MAIN {name} -lm -o answer     a program that answers each line of its input
 *   cc -std=c99 -O3 -c {name}                           the functions nlp_* below, without main
 */
#include <float.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
"""

_SETTABLE = ("NLP_MAX_LENGTH", "NLP_MAX_OUTPUT")  # with -D of the compiler

_TYPES = """\
typedef {weight} nlp_weight;

/* A token, or a character, and its id. */
typedef struct {{
    const char *text;
    int32_t id;
}} nlp_entry;
"""


def export(source: Path, output: Path, int8: bool = False) -> list[str]:
    """Write a model folder as a C file.

    Args:
        source: the model folder.
        output: the file.
        int8: quantize float weights.

    Returns:
        The lines to print.

    Raises:
        UsageError: a part of the model has no C code, or it cannot be written.
    """
    task = from_pretrained(source)
    if int8 and is_float(task.model):
        quantize(task.model)
    text = c_source(task, output.name)
    with atomic_write(output) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")
    kind = "float" if is_float(task.model) else "int8"
    return [f"{kind} weights, {len(text.encode()):,} bytes of C", printed(str(output))]


def c_source(task: Task, name: str = "model.c") -> str:
    """The text of the C file of a model.

    Args:
        task: the model with its processor.
        name: of the file, for its head.

    Raises:
        UsageError: a part of the model has no C code.
    """
    parts = make_parts(task)
    summary = task.summary().replace("*/", "* /")
    head = _HEAD.format(summary=summary, version=nlp_rnn.__version__, name=name)
    types = _TYPES.format(weight="float" if is_float(task.model) else "int8_t")
    return "\n".join([head, _macros(parts), types, _runtime("layers.c"), *_data(parts), *_rest(parts)]) + "\n"


def _macros(parts: Parts) -> str:
    lines = []
    for name, value in parts.sizes.items():
        line = f"#define {name} {value}\n"
        lines.append(f"#ifndef {name}\n{line}#endif\n" if name in _SETTABLE else line)
    return "".join(lines)


def _data(parts: Parts) -> list[str]:
    return ["/* ---- Data ---- */", *parts.data, ""]


def _rest(parts: Parts) -> list[str]:
    return [_runtime(name) for name in ("output.c", *parts.runtime)]


def _runtime(name: str) -> str:
    return files("nlp_rnn.export.c").joinpath(name).read_text(encoding="utf-8")
