"""A model answers the same with NumPy as with torch: every task, cell, direction, pooling and attention."""

import pytest
import torch
from combinations import latin
from hypothesis import given, settings
from hypothesis import strategies as st

from nlp_rnn.data import Vocabulary, VocabularySettings
from nlp_rnn.errors import UsageError
from nlp_rnn.inference.pipelines import pipeline
from nlp_rnn.lite.pipelines import pipeline as lite_pipeline
from nlp_rnn.models import CELLS
from nlp_rnn.models.pooling import POOLINGS
from nlp_rnn.tasks import TASKS, BeamSettings, Translation
from nlp_rnn.tasks.pretrained import save_pretrained
from nlp_rnn.tasks.translation.data import TranslationProcessor

INT8_CELLS = [name for name, cell in CELLS.items() if cell.int8_step is not None]
INT8_TOLERANCE = 2e-2  # an input between two bytes may be rounded to either


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("name", TASKS)
def test_every_task_and_cell(make_folder, check_same, name, cell):
    _, _, answers = check_same(make_folder(name, cell=cell, num_layers=2), name)
    assert len({str(answer) for answer in answers}) > 2  # the inputs matter


@pytest.mark.parametrize(("cell", "pooling", "bidirectional"), latin(CELLS, POOLINGS, [False, True]))
def test_directions_and_poolings(make_folder, check_same, cell, bidirectional, pooling):
    options = {"cell": cell, "bidirectional": bidirectional, "pooling": pooling, "num_layers": 2}
    check_same(make_folder("sentiment", **options), "sentiment")


@pytest.mark.parametrize("pooling", ["concat", "attention"])
@pytest.mark.parametrize("name", ["sentiment", "text_pairs", "multi_label"])
def test_int8_weights_with_poolings(make_folder, difference, name, pooling, inputs_of):
    folder = make_folder(name, pooling=pooling, int8=True)
    ours, theirs = lite_pipeline(name, folder), pipeline(name, folder)
    values = inputs_of(name)[0]
    assert difference(ours([values]), theirs([values])) < INT8_TOLERANCE


@pytest.mark.parametrize("beam", [1, 3])
def test_a_tag_of_synthetic_rows_is_never_written(beam, tmp_path):
    tagged = Vocabulary.train(["ein film", "a film"], VocabularySettings(min_frequency=1), tags=("<bt>",))
    processor = TranslationProcessor(tagged, tagged, False, 30)
    task = Translation(processor, 6, 6, tie_embeddings="all", decoding=BeamSettings(beam=beam, n_best=beam))
    with torch.no_grad():
        task.model.decoder.bias[tagged.tokens().index("<bt>")] = 50
    save_pretrained(task, tmp_path / "model")
    for load in (pipeline, lite_pipeline):
        answer = load("translation", tmp_path / "model")("ein film")
        assert not any("<bt>" in other["text"] for other in answer["n_best"])


@pytest.mark.parametrize("cell", INT8_CELLS)
@pytest.mark.parametrize("name", TASKS)
def test_int8_weights(make_folder, difference, name, cell, inputs_of):
    folder = make_folder(name, cell=cell, num_layers=2, int8=True)
    ours, theirs = lite_pipeline(name, folder), pipeline(name, folder)
    values = inputs_of(name)[0]
    assert difference(ours([values]), theirs([values])) < INT8_TOLERANCE


@pytest.mark.parametrize(
    "options",
    [
        {"attention": "luong"},
        {"attention": "bahdanau"},
        {"context": True},
        {"context": True, "readout": "direct"},
        {"bidirectional": True, "context": True, "readout": "direct", "processor": {"reverse_source": False}},
        {"bidirectional": True, "copy_unknown": True, "attention": "bahdanau"},
        {"tie_embeddings": "decoder"},
        {"tie_embeddings": "all", "attention": "luong"},
        {"copy_unknown": True},
        {"copy_unknown": True, "attention": "bahdanau"},
        {"copy_unknown": True, "attention": "luong", "processor": {"reverse_source": False}},
        {"processor": {"reverse_target": True, "level": "bpe"}},
        {"processor": {"reverse_target": True}, "copy_unknown": True},
        {"processor": {"reverse_target": True}, "copy_unknown": True, "attention": "luong"},
        {"processor": {"level": "bpe"}},
        {"processor": {"level": "char"}},
    ],
    ids=str,
)
def test_variants_of_translation(make_folder, check_same, options):
    folder = make_folder("translation", num_layers=2, **options)
    check_same(folder, "translation")
    check_same(folder, "translation", beam=4, n_best=3)


