"""Every variant of the sequence-to-sequence model, with every cell: the same invariants for all."""

import copy
import math

import pytest
import torch

from nlp_rnn.errors import UsageError
from nlp_rnn.models.layers.cells import CELLS
from nlp_rnn.models.layers.quantization import quantize
from nlp_rnn.models.search import beam_search, greedy
from nlp_rnn.models.seq2seq import Decoder, Encoder, Seq2Seq
from nlp_rnn.models.translator import ATTENTIONS, make_seq2seq

VARIANTS = {
    "plain": {},
    "tied": {"tie_embeddings": "decoder"},
    "context": {"context": True},
    "context, direct": {"context": True, "readout": "direct"},
    "bahdanau": {"attention": "bahdanau"},
    "luong": {"attention": "luong"},
    "context, all tied": {"context": True, "tie_embeddings": "all"},
    "luong, all tied": {"attention": "luong", "tie_embeddings": "all"},
    "bahdanau, tied": {"attention": "bahdanau", "tie_embeddings": "decoder"},
}
VARIANTS |= {f"both directions, {name}": {**row, "bidirectional": True} for name, row in VARIANTS.items()}
BOS, EOS = 2, 3
each_variant = pytest.mark.parametrize("variant", VARIANTS)
attentive = pytest.mark.parametrize("attention", [name for name in ATTENTIONS if name != "none"])


def make(variant, cell="lstm", layers=2, dropout=0.0, **options):
    """A small model whose scores depend on all that it has read."""
    torch.manual_seed(0)
    model = make_seq2seq(13, 13, 8, 8, layers, dropout, cell, **{**VARIANTS.get(variant, {}), **options})
    for name, parameter in model.named_parameters():
        parameter.data.mul_(8 if "weight_hh" in name or name.endswith("embedding.weight") else 2)
    return model.eval()


def make_batch():
    return torch.randint(4, 13, (6, 4)), torch.randint(4, 13, (7, 4)), torch.tensor([2, 6, 0, 4])


def test_without_options_it_is_the_plain_model():
    model = make_seq2seq(7, 9, 4, 8, 2, 0.5)
    assert repr(model) == repr(Seq2Seq(Encoder(7, 4, 8, 2, 0.5), Decoder(9, 4, 8, 2, 0.5)))
    torch.manual_seed(1)
    ours = make_seq2seq(7, 9, 4, 8, 2, 0.5).state_dict()
    torch.manual_seed(1)
    plain = Seq2Seq(Encoder(7, 4, 8, 2, 0.5), Decoder(9, 4, 8, 2, 0.5)).state_dict()
    assert list(ours) == list(plain)
    assert all(ours[name].equal(plain[name]) for name in plain)


@each_variant
@pytest.mark.parametrize("cell", CELLS)
def test_stepwise_equals_teacher_forced(variant, cell):
    model = make(variant, cell)
    source, target, lengths = make_batch()
    together = model(source, target, lengths)
    assert together.shape == (7, 4, 13)
    state = model.encoder(source, lengths)
    for step in range(7):
        logits, state = model.decoder.step(target[step], state)
        torch.testing.assert_close(logits, together[step], atol=1e-4, rtol=0)
    halves = model.encoder(source, lengths)
    first, halves = model.decoder(target[:3], halves)
    torch.testing.assert_close(
        torch.cat([first, model.decoder(target[3:], halves)[0]]), together, atol=1e-4, rtol=0
    )


@each_variant
@pytest.mark.parametrize("cell", CELLS)
def test_a_sentence_alone_equals_itself_among_longer_ones(variant, cell):
    model = make(variant, cell)
    source, target, lengths = make_batch()
    together = model(source, target, lengths)
    changed = source.masked_fill(torch.arange(6)[:, None] >= lengths, 7)
    assert model(changed, target, lengths).equal(together)
    for row, length in enumerate(lengths.tolist()):
        by_itself = model(source[:length, row : row + 1], target[:, row : row + 1])
        torch.testing.assert_close(together[:, row], by_itself[:, 0], atol=1e-4, rtol=0)


