"""A language model's weights as another model's first ones."""

import json
import shutil

import pytest
import torch

from nlp_rnn.cli.main import main
from nlp_rnn.data import ForecastingData, SentimentData, Vocabulary, VocabularySettings
from nlp_rnn.data.vocabulary import SPECIALS, UNK
from nlp_rnn.errors import UsageError
from nlp_rnn.models.layers.cells import CELLS
from nlp_rnn.models.layers.quantization import quantize
from nlp_rnn.tasks import TASKS, Forecasting, LanguageModeling, Sentiment, Tagging
from nlp_rnn.tasks.language_modeling.data import LanguageModelingProcessor
from nlp_rnn.tasks.pretrained import from_pretrained, save_pretrained
from nlp_rnn.tasks.sentiment.data import SentimentProcessor
from nlp_rnn.tasks.tagging.data import TaggingProcessor

EVERY = VocabularySettings(min_frequency=1)
READ = ["the film is good", "the work is here"]
OTHER = ["good work is rare", "a film"]  # a and rare are new


def vocabulary(texts):
    return Vocabulary.train(texts, EVERY)


def language_model(folder, cell="lstm", layers=1, embedding_dim=6, hidden_dim=7, **options):
    torch.manual_seed(1)
    processor = LanguageModelingProcessor(vocabulary(READ))
    task = LanguageModeling(processor, embedding_dim, hidden_dim, layers, cell=cell, **options)
    return task, str(save_pretrained(task, folder))


def sentiment(source=None, cell="lstm", layers=1, bidirectional=False, embedding_dim=6, hidden_dim=7):
    torch.manual_seed(0)
    processor = SentimentProcessor(vocabulary(OTHER), ["0", "1"], ["bad", "good"])
    sizes = (embedding_dim, hidden_dim, layers, 0.0, cell, bidirectional)
    return Sentiment(processor, *sizes, init_encoder=source)


def tagging(source=None, letters=True, **options):
    torch.manual_seed(0)
    words = Vocabulary.train_on_words([text.split() for text in OTHER], EVERY)
    characters = Vocabulary.train(OTHER, VocabularySettings("char", min_frequency=1)) if letters else None
    processor = TaggingProcessor(words, ["NOUN", "VERB"], characters)
    return Tagging(processor, 6, 7, 1, 0.0, init_encoder=source, **options)


@pytest.mark.parametrize("cell", CELLS)
def test_initialized_encoder_equals_the_language_model(cell, tmp_path, capsys):
    given, source = language_model(tmp_path / "lm", cell)
    made = sentiment(source, cell)
    said, count = capsys.readouterr(), len(list(made.model.rnn.parameters()))
    assert said.out == ""
    words = f"init_encoder {source}: copied 8 of 10 token embeddings (80.0%)"
    hint = f"; --data.vocabulary.model {source} takes over all tokens"
    assert said.err == f"{words} and {count} of {count} recurrent tensors{hint}\n"
    for text in [*READ, *OTHER]:  # words that one of them lacks too
        outputs = []
        for task in (given, made):
            ids = torch.tensor(task.processor.tokens.encode([text])).t()
            if task is given:  # what the classifier has no token for is unknown to it
                known = made.processor.tokens.tokens()
                names = given.processor.tokens.tokens()
                ids = torch.tensor([[id if names[id] in known else UNK] for id in ids[:, 0].tolist()])
            outputs.append(task.model.rnn(task.model.embedding(ids))[0])
        assert torch.equal(*outputs)


def test_rows_go_to_the_tokens_of_the_same_name(tmp_path):
    given, source = language_model(tmp_path / "lm")
    plain, made = sentiment(), sentiment(source)
    theirs = given.processor.tokens.tokens()
    for id, token in enumerate(made.processor.tokens.tokens()):
        row = theirs.index(token) if token in theirs else UNK
        assert torch.equal(made.model.embedding.weight[id], given.model.embedding.weight[row])
    assert {"good", "work", "film", *SPECIALS} <= set(theirs)
    # All else begins as it would have without.
    assert torch.equal(made.model.fc_out.weight, plain.model.fc_out.weight)
    assert not torch.equal(made.model.rnn.weight_hh_l0, plain.model.rnn.weight_hh_l0)


