"""Measuring trained models on corpora."""