@pytest.mark.parametrize(
    ("cell", "options", "tie_embeddings"),
    latin(
        CELLS,
        [{}, {"context": True}, {"attention": "luong"}, {"attention": "bahdanau"}],
        ["none", "decoder", "all"],
    ),
)
def test_a_bidirectional_encoder_goes_with_all_else(
    make_folder, check_same, difference, inputs_of, cell, options, tie_embeddings
):
    options = {**options, "cell": cell, "bidirectional": True, "tie_embeddings": tie_embeddings}
    check_same(make_folder("translation", num_layers=2, **options), "translation")
    if cell not in INT8_CELLS:
        return
    folder = make_folder("translation", int8=True, **options)
    ours, theirs = lite_pipeline("translation", folder), pipeline("translation", folder)
    values = inputs_of("translation")[0]
    assert difference(ours([values]), theirs([values])) < INT8_TOLERANCE


@pytest.mark.parametrize("length_penalty", [0.0, 1.0, 3.0])
@pytest.mark.parametrize(("beam", "n_best"), [(2, 1), (3, 3), (40, 5)])
@pytest.mark.parametrize("name", ["translation", "captioning", "language_modeling"])
def test_beams(make_folder, check_same, name, beam, n_best, length_penalty):
    decoding = BeamSettings(beam, length_penalty, n_best, max_output=6)
    _, _, answers = check_same(make_folder(name, decoding=decoding), name)
    assert {len(answer["n_best"]) for answer in answers} == {n_best}


@pytest.mark.parametrize(
    "options",
    [
        {"processor": {"characters": False}},
        {"crf": True},
        {"processor": {"affixes": [-2, -3, 3]}},
        {"processor": {"affixes": [1], "characters": False}, "bidirectional": False},
        {"processor": {"affixes": [-2, 16]}, "int8": True},
        {"processor": {"columns": ("ner",), "scheme": "iob1"}},
        {"processor": {"columns": ("ner",), "scheme": "iobes"}, "crf": True},
        {"processor": {"columns": ("upos", "lemma", "ner")}},
        {"processor": {"columns": ("ner", "upos", "lemma"), "scheme": "bilou"}, "crf": True},
        {"bidirectional": False, "cell": "mingru"},
    ],
    ids=str,
)
def test_variants_of_tagging(make_folder, check_same, options):
    check_same(make_folder("tagging", **options), "tagging")


def test_words_are_not_split_on_request(make_folder):
    folder = make_folder("tagging")
    ours, theirs = lite_pipeline("tagging", folder), pipeline("tagging", folder)
    ours.task.take_words()
    theirs.task.take_words()
    assert ours("don't.")["words"] == theirs("don't.")["words"] == ["don't."]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("sentiment", {"temperature": 2.5}),
        ("sentiment", {"unsure_below": 0.5}),
        ("text_pairs", {"temperature": 0.5, "unsure_below": 0.6}),
        ("multi_label", {"thresholds": [0.1, 0.5, 0.9]}),
        ("language_modeling", {"tie_weights": True}),
        ("language_modeling", {"bidirectional": True, "num_layers": 2}),
        ("language_modeling", {"processor": {"level": "char"}}),
        ("sentiment", {"processor": {"level": "bpe"}}),
    ],
)
def test_settings_of_answers(make_folder, check_same, name, options):
    check_same(make_folder(name, **options), name)


def test_a_threshold_of_the_pipeline(make_folder, check_same):
    _, _, answers = check_same(make_folder("sentiment"), "sentiment", unsure_below=0.9)
    assert "unsure" in {answer["label"] for answer in answers}


@pytest.fixture(scope="module")
def pairs_of_pipelines(make_folder):
    made = {}
    for name in ("sentiment", "tagging", "translation", "language_modeling"):
        folder = make_folder(name, num_layers=2)
        made[name] = lite_pipeline(name, folder), pipeline(name, folder)
    return made