@pytest.mark.parametrize(
    ("given_layers", "layers", "bidirectional", "copied", "all_of_them"),
    [(1, 1, True, 4, 8), (2, 2, False, 8, 8), (2, 2, True, 8, 16), (2, 1, False, 4, 4), (1, 2, False, 4, 8)],
)
def test_layers_that_fit(given_layers, layers, bidirectional, copied, all_of_them, tmp_path, capsys):
    given, source = language_model(tmp_path / "lm", layers=given_layers)
    plain, made = (
        sentiment(path, layers=layers, bidirectional=bidirectional).model.rnn for path in (None, source)
    )
    assert f"and {copied} of {all_of_them} recurrent tensors" in capsys.readouterr().err
    changed = set()
    for name, weight in made.named_parameters():
        theirs = dict(given.model.rnn.named_parameters()).get(name)
        if theirs is not None and torch.equal(weight[..., : theirs.size(-1)], theirs):
            assert not weight[..., theirs.size(-1) :].any()
            changed.add(name)
        else:
            assert torch.equal(weight, dict(plain.named_parameters())[name])
    assert len(changed) == copied
    assert not any(name.endswith("reverse") for name in changed)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("read", [READ, OTHER])
def test_both_directions_of_an_encoder_equal_those_of_the_language_model(cell, read, tmp_path, capsys):
    given, source = language_model(tmp_path / "lm", cell, layers=3, bidirectional=True, dropout=0.0)
    made = sentiment(source, cell, layers=3, bidirectional=True)
    count = len(list(made.model.rnn.parameters()))
    assert f"and {count} of {count} recurrent tensors" in capsys.readouterr().err
    encoded = [torch.tensor(ids) for ids in made.processor.tokens.encode(read)]
    lengths = torch.tensor([len(ids) for ids in encoded])
    words = made.model.embedding(torch.nn.utils.rnn.pad_sequence(encoded))
    outputs = made.model.rnn.outputs(words, lengths=lengths)
    for row, length in enumerate(lengths.tolist()):
        text = words[:length, row]
        forward, backward = (outputs[:length, row, half] for half in (slice(7), slice(7, None)))
        torch.testing.assert_close(forward, given.model.rnn.outputs(text[:, None])[:, 0])
        theirs = given.model.backward_rnn.outputs(text.flip(0)[:, None])[:, 0].flip(0)
        torch.testing.assert_close(backward, theirs)


def test_one_direction_is_initialized_by_a_language_model_of_two(tmp_path, capsys):
    given, source = language_model(tmp_path / "lm", bidirectional=True)
    made = sentiment(source)
    assert "4 of 4 recurrent tensors" in capsys.readouterr().err
    assert all(map(torch.equal, made.model.rnn.parameters(), given.model.rnn.parameters()))


ROWS = [{"text": text, "label": label} for text, label in zip(OTHER * 5, "01" * 5, strict=True)]


@pytest.mark.parametrize("level", ["word", "bpe", "char"])
def test_data_takes_over_the_vocabulary_of_a_language_model(level, tmp_path, capsys):
    settings = VocabularySettings(level, model=str(tmp_path / "lm"))
    for texts in (READ, [*READ, "and more of it"]):  # another model takes the place of the first
        taken = Vocabulary.train(texts, VocabularySettings(level, min_frequency=1))
        lm = LanguageModeling(LanguageModelingProcessor(taken), 6, 7)
        save_pretrained(lm, tmp_path / "lm")
        processor = SentimentData(ROWS, vocabulary=settings).processor
        assert processor.tokens.to_json() == taken.to_json()
        made = Sentiment(processor, 6, 7, 1, 0.0, init_encoder=str(tmp_path / "lm"))
        said = capsys.readouterr().err
        assert "(100.0%)" in said
        assert "--data.vocabulary.model" not in said
        assert torch.equal(made.model.embedding.weight, lm.model.embedding.weight)


def test_a_trained_model_is_measured_without_the_folder_of_its_vocabulary(tmp_path):
    language_model(tmp_path / "lm")
    settings = VocabularySettings(model=str(tmp_path / "lm"))
    processor = SentimentData(ROWS, vocabulary=settings).processor
    shutil.rmtree(tmp_path / "lm")
    data = SentimentData(ROWS, vocabulary=settings)
    data.attach_processor(processor)
    assert data.processor is processor


