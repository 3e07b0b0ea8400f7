"""`python -m nlp_rnn_lite`, the same as `nlp-rnn-lite`."""

from .cli import main

if __name__ == "__main__":
    main()
