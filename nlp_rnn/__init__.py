"""Recurrent NLP models with the Hugging Face data stack and Lightning."""

__version__ = "0.1.0"