def test_words_take_over_the_vocabulary_of_texts(tmp_path):
    lm, source = language_model(tmp_path / "lm")
    words = Vocabulary.train_on_words([["brand-new", "film"]], VocabularySettings(model=source))
    assert words.tokens() == lm.processor.tokens.tokens()
    assert words.encode_words(["film", "the film"]) == [words.tokens().index("film"), UNK]


@pytest.mark.parametrize(
    ("folder", "message"),
    [
        ("nowhere", "vocabulary.model: .*nowhere: no such model folder"),
        ("series", "vocabulary.model: .*series: its model reads no text with a vocabulary"),
        (".", r"config\.json"),
    ],
)
def test_vocabularies_that_cannot_be_taken_over(folder, message, tmp_path):
    language_model(tmp_path / "lm")
    save_pretrained(Forecasting(ForecastingData("ramp").processor, 4), tmp_path / "series")
    with pytest.raises(UsageError, match=message):
        Vocabulary.train([], VocabularySettings(model=str(tmp_path / folder)))


def test_words_do_not_take_over_characters(tmp_path):
    characters = Vocabulary.train(READ, VocabularySettings("char"))
    folder = save_pretrained(LanguageModeling(LanguageModelingProcessor(characters), 6, 7), tmp_path / "lm")
    with pytest.raises(UsageError, match="its tokens are not words"):
        Vocabulary.train_on_words([], VocabularySettings(model=str(folder)))


def test_character_tagger_takes_all_weights_but_its_input_columns(tmp_path, capsys):
    given, source = language_model(tmp_path / "lm")
    plain, made = tagging(None), tagging(source)
    assert "8 of 10 token embeddings (80.0%) and 4 of 8 recurrent" in capsys.readouterr().err
    theirs, first, found = (task.model.rnn for task in (given, plain, made))
    size = given.model.embedding.embedding_dim
    assert torch.equal(found.weight_ih_l0[:, :size], theirs.weight_ih_l0)
    assert torch.equal(found.weight_ih_l0[:, size:], first.weight_ih_l0[:, size:])
    assert found.weight_ih_l0.size(1) > size
    assert torch.equal(found.weight_hh_l0, theirs.weight_hh_l0)
    rows = [task.processor.vocabularies() for task in (given, made)]
    row, own = (next(iter(each.values())).tokens().index("work") for each in rows)
    assert torch.equal(made.model.embedding.weight[own], given.model.embedding.weight[row])
    tagging(source, letters=False)
    assert "4 of 8 recurrent" in capsys.readouterr().err
    with pytest.raises(UsageError, match="its cell is lstm, this model's gru"):
        tagging(source, cell="gru")


FAULTS = [
    ({"cell": "gru"}, "its cell is lstm, this model's gru; they must be equal"),
    ({"embedding_dim": 5}, "its embedding_dim is 6, this model's 5; they must be equal"),
    ({"hidden_dim": 9}, "its hidden_dim is 7, this model's 9; they must be equal"),
]


@pytest.mark.parametrize(("options", "message"), FAULTS)
def test_other_sizes_are_refused(options, message, tmp_path):
    _, source = language_model(tmp_path / "lm")
    with pytest.raises(UsageError, match=message):
        sentiment(source, **options)


def test_models_other_than_language_models_are_refused(tmp_path):
    save_pretrained(sentiment(), tmp_path / "classifier")
    with pytest.raises(UsageError, match="holds a model for sentiment, not for language_modeling"):
        sentiment(str(tmp_path / "classifier"))
    task, _ = language_model(tmp_path / "lm")
    quantize(task.model)
    with pytest.raises(UsageError, match="its weights are int8"):
        sentiment(str(save_pretrained(task, tmp_path / "int8")))
    with pytest.raises(UsageError, match=r"init_encoder: .*no such model folder"):
        sentiment(str(tmp_path / "nowhere"))


def vector_file(folder, words, size=6):
    path = folder / "vectors.txt"
    lines = (f"{word} {' '.join(str(number + place) for place in range(size))}" for number, word in words)
    path.write_text("\n".join(lines))
    return str(path)


