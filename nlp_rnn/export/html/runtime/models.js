// The models: a user's input to an answer like Python's, and to all that the page shows of it.
//
// `read(input)` returns a reading:
// - `words`: what the model reads, objects with `text` and `unknown`;
// - `length`: the number of steps; `frame(n)` is how things stand after n of them, from `first` on, with
//   - `answer`, of the form that Python's has;
//   - `groups` of recurrent layers that have run: `title`, `columns` (a name per step, of all steps) and
//     `layers`, each with a `name` and the `steps` that have been computed;
//   - `attention`, where there is any: `rows`, `columns` and `weights`.
// `answer(input)` is the answer of the last frame.

const NEVER_GENERATED = [PAD, UNK, BOS];
const UNSURE = "unsure";

class Model {
  constructor(description, weights) {
    Object.assign(this, { description, weights, labels: description.labels, settings: description.settings });
    const tables = readTables(description.characters);
    this.vocabularies = {};
    for (const [name, vocabulary] of Object.entries(description.vocabularies)) {
      this.vocabularies[name] = new Vocabulary(vocabulary, tables);
    }
  }

  answer(input) {
    const reading = this.read(input);
    return reading.frame(reading.length).answer;
  }

  linear(name) {
    return (vector) => this.weights[`${name}.weight`].times(vector, this.weights[`${name}.bias`]);
  }

  recurrent(name) {
    return new Recurrent(this.weights, name, this.settings.cell);
  }
}

function shownWords(tokens) {
  return tokens.map(({ id, text }) => ({ text, unknown: id === UNK }));
}

function layerNames(rnn) {
  return rnn.layers.map((_, index) => {
    const layer = `layer ${Math.floor(index / rnn.directions) + 1}`;
    return rnn.bidirectional ? `${layer}, ${index % 2 ? "backward" : "forward"}` : layer;
  });
}

/** A group of layers whose steps are those of `steps`, [layer][step]. */
function group(title, columns, rnn, steps) {
  const names = layerNames(rnn);
  return { title, columns, layers: names.map((name, index) => ({ name, steps: steps[index] })) };
}

/** A part that reads ids: an embedding and recurrent layers. */
class Text {
  constructor(rnn, embed) {
    this.rnn = rnn;
    this.embed = embed;
    this.reader = rnn.bidirectional ? null : new Reader(rnn, embed);
  }

  /** The outputs, final states and steps of some ids. */
  run(ids) {
    if (!this.reader) return this.rnn.run(ids.map(this.embed));
    const read = this.reader.read(ids);
    return {
      outputs: read.map(({ output }) => output),
      final: read.at(-1)?.state ?? this.rnn.initialState(),
      steps: this.rnn.layers.map((_, index) => read.map(({ steps }) => steps[index])),
    };
  }
}

const POOLINGS = {
  last: (rnn, { final }) => concat(...final.slice(-rnn.directions).map(([hidden]) => hidden)),
  mean(rnn, { outputs }) {
    const total = new Float64Array(rnn.size * rnn.directions);
    for (const output of outputs) output.forEach((value, k) => (total[k] += value));
    return Float32Array.from(total, (value) => value / Math.max(outputs.length, 1));
  },
  max(rnn, { outputs }) {
    const highest = new Float32Array(rnn.size * rnn.directions).fill(outputs.length ? -Infinity : 0);
    for (const output of outputs) output.forEach((value, k) => (highest[k] = Math.max(highest[k], value)));
    return highest;
  },
  concat: (rnn, run) => concat(POOLINGS.last(rnn, run), POOLINGS.max(rnn, run), POOLINGS.mean(rnn, run)),
  attention(rnn, { outputs }, query) {
    const total = new Float64Array(rnn.size * rnn.directions);
    const weights = softmax(outputs.map((output) => output.reduce((sum, value, k) => sum + value * query[k], 0)));
    outputs.forEach((output, t) => output.forEach((value, k) => (total[k] += weights[t] * value)));
    return Float32Array.from(total);
  },
};

/** One label per text, of `Classifier`. */
class Classifier extends Model {
  constructor(description, weights) {
    super(description, weights);
    this.text = this.makeText();
  }

  makeText() {
    return new Text(this.recurrent("rnn"), (id) => this.weights["embedding.weight"].row(id));
  }

  pool(run) {
    return POOLINGS[this.settings.pooling](this.text.rnn, run, this.weights.query);
  }

  tokens(text) {
    return this.vocabularies.tokens.encode(blankToEmpty(text)).slice(0, this.settings.max_length);
  }

  read(input) {
    const tokens = this.tokens(input);
    const words = shownWords(tokens);
    const columns = words.map(({ text }) => text);
    const ids = tokens.map(({ id }) => id);
    const frame = (n) => {
      const run = this.text.run(ids.slice(0, n));
      const summary = this.pool(run);
      const answer = n ? this.labelAnswer(this.linear("fc_out")(summary)) : this.noAnswer();
      return { answer, groups: [group("Reading", columns, this.text.rnn, run.steps)] };
    };
    return { words, first: 0, length: tokens.length, frame };
  }

