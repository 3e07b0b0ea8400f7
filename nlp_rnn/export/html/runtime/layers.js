// Weights and layers. Vectors are Float32Array; sequences are arrays of vectors, one per step.

/** A matrix [rows, columns] of 8-bit numbers with one scale per row. */
class Matrix {
  constructor(rows, columns, scales, bytes) {
    Object.assign(this, { rows, columns, scales, bytes });
  }

  row(index) {
    const start = index * this.columns;
    const scale = this.scales[index];
    return Float32Array.from(this.bytes.subarray(start, start + this.columns), (value) => value * scale);
  }

  /** The product with a vector [columns], plus a vector [rows] if there is one. */
  times(vector, bias = null) {
    const { rows, columns, scales, bytes } = this;
    const result = new Float32Array(rows);
    for (let row = 0, place = 0; row < rows; row++) {
      let sum = 0;
      for (let column = 0; column < columns; column++) sum += bytes[place++] * vector[column];
      result[row] = sum * scales[row] + (bias ? bias[row] : 0);
    }
    return result;
  }
}

/** The tensors by name, from the entries and the base64 text of weights.py. */
function readWeights(entries, base64) {
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  const view = new DataView(bytes.buffer);
  let place = 0;
  const floats = (count) => {
    const values = Float32Array.from({ length: count }, (_, i) => view.getFloat32(place + 4 * i, true));
    place += 4 * count;
    return values;
  };
  const weights = {};
  for (const [name, rows, columns] of entries) {
    if (rows === 0) {
      weights[name] = floats(columns);
      continue;
    }
    const scales = floats(rows);
    weights[name] = new Matrix(rows, columns, scales, new Int8Array(bytes.buffer, place, rows * columns));
    place += rows * columns;
  }
  return weights;
}

function concat(...vectors) {
  const result = new Float32Array(vectors.reduce((size, vector) => size + vector.length, 0));
  let place = 0;
  for (const vector of vectors) {
    result.set(vector, place);
    place += vector.length;
  }
  return result;
}

const sigmoid = (x) => 1 / (1 + Math.exp(-x));
const logSigmoid = (x) => Math.min(x, 0) - Math.log1p(Math.exp(-Math.abs(x)));

/** The logarithm of the sum of exponentials. */
function logSumExp(values) {
  let highest = -Infinity;
  for (const value of values) highest = Math.max(highest, value);
  if (highest === -Infinity) return highest;
  let sum = 0;
  for (const value of values) sum += Math.exp(value - highest);
  return highest + Math.log(sum);
}

/** Logarithms of probabilities, as an array of float64. */
function logSoftmax(values) {
  const total = logSumExp(values);
  return Float64Array.from(values, (value) => value - total);
}

const softmax = (values) => logSoftmax(values).map(Math.exp);

function argmax(values) {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i] > values[best]) best = i;
  return best;
}

// One step of each cell: (input, state, weights of the layer, hidden size) -> values by name. The equations
// are those of nlp_rnn/models/layers/equations.py; `hidden`, and `cell` of an LSTM, are the next state.
const CELLS = {
  rnn(input, [h], w, size) {
    const [x, y] = projections(input, h, w);
    return fill(size, ["hidden"], (k, out) => {
      out.hidden[k] = Math.tanh(x[k] + y[k]);
    });
  },

  gru(input, [h], w, size) {
    const [x, y] = projections(input, h, w);
    return fill(size, ["hidden", "reset", "update", "candidate"], (k, out) => {
      const reset = sigmoid(x[k] + y[k]);
      const update = sigmoid(x[size + k] + y[size + k]);
      const candidate = Math.tanh(x[2 * size + k] + reset * y[2 * size + k]);
      out.reset[k] = reset;
      out.update[k] = update;
      out.candidate[k] = candidate;
      out.hidden[k] = (1 - update) * candidate + update * h[k];
    });
  },

  lstm(input, [h, c], w, size) {
    const [x, y] = projections(input, h, w);
    return fill(size, ["hidden", "cell", "input", "forget", "output", "candidate"], (k, out) => {
      const inputGate = sigmoid(x[k] + y[k]);
      const forget = sigmoid(x[size + k] + y[size + k]);
      const candidate = Math.tanh(x[2 * size + k] + y[2 * size + k]);
      const output = sigmoid(x[3 * size + k] + y[3 * size + k]);
      const cell = forget * c[k] + inputGate * candidate;
      out.input[k] = inputGate;
      out.forget[k] = forget;
      out.candidate[k] = candidate;
      out.output[k] = output;
      out.cell[k] = cell;
      out.hidden[k] = output * Math.tanh(cell);
    });
  },

  mingru(input, [h], w, size) {
    const x = w.weight_ih.times(input, w.bias_ih);
    return fill(size, ["hidden", "update", "candidate"], (k, out) => {
      const update = sigmoid(x[k]);
      const candidate = x[size + k];
      out.update[k] = update;
      out.candidate[k] = candidate;
      out.hidden[k] = h[k] + update * (candidate - h[k]);
    });
  },

  minlstm(input, [h], w, size) {
    const x = w.weight_ih.times(input, w.bias_ih);
    return fill(size, ["hidden", "input", "forget", "candidate"], (k, out) => {
      const inputGate = sigmoid(logSigmoid(x[k]) - logSigmoid(x[size + k])); // divided by the sum of both
      const candidate = x[2 * size + k];
      out.input[k] = inputGate;
      out.forget[k] = 1 - inputGate;
      out.candidate[k] = candidate;
      out.hidden[k] = h[k] + inputGate * (candidate - h[k]);
    });
  },
};

