"""The verb `nlp-rnn generate` as a script."""

import sys

from nlp_rnn.cli.main import main

main(["generate", *sys.argv[1:]])