  noAnswer() {
    return { label: null, score: null, scores: {} };
  }

  labelAnswer(logits) {
    const probabilities = softmax(logits.map((logit) => logit / this.settings.temperature));
    const best = argmax(probabilities);
    const label = probabilities[best] >= this.settings.unsure_below ? this.labels[best] : UNSURE;
    return { label, score: probabilities[best], scores: this.byLabel(probabilities) };
  }

  byLabel(values) {
    return Object.fromEntries(this.labels.map((label, index) => [label, values[index]]));
  }
}

/** Any number of labels per text, of `Classifier`. */
class MultiLabel extends Classifier {
  noAnswer() {
    return { labels: null, scores: {} };
  }

  labelAnswer(logits) {
    const probabilities = Float64Array.from(logits, sigmoid);
    const labels = this.labels.filter((_, i) => probabilities[i] >= this.settings.thresholds[i]);
    return { labels, scores: this.byLabel(probabilities) };
  }
}

/** One label per pair of texts, of `PairClassifier`; an input is an array of both. */
class PairClassifier extends Classifier {
  constructor(description, weights) {
    super(description, weights);
    this.second = this.makeText();
  }

  read([first, second]) {
    const sides = [first, second].map((text) => this.tokens(text));
    const words = sides.map(shownWords);
    const sizes = sides.map((tokens) => tokens.length);
    const frame = (n) => {
      const counts = [Math.min(n, sizes[0]), Math.max(n - sizes[0], 0)];
      const runs = [this.text, this.second].map((text, side) =>
        text.run(sides[side].slice(0, counts[side]).map(({ id }) => id)),
      );
      const [u, v] = runs.map((run) => this.pool(run));
      const compared = concat(u, v, u.map((value, k) => Math.abs(value - v[k])), u.map((value, k) => value * v[k]));
      const answer = n ? this.labelAnswer(this.linear("fc_out")(compared)) : this.noAnswer();
      const groups = runs.map((run, side) => {
        const columns = words[side].map(({ text }) => text);
        return group(side ? "Reading the second text" : "Reading the first text", columns, this.text.rnn, run.steps);
      });
      return { answer, groups };
    };
    return { words: words.flat(), first: 0, length: sizes[0] + sizes[1], frame };
  }
}

/** One tag per word and column, of `Tagger`; an input is a text, or an array of words. */
class Tagger extends Model {
  constructor(description, weights) {
    super(description, weights);
    const embedding = weights["embedding.weight"];
    const letters = weights["word_encoder.embedding.weight"];
    const spelling = letters && this.recurrent("word_encoder.rnn");
    this.spelled = new Map(); // the vectors of words from their characters
    this.known = new Map(); // words to one object each, [id, word]
    this.spell = (word) => {
      if (!this.spelled.has(word)) {
        const tokens = this.vocabularies.characters.encode(word).slice(0, this.settings.max_word_length);
        const { final } = spelling.run(tokens.map(({ id }) => letters.row(id)));
        this.spelled.set(word, concat(final[0][0], final[1][0]));
      }
      return this.spelled.get(word);
    };
    const affixes = weights["affix_embedding.weight"];
    const lookUp = ([id, word]) => {
      const vector = embedding.row(id);
      if (!affixes) return vector;
      const { affixes: sizes, affix_buckets: buckets } = this.settings;
      for (const affix of this.vocabularies.words.affixIds(word, sizes, buckets)) {
        affixes.row(affix).forEach((value, k) => (vector[k] += value));
      }
      return vector;
    };
    const embed = (known) => (letters ? concat(lookUp(known), this.spell(known[1])) : lookUp(known));
    this.text = new Text(this.recurrent("rnn"), embed);
    this.splitter = new WordSplitter(description.splitter);
    this.outputs = description.columns.map((_, n) => this.linear(n ? `fc_more.${n - 1}` : "fc_out"));
    this.chains = description.columns.map(({ labels, legal }, n) => {
      const trained = !n && this.settings.crf && {
        start: weights["crf.start"],
        transitions: weights["crf.transitions"],
        end: weights["crf.end"],
      };
      return trained || legal ? chainScores(labels.length, legal, trained || null) : null;
    });
  }

  read(input) {
    const placed = typeof input === "string" ? this.splitter.split(input) : input.map((word) => ({ word }));
    const kept = placed.slice(0, this.settings.max_length);
    kept.forEach(({ word }) => checkText(word));
    const words = kept.map(({ word }) => word);
    const ids = this.vocabularies.words.encodeWords(words);
    words.forEach((word, i) => this.known.has(word) || this.known.set(word, [ids[i], word]));
    const frame = (n) => {
      const run = this.text.run(words.slice(0, n).map((word) => this.known.get(word)));
      const answer = this.tag(words.slice(0, n), run.outputs);
      if (typeof input === "string") this.place(answer, input, kept.slice(0, n));
      return { answer, groups: [group("Reading", words, this.text.rnn, run.steps)] };
    };
    const shown = words.map((text, i) => ({ text, unknown: ids[i] === UNK }));
    return { words: shown, first: 0, length: words.length, frame };
  }

