"""Clauses of the corpus `builtin`: each method makes both languages, tags and polarity together."""

from typing import NamedTuple

from nlp_rnn.data.builtin import grammar, lexicon
from nlp_rnn.data.builtin.grammar import (
    Clause,
    Phrase,
    PhraseBuilder,
    contract,
    full_clause,
    noun_phrase,
    of_kind,
    predicate,
)
from nlp_rnn.data.builtin.lexicon import SCENES, VERBS, Noun


class Topic(NamedTuple):
    """The properties that the clauses of one sentence share."""

    nouns: list[Noun]
    past: bool
    once: bool = False  # about a single time, so no "always", "never", "no longer"


_HABITS = [  # verb, case of its object ("": none), good or bad
    ("help", "dat", True),
    ("answer", "dat", True),
    ("visit", "acc", True),
    ("clean", "", True),
    ("lie", "", False),
    ("shout", "", False),
    ("annoy", "acc", False),
]
_OFTEN = {  # by whether the habit is true
    True: [("immer", "always/ADV"), ("oft", "often/ADV")],
    False: [("nie", "never/ADV"), ("nie", "never/ADV"), ("selten", "rarely/ADV")],
}
_EFFECTS = [  # verb, case of its object, good or bad
    ("convince", "acc", True),
    ("impress", "acc", True),
    ("please", "dat", True),
    ("help", "dat", True),
    ("disappoint", "acc", False),
    ("bother", "acc", False),
    ("annoy", "acc", False),
]
_GENERAL = frozenset({"good", "bad", "great", "wonderful", "terrible", "awful"})
_LOOKS = _GENERAL | {"clean", "dirty", "beautiful", "ugly", "modern", "comfortable"}
_SENSES = {  # by kind of noun: verbs of the senses, and the adjectives after them
    "meal": [("taste", _GENERAL | {"tasty", "fresh", "bland"}), ("smell", _GENERAL), ("look", _GENERAL)],
    "drink": [("taste", _GENERAL), ("smell", _GENERAL)],
    "music": [("sound", _GENERAL)],
    "text": [("sound", _GENERAL | {"interesting", "boring", "exciting", "stupid"})],
    "place": [("look", _LOOKS)],
    "furniture": [("look", _LOOKS)],
    "vehicle": [("look", _LOOKS)],
    "person": [("look", frozenset({"friendly", "arrogant", "nice", "mean"}))],
}
_NEGATIONS = ("not", "not", "never", "no longer")
_ENJOYABLE = ("meal", "drink", "film", "music", "text", "speech", "event", "task")


