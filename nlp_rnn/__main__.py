"""`python -m nlp_rnn`: the command line."""

from nlp_rnn.cli.main import main

if __name__ == "__main__":
    main()
