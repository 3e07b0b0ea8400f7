// Greedy search, beam search and sampling, for one sequence at a time.
//
// A step is a function (id, state) -> { logits, state, ... }; it never changes a state that it was given.

/** The divisor of log-probabilities, ((5 + length) / 6) ** alpha (Wu et al. 2016, equation 14). */
const lengthPenalty = (length, alpha) => ((5 + length) / 6) ** alpha;

/** Log-probabilities without the forbidden ids, which have -Infinity; normalized over the others. */
function allowedLogProbs(logits, forbidden) {
  const allowed = Float64Array.from(logits);
  for (const id of forbidden) allowed[id] = -Infinity;
  return logSoftmax(allowed);
}

/** The `count` best ids of some log-probabilities, best first. */
function topIds(logProbs, count) {
  const best = [];
  for (let id = 0; id < logProbs.length; id++) {
    if (best.length === count && logProbs[id] <= logProbs[best[count - 1]]) continue;
    let place = best.length;
    while (place > 0 && logProbs[best[place - 1]] < logProbs[id]) place -= 1;
    best.splice(place, 0, id);
    if (best.length > count) best.pop();
  }
  return best;
}

/**
 * The best hypotheses, best first: `tokens` without EOS, `score`, `logProb`, and `steps`, what each step gave.
 *
 * The same search as `nlp_rnn.models.search.beam_search`: a row stops when as many hypotheses as the beam is
 * wide have ended, or when none that is alive can still become better. A beam of 1 is greedy search.
 */
function beamSearch(step, state, first, decoding, forbidden) {
  const { beam, length_penalty: alpha, n_best: wanted, max_output: limit } = decoding;
  let live = [{ tokens: [], steps: [], logProb: 0, state, last: first }];
  let best = [];
  let completed = 0;
  for (let length = 1; length <= limit; length++) {
    const extended = [];
    for (const hypothesis of live) {
      const result = step(hypothesis.last, hypothesis.state);
      const logProbs = allowedLogProbs(result.logits, forbidden);
      for (const id of topIds(logProbs, beam + 1)) {
        if (logProbs[id] === -Infinity) continue;
        extended.push({
          tokens: [...hypothesis.tokens, id],
          steps: [...hypothesis.steps, { ...result, logProb: logProbs[id] }],
          logProb: hypothesis.logProb + logProbs[id],
          state: result.state,
          last: id,
        });
      }
    }
    extended.sort((a, b) => b.logProb - a.logProb);
    const complete = extended.slice(0, beam).filter(({ last }) => last === EOS || length === limit);
    for (const hypothesis of complete) hypothesis.score = hypothesis.logProb / lengthPenalty(length, alpha);
    best = [...best, ...complete].sort((a, b) => b.score - a.score).slice(0, wanted);
    completed += complete.length;
    live = extended.filter(({ last }) => last !== EOS).slice(0, beam);
    if (length === limit || completed >= beam || live.length === 0) break;
    const reachable = live[0].logProb / lengthPenalty(limit, alpha);
    if (best.length === wanted && best[wanted - 1].score >= reachable) break;
  }
  return best.map(ended);
}

/** A hypothesis without EOS, whose step stays. */
function ended(hypothesis) {
  const finished = hypothesis.tokens.at(-1) === EOS;
  const tokens = finished ? hypothesis.tokens.slice(0, -1) : hypothesis.tokens;
  return { ...hypothesis, tokens, finished };
}

/** One hypothesis whose tokens are chosen at random, from the logits divided by `temperature`. */
function sample(step, state, first, temperature, limit, forbidden, random = Math.random) {
  const hypothesis = { tokens: [], steps: [], logProb: 0 };
  let last = first;
  while (hypothesis.tokens.length < limit && last !== EOS) {
    const result = step(last, state);
    const logProbs = allowedLogProbs(Float64Array.from(result.logits, (logit) => logit / temperature), forbidden);
    let rest = random();
    last = argmax(logProbs);
    for (let id = 0; id < logProbs.length; id++) {
      rest -= Math.exp(logProbs[id]);
      if (rest < 0) {
        last = id;
        break;
      }
    }
    hypothesis.tokens.push(last);
    hypothesis.steps.push({ ...result, logProb: logProbs[last] });
    hypothesis.logProb += logProbs[last];
    state = result.state;
  }
  return ended({ ...hypothesis, score: hypothesis.logProb });
}
