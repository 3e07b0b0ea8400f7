"""C files: compiled with all warnings and sanitizers, and compared with torch."""

import itertools
import random
import shutil
import subprocess
import unicodedata

import pytest
import torch

from nlp_rnn.data import Vocabulary, VocabularySettings
from nlp_rnn.errors import UsageError
from nlp_rnn.export.c.writing import c_source, export
from nlp_rnn.inference.pipelines import Pipeline
from nlp_rnn.models.layers.cells import CELLS
from nlp_rnn.models.layers.int8 import Int8Weight
from nlp_rnn.models.layers.quantization import quantize
from nlp_rnn.tasks import (
    BeamSettings,
    Forecasting,
    LanguageModeling,
    MultiLabel,
    Sentiment,
    SeriesTagging,
    Tagging,
    Translation,
)
from nlp_rnn.tasks.forecasting.data import ForecastingProcessor
from nlp_rnn.tasks.language_modeling.data import LanguageModelingProcessor
from nlp_rnn.tasks.multi_label.data import MultiLabelProcessor
from nlp_rnn.tasks.pretrained import save_pretrained
from nlp_rnn.tasks.sentiment.data import SentimentProcessor
from nlp_rnn.tasks.series_tagging.data import SeriesTaggingProcessor
from nlp_rnn.tasks.tagging.data import TaggingProcessor
from nlp_rnn.tasks.translation.data import TranslationProcessor

CC = shutil.which("cc")
pytestmark = pytest.mark.skipif(CC is None, reason="there is no C compiler")

STRICT = ["-std=c99", "-O1", "-Wall", "-Wextra", "-Werror"]
SANITIZED = [*STRICT, "-fsanitize=address,undefined", "-fno-sanitize-recover"]

TEXTS = [
    'the film isn\'t good , but 3.5 stars ; "fine" ?? x',
    "Ein Straßenfest in İstanbul: 1,000,000 Gäste!<br />Schön.",
    "한국 영화는 재미있다 ... (정말) [그래]",
    "unheard words only",
    "film",
    "e\u0301tude café naïve-ness ’tis rock’n’roll a--b 3.14.15 4,x .5 ٣٤ x² <br><br   /><b r>",
]
SETTINGS = VocabularySettings(min_frequency=1)
WORDS = Vocabulary.train(TEXTS[:3] + TEXTS[4:], SETTINGS)
CHARACTERS = Vocabulary.train(TEXTS, VocabularySettings(level="char", min_frequency=1, lowercase=False))
LOWER_CHARACTERS = Vocabulary.train(TEXTS, VocabularySettings(level="char", min_frequency=1))
SENTENCES = [unicodedata.normalize("NFC", text).split() for text in TEXTS]
GIVEN = Vocabulary.train_on_words(SENTENCES[:3] + SENTENCES[4:], SETTINGS)
LINES = [unicodedata.normalize("NFC", text) for text in TEXTS]


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """Compiles the C file of a task; gives a function: lines, arguments -> the program's lines."""
    folder, programs = tmp_path_factory.mktemp("c"), {}

    def compile_task(task, flags=SANITIZED, main=""):
        text = c_source(task.eval()) + main
        program = programs.get((text, *flags))  # several tests may ask the same program
        if program is None:
            source, program = folder / "model.c", folder / str(len(programs))
            source.write_text(text, encoding="utf-8")
            command = [CC, *flags, *([] if main else ["-DNLP_MAIN"]), str(source), "-o", str(program), "-lm"]
            subprocess.run(command, check=True, timeout=300)
            programs[text, *flags] = program

        def run(lines, *arguments, end="\n"):
            given = "".join(f"{line}{end}" for line in lines)
            result = subprocess.run(
                [program, *arguments],
                input=given,
                capture_output=True,
                encoding="utf-8",
                check=True,
                timeout=300,
            )
            return result.stdout.split("\n")[:-1]

        return run

    return compile_task


