"""The README.md of a model folder."""

import pytest
import yaml
from huggingface_hub import ModelCard

from nlp_rnn.storage.card_edit import training_facts
from nlp_rnn.storage.results import Measured
from nlp_rnn.tasks.pretrained import save_pretrained
from nlp_rnn.tasks.registry import ROWS

BLEU = Measured(
    {"path": "corpus/x"}, "test", 9, "0ab", {"bleu": 12.34567, "loss": 1.5}, {"bleu": "nrefs:1|case:lc"}
)


def test_the_card(trained):
    task = trained[1]["translation"]
    card = task.card("corpus/x", "nlp-rnn fit --config y", {"test": {"test/bleu": 12.34567}})
    for part in (
        "library_name: nlp_rnn",
        "`corpus/x`",
        "`nlp-rnn fit --config y`",
        "| test | bleu | 12.3457 |",
    ):
        assert part in card
    size = sum(parameter.numel() for parameter in task.model.parameters())
    assert f"{size:,} parameters" in card
    assert str(task.model) in card


def test_a_folder_has_a_card_even_if_none_is_given(trained, tmp_path):
    _, made = trained
    folder = save_pretrained(made["tagging"], tmp_path / "model")
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert "# Tagging model" in card
    assert "Not measured." in card
    assert training_facts(folder) == {}


def test_the_metadata_for_the_hub(trained):
    card = trained[1]["translation"].card("corpus/x", "nlp-rnn fit", results=[BLEU], seed=7)
    data = ModelCard(card).data
    assert data.pipeline_tag == "translation"
    assert data.tags == ["translation", "rnn"]
    assert data.datasets == ["corpus/x"]
    assert (data.license, data.language) == (None, None)  # only the owner knows them
    bleu, loss = data.eval_results
    assert (bleu.metric_type, bleu.metric_value) == ("bleu", 12.34567)
    assert bleu.metric_args == {"signature": "nrefs:1|case:lc"}
    assert loss.metric_args is None
    assert bleu.dataset_split == "test"
    own = yaml.safe_load(card.split("---")[1])["nlp_rnn"]
    assert own["training"]["command"] == "nlp-rnn fit"
    assert own["training"]["seed"] == 7
    assert {*own["training"]["versions"]} == {"nlp_rnn", "torch", "python"}
    assert [Measured.from_state(state) for state in own["results"]] == [BLEU]


@pytest.mark.parametrize("corpus", ["builtin", "reviews.csv", "./data/reviews.csv", "/data/x", "a/b/c"])
def test_only_datasets_of_the_hub_are_named_as_such(corpus, trained):
    assert ModelCard(trained[1]["sentiment"].card(corpus)).data.datasets is None


def test_tags_are_those_of_the_hub():
    known = {
        *("text-classification", "token-classification", "translation", "text-generation"),
        *("image-to-text", "time-series-forecasting", None),
    }
    assert {row.pipeline_tag for row in ROWS.values()} <= known
