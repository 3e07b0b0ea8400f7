"""The models of the widely copied PyTorch tutorials, and how their original forward passes compute."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nlp_rnn.conversion.classifier import classifier as convert_classifier
from nlp_rnn.conversion.imported import Draw, Imported, Request, make_task, renumber
from nlp_rnn.conversion.recurrent import recurrent
from nlp_rnn.conversion.tagger import tagger as convert_tagger
from nlp_rnn.conversion.vocabulary import IMPOSSIBLE, arrange, read_tokens
from nlp_rnn.conversion.weights import read_state, take
from nlp_rnn.errors import UsageError
from nlp_rnn.lite.text.tokenizer_format import BOS, EOS
from nlp_rnn.tasks.language_modeling import LanguageModeling
from nlp_rnn.tasks.language_modeling.data import LanguageModelingProcessor
from nlp_rnn.tasks.translation import Translation
from nlp_rnn.tasks.translation.data import TranslationProcessor


def seq2seq(request: Request) -> Imported:
    """The encoder-decoder whose decoder sees the encoder's final state alone (Sutskever et al. 2014)."""
    return _translator(request, context=False)


def seq2seq_context(request: Request) -> Imported:
    """The encoder-decoder whose decoder reads that state as a context at each step (Cho et al. 2014)."""
    return _translator(request, context=True)


def _translator(request: Request, context: bool) -> Imported:
    state = read_state(request.weights)
    # Early copies of the tutorial call the output layer `out`.
    state = {name.replace("decoder.out.", "decoder.fc_out."): value for name, value in state.items()}
    parts = ("encoder.embedding.", "encoder.rnn.", "decoder.embedding.", "decoder.rnn.", "decoder.fc_out.")
    source, reader, target, writer, output = take(state, *parts)
    encoder, decoder = recurrent(reader, "encoder.rnn"), recurrent(writer, "decoder.rnn")
    if encoder.bidirectional:
        raise UsageError(
            "encoder.rnn reads in both directions: how its final states become the decoder's is not in the "
            "weights, so no recipe converts it; train such a model with --model.bidirectional true"
        )
    expected = target["weight"].shape[1] + (encoder.hidden_size if context else 0)
    if decoder.input_size != expected:
        raise UsageError(
            f"the decoder reads {decoder.input_size} values per step, that of this recipe would read "
            f"{expected}: seq2seq is for a decoder that reads its embedding alone, seq2seq-context for one "
            "that also reads the encoder's state"
        )
    tokens = [read_tokens(path) for path in request.vocabularies]
    names = [str(path) for path in request.vocabularies]
    sources = arrange(tokens[0], len(source["weight"]), names[0])
    targets = arrange(tokens[1], len(target["weight"]), names[1], needed=(BOS, EOS))
    task = make_task(
        Translation,
        TranslationProcessor(
            sources.vocabulary, targets.vocabulary, request.reverse_source, max_length=request.max_length
        ),
        {
            "embedding_dim": encoder.input_size,
            "context": context,
            "readout": "direct" if context else "combined",
            **encoder.settings,
        },
        {
            "encoder.embedding.weight": sources.rows(source["weight"]),
            "decoder.embedding.weight": targets.rows(target["weight"]),
            "decoder.fc_out.weight": targets.rows(output["weight"]),
            "decoder.fc_out.bias": targets.rows(output["bias"], IMPOSSIBLE),
            **{f"encoder.rnn.{name}": value for name, value in encoder.tensors.items()},
            **{f"decoder.rnn.{name}": value for name, value in decoder.tensors.items()},
        },
    )
    read, write = encoder.layers(), decoder.layers()
    source_ids, target_ids = sources.ids(), targets.ids()

    def compare(draw: Draw, length: int) -> tuple[Tensor, Tensor]:
        ids, outputs = draw(0, length), draw(1, length)
        _, final = read(F.embedding(ids, source["weight"]))
        states = _decode(write, F.embedding(outputs, target["weight"]), final, context)
        theirs = F.linear(states, output["weight"], output["bias"])[:, list(target_ids)]
        scores: Tensor = task.model(
            renumber(ids, source_ids)[:, None], renumber(outputs, target_ids)[:, None]
        )
        return theirs, scores[:, 0, list(target_ids.values())]

    notes = [*sources.notes, *targets.notes]
    if not request.reverse_source:
        notes.append(
            "early copies of the tutorial read the source from its end: for these, give --reverse-source"
        )
    return Imported(task, compare, [list(source_ids), list(target_ids)], notes)