const GATES_OF = { rnn: 1, gru: 3, lstm: 4, mingru: 2, minlstm: 3 }; // blocks of rows in the weights
const statesOf = (cell) => (cell === "lstm" ? ["hidden", "cell"] : ["hidden"]);

function projections(input, h, w) {
  return [w.weight_ih.times(input, w.bias_ih), w.weight_hh.times(h, w.bias_hh)];
}

function fill(size, names, compute) {
  const out = {};
  for (const name of names) out[name] = new Float32Array(size);
  for (let k = 0; k < size; k++) compute(k, out);
  return out;
}

/**
 * A stack of recurrent layers of one cell, in one or both directions.
 *
 * A state has, per layer and direction, the cell's vectors. `steps`, where it is returned, has per layer and
 * direction the values of each time step by name, in the order of the text.
 */
class Recurrent {
  constructor(weights, prefix, cell) {
    this.cell = CELLS[cell];
    this.stateNames = statesOf(cell);
    this.bidirectional = `${prefix}.weight_ih_l0_reverse` in weights;
    this.directions = this.bidirectional ? 2 : 1;
    this.layers = [];
    for (let layer = 0; `${prefix}.weight_ih_l${layer}` in weights; layer++) {
      for (const suffix of ["", "_reverse"].slice(0, this.directions)) {
        const named = {};
        for (const name of ["weight_ih", "weight_hh", "bias_ih", "bias_hh"]) {
          named[name] = weights[`${prefix}.${name}_l${layer}${suffix}`];
        }
        this.layers.push(named);
      }
    }
    this.size = this.layers[0].weight_ih.rows / GATES_OF[cell];
  }

  initialState() {
    return this.layers.map(() => this.stateNames.map(() => new Float32Array(this.size)));
  }

  /** Read one more input; unidirectional layers only. */
  step(input, state) {
    const steps = [];
    const next = [];
    this.layers.forEach((weights, index) => {
      const values = this.cell(input, state[index], weights, this.size);
      steps.push(values);
      next.push(this.stateNames.map((name) => values[name]));
      input = values.hidden;
    });
    return { output: input, state: next, steps };
  }

  /** Read a whole sequence: its outputs, the final state of each layer and direction, and all steps. */
  run(inputs) {
    const state = this.initialState();
    const final = [];
    const all = [];
    for (let index = 0; index < this.layers.length; index += this.directions) {
      const sides = [];
      for (let side = 0; side < this.directions; side++) {
        let own = state[index + side];
        const steps = new Array(inputs.length);
        for (let t = 0; t < inputs.length; t++) {
          const place = side ? inputs.length - 1 - t : t;
          steps[place] = this.cell(inputs[place], own, this.layers[index + side], this.size);
          own = this.stateNames.map((name) => steps[place][name]);
        }
        final.push(own);
        all.push(steps);
        sides.push(steps);
      }
      inputs = inputs.map((_, t) => concat(...sides.map((steps) => steps[t].hidden)));
    }
    return { outputs: inputs, final, steps: all };
  }
}

/** Unidirectional layers that read a growing sequence: what has been read is kept. */
class Reader {
  constructor(rnn, embed) {
    this.rnn = rnn;
    this.embed = embed;
    this.keys = [];
    this.steps = [];
  }

  /** Read a sequence of ids: per step what `Recurrent.step` returns. */
  read(ids) {
    let kept = 0;
    while (kept < ids.length && kept < this.keys.length && ids[kept] === this.keys[kept]) kept += 1;
    this.keys = ids.slice();
    this.steps.length = kept;
    for (const id of ids.slice(kept)) {
      const state = this.steps.at(-1)?.state ?? this.rnn.initialState();
      this.steps.push(this.rnn.step(this.embed(id), state));
    }
    return this.steps;
  }
}
