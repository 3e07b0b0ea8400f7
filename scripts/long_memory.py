"""The verb `nlp-rnn long-memory` as a script."""

import sys

from nlp_rnn.cli.main import main

main(["long-memory", *sys.argv[1:]])
