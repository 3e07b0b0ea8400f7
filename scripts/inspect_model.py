"""The verb `nlp-rnn inspect` as a script."""

import sys

from nlp_rnn.cli.main import main

main(["inspect", *sys.argv[1:]])
