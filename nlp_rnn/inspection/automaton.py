"""The automaton that a network has learned, extracted by questions to the network.

The learner is L* (Angluin 1987) with the counterexamples of Rivest & Schapire (1993). As Weiss, Goldberg &
Yahav (2018) do, it looks for counterexamples among the network's own states: strings are followed in the
network and in the automaton together, and a branch ends where the pair of a state of the automaton and a cell
of the network's state space has been seen. The cells are those of Omlin & Giles (1996): each unit is rounded.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import torch
from torch import Tensor
from typing_extensions import override

from nlp_rnn.data.vocabulary import SPECIALS
from nlp_rnn.errors import UsageError
from nlp_rnn.inspection.reading import BATCH, exact_model, final_logits, reading_part, vocabulary_of
from nlp_rnn.models.layers.base import RecurrentLayer, SequenceLayer, State
from nlp_rnn.tasks.base import Task
from nlp_rnn.tasks.pretrained import from_pretrained

MAX_LETTERS = 12
"""The largest vocabulary from which an automaton is extracted."""

UNLIKELY = 0.05
"""A language model does not allow a letter of a lower probability."""

OUTSIDE = "outside"
"""The answer to strings that have a letter which a language model does not allow."""

_CELLS_PER_UNIT = 2  # between 0 and 1
_EXPLORED = 3_000  # strings of one search for a counterexample
_LONGEST = 10  # letters: all strings up to this length are tried, or as long as there are so few:
_ALL_STRINGS = 3_000

Word = tuple[int, ...]
"""A string of indices of letters."""


@dataclass(frozen=True)
class Automaton:
    """A deterministic automaton of S states that have answers (a Moore machine); it starts in state 0."""

    letters: list[str]
    """[A], the tokens that it reads."""
    answers: list[str]
    """[S], the answer to the strings that end in each state: a label, or the next token."""
    transitions: list[list[int]]
    """S lists of A, the state after each letter."""
    difference: Word | None = None
    """A word to which the network answers otherwise, if resolving such differences took too many states: then
    this automaton agrees with it on all short words, if any did. None if no difference was found."""

    def states(self, word: Iterable[int]) -> list[int]:
        """The states before the first letter of a word and after each, from indices of letters."""
        states = [0]
        for letter in word:
            states.append(self.transitions[states[-1]][letter])
        return states

    def answer(self, word: Iterable[int]) -> str:
        """The answer to a word."""
        return self.answers[self.states(word)[-1]]

    def word(self, tokens: Iterable[str]) -> Word:
        """The indices of tokens.

        Raises:
            UsageError: one is no letter of the automaton.
        """
        tokens = list(tokens)
        for token in tokens:
            if token not in self.letters:
                raise UsageError(f"the automaton does not read {token!a}: its letters are {self.letters}")
        return tuple(map(self.letters.index, tokens))


class _Recording(SequenceLayer):
    """Recurrent layers that keep the final state of the last call, as `state`."""

    def __init__(self, layer: RecurrentLayer) -> None:
        super().__init__()
        self._copy_sizes(layer)
        self.layer = layer
        self.state: State = ()

    @override
    def _run(
        self, input: Tensor, state: State, lengths: Tensor | None, exact_state: bool
    ) -> tuple[Tensor, State]:
        output, self.state = self.layer(input, state, lengths)
        return output, self.state


class Oracle:
    """A network that is asked for its answers to strings.

    Args:
        task: a model that reads few different tokens forward, and answers to each beginning of a text.

    Attributes:
        letters: the tokens that it reads.
        empty: the answer to the empty string where the network has none.

    Raises:
        UsageError: it is none such.
    """

    def __init__(self, task: Task) -> None:
        tokens = vocabulary_of(task).tokens()
        self.letters = tokens[len(SPECIALS) :]
        if not 0 < len(self.letters) <= MAX_LETTERS:
            raise UsageError(
                f"an automaton needs a model that knows at most {MAX_LETTERS} tokens, not "
                f"{len(self.letters)}: train one on the corpus parity, brackets or hello"
            )
        answers = task.probe().answers
        if answers is None:
            raise UsageError(f"a model for {task.name} does not answer to each beginning of a text")
        self.model = exact_model(task)
        part = reading_part(self.model)
        if part.rnn.bidirectional:
            raise UsageError(
                "the model is bidirectional, and an automaton reads forward: train with "
                "--model.bidirectional false"
            )
        part.rnn = self._layers = _Recording(part.rnn)
        self.task = task
        self.predicts_next = answers == "next"
        self.names = tokens if self.predicts_next else list(task.processor.labels)
        self.empty: str | None = None
        self._logits: dict[Word, Tensor] = {}

    def answers(self, words: Sequence[Word]) -> list[str]:
        """The answer to each word."""
        asked: Iterable[Word] = words
        if self.predicts_next:
            asked = (word[:end] for word in words for end in range(len(word) + 1))
        self._ask(asked)
        return [self._answer(word) for word in words]

    def cells(self, words: Sequence[Word]) -> list[bytes]:
        """The cell of the network's state after each word, none of which is empty."""
        cells: dict[Word, bytes] = {}
        for size in {len(word) for word in words}:
            same = [word for word in words if len(word) == size]
            for start in range(0, len(same), BATCH):  # the layers keep the state of one batch
                part = same[start : start + BATCH]
                with torch.no_grad():
                    final_logits(self.task, self.model, [self._ids(word) for word in part])
                units = torch.cat([each.transpose(0, 1).flatten(1) for each in self._layers.state], 1)
                rounded = (units * _CELLS_PER_UNIT).round().to(torch.int16).numpy()  # [N, F]
                cells |= {word: row.tobytes() for word, row in zip(part, rounded, strict=True)}
        return [cells[word] for word in words]

    def _answer(self, word: Word) -> str:
        if not word and self.empty is not None:
            return self.empty
        if self.predicts_next:
            for end, letter in enumerate(word):
                if self._logits[word[:end]].softmax(0)[letter + len(SPECIALS)] < UNLIKELY:
                    return OUTSIDE
        return self.names[int(self._logits[word].argmax())]

    def _ask(self, words: Iterable[Word]) -> None:
        new = [word for word in dict.fromkeys(words) if word not in self._logits]
        new = [word for word in new if word or self.empty is None]
        if new:
            with torch.no_grad():
                logits = final_logits(self.task, self.model, [self._ids(word) for word in new])
            self._logits.update(zip(new, logits, strict=True))

    @staticmethod
    def _ids(word: Word) -> list[int]:
        return [letter + len(SPECIALS) for letter in word]


