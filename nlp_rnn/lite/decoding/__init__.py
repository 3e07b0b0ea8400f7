"""Searching for the best sequence of tokens, step by step."""
