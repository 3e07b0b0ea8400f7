"""What all tasks share: how one is made of a model folder, and what shared code asks of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, NamedTuple

from ..errors import UsageError, check_number
from ..models.builder import Builder
from ..text.readers import Reader
from ..text.vocabulary import Vocabulary
from .answers import Step

_SAMPLING: list[tuple[str, float, float, type]] = [
    ("temperature", 1e-3, 1_000, float),
    ("top_k", 1, 10**8, int),
    ("top_p", 1e-6, 1, float),
    ("seed", 0, 2**32 - 1, int),
]
_TRAINING = frozenset(
    {"dropout", "label_smoothing", "word_dropout", "locked", "regularization", "optimization"}
)


class StreamState(NamedTuple):
    """What is kept of a stream after a piece of it was read; its size does not depend on the length read."""

    answer: dict[str, Any]
    """The answer to what has been read."""
    state: Any
    """From which reading goes on."""


class Sampling(NamedTuple):
    """How a text is continued token by token, see `nlp_rnn.tasks.generation.SamplingSettings`."""

    max_output: int = 100
    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    seed: int | None = None

    def check(self) -> None:
        """Refuse values out of range, and those for sampling without a temperature.

        Raises:
            UsageError: says which.
        """
        check_number("max_output", self.max_output, 1, 100_000, int)
        for name, low, high, kind in _SAMPLING:
            if (value := getattr(self, name)) is not None:
                check_number(name, value, low, high, kind)
        if self.temperature is None and (self.top_k, self.top_p, self.seed) != (None, None, None):
            raise UsageError("top_k, top_p and seed are for sampling: set a temperature too")


class Task:
    """A trained model of one task, with what reads its inputs; a subclass for each task.

    A subclass defines `make_reader`, `make_engine` and `answer`, and the attributes below.

    Args:
        processor: what reads inputs.
        engine: computes scores, see `nlp_rnn.lite.models.engines`.
        settings: of the task, as its folder has them.
        stored: the settings of the processor, as its folder has them.
    """

    name: ClassVar[str]
    defaults: ClassVar[Mapping[str, Any]]
    """The settings that a model is built and answers with; older folders lack some."""
    columns: ClassVar[tuple[str, ...]] = ()
    """What the columns of a table are called from which one input is made; none if it is no table's."""
    separator: ClassVar[str] = " "
    """Between the items of a list in a cell of text."""
    training: ClassVar[frozenset[str]] = frozenset()
    """The names of settings that are of training alone, beside those of all tasks."""

    def __init__(
        self, processor: Reader, engine: Any, settings: Mapping[str, Any], stored: Mapping[str, Any]
    ) -> None:
        self.processor: Any = processor
        self.engine = engine
        self.settings = settings
        self.stored = stored
        self.data_columns: dict[str, Any] = {}
        """What the columns of a table were called in training, as far as it is known."""

    @classmethod
    def complete(cls, settings: Mapping[str, Any]) -> dict[str, Any]:
        """All settings of a model, those that its folder lacks with their defaults.

        Raises:
            UsageError: there is one that is not known here.
        """
        if unknown := sorted(set(settings) - set(cls.defaults) - cls.training - _TRAINING):
            raise UsageError(f"task {cls.name} has no setting {unknown[0]!r}: upgrade nlp_rnn_lite")
        return {**cls.defaults, **settings}

    @classmethod
    def make_reader(cls, vocabularies: Mapping[str, Vocabulary], stored: Mapping[str, Any]) -> Reader:
        """What reads the inputs of a model.

        Args:
            vocabularies: by name.
            stored: the settings of the processor.
        """
        raise NotImplementedError  # pragma: no cover

    @classmethod
    def make_engine(
        cls, build: Builder, reader: Any, settings: Mapping[str, Any], stored: Mapping[str, Any]
    ) -> Any:
        """The engine that computes with NumPy.

        Args:
            build: makes layers of the weights.
            reader: what `make_reader` returned.
            settings: of the task.
            stored: the settings of the processor.
        """
        raise NotImplementedError  # pragma: no cover

    def answer(self, rows: Mapping[str, list[Any]]) -> list[dict[str, Any]]:
        """One answer per row of a batch, which the reader has encoded."""
        raise NotImplementedError  # pragma: no cover

    @staticmethod
    def format_answer(answer: dict[str, Any]) -> str:
        """An answer as one line of text."""
        raise NotImplementedError  # pragma: no cover

    def cells(self, answer: Mapping[str, Any]) -> dict[str, Any]:
        """What an answer is in a table: its cells by the names of their columns; of {}, empty ones."""
        raise NotImplementedError  # pragma: no cover

    def decode_with(self, beam: int | None, n_best: int | None, copy_unknown: bool | None) -> None:
        """Decode otherwise than as trained.

        Args:
            beam: width of the beam; as trained if None.
            n_best: answers per input; as trained if None.
            copy_unknown: whether unknown words are copied from the source; as trained if None.

        Raises:
            UsageError: this task does not generate text, or a number is out of range.
        """
        if copy_unknown is not None:
            raise UsageError(f"copy_unknown is for translation; this model is for {self.name}")
        raise UsageError(f"beam and n_best are for tasks that generate text, which {self.name} is not")

    def be_unsure_below(self, threshold: float) -> None:
        """Answer "unsure" where no label is probable enough.

        Raises:
            UsageError: this task does not predict one label per input, or the number is out of range.
        """
        raise UsageError(f"unsure_below is for tasks that predict one label, which {self.name} is not")

    def take_words(self) -> None:
        """Take texts as words with white space between them, rather than to split these too.

        Raises:
            UsageError: this task does not split text into words.
        """
        raise UsageError(f"words with spaces between them are for taggers, which {self.name} is not")

    def check_generates(self) -> None:
        """Check that models of this task continue texts.

        Raises:
            UsageError: they do not.
        """
        raise UsageError(f"texts are continued by language_modeling; this model is for {self.name}")

    def generate(self, prompt: str, settings: Any) -> Iterator[Step]:
        """Continue a text, one step at a time, if `check_generates` allows it."""
        raise NotImplementedError  # pragma: no cover

    def start_stream(self) -> StreamState:
        """The state before the first token, with the answer to an empty text.

        Raises:
            UsageError: models of this task, or this model, answer whole inputs only.
        """
        raise UsageError(f"a model for {self.name} answers whole inputs only: it has no stream")

    def read_stream(self, piece: Any, stream: StreamState) -> StreamState:
        """The state after a piece of input whose tokens later input cannot change."""
        raise NotImplementedError  # pragma: no cover


