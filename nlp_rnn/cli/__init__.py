"""The command line `nlp-rnn`: a table of verbs, and one file per verb."""
