"""What a task may be able to do in addition to training and answering."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

from nlp_rnn.errors import UsageError
from nlp_rnn.lite.tasks.answers import Step
from nlp_rnn.tasks.interface import (
    Baseline,
    EncodedSplit,
    Encoder,
    Finding,
    Judgement,
    Probe,
    RowScore,
    StepRows,
    StreamState,
    Target,
    TextPair,
)
from nlp_rnn.tasks.views import View

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Capabilities:
    """What shared code asks of every task; each method does nothing or refuses until a task overrides it."""

    name: ClassVar[str]
    """The key of the task in the registry."""
    row_score: ClassVar[RowScore | None] = None
    """What the scores of single answers are, see `judge`; None if they have none."""
    fitted: ClassVar[frozenset[str]] = frozenset()
    """The settings that `fit_to_validation` sets: they are of these weights and labels alone."""
    row_metric: ClassVar[str | None] = None
    """The metric of one row by which models are compared on it; None if it is the score of `judge`."""
    processor_metrics: ClassVar[frozenset[str]] = frozenset()
    """The metrics that depend on the processor, as a loss per token does on what a token is: they compare
    models with one processor alone."""

    def plots(self, report: Mapping[str, Any]) -> dict[str, Figure]:
        """The plots of a report of this task, by file name without extension."""
        return {}

    def judge(self, answer: dict[str, Any], row: Mapping[str, Any]) -> Judgement:
        """Compare an answer with what the data says.

        Args:
            answer: to the row, as `update_metrics` or `answer` gave it.
            row: the canonical columns of the row, and those of the processor's `features`.
        """
        return Judgement()

    def baselines(self, measured: EncodedSplit, train: EncodedSplit | None) -> list[Baseline]:
        """What can be reached on the rows that are measured without a recurrent network.

        Args:
            measured: the rows, with targets.
            train: the rows that baselines may learn from; None if there are none.
        """
        return []

    def findings(self, pairs: Sequence[TextPair]) -> list[Finding]:
        """What a report says of the answers of this task alone.

        Args:
            pairs: the texts of all rows.
        """
        return []

    def views(self) -> tuple[View, ...]:
        """How `nlp-rnn demo` shows an answer, from top to bottom: as it is, until a task overrides it."""
        return (View("json", "answer", lambda _, answer: answer),)

    def step_rows(self) -> StepRows | None:
        """How an answer becomes rows of a table whose rows are steps; None if this task reads no series."""
        return None

    def probe(self) -> Probe:
        """How inspection runs a model of this task.

        Raises:
            UsageError: models of this task cannot be inspected.
        """
        raise UsageError(f"a model for {self.name} cannot be inspected: give a model that reads text")

    def with_decoding(
        self, beam: int | None = None, n_best: int | None = None, copy_unknown: bool | None = None
    ) -> Self:
        """A task that decodes otherwise and shares all else with this one.

        Args:
            beam: width of the beam; as set in training if left out.
            n_best: answers per input, at most `beam`; as set in training if left out.
            copy_unknown: whether unknown words are copied from the source; as set in training if left out.

        Raises:
            UsageError: this task does not generate text, or does not copy words; or a number is out of range.
        """
        if copy_unknown is not None:
            raise UsageError(f"copy_unknown is for translation; this model is for {self.name}")
        raise UsageError(f"beam and n_best are for tasks that generate text, which {self.name} is not")

    def with_sampling(self, temperature: float, seed: int, n_best: int = 1, top_k: int | None = None) -> Self:
        """A task whose answers are sampled, and that shares all else with this one.

        Args:
            temperature: logits are divided by it.
            seed: of the random numbers; an answer depends on it and the input, not on other inputs.
            n_best: samples per input.
            top_k: sample among the k most probable tokens only; among all if left out.

        Raises:
            UsageError: this task does not sample answers, or a number is out of range.
        """
        raise UsageError(f"answers are sampled by models for translation; this model is for {self.name}")

    def reranked(self, model: Any, weight: float = 0.5) -> Self:
        """A task that chooses among the answers of its beam by the scores of another model too.

        Args:
            model: another task that scores the answers, such as one that writes from right to left.
            weight: of its scores, from 0 to 1; those of this model have the rest.

        Raises:
            UsageError: this task does not translate, the other one neither, or the weight is out of range.
        """
        raise UsageError(f"n-best lists are reranked for translation; this model is for {self.name}")

    def as_teacher(self) -> Self:
        """A task whose answers `targets` takes; it shares all else with this one.

        Raises:
            UsageError: answers of this task cannot be the targets of a corpus.
        """
        raise UsageError(
            "corpora are made by models for translation, for tagging, or for one label per text; this model "
            f"is for {self.name}"
        )

    def targets(self, answer: dict[str, Any]) -> list[Target]:
        """What a corpus has beside an input whose answer is taken for true.

        Args:
            answer: of the task that `as_teacher` returned, to one input.

        Returns:
            One per row; none where there is no answer.
        """
        raise NotImplementedError  # pragma: no cover

    def with_threshold(self, unsure_below: float) -> Self:
        """A task whose answers are "unsure" where no label is probable enough; it shares all else.

        Args:
            unsure_below: the probability below which the answer is "unsure".

        Raises:
            UsageError: this task does not predict one label per input, or the number is out of range.
        """
        raise UsageError(f"unsure_below is for tasks that predict one label, which {self.name} is not")

    def ensembled(self, tasks: Sequence[Self]) -> Self:
        """A task that answers from the mean of the probabilities of several, and else is as this one.

        See `nlp_rnn.tasks.ensemble`, which checks that they fit together.

        Args:
            tasks: of this class and processor; this one is the first.

        Raises:
            UsageError: models of this task do not answer together.
        """
        raise UsageError(f"models for {self.name} do not answer together: give one of them")

    def check_generates(self) -> None:
        """Check that models of this task continue texts.

        Raises:
            UsageError: they do not.
        """
        raise UsageError(f"texts are continued by language_modeling; this model is for {self.name}")

    def generate(self, prompt: str, settings: Any) -> Iterator[Step]:
        """Continue a text, one step at a time, if `check_generates` allows it.

        Args:
            prompt: the beginning of the text; may be empty.
            settings: `nlp_rnn.tasks.generation.SamplingSettings`.
        """
        raise NotImplementedError  # pragma: no cover

    def encoder(self) -> Encoder:
        """The layers from which a model of another task can be initialized.

        Raises:
            UsageError: there is none.
        """
        raise UsageError(f"holds a model for {self.name}, not for language_modeling")

    def take_words(self) -> None:
        """Take texts as words with white space between them, rather than to split these too.

        Raises:
            UsageError: this task does not split text into words.
        """
        raise UsageError(f"words with spaces between them are for taggers, which {self.name} is not")

    def conllu_block(self, text: str) -> str:
        """A sentence as CoNLL-U, without tags, if the task has `conllu_columns`; "" without words.

        Args:
            text: raw text.
        """
        raise NotImplementedError  # pragma: no cover

    def row_names(self) -> dict[str, Sequence[str]]:
        """What the rows of some of the model's weights stand for.

        Returns:
            Name of a parameter of the model -> a token or label per row of it.
        """
        return {}

    def by_row(self) -> Self:
        """A task that reads each row by itself, as single answers need; it shares all else with this one."""
        return self

    @property
    def dependent_rows(self) -> int:
        """How many consecutive rows of a corpus depend on each other, as windows that overlap do."""
        return 1

    @property
    def metric_labels(self) -> Sequence[str]:
        """The labels that the metrics count, in the order of the counts; none if there are no labels."""
        return ()

    def fit_to_validation(self, batches: Iterable[Any]) -> dict[str, Any]:
        """Set what depends on a trained model's scores, such as the threshold of a label.

        Args:
            batches: of validation, whatever their order.

        Returns:
            The settings that were set, by name.
        """
        return {}

    def apply_settings(self, settings: Mapping[str, Any]) -> None:
        """Replace those settings that may change after training, such as how to decode.

        Args:
            settings: constructor arguments by name; those that are fixed by training are ignored.
        """

    def start_stream(self) -> StreamState:
        """The state before the first token, with the answer to an empty text.

        Raises:
            UsageError: models of this task, or this model, answer whole inputs only.
        """
        raise UsageError(f"a model for {self.name} answers whole inputs only: it has no stream")

    def read_stream(self, piece: Any, stream: StreamState) -> StreamState:
        """The state after a piece of input whose tokens later input cannot change.

        Args:
            piece: what the processor's `split_stable_prefix` gives; a piece without tokens changes nothing.
            stream: the state before it.
        """
        raise NotImplementedError  # pragma: no cover
