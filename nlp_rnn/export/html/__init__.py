"""Export to one HTML file: a page with the weights, the tokenizer and a runtime in JavaScript, in one file.

It opens from a disk or an e-mail, in any browser, and never sends a request. The parts:

- `writing.py` makes the page; `models.py` has a row for each model that it can run.
- `weights.py` rounds weights to 8 bits, one scale per row; inputs and sums are not rounded.
- `vocabularies.py`, `splitters.py` and `unicode_tables.py` write what texts are split with.
- `runtime/` is the JavaScript, as it stands in the page, and the page around it.
"""
