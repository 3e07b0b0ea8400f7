"""What an evaluation reports equals what scikit-learn and sacreBLEU compute from the answers alone."""

import copy
import json
import math
import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
import sacrebleu
import torch
from PIL import Image
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, precision_recall_fscore_support
from torch.nn import functional as F

from nlp_rnn.data import Corpus
from nlp_rnn.data.vocabulary import BOS, EOS
from nlp_rnn.errors import UsageError
from nlp_rnn.evaluation.measuring import evaluate
from nlp_rnn.inference.pipelines import pipeline
from nlp_rnn.tasks import TASKS as EVERY_TASK
from nlp_rnn.tasks.pretrained import save_pretrained

TASKS = {name: task for name, task in EVERY_TASK.items() if task.processor_class.input_description == "text"}
SCRIPT = Path(__file__).parents[2] / "scripts" / "evaluate.py"
WORDS = [*"abcdefghijkl", "good", "bad", "not", ".", "!", "New", "Old", "don't"]
TAGS = ["ADJ", "NOUN", "VERB", "X"]  # X: a tag that no word of the corpus has


def close(one, other):
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(close(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(close, one, other))
    return math.isclose(one, other, rel_tol=1e-5) if isinstance(one, float) else one == other


def check_classes(figures, truth, predictions, labels):
    """The figures of a classifier against scikit-learn's."""
    assert len(set(predictions)) > 1  # else the figures would show little
    assert figures["accuracy"] == pytest.approx(accuracy_score(truth, predictions))
    assert figures["f1"] == pytest.approx(f1_score(truth, predictions, average="macro"))
    assert figures["labels"] == labels
    assert figures["confusion"] == confusion_matrix(truth, predictions, labels=labels).tolist()
    expected = precision_recall_fscore_support(truth, predictions, labels=labels, zero_division=0)
    for place, row in enumerate(figures["classes"]):
        assert row["class"] == labels[place]
        for name, values in zip(("precision", "recall", "f1", "support"), expected, strict=True):
            assert row[name] == pytest.approx(values[place])


def test_sentiment(tasks, corpora, rows):
    figures = evaluate(tasks["sentiment"], Corpus(corpora["sentiment"])).results
    answers = pipeline("sentiment", tasks["sentiment"])(rows["sentence"])
    labels = ["negative", "neutral", "positive"]
    truth = [labels[int(label)] for label in rows["label"]]
    check_classes(figures, truth, [answer["label"] for answer in answers], labels)
    losses = [-math.log(answer["scores"][label]) for answer, label in zip(answers, truth, strict=True)]
    assert figures["loss"] == pytest.approx(sum(losses) / len(losses), rel=1e-4)
    about = {"task": "sentiment", "data": corpora["sentiment"], "split": "test", "rows": 60}
    assert about.items() <= figures.items()


def test_tagging_with_known_and_unknown_words(tasks, corpora, rows):
    figures = evaluate(tasks["tagging"], Corpus(corpora["tagging"])).results
    answers = pipeline("tagging", tasks["tagging"])(rows["sentence"])
    scored = [
        (word.lower() in WORDS[:-5], tag, answer)
        for text, tags, found in zip(rows["sentence"], rows["tags"], answers, strict=True)
        for word, tag, answer in zip(text.split(), tags, found["tags"], strict=True)
        if tag != "_"
    ]
    check_classes(figures, [row[1] for row in scored], [row[2] for row in scored], TAGS)
    for known, name in ((True, "known"), (False, "unknown")):
        part = [row[1] == row[2] for row in scored if row[0] is known]
        assert len(part) > 50
        assert figures[f"{name}_words"] == len(part)
        assert figures[f"{name}_accuracy"] == pytest.approx(sum(part) / len(part))


@pytest.mark.parametrize("beam", [None, 3])
def test_translation(corpora, rows, beam, tiny):
    task = tiny("translation")
    figures = evaluate(task, Corpus(corpora["translation"]), beam=beam).results
    texts = [answer["text"] for answer in pipeline("translation", task, beam=beam)(rows["sentence"])]
    references = rows["translation"]
    assert len(set(texts)) > 5
    bleu = sacrebleu.corpus_bleu(texts, [references], lowercase=True, force=True).score
    assert bleu > 0
    assert figures["bleu"] == pytest.approx(bleu)
    chrf = sacrebleu.metrics.CHRF(lowercase=True).corpus_score(texts, [references]).score
    assert figures["chrf"] == pytest.approx(chrf)
    assert figures["bleu_signature"].startswith("nrefs:1|case:lc|eff:no|tok:13a|smooth:exp|version:")
    assert figures["decoding"]["beam"] == (beam or 1)
    assert task.decoding.beam == 1  # as it was

    lengths = [len(text.split()) for text in rows["sentence"]]
    ranges = {"0-5": (0, 5), "6-10": (6, 10), "11-15": (11, 15), "21-30": (21, 30)}
    assert [entry["source_tokens"] for entry in figures["bleu_by_length"]] == list(ranges)
    for entry in figures["bleu_by_length"]:
        least, most = ranges[entry["source_tokens"]]
        chosen = [i for i, length in enumerate(lengths) if least <= length <= most]
        part = sacrebleu.corpus_bleu(
            [texts[i] for i in chosen], [[references[i] for i in chosen]], lowercase=True, force=True
        )
        assert entry["sentences"] == len(chosen)
        assert entry["bleu"] == pytest.approx(part.score)


@torch.no_grad()
def test_perplexity_is_teacher_forced_and_of_all_words(tasks, corpora, rows):
    """Computed a pair and a word at a time, the end of sentence counted."""
    task = tasks["translation"]
    total = count = 0.0
    for source, target in zip(rows["sentence"], rows["translation"], strict=True):
        ids = task.processor.source.encode([source])[0][::-1]
        state = task.model.encoder(torch.tensor(ids)[:, None])
        shown = BOS
        for token in [*task.processor.target.encode([target])[0], EOS]:
            logits, state = task.model.decoder.step(torch.tensor([shown]), state)
            total += F.cross_entropy(logits, torch.tensor([token])).item()
            count += 1
            shown = token
    figures = evaluate(task, Corpus(corpora["translation"])).results
    assert figures["loss"] == pytest.approx(total / count, rel=1e-4)
    assert figures["perplexity"] == pytest.approx(math.exp(total / count), rel=1e-3)


@pytest.mark.parametrize("name", TASKS)
def test_results_depend_on_neither_batch_size_nor_repetition(tasks, corpora, name):
    whole = evaluate(tasks[name], Corpus(corpora[name]))
    for size in (1, 7, 7, 1000):
        assert close(evaluate(tasks[name], Corpus(corpora[name]), batch_size=size).results, whole.results)


@pytest.mark.parametrize("name", TASKS)
def test_a_task_can_train_after_an_evaluation(tasks, corpora, name, tiny):
    """What was made without gradients must not stand in the way of training or of other metrics."""
    task = tiny(name)
    evaluate(task, Corpus(corpora[name]))
    targets = {
        "sentiment": {"label": ["0"]},
        "tagging": {"upos": [["ADJ", "X"]]},
        "translation": {"target": ["a"]},
        "language_modeling": {"text": ["good film"]},
        "multi_label": {"labels": [["a"]]},
    }
    rows = task.processor.rows(["good film"]) | targets[name]
    batch = task.processor.collate({"row": [0], **rows, **task.processor.encode(rows)})
    task.update_metrics(batch, task.metrics("test"))
    task.train().loss(batch).backward()


@pytest.mark.parametrize(("name", "file"), [("sentiment", "test.tsv"), ("tagging", "test.conllu")])
def test_a_single_file_is_the_split(tasks, corpora, name, file):
    folder = evaluate(tasks[name], Corpus(corpora[name])).results
    single = evaluate(tasks[name], Corpus(f"{corpora[name]}/{file}")).results
    assert single == folder | {"data": f"{corpora[name]}/{file}"}


@pytest.mark.parametrize(
    ("name", "columns", "header"),
    [
        ("sentiment", {"text": "review", "label": "stars"}, "stars\treview"),
        ("translation", {"source": "deutsch", "target": "english"}, "english\tdeutsch"),
    ],
)
def test_columns_of_other_names(tasks, corpora, rows, tmp_path, name, columns, header):
    first = rows["label" if name == "sentiment" else "translation"]
    pairs = zip(first, rows["sentence"], strict=True)
    path = tmp_path / "other.tsv"
    path.write_text(header + "\n" + "".join(f"{one}\t{text}\n" for one, text in pairs))
    figures = evaluate(tasks[name], Corpus(str(path)), columns=columns).results
    assert figures == evaluate(tasks[name], Corpus(corpora[name])).results | {"data": str(path)}


def remembering(task, **columns):
    task = copy.copy(task)
    task.data_columns = columns
    return task


def test_columns_are_those_of_the_training_unless_named(tasks, rows, tmp_path):
    pairs = list(zip(rows["sentence"], rows["label"], strict=True))
    whole = evaluate(tasks["sentiment"], Corpus({"text": rows["sentence"], "label": rows["label"]})).results
    task = remembering(tasks["sentiment"], text="review", label="stars")
    for name, content, columns in (
        ("a.tsv", "stars\treview\ttext\tlabel\n" + "".join(f"{b}\t{a}\tno\t9\n" for a, b in pairs), {}),
        ("b.tsv", "text\tstars\n" + "".join(f"{a}\t{b}\n" for a, b in pairs), {"text": "text"}),
    ):
        (tmp_path / name).write_text(content)
        corpus = Corpus(tmp_path / name)
        assert evaluate(task, corpus, columns=columns).results == whole | {"data": corpus.path}
    with pytest.raises(
        UsageError,
        match=r"b\.tsv, line 1: no column 'review'; the columns are text, stars; the model was trained with "
        r"text=review, label=stars; if they have other names here, name the columns with --columns NAME=COL",
    ):
        evaluate(task, corpus)
    # A corpus of the package, whose columns are known, is measured under its own names if it lacks these.
    bundled = Corpus(max_examples=20)
    assert evaluate(task, bundled).results == evaluate(tasks["sentiment"], bundled).results


def test_a_bundled_corpus_is_read_in_the_direction_of_the_training(tasks):
    corpus = Corpus(max_examples=20)
    task = remembering(tasks["translation"], source="en", target="de")
    backwards = evaluate(tasks["translation"], corpus, columns={"source": "en", "target": "de"}).results
    assert evaluate(task, corpus).results == backwards != evaluate(tasks["translation"], corpus).results


def test_files_without_a_header_are_read_as_in_training(tasks, rows, tmp_path, run):
    path = tmp_path / "a.csv"
    lines = [f"{b},schön {a}\n" for a, b in zip(rows["sentence"], rows["label"], strict=True)]
    path.write_bytes("".join(lines).encode("cp1252"))
    columns = ["label", "text"]
    named = evaluate(tasks["sentiment"], Corpus(path, columns=columns, encoding="cp1252")).results
    task = remembering(tasks["sentiment"], corpus={"columns": columns, "encoding": "cp1252"})
    assert evaluate(task, Corpus(path)).results == named
    folder = save_pretrained(tasks["sentiment"], tmp_path / "model")
    options = ("--file-columns", *columns, "--encoding", "cp1252")
    assert close(json.loads(run("evaluate", str(folder), "--data", str(path), *options)[1]), named)
    path.write_bytes("".join(lines).encode())
    assert evaluate(task, Corpus(path, encoding="utf-8")).results == named
    with pytest.raises(UsageError, match="3 fields expected"):
        evaluate(task, Corpus(path, columns=["label", "text", "id"]))


def test_built_in_and_max_examples(tasks):
    figures = evaluate(tasks["translation"], Corpus(max_examples=20), split="validation").results
    assert (figures["data"], figures["split"], figures["rows"]) == ("builtin", "validation", 20)


FAULTS = [
    (
        "sentiment",
        {"columns": {"colour": "x"}},
        "a sentiment corpus has no column 'colour'; .* are text, label",
    ),
    ("tagging", {"columns": {"batching": "x"}}, "no column 'batching'; its columns are tokens, tags"),
    ("translation", {"columns": {"text": "x"}}, "no column 'text'; its columns are source, target"),
    (
        "sentiment",
        {"columns": {"text": "review"}},
        "no column 'review'; the columns are text, label; name the columns with --columns NAME=COLUMN",
    ),
    ("sentiment", {"beam": 2}, "beam and n_best are for tasks that generate text, which sentiment is not"),
    ("translation", {"beam": 0}, "beam must be between 1"),
    ("sentiment", {"batch_size": 0}, "size must be between 1"),
    ("sentiment", {"device": "abacus"}, "device abacus: cannot be used here"),
    ("sentiment", {"split": "train"}, "no train split"),
    ("sentiment", {"split": "best"}, "no test split 'best'; found test"),
]


@pytest.mark.parametrize(("name", "options", "message"), FAULTS)
def test_contradictory_settings_are_refused(tasks, corpora, name, options, message):
    with pytest.raises(UsageError, match=message):
        evaluate(tasks[name], Corpus(corpora[name]), **options)


def test_unknown_labels_are_refused(tasks, tmp_path):
    (tmp_path / "test.tsv").write_text("text\tlabel\ngood\t7\nbad\t0\n")
    with pytest.raises(
        UsageError, match=r"test\.tsv, row 1 of the rows kept: unknown label '7'; known: 0, 1, 2"
    ):
        evaluate(tasks["sentiment"], Corpus(str(tmp_path / "test.tsv")))
    (tmp_path / "test.conllu").write_text("1\tgood\t_\tADV\t_\t_\t_\t_\t_\t_\n\n")
    with pytest.raises(UsageError, match=r"1 of 1 labels are not among those of the model \(ADJ, NOUN"):
        evaluate(tasks["tagging"], Corpus(str(tmp_path / "test.conllu")))


def test_a_tag_that_the_model_does_not_know_counts_as_an_error(tasks, tmp_path, caplog):
    task = tasks["tagging"]
    words = ["good", "bad", "film", "dull"]
    predicted = pipeline("tagging", task)([words])[0]["tags"]
    tags = [*predicted[:3], "ADV"]  # all right, but for the one that cannot be
    (tmp_path / "test.jsonl").write_text(json.dumps({"tokens": words, "upos": tags}) + "\n")
    results = evaluate(task, Corpus(str(tmp_path / "test.jsonl"))).results
    assert results["accuracy"] == 0.75
    assert results["labels"][-1] == "(unknown tag)"
    assert sum(map(sum, results["confusion"])) == 4
    assert results["confusion"][-1][task.labels.index(predicted[3])] == 1
    assert math.isfinite(results["loss"])
    assert "1 label(s) that the model does not know count as errors: 'ADV'" in caplog.text


def strict(text):
    def constant(value):
        raise AssertionError(f"{value} is not standard JSON")

    return json.loads(text, parse_constant=constant)


@pytest.mark.parametrize("name", TASKS)
def test_plots(tasks, corpora, name, tmp_path):
    if name in ("language_modeling", "multi_label"):
        pytest.skip("it has none")
    picture = "bleu_by_length.png" if name == "translation" else "confusion_matrix.png"
    evaluate(tasks[name], Corpus(corpora[name]), plots=tmp_path)
    more = ["reliability.png"] if name == "sentiment" else []
    assert sorted(path.name for path in tmp_path.iterdir()) == [picture, *more]
    with Image.open(tmp_path / picture) as image:
        assert min(image.size) > 200
        assert len(image.convert("RGB").getcolors(1 << 24)) > 20


def script(monkeypatch, *arguments):
    """The script's exit code, run in this process."""
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), *map(str, arguments)])
    try:
        runpy.run_path(str(SCRIPT), run_name="__main__")
    except SystemExit as leave:
        return leave.code
    return 0


