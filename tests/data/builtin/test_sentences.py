"""The built-in corpus: its size, its grammar (found again in the finished sentences), and its difficulty."""

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Iterable

import pytest
import torch
from torch import nn

from nlp_rnn.data.builtin.lexicon import SCENES, VERBS
from nlp_rnn.data.builtin.sentences import VERSION, Example, builtin_splits, generate
from nlp_rnn.errors import UsageError

UPOS = {
    "ADJ",
    "ADP",
    "ADV",
    "AUX",
    "CCONJ",
    "DET",
    "NOUN",
    "NUM",
    "PART",
    "PRON",
    "PROPN",
    "PUNCT",
    "SCONJ",
    "VERB",
}


@pytest.fixture(scope="module")
def splits() -> dict[str, list[Example]]:
    return builtin_splits()


@pytest.fixture(scope="module")
def examples(splits) -> list[Example]:
    return [example for split in splits.values() for example in split]


@pytest.fixture(scope="module")
def german(examples) -> list[str]:
    return [" ".join(example.german) for example in examples]


@pytest.fixture(scope="module")
def tagged(examples) -> list[str]:
    return [" ".join(map("/".join, zip(e.english, e.upos, strict=True))) for e in examples]


# -- counts ---------------------------------------------------------------------------------------------


def test_sizes(splits):
    assert {name: len(split) for name, split in splits.items()} == {
        "train": 20_000,
        "validation": 1_000,
        "test": 1_000,
    }


@pytest.mark.parametrize("side", ["german", "english"])
def test_no_sentence_twice_and_none_in_two_splits(examples, side):
    assert len({getattr(example, side) for example in examples}) == len(examples)


@pytest.mark.parametrize("side", ["german", "english"])
def test_vocabulary_is_large_and_words_are_not_rare(splits, side):
    counts = Counter(word for example in splits["train"] for word in getattr(example, side))
    frequent = [word for word, count in counts.items() if count >= 10]
    assert len(frequent) >= 350
    assert len(frequent) >= 0.98 * len(counts)
    assert all(word == word.lower() and " " not in word and "/" not in word for word in counts)


@pytest.mark.parametrize("side", ["german", "english"])
def test_lengths(examples, side):
    lengths = [len(getattr(example, side)) for example in examples]
    assert min(lengths) >= 4
    assert max(lengths) <= 18
    assert 9 <= sum(lengths) / len(lengths) <= 11


def test_labels_are_balanced_in_every_split(splits):
    for split in splits.values():
        counts = Counter(example.sentiment for example in split)
        assert counts.keys() == {"negative", "positive"}
        assert counts["positive"] / len(split) == pytest.approx(0.5, abs=0.05 if len(split) == 1000 else 0.03)


def test_every_english_word_has_a_universal_tag(examples):
    assert all(len(example.upos) == len(example.english) for example in examples)
    assert {tag for example in examples for tag in example.upos} == UPOS


def test_seed_decides():
    assert generate(200, seed=3) == generate(200, seed=3)
    assert generate(200, seed=3) != generate(200, seed=4)
    assert generate(300, seed=3)[:200] == generate(200, seed=3)
    assert generate(0) == []


def test_version_is_raised_when_the_sentences_change():
    digest = hashlib.sha256(repr(generate(500)).encode()).hexdigest()[:16]
    assert (VERSION, digest) == (1, "10042fd315c8e922"), "raise VERSION, for caches of the old sentences"


def test_size_errors(monkeypatch):
    with pytest.raises(UsageError, match="size is -1"):
        generate(-1)
    sentence = generate(1)[0]
    monkeypatch.setattr("nlp_rnn.data.builtin.sentences.SentenceBuilder.example", lambda self: sentence)
    with pytest.raises(
        UsageError, match=r"size 5 is more than the grammar generates \(1 different .* give a smaller"
    ):
        generate(5)


# -- grammar, found in the sentences: where the first pattern occurs, the second must match the whole ------

_IRREGULAR = """ist bin bist sind war warst waren habe hast hat haben gibt gab will willst wollen
    sollte solltest sollten kann kannst können muss musst müssen regnet scheint"""


def _alternatives(words: Iterable[str]) -> str:
    return "(?:" + "|".join(sorted(set(words))) + ")"


