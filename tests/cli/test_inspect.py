"""Settings of `nlp-rnn inspect` that would have no effect, or no meaning, are refused."""

import pytest


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--automaton", "0"], "0 is no number of states, such as 24"),
        (["--automaton", "-3"], "--automaton"),
        (["--clamp", "3=nan"], "3=nan is not UNIT=VALUE"),
        (["--clamp", "3"], "3 is not UNIT=VALUE"),
        (["--replace", "word"], "word is not WORD=OTHER"),
    ],
)
def test_values_that_are_refused(arguments, message, run, tmp_path):
    code, _, error = run("inspect", "model", "a text", "--output", str(tmp_path / "out"), *arguments)
    assert (code, len(error.strip().splitlines())) == (2, 1)
    assert message in error
    assert not (tmp_path / "out").exists()
