// The page: inputs, the steps of reading, and the heat maps.

const STEP_TIME = 260; // milliseconds per step, played
const WAIT = 40; // milliseconds after a key before the model reads; more where it is slow
const MOST_WAIT = 1000;
const MOST_RUNNING = 4e8; // products that the answers to all beginnings may take

// What maps are called, and their range: a gate is from 0 to 1, all else has a sign.
const MAPS = {
  hidden: "Hidden state",
  cell: "Cell state",
  input: "Input gate",
  forget: "Forget gate",
  output: "Output gate",
  reset: "Reset gate",
  update: "Update gate",
  candidate: "Candidate",
};
const GATES = new Set(["input", "forget", "output", "reset", "update"]);

/** The largest absolute value of some vectors, at least 1. */
function bound(vectors) {
  let highest = 1;
  for (const vector of vectors) for (const value of vector) highest = Math.max(highest, Math.abs(value));
  return highest;
}

class Page {
  constructor(model) {
    this.model = model;
    this.view = VIEWS[model.description.kind];
    this.maps = new Map(); // heat maps by group and name
    this.chosen = []; // the layer that is shown, by group
    this.find = (id) => document.getElementById(id);
    const { title, summary, facts, version } = model.description;
    this.find("title").textContent = title;
    const about = summary[0].toUpperCase() + summary.slice(1).replace("->", "→");
    const network = `${facts.Cell} with ${facts["Hidden units"]} hidden units and ${facts.Weights}`;
    this.find("summary").textContent = `${about}. ${network}; it runs in this page.`;
    for (const [name, value] of Object.entries({ ...facts, Made: `nlp_rnn ${version}` })) {
      this.find("facts").append(element("dt", {}, name), element("dd", {}, value));
    }
    this.addInputs();
    this.slider = this.find("step");
    this.slider.addEventListener("input", () => this.showStep());
    this.find("play").addEventListener("click", () => this.play());
    const redraw = () => this.maps.forEach((map) => map.data && map.draw());
    window.addEventListener("resize", redraw);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
    this.read();
  }

  addInputs() {
    const examples = [this.model.description.example].flat();
    this.inputs = this.view.inputs.map((name, i) => {
      const id = `input-${i}`;
      const area = element("textarea", { id, rows: "2", spellcheck: false });
      area.value = examples[i] ?? "";
      area.addEventListener("input", () => {
        clearTimeout(this.waiting);
        this.waiting = setTimeout(() => this.read(), Math.min(Math.max(WAIT, this.took), MOST_WAIT));
      });
      this.find("form").append(element("label", { for: id }, name), area);
      return area;
    });
    if (this.model.temperature !== undefined) this.addTemperature();
  }

  addTemperature() {
    const limits = { min: "0", max: "1.5", step: "0.1", value: "0" };
    const range = element("input", { type: "range", id: "temperature", ...limits });
    const shown = element("output", { for: "temperature" });
    const show = () => {
      shown.textContent = Number(range.value) ? `${range.value}, at random` : "0, the most probable";
    };
    range.addEventListener("input", () => {
      this.model.temperature = Number(range.value);
      show();
      this.read();
    });
    show();
    const label = element("label", { for: "temperature" }, "Temperature");
    this.find("form").append(element("div", { class: "option" }, label, range, shown));
  }

  get input() {
    const texts = this.inputs.map((area) => area.value);
    return texts.length > 1 ? texts : texts[0];
  }

  read() {
    const start = performance.now();
    this.stop();
    this.readInput();
    this.took = performance.now() - start;
  }

  readInput() {
    const error = this.find("error");
    try {
      this.reading = this.model.read(this.input);
      error.hidden = true;
    } catch (problem) {
      error.textContent = problem.message;
      error.hidden = false;
      return;
    }
    this.slider.min = this.reading.first;
    this.slider.max = this.reading.length;
    this.slider.value = this.reading.length;
    this.showRunning();
    this.showStep();
  }

  showStep() {
    const n = Number(this.slider.value);
    const { words, length, readLength } = this.reading;
    const frame = this.reading.frame(n);
    const isDone = n === length;
    this.find("step-label").textContent = `Step ${n} of ${length}`;
    this.find("answer").replaceChildren(...this.view.show(this.model, frame, this.input, isDone));
    const read = Math.min(n, readLength ?? n);
    const reversed = this.model.settings.reverse_source;
    const spans = words.map(({ text, unknown }, i) => {
      const place = reversed ? words.length - 1 - i : i;
      const word = element("span", {}, text);
      if (place >= read) word.classList.add("unread");
      if (place === n - 1 && !isDone) word.classList.add("now");
      if (unknown) {
        word.classList.add("unknown");
        word.title = "not in the vocabulary";
      }
      return word;
    });
    this.find("words").replaceChildren(...spans.flatMap((span) => [span, " "]));
    this.find("unknown").hidden = !words.some(({ unknown }) => unknown);
    this.showGroups(frame);
  }

