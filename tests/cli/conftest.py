"""What the tests of the command line share."""

import pytest

from nlp_rnn.cli.main import main


@pytest.fixture
def run(capfd):
    """Calls the command line; gives (exit code, standard output, standard error)."""

    def call(*arguments):
        capfd.readouterr()
        code = 0
        try:
            main(list(arguments))
        except SystemExit as stopped:
            code = stopped.code
        return code, *capfd.readouterr()

    return call