@each_variant
def test_features_are_the_input_of_the_output_layer(variant):
    model = make(variant)
    source, target, lengths = make_batch()
    ends = torch.tensor([3, 7, 1, 0])
    logits = model(source, target, lengths)
    features = model.features(source, target, lengths, ends)
    weight, bias = model.decoder.output
    for row, end in enumerate(ends.tolist()):
        ours = features[:end, row] @ weight.t() + bias
        torch.testing.assert_close(ours, logits[:end, row], atol=1e-5, rtol=0)
        assert not features[end:, row].any()
    assert model.features(source, target[:0], lengths).shape == (0, 4, weight.size(1))


@each_variant
def test_greedy_equals_a_beam_of_one_and_a_wide_beam_is_no_worse(variant):
    model = make(variant)
    source, _, lengths = make_batch()
    options = {"bos_id": BOS, "eos_id": EOS, "max_length": 9, "forbidden": (0, 1, BOS)}
    step, state = model.decoder.step, model.encoder(source, lengths)
    one = greedy(step, state, **options)
    assert [h.tokens for h in one] == [row[0].tokens for row in beam_search(step, state, width=1, **options)]
    wide = beam_search(step, state, width=12, length_penalty=0.0, **options)
    for row, (hypotheses, narrow) in enumerate(zip(wide, one, strict=True)):
        best = hypotheses[0]
        assert best.log_prob >= narrow.log_prob - 1e-4
        # The score is what the teacher-forced model gives: so the beam has reordered all of the state.
        ids = torch.tensor([BOS, *best.tokens, *([EOS] if best.finished else [])])[:, None]
        logits = model(source[:, row : row + 1], ids[:-1], lengths[row : row + 1])
        logits[:, :, list(options["forbidden"])] = -torch.inf
        total = logits.log_softmax(-1).gather(2, ids[1:, :, None]).sum().item()
        assert best.log_prob == pytest.approx(total, abs=1e-4)


@each_variant
@pytest.mark.parametrize("cell", ["lstm", "mingru"])
def test_every_parameter_gets_a_gradient(variant, cell):
    model = make(variant, cell, dropout=0.1).train()
    source, target, lengths = make_batch()
    model(source, target, lengths).log_softmax(-1)[..., 5].sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name
        assert parameter.grad.isfinite().all(), name


@each_variant
def test_scheduled_sampling_reads_its_own_tokens(variant):
    model = make(variant)
    source, target, lengths = make_batch()
    outputs = model(source, target, lengths, teacher_forcing=0.0)
    own = torch.cat([target[:1], outputs.argmax(-1)[:-1]])
    torch.testing.assert_close(outputs, model(source, own, lengths), atol=1e-4, rtol=0)


@each_variant
@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_int8_weights_give_nearly_the_same_scores(variant, cell):
    torch.manual_seed(0)
    model = make_seq2seq(13, 13, 32, 32, 1, 0.0, cell, **VARIANTS[variant]).eval()
    small = quantize(copy.deepcopy(model))
    source, target, lengths = make_batch()
    exact = model(source, target, lengths)
    assert (small(source, target, lengths) - exact).abs().max() < 0.05 * exact.abs().max()
    again = quantize(make_seq2seq(13, 13, 32, 32, 1, 0.0, cell, **VARIANTS[variant]))
    again.load_state_dict(small.state_dict())
    assert torch.equal(again(source, target, lengths), small(source, target, lengths))


@each_variant
def test_a_copy_is_independent_and_no_weight_is_stored_twice(variant):
    model = make(variant)
    other = copy.deepcopy(model)
    source, target, lengths = make_batch()
    before = model(source, target, lengths)
    for parameter in other.parameters():
        parameter.data.zero_()
    assert torch.equal(model(source, target, lengths), before)
    assert other(source, target, lengths).eq(0).all()
    weights = model.state_dict()
    assert len({tensor.data_ptr() for tensor in weights.values()}) == len(weights)
    assert set(weights) == {name for name, _ in model.named_parameters(remove_duplicate=False)}


