"""`nlp-rnn sweep CONFIG --space FILE`: search for the best settings, in many short runs."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from nlp_rnn.cli.configs import check_arguments
from nlp_rnn.cli.console import add_trust_argument, importing, path_argument
from nlp_rnn.errors import UsageError
from nlp_rnn.files import atomic_write, printing

_MAX_WORKERS = 256
_SHARED = frozenset(
    (
        *("name", "runs", "resume", "ckpt_path", "output", "timeout", "save_minutes"),
        *("checkpoint.monitor", "checkpoint.mode"),
    )
)
"""The settings that all trials share: where they are, and the metric by which they are compared."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the verb; all others are settings of fit."""
    parser.add_argument(
        "config", nargs="*", type=path_argument, help="configuration of fit; of several, later ones win"
    )
    parser.add_argument(
        "--space", type=path_argument, metavar="FILE", help="YAML file of the settings that differ"
    )
    parser.add_argument("--budget", help="trials, such as 20, or time, such as 5min or 2h; default: 20")
    parser.add_argument("--workers", type=int, help="trials that train at once; default: 1")
    parser.add_argument("--max-size", metavar="SIZE", help="largest model folder, such as 2MB")
    parser.add_argument("--max-latency", metavar="TIME", help="slowest answer on one CPU thread, such as 2ms")
    parser.add_argument(
        "--resume", type=path_argument, metavar="FOLDER", help="go on with a sweep: runs/NAME/NUMBER"
    )
    add_trust_argument(parser)


def run(options: argparse.Namespace) -> None:
    """Search; a line per trial and a table on standard error, JSON on standard output."""
    with importing():
        from nlp_rnn.inference.speed import measure_speed
        from nlp_rnn.training.messages import suggestion
        from nlp_rnn.training.resolved import Resolved, has_setting, setting_paths
        from nlp_rnn.training.results import results_json
        from nlp_rnn.training.run_directory import new_run_dir
        from nlp_rnn.training.sweep.search import Sweep, SweepSettings, last_epoch
        from nlp_rnn.training.sweep.space import read_space
        from nlp_rnn.training.sweep.study import require_optuna

    require_optuna()
    folder = None if options.resume is None else Path(options.resume)
    record = _new_record(options) if folder is None else _old_record(folder, options)
    limits = _limits(options, record.get("limits", {}))
    workers = record.get("workers", 1) if options.workers is None else options.workers
    if not 1 <= workers <= _MAX_WORKERS:
        raise UsageError(f"--workers {workers}: give 1 to {_MAX_WORKERS}")
    space = read_space(folder / "space.yaml" if folder else Path(options.space))
    base = Resolved(record["arguments"], record["trusted"])
    for setting in space:
        if not has_setting(base.settings, setting.path):
            hint = suggestion(setting.path, setting_paths(base.settings))
            raise UsageError(f"--space: unknown setting {setting.path!r}.{hint}")
        if setting.path in _SHARED:
            raise UsageError(f"--space: {setting.path} is the same in all trials: leave it out")
    last_epoch(base, space)  # before anything is written
    settings = SweepSettings(record["arguments"], record["trusted"], space, limits, workers, options.command)
    if folder is None:
        folder = new_run_dir(Path(base.runs), base.name)
        with atomic_write(folder / "space.yaml") as temporary:
            temporary.write_bytes(Path(options.space).read_bytes())

    def measure(model: Path) -> tuple[float, float]:
        speed = measure_speed(model)
        return speed.size, speed.latency

    content = Sweep(folder, settings, base, measure).run()
    with printing():
        print(results_json(content))


def _new_record(options: argparse.Namespace) -> dict[str, Any]:
    """What a new sweep is begun with."""
    if not options.config or options.space is None:
        raise UsageError("give a configuration and --space FILE, or --resume with the folder of a sweep")
    files = [Path(name).absolute() if Path(name).is_file() else name for name in options.config]
    flags = [f"--config={name}" for name in files]
    arguments = check_arguments(["fit", *flags, *options.settings])
    refused = {argument.partition("=")[0] for argument in arguments} & {"--ckpt_path", "--seeds"}
    if refused:
        raise UsageError(f"{refused.pop()}: no setting of a sweep; leave it out")
    return {"arguments": arguments, "trusted": options.trust}


def _old_record(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """What an interrupted sweep was begun with."""
    if options.config or options.settings or options.space:
        raise UsageError("--resume: a sweep keeps its own configuration, space and settings")
    from nlp_rnn.training.sweep.search import RECORD

    path = folder / RECORD
    try:
        record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"--resume {folder}: not the folder of a sweep ({path.name}: {error})") from error
    return record


def _limits(options: argparse.Namespace, record: dict[str, Any]) -> Any:
    """The limits that the options set, else those of before."""
    from nlp_rnn.training.sweep.limits import Limits, read_budget, read_latency, read_size

    limits = Limits(**record)
    if options.budget is not None:
        trials, seconds = read_budget(options.budget)
        limits = replace(limits, trials=trials, seconds=seconds)
    if options.max_size is not None:
        limits = replace(limits, max_size=read_size(options.max_size))
    if options.max_latency is not None:
        limits = replace(limits, max_latency=read_latency(options.max_latency))
    return limits