@pytest.mark.parametrize("name", ["sentiment", "tagging", "translation", "language_modeling"])
@settings(max_examples=40, deadline=None)
@given(texts=st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=30), min_size=1, max_size=4))
def test_any_texts(pairs_of_pipelines, difference, name, texts):
    ours, theirs = pairs_of_pipelines[name]
    assert difference(ours(texts), theirs(texts)) < 2e-5


@pytest.mark.parametrize("name", TASKS)
def test_a_batch_is_answered_as_its_rows_alone(make_folder, difference, inputs_of, name):
    answerer = lite_pipeline(name, make_folder(name), batch_size=3)
    inputs = inputs_of(name)
    alone = [answerer([value])[0] for value in inputs]
    assert difference(answerer(inputs), alone) < 1e-5
    assert difference(list(answerer.iterate(iter(inputs), window=2)), alone) < 1e-5


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("sentiment", {"pooling": "last"}),
        ("sentiment", {"pooling": "mean"}),
        ("sentiment", {"pooling": "max", "processor": {"level": "char"}}),
        ("multi_label", {}),
        ("tagging", {}),
        ("language_modeling", {}),
        ("language_modeling", {"processor": {"level": "bpe"}}),
    ],
)
def test_streams(make_folder, difference, name, options, cell):
    one_way = {} if name == "language_modeling" else {"bidirectional": False}
    folder = make_folder(name, cell=cell, num_layers=2, **one_way, **options)
    ours, theirs = lite_pipeline(name, folder).stream(), pipeline(name, folder).stream()
    for piece in ["the", " ", "film is <b", "r />", "not", "good ,", "xyz e\u0301", ""]:
        assert difference(ours(piece), theirs(piece)) < 2e-5


@pytest.mark.parametrize("prompt", ["", "the film", "the ", "an unseen"])
@pytest.mark.parametrize("level", ["word", "char"])
def test_continuations_are_the_same_without_sampling(make_folder, difference, prompt, level):
    folder = make_folder("language_modeling", processor={"level": level}, num_layers=2)
    ours, theirs = (make("text-generation", folder) for make in (lite_pipeline, pipeline))
    assert list(ours.generate(prompt, 9)) == list(theirs.generate(prompt, 9))
    steps = [[list(step) for step in answerer.steps(prompt, 9)] for answerer in (ours, theirs)]
    assert difference(*steps) < 2e-5


def test_sampling_has_the_probabilities_of_the_model(make_folder):
    answerer = lite_pipeline("text-generation", make_folder("language_modeling"))
    first = {step.predicted: step.probability for seed in range(300) for step in one(answerer, seed)}
    counts = dict.fromkeys(first, 0)
    for seed in range(300):
        for step in one(answerer, seed):
            counts[step.predicted] += 1
    assert all(abs(counts[token] / 300 - probability) < 0.1 for token, probability in first.items())
    best = max(first, key=first.get)
    assert {step.predicted for seed in range(20) for step in one(answerer, seed, top_k=1)} == {best}
    assert {step.predicted for seed in range(20) for step in one(answerer, seed, top_p=1e-6)} == {best}
    assert {step.predicted for seed in range(20) for step in one(answerer, seed, temperature=0.001)} == {best}


def one(answerer, seed, temperature=1.0, **options):
    return answerer.steps("", 1, temperature, seed=seed, **options)


@pytest.mark.parametrize("beam", [1, 3])
@pytest.mark.parametrize(
    "options",
    [{}, {"attention": "luong"}, {"attention": "bahdanau", "cell": "gru"}, {"context": True}],
    ids=str,
)
def test_prefixes_and_constraints(make_folder, check_same, options, beam):
    demands = [
        {"prefix": "the film"},
        {"constraints": ["google", "not good"]},
        {"prefix": "a", "constraints": ["work"]},
        {},
    ]
    inputs = [{"text": text, **demand} for text in ("i work", "", "the film is") for demand in demands]
    folder = make_folder("translation", **options)
    _, _, answers = check_same(folder, "translation", inputs, beam=beam)
    assert all("google" in answer["text"] and "not good" in answer["text"] for answer in answers[1::4])
    assert all(answer["text"].startswith("the film") for answer in answers[::4])
    for make in (lite_pipeline, pipeline):
        with pytest.raises(UsageError, match="at most 7: ask for less"):
            make("translation", folder)({"text": "good", "prefix": "a " * 8})
