// What an agent did: its calls to models and tools on one axis of time, each with its tries.
import {badge, bytes, clock, count, h, money, ms, section, shown, table} from "./dom.js";

const KINDS = {all: "All calls", model: "Models", tool: "Tools", trouble: "Trouble"};
const SHOWN_CALLS = 300;
const PAUSE_MS = 60000;
let kind = "all";
let openCall = "";
let search = "";
let view = {calls: [], dropped: 0, notes: []};

function keyOf(call) {
  return `${call.sidecar}-${call.pod ?? ""}-${call.number}`;
}

function troubles(call) {
  const found = [];
  if (call.kind === "model") {
    const failed = call.tries.filter((each) => each.outcome !== "answered");
    if (call.outcome === "answered" && failed.length) {
      const moved = failed.filter((each) => each.provider !== call.provider);
      found.push([moved.length ? "failover" : "retry", "warn", [...new Set((moved.length ? moved : failed).map((each) => `${each.provider} ${each.outcome}`))].slice(0, 2).join(", ")]);
    }
    if (call.outcome !== "answered") found.push([call.outcome, call.outcome === "cancelled" ? "plain" : "bad"]);
  } else {
    if (call.decision !== "allowed") found.push([call.decision, "bad"]);
    else if (call.outcome !== "ok") found.push([call.outcome, call.outcome === "cancelled" ? "plain" : "bad"]);
  }
  return found;
}

function span(calls) {
  const starts = calls.map((call) => Date.parse(call.at));
  const from = Math.min(...starts);
  const to = Math.max(...calls.map((call, at) => starts[at] + call.durationMs), from + 1);
  return {from, length: to - from};
}

function part(from, length, style, title) {
  return h(`span.part.${style}`, {title, style: {left: `${from}%`, width: `${Math.max(length, 0.4)}%`}});
}

function bar(call, axis) {
  const percent = (value) => (100 * value) / axis.length;
  const start = Date.parse(call.at) - axis.from;
  const parts = [part(percent(start), percent(call.durationMs), call.kind, ms(call.durationMs))];
  let at = start;
  for (const each of call.tries ?? []) {
    if (each.outcome !== "answered") parts.push(part(percent(at), percent(each.durationMs), "failed", `${shown(each.provider)}: ${shown(each.outcome)}`));
    at += each.durationMs;
  }
  if (call.firstTokenMs) parts.push(part(percent(start + call.firstTokenMs), 0, "first", `first token after ${ms(call.firstTokenMs)}`));
  return h("span.track", {"aria-hidden": "true"}, parts);
}

function tokensOf(call) {
  if (call.kind === "tool") return bytes(call.resultBytes);
  return call.tokens ? `${count(call.tokens.input)} → ${count(call.tokens.output)}` : "";
}

function callTitle(call) {
  return call.kind === "model" ? `${call.requested || "?"}${call.provider ? ` → ${call.provider}` : ""}` : call.name;
}

function line(call, axis, show) {
  const key = keyOf(call);
  return h(`button.call${key === openCall ? ".open" : ""}`, {type: "button", "data-key": key, "aria-expanded": key === openCall ? "true" : "false", onclick: () => show(key)},
    h("span.at", {}, clock(call.at)),
    h("span.what", {}, h(`span.kind.${call.kind}`, {}, call.kind), " ", shown(callTitle(call)), " ", troubles(call).map(([word, style, why]) => [badge(word, style), why ? h("span.because", {}, ` ${shown(why)}`) : null, " "])),
    bar(call, axis),
    h("span.size", {}, tokensOf(call)),
    h("span.took", {}, ms(call.durationMs)));
}

function fact(name, value) {
  return value === "" || value === null || value === undefined ? null : [h("dt", {}, name), h("dd", {}, typeof value === "string" ? shown(value) : value)];
}

function tryLine(each, at) {
  return h("tr", {}, h("td", {}, String(at + 1)), h("th", {scope: "row"}, shown(each.provider)), h("td", {}, shown(each.model)),
    h("td", {}, badge(each.outcome, each.outcome === "answered" ? "good" : "bad")), h("td", {}, each.status ? String(each.status) : ""),
    h("td", {}, ms(each.durationMs)), h("td.why", {}, shown(each.reason)));
}

