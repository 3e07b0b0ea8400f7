"""Learns from a corpus how its texts are split into words."""

from __future__ import annotations

import random
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise

from nlp_rnn.lite.text.splitting import CHUNK, Token, ends_of, features, is_letters
from nlp_rnn.lite.text.word_rules import classes, general_ends
from nlp_rnn.tasks.tagging.splitting import WordSplitter

_EPOCHS = 5
_MAX_PLACES = 300_000  # that weights are learned from
# The most that is stored.
_MAX_WEIGHTS, _MAX_DENSE_WEIGHTS, _MAX_ENTRIES = 8_000, 30_000, 20_000
_DENSE = 0.05  # the fraction of words of letters that follow another one without white space
_CONTRACTED = (2, 3, 4)  # the numbers of words that a contraction may stand for
# Of the classes of characters: a run of letters, with their accents; and that one goes on behind a letter.
_LETTERS = re.compile("[aA0m]+")
_GOES_ON = re.compile(r"[aA0m](?:[aA0m]|['’-][aA0m]|['’]|\Z)")
_JOINERS = ("'", "’", "-")
_FEW = 0.01  # sentences with words that stand together, of all; such are in texts that were split already


def learn_splitter(texts: Iterable[str | None], sentences: Sequence[Sequence[str]]) -> WordSplitter:
    """Learn how a corpus splits its texts into words.

    Where hardly any two words are without white space between them, the corpus does not tell it: its texts
    were split already. Then general rules split texts, and keep the words of the corpus whole.

    Args:
        texts: the text of each sentence; None where it is not known.
        sentences: the words of each sentence.
    """
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    contracted: dict[str, Counter[str]] = defaultdict(Counter)
    sentences = [[_composed(word) for word in words] for words in sentences]
    num_texts = 0
    for text, words in zip(texts, sentences, strict=True):
        if text is not None:
            num_texts += 1
            _count(_composed(text), words, counts, contracted)
    chunks = {chunk: _most_common(split) for chunk, split in sorted(counts.items())}
    entries = {written: _most_common(meanings) for written, meanings in sorted(contracted.items())}
    contractions = [
        f"{written} {words}"
        for written, words in sorted(entries.items(), key=lambda entry: -contracted[entry[0]].total())
        if " " in words
    ][:_MAX_ENTRIES]
    vocabulary = Counter(word for words in sentences for word in words if CHUNK.fullmatch(word))
    joined = {chunk: counts[chunk].total() for chunk, words in chunks.items() if " " in words}
    if sum(joined.values()) <= _FEW * num_texts:
        by_rules = {word for word in vocabulary if general_ends(word) != [len(word)] or set("'’") & set(word)}
        exceptions = [chunks.get(word, word) for word in _most_frequent({*by_rules, *joined}, vocabulary)]
        return WordSplitter(chunks=exceptions, contractions=contractions)
    dense = _is_dense(chunks.values())
    learned = WordSplitter(_learn_weights(chunks, dense), dense=dense)
    # Words with white space between them stay as they are.
    chunks = {**{word: word for word in vocabulary}, **chunks}
    wrong = {chunk for chunk, words in chunks.items() if learned.ends(chunk) != ends_of(words)}
    frequencies = {chunk: counts[chunk].total() if chunk in counts else 0 for chunk in wrong}
    exceptions = [chunks[chunk] for chunk in _most_frequent(wrong, frequencies)]
    return WordSplitter(learned.weights, exceptions, contractions, dense)


def align(text: str, words: Sequence[str]) -> list[Token]:
    """Find the words of a sentence in its text.

    Words that are not in it as they are belong to a contraction. It is a run of letters, with an apostrophe
    behind it (Italian "dell'") or hyphens in it (Portuguese "torná-lo") where the words go on only there.

    Returns:
        The words with their places; [] if the text is another one.
    """
    tokens: list[Token] = []
    kinds = classes(text)
    place = number = 0
    while number < len(words):
        while text[place : place + 1].isspace():
            place += 1
        word = words[number]
        if text.startswith(word, place):
            tokens.append(Token(place, place + len(word), (word,)))
            place, number = place + len(word), number + 1
            continue
        # What was found in the same run was a part of the contraction, as "de" of "des".
        while tokens and tokens[-1].end == place and _GOES_ON.match(kinds, place - 1):
            token = tokens.pop()
            place, number = token.start, number - len(token.words)
        contractions = (
            (end, number + n)
            for end in _run_ends(kinds, place)
            for n in _CONTRACTED
            if _goes_on(text[end:].lstrip(), words, number + n)
        )
        if (contraction := next(contractions, None)) is None:
            return []
        end, after = contraction
        tokens.append(Token(place, end, tuple(words[number:after])))
        place, number = end, after
    return tokens