def require_unidirectional(is_bidirectional: bool) -> None:
    """Refuse to stream with a model that reads backward from the end of the text.

    Raises:
        UsageError: the layers are bidirectional.
    """
    if is_bidirectional:
        raise UsageError(
            "the model is bidirectional, so it cannot answer before the text has ended: "
            "train with --model.bidirectional false"
        )


def stored_number(stored: Mapping[str, Any], name: str, default: int) -> int:
    """A whole number of at least 1 among settings.

    Raises:
        UsageError: it is something else.
    """
    value: int = stored.get(name, default)
    check_number(name, value, 1, 10_000_000, int)
    return value


def stored_names(stored: Mapping[str, Any], name: str) -> list[str]:
    """A list of texts among settings.

    Raises:
        UsageError: it is something else.
    """
    return check_names(name, stored[name])


def check_names(name: str, value: Any) -> list[str]:
    """A list of texts.

    Raises:
        UsageError: it is something else.
    """
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise UsageError(f"{name} must be a list of texts, not {value!r:.60}")
    return value


def stored_numbers(stored: Mapping[str, Any], name: str) -> list[float]:
    """A list of numbers among settings.

    Raises:
        UsageError: it is something else.
    """
    value = stored[name]
    if not isinstance(value, list):
        raise UsageError(f"{name} must be a list of numbers, not {value!r:.60}")
    for number in value:
        check_number(name, number, -1e300, 1e300)
    return value