def numbers(lines):
    return [[float(number) for number in line.split("\t")] for line in lines]


def sentiment(**settings):
    return Sentiment(
        SentimentProcessor(WORDS, ["bad", "good", 'a "b"\\?'], ["bad", "good", 'a "b"\\?'], max_length=12),
        5,
        6,
        **settings,
    )


CASES = [
    *itertools.product(CELLS, ["last"], [False, True], [2]),
    *itertools.product(["gru"], ["mean", "max", "concat", "attention"], [False, True], [1]),
]


@pytest.mark.parametrize(("cell", "pooling", "bidirectional", "num_layers"), CASES)
def test_a_classifier_gives_the_probabilities_of_torch(cell, pooling, bidirectional, num_layers, compiled):
    torch.manual_seed(0)
    task = sentiment(cell=cell, pooling=pooling, bidirectional=bidirectional, num_layers=num_layers)
    task.temperature = 0.7
    run = compiled(task)
    answers = Pipeline(task)(LINES)
    expected = [list(answer["scores"].values()) for answer in answers]
    assert torch.tensor(numbers(run(LINES, "--scores"))) == pytest.approx(torch.tensor(expected), abs=1e-6)
    assert run([*LINES, ""]) == [*(answer["label"] for answer in answers), ""]


def dequantize(task):
    """The weights of an int8 task as floats in a task of its own."""
    small = type(task).from_settings(task.processor, task.settings)
    small.model.load_state_dict(task.model.state_dict())
    quantize(small.model)
    weights = {}
    for name, module in small.model.named_modules():
        if isinstance(module, Int8Weight) and hasattr(module, "int8"):
            name = name.replace(".parts.", ".weight_") if ".parts." in name else f"{name}.weight"
            weights[name] = module.weight.detach().clone()
    missing, unexpected = task.model.load_state_dict(weights, strict=False)
    assert not unexpected
    assert not any("weight" in name for name in missing)
    return small


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_int8_weights_are_those_of_quantize(cell, compiled):
    torch.manual_seed(1)
    task = sentiment(cell=cell)
    small = dequantize(task)
    expected = [list(answer["scores"].values()) for answer in Pipeline(task)(LINES)]
    assert torch.tensor(numbers(compiled(small)(LINES, "--scores"))) == pytest.approx(
        torch.tensor(expected), abs=1e-6
    )


def test_several_labels_and_unsure(compiled):
    labels = ["sport", "film", "food"]
    task = MultiLabel(MultiLabelProcessor(WORDS, labels, 12), 5, 6, thresholds=[0.45, 0.55, 0.5])
    assert compiled(task)(LINES) == ["|".join(answer["labels"]) for answer in Pipeline(task)(LINES)]
    unsure = sentiment(unsure_below=0.36)
    answers = [answer["label"] for answer in Pipeline(unsure)(LINES)]
    assert compiled(unsure)(LINES) == answers