SECOND = _alternatives([*_IRREGULAR.split(), *(form for verb in VERBS.values() for form in verb.german)])
FINAL = _alternatives(
    [*_IRREGULAR.split(), *(verb.prefix + form for verb in VERBS.values() for form in verb.german)]
)
PARTICIPLE = _alternatives(verb.participle for verb in VERBS.values())
INFINITIVE = _alternatives(verb.infinitive for verb in VERBS.values())
NOUNS = {noun for scene in SCENES.values() for noun in scene}
NOUN = {gender: _alternatives(noun.german for noun in NOUNS if noun.gender == gender) for gender in "mfn"}
RELATIVE = r", (?:der|die|das|den) "  # a relative clause, which most patterns leave out

GERMAN_FACTS = {
    "verb final after weil": (r", weil ", rf".*, weil [^,]* {FINAL} \."),
    "verb final after dass": (r", dass ", rf".*, dass [^,]* {FINAL} \."),
    "verb final after obwohl": (r", obwohl ", rf".*, obwohl [^,]* {FINAL} \."),
    "verb final, then verb second": (r"^(?:obwohl|wenn|bevor|während) ", rf"\w+ [^,]* {FINAL} , {SECOND} .*"),
    "inversion after an adverbial": (
        r"^(?:gestern|heute|jetzt|im sommer|am ende) ",
        rf"(?:im |am )?\w+ {SECOND} .*",
    ),
    "participle at the end": (r"^gestern (?:hat|haben|habe|hast) [^,]*$", rf".* {PARTICIPLE} \."),
    "infinitive at the end": (
        r"^\w+ (?:kann|kannst|können|sollten?|sollte|muss) [^,]*$",
        rf".* {INFINITIVE} .*\.",
    ),
    "separable prefix split": (r"^\w+ \w+ (?:sieht|sehen) [^,]*$", r".* aus (?:und .*)?\."),
    "separable prefix joined": (r", dass [^,]*zurück", r".* zurückkomm(?:e|st|t|en) \."),
    "dative after mit": (
        r" mit ",
        r".* mit (?:dem|der|den|(?:dies|jen|mein|sein|ihr|unser)(?:em|er|en)"
        r"|ihm|ihr|liebe|freude|fehlern|stress) .*",
    ),
    "dative after nach": (r"^nach ", r"nach (?:dem|der|(?:dies|jen)(?:em|er)) .*"),
    "accusative after in, with motion": (
        r"^\w+ (?:gehst|gehe|geht|gehen) gern [^,]*$",
        r"\w+ \w+ gern (?:ins|in (?:den|die|diesen|diese|dieses)) .*",
    ),
    "dative after in, without": (
        r" gibt [^,]* in ",
        r".* in (?:der|(?:dies|jen|mein|sein|ihr|unser)(?:em|er)) .*",
    ),
    "dative plural takes -n": (
        r" (?:unseren|meinen) (?:brüder|töchter|söhne|freunde|ärzte)n? ",
        r".* (?:unseren|meinen) (?:brüdern|töchtern|söhnen|freunden|ärzten) .*",
    ),
    "strong ending after a bare ein, masculine": (
        rf" k?ein \w+ {NOUN['m']}\b",
        rf".* k?ein \w+er {NOUN['m']}\b.*",
    ),
    "strong ending after a bare ein, neuter": (
        rf" k?ein \w+ {NOUN['n']}\b",
        rf".* k?ein \w+es {NOUN['n']}\b.*",
    ),
    "masculine accusative": (rf" k?einen \w+ {NOUN['m']}\b", rf".* k?einen \w+en {NOUN['m']}\b.*"),
    "feminine": (rf" k?eine \w+ {NOUN['f']}\b", rf".* k?eine \w+e {NOUN['f']}\b.*"),
    "gender of the accusative relative pronoun": (r"^der \w+ , d", r"der \w+ , (?:den|der) .*"),
    "comparison": (
        r" als ",
        r".*er als (?:der|die|das|(?:dies|jen)(?:er|e|es)|(?:mein|sein|ihr|unser)e?) .*",
    ),
}


@pytest.mark.parametrize(("where", "fact"), GERMAN_FACTS.values(), ids=GERMAN_FACTS.keys())
def test_german(german, where, fact):
    relative = "relative" in fact or where.startswith("^der")
    found = [s for s in german if re.search(where, s) and (relative or not re.search(RELATIVE, s))]
    assert len(found) >= 20
    assert [sentence for sentence in found if not re.fullmatch(fact, sentence)] == []