def _decode(write: nn.RNNBase, words: Tensor, final: Any, context: bool) -> Tensor:
    """What the output layer of the tutorials reads: [T, E] -> [T, H], or [T, E + 2 H] with the context."""
    if not context:
        outputs: Tensor = write(words, final)[0]
        return outputs
    hidden = final[0] if isinstance(final, tuple) else final
    contexts = hidden[-1].expand(len(words), -1)
    outputs, _ = write(torch.cat((words, contexts), 1), final)
    return torch.cat((words, outputs, contexts), 1)


def tagger(request: Request) -> Imported:
    """The part-of-speech tagger: an LSTM over words, linear at each step."""
    embedding, layers, output = take(read_state(request.weights), "embedding.", "lstm.", "fc.")
    part = recurrent(layers, "lstm")
    read, weight, bias = part.layers(), output["weight"], output["bias"]
    imported = convert_tagger(
        request, embedding["weight"], part, weight, bias, lambda words: F.linear(read(words)[0], weight, bias)
    )
    if part.bidirectional:
        imported.notes.append(
            "the tutorial reads padding too, so its tags may differ within a batch of several sentences"
        )
    return imported


def sentiment_lstm(request: Request) -> Imported:
    """The classifier whose output layer reads the final backward state before the forward one."""
    return _classifier(request, "lstm.", backward_first=True)


def sentiment_rnn(request: Request) -> Imported:
    """The classifier whose output layer reads the final forward state before the backward one."""
    return _classifier(request, "rnn.", backward_first=False)


def _classifier(request: Request, layers_name: str, backward_first: bool) -> Imported:
    embedding, layers, output = take(read_state(request.weights), "embedding.", layers_name, "fc.")
    part = recurrent(layers, layers_name.rstrip("."))
    read, weight, bias = part.layers(), output["weight"], output["bias"]
    order = ((-1, -2) if backward_first else (-2, -1)) if part.bidirectional else (-1,)

    def original(vectors: Tensor) -> Tensor:
        _, state = read(vectors)
        hidden = state[0] if isinstance(state, tuple) else state
        return F.linear(torch.cat([hidden[layer] for layer in order]), weight, bias)

    ours = torch.cat(weight.chunk(2, dim=1)[::-1], 1) if part.bidirectional and backward_first else weight
    return convert_classifier(request, embedding["weight"], part, ours, bias, original)


def language_model(request: Request) -> Imported:
    """PyTorch's word language model: running text whose lines end in EOS, so EOS also begins a text."""
    state = read_state(request.weights)
    embedding, layers, output = take(state, "encoder.", "rnn.", "decoder.")
    part = recurrent(layers, "rnn")
    if part.bidirectional:
        raise UsageError("its layers read backwards too: no language model")
    vocabulary = request.vocabularies[0]
    tokens = arrange(read_tokens(vocabulary), len(embedding["weight"]), str(vocabulary), needed=(EOS,))
    tied = part.input_size == part.hidden_size and torch.equal(embedding["weight"], output["weight"])
    rows = tokens.rows(embedding["weight"])
    if tokens.origins[BOS] is None:
        rows[BOS] = rows[EOS]
    bias = tokens.rows(output["bias"], IMPOSSIBLE)
    last = {"bias": bias} if tied else {"fc_out.weight": tokens.rows(output["weight"]), "fc_out.bias": bias}
    task = make_task(
        LanguageModeling,
        LanguageModelingProcessor(tokens.vocabulary, max_length=request.max_length),
        {"embedding_dim": part.input_size, "tie_weights": tied, **part.settings},
        {
            "embedding.weight": rows,
            **last,
            **{f"rnn.{name}": value for name, value in part.tensors.items()},
        },
    )
    read, places = part.layers(), tokens.ids()

    def compare(draw: Draw, length: int) -> tuple[Tensor, Tensor]:
        ids = draw(0, length)
        outputs = read(F.embedding(ids, embedding["weight"]))[0]
        theirs = F.linear(outputs, output["weight"], output["bias"])[:, list(places)]
        scores: Tensor = task.model(renumber(ids, places)[:, None])[0]
        return theirs, scores[:, 0, list(places.values())]

    return Imported(task, compare, [list(places)], list(tokens.notes))


RECIPES: dict[str, Callable[[Request], Imported]] = {
    "seq2seq": seq2seq,
    "seq2seq-context": seq2seq_context,
    "tagger": tagger,
    "sentiment-lstm": sentiment_lstm,
    "sentiment-rnn": sentiment_rnn,
    "language-model": language_model,
}
