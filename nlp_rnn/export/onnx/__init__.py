"""Export to ONNX: graphs that ONNX Runtime, or any other engine, computes without torch.

The graphs are written from the modules of a model, one operator per layer and direction, rather than traced:
both of torch's exporters fail on recurrent layers with lengths, or are silently wrong at other lengths.

An exported folder is a model folder with `.onnx` files in place of `model.safetensors`; `config.json` and the
tokenizers are copied as they are. Opset 17, IR version 8. The files have these inputs (->) outputs:

- `Classifier`, `model.onnx`: `ids`, `lengths` -> `logits` [B, C].
- `PairClassifier`, `model.onnx`: `first_ids`, `first_lengths`, `second_ids`, `second_lengths` -> `logits`
  [B, C].
- `Tagger`, `model.onnx`: `ids`, `lengths` and, if it reads characters, `characters`, `character_lengths`,
  `spelling` -> `logits` [T, B, C] and, with a CRF, `crf_start` [C], `crf_transitions` [C, C], `crf_end` [C].
- `SeriesTagger`, `model.onnx`: `vectors`, `lengths` -> `logits` [T, B, C].
- `Regressor`, `model.onnx`: `vectors`, `lengths` -> `values` [B, K].
- `LanguageModel`, `model.onnx`: `ids`, `lengths`, `state_0`, ... -> `logits` [T, B, V], `next_state_0`, ...
- `Seq2Seq`, `encoder.onnx`: `ids`, `lengths` -> `state_0`, ... and, with a context, `context` [1, B, H], or,
  with attention, `memory` [S, B, H], `keys` [S, B, H], `inside` [S, B] bool.
  `decoder_step.onnx`: `token` and all outputs of the encoder -> `logits` [B, V], `next_state_0`, ...
  and, with attention, `alignment` [B, S].
- `Captioner`, `encoder.onnx`: `vectors` [B, F] -> `state_0`, ...
  `decoder_step.onnx`: `token`, `state_0`, ... -> `logits` [B, V], `next_state_0`, ...

What they are:

- `ids` are int64 [T, B], time first; `lengths` int64 [B], from 0 to T; T is at least 1. `token` is int64 [B],
  `vectors` float32 [T, B, I] unless said otherwise. What is behind a sequence's end affects no answer.
- `characters` [C, U] int64 are the characters of the U different words of a batch, `character_lengths` [U]
  int64 their numbers, and `spelling` [T, B] int64 says which of the U words is at each place.
- A recurrent state is one input per tensor of the cell, `state_0` (hidden) and, of an LSTM, `state_1` (cell),
  each float32 [num_layers, B, H]. That of a language model starts with zeros. `next_state_0` is the `state_0`
  of the next call. `context`, `memory`, `keys` and `inside` stay the same. Dimension 1 of all is the batch.
- `logits` [T, B, C] of several columns of tags follow one another in the last dimension. Those behind a
  sequence's end have no meaning.
- The best tags under a CRF have the highest sum of logits, start, transitions (from the row to the column)
  and end; what is not allowed has -1e9. The caller finds them (Viterbi).
- All else is left to the caller too: probabilities, temperature, thresholds, search. Ids must be those of the
  vocabulary.
"""
