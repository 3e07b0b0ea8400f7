// Translation, of `Seq2Seq`: without attention, with a constant context, or with attention.

/**
 * One step of each decoder after its embedding: (model, word vector, state) -> { output, own, steps, weights }.
 *
 * A state has `own`, the recurrent layers' state, and what the encoder found: `context`, or `outputs` and
 * `keys` of the source's steps. `output` is what the output layer reads, `weights` those of attention.
 */
const DECODERS = {
  plain(model, word, { own }) {
    const { output, state, steps } = model.decoder.step(word, own);
    return { output, own: state, steps };
  },

  context(model, word, { own, context }) {
    const { output, state, steps } = model.decoder.step(concat(word, context), own);
    return { output: model.combine(output, context, word), own: state, steps };
  },

  luong(model, word, { own, outputs, keys }) {
    const { output, state, steps } = model.decoder.step(word, own);
    const weights = softmax(keys.map((key) => dot(key, output)));
    return { output: model.combine(output, mix(outputs, weights, output.length)), own: state, steps, weights };
  },

  bahdanau(model, word, { own, outputs, keys }) {
    const query = model.linear("decoder.query")(own.at(-1)[0]);
    const energy = model.weights["decoder.energy.weight"];
    const score = (key) => energy.times(key.map((value, k) => Math.tanh(value + query[k])))[0];
    const weights = softmax(keys.map(score));
    const context = mix(outputs, weights, query.length);
    const { output, state, steps } = model.decoder.step(concat(word, context), own);
    return { output: model.combine(output, context, word), own: state, steps, weights };
  },
};

function dot(a, b) {
  let sum = 0;
  for (let k = 0; k < a.length; k++) sum += a[k] * b[k];
  return sum;
}

/** The mean of vectors, weighted. */
function mix(vectors, weights, size) {
  const result = new Float32Array(size);
  vectors.forEach((vector, i) => {
    for (let k = 0; k < size; k++) result[k] += weights[i] * vector[k];
  });
  return result;
}

/** The final states of each layer's directions, joined: as many vectors as with one direction. */
function joinDirections(final, directions) {
  const layers = [];
  for (let index = 0; index < final.length; index += directions) {
    const sides = final.slice(index, index + directions);
    layers.push(sides[0].map((_, number) => concat(...sides.map((vectors) => vectors[number]))));
  }
  return layers;
}

class Translator extends Model {
  constructor(description, weights) {
    super(description, weights);
    const target = weights["decoder.embedding.weight"];
    const source = weights["encoder.embedding.weight"] ?? target; // one matrix where all are tied
    this.encoder = new Text(this.recurrent("encoder.rnn"), (id) => source.row(id));
    this.decoder = this.recurrent("decoder.rnn");
    this.embed = (id) => target.row(id);
    const output = weights["decoder.fc_out.weight"] ?? target;
    const bias = weights["decoder.fc_out.bias"] ?? weights["decoder.bias"];
    this.logits = (features) => output.times(features, bias);
  }

  combine(...parts) {
    return this.weights["decoder.combine.weight"].times(concat(...parts)).map(Math.tanh);
  }

  step(id, state) {
    const result = DECODERS[this.settings.decoder](this, this.embed(id), state);
    return { ...result, logits: this.logits(result.output), state: { ...state, own: result.own } };
  }

  read(input) {
    const tokens = this.vocabularies.source.encode(blankToEmpty(input)).slice(0, this.settings.max_length);
    const order = this.settings.reverse_source ? [...tokens].reverse() : tokens;
    const names = order.map(({ text }) => text);
    const run = this.encoder.run(order.map(({ id }) => id));
    const best = this.translate(run);
    const written = best[0].steps;
    const vocabulary = this.vocabularies.target;
    const targets = best[0].tokens.map((id) => vocabulary.tokens[id]);
    if (best[0].finished) targets.push("(end)");
    const textOf = (ids) => vocabulary.decode(this.settings.reverse_target ? [...ids].reverse() : ids);
    const nBest = best.map(({ tokens: ids, score }) =>
      tokens.length ? { text: textOf(ids), score } : { text: "", score: null },
    );
    const title = this.settings.reverse_source ? "Reading, from the last word to the first" : "Reading";
    const frame = (n) => {
      const done = Math.max(0, n - tokens.length);
      const reading = run.steps.map((steps) => steps.slice(0, n));
      const writing = this.decoder.layers.map((_, index) => written.slice(0, done).map(({ steps }) => steps[index]));
      const groups = [
        group(title, names, this.encoder.rnn, reading),
        group(this.settings.reverse_target ? "Writing, from the last word to the first" : "Writing", targets, this.decoder, writing),
      ];
      const text = textOf(best[0].tokens.slice(0, done));
      const weights = written.slice(0, done).map((step) => step.weights);
      const attention = written[0]?.weights && tokens.length ? { rows: targets, columns: names, weights } : null;
      return { answer: { ...nBest[0], n_best: nBest }, continuation: tokens.length ? text : "", groups, attention };
    };
    const length = tokens.length ? tokens.length + written.length : 0;
    return { words: shownWords(tokens), first: 0, length, frame, readLength: tokens.length };
  }

  translate({ outputs, final }) {
    const key = this.weights["encoder.key.weight"];
    const keys = key ? outputs.map((output) => key.times(output)) : [];
    const own = joinDirections(final, this.encoder.rnn.directions);
    const state = { own, context: own.at(-1)[0], outputs, keys };
    const step = (id, from) => this.step(id, from);
    return beamSearch(step, state, BOS, this.settings.decoding, this.settings.never_written);
  }
}