# Over "word/TAG word/TAG ...": the first pattern occurs, the second never does.
ENGLISH_FACTS = {
    "the copula is AUX": (r" (?:is|are)/AUX \w+/ADJ", r" (?:is|are|was|were)/VERB (?:\w+/ADV )*\w+/ADJ \."),
    "there is: PRON and VERB": (r"there/PRON (?:is|was)/VERB", r"there/PRON (?:is|was)/AUX"),
    "infinitival to is PART": (r" to/PART \w+/VERB", r" to/ADP \w+/VERB| to/PART \w+/(?:DET|PRON)"),
    "to before a noun phrase is ADP": (r" to/ADP (?:the|our)/", r" to/PART (?:the|our|my|this|that)/"),
    "like after a sense verb is ADP": (r"tastes?/VERB like/ADP", r"(?:taste|tastes|tasted)/VERB like/VERB"),
    "that after think is SCONJ": (r"thinks?/VERB that/SCONJ", r"thinks?/VERB that/(?:DET|PRON)"),
    "that before a copula is PRON": (r"that/PRON (?:is|was)/AUX", r"that/(?:DET|SCONJ) (?:is|was)/AUX"),
    "that before a noun is DET": (r"that/DET \w+/NOUN", r"^that/(?:PRON|SCONJ) \w+/NOUN"),
    "before is SCONJ before a pronoun": (
        r"^before/SCONJ we/PRON",
        r"before/ADP (?:i|you|he|she|we|they)/PRON",
    ),
    "than is ADP": (r"better/ADJ than/ADP", r"than/(?!ADP)"),
    "not is PART": (r" not/PART", r" not/ADV"),
    "do is AUX": (
        r" do/AUX not/PART \w+/VERB",
        r" (?:do|does|did)/VERB| (?:do|does|did)/AUX not/PART \w+/NOUN",
    ),
    "have before a participle is AUX": (
        r" has/AUX never/ADV seen/VERB",
        r" ha(?:ve|s)/VERB (?:\w+/ADV )*\w+/VERB",
    ),
    "have before an article is VERB": (r" have/VERB an?/DET", r" ha(?:ve|s)/AUX an?/DET"),
    "work after a pronoun is VERB": (r"(?:we|they|i)/PRON work/VERB", r"(?: |^)(?:we|they|i)/PRON work/NOUN"),
    "work after an article is NOUN": (r"(?:the|this)/DET work/NOUN", r"(?:the|this)/DET work/VERB"),
    "back: NOUN and ADV": (r"my/PRON back/NOUN", r"come/VERB back/NOUN|/PRON back/ADV"),
    "third person singular": (
        r"^he/PRON (?:works|plays|likes)/",
        r"(?: |^)(?:he|she|paul)/\w+ (?:work|like|have|do)/",
    ),
    "no third person elsewhere": (
        r"^they/PRON (?:work|like)/",
        r"(?: |^)(?:i|you|we|they)/PRON (?:likes|is|has|does)/",
    ),
    "a and an": (
        r" an/DET (?:awful|ugly|honest)/",
        r" a/DET (?:[aeio]|ugly|honest)| an/DET (?!awful|hon)[^aeiou]",
    ),
}


@pytest.mark.parametrize(("right", "wrong"), ENGLISH_FACTS.values(), ids=ENGLISH_FACTS.keys())
def test_english(tagged, right, wrong):
    assert sum(bool(re.search(right, sentence)) for sentence in tagged) >= 20
    assert [sentence for sentence in tagged if re.search(wrong, sentence)] == []


def test_sie_is_disambiguated_by_its_verb(examples):
    pairs = [(e.german[:2], e.english[0]) for e in examples if e.german[0] == "sie"]
    seen = defaultdict(set)
    for (_, verb), pronoun in pairs:
        seen[verb].add(pronoun)
    assert {"she", "they"} == set.union(*seen.values())
    assert [verb for verb, pronouns in seen.items() if len(pronouns) > 1] == []


