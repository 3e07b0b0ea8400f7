"""Corpora whose targets are answers of trained models: distillation, self-training and back-translation."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import nlp_rnn
from nlp_rnn.data.corpus.local import ORIGIN
from nlp_rnn.errors import UsageError
from nlp_rnn.files import atomic_write, check_not_read, check_writable, file_hash, shorten
from nlp_rnn.inference.inputs import Inputs
from nlp_rnn.inference.pipelines import Pipeline
from nlp_rnn.lite.text.notices import collect_warnings
from nlp_rnn.settings import Range, Seed, Settings
from nlp_rnn.tasks.base import Task

ROWS = "train.jsonl"
"""The file of rows in the folder."""

_WINDOW = 16  # batches that are sorted by length together
_EQUAL, _UNSURE, _EMPTY = "equal to another row", "less probable than --least", "inputs without an answer"
_INPUTS, _ROWS = "inputs", "rows"  # which are counted too

_Probability = Annotated[float, Range(0, 1)]


@dataclass(frozen=True)
class Answering(Settings):
    """How the models answer.

    Args:
        beam: width of the beam, where answers are text; as trained if left out.
        n_best: answers per input and model; all of them become rows.
        sample: sample answers rather than search for the best.
        temperature: of samples: logits are divided by it.
        top_k: sample among the k most probable tokens only.
        seed: of samples. An answer depends on it and the input, not on other inputs.
        least: the probability below which a label is not taken, for models that predict labels.

    Raises:
        UsageError: a value is out of range, or has no effect.
    """

    beam: Annotated[int, Range(1, 1_000)] | None = None
    n_best: Annotated[int, Range(1, 1_000)] | None = None
    sample: bool = False
    temperature: Annotated[float, Range(1e-3, 1_000)] | None = None
    top_k: Annotated[int, Range(1, 10**8)] | None = None
    seed: Seed | None = None
    least: _Probability | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.sample and (self.temperature, self.top_k, self.seed) != (None, None, None):
            raise UsageError("--temperature, --top-k and --seed are for samples: add --sample")
        if self.sample and self.beam is not None:
            raise UsageError("--beam or --sample: choose one")

    def apply(self, task: Task) -> Task:
        """The model that answers so.

        Raises:
            UsageError: it does not.
        """
        if self.sample:
            temperature = 1.0 if self.temperature is None else self.temperature
            return task.with_sampling(temperature, self.seed or 0, self.n_best or 1, self.top_k)
        if (self.beam, self.n_best) != (None, None):
            return task.with_decoding(self.beam, self.n_best or 1)
        return task


@dataclass(frozen=True)
class Made:
    """What was made of a corpus.

    Args:
        folder: with the rows, and with where they are from.
        inputs: the number of inputs.
        rows: the number of rows.
        left_out: reason -> number of rows, or of inputs, that are not among them.
    """

    folder: Path
    inputs: int
    rows: int
    left_out: Mapping[str, int]

    def __str__(self) -> str:
        left_out = [f"{count:,} {reason}" for reason, count in self.left_out.items() if count]
        without = f"; left out: {', '.join(left_out)}" if left_out else ""
        return f"{self.folder}: {self.rows:,} rows of {self.inputs:,} inputs{without}"


def make_corpus(
    models: Mapping[tuple[str, ...], Task],
    inputs: Inputs,
    output: Path,
    answering: Answering,
    made_by: str,
    batch_size: int = 256,
    device: str = "cpu",
    precision: str = "fp32",
    progress: Callable[[int, int], None] = lambda inputs, rows: None,
) -> Made:
    """Write a corpus of inputs with the answers of models as their targets.

    With several models each input has a row for each different answer (data diversification, Nguyen et al.
    2019). Rows that are equal are written once. Translations that never reached EOS, or that repeat words
    again and again, are left out.

    Args:
        models: the paths of each model -> the model; all of one task. One of several paths is an ensemble,
            see `nlp_rnn.tasks.ensemble`.
        inputs: what they answer.
        output: a folder, which gets `train.jsonl`, and `origin.json` with where the rows are from.
        answering: how they answer.
        made_by: the name of the program.
        batch_size: maximum number of inputs per batch; the answers do not depend on it.
        device: where to compute.
        precision: fp32 or bf16.
        progress: is called with the number of inputs that have been answered and of rows that have been
            written, now and then.

    Raises:
        UsageError: models or inputs do not fit together, or the output cannot be written.
    """
    first = next(iter(models.values()))
    names = inputs.names(first)
    for paths, task in models.items():
        task.as_teacher()
        if task.name != first.name or inputs.names(task) != names:
            raise UsageError(
                f"{paths[0]}: the models are for different tasks or columns; name them by --columns"
            )
    _check_folder(output)
    for read in (inputs.path, *(path for paths in models for path in paths)):
        check_not_read(output / ROWS, read, "--output")
    teachers = [answering.apply(task.as_teacher()) for task in models.values()]
    answerers = [Pipeline(task, batch_size, device, precision) for task in teachers]
    counts: Counter[str] = Counter()
    with _new_folder(output), collect_warnings(), atomic_write(output / ROWS) as temporary:
        with temporary.open("w", encoding="utf-8") as file:
            for row in _rows(answerers, inputs, answering.least, counts, progress):
                named = {names.get(name, name): value for name, value in row.items()}
                file.write(json.dumps(named, ensure_ascii=False) + "\n")
        if not counts[_ROWS]:
            raise UsageError(f"{inputs.path}: no row is left of {counts['inputs']:,} inputs")
    left_out = {reason: count for reason, count in counts.items() if count and reason not in (_INPUTS, _ROWS)}
    made = Made(output, counts[_INPUTS], counts[_ROWS], left_out)
    origin = {
        "made_by": f"{made_by} of nlp_rnn {nlp_rnn.__version__}",
        "models": [_origin(paths) for paths in models],
        "data": {"path": inputs.path, "split": inputs.split},
        "settings": {name: value for name, value in vars(answering).items() if value not in (None, False)},
        "precision": precision,
        "inputs": made.inputs,
        "rows": made.rows,
        "left_out": left_out,
    }
    with atomic_write(output / ORIGIN) as temporary:
        temporary.write_text(json.dumps(origin, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    return made


def _rows(
    answerers: Sequence[Pipeline],
    inputs: Inputs,
    least: float | None,
    counts: Counter[str],
    progress: Callable[[int, int], None],
) -> Iterator[dict[str, Any]]:
    """The rows, each once, with canonical columns: those of an input together."""
    task = answerers[0].task
    source = inputs.read(task)
    seen: set[bytes] = set()
    size = answerers[0].batch_size  # of one batch at first: what is wrong shows at once
    while chunk := list(islice(source, size)):
        size = _WINDOW * answerers[0].batch_size
        answers = [list(answerer.iterate(chunk, len(chunk))) for answerer in answerers]
        for value, *given in zip(chunk, *answers, strict=True):
            counts[_INPUTS] += 1
            found = [target for answer in given for target in task.targets(answer)]
            counts[_EMPTY] += not found
            for targets, flaw in found:
                if least is not None and _probability(targets, task) < least:
                    flaw = _UNSURE
                if flaw:
                    counts[flaw] += 1
                    continue
                row = {**_cells(task, value), **targets}
                if (key := _key(row)) in seen:
                    counts[_EQUAL] += 1
                    continue
                seen.add(key)
                counts[_ROWS] += 1
                yield row
        progress(counts[_INPUTS], counts[_ROWS])


def _cells(task: Task, value: Any) -> dict[str, Any]:
    """An input by its columns."""
    columns = task.processor.input_columns
    return dict(zip(columns, [value] if len(columns) == 1 else value, strict=True))


def _key(row: Mapping[str, Any]) -> bytes:
    """A hash of what is trained on."""
    trained = {name: value for name, value in row.items() if name not in ("score", "probability")}
    return hashlib.blake2b(json.dumps(trained).encode(), digest_size=16).digest()


def _probability(targets: Mapping[str, Any], task: Task) -> float:
    if "probability" not in targets:
        raise UsageError(f"--least is for models that predict labels; this one is for {task.name}")
    return float(targets["probability"])


def _check_folder(output: Path) -> None:
    """Refuse a folder with other files than those to be written: they would be read as data too."""
    check_writable(output, "--output")
    others = sorted(path.name for path in output.iterdir()) if output.is_dir() else []
    if others := [name for name in others if name not in (ROWS, ORIGIN)]:
        raise UsageError(f"--output {output}: holds {shorten(others[0])}; give a new folder")


@contextmanager
def _new_folder(output: Path) -> Iterator[None]:
    """Make a folder, which is removed after an error if nothing is in it."""
    output.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        with suppress(OSError):
            output.rmdir()
        raise


def _origin(paths: Sequence[str]) -> dict[str, Any]:
    """The path of a model, with the SHA-256 hash of the weights of a folder; or those of an ensemble."""
    if len(paths) > 1:
        return {"ensemble": [_origin([path]) for path in paths]}
    weights = Path(paths[0]).expanduser() / "model.safetensors"
    return {"path": paths[0], **({"weights": file_hash(weights)} if weights.is_file() else {})}