@pytest.fixture(scope="module")
def model(tasks, tmp_path_factory):
    return save_pretrained(tasks["sentiment"], tmp_path_factory.mktemp("model") / "model")


def test_script(model, corpora, rows, tmp_path, monkeypatch, capsys):
    data = tmp_path / "x.tsv"
    pairs = zip(rows["label"], rows["sentence"], strict=True)
    data.write_text("stars\treview\n" + "".join(f"{label}\t{text}\n" for label, text in pairs))
    out = tmp_path / "a" / "out"
    columns = ("--columns", "text=review", "label=stars")
    assert script(monkeypatch, model, "--data", data, *columns, "--output", out, "--batch-size", 9) == 0
    captured = capsys.readouterr()
    figures = strict(captured.out)
    expected = evaluate(model, Corpus(corpora["sentiment"]), baselines=True).results
    assert close(figures, expected | {"data": str(data)})
    assert strict((out / "report.json").read_text()) == figures
    pictures = {"confusion_matrix.png", "reliability.png"}
    written = {"report.json", "report.html", "answers.parquet"}
    assert {path.name for path in out.iterdir()} == written | pictures
    assert "accuracy" in captured.err
    assert script(monkeypatch, model, "--data", data, *columns, "--max-examples", 10) == 0
    assert strict(capsys.readouterr().out)["rows"] == 10


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--columns", "text"), "--columns text: give NAME=COLUMN, such as text=review"),
        (("--columns", "text=a", "text=b"), "--columns text=b: text is 'a' already; name it once"),
        (("--max-examples", "0"), "max_examples must be between 1"),
        (("--data", "missing.tsv"), "missing.tsv: no such file"),
        (("--output", "file"), "file is not a folder"),
        (("--output", "file/folder"), "file is not a folder"),
    ],
)
def test_script_faults_are_one_line_and_code_2(
    model, corpora, tmp_path, monkeypatch, capsys, arguments, message
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("mine")
    assert script(monkeypatch, model, "--data", corpora["sentiment"], *arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("nlp-rnn: error: ")
    assert message in captured.err
    assert captured.err.count("\n") == 1
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.slow
def test_script_as_a_process(model, corpora, tmp_path):
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(model), "--data", corpora["sentiment"]],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(SCRIPT.parents[1])},
    )
    assert done.returncode == 0, done.stderr
    assert close(strict(done.stdout), evaluate(model, Corpus(corpora["sentiment"])).results)
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []
