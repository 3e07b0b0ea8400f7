"""Skip-grams with negative sampling (Mikolov et al. 2013), trained by gensim."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Annotated, Any

import numpy as np

from nlp_rnn.data.subword_dropout import SubwordDropout, mix
from nlp_rnn.data.vocabulary import Vocabulary
from nlp_rnn.errors import UsageError
from nlp_rnn.settings import Range, Seed, Settings

_NEGATIVE = 5  # random words per word and neighbor
_SAMPLE = 1e-4  # words that are more frequent than this are left out at times
_LONGEST = 10_000  # tokens that gensim reads of a text
_AT_ONCE = 2_000  # texts that are segmented together


@dataclass(frozen=True)
class SkipGrams(Settings):
    """How word vectors are trained.

    Args:
        size: number of dimensions.
        window: maximum distance between two tokens that are to predict each other.
        min_frequency: leave out tokens that occur fewer times.
        epochs: passes over all texts.
        subword_dropout: probability of leaving out a merge of subwords, whose texts are then segmented anew
            in each epoch (BPE-dropout).
        seed: of all random numbers. One thread trains, so that equal runs give equal vectors.

    Raises:
        UsageError: a value is out of range.
    """

    size: Annotated[int, Range(1, 100_000)] = 300
    window: Annotated[int, Range(1, 10_000)] = 5
    min_frequency: Annotated[int, Range(1, 10**9)] = 3
    epochs: Annotated[int, Range(1, 100_000)] = 8
    subword_dropout: Annotated[float, Range(0, 0.99)] = 0.0
    seed: Seed = 1

    def train(
        self,
        texts: Iterable[Sequence[str]],
        vocabulary: Vocabulary,
        progress: Callable[[str], None] = lambda line: None,
    ) -> tuple[list[str], np.ndarray]:
        """Train the vectors.

        Args:
            texts: the tokens of each text; read once, and kept at four bytes per token.
            vocabulary: of the tokens; it may lack some, unless they are subwords.
            progress: is called with how far the training is, in one line.

        Returns:
            The V tokens, most frequent first, and their vectors [V, size] float32.

        Raises:
            UsageError: gensim is not installed, no token is frequent enough, or there are no subwords.
        """
        try:
            from gensim.models import Word2Vec
            from gensim.models.callbacks import CallbackAny2Vec
        except ModuleNotFoundError as error:
            raise UsageError("word2vec needs gensim: pip install 'nlp-rnn[fasttext]'") from error
        if self.subword_dropout and vocabulary.level != "bpe":
            raise UsageError(
                f"subword_dropout is for vocabulary.level bpe, not {vocabulary.level}: leave it out"
            )
        logging.getLogger("gensim").setLevel(logging.ERROR)
        passes = _Passes(texts)
        if not passes.rows:
            raise UsageError("there is no text to train on")
        if self.subword_dropout:
            passes.resegment(vocabulary, self.subword_dropout, self.seed)
        progress(f"{len(passes.rows):,} texts, {sum(map(len, passes.rows)):,} tokens")
        numbers = count(1)

        class Epochs(CallbackAny2Vec):  # type: ignore[misc]
            """Says when an epoch begins."""

            def on_epoch_begin(self, model: Any) -> None:
                progress(f"epoch {next(numbers)}/{model.epochs}")

        model = Word2Vec(
            sg=1,
            vector_size=self.size,
            window=self.window,
            min_count=self.min_frequency,
            epochs=self.epochs,
            negative=_NEGATIVE,
            sample=_SAMPLE,
            workers=1,
            seed=self.seed,
        )
        model.build_vocab(passes)
        if not len(model.wv):
            raise UsageError(
                f"no token occurs {self.min_frequency} times: give more text, or lower min_frequency"
            )
        passes.catches = True
        examples, epochs = model.corpus_count, model.epochs
        model.train(passes, total_examples=examples, epochs=epochs, callbacks=[Epochs()])
        if passes.error is not None:
            raise passes.error
        return model.wv.index_to_key, model.wv.vectors


class _Passes:
    """What gensim reads again and again: first to count the tokens, then once per epoch.

    Args:
        texts: the tokens of each text.
    """

    def __init__(self, texts: Iterable[Sequence[str]]) -> None:
        numbers: dict[str, int] = {}
        self.rows = [
            np.array([numbers.setdefault(token, len(numbers)) for token in tokens], np.int32)
            for tokens in texts
            if tokens
        ]
        """The numbers of the tokens of each text."""
        self._tokens = list(numbers)
        self._epoch = 0
        self.catches = False
        """Whether an error ends a pass and is kept: gensim waits forever for a thread that has failed."""
        self.error: Exception | None = None
        self._rows_of: Callable[[int], Iterable[np.ndarray]] = lambda epoch: self.rows

    def resegment(self, vocabulary: Vocabulary, probability: float, seed: int) -> None:
        """Split texts of subwords into others each time.

        Args:
            vocabulary: of the subwords.
            probability: of leaving out a merge.
            seed: of the random numbers.
        """
        ids = {token: id for id, token in enumerate(vocabulary.tokens())}
        id_of = np.array([ids[token] for token in self._tokens], np.int32)
        self.rows = [id_of[row] for row in self.rows]
        self._tokens = list(ids)
        dropout = SubwordDropout(vocabulary, probability)

        def drawn(epoch: int) -> Iterator[np.ndarray]:
            (base,) = np.random.SeedSequence((seed, epoch)).generate_state(1, np.uint64)
            for start in range(0, len(self.rows), _AT_ONCE):
                rows = self.rows[start : start + _AT_ONCE]
                yield from dropout.draw(
                    rows, mix(base + np.arange(start, start + len(rows), dtype=np.uint64))
                )

        self._rows_of = drawn

    def __iter__(self) -> Iterator[list[str]]:
        try:
            yield from self._pass()
        except Exception as error:
            if not self.catches:
                raise
            self.error = error

    def _pass(self) -> Iterator[list[str]]:
        for numbers in self._rows_of(self._epoch):
            for start in range(0, len(numbers), _LONGEST):
                yield [self._tokens[number] for number in numbers[start : start + _LONGEST].tolist()]
        self._epoch += 1
