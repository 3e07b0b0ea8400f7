"""Scripts that have no spaces between words."""

UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
"""Thai, Lao, Myanmar, Khmer, kana and Chinese, as a class of characters of a regular expression."""
