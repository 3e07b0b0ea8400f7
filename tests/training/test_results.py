"""What a finished run has achieved."""

import json
from pathlib import Path

import pytest

from nlp_rnn.errors import UsageError
from nlp_rnn.training.results import read_results, write_results


def test_what_is_written_is_read_with_null_for_nan(tmp_path: Path) -> None:
    assert read_results(tmp_path) is None
    write_results(tmp_path, {"metrics": {"val/loss": 0.5, "val/bleu": float("nan")}, "epoch": 2})
    assert read_results(tmp_path) == {"metrics": {"val/loss": 0.5, "val/bleu": None}, "epoch": 2}


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "metrics.json").write_text("{")
    with pytest.raises(UsageError, match=r"metrics\.json: cannot be read \(.*\); delete it and resume"):
        read_results(tmp_path)


def test_a_fit_prints_and_writes_the_metrics_of_its_best_epoch(tmp_path: Path, run) -> None:
    code, out, error = run(
        *("fit", "--config", "conf/sentiment_builtin.yaml", "--data.corpus.max_examples", "60"),
        *("--model.embedding_dim", "8", "--model.hidden_dim", "8", "--trainer.max_epochs", "3"),
        *("--model.calibrate", "false", "--seed_everything", "4", "--runs", str(tmp_path)),
    )
    assert code == 0, error
    run_dir = tmp_path / "sentiment_builtin" / "1"
    results = json.loads(out)
    assert results == read_results(run_dir)
    assert {name: results[name] for name in ("checkpoint", "epochs", "early_stopped", "seed")} == {
        "checkpoint": "best",
        "epochs": 3,
        "early_stopped": False,
        "seed": 4,
    }
    header, *rows = [line.split(",") for line in (run_dir / "metrics.csv").read_text().splitlines()]
    assert [row[header.index("epoch")] for row in rows] == ["0", "1", "2"]
    losses = [float(row[header.index("val/loss")]) for row in rows]
    assert results["epoch"] == 1 + losses.index(min(losses))
    assert results["metrics"]["val/loss"] == pytest.approx(min(losses))
