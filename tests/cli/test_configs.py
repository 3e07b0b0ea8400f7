"""Configuration files: found, checked, and moved before the other flags."""

import pytest

from nlp_rnn.cli import configs
from nlp_rnn.errors import UsageError

TRANSLATION = "conf/translation_builtin.yaml"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("conf/transltion_builtin.yaml", "did you mean conf/translation_builtin.yaml?"),
        ("tagging_ewt.yml", "did you mean conf/tagging_ewt.yaml?"),
        ("zzz", "nlp-rnn --help lists the ready-made ones"),
        ("conf/../pyproject.toml", "no such file"),
        (".", "not a file"),
    ],
)
def test_a_missing_configuration_names_the_nearest_ready_made_one(tmp_path, monkeypatch, name, said):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError) as error:
        configs.check_arguments(["fit", "--config", name])
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"a: [1\n", "line 2: not valid YAML"),
        (b"", "this is empty"),
        (b"- a\n", "this is a list"),
        (b"a: \xff\n", "cannot be read"),
    ],
)
def test_a_damaged_configuration_is_named(tmp_path, content, said):
    path = tmp_path / "damaged.yaml"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=str(path)) as error:
        configs.check_arguments(["fit", "--config", str(path)])
    assert said in str(error.value)


def test_ready_made_configurations_are_found_from_anywhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert configs.find_config(TRANSLATION).is_file()
    (tmp_path / "own.yaml").write_text("{}")
    assert configs.check_arguments(["fit", "--config=own.yaml", "-c", TRANSLATION]) == [
        "fit",
        "--config=own.yaml",
        f"--config={configs.find_config(TRANSLATION)}",
    ]


@pytest.mark.parametrize(
    "arguments", [["--config"], ["-c"], ["--config="], ["--config", "--runs", "x"], ["--config", "-c"]]
)
def test_config_without_a_path_is_refused(arguments):
    with pytest.raises(UsageError, match="give the path of a configuration"):
        configs.check_arguments(["fit", *arguments])


def test_a_tag_is_refused_with_file_and_line(tmp_path):
    path = tmp_path / "tag.yaml"
    path.write_text("seed_everything: 1\nname: !!python/object/apply:os.system ['true']\n")
    with pytest.raises(UsageError) as error:
        configs.check_arguments(["fit", "--config", str(path)])
    assert f"{path}, line 2: refused, configurations hold plain values" in str(error.value)


def test_configurations_come_before_all_other_flags():
    first, second = (
        f"--config={configs.find_config(f'conf/trainer/{name}.yaml')}" for name in ("gpu", "bf16")
    )
    arguments = [
        "fit",
        "--name",
        "x",
        "--config",
        "conf/trainer/gpu.yaml",
        "--runs=y",
        "-c=conf/trainer/bf16.yaml",
    ]
    assert configs.check_arguments(arguments) == ["fit", first, second, "--name", "x", "--runs=y"]


@pytest.mark.slow
def test_a_configuration_is_never_larger_than_it_looks(tmp_path, run):
    bomb = tmp_path / "bomb.yaml"
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12)]
    bomb.write_text("\n".join(lines))
    code, _, error = run("fit", "--config", str(bomb))
    assert code == 2
    assert error.endswith("refused, its YAML aliases stand for more than 100,000 values\n")
    bomb.write_text("a: " + "[" * 3000 + "]" * 3000)
    code, _, error = run("fit", f"-c{bomb}")
    assert code == 2
    assert error.endswith("refused, its settings are nested too deeply\n")


def test_a_run_to_go_on_with_and_a_checkpoint_to_start_from_contradict_each_other(tmp_path):
    (tmp_path / "config.yaml").write_text("name: x\n")
    with pytest.raises(
        UsageError, match="--resume goes on from the run's newest checkpoint: leave out --ckpt"
    ):
        configs.check_arguments(["fit", "--resume", str(tmp_path), "--ckpt_path=last.ckpt"])
