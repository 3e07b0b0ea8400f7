"""Raw text to words in JavaScript, against `WordSplitter`."""

import random
import unicodedata
from dataclasses import asdict

from page_runtime import needs_node, run_node

from nlp_rnn.export.html.unicode_tables import letter_classes
from nlp_rnn.tasks.tagging.split_learning import learn_splitter
from nlp_rnn.tasks.tagging.splitting import WordSplitter

CORPUS = {
    "I don't know.": "I do n't know .",
    "Anna's cat and Jim's bird see the town's end.": "Anna 's cat and Jim 's bird see the town 's end .",
    "The dogs' bowl isn't new.": "The dogs ' bowl is n't new .",
    "Mr. Jones lives in the U.S. today.": "Mr. Jones lives in the U.S. today .",
    '"Yes," she said. It costs $5.': '" Yes , " she said . It costs $ 5 .',
    "L'homme va au marché.": "L' homme va à le marché .",
    "Il parle du chien.": "Il parle de le chien .",
    "我喜欢狗。": "我 喜欢 狗 。",
}
WORDS = [words.split() for words in CORPUS.values()]
SPLITTERS = [
    WordSplitter(),
    learn_splitter([None] * len(CORPUS), WORDS),
    learn_splitter(list(CORPUS), WORDS),
    WordSplitter({"F.3": 1, "SNN": 2, "A+": 1, "B-aa": -1, "A-": 1}, dense=True),
]
PARTS = [
    "don't", "They'll", "'s", "the dogs'", "du", "DU", "Du", "a.b@c.de", "@me", "#tag_1", "wWw.y.z",
    "www.x.org/a?b=c.", "http://a.b/(c)", "ſ_//", "1,000.50", "10:30", "2024-01-05", "1st", "U.S.", "e.g.",
    ":-)", ":D", ";(", "<3", "<33x", "…", "...", "--", "``", "''", '"', "(", ")", "[a]", "👍🏽", "👨‍👩‍👧",
    "🇩🇪🇫🇷🇪", "e\u0301", "\u0301", "\u1112\u1161\u11ab", "狗", "Ǆ", "İ", "ß", "𝐀𝐚", "\u200d", "\u00ad",
    "_", "-", "’", "‑", "z", "\x1c", "\x85", "\u3000", "\ufeff", " ", " ", "\n",
]  # fmt: skip


def sample_texts():
    rng = random.Random(0)
    texts = ["", " ", *CORPUS, *CORPUS.values()]
    assigned = [
        chr(point) for point in range(0x20000) if unicodedata.category(chr(point)) not in ("Cs", "Cn", "Co")
    ]
    for _ in range(1500):
        texts.append("".join(rng.choice(PARTS) for _ in range(rng.randrange(1, 9))))
        texts.append("".join(rng.choice([*PARTS, *rng.choices(assigned, k=40)]) for _ in range(12)))
    return texts


@needs_node
def test_words_and_places_are_those_of_python(tmp_path):
    texts = sample_texts()
    given = {
        "splitters": [{**asdict(splitter), "classes": letter_classes()} for splitter in SPLITTERS] + [None],
        "texts": texts,
    }
    body = (
        "const words = (splitter, text) =>"
        "  splitter.split(text).map(({ word, start, end }) => [start, end, word]);"
        "const made = given.splitters.map((one) => new WordSplitter(one));"
        "return made.map((splitter) => given.texts.map((text) => words(splitter, text)));"
    )
    found = run_node(tmp_path, body, given)
    for splitter, results in zip(SPLITTERS, found, strict=False):
        for text, words in zip(texts, results, strict=True):
            expected = [[*token[:2], word] for token in splitter.split(text) for word in token.words]
            assert words == expected, (text, splitter.weights.keys())
    for text, words in zip(texts, found[-1], strict=True):
        assert [word for _, _, word in words] == text.split()
        assert "".join(text[start:end] for start, end, _ in words) == "".join(text.split())
