"""What goes wrong in translations, on pairs of which it is known."""

import pytest
import sacrebleu

from nlp_rnn.tasks.interface import TextPair
from nlp_rnn.tasks.translation.errors import copied, find_errors, length_ratio, repeated

GOOD = TextPair(0, "zwei hunde spielen", "two dogs play", "two dogs are playing")
SHORT = TextPair(1, "ein hund läuft im schnee", "dog", "a dog runs in the snow")
LONG = TextPair(2, "hund", "the dog the dog the dog", "a dog")
COPIED = TextPair(3, "Anna mag kuchen 3", "Anna likes kuchen 3", "Anna likes cake 3")
EMPTY = TextPair(4, "ja", "", "yes")
PAIRS = [GOOD, SHORT, LONG, COPIED, EMPTY]


@pytest.mark.parametrize(
    ("pair", "ratio", "grams", "words"),
    [
        (GOOD, 0.75, [], []),
        (SHORT, 1 / 6, [], []),
        (LONG, 3.0, ["the dog", "dog the", "the dog the", "dog the dog", "the dog the dog"], []),
        (COPIED, 1.0, [], ["kuchen"]),
        (EMPTY, 0.0, [], []),
    ],
)
def test_errors_of_single_translations(pair, ratio, grams, words):
    assert length_ratio(pair) == pytest.approx(ratio)
    assert repeated(pair) == grams
    assert copied(pair) == words


def test_of_scripts_without_spaces_each_character_counts():
    short = TextPair(0, "i went to school", "我", "我今天去了学校")
    assert length_ratio(short) == pytest.approx(1 / 7)
    doubled = TextPair(0, "good", "好的好的", "好的")
    assert repeated(doubled) == ["好 的"]
    assert copied(TextPair(0, "tokyo 東京", "tokyo へ 行く", "東京へ行く")) == ["tokyo"]
    assert length_ratio(TextPair(0, "a", "좋은 영화", "정말 좋은 영화")) == pytest.approx(2 / 3)


def test_what_the_reference_repeats_is_no_error():
    assert repeated(TextPair(0, "", "so so so so", "so so so so")) == []


def test_scores_are_those_of_sacrebleu():
    scores = {row["metric"]: row for row in find_errors(PAIRS)[0].rows}
    texts, references = [pair.answer for pair in PAIRS], [[pair.reference for pair in PAIRS]]
    assert scores["BLEU"]["score"] == sacrebleu.corpus_bleu(texts, references, lowercase=True).score
    assert scores["TER"]["score"] == sacrebleu.corpus_ter(texts, references).score
    assert scores["chrF2"]["score"] == sacrebleu.CHRF(lowercase=True).corpus_score(texts, references).score
    assert all("version:" in row["signature"] for row in scores.values())


def test_findings_list_the_worst_first():
    findings = {finding.title: finding.rows for finding in find_errors(PAIRS)}
    assert [row["row"] for row in findings["Under-translation"]] == [4, 1]
    assert [row["row"] for row in findings["Over-translation"]] == [2]
    assert [row["row"] for row in findings["Repeated n-grams"]] == [2]
    assert [row["row"] for row in findings["Copied words"]] == [3]
    assert [row["number"] for row in findings["Typical errors of translations"]] == [2, 1, 1, 1, 1]
    assert find_errors([]) == []
