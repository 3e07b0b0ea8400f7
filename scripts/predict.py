"""The verb `nlp-rnn predict` as a script."""

import sys

from nlp_rnn.cli.main import main

main(["predict", *sys.argv[1:]])
