"""Grammar of the corpus `builtin`: inflection, noun phrases and word order of German and English."""

import random
from collections.abc import Collection, Iterable
from typing import Any, NamedTuple

from nlp_rnn.data.builtin import lexicon
from nlp_rnn.data.builtin.lexicon import VERBS, Adjective, Noun, Verb

GENDERS = "mfnp"
"""Masculine, feminine, neuter, and plural, where German has one form for all genders."""

_STRONG = {"nom": ("er", "e", "es", "e"), "acc": ("en", "e", "es", "e"), "dat": ("em", "er", "em", "en")}
_WEAK = {"nom": ("e", "e", "e", "en"), "acc": ("en", "e", "e", "en"), "dat": ("en", "en", "en", "en")}
DEFINITE = {
    "nom": ("der", "die", "das", "die"),
    "acc": ("den", "die", "das", "die"),
    "dat": ("dem", "der", "dem", "den"),
}
_STEMS = {"this": "dies", "that": "jen", "a": "ein", "no": "kein", "my": "mein", "his": "sein", "her": "ihr",
          "our": "unser"}  # fmt: skip
_CONTRACTIONS = {"in dem": "im", "in das": "ins"}


def determiner(english: str, case: str, gender: str) -> tuple[str, str]:
    """Return a German determiner and the ending of an adjective after it.

    An adjective has the strong ending exactly if no word before it has one.

    Args:
        english: the English determiner; "" for none.
        case: nom, acc or dat.
        gender: one of `GENDERS`.
    """
    column = GENDERS.index(gender)
    strong, weak = _STRONG[case][column], _WEAK[case][column]
    if not english:
        return "", strong
    if english == "the":
        return DEFINITE[case][column], weak
    stem = _STEMS[english]
    bare = stem not in ("dies", "jen") and (case, gender) in (("nom", "m"), ("nom", "n"), ("acc", "n"))
    return (stem, strong) if bare else (stem + strong, weak)


def decline(noun: Noun, case: str, plural: bool) -> str:
    """Decline a German noun: a dative plural gets -n unless it ends in -n or -s."""
    if not plural:
        return noun.german
    form = noun.german_plural
    return form + "n" if case == "dat" and form[-1] not in "ns" else form


def contract(phrase: str) -> str:
    """Contract a preposition and the article after it: "in dem park" becomes "im park"."""
    first, second, *rest = phrase.split(" ")
    pair = f"{first} {second}"
    return " ".join([_CONTRACTIONS[pair], *rest]) if pair in _CONTRACTIONS else phrase


class Phrase(NamedTuple):
    """A noun phrase in one case. English is always tagged: "word/TAG word/TAG"."""

    german: str
    english: str
    person: int  # 0: I, 1: you, 2: he/she/it, 3: plural


class Clause(NamedTuple):
    """A clause whose German parts have no order yet: main, inverted and subordinate clauses differ in it."""

    subject: str
    finite: str
    middle: str
    end: str  # participle or infinitive
    english: str
    prefix: str = ""  # of a separable verb
    pronoun: str = ""  # an object

    def _subject_and_pronoun(self) -> str:
        """For a subject that is not first: a noun follows the object pronoun, a pronoun precedes it."""
        if self.subject in {phrase.german for phrase in PRONOUNS}:
            return f"{self.subject} {self.pronoun}"
        return f"{self.pronoun} {self.subject}"

    def main(self) -> str:
        """Return the German main clause: the finite verb is second."""
        return f"{self.subject} {self.finite} {self.pronoun} {self.middle} {self.end} {self.prefix}"

    def inverted(self) -> str:
        """Return the German main clause without its first place, which another phrase takes."""
        return f"{self.finite} {self._subject_and_pronoun()} {self.middle} {self.end} {self.prefix}"

    def subordinate(self) -> str:
        """Return the German subordinate clause: the finite verb is last, joined to a separable prefix."""
        return f"{self._subject_and_pronoun()} {self.middle} {self.end} {self.prefix}{self.finite}"


BE = {  # finite forms by person: present, past
    False: (("bin", "am"), ("bist", "are"), ("ist", "is"), ("sind", "are")),
    True: (("war", "was"), ("warst", "were"), ("war", "was"), ("waren", "were")),
}
HAVE = ("habe", "hast", "hat", "haben")
MODALS = {
    "can": ("kann", "kannst", "kann", "können"),
    "must": ("muss", "musst", "muss", "müssen"),
    "should": ("sollte", "solltest", "sollte", "sollten"),
}
WANT = Verb(("want", "wants", "wanted", "wanted"), ("will", "willst", "will", "wollen"), "wollen", "gewollt")