def _run_ends(kinds: str, place: int) -> Iterator[int]:
    """Where a contraction that begins at a place may end, in ascending order."""
    while letters := _LETTERS.match(kinds, place):
        yield (end := letters.end())
        joiner = kinds[end : end + 1]
        if joiner not in _JOINERS:
            return
        if joiner != "-":
            yield end + 1
        place = end + 1


def _goes_on(rest: str, words: Sequence[str], number: int) -> bool:
    """Whether the rest of a text may begin with the word of that number, or has ended with the words."""
    return rest.startswith(words[number]) if number < len(words) else number == len(words) and not rest


def _count(
    text: str,
    words: Sequence[str],
    counts: Mapping[str, Counter[str]],
    contracted: Mapping[str, Counter[str]],
) -> None:
    """Count how the chunks of a sentence are split, and what its tokens stand for."""
    tokens = align(text, words)
    for token in tokens:
        written = text[token.start : token.end]
        if CHUNK.fullmatch(written):
            contracted[written.lower()][" ".join(token.words).lower()] += 1
    ends = [token.end for token in tokens]
    first = 0
    for match in CHUNK.finditer(text):
        last = first
        while last < len(ends) and ends[last] <= match.end():
            last += 1
        within = tokens[first:last]
        # A word may have white space in it; then the chunks that it is in tell nothing.
        if within and within[0].start == match.start() and within[-1].end == match.end():
            counts[match.group()][" ".join(text[token.start : token.end] for token in within)] += 1
        first = last


def _is_dense(chunks: Iterable[str]) -> bool:
    """Whether words of letters alone often follow one another without white space."""
    total = joined = 0
    for words in chunks:
        are_letters = [is_letters(classes(word)) for word in words.split(" ")]
        total += sum(are_letters)
        joined += sum(map(all, pairwise(are_letters)))
    return joined > _DENSE * total


def _learn_weights(chunks: Mapping[str, str], dense: bool) -> dict[str, int]:
    """The weights of features, by an averaged perceptron (Collins 2002).

    Args:
        chunks: chunk -> its words, with spaces between them.
        dense: whether to learn from chunks of letters alone too.
    """
    draw = random.Random(0)
    examples: list[list[tuple[tuple[str, ...], int]]] = []
    num_places = 0
    for chunk in draw.sample(list(chunks), len(chunks)):
        kinds = classes(chunk)
        if num_places > _MAX_PLACES or (is_letters(kinds) and not dense):
            continue
        ends = set(ends_of(chunks[chunk]))
        examples.append([(names, 1 if place in ends else -1) for place, names in features(chunk, kinds)])
        num_places += len(chunk)
    weights: dict[str, int] = defaultdict(int)
    steps: dict[str, int] = defaultdict(int)  # sum of the changes, each times the step at which it was made
    step = 0
    for _ in range(_EPOCHS):
        draw.shuffle(examples)
        for example in examples:
            step += 1
            for names, sign in example:
                if sign * sum(weights[name] for name in names if name in weights) <= 0:
                    for name in names:
                        weights[name] += sign
                        steps[name] += sign * step
    averages = {name: round(100 * (weight - steps[name] / (step + 1))) for name, weight in weights.items()}
    largest = sorted(averages, key=lambda name: (-abs(averages[name]), name))
    kept = largest[: _MAX_DENSE_WEIGHTS if dense else _MAX_WEIGHTS]
    return {name: averages[name] for name in sorted(kept) if averages[name]}


def _most_common(counts: Counter[str]) -> str:
    return max(counts, key=lambda text: (counts[text], text))


def _most_frequent(texts: Iterable[str], counts: Mapping[str, int]) -> list[str]:
    return sorted(sorted(texts, key=lambda text: (-counts[text], text))[:_MAX_ENTRIES])


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", text)