def extract(model: str | Path | Task, max_states: int = 24) -> Automaton:
    """Extract the automaton that a network has learned.

    The network has no answer to the empty string unless it is a language model; then the string gets the
    answer with which the automaton has the fewest states.

    Args:
        model: a model folder, a checkpoint or a hub id, as for `from_pretrained`; or a loaded task.
        max_states: the largest number of states.

    Raises:
        UsageError: the model cannot be loaded, reads backward, or knows more than `MAX_LETTERS` tokens; or it
            has more different answers than `max_states`.

    Examples:
        >>> automaton = extract("runs/parity/latest/model")
        >>> len(automaton.answers)
        2
    """
    oracle = Oracle(model if isinstance(model, Task) else from_pretrained(model))
    if oracle.predicts_next:
        return _learn(oracle, max_states)
    found = []
    for name in oracle.names:
        oracle.empty = name
        found.append(_learn(oracle, max_states))
    return min(found, key=lambda automaton: (automaton.difference is not None, len(automaton.answers)))


def agreement(model: str | Path | Task, automaton: Automaton, words: Sequence[Word]) -> float:
    """The fraction of words to which an automaton and a network give the same answer.

    Args:
        model: the network, as for `extract`.
        automaton: the automaton.
        words: none of them empty.
    """
    oracle = Oracle(model if isinstance(model, Task) else from_pretrained(model))
    pairs = zip(oracle.answers(words), map(automaton.answer, words), strict=True)
    return sum(one == other for one, other in pairs) / len(words)


def held_out_words(
    automaton: Automaton, count: int = 500, shortest: int = 11, longest: int = 40
) -> list[Word]:
    """Random words, longer than those that are compared one by one while the automaton is extracted.

    Nine of ten letters do not lead outside, as far as the state has such letters.

    Args:
        automaton: that of which words are drawn.
        count: number of words.
        shortest: least number of letters.
        longest: largest number of letters.
    """
    rng = random.Random(0)
    words = []
    for _ in range(count):
        word: list[int] = []
        state = 0
        for _ in range(rng.randint(shortest, longest)):
            following = automaton.transitions[state]
            inside = [a for a, after in enumerate(following) if automaton.answers[after] != OUTSIDE]
            letters = inside if inside and rng.random() < 0.9 else range(len(following))
            word.append(rng.choice(letters))
            state = following[word[-1]]
        words.append(tuple(word))
    return words


