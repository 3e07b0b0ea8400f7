"""The verb `nlp-rnn evaluate` as a script."""

import sys

from nlp_rnn.cli.main import main

main(["evaluate", *sys.argv[1:]])
