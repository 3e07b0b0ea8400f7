"""The verb `nlp-rnn quantize` as a script."""

import sys

from nlp_rnn.cli.main import main

main(["quantize", *sys.argv[1:]])
