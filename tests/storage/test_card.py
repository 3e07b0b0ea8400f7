"""The README.md of a model folder."""

from nlp_rnn.tasks.pretrained import save_pretrained


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
    card = (save_pretrained(made["tagging"], tmp_path / "model") / "README.md").read_text(encoding="utf-8")
    assert "# Tagging model" in card
    assert "Not measured." in card
