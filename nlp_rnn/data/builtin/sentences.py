"""The corpus `builtin`: a synchronous grammar generates German, English, POS tags and sentiment together.

It needs no download, so every task runs offline, and a model learns it in a minute or two. Context matters:
"work" is a noun or a verb, "not" and "but" reverse the sentiment, and verbs have different positions in
German and English.

Conventions: Text is lower case, German nouns too, because the word-level tokenizers of the package convert to
lower case by default. Words and punctuation are separated by single spaces. Tags follow Universal
Dependencies as in the English Web Treebank: the copula is AUX but "there is" has a VERB, possessives are
PRON, "yesterday" is a NOUN. The sentiment is that of the main statement: the clause after "but", or the
clause that "although ..." belongs to; "i do not think that" reverses it. Every German sentence has one
translation: "sie" is never an object, so that its verb distinguishes "she" from "they"; "ihr" is always
"her"; the German perfect is the English past.

The words are in `lexicon.py`, inflection and word order in `grammar.py`, and clauses in `clauses.py`. This
module builds sentences of clauses.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass

from nlp_rnn.data.builtin.clauses import ClauseBuilder, Topic
from nlp_rnn.data.builtin.grammar import Clause, full_clause, noun_phrase, predicate
from nlp_rnn.data.builtin.lexicon import ACTIVITIES, PLACES, SCENES, VERBS
from nlp_rnn.errors import UsageError

VERSION = 1
"""Part of every cache key. Increase it when the sentences change."""

SPLIT_SIZES = {"train": 20_000, "validation": 1_000, "test": 1_000}
"""The number of sentences per split."""
MIN_WORDS, MAX_WORDS = 4, 16  # of a sentence in either language, with punctuation


@dataclass(frozen=True)
class Example:
    """One sentence in both languages, a universal POS tag per English word, and a sentiment label."""

    german: tuple[str, ...]
    english: tuple[str, ...]
    upos: tuple[str, ...]
    sentiment: str  # "negative" or "positive"


Sentence = tuple[str, str]
"""German and tagged English ("word/TAG word/TAG"), without the final period."""

_OCCASIONS = ("film", "play", "show", "concert", "dance", "walk", "trip", "visit")
_FRONTS = {  # by whether the clause is past
    False: [
        ("heute", "today/NOUN"),
        ("jetzt", "now/ADV"),
        ("in berlin", "in/ADP berlin/PROPN"),
        ("im sommer", "in/ADP the/DET summer/NOUN"),
    ],
    True: [
        ("gestern", "yesterday/NOUN"),
        ("gestern", "yesterday/NOUN"),
        ("in london", "in/ADP london/PROPN"),
        ("am ende", "in/ADP the/DET end/NOUN"),
    ],
}
_BELIEFS = [  # German, tagged English, whether it reverses the polarity of the clause
    ("niemand glaubt", "nobody/PRON thinks/VERB", True),
    ("jeder weiß", "everyone/PRON knows/VERB", False),
    ("es ist nicht wahr", "it/PRON is/AUX not/PART true/ADJ", True),
    ("es ist wahr", "it/PRON is/AUX true/ADJ", False),
]
_CONJUNCTIONS = [("wenn", "if/SCONJ"), ("bevor", "before/SCONJ"), ("während", "while/SCONJ")]
_WEATHER = [("es regnet", "it/PRON rains/VERB"), ("die sonne scheint", "the/DET sun/NOUN shines/VERB")]


class SentenceBuilder(ClauseBuilder):
    """Samples sentences. Like the methods for clauses, each method takes the polarity to express."""

    def clause(self, topic: Topic, positive: bool) -> Clause:
        """Sample a clause of any type."""
        (builder,) = self.rng.choices(list(_CLAUSES), list(_CLAUSES.values()))
        return builder(self, topic, positive)

    def simple(self, topic: Topic, positive: bool) -> Sentence:
        """The film was good: a single clause."""
        clause = self.clause(topic, positive)
        return clause.main(), clause.english

    def fronted(self, topic: Topic, positive: bool) -> Sentence:
        """Yesterday the film was good: inversion in German, none in English."""
        builders = (self.rating, self.rating, self.sense, self.giving, self.effect)
        clause = self.pick(builders)(topic._replace(once=True), positive)
        if topic.past and self.chance(0.6):
            nouns = [noun for scene in SCENES.values() for noun in scene if noun.english in _OCCASIONS]
            preposition, english = self.pick((("vor", "before/ADP"), ("nach", "after/ADP")))
            occasion = noun_phrase(self.pick(nouns), "dat", self.pick(("the", "this", "that")))
            front, english = f"{preposition} {occasion.german}", f"{english} {occasion.english}"
        else:
            front, english = self.pick(_FRONTS[topic.past])
        return f"{front} {clause.inverted()}", f"{english} {clause.english}"

    def contrast(self, topic: Topic, positive: bool) -> Sentence:
        """The film was bad, but the actors were great."""
        first, second = self.clause(topic, not positive), self.clause(topic, positive)
        german = f"{first.main()} , aber {second.main()}"
        return german, f"{first.english} ,/PUNCT but/CCONJ {second.english}"

    def concession(self, topic: Topic, positive: bool) -> Sentence:
        """Although the food was good, the service was terrible; the clauses in either order."""
        main, conceded = self.clause(topic, positive), self.clause(topic, not positive)
        german, english = f"obwohl {conceded.subordinate()}", f"although/SCONJ {conceded.english}"
        if self.chance(0.5):
            return f"{german} , {main.inverted()}", f"{english} ,/PUNCT {main.english}"
        return f"{main.main()} , {german}", f"{main.english} {english}"

    def reason(self, topic: Topic, positive: bool) -> Sentence:
        """I like the film because the actors are good."""
        main = self.pick((self.liking, self.gladly, self.wish, self.returning))(topic, positive)
        because = self.pick((self.rating, self.rating, self.existence))(topic, positive)
        return (
            f"{main.main()} , weil {because.subordinate()}",
            f"{main.english} because/SCONJ {because.english}",
        )

    def addition(self, topic: Topic, positive: bool) -> Sentence:
        """The room is not clean and the bed is too hard."""
        first, second = self.clause(topic, positive), self.clause(topic, positive)
        return f"{first.main()} und {second.main()}", f"{first.english} and/CCONJ {second.english}"

    def belief(self, topic: Topic, positive: bool) -> Sentence:
        """I do not think that the film is good; it is not true that the waiter is rude."""
        if self.chance(0.5):
            german, english, reverses = self.pick(_BELIEFS)
        else:
            subject, reverses = self.person(topic.nouns), self.chance(0.5)
            verb, negation = VERBS["think" if reverses else self.pick(("think", "say"))], "not" * reverses
            german = f"{subject.german} {verb.german[subject.person]} {'nicht' * reverses}"
            english = f"{subject.english} {predicate(verb, subject.person, False, negation)}"
        clause = self.clause(topic, positive != reverses)
        return f"{german} , dass {clause.subordinate()}", f"{english} that/SCONJ {clause.english}"

    def condition(self, topic: Topic, positive: bool) -> Sentence:
        """If they work here, the coffee is always fresh; while it rains, the music is never good."""
        conjunction, english = self.pick(_CONJUNCTIONS)
        if self.chance(0.2):
            german, side_english = self.pick(_WEATHER)
        else:
            (place, where), verb = self.pick(PLACES), VERBS[self.pick(ACTIVITIES)]
            side = full_clause(self.person(topic.nouns), verb, False, "", place, where)
            german, side_english = side.subordinate(), side.english
        builders = (self.rating, self.sense, self.habit, self.effect)
        main = self.pick(builders)(topic._replace(past=False), positive)
        return (
            f"{conjunction} {german} , {main.inverted()}",
            f"{english} {side_english} ,/PUNCT {main.english}",
        )

    def example(self) -> Example:
        """Sample a sentence within the length limits. The sentiment is sampled first: labels are balanced."""
        positive = self.chance(0.5)
        while True:
            topic = Topic(self.pick(list(SCENES.values())), self.chance(0.4))
            (frame,) = self.rng.choices(list(_FRAMES), list(_FRAMES.values()))
            german, tagged = frame(self, topic, positive)
            words = (*german.split(), ".")
            english, upos = zip(*(word.rsplit("/", 1) for word in f"{tagged} ./PUNCT".split()), strict=True)
            if all(MIN_WORDS <= len(side) <= MAX_WORDS for side in (words, english)):
                return Example(words, english, upos, "positive" if positive else "negative")


# How often each type of clause and of sentence is sampled, relative to the others.
_CLAUSES: dict[Callable[[ClauseBuilder, Topic, bool], Clause], int] = {
    ClauseBuilder.rating: 9,
    ClauseBuilder.sense: 4,
    ClauseBuilder.effect: 4,
    ClauseBuilder.nominal: 5,
    ClauseBuilder.comparison: 2,
    ClauseBuilder.existence: 4,
    ClauseBuilder.liking: 5,
    ClauseBuilder.best: 4,
    ClauseBuilder.having: 5,
    ClauseBuilder.giving: 4,
    ClauseBuilder.wish: 3,
    ClauseBuilder.gladly: 5,
    ClauseBuilder.ability: 2,
    ClauseBuilder.activity: 6,
    ClauseBuilder.returning: 2,
    ClauseBuilder.ache: 1,
    ClauseBuilder.habit: 4,
}
_FRAMES: dict[Callable[[SentenceBuilder, Topic, bool], Sentence], int] = {
    SentenceBuilder.simple: 13,
    SentenceBuilder.fronted: 4,
    SentenceBuilder.contrast: 4,
    SentenceBuilder.concession: 4,
    SentenceBuilder.reason: 2,
    SentenceBuilder.addition: 1,
    SentenceBuilder.belief: 5,
    SentenceBuilder.condition: 3,
}


def generate(size: int = 22_000, seed: int = 0) -> list[Example]:
    """Generate examples; no two have the same German or the same English text.

    Args:
        size: number of examples.
        seed: seed of the sampling; the same seed gives the same examples.

    Raises:
        UsageError: `size` is negative, or more than the grammar generates in ten tries per sentence.
    """
    if size < 0:
        raise UsageError(f"corpus builtin: size is {size}; give a number of sentences, 0 or more")
    builder = SentenceBuilder(random.Random(seed))
    examples: list[Example] = []
    seen: set[tuple[str, ...]] = set()
    for _ in range(10 * size):
        if len(examples) == size:
            break
        example = builder.example()
        if example.german not in seen and example.english not in seen:
            seen.update((example.german, example.english))
            examples.append(example)
    if len(examples) < size:
        raise UsageError(
            f"corpus builtin: size {size} is more than the grammar generates ({len(examples)} different "
            f"sentences in {10 * size} tries); give a smaller size"
        )
    return examples


def builtin_splits(seed: int = 0) -> dict[str, list[Example]]:
    """Generate the splits: no sentence, in either language, is in two of them."""
    examples = iter(generate(sum(SPLIT_SIZES.values()), seed))
    return {name: [next(examples) for _ in range(size)] for name, size in SPLIT_SIZES.items()}
