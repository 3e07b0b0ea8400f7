"""Trained models without torch: NumPy and `tokenizers` read the same model folders and answer the same.

Nothing here imports another room of the package, nor torch, so that the wheel `nlp-rnn-lite` is this folder
alone, under the name `nlp_rnn_lite`. What reading an input and writing an answer take stands here too, for
the rest of the package to share.
"""
