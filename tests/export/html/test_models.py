"""The models in JavaScript, against torch with the same rounded weights."""

from itertools import product

import pytest
import torch
from page_runtime import answers_in_node, answers_in_python, assert_same, needs_node, run_node

from nlp_rnn.data import Vocabulary, VocabularySettings
from nlp_rnn.export.html.weights import round_weights
from nlp_rnn.models import CELLS
from nlp_rnn.models.pooling import POOLINGS
from nlp_rnn.models.translator import ATTENTIONS
from nlp_rnn.tasks import LanguageModeling, MultiLabel, Sentiment, Tagging, TextPairs, Translation
from nlp_rnn.tasks.generation import BeamSettings
from nlp_rnn.tasks.language_modeling.data import LanguageModelingProcessor
from nlp_rnn.tasks.multi_label.data import MultiLabelProcessor
from nlp_rnn.tasks.sentiment.data import SentimentProcessor
from nlp_rnn.tasks.tagging.data import TaggingProcessor
from nlp_rnn.tasks.tagging.splitting import WordSplitter
from nlp_rnn.tasks.text_pairs.data import TextPairsProcessor
from nlp_rnn.tasks.translation.data import TranslationProcessor

pytestmark = needs_node

SENTENCES = ["the cook isn't here , she sleeps .", "a good film , I think !", "They sing in 1,000 cities ?"]
TEXTS = [*SENTENCES, "", " \t\u00a0", "zzz", "THE the the", "a " * 30, "good film\u0085<br>here"]
SIZES = {"embedding_dim": 6, "hidden_dim": 7}


def vocabulary(level="word", lowercase=True, tags=()):
    settings = VocabularySettings(level=level, lowercase=lowercase, min_frequency=1, max_size=60)
    return Vocabulary.train(SENTENCES, settings, tags)


def check(tasks, inputs, folder):
    """Compare tasks with their pages; returns all answers.

    Weights are larger than at first: gates and answers differ from each other.
    """
    models = [(task.eval(), inputs) for task in tasks]
    with torch.no_grad():
        for task, _ in models:
            for weight in task.model.parameters():
                bound = 1.5 if weight.dim() > 1 else 0.2
                weight.uniform_(-bound, bound)
    expected = [answers_in_python(round_weights(task), inputs) for task, _ in models]
    assert_same(expected, answers_in_node(folder, models))
    return [answer for answers in expected for answer in answers]


@pytest.mark.parametrize("cell", CELLS)
def test_every_cell_direction_depth_and_pooling(cell, tmp_path):
    tasks = []
    for bidirectional, layers, pooling in product((False, True), (1, 2), POOLINGS):
        processor = SentimentProcessor(vocabulary(), list("012"), ["no", "yes", "0"], max_length=9)
        options = {"cell": cell, "bidirectional": bidirectional, "num_layers": layers, "pooling": pooling}
        tasks.append(Sentiment(processor, **SIZES, **options, temperature=1.7, unsure_below=0.5))
    labels = {answer["label"] for answer in check(tasks, TEXTS, tmp_path)}
    assert {None, "unsure", "no", "yes", "0"} <= labels


@pytest.mark.parametrize("level", ["word", "char", "bpe"])
def test_multi_label(level, tmp_path):
    names = ["a", "b", "__proto__"]
    processor = MultiLabelProcessor(vocabulary(level), names, max_length=20)
    task = MultiLabel(processor, **SIZES, thresholds=[0.5, 0.3, 0.9])
    answers = check([task], TEXTS, tmp_path)
    assert len({str(answer["labels"]) for answer in answers}) > 2


@pytest.mark.parametrize("bidirectional", [False, True])
def test_text_pairs(bidirectional, tmp_path):
    processor = TextPairsProcessor(vocabulary("bpe"), ["no", "yes"], max_length=9)
    task = TextPairs(processor, **SIZES, bidirectional=bidirectional)
    answers = check([task], [list(pair) for pair in product(TEXTS[:5], repeat=2)], tmp_path)
    assert {answer["label"] for answer in answers} == {None, "no", "yes"}


SPANS = ["B-A", "B-B", "I-A", "I-B", "O"]
SPLITTER = WordSplitter(chunks=["is n't", "Dr."], contractions=["du de le"])


@pytest.mark.parametrize(
    ("settings", "options"),
    [
        ({}, {}),
        ({"characters": False}, {"bidirectional": False}),
        ({"affixes": [-2, -3, 3], "affix_buckets": 50}, {}),
        ({"affixes": [-1, 16], "affix_buckets": 9, "characters": False}, {"bidirectional": False}),
        ({"characters": False, "splitter": None}, {"cell": "mingru"}),
        ({"labels": SPANS, "columns": ["ner"], "schemes": ["iob2"]}, {"cell": "gru"}),
        ({"labels": SPANS, "columns": ["ner"], "schemes": ["iob2"]}, {"crf": True}),
        ({}, {"crf": True, "cell": "rnn"}),
        (
            {
                "columns": ["upos", "lemma", "ner"],
                "other_labels": [["lower|-0+|-1+", "title|-0+x|-0+y", "=be", "upper|-9+|-9+"], SPANS],
                "schemes": ["", "", "iob1"],
            },
            {"num_layers": 2},
        ),
    ],
)
def test_tagging(settings, options, tmp_path):
    letters = Vocabulary.train(["".join(SENTENCES)], VocabularySettings(level="char", min_frequency=1))
    words = Vocabulary.train_on_words(
        [text.split() for text in SENTENCES], VocabularySettings(min_frequency=1)
    )
    chosen = {"labels": ["X", "Y", "Z"], "splitter": SPLITTER, **settings}
    chosen["characters"] = letters if chosen.pop("characters", True) else None
    processor = TaggingProcessor(words, **chosen, max_length=20, max_word_length=4)
    task = Tagging(processor, **SIZES, character_embedding_dim=3, character_hidden_dim=4, **options)
    inputs = [*TEXTS, "Dr. No isn't here, (du) Du DU!", ["Cafe\u0301", "ISN'T", "ǆ", "don't"], []]
    answers = check([task], inputs, tmp_path)
    assert len({tag for answer in answers for tag in answer["tags"]}) > 1
    if chosen["labels"] is SPANS:
        assert any(answer["entities"] for answer in answers)