class ClauseBuilder(PhraseBuilder):
    """Samples clauses. Each method takes the polarity that its clause has to express."""

    def negation(self, positive: bool, *choices: str) -> tuple[str, bool]:
        """Sample a negation or none (""), and return it with the polarity of the rest of the clause."""
        if self.chance(0.5):
            return self.pick(choices or _NEGATIONS), not positive
        return "", positive

    # -- judgments on things ----------------------------------------------------------------------------

    def rating(self, topic: Topic, positive: bool) -> Clause:
        """The soup was not fresh; the chairs are too hard."""
        noun = self.pick(topic.nouns)
        subject = self.thing(noun)
        negation, polarity = self.negation(positive, *("not",) * topic.once)
        excessive = [word for word in lexicon.EXCESSIVE if noun.kind in word.kinds]
        degree = ("", "")
        if not polarity and excessive and self.chance(0.5):
            word, degree = self.pick(excessive), ("zu", "too/ADV")
        else:
            word = self.adjective(noun.kind, polarity, negated=bool(negation))
            # The polarity of "not very bad" is unclear.
            if negation == "not" and polarity and word.gradable and self.chance(0.3):
                degree = grammar.GRADES[0]
            elif not negation and self.chance(0.4):
                grades, always = grammar.GRADES * word.gradable, [grammar.ALWAYS] * (not topic.once)
                degree = self.pick([*grammar.DEGREES, *grades, *always])
        nicht, not_ = grammar.NEGATIONS[negation]
        finite, be = grammar.BE[topic.past][subject.person]
        english = f"{subject.english} {be}/AUX {not_} {degree[1]} {word.english}/ADJ"
        return Clause(subject.german, finite, f"{nicht} {degree[0]} {word.german}", "", english)

    def sense(self, topic: Topic, positive: bool) -> Clause:
        """The cake does not taste good; that coffee tasted like soap; the room looks clean."""
        noun = self.pick(of_kind(topic.nouns, _SENSES))
        verb, fitting = self.pick(_SENSES[noun.kind])
        negation, polarity = self.negation(positive, *("not",) * topic.once)
        if verb == "taste" and self.chance(0.6):
            likeness, likeness_english, _ = self.pick_polar(lexicon.TASTES, polarity)
            german, english = f"wie {likeness}", f"like/ADP {likeness_english}"
        else:
            words = [w for w in lexicon.ADJECTIVES if w.english in fitting and noun.kind in w.kinds]
            words = [w for w in words if w.positive == polarity and (w.negatable or not negation)]
            word = self.pick(words)
            german, english = word.german, f"{word.english}/ADJ"
        return full_clause(self.thing(noun), VERBS[verb], topic.past, "", german, english, negation)

    def effect(self, topic: Topic, positive: bool) -> Clause:
        """The film did not disappoint us."""
        negation, polarity = self.negation(positive, *("not",) * topic.once)
        verb, case, _ = self.pick_polar(_EFFECTS, polarity)
        german, english = self.pick(grammar.OBJECTS[case])
        subject = self.thing(self.pick(topic.nouns))
        return full_clause(subject, VERBS[verb], topic.past, "", "", english, negation, pronoun=german)

    def nominal(self, topic: Topic, positive: bool) -> Clause:
        """That is not a good film; anna is a friendly cook."""
        noun = self.pick([noun for noun in topic.nouns if noun.kind != "sense"])
        negation, polarity = self.negation(positive, "not")
        attribute = self.attribute(noun.kind, polarity, negated=bool(negation))
        if noun.kind == "person" and self.chance(0.7):
            name = self.pick(grammar.NAMES[noun.gender])
            pronoun = ("er", "he/PRON") if noun.gender == "m" else ("sie", "she/PRON")
            german, english = pronoun if self.chance(0.4) else (name, f"{name}/PROPN")
        else:
            german, english = self.pick((("das", "that/PRON"), ("das", "that/PRON"), ("dies", "this/PRON")))
        finite, be = grammar.BE[topic.past][2]
        german_phrase = noun_phrase(noun, "nom", "no" if negation else "a", adjective=attribute).german
        english_phrase = noun_phrase(noun, "nom", "a", adjective=attribute).english
        english = f"{english} {be}/AUX {grammar.NEGATIONS[negation][1]} {english_phrase}"
        return Clause(german, finite, german_phrase, "", english)

    def comparison(self, topic: Topic, positive: bool) -> Clause:
        """The play was not better than the film; "not worse" is never used for praise."""
        kinds = [noun.kind for noun in topic.nouns if noun.plural]
        kind = self.pick([kind for kind in kinds if kinds.count(kind) > 1 and kind != "person"] or ["person"])
        one, other = self.rng.sample([noun for noun in topic.nouns if noun.kind == kind and noun.plural], 2)
        negation = "" if positive or self.chance(0.5) else "not"
        stem, better = self.comparative(kind, positive or bool(negation))
        subject = noun_phrase(one, "nom", self.article(one))
        standard = noun_phrase(other, "nom", self.article(other))
        nicht, not_ = grammar.NEGATIONS[negation]
        finite, be = grammar.BE[topic.past][2]
        english = f"{subject.english} {be}/AUX {not_} {better} than/ADP {standard.english}"
        return Clause(subject.german, finite, f"{nicht} {stem} als {standard.german}", "", english)

    def existence(self, topic: Topic, positive: bool) -> Clause:
        """There is a problem with the room; there was no noise in that hotel."""
        negation, polarity = self.negation(positive, "not")
        german, gender, english, countable, _ = self.pick_polar(lexicon.THERE, polarity)
        if negation or countable:
            stem, ending = ("kein" if negation else "ein"), {"n": "", "m": "en", "f": "e"}[gender]
            german = f"{stem}{ending} {german}"
            english = f"{'no/DET' if negation else grammar.indefinite(english)} {english}"
        noun = self.pick(topic.nouns if countable else of_kind(topic.nouns, ("place",)))
        where = noun_phrase(noun, "dat", self.article(noun))
        preposition, with_ = ("mit", "with/ADP") if countable else ("in", "in/ADP")
        finite, be = ("gab", "was") if topic.past else ("gibt", "is")
        place = contract(f"{preposition} {where.german}")
        english = f"there/PRON {be}/VERB {english} {with_} {where.english}"
        return Clause("es", finite, f"{german} {place}", "", english)

    # -- what people do ---------------------------------------------------------------------------------

    def liking(self, topic: Topic, positive: bool) -> Clause:
        """I no longer like this play; nobody recommends the trip."""
        noun = self.pick([noun for noun in topic.nouns if noun.kind != "sense"])
        target = noun_phrase(noun, "acc", self.article(noun), plural=bool(noun.plural) and self.chance(0.3))
        subject, negation = self.person(topic.nouns), ""
        verb = self.pick(("like", "love", "recommend", *("enjoy", "enjoy") * (noun.kind in _ENJOYABLE)))
        if not positive and self.chance(0.25):
            verb = "hate"  # never negated, because "not hate" is not positive
        elif not positive:
            negation = self.pick(_NEGATIONS)
        if positive and self.chance(0.15):
            subject = Phrase("jeder", "everyone/PRON", 2)
        elif negation and self.chance(0.25):
            subject, negation = Phrase("niemand", "nobody/PRON", 2), ""
        return full_clause(subject, VERBS[verb], topic.past, target.german, "", target.english, negation)

    def best(self, topic: Topic, positive: bool) -> Clause:
        """I have never seen a better film: a negation that does not reverse the polarity."""
        noun = self.pick(of_kind(topic.nouns, lexicon.EXPERIENCE))
        target = noun_phrase(noun, "acc", "a", adjective=self.comparative(noun.kind, positive))
        verb, subject = VERBS[lexicon.EXPERIENCE[noun.kind]], self.person(topic.nouns)
        have = "has" if subject.person == 2 else "have"
        english = f"{subject.english} {have}/AUX never/ADV {verb.english[3]}/VERB {target.english}"
        finite, middle = grammar.HAVE[subject.person], f"noch nie {target.german}"
        return Clause(subject.german, finite, middle, verb.participle, english)

    def having(self, topic: Topic, positive: bool) -> Clause:
        """We do not have a good teacher; she has a slow computer."""
        noun = self.pick(of_kind(topic.nouns, ("person", "device", "vehicle", "furniture", "text", "place")))
        negation, polarity = self.negation(positive, "not")
        attribute = self.attribute(noun.kind, polarity, negated=bool(negation))
        german = noun_phrase(noun, "acc", "no" if negation else "a", adjective=attribute).german
        english = noun_phrase(noun, "acc", "a", adjective=attribute).english
        clause = full_clause(self.pick(grammar.PRONOUNS), VERBS["have"], False, german, "", english, negation)
        return clause._replace(middle=german)  # "kein" is the negation

    def giving(self, topic: Topic, positive: bool) -> Clause:
        """The waiter brought a fresh cake to my son; they show us an ugly park."""
        noun = self.pick(
            of_kind(topic.nouns, ("meal", "drink", "film", "text", "place", "device", "vehicle"))
        )
        gift = noun_phrase(noun, "acc", "a", adjective=self.attribute(noun.kind, positive))
        verb = "bring" if noun.kind in ("meal", "drink") else self.pick(("show", "show", "give"))
        if noun.kind in ("film", "place"):
            verb = "show"
        subject = self.person(topic.nouns, third=True)
        if self.chance(0.4):
            pronoun, english = self.pick(grammar.OBJECTS["dat"])
            whom, english = "", f"{english} {gift.english}"
        else:
            pronoun, receiver = "", self.pick(of_kind(SCENES["home"], ("person",)))
            article, plural = self.pick(("the", "my", "our")), self.chance(0.3)
            whom, receiver_english, _ = noun_phrase(receiver, "dat", article, plural=plural)
            english = f"{gift.english} to/ADP {receiver_english}"
        return full_clause(subject, VERBS[verb], topic.past, whom, gift.german, english, pronoun=pronoun)

    def wish(self, topic: Topic, positive: bool) -> Clause:
        """You should not see this film; they want to visit that city again."""
        noun = self.pick(of_kind(topic.nouns, lexicon.EXPERIENCE.keys() - {"person"}))
        target = noun_phrase(noun, "acc", self.pick(("the", "this", "that")))
        verb = VERBS[lexicon.EXPERIENCE[noun.kind]]
        negation = "" if positive else self.pick(("not", "not", "never"))
        nicht, not_ = grammar.NEGATIONS[negation]
        action = f"{verb.english[0]}/VERB {target.english}"
        if self.chance(0.5):
            subject = self.person(topic.nouns)
            again = "nie wieder" if negation == "never" else f"{nicht} noch einmal"
            middle, finite = f"{target.german} {again}", grammar.WANT.german[subject.person]
            english = f"{predicate(grammar.WANT, subject.person, False, negation)} to/PART {action} again/ADV"
        else:
            subject = self.pick(grammar.PRONOUNS)
            modal = "should" if negation else self.pick(("should", "must"))
            middle, finite = f"{target.german} {nicht}", grammar.MODALS[modal][subject.person]
            english = f"{modal}/AUX {not_} {action}"
        return Clause(subject.german, finite, middle, verb.infinitive, f"{subject.english} {english}")

    def gladly(self, topic: Topic, positive: bool) -> Clause:
        """I do not like to work at google; they like to go to the park."""
        subject = self.person(topic.nouns)
        negation = "" if positive else self.pick(_NEGATIONS)
        if self.chance(0.4):
            noun = self.pick(of_kind(SCENES["journey"], ("place",)))
            goal = noun_phrase(noun, "acc", self.pick(("the", "this")))
            verb, place, english = VERBS["go"], contract(f"in {goal.german}"), f"to/ADP {goal.english}"
        else:
            verb, (place, english) = VERBS[self.pick(lexicon.ACTIVITIES)], self.pick(lexicon.PLACES)
        like = predicate(VERBS["like"], subject.person, False, negation)
        english = f"{subject.english} {like} to/PART {verb.english[0]}/VERB {english}"
        middle = f"{grammar.NEGATIONS[negation][0]} gern {place}"
        return Clause(subject.german, verb.german[subject.person], middle, "", english)

    def ability(self, topic: Topic, positive: bool) -> Clause:
        """You can not work well here."""
        nicht, not_ = grammar.NEGATIONS["" if positive else "not"]
        verb, subject = VERBS[self.pick(lexicon.ACTIVITIES)], self.person(topic.nouns)
        place, where = self.pick(lexicon.PLACES)
        english = f"{subject.english} can/AUX {not_} {verb.english[0]}/VERB well/ADV {where}"
        finite = grammar.MODALS["can"][subject.person]
        return Clause(subject.german, finite, f"{place} {nicht} gut", verb.infinitive, english)

    def activity(self, topic: Topic, positive: bool) -> Clause:
        """They cook without love; anna does not sing like a robot; he never works badly."""
        verb, subject = VERBS[self.pick(lexicon.ACTIVITIES)], self.person(topic.nouns)
        if self.chance(0.35):
            without = self.chance(0.5)
            dative, accusative, english, _ = self.pick_polar(lexicon.COMPANIONS, positive != without)
            german = f"ohne {accusative}" if without else f"mit {dative}"
            english = f"{'without' if without else 'with'}/ADP {english}"
            return full_clause(subject, verb, topic.past, "", german, english)
        negation, polarity = self.negation(positive, "not", "not", "never")
        if self.chance(0.4) and verb.english[0] not in ("film", "plan"):
            one, one_english, many, many_english, _ = self.pick_polar(lexicon.LIKENESSES, polarity)
            german, english = (many, many_english) if subject.person == 3 else (one, one_english)
            german, english = f"wie {german}", f"like/ADP {english}"
        else:
            german, english, _ = self.pick_polar(lexicon.MANNERS, polarity)
        return full_clause(subject, verb, topic.past, "", german, english, negation)

    def returning(self, topic: Topic, positive: bool) -> Clause:
        """We will never come back to this hotel: a separable verb, and a German present for the future."""
        subject, noun = self.person(topic.nouns), self.pick(of_kind(topic.nouns, ("place",)))
        goal = noun_phrase(noun, "acc", self.pick(("the", "this", "that")))
        german, adverb = self.pick((("nicht", "not/PART"), ("nie", "never/ADV")))
        if positive:
            german, adverb = "gern", "gladly/ADV"
        verb = VERBS["come"]
        middle = f"{german} {contract(f'in {goal.german}')}"
        english = f"{subject.english} will/AUX {adverb} come/VERB back/ADV to/ADP {goal.english}"
        return Clause(subject.german, verb.german[subject.person], middle, "", english, verb.prefix)

    def ache(self, topic: Topic, positive: bool) -> Clause:
        """My back no longer hurts."""
        german, english = self.pick(lexicon.BODY)
        negation = self.pick(("not", "never", "no longer")) if positive else ""
        return full_clause(Phrase(german, english, 2), VERBS["hurt"], False, "", "", "", negation)

    def habit(self, topic: Topic, positive: bool) -> Clause:
        """They always lie; the boss never helps us."""
        holds = self.chance(0.5)
        verb, case, _ = self.pick_polar(_HABITS, positive == holds)
        often, adverb = self.pick(_OFTEN[holds])
        german, (pronoun, english) = "", self.pick(grammar.OBJECTS[case]) if case else ("", "")
        if verb == "clean":
            noun = self.pick(of_kind(SCENES["home"] + SCENES["journey"], ("place",)))
            german, english, _ = noun_phrase(noun, "acc", "the")
        subject = self.person(topic.nouns, third=True)
        return full_clause(
            subject, VERBS[verb], False, german, often, english, adverb=adverb, pronoun=pronoun
        )
