"""`nlp-rnn fit --seeds 0 1 2 ...`: the same run with several seeds, and their results in one table."""

from __future__ import annotations

from pathlib import Path

from nlp_rnn.cli.configs import check_arguments
from nlp_rnn.cli.console import importing
from nlp_rnn.errors import UsageError
from nlp_rnn.files import printing

_FLAG = "--seeds"
_MAX_SEED = 2**32 - 1


def concerns(arguments: list[str]) -> bool:
    """Whether the arguments are of several seeds: `--seeds`, or `--resume` with a group of them."""
    if arguments[:1] != ["fit"]:
        return False
    return any(argument.partition("=")[0] == _FLAG for argument in arguments) or _group(arguments) is not None


def run(arguments: list[str], command: str) -> None:
    """Train each seed that is not finished; print a table on standard error, JSON on standard output.

    Args:
        arguments: `fit` and its arguments.
        command: what the user typed, for the record.
    """
    rest, seeds = _split(arguments)
    if {argument.partition("=")[0] for argument in rest} & {"--print_config", "--help", "-h"}:
        with importing():
            from nlp_rnn.training.cli import run as run_once

        run_once(check_arguments(rest), command)
        return
    group = _group(rest)
    if group is None:
        checked = check_arguments(rest)
        refused = {argument.partition("=")[0] for argument in checked} & {"--resume", "--ckpt_path"}
        if refused:
            raise UsageError(
                f"{_FLAG} with {refused.pop()}: each seed begins anew; to go on with seeds, or to add some, "
                "give --resume runs/NAME/NUMBER with their folder"
            )
    with importing():
        from nlp_rnn.training.checks import import_trusted, split_trusted
        from nlp_rnn.training.resolved import Resolved
        from nlp_rnn.training.results import results_json
        from nlp_rnn.training.seeds import add_seeds, seed_runs, train_seeds

    rest, trusted = split_trusted(rest if group is not None else checked)
    import_trusted(trusted)
    if group is not None:
        if others := _split_resume(rest)[0][1:]:
            raise UsageError(f"{others[0]}: seeds go on with the settings of {group}; leave it out")
        first = next(iter(seed_runs(group).values()))
        rest = ["fit", f"--config={first / 'config.yaml'}"]
    resolved = Resolved(rest, trusted)
    group = add_seeds(group, resolved, seeds, command)
    results = train_seeds(group, resolved, trusted)
    with printing():
        print(results_json(results))


def _split(arguments: list[str]) -> tuple[list[str], list[int]]:
    """The arguments without `--seeds` and its values, and the seeds."""
    rest: list[str] = []
    values: list[str] = []
    taking = given = False
    for argument in arguments:
        flag, equals, value = argument.partition("=")
        if flag == _FLAG:
            given, taking = True, not equals
            values += [value] if equals else []
        elif taking and not argument.startswith("-"):
            values.append(argument)
        else:
            taking = False
            rest.append(argument)
    numbers = [part for value in values for part in value.replace(",", " ").split()]
    if given and not numbers:
        raise UsageError(f"{_FLAG}: give seeds, such as {_FLAG} 0 1 2 3 4")
    for number in numbers:
        if not number.isdecimal() or int(number) > _MAX_SEED:
            raise UsageError(f"{_FLAG}: a seed is a whole number from 0 to {_MAX_SEED}, not {number!r:.40}")
    seeds = [int(number) for number in numbers]
    if repeated := [seed for seed in seeds if seeds.count(seed) > 1]:
        raise UsageError(f"{_FLAG}: seed {repeated[0]} is given twice")
    return rest, seeds


def _group(arguments: list[str]) -> Path | None:
    """The group of seeds that `--resume` names; None if it names none."""
    _, path = _split_resume(arguments)
    if path is None:
        return None
    from nlp_rnn.training.run_directory import find_group

    return find_group(path)


def _split_resume(arguments: list[str]) -> tuple[list[str], str | None]:
    """The arguments without `--resume`, and its value."""
    for place, argument in enumerate(arguments):
        flag, equals, value = argument.partition("=")
        if flag == "--resume":
            after = arguments[place + 1 :]
            value, after = (value, after) if equals else ("".join(after[:1]), after[1:])
            return [*arguments[:place], *after], value
    return arguments, None
