"""Answers of trained models: for texts and numbers, for streams, and for files."""