function detail(call) {
  const model = call.kind === "model";
  const tokens = call.tokens ? `${count(call.tokens.input)} in (${count(call.tokens.cached)} cached), ${count(call.tokens.output)} out (${count(call.tokens.reasoning)} reasoning)` : "not told";
  return h("div.detail", {role: "group", "aria-label": `Details of ${shown(callTitle(call))}`},
    h("dl.facts", {},
      model ? [fact("Asked for", call.requested), fact("Answered by", call.provider ? `${call.provider} / ${call.model}` : "nobody"), fact("Tokens", tokens), fact("Cost", money(call.usd)), fact("First token", ms(call.firstTokenMs))]
        : [fact("Tool", call.name), fact("Of", call.server), fact("By", call.via.toUpperCase()), fact("Decision", call.decision), fact("Sizes", `${bytes(call.argumentsBytes)} in, ${bytes(call.resultBytes)} out`)],
      fact("Outcome", call.outcome), fact("Error", call.error), fact("Took", ms(call.durationMs)),
      call.trace?.trace ? fact("Trace", h("code", {}, shown(call.trace.trace))) : null,
      call.pod ? fact("Pod", call.pod) : null),
    model && call.tries.length ? h("div.scroll", {tabindex: "0", role: "region", "aria-label": "Tries, table"}, h("table", {}, h("caption", {}, "Tries"), h("thead", {}, h("tr", {}, ["Try", "Provider", "Model", "Outcome", "Status", "Took", "Why"].map((head) => h("th", {scope: "col"}, head)))), h("tbody", {}, call.tries.map(tryLine)))) : null,
    call.input ? [h("h3", {}, model ? "Prompt" : "Arguments"), h("pre", {tabindex: "0"}, shown(call.input))] : null,
    call.output ? [h("h3", {}, model ? "Answer" : "Result"), h("pre", {tabindex: "0"}, shown(call.output))] : null);
}

/** Calls without a long pause between them: of days that an agent was up, most are pauses. */
function stretches(calls) {
  const found = [];
  let end = -Infinity;
  for (const call of [...calls].sort((a, b) => Date.parse(a.at) - Date.parse(b.at))) {
    const at = Date.parse(call.at);
    if (!found.length || at - end > PAUSE_MS) found.push([]);
    found.at(-1).push(call);
    end = Math.max(end, at + call.durationMs);
  }
  return found;
}

function dayOf(at) {
  return new Date(at).toLocaleDateString("en-GB", {weekday: "short", day: "numeric", month: "short"});
}

function isToday(call) {
  return dayOf(call.at) === dayOf(Date.now()) && Date.now() - Date.parse(call.at) < 172800000;
}

function stretchOf(calls, show) {
  const axis = span(calls);
  const from = clock(axis.from).slice(0, 5);
  const to = clock(axis.from + axis.length).slice(0, 5);
  return h("div.stretch", {}, h("h3", {}, `${dayOf(axis.from)}, ${from}${from === to ? "" : ` – ${to}`}`), ticks(axis),
    groups(calls).map(([trace, members], at, all) => h("div.trace", {},
      all.length > 1 ? h("h4.faint", {}, trace ? `Trace ${shown(trace).slice(0, 8)}` : "No trace") : null,
      members.map((call) => [line(call, axis, show), keyOf(call) === openCall ? detail(call) : null]))));
}

function tile(name, value, style = "") {
  return h(`div.tile${style ? `.${style}` : ""}`, {}, h("span.value", {}, value), h("span.name", {}, name));
}

function sum(numbers) {
  return numbers.reduce((total, each) => total + each, 0);
}

function tiles(calls) {
  const models = calls.filter((call) => call.kind === "model");
  const priced = models.filter((call) => call.usd !== null);
  const spent = (of) => (of.length ? money(sum(of.map((call) => call.usd))) : "–");
  const failovers = models.filter((call) => troubles(call).some(([word]) => word === "failover")).length;
  const refused = calls.filter((call) => call.kind === "tool" && call.decision !== "allowed").length;
  const failed = calls.filter((call) => troubles(call).some(([, style]) => style === "bad")).length;
  return h("div.tiles", {}, tile("model calls", count(models.length)), tile("tool calls", count(calls.length - models.length)),
    tile("tokens", count(sum(models.map((call) => (call.tokens ? call.tokens.input + call.tokens.output : 0))))),
    tile("spent", spent(priced)),
    models.every(isToday) ? null : tile("spent today", spent(priced.filter(isToday))), tile("failovers", count(failovers), failovers ? "warn" : ""),
    tile("refused", count(refused), refused ? "bad" : ""), tile("failed", count(failed), failed ? "bad" : ""));
}

