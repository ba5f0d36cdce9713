// Makes elements. Every text becomes a text node: nothing that an agent says is ever read as HTML.

/** An element: `h("a.link", {href: "#/"}, "text", child)`. */
export function h(tag, attributes = {}, ...children) {
  const [name, ...classes] = tag.split(".");
  const element = document.createElement(name || "div");
  if (classes.length) element.classList.add(...classes);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (key === "style") for (const [property, text] of Object.entries(value)) element.style.setProperty(property, text);
    else element.setAttribute(key, value === true ? "" : String(value));
  }
  element.append(...children.flat(3).filter((each) => each !== null && each !== undefined && each !== false));
  return element;
}

/** A text that a hostile program may have written: control characters and text direction are shown, not obeyed. */
export function shown(text) {
  return String(text ?? "").replace(/\u001b\[[0-9;?]*[ -/]*[@-~]/g, "")
    .replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]/g,
      (each) => `\\u${each.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

export function badge(text, kind = "plain", title = "") {
  return h(`span.badge.${kind}`, title ? {title} : {}, shown(text));
}

export function ms(value) {
  if (value === null || value === undefined) return "";
  if (value < 1) return "<1 ms";
  if (value < 1000) return `${Math.round(value)} ms`;
  return value < 60000 ? `${(value / 1000).toFixed(1)} s` : `${Math.floor(value / 60000)} min ${Math.round(value / 1000) % 60} s`;
}

export function bytes(value) {
  if (value < 1000) return `${value} B`;
  return value < 1e6 ? `${(value / 1000).toFixed(1)} kB` : `${(value / 1e6).toFixed(1)} MB`;
}

export function count(value) {
  return value === null || value === undefined ? "–" : Number(value).toLocaleString("en");
}

export function money(value) {
  if (value === null || value === undefined) return "–";
  return value === 0 ? "$0" : value < 0.01 ? `$${value.toPrecision(2)}` : `$${value.toFixed(2)}`;
}

export function clock(text) {
  const at = new Date(text);
  return Number.isNaN(at.getTime()) ? "" : at.toLocaleTimeString("en-GB", {hour12: false}) + "." + String(at.getMilliseconds()).padStart(3, "0");
}

export function age(text) {
  return lasting((Date.now() - new Date(text).getTime()) / 1000);
}

export function until(text) {
  return lasting((new Date(text).getTime() - Date.now()) / 1000);
}

function lasting(seconds) {
  if (!(seconds >= 0)) return "";
  for (const [unit, size] of [["d", 86400], ["h", 3600], ["min", 60]]) if (seconds >= size) return `${Math.floor(seconds / size)} ${unit}`;
  return `${Math.floor(seconds)} s`;
}

export function section(title, ...content) {
  const id = `s-${title.toLowerCase().replace(/[^a-z]+/g, "-")}`;
  return h("section.card", {"aria-labelledby": id}, h("h2", {id}, title), ...content);
}

export function table(caption, heads, rows, empty) {
  if (!rows.length) return h("p.empty", {}, empty);
  return h("div.scroll", {tabindex: "0", role: "region", "aria-label": `${caption}, table`},
    h("table", {}, h("caption.hidden", {}, caption),
      h("thead", {}, headRow(heads)), h("tbody", {}, rows)));
}

/** Heads of columns; one of numbers begins with `#`. */
export function headRow(heads) {
  return h("tr", {}, heads.map((head) => (head.startsWith("#") ? h("th.number", {scope: "col"}, head.slice(1)) : h(head ? "th" : "td", head ? {scope: "col"} : {}, head))));
}

const SIGNS = {"-": ["removed", "\u2212"], "+": ["added", "+"], "@": ["gap", "\u22ef"]};

/** A line of a comparison, whose first character says what became of it. */
export function diffLine(line) {
  const [kind, mark] = SIGNS[line[0]] ?? ["same", ""];
  const spoken = {removed: "removed: ", added: "added: "}[kind];
  return h(`span.line.${kind}`, {}, h("span.sign", {"aria-hidden": "true"}, mark), spoken ? h("span.hidden", {}, spoken) : null, shown(line.startsWith("@@") ? "" : line.slice(kind === "same" && line[0] !== " " ? 0 : 1)));
}
