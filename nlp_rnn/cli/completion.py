"""`nlp-rnn completion bash`: print a script that lets bash complete verbs, settings, configurations."""

from __future__ import annotations

import argparse
from importlib import import_module

from nlp_rnn.cli.configs import ready_made
from nlp_rnn.cli.console import importing, verb_parser
from nlp_rnn.cli.verbs import VERBS
from nlp_rnn.files import printing

_SCRIPT = """\
# Completion of nlp-rnn for bash, made by `nlp-rnn completion bash`.
_nlp_rnn() {{
    local current="${{COMP_WORDS[COMP_CWORD]}}" previous="${{COMP_WORDS[COMP_CWORD-1]}}" words=""
    if [ "$COMP_CWORD" -eq 1 ]; then
        words="{verbs} --help --version"
    else
        case "${{COMP_WORDS[1]}} $previous" in
            *" --config" | *" -c") words="{configurations}" ;;
{choices}
        esac
        if [[ -z "$words" && "$current" == -* ]]; then
            case "${{COMP_WORDS[1]}}" in
{flags}
            esac
        fi
    fi
    COMPREPLY=($(compgen -W "$words" -- "$current"))
}}
complete -o default -F _nlp_rnn nlp-rnn
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the verb."""
    parser.add_argument("shell", choices=["bash"], help="the shell")


def run(options: argparse.Namespace) -> None:
    """Print the script."""
    with printing():
        print(bash_script(), end="")


def bash_script() -> str:
    """The script for bash. It completes files where it knows nothing better."""
    with importing():
        from nlp_rnn.training.common_settings import all_settings

    choices, flags = [], []
    for name, verb in VERBS.items():
        names: list[str] = []
        if verb.module is None or name == "predict" or verb.takes_settings:
            names += [f"--{setting}" for setting in all_settings("fit" if verb.takes_settings else name)]
        if verb.module is not None:
            parser = verb_parser(name, verb)
            import_module(verb.module).add_arguments(parser)
            for action in parser._actions:
                names += action.option_strings[-1:]
                pattern = " | ".join(f'"{name} {flag}"' for flag in action.option_strings or [name])
                if action.choices:
                    choices.append(f'{"":12}{pattern}) words="{" ".join(action.choices)}" ;;')
        flags.append(f'{"":16}{name}) words="{" ".join(dict.fromkeys(names))}" ;;')
    return _SCRIPT.format(
        verbs=" ".join(VERBS),
        configurations=" ".join(f"conf/{name}" for name in ready_made()),
        choices="\n".join(choices),
        flags="\n".join(flags),
    )