@pytest.mark.parametrize(
    ("bidirectional", "characters", "tags", "crf", "affixes"),
    [
        (False, None, ["D", "N", "V"], False, None),
        (False, None, ["D", "N", "V"], False, [-2, -3, 3]),
        (True, CHARACTERS, ["D", "N", "V"], False, None),
        (True, CHARACTERS, ["O", "B-X", "I-X", "B-Y", "I-Y"], False, [1, -16]),
        (True, CHARACTERS, ["O", "B-X", "I-X", "B-Y", "I-Y"], True, None),
    ],
)
def test_a_tagger_gives_the_tags_of_torch(bidirectional, characters, tags, crf, affixes, compiled):
    torch.manual_seed(2)
    schemes = ["iob2"] if "O" in tags else None
    columns = ["ner"] if schemes else None
    processor = TaggingProcessor(
        GIVEN, tags, characters, max_length=9, max_word_length=5, columns=columns, schemes=schemes,
        affixes=affixes, affix_buckets=affixes and 50,
    )  # fmt: skip
    task = Tagging(
        processor,
        6,
        5,
        bidirectional=bidirectional,
        character_embedding_dim=4,
        character_hidden_dim=7,
        crf=crf,
    )
    if crf:
        torch.nn.init.normal_(task.model.crf.transitions)
    if affixes:
        torch.nn.init.normal_(task.model.affix_embedding.weight)
    lines = [*LINES, "", "   ", "<br> x<br/>y >", "\u2003film\x1cfilm\u2028x", "İ x" + "y" * 10_001 + "z"]
    answers = Pipeline(task)([line.split() for line in lines])
    run = compiled(task)
    assert run(lines, end="\r\n") == [task.format_answer(answer) for answer in answers]
    rows = task.processor.rows([line.split() for line in lines])
    batch = task.processor.collate({"row": [*range(len(lines))], **task.processor.encode(rows)})
    with torch.no_grad():
        logits = task.logits(batch)
    expected = torch.cat([logits[:length, row] for row, length in enumerate(batch.lengths.tolist())])
    printed = [line for line in run(lines, "--scores") if line]
    assert torch.tensor(numbers(printed)) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("vocabulary", [WORDS, CHARACTERS])
@pytest.mark.parametrize("options", [{}, {"tie_weights": True}, {"bidirectional": True}])
def test_a_language_model_scores_as_torch_does(vocabulary, options, compiled):
    torch.manual_seed(3)
    task = LanguageModeling(LanguageModelingProcessor(vocabulary), 6, 6, 2, **options).eval()
    rows = numbers(compiled(task)(LINES, "--scores"))
    for line, row in zip(LINES, rows, strict=True):
        (ids,) = vocabulary.encode([line])
        with torch.no_grad():
            expected = task.model(torch.tensor([[2], *[[id] for id in ids]]))[0][-1, 0]
        assert torch.tensor(row) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("vocabulary", [WORDS, CHARACTERS])
def test_a_language_model_continues_the_end_of_a_long_prompt_as_torch_does(vocabulary, compiled):
    torch.manual_seed(3)
    decoding = BeamSettings(max_output=9)
    task = LanguageModeling(LanguageModelingProcessor(vocabulary, max_length=5), 6, 6, decoding=decoding)
    for weight in task.parameters():
        torch.nn.init.normal_(weight)
    lines = [*LINES, "", " ", "film \0 good"]
    answers = [task.format_answer(answer) for answer in Pipeline(task)(lines)]
    assert len({*answers}) > 1
    assert compiled(task)(lines) == [answer.replace("\n", " ") for answer in answers]


def test_blank_texts_have_no_answer(compiled):
    blanks = [" ", "\t", "\u3000\u00a0", "\x1c", "\ufeff"]
    for vocabulary in (WORDS, CHARACTERS):
        processor = SentimentProcessor(vocabulary, ["a\nb", "c"], ["a\nb", "c"], max_length=12)
        task = Sentiment(processor, 5, 6)
        answers = [task.format_answer(answer) for answer in Pipeline(task)([*blanks, "film"])]
        run = compiled(task)
        assert run([*blanks, "film"]) == [answer.replace("\n", " ") for answer in answers]
        assert run(["\ufeff "]) == [""]


@pytest.mark.parametrize("line", ["nan 1", "1 inf", "1", "1 2 3", "x y", "1e999 1", "1e300 1", "1 2x", "ab"])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_what_is_no_step_of_a_series_is_refused(line, bidirectional, compiled):
    processor = SeriesTaggingProcessor(
        inputs=["x", "y"], means=[1.0, -2.0], deviations=[0.5, 3.0], label="label", labels=["a", "b", "c"]
    )
    run = compiled(SeriesTagging(processor, 6, 2, bidirectional=bidirectional))
    assert len(run(["1 2", "3, 4 "])) == 2
    with pytest.raises(subprocess.CalledProcessError) as error:
        run(["1 2", line, "3 4"])
    assert error.value.stderr == "line 2: not 2 finite number(s)\n"


