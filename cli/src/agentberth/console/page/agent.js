// One agent: its Pod as a picture, what is wrong and what to do, providers, tools, memory, events.
import {age, badge, bytes, count, diffLine, h, money, section, shown, table, until} from "./dom.js";

const STATES = {waiting: ["plain", "waits"], running: ["warn", "runs"], ready: ["good", "ready"], ended: ["plain", "ended"], failed: ["bad", "failed"]};
const ADVICE = new Set(["SecurityPosture"]); // an agent works without it
const WORK = {initenv: "prepares code and packages", toolproxy: "serves tools", llmgateway: "serves models", memory: "keeps the memory"};

function containerBox(each, select) {
  const [kind, word] = STATES[each.state] ?? ["plain", each.state];
  const live = each.role === "agent" && each.state === "running" ? "good" : kind;
  return h(`li.box.${live}`, {},
    h("span.role", {}, each.role === "init" ? "init container" : each.role),
    h("strong", {}, shown(each.name)),
    h("span.work", {}, WORK[each.name] ?? (each.role === "agent" ? "the agent itself" : "")),
    badge(word, live),
    each.restarts ? badge(`${each.restarts} ${each.restarts === 1 ? "restart" : "restarts"}`, "warn") : null,
    each.detail ? h("span.detail", {}, shown(each.detail)) : null,
    h("a.logs", {href: select(each)}, "Log", h("span.hidden", {}, ` of ${shown(each.name)}`)));
}

function podPicture(view, select) {
  const pods = [...new Set(view.containers.map((each) => each.pod))];
  return section("Pod", pods.map((pod) => h("div.pod", {},
    pod ? h("p.faint", {}, shown(pod)) : null,
    h("ol.boxes", {"aria-label": "Containers in the order in which they start"},
      view.containers.filter((each) => each.pod === pod).map((each) => containerBox(each, select))))));
}

function conditionCard(each) {
  const good = each.status === "True";
  const kind = good ? "good" : ADVICE.has(each.type) ? "warn" : "bad";
  return h(`li.condition.${kind}`, {},
    h("div", {}, h("strong", {}, shown(each.type)), " ", badge(good ? "True" : `${each.status}: ${each.reason}`, kind),
      each.since ? h("span.faint", {}, ` for ${age(each.since)}`) : null),
    each.message ? h("p", {}, shown(each.message)) : null,
    !good && each.cause ? h("p.cause", {}, h("b", {}, "Cause: "), shown(each.cause)) : null,
    !good && each.cure ? h("p.cure", {}, h("b", {}, "Try: "), shown(each.cure)) : null);
}

function conditionList(view) {
  const rank = (each) => (each.status === "True" ? 2 : ADVICE.has(each.type) ? 1 : 0);
  const sorted = [...view.conditions].sort((a, b) => rank(a) - rank(b));
  return section("Conditions", sorted.length ? h("ul.conditions", {}, sorted.map(conditionCard)) : h("p.empty", {}, "Nothing is wrong."));
}

function providerLine(each) {
  const worst = (each.routes ?? []).find((route) => route.breaker !== "closed");
  const state = !each.usable ? badge("no key", "bad") : worst ? badge(`breaker ${worst.breaker}`, worst.breaker === "open" ? "bad" : "warn", `for ${Math.round(worst.cooldownSeconds)} s`) : badge("breaker closed", "good");
  return h("tr", {}, h("th", {scope: "row"}, shown(each.name), h("span.faint", {}, ` ${shown(each.type)}`)),
    h("td", {}, state, " ", each.answering ? badge("answering", "good") : null),
    h("td.number", {}, count(each.requests)), h("td.number", {}, count(each.failures)), h("td.number", {}, count(each.failovers)),
    h("td.number", {}, `${count(each.inputTokens)} / ${count(each.outputTokens)}`),
    h("td.why", {}, shown(each.lastError), each.lastErrorAt ? h("span.faint", {}, ` ${age(each.lastErrorAt)} ago`) : null));
}

