"""The corpus `entities`: sentences of the corpus `builtin` with people, organizations and places among them.

The words of names are made of syllables, and those of one split are in no other: a model must read letters
and neighbors. One word can be part of a name of any type: "velmar", "velmar motors", "port velmar". Tags are
IOB2 with the types PER, ORG and LOC. Text is lower case, as in `builtin`.
"""

import random
from typing import NamedTuple

from nlp_rnn.data.builtin.sentences import SentenceBuilder

SPLIT_SIZES = {"train": 1_500, "validation": 500, "test": 1_000}
"""The number of sentences per split."""
WORDS_OF_NAMES = {"train": 800, "validation": 400, "test": 400}
"""The number of different words, of which the names in a split are made."""


class TaggedSentence(NamedTuple):
    """A sentence with a part of speech and an entity tag per word."""

    words: list[str]
    upos: list[str]
    ner: list[str]


_ONSETS = [
    "b",
    "br",
    "d",
    "dr",
    "f",
    "g",
    "gr",
    "h",
    "j",
    "k",
    "kl",
    "l",
    "m",
    "n",
    "p",
    "r",
    "s",
    "st",
    "t",
    "tr",
    "v",
    "w",
    "z",
]
_VOWELS = ["a", "e", "i", "o", "u", "ai", "ea", "oo"]
_CODAS = ["", "", "", "l", "n", "r", "s", "m", "nd", "rt", "x"]
# Endings that hint at a type, but do not decide it.
_ENDINGS = {
    "PER": ["", "", "", "a", "o", "son", "er", "ski"],
    "ORG": ["", "", "", "ix", "co", "tec"],
    "LOC": ["", "", "", "ton", "burg", "ville", "ford"],
}
_FORMS = {  # {0} and {1} are words of names
    "PER": ["{0}", "{0} {1}", "{0} {1}", "{0} {1}", "dr. {0}", "{0} van {1}"],
    "ORG": ["{0}", "{0}", "{0} motors", "{0} & {1}", "bank of {0}", "university of {0}", "{0} {1} foods"],
    "LOC": ["{0}", "{0}", "{0}", "new {0}", "port {0}", "{0} upon {1}"],
}
_SMALL_WORDS = {"of": "ADP", "upon": "ADP", "&": "CCONJ"}
# PER, ORG and LOC stand for names, ... for a sentence of `builtin`; all other words have their tag.
_FRAMES = """
PER says/VERB that/SCONJ ...
PER and/CCONJ PER think/VERB that/SCONJ ...
PER of/ADP ORG writes/VERB that/SCONJ ...
ORG says/VERB that/SCONJ ...
according/VERB to/ADP PER ,/PUNCT ...
according/VERB to/ADP ORG ,/PUNCT ...
in/ADP LOC ,/PUNCT ...
near/ADP LOC ,/PUNCT ...
... ,/PUNCT said/VERB PER
... in/ADP LOC
... at/ADP ORG
PER ,/PUNCT PER and/CCONJ PER live/VERB in/ADP LOC
LOC ,/PUNCT LOC and/CCONJ LOC are/AUX towns/NOUN
ORG and/CCONJ ORG pay/VERB PER
PER ,/PUNCT a/DET doctor/NOUN from/ADP LOC ,/PUNCT says/VERB that/SCONJ ...
ORG ,/PUNCT a/DET company/NOUN from/ADP LOC ,/PUNCT says/VERB that/SCONJ ...
LOC ,/PUNCT a/DET town/NOUN near/ADP LOC ,/PUNCT is/AUX famous/ADJ
PER was/AUX born/VERB in/ADP LOC
PER works/VERB for/ADP ORG in/ADP LOC
PER left/VERB ORG for/ADP ORG
PER met/VERB PER in/ADP LOC
ORG hired/VERB PER
ORG sued/VERB ORG
ORG opened/VERB a/DET shop/NOUN in/ADP LOC
we/PRON flew/VERB from/ADP LOC to/ADP LOC with/ADP PER
the/DET mayor/NOUN of/ADP LOC thanked/VERB PER
my/PRON friend/NOUN PER likes/VERB LOC
...
...
...
...
""".strip().split("\n")  # fmt: skip
_NAMES_OF_BUILTIN = {"berlin": "LOC", "london": "LOC", "paris": "LOC", "google": "ORG"}  # others are people


class _NameBuilder:
    """Samples names of the words of one split.

    Args:
        rng: source of random numbers.
        words: the words by type.
    """

    def __init__(self, rng: random.Random, words: dict[str, list[str]]) -> None:
        self._rng, self._words = rng, words

    def name(self, kind: str) -> list[str]:
        """The words of a name of a type."""
        form = self._rng.choice(_FORMS[kind])
        return form.format(*self._rng.sample(self._words[kind], 2)).split()


def _words(rng: random.Random, taken: set[str], size: int) -> dict[str, list[str]]:
    """New words by type; a third of them may be part of names of any type."""
    words: dict[str, list[str]] = {kind: [] for kind in _ENDINGS}
    while sum(map(len, words.values())) < size:
        kind = rng.choice(list(words))
        syllables = (rng.choice(_ONSETS) + rng.choice(_VOWELS) + rng.choice(_CODAS) for _ in range(2))
        word = "".join(syllables) + rng.choice(_ENDINGS[kind])
        if word in taken:
            continue
        taken.add(word)
        for other in words if rng.random() < 1 / 3 else [kind]:
            words[other].append(word)
    return words


def _fill(frame: str, names: _NameBuilder, sentences: SentenceBuilder) -> TaggedSentence:
    tagged = TaggedSentence([], [], [])
    for part in frame.split():
        if part in _FORMS:
            for place, word in enumerate(names.name(part)):
                tagged.words.append(word)
                tagged.upos.append(_SMALL_WORDS.get(word, "PROPN"))
                tagged.ner.append(f"{'I' if place else 'B'}-{part}")
        elif part == "...":
            example = sentences.example()
            for word, tag in zip(example.english[:-1], example.upos[:-1], strict=True):
                kind = _NAMES_OF_BUILTIN.get(word, "PER")
                tagged.words.append(word)
                tagged.upos.append(tag)
                tagged.ner.append(f"B-{kind}" if tag == "PROPN" else "O")
        else:
            word, _, tag = part.rpartition("/")
            tagged.words.append(word or part)
            tagged.upos.append(tag)
            tagged.ner.append("O")
    for values, end in zip(tagged, (".", "PUNCT", "O"), strict=True):
        values.append(end)
    return tagged


def entity_splits(seed: int = 0) -> dict[str, list[TaggedSentence]]:
    """Generate the splits.

    Args:
        seed: seed of the sampling; the same seed gives the same sentences.
    """
    rng = random.Random(seed)
    sentences, taken = SentenceBuilder(rng), set[str]()
    splits = {}
    for split, size in SPLIT_SIZES.items():
        names = _NameBuilder(rng, _words(rng, taken, WORDS_OF_NAMES[split]))
        splits[split] = [_fill(rng.choice(_FRAMES), names, sentences) for _ in range(size)]
    return splits