def test_tied_weights_are_counted_once():
    def count(**options):
        return sum(p.numel() for p in make("plain", **options).parameters())

    assert count() - count(tie_embeddings="decoder") == 13 * 8
    assert count() - count(tie_embeddings="all") == 2 * 13 * 8


def test_a_tied_matrix_is_embedding_and_output_layer():
    model = make("plain", tie_embeddings="all")
    row = model.decoder.embedding.weight
    assert model.decoder.output[0] is row
    row.data[5] = 0
    assert model.decoder.logits(torch.randn(8))[5] == model.decoder.bias[5]
    assert not model.encoder.embed(torch.tensor([[5]])).any()
    assert "embedding=decoder.embedding" in repr(model)
    assert "fc_out=embedding" in repr(model)


@attentive
def test_padding_gets_exactly_no_weight(attention):
    model = make("plain", attention=attention)
    source, target, lengths = make_batch()
    weights = model.decoder.alignment(target, model.encoder(source, lengths))
    assert weights.shape == (7, 4, 6)
    for row, length in enumerate(lengths.tolist()):
        assert not weights[:, row, length:].any()
        if length:
            torch.testing.assert_close(weights[:, row].sum(-1), torch.ones(7))
    assert not weights[:, 2].any()  # an empty source
    assert 0.1 < weights[:, 1].max() < 1
    assert model.decoder.alignment(target[:0], model.encoder(source, lengths)).shape == (0, 4, 6)


def test_luong_attention_written_out():
    model = make("luong", layers=1)
    source, target = torch.randint(4, 13, (5, 1)), torch.randint(4, 13, (3, 1))
    outputs, state = model.encoder.rnn(model.encoder.embedding(source))
    hidden, _ = model.decoder.rnn(model.decoder.embedding(target), state)
    for step, logits in enumerate(model(source, target)):
        scores = torch.stack([hidden[step, 0] @ (model.encoder.key.weight @ output[0]) for output in outputs])
        context = sum(weight * output[0] for weight, output in zip(scores.softmax(0), outputs, strict=True))
        features = torch.tanh(model.decoder.combine.weight @ torch.cat([hidden[step, 0], context]))
        torch.testing.assert_close(logits[0], model.decoder.fc_out(features), atol=1e-5, rtol=0)


def test_bahdanau_attention_written_out():
    model = make("bahdanau", layers=2)
    source, target = torch.randint(4, 13, (5, 1)), torch.randint(4, 13, (3, 1))
    decoder = model.decoder
    outputs, state = model.encoder.rnn(model.encoder.embedding(source))
    for word, logits in zip(decoder.embedding(target), model(source, target), strict=True):
        query = decoder.query(state[0][-1, 0])
        keys = [model.encoder.key(output[0]) for output in outputs]
        scores = torch.stack([decoder.energy.weight[0] @ torch.tanh(query + key) for key in keys])
        context = sum(weight * output[0] for weight, output in zip(scores.softmax(0), outputs, strict=True))
        hidden, state = decoder.rnn(torch.cat([word[0], context])[None, None], state)
        features = torch.tanh(decoder.combine.weight @ torch.cat([hidden[0, 0], context, word[0]]))
        torch.testing.assert_close(logits[0], decoder.fc_out(features), atol=1e-5, rtol=0)


def test_the_context_is_the_encoders_final_state_at_each_step():
    model = make("context", layers=2)
    source, target = torch.randint(4, 13, (5, 1)), torch.randint(4, 13, (3, 1))
    outputs, state = model.encoder.rnn(model.encoder.embedding(source))
    context = outputs[-1]
    for word, logits in zip(model.decoder.embedding(target), model(source, target), strict=True):
        hidden, state = model.decoder.rnn(torch.cat([word, context], 1)[None], state)
        features = torch.tanh(model.decoder.combine(torch.cat([hidden[0], context, word], 1)))
        torch.testing.assert_close(logits, model.decoder.fc_out(features), atol=1e-5, rtol=0)