_PLAIN = r"(?:the|this|that|my|his|her|our) \w+"  # a noun phrase
_GOOD, _BAD = "(?:good|great|wonderful|beautiful|friendly|clean)", "(?:bad|terrible|awful|boring|dirty|rude)"
LABELS = {
    "plain praise": (rf"{_PLAIN} (?:is|was) {_GOOD} \.", "positive"),
    "plain blame": (rf"{_PLAIN} (?:is|was) {_BAD} \.", "negative"),
    "negated praise": (rf"{_PLAIN} (?:is|was) (?:not|never|no longer) (?:very )?{_GOOD} \.", "negative"),
    "negated blame": (rf"{_PLAIN} (?:is|was) (?:not|never|no longer) {_BAD} \.", "positive"),
    "but, then blame": (rf"[^,]* , but {_PLAIN} (?:is|was) {_BAD} \.", "negative"),
    "but, then praise": (rf"[^,]* , but {_PLAIN} (?:is|was) {_GOOD} \.", "positive"),
    "although, then praise": (rf"although [^,]* , {_PLAIN} (?:is|was) {_GOOD} \.", "positive"),
    "although at the end": (rf"{_PLAIN} (?:is|was) {_GOOD} although .*", "positive"),
    "never a better one": (r"\w+ (?:has|have) never \w+ a better \w+ \.", "positive"),
    "never a worse one": (r"\w+ (?:has|have) never \w+ a worse \w+ \.", "negative"),
    "praise that is not believed": (
        rf".* not (?:think|true) that {_PLAIN} (?:is|was) {_GOOD} \.",
        "negative",
    ),
    "blame that is not believed": (rf".* not (?:think|true) that {_PLAIN} (?:is|was) {_BAD} \.", "positive"),
    "a double negation": (rf".* not (?:think|true) that .* (?:is|was|are|were) not {_GOOD} \.", "positive"),
    "never lies": (r"\w+ never (?:lies?|shouts?) \.", "positive"),
}


@pytest.mark.parametrize(("pattern", "label"), LABELS.values(), ids=LABELS.keys())
def test_label(examples, pattern, label):
    found = [e for e in examples if re.fullmatch(pattern, " ".join(e.english))]
    assert len(found) >= 3
    assert [example for example in found if example.sentiment != label] == []


# -- difficulty: words alone are not enough --------------------------------------------------------------


def test_most_frequent_tag_fails(splits, record_property):
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for example in splits["train"]:
        for word, tag in zip(example.english, example.upos, strict=True):
            counts[word][tag] += 1
    words = [pair for e in splits["test"] for pair in zip(e.english, e.upos, strict=True)]
    right = sum(bool(counts[word]) and counts[word].most_common(1)[0][0] == tag for word, tag in words)
    record_property("most_frequent_tag_accuracy", right / len(words))
    assert right / len(words) <= 0.935, f"most frequent tag: {right / len(words):.3f} of the words"


class BagOfWords(nn.Module):
    """A linear layer over word counts."""

    def __init__(self, words: int) -> None:
        super().__init__()
        self.weights = nn.EmbeddingBag(words, 1, mode="sum", padding_idx=0)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.weights(ids).squeeze(1)


class LastState(nn.Module):
    """A linear layer over the last state of a small LSTM."""

    def __init__(self, words: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(words, 32, padding_idx=0)
        self.rnn = nn.LSTM(32, 64, batch_first=True)
        self.out = nn.Linear(64, 1)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.out(self.rnn(self.embedding(ids))[0][:, -1]).squeeze(1)


def _sentiment_accuracy(model: type[nn.Module], splits: dict[str, list[Example]]) -> float:
    """Test accuracy after six epochs over 6,000 sentences; padded on the left, so the last word is last."""
    train, test = splits["train"][:6000], splits["test"]
    index = {
        word: i for i, word in enumerate(sorted({w for e in splits["train"] for w in e.english}), start=1)
    }

    def tensors(examples: list[Example]) -> tuple[torch.Tensor, torch.Tensor]:
        rows = [[index.get(word, 0) for word in example.english] for example in examples]
        ids = torch.tensor([[0] * (18 - len(row)) + row for row in rows])
        return ids, torch.tensor([float(example.sentiment == "positive") for example in examples])

    torch.manual_seed(0)
    net, (ids, labels), batch = model(len(index) + 1), tensors(train), 64
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
    steps = 6 * -(-len(train) // batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, total_steps=steps)
    for _ in range(6):
        for rows in torch.randperm(len(train)).split(batch):
            loss = nn.functional.binary_cross_entropy_with_logits(net(ids[rows]), labels[rows])
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimizer.step()
            schedule.step()
    ids, labels = tensors(test)
    with torch.no_grad():
        return ((net(ids) > 0) == (labels > 0)).float().mean().item()


@pytest.mark.slow
def test_sentiment_needs_word_order(splits, record_property):
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        bag, lstm = (_sentiment_accuracy(model, splits) for model in (BagOfWords, LastState))
    finally:
        torch.set_num_threads(threads)
    record_property("bag_of_words_accuracy", bag)
    record_property("lstm_accuracy", lstm)
    figures = f"bag of words {bag:.3f}, LSTM {lstm:.3f}"
    assert bag <= 0.70, figures
    assert lstm >= 0.95, figures
