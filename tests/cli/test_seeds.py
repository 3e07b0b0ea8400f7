"""`fit --seeds`: what it refuses, before anything is written."""

import pytest

CONFIG = ("--config", "conf/hello.yaml")


def test_a_configuration_is_printed_as_for_one_seed(run):
    code, out, _ = run("fit", *CONFIG, "--print_config", "--seeds", "0", "1")
    assert (code, out) == run("fit", *CONFIG, "--print_config")[:2]
    assert code == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([*CONFIG, "--seeds"], "--seeds: give seeds, such as --seeds 0 1 2 3 4"),
        (
            [*CONFIG, "--seeds", "0", "one"],
            "--seeds: a seed is a whole number from 0 to 4294967295, not 'one'",
        ),
        ([*CONFIG, "--seeds", "3", "1", "3"], "--seeds: seed 3 is given twice"),
        ([*CONFIG, "--seeds=4294967296"], "--seeds: a seed is a whole number from 0 to 4294967295, not "),
        ([*CONFIG, "--seeds", "0,1", "--model.hiden_dim", "3"], "unknown setting 'model.hiden_dim'."),
        ([*CONFIG, "--seeds", "0", "--ckpt_path", "last"], "--seeds with --ckpt_path: each seed begins anew"),
        *(
            (["--resume", path, "--trainer.max_epochs", "3"], "--trainer.max_epochs: seeds go on with the ")
            for path in ("film/2", "film", "film/latest")
        ),
    ],
)
def test_what_it_refuses(run, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    for folder in ("1", "2/seed-1"):  # a run, then a group
        (tmp_path / "film" / folder).mkdir(parents=True)
        (tmp_path / "film" / folder / "config.yaml").write_text("trainer: {}")
    (tmp_path / "film" / "latest").symlink_to("2/seed-1")
    code, out, error = run("fit", *arguments)
    assert (code, out) == (2, "")
    assert error.startswith(f"nlp-rnn: error: {message}")
    assert error.count("\n") == 1
    assert {path.name for path in tmp_path.glob("*/*")} == {"1", "2", "latest"}