@pytest.mark.parametrize("cell", CELLS)
def test_both_directions_are_joined_layer_by_layer(cell):
    """The first half of each layer's state is that of reading forward, the other that of reading backward."""
    model = make("context", cell, bidirectional=True)
    source, _, lengths = make_batch()
    state = model.encoder(source, lengths)
    separate = model.encoder.rnn(model.encoder.embedding(source), lengths=lengths)[1]
    assert model.encoder.rnn.hidden_size == 4
    for joined, halves in zip(state[:-1], separate, strict=True):
        assert joined.shape == (2, 4, 8)
        for layer in range(2):
            assert joined[layer, :, :4].equal(halves[2 * layer])
            assert joined[layer, :, 4:].equal(halves[2 * layer + 1])
    assert state[-1].equal(state[0][1:])  # the context
    assert not any(tensor[:, 2].any() for tensor in state)  # an empty source


@attentive
def test_attention_looks_at_both_directions(attention):
    """What a position gives depends on the words before it and on those behind it."""
    encoder = make("plain", attention=attention, bidirectional=True).encoder
    source = torch.randint(4, 12, (6, 1))
    outputs = encoder(source)[-3]
    for place in (0, 5):
        changed = source.clone()
        changed[place] += 1
        assert (encoder(changed)[-3] - outputs).abs().sum((1, 2)).gt(1e-4).all()


def test_encoder_and_decoder_of_other_sizes_do_not_fit():
    with pytest.raises(ValueError, match="hidden_dim is 6 in the encoder and 12 in the decoder"):
        Seq2Seq(Encoder(7, 4, 6, 1, 0.0, bidirectional=True), Decoder(9, 4, 12, 1, 0.0))
    with pytest.raises(ValueError, match="need an even hidden_dim, half of it each, not 7"):
        Encoder(7, 4, 7, 1, 0.0, bidirectional=True)


@attentive
def test_attention_learns_to_copy_what_the_final_state_forgets(attention):
    """A longer sequence than the small state holds, word for word."""
    torch.manual_seed(0)
    model = make_seq2seq(13, 13, 16, 16, 1, 0.0, "gru", attention=attention)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(150):
        source = torch.randint(4, 13, (8, 32))
        target = torch.cat([torch.full((1, 32), BOS), source])
        logits = model(source, target[:-1])
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), source.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.5 * math.log(9)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"context": True, "attention": "luong"}, "context and attention luong exclude each other"),
        ({"readout": "direct"}, "is for a decoder with context"),
        ({"context": True, "readout": "direct", "tie_embeddings": "all"}, "without tied embeddings"),
        ({"hidden_dim": 16, "tie_embeddings": "decoder"}, "to be equal, not 8 and 16"),
        ({"hidden_dim": 16, "tie_embeddings": "all"}, "to be equal, not 8 and 16"),
        ({"hidden_dim": 7, "bidirectional": True}, "needs an even hidden_dim, half of it .*, not 7"),
    ],
)
def test_settings_that_do_not_fit_are_refused(options, message):
    sizes = {"embedding_dim": 8, "hidden_dim": 8, "num_layers": 1, "dropout": 0.0, **options}
    with pytest.raises(UsageError, match=message):
        make_seq2seq(13, 13, **sizes)


def test_a_tied_decoder_by_itself_needs_equal_sizes():
    with pytest.raises(ValueError, match="to be equal, not 4 and 8"):
        Decoder(9, 4, 8, 1, 0.0, tie_weights=True)


@each_variant
def test_autocast_and_bfloat16_weights(variant):
    model = make(variant)
    source, target, lengths = make_batch()
    exact = model(source, target, lengths)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = model(source, target, lengths)
        model.train()(source, target, lengths).float().sum().backward()
    assert (rounded.float() - exact).abs().max() < 0.2 * exact.abs().max()
    low = model.eval().bfloat16()(source, target, lengths)
    assert (low.float() - exact).abs().max() < 0.2 * exact.abs().max()
