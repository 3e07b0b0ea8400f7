// Heat maps on a canvas: a column per step, a row per unit, label or word.

const LABEL_SIZE = 12; // pixels of the letters of labels
const MAX_LABEL = 92; // pixels of a label
const MAP_HEIGHT = 200;
const MAX_CELL = 64; // pixels of the width of a step

/** An element with a text and attributes; text is never read as HTML. */
function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key in made && typeof value !== "string") made[key] = value;
    else made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

/** The colors of the page's scheme, as [red, green, blue]. */
function readColors() {
  const style = getComputedStyle(document.documentElement);
  const colors = {};
  for (const name of ["negative", "zero", "positive", "gate"]) {
    const hex = style.getPropertyValue(`--${name}`).trim();
    colors[name] = [1, 3, 5].map((start) => parseInt(hex.slice(start, start + 2), 16));
  }
  colors.text = style.getPropertyValue("--text").trim();
  colors.soft = style.getPropertyValue("--soft").trim();
  return colors;
}

/** The color of a value: from no color at 0 to full color at the largest value that a map can have. */
function colorOf(value, { low, high }, colors) {
  const share = Math.min(1, Math.abs(value) / high);
  const full = low === 0 ? colors.gate : value < 0 ? colors.negative : colors.positive;
  return colors.zero.map((zero, i) => Math.round(zero + (full[i] - zero) * share));
}

const written = (value) => (Math.abs(value) >= 10 ? value.toFixed(1) : value.toFixed(3)).replace("-", "−");
const short = (value) => String(Number(value.toPrecision(2))).replace("-", "−");

/**
 * A heat map. `update` draws it: `columns`, the names of all steps; `values`, the vectors of the steps so
 * far; `low` and `high`, the range; `rows`, the names of rows, or null for units, which have numbers.
 */
class HeatMap {
  constructor(title) {
    this.title = title;
    this.canvas = element("canvas", { class: "map", role: "img", tabindex: "0" });
    this.legend = element("span", { class: "legend" });
    this.output = element("output", { class: "reading" });
    const caption = element("figcaption", {}, element("b", {}, title), this.legend);
    this.figure = element("figure", {}, caption, this.canvas, this.output);
    this.cursor = null;
    this.canvas.addEventListener("pointermove", (event) => this.point(event));
    this.canvas.addEventListener("pointerdown", (event) => this.point(event));
    this.canvas.addEventListener("pointerleave", () => this.show(null));
    this.canvas.addEventListener("blur", () => this.show(null));
    this.canvas.addEventListener("keydown", (event) => this.move(event));
  }

  update(data) {
    this.data = data;
    const { columns, values, rows, low, high } = data;
    const height = rows ? `${rows.length} rows` : `${values[0]?.length ?? 0} units`;
    const steps = `${values.length} of ${columns.length} steps`;
    const about = `${this.title}: ${steps}, ${height}, values from ${short(low)} to ${short(high)}`;
    this.canvas.setAttribute("aria-label", about);
    this.draw();
  }

  draw() {
    const { columns, values, rows, low, high } = this.data;
    const colors = readColors();
    const width = this.canvas.clientWidth || 320;
    const height = rows?.length ?? values[0]?.length ?? 1;
    const context = this.canvas.getContext("2d");
    const font = `${LABEL_SIZE}px system-ui, sans-serif`;
    context.font = font;
    // Whole pixels: between them, rows would be blurred.
    const fit = (names) => {
      const widths = names.map((name) => Math.ceil(context.measureText(name).width) + 6);
      return Math.min(MAX_LABEL, Math.max(12, ...widths));
    };
    this.left = rows ? fit(rows) : fit([`unit ${height}`]);
    const cell = Math.min(MAX_CELL, (width - this.left) / Math.max(1, columns.length));
    const upright = columns.length > 0 && fit(columns) > cell;
    this.top = upright ? fit(columns) + 4 : LABEL_SIZE + 6;
    const tall = rows ? 20 : Math.max(1, Math.floor(MAP_HEIGHT / height));
    this.cell = { width: cell, height: tall };
    const total = this.top + tall * height + 2;
    const scale = window.devicePixelRatio || 1;
    this.canvas.width = Math.round(width * scale);
    this.canvas.height = Math.round(total * scale);
    this.canvas.style.height = `${total}px`;
    context.scale(scale, scale);
    context.font = font;
    context.fillStyle = `rgb(${colors.zero})`;
    context.fillRect(this.left, this.top, cell * columns.length, tall * height);
    const gap = (size) => size - (size > 6 ? 1 : 0);
    values.forEach((vector, column) => {
      for (let row = 0; row < height; row++) {
        context.fillStyle = `rgb(${colorOf(vector[row] ?? 0, this.data, colors)})`;
        context.fillRect(this.left + column * cell, this.top + row * tall, Math.max(0.5, gap(cell)), gap(tall));
      }
    });
    this.drawLabels(context, colors, upright, height);
    this.drawCursor(context, colors);
    this.drawLegend(colors, low, high);
  }

