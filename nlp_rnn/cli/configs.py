"""Configuration files: find them, and check that they hold plain values."""

from __future__ import annotations

import difflib
from pathlib import Path

from nlp_rnn.errors import UsageError

_MAX_VALUES = 100_000


def conf_folder() -> Path:
    """The folder of the ready-made configurations: in the wheel, or next to the package in a clone."""
    package = Path(__file__).parents[1]
    return next(path for path in (package / "conf", package.parent / "conf") if path.is_dir())


def ready_made() -> list[str]:
    """The names of the ready-made configurations, below `conf/`."""
    folder = conf_folder()
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.yaml"))


def check_arguments(arguments: list[str]) -> list[str]:
    """The arguments with every `--config` checked, and moved to the front, right after the verb.

    The parser lets what comes later win, so flags override configurations wherever they stand. `--resume RUN`
    stands for the configuration of the run too, which all others override.

    Args:
        arguments: the verb and its arguments.

    Returns:
        The verb, the configurations in their order as `--config=PATH`, then all other arguments.

    Raises:
        UsageError: a configuration is missing, is not valid YAML, or holds more than plain values.
    """
    configurations: list[str] = []
    others: list[str] = []
    remaining = iter(arguments)
    for argument in remaining:
        flag, equals, name = argument.partition("=")
        if flag.startswith("-c") and len(argument) > 2 and not equals:  # -cFILE
            flag, equals, name = "-c", "=", argument[2:]
        if flag not in ("--config", "-c", "--resume"):
            _refuse_empty(others, argument)
            others.append(argument)
            continue
        if not equals:
            name = next(remaining, "")
        if not name or name.startswith("-"):
            wanted = "a run directory, runs/NAME/NUMBER"
            if flag != "--resume":
                wanted = "the path of a configuration, such as conf/NAME.yaml"
            raise UsageError(f"{flag}: give {wanted}")
        if flag == "--resume":
            from nlp_rnn.training.run_directory import find_run

            run = find_run(name)
            path = run / "config.yaml"
            others.append(f"--resume={run}")
            configurations.insert(0, f"--config={path}")
        else:
            path = find_config(name)
            configurations.append(f"--config={path}")
        _check_file(path)
    given = {argument.partition("=")[0] for argument in others}
    if {"--resume", "--ckpt_path"} <= given:
        raise UsageError("--resume goes on from the run's newest checkpoint: leave out --ckpt_path")
    return [*others[:1], *configurations, *others[1:]]


def _refuse_empty(before: list[str], argument: str) -> None:
    """Refuse an empty value, such as that of a variable of the shell that is not set.

    Lightning's own settings may be empty.
    """
    flag, equals, value = argument.partition("=")
    if not argument and before:
        flag, equals = before[-1], "="
    if flag.startswith("--") and not flag.startswith("--trainer.") and equals and not value:
        raise UsageError(f"{flag}: the value is empty; give one, or leave the flag out")


def find_config(name: str) -> Path:
    """The path of a configuration file.

    Args:
        name: a path, or `conf/NAME.yaml` for a ready-made configuration.

    Raises:
        UsageError: there is no such file; names the ready-made one with the most similar name.
    """
    path = Path(name)
    if path.is_file():
        return path
    ready = conf_folder() / name.removeprefix("conf/")
    if ready.is_file() and ".." not in path.parts:
        return ready
    if path.exists():
        raise UsageError(f"--config {name}: not a file")
    known = [f"conf/{path}" for path in ready_made()]
    near = difflib.get_close_matches(name, known, 1)
    hint = f"did you mean {near[0]}?" if near else "nlp-rnn --help lists the ready-made ones"
    raise UsageError(f"--config {name}: no such file; {hint}")


def _size(value: object, sizes: dict[int, int]) -> int:
    """The number of values within a value, those behind aliases as often as they are named.

    Args:
        value: what YAML was read as.
        sizes: the results so far by object, for a few aliases can stand for more than can be counted one by
            one.
    """
    if not isinstance(value, (dict, list)):
        return 1
    if id(value) not in sizes:
        inner = value.values() if isinstance(value, dict) else value
        sizes[id(value)] = 1 + sum(_size(item, sizes) for item in inner)
    return sizes[id(value)]


def _check_file(path: Path) -> None:
    import yaml  # here, as --help does not need it

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        if _size(content, {}) > _MAX_VALUES:
            raise UsageError(f"{path}: refused, its YAML aliases stand for more than {_MAX_VALUES:,} values")
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        has_tag = isinstance(error, yaml.constructor.ConstructorError)
        fault = "refused, configurations hold plain values" if has_tag else "not valid YAML"
        raise UsageError(f"{path}{line}: {fault} ({error.problem})") from error
    except RecursionError:
        raise UsageError(f"{path}: refused, its settings are nested too deeply") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UsageError(f"{path}: cannot be read ({error})") from error
    if not isinstance(content, dict):
        form = "empty" if content is None else f"a {type(content).__name__}"
        raise UsageError(f"{path}: a configuration is a mapping of settings, this is {form}")