function spending(calls) {
  const sums = new Map();
  for (const call of calls.filter((each) => each.kind === "model" && each.provider)) {
    const key = JSON.stringify([call.provider, call.model]);
    const row = sums.get(key) ?? {provider: call.provider, model: call.model, calls: 0, input: 0, output: 0, usd: null, today: null};
    row.calls += 1;
    row.input += call.tokens?.input ?? 0;
    row.output += call.tokens?.output ?? 0;
    if (call.usd !== null) row.usd = (row.usd ?? 0) + call.usd;
    if (call.usd !== null && isToday(call)) row.today = (row.today ?? 0) + call.usd;
    sums.set(key, row);
  }
  const rows = [...sums.values()].sort((a, b) => (b.usd ?? 0) - (a.usd ?? 0) || b.input + b.output - a.input - a.output);
  const cost = (usd, none) => h("td.number", {}, usd === null ? none : money(usd));
  return rows.length ? section("Spent on", table("Spent on", ["Provider", "Model", "#Calls", "#Tokens in / out", "#Today", "#Cost"], rows.slice(0, 50).map((row) =>
    h("tr", {}, h("th", {scope: "row"}, shown(row.provider)), h("td.why", {}, shown(row.model)), h("td.number", {}, count(row.calls)),
      h("td.number", {}, `${count(row.input)} / ${count(row.output)}`), cost(row.today, "–"), cost(row.usd, "no price"))), ""),
    view.dropped ? h("p.faint", {}, "Of the calls that are kept. The budget, on the overview, counts all.") : "") : null;
}

function matches(call) {
  if (!search) return true;
  const text = [clock(call.at), callTitle(call), call.error, call.model, call.decision, call.outcome, call.trace?.trace,
    ...(call.tries ?? []).flatMap((each) => [each.provider, each.outcome, each.reason])].join(" ").toLowerCase();
  return search.toLowerCase().split(/\s+/).every((word) => text.includes(word));
}

function ticks(axis) {
  return h("div.ticks", {"aria-hidden": "true"}, [0, 0.25, 0.5, 0.75, 1].map((share) => h("span", {}, share ? ms(axis.length * share) : "0")));
}

function groups(calls) {
  const traces = new Map();
  for (const call of calls) {
    const trace = call.trace?.trace ?? "";
    if (!traces.has(trace)) traces.set(trace, []);
    traces.get(trace).push(call);
  }
  return [...traces.entries()];
}

/** The timeline. */
export function timelinePage(recorded) {
  view = recorded;
  const root = h("div");
  const draw = () => {
    const wanted = view.calls.filter(matches).filter((call) => kind === "all" || (kind === "trouble" ? troubles(call).length : call.kind === kind));
    const calls = wanted.slice(-SHOWN_CALLS);
    const left = view.dropped + wanted.length - calls.length;
    const show = (key) => { openCall = openCall === key ? "" : key; draw(); root.querySelector(`[data-key="${CSS.escape(key)}"]`)?.focus(); };
    root.replaceChildren(
      ...view.notes.map((note) => h("p.note", {}, shown(note))),
      tiles(view.calls),
      h("div.bar", {role: "group", "aria-label": "Which calls"}, Object.entries(KINDS).map(([name, word]) =>
        h("button.choice", {type: "button", "data-key": `kind ${name}`, "aria-pressed": kind === name ? "true" : "false", onclick: () => { kind = name; again(`kind ${name}`); }}, word)),
      h("label.hidden", {for: "calls"}, "Search calls"),
      h("input", {type: "search", id: "calls", "data-key": "calls", placeholder: "12:03, provider, tool, error …", autocomplete: "off", value: search, oninput: (event) => { search = event.target.value; again("calls"); }})),
      calls.length
        ? section("Timeline", left ? h("p.faint", {}, `${count(left)} earlier calls are not shown.`) : "", stretches(calls).map((each) => stretchOf(each, show)))
        : h("p.empty", {}, view.calls.length ? "No such call." : "The agent has called no model and no tool yet."), spending(view.calls) ?? "");
  };
  const again = (key) => {
    draw();
    const found = root.querySelector(`[data-key="${CSS.escape(key)}"]`);
    found?.focus();
    if (found?.type === "search") found.setSelectionRange(found.value.length, found.value.length);
  };
  draw();
  return [root];
}