  /** The probabilities of the labels after each word, where they are quickly computed. */
  showRunning() {
    if (!this.view.running) return;
    const { words, length } = this.reading;
    const { rnn } = this.model.text;
    const products = ({ weight_ih: weight }) => weight.rows * (weight.columns + rnn.size);
    const size = rnn.layers.reduce((sum, layer) => sum + products(layer), 0);
    const steps = rnn.bidirectional ? (length * length) / 2 : length;
    const place = this.find("running");
    place.hidden = length === 0 || steps * size > MOST_RUNNING;
    if (place.hidden) return;
    const rows = this.model.labels.slice(0, MOST_BARS);
    const values = words.map((_, i) => {
      const { scores } = this.reading.frame(i + 1).answer;
      return rows.map((label) => scores[label]);
    });
    if (!this.maps.has("running")) {
      const map = new HeatMap("Probabilities after each word");
      this.maps.set("running", map);
      place.append(map.figure);
    }
    this.maps.get("running").update({ columns: words.map(({ text }) => text), values, rows, low: 0, high: 1 });
  }

  showGroups({ groups, attention }) {
    groups.forEach((group, number) => {
      const names = Object.keys(group.layers.find(({ steps }) => steps.length)?.steps[0] ?? {});
      const panel = this.panel(number, group);
      panel.title.textContent = group.title;
      panel.section.hidden = names.length === 0 && panel.grid.children.length === 0;
      const { steps } = group.layers[this.chosen[number]];
      for (const name of names.length ? names : panel.names) {
        const map = this.map(`${number} ${name}`, MAPS[name], panel.grid);
        if (!panel.names.includes(name)) panel.names.push(name);
        const values = steps.map((step) => step[name]);
        const high = GATES.has(name) ? 1 : bound(values);
        map.update({ columns: group.columns, values, rows: null, low: GATES.has(name) ? 0 : -high, high });
      }
    });
    if (!attention) {
      if (this.attention) this.attention.hidden = true;
      return;
    }
    if (!this.attention) {
      this.attention = element("div", { class: "group" });
      this.find("maps").prepend(this.attention);
    }
    this.attention.hidden = false;
    const title = "Attention: how much each word written (row) looks at each word read (column)";
    const map = this.map("attention", title, this.attention);
    const { rows, columns, weights } = attention;
    const values = columns.map((_, column) => rows.map((_, row) => weights[row]?.[column] ?? 0));
    map.update({ columns, values, rows, low: 0, high: 1 });
  }

  map(key, title, parent) {
    if (!this.maps.has(key)) {
      this.maps.set(key, new HeatMap(title));
      parent.append(this.maps.get(key).figure);
    }
    return this.maps.get(key);
  }

  /** The part of the page for a group of layers, with a choice of the layer. */
  panel(number, group) {
    this.panels ??= [];
    if (this.panels[number]) return this.panels[number];
    this.chosen[number] = Math.max(0, group.layers.length - (group.layers[0].name.includes("forward") ? 2 : 1));
    const title = element("h3");
    const head = element("div", { class: "group-head" }, title);
    if (group.layers.length > 1) {
      const id = `layer-${number}`;
      const layers = group.layers.map(({ name }, i) => element("option", { value: String(i) }, name));
      const select = element("select", { id }, ...layers);
      select.value = String(this.chosen[number]);
      select.addEventListener("change", () => {
        this.chosen[number] = Number(select.value);
        this.showStep();
      });
      head.append(element("span", {}, element("label", { for: id }, "Shown: "), select));
    }
    const grid = element("div", { class: "grid" });
    const section = element("div", { class: "group" }, head, grid);
    this.find("maps").append(section);
    this.panels[number] = { title, grid, section, names: [] };
    return this.panels[number];
  }

  play() {
    if (this.timer) {
      this.stop();
      return;
    }
    const next = () => {
      this.slider.value = Number(this.slider.value) + 1;
      this.showStep();
      if (Number(this.slider.value) >= this.reading.length) this.stop();
    };
    this.slider.value = this.reading.first;
    this.showStep();
    this.find("play").textContent = "Stop";
    this.timer = setInterval(next, STEP_TIME);
  }

  stop() {
    clearInterval(this.timer);
    this.timer = null;
    this.find("play").textContent = "Play";
  }
}

/** With `#test=[...]` in its address, the page writes the answers to a list of inputs into an element. */
function answerTest(model) {
  if (!location.hash.startsWith("#test=")) return;
  const inputs = JSON.parse(decodeURIComponent(location.hash.slice("#test=".length)));
  const answers = inputs.map((input) => model.answer(input));
  document.getElementById("test").textContent = JSON.stringify(answers);
}

const modelOfPage = makeModel(
  JSON.parse(document.getElementById("description").textContent),
  document.getElementById("weights").textContent,
);
window.nlp_rnn = { answer: (input) => modelOfPage.answer(input) };
new Page(modelOfPage);
answerTest(modelOfPage);