PRONOUNS = [
    Phrase("ich", "i/PRON", 0),
    Phrase("ich", "i/PRON", 0),
    Phrase("du", "you/PRON", 1),
    Phrase("du", "you/PRON", 1),
    Phrase("er", "he/PRON", 2),
    Phrase("sie", "she/PRON", 2),
    Phrase("wir", "we/PRON", 3),
    Phrase("wir", "we/PRON", 3),
    Phrase("sie", "they/PRON", 3),
    Phrase("sie", "they/PRON", 3),
]
NAMES = {"m": ("paul", "peter", "max"), "f": ("anna", "maria", "laura")}
OBJECTS = {  # by case; without "sie", which could be "her" or "them"
    "acc": [("mich", "me/PRON"), ("uns", "us/PRON"), ("dich", "you/PRON"), ("ihn", "him/PRON")],
    "dat": [("mir", "me/PRON"), ("uns", "us/PRON"), ("ihm", "him/PRON"), ("ihr", "her/PRON")],
}
NEGATIONS = {  # German, tagged English
    "": ("", ""),
    "not": ("nicht", "not/PART"),
    "never": ("nie", "never/ADV"),
    "no longer": ("nicht mehr", "no/ADV longer/ADV"),
}
DEGREES = [("wirklich", "really/ADV"), ("so", "so/ADV")]
GRADES = [("sehr", "very/ADV"), ("ziemlich", "quite/ADV")]
ALWAYS = ("immer", "always/ADV")
COUNTS = [("zwei", "two/NUM"), ("drei", "three/NUM"), ("vier", "four/NUM")]


def indefinite(following: str) -> str:
    """Return "a" or "an", by the sound that follows."""
    vowel = following[0] in "aeiou" and not following.startswith("use")
    return "an/DET" if vowel or following.startswith("honest") else "a/DET"


def noun_phrase(
    noun: Noun,
    case: str,
    article: str,
    *,
    plural: bool = False,
    count: tuple[str, str] | None = None,
    adjective: tuple[str, str] | None = None,
) -> Phrase:
    """Build a noun phrase. Mass nouns and plurals have no indefinite article in either language.

    Args:
        noun: the noun.
        case: nom, acc or dat.
        article: an English determiner; "" for none.
        plural: whether the noun is in the plural.
        count: a number word, German and tagged English.
        adjective: German stem and tagged English.
    """
    if article == "a" and (plural or not noun.plural):
        article = ""
    german_article, ending = determiner(article, case, "p" if plural else noun.gender)
    german = [german_article, decline(noun, case, plural)]
    english = [f"{noun.plural if plural else noun.english}/NOUN"]
    if adjective:
        stem, words = adjective
        german.insert(1, stem.removesuffix("e") + ending)
        english.insert(0, words)
    if count:
        german.insert(1, count[0])
        english.insert(0, count[1])
    if article == "a":
        english.insert(0, indefinite(english[0]))
    elif article in ("this", "that"):
        demonstrative = {"this": "these", "that": "those"}[article] if plural else article
        english.insert(0, f"{demonstrative}/DET")
    elif article:
        english.insert(0, f"{article}/{'DET' if article in ('the', 'no') else 'PRON'}")
    return Phrase(" ".join(filter(None, german)), " ".join(english), 3 if plural else 2)


def predicate(verb: Verb, person: int, past: bool, negation: str) -> str:
    """Return the English verb with its negation: "does/AUX not/PART work/VERB"."""
    base, third, preterite, _ = verb.english
    if negation == "not":
        auxiliary = "did" if past else "does" if person == 2 else "do"
        return f"{auxiliary}/AUX not/PART {base}/VERB"
    form = preterite if past else third if person == 2 else base
    return f"{NEGATIONS[negation][1]} {form}/VERB"