@pytest.mark.parametrize("bidirectional", [False, True])
def test_a_series_tagger_scores_every_step(bidirectional, compiled):
    torch.manual_seed(4)
    processor = SeriesTaggingProcessor(
        inputs=["x", "y"], means=[1.0, -2.0], deviations=[0.5, 3.0], label="label", labels=["a", "b", "c"]
    )
    task = SeriesTagging(processor, 6, 2, bidirectional=bidirectional).eval()
    series = [[[0.5 * step, -step * step] for step in range(length)] for length in (1, 4, 7)]
    lines = [line for steps in series for line in [*(f"{x}, {y}" for x, y in steps), ""]]
    printed = compiled(task)(lines[:-1], "--scores")
    groups = [list(group) for filled, group in itertools.groupby(printed, bool) if filled]
    for steps, group in zip(series, groups, strict=True):
        vectors = (torch.tensor(steps)[:, None] - torch.tensor([1.0, -2.0])) / torch.tensor([0.5, 3.0])
        with torch.no_grad():
            expected = task.model(vectors)[:, 0]
        assert torch.tensor(numbers(group)) == pytest.approx(expected, abs=1e-5)


def test_a_forecast_is_in_the_units_of_the_data(compiled):
    torch.manual_seed(5)
    processor = ForecastingProcessor(
        inputs=["x"], means=[10.0], deviations=[4.0], length=5, horizon=3, targets=[], target_means=[10.0],
        target_deviations=[4.0],
    )  # fmt: skip
    task = Forecasting(processor, 6)
    series = [8.0, 9.5, 11.0, 10.0, 7.25]
    last = numbers(compiled(task)(series))[-1]
    assert last == pytest.approx(Pipeline(task)(series)["values"], abs=1e-4)


@pytest.mark.parametrize("reverse", [(False, False), (True, False), (False, True)])
@pytest.mark.parametrize(
    ("tied", "options"),
    [
        ("none", {}),
        ("decoder", {}),
        ("all", {}),
        ("none", {"bidirectional": True, "embedding_dim": 4}),
        ("none", {"bidirectional": True, "embedding_dim": 12, "cell": "gru"}),
        ("decoder", {"bidirectional": True, "cell": "mingru"}),
        ("all", {"bidirectional": True, "num_layers": 1}),
    ],
    ids=str,
)
def test_a_translator_writes_what_torch_writes(reverse, tied, options, compiled):
    torch.manual_seed(6)
    source = WORDS if tied == "all" else LOWER_CHARACTERS
    sizes = {"embedding_dim": 8, "hidden_dim": 8, "num_layers": 2, **options}
    processor = TranslationProcessor(source, WORDS, reverse[0], 30, reverse[1])
    task = Translation(processor, tie_embeddings=tied, **sizes)
    for weight in task.model.decoder.parameters():
        torch.nn.init.normal_(weight)
    assert compiled(task)([*LINES, ""]) == [answer["text"] for answer in Pipeline(task)([*LINES, ""])]


def test_a_tag_of_synthetic_rows_is_never_written(compiled):
    tagged = Vocabulary.train(TEXTS, SETTINGS, tags=("<bt>",))
    task = Translation(TranslationProcessor(tagged, tagged, False, 30), 8, 8, tie_embeddings="all")
    with torch.no_grad():
        task.model.decoder.bias[tagged.tokens().index("<bt>")] = 50
    texts = compiled(task)(LINES)
    assert texts == [answer["text"] for answer in Pipeline(task)(LINES)]
    assert not any("<bt>" in text for text in texts)


PRINT_IDS = """
#include <stdio.h>
int main(void)
{
    static char line[1 << 20];
    while (fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\\n")] = 0;
        nlp_text text = nlp_text_of(line);
        for (int32_t id; (id = nlp_next_token(&text)) >= 0;)
            printf("%d ", (int)id);
        putchar('\\n');
    }
    return 0;
}
"""


