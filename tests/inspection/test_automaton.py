"""The automaton of a network gives its answers; networks are wired by hand, so that they are known."""

import pytest
import torch

from nlp_rnn.data import Vocabulary, VocabularySettings
from nlp_rnn.errors import UsageError
from nlp_rnn.inference.pipelines import pipeline
from nlp_rnn.inspection.automaton import (
    OUTSIDE,
    Automaton,
    Oracle,
    agreement,
    all_words,
    extract,
    held_out_words,
)
from nlp_rnn.inspection.reading import BATCH
from nlp_rnn.tasks import LanguageModeling, Tagging
from nlp_rnn.tasks.language_modeling.data import LanguageModelingProcessor
from nlp_rnn.tasks.tagging.data import TaggingProcessor

EVERY = VocabularySettings(min_frequency=1)


def tagger(cell="rnn", tokens="01", labels=("even", "odd"), hidden_dim=2, **options):
    words = Vocabulary.train_on_words([list(tokens)], EVERY)
    processor = TaggingProcessor(words, list(labels), None, 50, 8)
    sizes = {"embedding_dim": 1, "hidden_dim": hidden_dim, "num_layers": 1, "cell": cell}
    return Tagging(processor, **{"bidirectional": False, "dropout": 0.0, **sizes, **options}).eval()


@pytest.fixture(scope="session")
def parity():
    """Two units: "or" and "and" of the letter and of the parity so far, which is their difference."""
    task = tagger()
    with torch.no_grad():
        for parameter in task.parameters():
            parameter.zero_()
        for letter, sign in (("0", -1.0), ("1", 1.0)):
            task.model.embedding.weight[task.processor.words.encode_words([letter])[0]] = sign
        w_ih, w_hh, b_ih, _ = task.model.rnn.all_weights[0]
        w_ih.fill_(8)
        w_hh.copy_(8 * torch.tensor([[1.0, -1.0], [1.0, -1.0]]))
        b_ih.copy_(8 * torch.tensor([0.0, -2.0]))
        task.model.fc_out.weight.copy_(torch.tensor([[-1.0, 1.0], [1.0, -1.0]]))
        task.model.fc_out.bias.copy_(torch.tensor([1.0, -1.0]))
    return task


def test_parity_has_two_states_and_agrees_on_all_strings_up_to_length_10(parity):
    automaton = extract(parity)
    assert sorted(automaton.answers) == ["even", "odd"]
    assert automaton.difference is None
    assert automaton.answers[0] == "even"
    words = [*all_words(2, 10)]
    assert len(words) == 2**11 - 2
    assert agreement(parity, automaton, words) == 1
    one = automaton.letters.index("1")
    assert all(automaton.answer(word) == ("even", "odd")[word.count(one) % 2] for word in words)
    assert agreement(parity, automaton, held_out_words(automaton)) == 1
    assert agreement(parity, Automaton(automaton.letters, ["even"], [[0, 0]]), words) == pytest.approx(
        sum(word.count(one) % 2 == 0 for word in words) / len(words)
    )


def test_the_oracle_answers_as_the_pipeline(parity):
    answer = pipeline("tagging", parity)
    oracle = Oracle(parity)
    words = [*all_words(2, 4)]
    texts = [[oracle.letters[letter] for letter in word] for word in words]
    assert oracle.answers(words) == [found["tags"][-1] for found in answer(texts)]


def test_the_cells_of_more_strings_than_are_read_at_once():
    torch.manual_seed(0)
    oracle = Oracle(tagger("gru", "abcdefghi"))
    words = [word for word in all_words(9, 3) if len(word) == 3]
    assert len(words) > 2 * BATCH
    cells = oracle.cells(words)
    assert len(set(cells)) > 1
    for place in (0, BATCH, len(words) - 1):
        assert cells[place] == oracle.cells([words[place]])[0]


@pytest.mark.parametrize("seed", range(3))
def test_random_networks_agree_with_their_automata_on_short_strings(seed):
    """Or the automaton names a string on which they differ, and they do."""
    torch.manual_seed(seed)
    task = tagger("gru", "abc", ("x", "y", "z"), 4)
    with torch.no_grad():
        for parameter in task.parameters():
            parameter.copy_(3 * torch.randn_like(parameter))
    automaton = extract(task, max_states=12)
    assert len(automaton.answers) <= 12
    if automaton.difference is None:
        assert agreement(task, automaton, [*all_words(3, 6)]) == 1
    else:
        assert agreement(task, automaton, [automaton.difference]) == 0


def test_a_language_model_that_knows_one_word():
    """Letters that it does not allow lead outside, from where nothing leads back."""
    torch.manual_seed(0)
    words = Vocabulary.train(["hello"], VocabularySettings("char", min_frequency=1))
    task = LanguageModeling(LanguageModelingProcessor(words), 8, 16, dropout=0.0)
    batch = task.processor.collate({"row": [0], **task.processor.encode({"text": ["hello"]})})
    optimizer = torch.optim.Adam(task.parameters(), lr=0.03)
    for _ in range(60):
        optimizer.zero_grad()
        task.loss(batch).backward()
        optimizer.step()
    task.eval()
    automaton = extract(task)
    assert [automaton.answer(automaton.word("hello"[:end])) for end in range(6)] == [*"hello", "<eos>"]
    assert sorted(automaton.answers) == sorted([*"hello", "<eos>", OUTSIDE])
    assert automaton.answer(automaton.word("lo")) == OUTSIDE
    outside = automaton.answers.index(OUTSIDE)
    assert automaton.transitions[outside] == [outside] * 4
    assert agreement(task, automaton, held_out_words(automaton, 50, 1, 8)) == 1


def test_refusals(tiny, parity):
    for task, message in (
        (tiny("tagging"), "at most 12 tokens, not 9|bidirectional"),
        (tagger(bidirectional=True), r"bidirectional, .* --model\.bidirectional false"),
        (tagger(tokens="abcdefghijklm"), "knows at most 12 tokens, not 13"),
        (tiny("translation"), "for translation does not answer to each beginning"),
    ):
        with pytest.raises(UsageError, match=message):
            extract(task)
    with pytest.raises(UsageError, match="1 states are too few for the network's answers"):
        extract(parity, max_states=1)
    with pytest.raises(UsageError, match="does not read '2'"):
        extract(parity).word("012")