def full_clause(
    subject: Phrase,
    verb: Verb,
    past: bool,
    objects: str,
    rest: str,
    english: str,
    negation: str = "",
    *,
    adverb: str = "",
    pronoun: str = "",
) -> Clause:
    """Build a clause with a full verb. For the past, German has the perfect.

    Args:
        subject: the subject.
        verb: the verb.
        past: whether the clause is in the past.
        objects: German objects, before the negation.
        rest: German words after the negation.
        english: tagged English words after the verb.
        negation: a key of `NEGATIONS`.
        adverb: tagged English adverb before the verb.
        pronoun: German pronoun as an object.
    """
    middle = f"{objects} {NEGATIONS[negation][0]} {rest}"
    tagged = f"{subject.english} {adverb} {predicate(verb, subject.person, past, negation)} {english}"
    if past:
        return Clause(subject.german, HAVE[subject.person], middle, verb.participle, tagged, pronoun=pronoun)
    return Clause(subject.german, verb.german[subject.person], middle, "", tagged, verb.prefix, pronoun)


def of_kind(nouns: list[Noun], kinds: Collection[str]) -> list[Noun]:
    """Return the nouns of certain kinds."""
    return [noun for noun in nouns if noun.kind in kinds]


def _adjectives(kind: str, positive: bool, negated: bool) -> list[Adjective]:
    fitting = [word for word in lexicon.ADJECTIVES if kind in word.kinds and word.positive == positive]
    return [word for word in fitting if word.negatable or not negated]


class PhraseBuilder:
    """Samples the parts of clauses.

    Args:
        rng: source of random numbers.
    """

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.pick = rng.choice

    def chance(self, probability: float) -> bool:
        """Return true with a given probability."""
        return self.rng.random() < probability

    def pick_polar(self, table: Iterable[Any], positive: bool) -> Any:
        """Sample a row of one polarity from a table whose last column is true for positive rows."""
        return self.pick([row for row in table if row[-1] == positive])

    def adjective(self, kind: str, positive: bool, *, negated: bool = False) -> Adjective:
        """Sample an adjective for a predicate."""
        return self.pick(_adjectives(kind, positive, negated))

    def attribute(self, kind: str, positive: bool, *, negated: bool = False) -> tuple[str, str]:
        """Sample an adjective before a noun: German stem and tagged English."""
        fitting = [word for word in _adjectives(kind, positive, negated) if word.attributive]
        word = self.pick(fitting)
        return word.german, f"{word.english}/ADJ"

    def comparative(self, kind: str, positive: bool) -> tuple[str, str]:
        """Sample a comparative: German stem and tagged English."""
        words = [word.comparative for word in _adjectives(kind, positive, False)]
        return self.pick([word for word in words if word])

    def article(self, noun: Noun) -> str:
        """Sample an English determiner for a noun."""
        if noun.kind == "sense":
            return self.pick(("the", "this", "that"))
        return self.pick(("the", "the", "the", "this", "that", "that", "my", "his", "her", "our"))

    def person(self, nouns: list[Noun], *, third: bool = False) -> Phrase:
        """Sample a person as a subject; with `third`, only in the third person."""
        if self.chance(0.6):
            return self.pick([p for p in PRONOUNS if p.german in ("er", "sie") or not third])
        if self.chance(0.5):
            name = self.pick(NAMES["m"] + NAMES["f"])
            return Phrase(name, f"{name}/PROPN", 2)
        noun = self.pick(of_kind(nouns, ("person",)))
        return noun_phrase(noun, "nom", self.article(noun), plural=self.chance(0.4))

    def thing(self, noun: Noun) -> Phrase:
        """Make a subject of a noun: singular or plural, sometimes with a number or a relative clause."""
        plural = bool(noun.plural) and self.chance(0.25)
        count = self.pick(COUNTS) if plural and self.chance(0.3) else None
        phrase = noun_phrase(noun, "nom", self.article(noun), plural=plural, count=count)
        if not self.chance(0.2):
            return phrase
        column = GENDERS.index("p" if plural else noun.gender)
        if noun.kind == "person":
            verb, (place, where) = VERBS[self.pick(lexicon.ACTIVITIES)], self.pick(lexicon.PLACES)
            who, finite = DEFINITE["nom"][column], verb.german[phrase.person]
            german = f"{who} {place} {finite}"
            english = f"who/PRON {verb.english[0 if plural else 1]}/VERB {where}"
        elif noun.kind in lexicon.EXPERIENCE:
            verb, subject = VERBS[lexicon.EXPERIENCE[noun.kind]], self.pick(PRONOUNS)
            whom, have = DEFINITE["acc"][column], HAVE[subject.person]
            german = f"{whom} {subject.german} {verb.participle} {have}"
            english = f"that/PRON {subject.english} {verb.english[2]}/VERB"
        else:
            return phrase
        return Phrase(f"{phrase.german} , {german} ,", f"{phrase.english} {english}", phrase.person)
