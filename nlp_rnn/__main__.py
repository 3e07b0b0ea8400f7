"""The command `nlp-rnn`, installed or as `python -m nlp_rnn`."""

import signal

# Until the command line handles it, Ctrl-C ends the process at once: Python's own handler shows a traceback.
if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)

from nlp_rnn.cli.main import main

if __name__ == "__main__":
    main()