def make_with_vectors(name, path):
    torch.manual_seed(0)
    words = [text.split() for text in OTHER]
    processor, sizes = {
        "sentiment": (SentimentProcessor(vocabulary(OTHER), ["0", "1"], ["bad", "good"]), (6, 7)),
        "tagging": (TaggingProcessor(Vocabulary.train_on_words(words, EVERY), ["NOUN", "VERB"]), (6, 7)),
        "language_modeling": (LanguageModelingProcessor(vocabulary(OTHER)), (6, 6)),
    }[name]
    tie = {"tie_weights": True} if name == "language_modeling" else {}
    return TASKS[name](processor, *sizes, vectors=path, **tie)


@pytest.mark.parametrize("name", ["sentiment", "tagging", "language_modeling"])
def test_embedding_is_initialized_with_vectors(name, tmp_path, capsys):
    path = vector_file(tmp_path, [(1.0, "Good"), (3.0, "work"), (9.0, "unused")])
    plain, task = make_with_vectors(name, None), make_with_vectors(name, path)
    assert capsys.readouterr().err == (
        f"vectors {path}: 2 of 6 tokens found (33.3%: 1 as written, 1 in lower case)\n"
    )
    tokens = next(iter(task.processor.vocabularies().values())).tokens()
    weight, before = task.model.embedding.weight, plain.model.embedding.weight
    steps = torch.arange(6.0)
    found = [tokens.index("good"), tokens.index("work")]
    expected = torch.stack([1 + steps, 3 + steps])
    scale = before[found].square().mean().sqrt() / expected.square().mean().sqrt()
    torch.testing.assert_close(weight[found], expected * scale)
    torch.testing.assert_close(weight[UNK], (2 + steps) * scale)  # their mean
    assert torch.equal(weight[0], before[0])
    others = [row for row, token in enumerate(tokens) if token not in ("good", "work") and row > UNK]
    assert len(weight[others].unique()) == len(others) * 6
    assert (weight[others] / scale - 2 - steps).abs().max() < 5  # their standard deviation is 1
    for own, other in zip(task.model.parameters(), plain.model.parameters(), strict=True):
        assert torch.equal(own, other) == (own is not weight)
    assert "vectors" not in task.stored()["settings"]


def test_vectors_of_another_size_or_language_are_refused(tmp_path, caplog):
    with pytest.raises(UsageError, match=r"have 5 dimensions, the embedding has 6: set model.embedding_dim"):
        make_with_vectors("sentiment", vector_file(tmp_path, [(1.0, "good")], size=5))
    with pytest.raises(UsageError, match="none of the 6 tokens is among its words"):
        make_with_vectors("sentiment", vector_file(tmp_path, [(1.0, "gut")]))
    make_with_vectors("sentiment", vector_file(tmp_path, [(1.0, "good")]))
    assert "few tokens were found; vectors of words are for vocabulary.level word" in caplog.text


@pytest.mark.slow
def test_result_is_remembered(tmp_path, capsys):
    """By a saved model, nor where training goes on, though the run's configuration names it."""
    torch.manual_seed(0)
    _, source = language_model(tmp_path / "lm", embedding_dim=8, hidden_dim=8)
    arguments = [
        *("fit", "--model", "nlp_rnn.tasks.Sentiment", "--data", "nlp_rnn.data.SentimentData"),
        *("--data.corpus.max_examples", "40", "--trainer.enable_progress_bar", "false"),
        *("--model.embedding_dim", "8", "--model.hidden_dim", "8", "--model.init_encoder", source),
        *("--runs", str(tmp_path / "runs"), "--name", "x"),
    ]
    main([*arguments, "--trainer.max_epochs", "1"])
    assert "recurrent tensors" in capsys.readouterr().err
    run = tmp_path / "runs" / "x" / "1"
    assert "init_encoder" not in (run / "model" / "config.json").read_text()
    assert source in (run / "config.yaml").read_text()
    (tmp_path / "lm").rename(tmp_path / "gone")
    assert json.loads((run / "model" / "config.json").read_text())["task"] == "sentiment"
    assert isinstance(from_pretrained(run / "model"), Sentiment)
    checkpoint = str(run / "checkpoints" / "last.ckpt")
    main([*arguments, "--trainer.max_epochs", "2", "--ckpt_path", checkpoint])
    assert "copied" not in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main([*arguments, "--trainer.max_epochs", "1"])
    assert "no such model folder" in capsys.readouterr().err