def all_words(letters: int, longest: int) -> Iterator[Word]:
    """All words of 1 to `longest` letters, shorter ones first."""
    for size in range(1, longest + 1):
        yield from product(range(letters), repeat=size)


def _learn(oracle: Oracle, max_states: int) -> Automaton:
    """L*: a state is a word that some suffix tells apart from each other state."""
    letters = range(len(oracle.letters))
    access: list[Word] = [()]
    suffixes: list[Word] = [()]
    best: Automaton | None = None  # the last one, or the last without a difference on short words
    agreeing = False
    while True:
        new: Word | None = ()
        while new is not None:  # until each letter leads to a state
            words = [*access, *((*word, letter) for word in access for letter in letters)]
            rows = _rows(oracle, words, suffixes)
            states = {rows[word]: state for state, word in enumerate(access)}
            new = next((word for word in words if rows[word] not in states), None)
            access += [] if new is None else [new]
            if len(access) > max_states:
                if best is None:
                    raise UsageError(f"{max_states} states are too few for the network's answers; allow more")
                return best
        transitions = [[states[rows[*word, letter]] for letter in letters] for word in access]
        automaton = Automaton(oracle.letters, [rows[word][0] for word in access], transitions)
        difference = _first_difference(oracle, automaton, _short_words(len(letters)))
        if (agrees := difference is None) and (difference := _far_difference(oracle, automaton)) is None:
            return automaton
        assert difference is not None
        if agrees or not agreeing:
            best, agreeing = replace(automaton, difference=difference), agrees
        suffixes.append(_telling_suffix(oracle, automaton, access, difference))


def _rows(oracle: Oracle, words: Sequence[Word], suffixes: Sequence[Word]) -> dict[Word, tuple[str, ...]]:
    """The answers to each word followed by each suffix."""
    answers = iter(oracle.answers([word + suffix for word in words for suffix in suffixes]))
    return {word: row for word in words for row in [tuple(next(answers) for _ in suffixes)]}


def _far_difference(oracle: Oracle, automaton: Automaton) -> Word | None:
    """A word of any length to which the network answers otherwise; None if none is found."""
    letters = range(len(oracle.letters))
    seen: set[tuple[bytes, int]] = set()
    frontier: list[Word] = [()]
    explored = 0
    while frontier and explored < _EXPLORED:
        words = [(*word, letter) for word in frontier for letter in letters]
        explored += len(words)
        if (word := _first_difference(oracle, automaton, words)) is not None:
            return word
        frontier = []
        for word, cell in zip(words, oracle.cells(words), strict=True):
            pair = cell, automaton.states(word)[-1]
            # What follows a letter that is not allowed is outside too.
            if pair not in seen and automaton.answer(word) != OUTSIDE:
                seen.add(pair)
                frontier.append(word)
    return None


def _short_words(letters: int) -> list[Word]:
    sizes = range(1, _LONGEST + 1)
    longest = max(size for size in sizes if sum(letters**n for n in range(1, size + 1)) <= _ALL_STRINGS)
    return [*all_words(letters, longest)]


def _first_difference(oracle: Oracle, automaton: Automaton, words: Sequence[Word]) -> Word | None:
    pairs = zip(words, oracle.answers(words), strict=True)
    return next((word for word, answer in pairs if answer != automaton.answer(word)), None)


def _telling_suffix(oracle: Oracle, automaton: Automaton, access: Sequence[Word], word: Word) -> Word:
    """The suffix of a word that tells two states apart which the automaton takes for one.

    The words of states are put in place of ever longer beginnings of the word; where the answer changes,
    the rest of the word tells them apart (Rivest & Schapire 1993).
    """
    states = automaton.states(word)
    mixed = [access[state] + word[end:] for end, state in enumerate(states)]
    answers = oracle.answers(mixed)
    change = next(end for end in range(len(word)) if answers[end] != answers[end + 1])
    return word[change + 1 :]