  drawLabels(context, colors, upright, height) {
    const { columns, values, rows } = this.data;
    const { width, height: tall } = this.cell;
    context.textBaseline = "middle";
    const every = Math.max(1, Math.ceil((LABEL_SIZE + 1) / width)); // labels must not overlap
    columns.forEach((name, column) => {
      if (column % (upright ? every : 1)) return;
      context.fillStyle = column < values.length ? colors.text : colors.soft;
      context.save();
      context.translate(this.left + (column + 0.5) * width, this.top - 4);
      if (upright) context.rotate(-Math.PI / 2);
      context.textAlign = upright ? "left" : "center";
      context.fillText(clip(context, name, upright ? MAX_LABEL : width + 4), 0, upright ? 0 : -LABEL_SIZE / 2);
      context.restore();
    });
    context.fillStyle = colors.soft;
    context.textAlign = "right";
    const names = rows ?? { 0: "unit 1", [height - 1]: `unit ${height}` };
    for (const [row, name] of Object.entries(names)) {
      const middle = this.top + (Number(row) + 0.5) * tall;
      const place = rows ? middle : Math.min(Math.max(middle, this.top + 6), this.top + tall * height - 6);
      if (!rows && height === 1 && row !== "0") continue;
      context.fillText(clip(context, name, this.left - 4), this.left - 5, place);
    }
  }

  drawCursor(context, colors) {
    if (!this.cursor) return;
    context.strokeStyle = colors.text;
    context.lineWidth = 2;
    const { width, height } = this.cell;
    const [column, row] = this.cursor;
    const tall = Math.max(height, 5);
    const top = this.top + (row + 0.5) * height - tall / 2;
    context.strokeRect(this.left + column * width, top, Math.max(width - 1, 4), tall);
  }

  drawLegend(colors, low, high) {
    const canvas = element("canvas", { width: 70, height: 1, "aria-hidden": "true" });
    const context = canvas.getContext("2d");
    for (let x = 0; x < 70; x++) {
      context.fillStyle = `rgb(${colorOf(low + ((high - low) * x) / 69, this.data, colors)})`;
      context.fillRect(x, 0, 1, 1);
    }
    this.legend.replaceChildren(short(low), canvas, short(high));
  }

  point(event) {
    const box = this.canvas.getBoundingClientRect();
    const column = Math.floor((event.clientX - box.left - this.left) / this.cell.width);
    const row = Math.floor((event.clientY - box.top - this.top) / this.cell.height);
    this.show([column, row]);
  }

  move(event) {
    const change = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (!change || !this.data.values.length) return;
    event.preventDefault();
    const [column, row] = this.cursor ?? [-change[0], -change[1]];
    const last = [this.data.values.length - 1, this.data.values[0].length - 1];
    this.show([column + change[0], row + change[1]].map((place, i) => Math.min(Math.max(place, 0), last[i])));
  }

  show(cursor) {
    const value = cursor && this.data.values[cursor[0]]?.[cursor[1]];
    this.cursor = value === undefined || value === null ? null : cursor;
    this.output.textContent = this.cursor ? `${this.nameOf(cursor)}: ${written(value)}` : "";
    this.draw();
  }

  nameOf([column, row]) {
    const { columns, rows } = this.data;
    return `${rows ? rows[row] : `unit ${row + 1}`}, step ${column + 1} “${columns[column]}”`;
  }
}

/** A text that is not wider than some pixels. */
function clip(context, text, width) {
  if (context.measureText(text).width <= width) return text;
  const characters = Array.from(text);
  while (characters.length && context.measureText(characters.join("") + "…").width > width) characters.pop();
  return characters.join("") + "…";
}