function toolLine(each) {
  const kind = {ready: "good", failed: "bad", blocked: "bad"}[each.state] ?? "warn";
  const pin = each.definitionHash || each.digest;
  return h("tr", {}, h("th", {scope: "row"}, shown(each.name)), h("td", {}, badge(each.state, kind), each.required ? " required" : " optional"),
    h("td", {}, shown(each.version)), h("td.why", {}, shown(each.source)),
    h("td", {}, pin ? h("code", {title: shown(pin)}, shown(pin).slice(0, 12)) : "–"),
    h("td.why", {}, [each.error, each.notServed].filter(Boolean).map((text) => h("pre.drift", {}, shown(text))),
      each.diff ? h("pre.diff.drift", {tabindex: "0", "aria-label": `What changed in ${shown(each.name)}`}, each.diff.split("\n").filter((text, at) => text && (at > 1 || !/^(---|\+\+\+) /.test(text))).map(diffLine)) : null));
}

function memoryFacts(memory) {
  const used = memory.usedBytes ?? memory.used_bytes;
  const most = memory.maxBytes ?? memory.max_bytes;
  return h("dl.facts", {},
    h("dt", {}, "State"), h("dd", {}, memory.reachable === false ? badge("unreachable", "bad") : badge("reachable", "good"), memory.full ? badge("full", "bad") : null),
    used === null || used === undefined ? null : [h("dt", {}, "Used"), h("dd", {}, bytes(used) + (most ? ` of ${bytes(most)}` : ""))],
    memory.keys === null || memory.keys === undefined ? null : [h("dt", {}, "Keys"), h("dd", {}, count(memory.keys))],
    memory.error ? [h("dt", {}, "Error"), h("dd", {}, shown(memory.error))] : null);
}

function limitLine(each) {
  const inUsd = each.name.startsWith("usd");
  const amount = inUsd ? money : count;
  const share = Math.min(100, Math.round(100 * each.spent / (each.limit || 1)));
  return h("tr", {}, h("th", {scope: "row"}, `${inUsd ? "US dollars" : "Tokens"} ${each.name.replace(/^[a-z]+Per/, "per ").toLowerCase()}`, each.run ? h("span.faint", {}, ` ${shown(each.run)}`) : null),
    h("td.number", {}, amount(each.spent)), h("td.number", {}, amount(each.limit)),
    h("td", {}, badge(`${share} %`, share >= 100 ? "bad" : share >= 80 ? "warn" : "good")),
    h("td", {}, each.resets ? `in ${until(each.resets)}` : ""));
}

function eventLine(each) {
  return h("tr", {}, h("td", {}, age(each.at)), h("td", {}, badge(each.type, each.type === "Warning" ? "warn" : "plain")),
    h("td", {}, shown(each.reason)), h("td.why", {}, shown(each.message)));
}

/** The overview. `select` gives the address of a container's log. */
export function agentPage(view, select) {
  return [
    view.notes.map((note) => h("p.note", {}, shown(note))),
    podPicture(view, select),
    conditionList(view),
    view.providers.length ? section("Models", table("Providers", ["Provider", "State", "#Tries", "#Failures", "#Failovers", "#Tokens in / out", "Last error"], view.providers.map(providerLine), "")) : null,
    view.limits.length ? section("Budget", table("Budget", ["Limit", "#Spent", "#Of", "Used", "Begins anew"], view.limits.map(limitLine), "")) : null,
    view.tools.length ? section("Tools", table("Tools", ["Tool", "State", "Version", "Source", "Pin", "What is wrong"], view.tools.map(toolLine), "")) : null,
    view.memory ? section("Memory", memoryFacts(view.memory)) : null,
    view.events.length ? section("Events", table("Events", ["Age", "Type", "Reason", "Message"], view.events.map(eventLine), "")) : null,
  ];
}