@pytest.mark.parametrize("level", ["word", "char"])
@pytest.mark.parametrize("lowercase", [False, True])
def test_texts_are_split_as_by_the_library(level, lowercase, compiled):
    generator = random.Random(0)
    alphabet = [
        chr(code) for code in range(1, 0x11000) if chr(code).isprintable() and not 0xD800 <= code < 0xE000
    ]
    odd = [*" \t.,'’-<br/>[]19٣äİßΣςᄀ가각\u0301\u200d\ufeff\u2028😀", "<br />", "<pad>"]
    lines = ["".join(generator.choices(alphabet, k=30)) for _ in range(300)]
    lines += ["".join(generator.choices([*odd, *"abcXYZ"], k=40)) for _ in range(700)]
    lines = [unicodedata.normalize("NFC", line).replace("\n", " ").replace("\r", " ") for line in lines]
    # Normalization by an older version of Unicode than the library's would be another's fault.
    vocabulary = Vocabulary.train(
        lines, VocabularySettings(level=level, lowercase=lowercase, min_frequency=1)
    )
    normalize = vocabulary.tokenizer.normalizer.normalize_str
    task = LanguageModeling(LanguageModelingProcessor(vocabulary), 2, 2)
    printed = compiled(task, STRICT, PRINT_IDS)(lines)
    for line, ids in zip(lines, printed, strict=True):
        assert [int(id) for id in ids.split()] == vocabulary.encode([line])[0], ascii(normalize(line))


def test_bytes_that_are_no_text_do_no_harm(compiled):
    run = compiled(sentiment())
    lines = ["\udcff\udc80x", "\udce2\udc82", "\udcf0\udc9f\udc98", "\udced\udca0\udc80", "x" * 1_000_000]
    given = b"".join(line.encode("utf-8", "surrogateescape") + b"\n" for line in lines)
    assert run([given.decode("latin-1")])  # as other bytes
    assert len(run([])) == 0
    with pytest.raises(subprocess.CalledProcessError) as error:
        run(["x" * (1 << 20)])
    assert error.value.stderr == "a line is longer than 1 MiB: split it\n"


def test_the_file_alone_compiles_without_main_and_as_c11(tmp_path):
    for flags in (["-std=c99", "-pedantic"], ["-std=c11", "-Wshadow"]):
        (tmp_path / "model.c").write_text(c_source(sentiment()))
        command = [CC, "-Wall", "-Wextra", "-Werror", *flags, "-c", "model.c", "-o", "model.o"]
        subprocess.run(command, check=True, cwd=tmp_path, timeout=300)


@pytest.mark.parametrize(
    ("task", "message"),
    [
        (
            lambda: Translation(TranslationProcessor(WORDS, WORDS), 4, 4, attention="luong"),
            "LuongDecoder cannot",
        ),
        (
            lambda: Translation(TranslationProcessor(WORDS, WORDS), 4, 4, context=True),
            "ContextDecoder cannot",
        ),
        (
            lambda: LanguageModeling(
                LanguageModelingProcessor(Vocabulary.train(TEXTS, VocabularySettings(level="bpe"))), 4, 4
            ),
            "subwords cannot",
        ),
        (
            lambda: type("Mine", (LanguageModeling,), {})(LanguageModelingProcessor(WORDS), 4, 4),
            "class Mine, of your own, cannot",
        ),
        (
            lambda: Tagging(TaggingProcessor(GIVEN, ["D", "N"], LOWER_CHARACTERS), 4, 4),
            "in lower case cannot",
        ),
    ],
)
def test_what_has_no_c_code_is_refused(task, message):
    with pytest.raises(UsageError, match=message):
        c_source(task())


def test_a_folder_is_written_as_int8(tmp_path, run):
    folder = save_pretrained(sentiment(), tmp_path / "model")
    lines = export(folder, tmp_path / "int8.c", int8=True)
    assert lines[0].startswith("int8 weights, ")
    assert "typedef int8_t nlp_weight;" in (tmp_path / "int8.c").read_text()