@pytest.mark.parametrize(
    ("level", "options"),
    [
        ("word", {}),
        ("char", {"cell": "gru", "num_layers": 2}),
        ("char", {"bidirectional": True}),
        ("bpe", {"tie_weights": True, "embedding_dim": 7, "cell": "minlstm"}),
        ("word", {"decoding": BeamSettings(beam=4, n_best=3, max_output=12, length_penalty=0.6)}),
    ],
)
def test_language_modeling(level, options, tmp_path):
    processor = LanguageModelingProcessor(vocabulary(level), max_length=12)
    task = LanguageModeling(processor, **{**SIZES, "decoding": BeamSettings(max_output=9), **options})
    answers = check([task], TEXTS, tmp_path)
    assert len({answer["text"] for answer in answers}) > 2


VARIANTS = [{"attention": name} for name in ATTENTIONS] + [{"context": True}]
VARIANTS += [{**variant, "bidirectional": True} for variant in VARIANTS]
BEAMS = [BeamSettings(max_output=8), BeamSettings(beam=3, n_best=3, max_output=8)]


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
@pytest.mark.parametrize("tie", ["none", "decoder", "all"])
def test_translation(variant, tie, tmp_path):
    tasks = []
    for (reverse, reverse_target), decoding in product([(False, False), (True, True)], BEAMS):
        vocabularies = vocabulary("bpe"), vocabulary("bpe" if tie == "all" else "word", lowercase=False)
        if tie == "all":
            vocabularies = vocabularies[:1] * 2
        processor = TranslationProcessor(*vocabularies, reverse, 10, reverse_target)
        sizes = {"embedding_dim": 8, "hidden_dim": 8, "num_layers": 2}
        tasks.append(Translation(processor, **sizes, tie_embeddings=tie, decoding=decoding, **variant))
    assert len({answer["text"] for answer in check(tasks, TEXTS, tmp_path)}) > 3


def test_a_tag_of_synthetic_rows_is_never_written(tmp_path):
    tags = [f"<{number}>" for number in range(30)]  # so many that one is the most probable token
    both = vocabulary("bpe", tags=tags)
    task = Translation(TranslationProcessor(both, both, False, 10), 8, 8, tie_embeddings="all")
    texts = [answer["text"] for answer in check([task], TEXTS, tmp_path)]
    assert any(texts)
    assert not any("<" in text for text in texts)


def test_a_unidirectional_model_reads_on_from_what_it_has_read(tmp_path):
    body = (
        "const weights = { 'r.weight_ih_l0': new Matrix(2, 1, [1, 1], new Int8Array([1, 2])),"
        " 'r.bias_ih_l0': new Float32Array(2) };"
        "let calls = 0;"
        "const reader = new Reader(new Recurrent(weights, 'r', 'mingru'), (id) => (calls++, [id]));"
        "return given.map((ids) => [reader.read(ids).map(({ output }) => output[0]), calls]);"
    )
    texts = [[1, 2], [1, 2, 3], [1, 2, 3], [1, 5], []]
    found = run_node(tmp_path, body, texts)
    assert [calls for _, calls in found] == [2, 3, 3, 4, 4]
    assert [len(outputs) for outputs, _ in found] == [2, 3, 3, 2, 0]
    assert found[1][0][:2] == found[0][0]
    assert found[3][0][0] == found[0][0][0] != found[3][0][1]


def test_sampling_follows_the_probabilities_at_a_temperature(tmp_path):
    body = (
        "const step = (id, state) => ({ logits: [9, 9, 9, 0, given.logit, -Infinity], state });"
        "let [seed, ended] = [1, 0];"
        "const random = () => (seed = (seed * 16807) % 2147483647) / 2147483647;"
        "for (let i = 0; i < 4000; i++) {"
        "  const never = [PAD, UNK, BOS];"
        "  const { tokens, finished } = sample(step, null, BOS, given.temperature, 1, never, random);"
        "  if (finished !== (tokens.length === 0)) throw new Error('EOS');"
        "  ended += finished;"
        "}"
        "return ended / 4000;"
    )
    for logit, temperature in ((1.0, 1.0), (1.0, 0.5), (-2.0, 2.0)):
        expected = 1 / (1 + torch.tensor(logit / temperature).exp().item())
        found = run_node(tmp_path, body, {"logit": logit, "temperature": temperature})
        assert found == pytest.approx(expected, abs=0.03)
