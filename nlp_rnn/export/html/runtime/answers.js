// What is shown of an answer, by the kind of the model.

const MOST_BARS = 12;
const percent = (probability) => `${(100 * probability).toFixed(1)} %`;

/** Bars of probabilities: entries with `label`, `probability`, and optionally `given` and `threshold`. */
function bars(entries) {
  const items = entries.slice(0, MOST_BARS).map(({ label, probability, given, threshold }) => {
    const fill = element("span", { class: "fill" });
    fill.style.width = `${100 * probability}%`;
    const track = element("span", { class: "track", "aria-hidden": "true" }, fill);
    if (threshold !== undefined) {
      const mark = element("span", { class: "mark", title: `threshold ${percent(threshold)}` });
      mark.style.left = `${100 * threshold}%`;
      track.append(mark);
    }
    const name = element("span", { class: "name" }, label);
    const value = element("span", { class: "value" }, percent(probability));
    return element("li", { class: given ? "given" : "" }, name, track, value);
  });
  const left = entries.length - items.length;
  const rest = left > 0 ? [element("p", { class: "note" }, `${left} less probable labels are not shown.`)] : [];
  return [element("ul", { class: "bars" }, ...items), ...rest];
}

function sortedScores(model, { scores }) {
  return model.labels
    .map((label) => ({ label, probability: scores[label] ?? 0 }))
    .sort((a, b) => b.probability - a.probability);
}

function verdict(text, detail) {
  return element("p", { class: "verdict" }, text, " ", element("small", {}, detail));
}

function note(text) {
  return element("p", { class: "note" }, text);
}

function showLabel(model, { answer }) {
  if (answer.label === null) return [note("Type a text.")];
  const entries = sortedScores(model, answer);
  entries[0].given = entries[0].label === answer.label;
  return [verdict(answer.label, percent(answer.score)), ...bars(entries)];
}

function showLabels(model, { answer }) {
  if (answer.labels === null) return [note("Type a text.")];
  const given = new Set(answer.labels);
  const entries = model.labels.map((label, i) => ({
    label,
    probability: answer.scores[label],
    given: given.has(label),
    threshold: model.settings.thresholds[i],
  }));
  const title = verdict(answer.labels.join(", ") || "no label", "");
  entries.sort((a, b) => b.probability - a.probability);
  return [title, ...bars(entries), note("A label is given from its threshold on, the line in its bar.")];
}

function showTags(model, { answer }) {
  if (!answer.words.length) return [note("Type a text.")];
  const columns = model.description.columns;
  const items = answer.words.map((word, i) => {
    const parts = [element("span", { class: "word" }, word)];
    for (const { key, name } of columns) {
      parts.push(element("span", { class: "tag", title: name }, answer[key][i]));
      const score = answer[key === "tags" ? "scores" : `${key}_scores`][i];
      parts.push(element("span", { class: "score" }, percent(score)));
    }
    const outside = columns[0].scheme && answer[columns[0].key][i] === "O";
    return element("li", { class: outside ? "outside" : "" }, ...parts);
  });
  const shown = [element("ol", { class: "tags" }, ...items)];
  if (columns[0].scheme) {
    const spans = answer.entities.map(({ text, type }) => (type ? `${text} (${type})` : text));
    shown.push(element("p", {}, spans.length ? `Spans: ${spans.join("; ")}` : "No spans."));
  }
  return shown;
}

function showContinuation(model, { answer, likely, continuation }, input) {
  const text = element("p", { class: "written" }, element("span", { class: "given" }, input));
  const glue = model.vocabularies.tokens.level === "char" || !input || /\s$/.test(input) ? "" : " ";
  if (continuation) text.append(glue, element("span", { class: "new" }, continuation.trimStart()));
  const entries = likely.map((entry, i) => ({ ...entry, given: i === 0 }));
  return [text, element("h3", {}, "Most probable tokens after what was read"), ...bars(entries)];
}

function showTranslation(model, { answer, continuation }, input, isDone) {
  if (answer.score === null) return [note("Type a sentence.")];
  const shown = [element("p", { class: "written" }, element("span", { class: "new" }, continuation || "…"))];
  if (isDone && answer.n_best.length > 1) {
    const others = answer.n_best.map(({ text, score }) => element("li", {}, `${text} (score ${written(score)})`));
    shown.push(element("h3", {}, "Best translations"), element("ol", {}, ...others));
  }
  return shown;
}

// Per kind: `show`, the elements of an answer; `inputs`, the names of the texts that one types; `running`,
// whether the answer to each beginning of the text is shown too.
const VIEWS = {
  classifier: { show: showLabel, inputs: ["Text"], running: true },
  multi_label: { show: showLabels, inputs: ["Text"], running: true },
  pair_classifier: { show: showLabel, inputs: ["First text", "Second text"], running: false },
  tagger: { show: showTags, inputs: ["Text"], running: false },
  language_model: { show: showContinuation, inputs: ["Beginning of a text"], running: false },
  translator: { show: showTranslation, inputs: ["Sentence"], running: false },
};