  tag(words, outputs) {
    const answer = { words };
    this.description.columns.forEach(({ key, labels, scheme, lemmas }, n) => {
      const emissions = outputs.map(this.outputs[n]);
      const chain = this.chains[n];
      const tags = chain ? bestTags(emissions, chain) : emissions.map(argmax);
      const probabilities = !n && this.settings.crf ? marginals(emissions, chain) : emissions.map(softmax);
      answer[key] = tags.map((tag, i) => (lemmas ? applyLemmaRule(labels[tag], words[i]) : labels[tag]));
      answer[key === "tags" ? "scores" : `${key}_scores`] = tags.map((tag, i) => probabilities[i][tag]);
      if (!n && scheme) {
        answer.entities = readSpans(answer[key]);
        for (const entity of answer.entities) entity.text = words.slice(entity.start, entity.end).join(" ");
      }
    });
    return answer;
  }

  place(answer, text, placed) {
    const characters = Array.from(text);
    answer.offsets = placed.map(({ start, end }) => [start, end]);
    for (const entity of answer.entities ?? []) {
      const offsets = [placed[entity.start].start, placed[entity.end - 1].end];
      Object.assign(entity, { text: characters.slice(...offsets).join(""), offsets });
    }
  }
}

/** The next token after a text, and its continuation, of `LanguageModel`. */
class LanguageModel extends Model {
  constructor(description, weights) {
    super(description, weights);
    const embedding = weights["embedding.weight"];
    this.text = new Text(this.recurrent("rnn"), (id) => embedding.row(id));
    const output = weights["fc_out.weight"] ?? embedding; // tied weights have a bias of their own
    const bias = weights["fc_out.bias"] ?? weights.bias;
    this.logits = (features) => output.times(features, bias);
    this.temperature = 0; // above 0, continuations are sampled
  }

  step(id, state) {
    const result = this.text.rnn.step(this.text.embed(id), state);
    return { ...result, logits: this.logits(result.output) };
  }

  read(input) {
    const vocabulary = this.vocabularies.tokens;
    const all = vocabulary.encode(input);
    const tokens = all.slice(Math.max(0, all.length - this.settings.max_length));
    const ids = [BOS, ...tokens.map(({ id }) => id)];
    const words = [{ text: "(start)", unknown: false }, ...shownWords(tokens)];
    const read = this.text.reader.read(ids);
    const logitsAfter = (t) => (read[t].logits ??= this.logits(read[t].output));
    const before = read.at(-2)?.state ?? this.text.rnn.initialState();
    const best = this.continuations(before, ids.at(-1));
    const frame = (n) => {
      const logProb = ids.slice(1, n).reduce((sum, id, t) => sum + logSoftmax(logitsAfter(t))[id], 0);
      const next = allowedLogProbs(logitsAfter(Math.min(n, ids.length) - 1), NEVER_GENERATED).map(Math.exp);
      const top = argmax(next);
      const written = best[0].steps.slice(0, Math.max(0, n - ids.length));
      const nBest = best.map(({ tokens: chosen, score }) => ({ text: vocabulary.decode(chosen), score }));
      const answer = { ...nBest[0], n_best: nBest, log_prob: logProb };
      Object.assign(answer, { next: vocabulary.tokens[top], probability: next[top] });
      const likely = topIds(next, 8).map((id) => ({ label: vocabulary.tokens[id], probability: next[id] }));
      // The first step of the continuation reads the last token of the text.
      const names = [...words.map(({ text }) => text), ...best[0].tokens.map((id) => vocabulary.tokens[id])];
      const steps = [...read.slice(0, n), ...written.slice(1)];
      const layers = this.text.rnn.layers.map((_, index) => steps.map((step) => step.steps[index]));
      const columns = names.slice(0, ids.length + Math.max(0, best[0].steps.length - 1));
      const text = vocabulary.decode(best[0].tokens.slice(0, written.length));
      const groups = [group("Reading and writing", columns, this.text.rnn, layers)];
      return { answer, likely, continuation: text, groups };
    };
    const length = ids.length + best[0].steps.length;
    return { words, first: 1, length, frame, readLength: ids.length }; // it has always read BOS
  }

  continuations(state, last) {
    const step = (id, from) => this.step(id, from);
    const { decoding } = this.settings;
    if (this.temperature > 0) {
      return [sample(step, state, last, this.temperature, decoding.max_output, NEVER_GENERATED)];
    }
    return beamSearch(step, state, last, decoding, NEVER_GENERATED);
  }
}
