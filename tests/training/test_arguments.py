"""The settings of the verbs that take a configuration."""

import yaml


def test_the_printed_configuration_can_be_used_again(tmp_path, run):
    overlay = tmp_path / "overlay.yaml"
    overlay.write_text("trainer:\n  precision: bf16-mixed\n  max_epochs: 5\n")
    configs = ["--config", "conf/sentiment_builtin.yaml", "--config", str(overlay)]
    flags = ["--trainer.max_epochs", "7", "--model.optimization.lr", "0.25"]
    code, out, error = run("fit", *configs, *flags, "--print_config")
    assert (code, error) == (0, "")
    printed = yaml.safe_load(out)
    assert printed["trainer"]["precision"] == "bf16-mixed"  # the overlay, over nothing
    assert printed["trainer"]["max_epochs"] == 7  # the flag, over both files
    assert printed["trainer"]["gradient_clip_val"] == 1.0  # the first file
    assert printed["model"]["init_args"]["optimization"]["lr"] == 0.25
    (tmp_path / "printed.yaml").write_text(out)
    assert run("fit", "--config", str(tmp_path / "printed.yaml"), "--print_config")[1] == out
