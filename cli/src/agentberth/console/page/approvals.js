// Calls of tools that wait for a person: what is asked, in full, and the decision.
import {age, badge, count, h, section, shown, until} from "./dom.js";

const DECISIONS = {Waiting: "warn", Approve: "good", Approved: "good", Granted: "good", Deny: "bad", Denied: "bad", Expired: "plain"};
const places = new Map(); // what was seen waiting keeps its place, so that no button moves under a pointer
const notes = new Map();
const results = new Map();

function approvalKey(each) {
  return `${each.namespace}/${each.name}`;
}

/** What waits now: what has expired meanwhile does not. */
export function waiting(view) {
  return view.approvals.filter((each) => each.state === "Waiting" && Date.parse(each.expires) > Date.now());
}

function approvalFacts(each) {
  const open = each.state === "Waiting";
  const over = open && !(Date.parse(each.expires) > Date.now());
  return h("p.faint", {}, badge(over ? "Expired" : each.state, over ? "plain" : DECISIONS[each.state] ?? "plain"), " ",
    `asked ${age(each.asked)} ago`, open && !over ? `, expires in ${until(each.expires)}` : "", " · ", h("code", {}, shown(each.name)));
}

function askedCall(each) {
  return [
    each.reason ? h("p", {}, h("b", {}, "Why it is asked: "), shown(each.reason)) : null,
    h("pre.arguments", {tabindex: "0", "aria-label": `Arguments of ${shown(each.tool)}`}, shown(each.arguments)),
    each.arguments.includes("...") ? h("p.note", {}, "The arguments may be longer than what is shown: each ... is a cut.") : null,
  ];
}

function controls(each, view, decide) {
  const key = approvalKey(each);
  const act = (decision) => async () => {
    results.set(key, "Deciding …");
    await decide(each, decision, notes.get(key) ?? "").then(() => results.delete(key), (error) => results.set(key, error.message));
    decide.done();
  };
  const of = h("span.hidden", {}, ` ${shown(each.tool)} of ${shown(each.agent)}`);
  return h("div.bar", {},
    h("button.good", {type: "button", "data-key": `approve ${key}`, onclick: act("Approve")}, "Approve", of),
    h("button.bad", {type: "button", "data-key": `deny ${key}`, onclick: act("Deny")}, "Deny", of.cloneNode(true)),
    view.takes_note ? h("label", {}, "Note ", h("input", {type: "text", maxlength: "500", autocomplete: "off", "data-key": `note ${key}`, value: notes.get(key) ?? "",
      oninput: (event) => notes.set(key, event.target.value)})) : null);
}

function card(each, view, decide) {
  const key = approvalKey(each);
  const open = each.state === "Waiting" && Date.parse(each.expires) > Date.now();
  const result = results.get(key);
  return h("li.approval", {},
    h("h2", {}, h("a", {href: `#/agents/${encodeURIComponent(each.namespace)}/${encodeURIComponent(each.agent)}`}, shown(each.agent)),
      h("span.faint", {}, ` ${shown(each.namespace)} `), "calls ", h("span.tool", {}, shown(each.tool))),
    approvalFacts(each), askedCall(each),
    open && !view.read_only ? controls(each, view, decide) : null,
    h("p.result", {role: "status"}, result ? shown(result) : ""));
}

function decidedLine(each) {
  return h("tr", {}, h("td", {}, badge(each.state, DECISIONS[each.state] ?? "plain")), h("th", {scope: "row"}, shown(each.agent), h("span.faint", {}, ` ${shown(each.namespace)}`)),
    h("td", {}, shown(each.tool)), h("td.why", {}, h("code", {}, shown(each.arguments.slice(0, 300)))), h("td", {}, `${age(each.asked)} ago`), h("td.why", {}, shown(each.note)));
}

/** The page. `decide` carries a decision out; `decide.done` draws the page anew. */
export function approvalsPage(view, decide) {
  for (const each of waiting(view)) if (!places.has(approvalKey(each))) places.set(approvalKey(each), places.size);
  const kept = view.approvals.filter((each) => places.has(approvalKey(each))).sort((a, b) => places.get(approvalKey(a)) - places.get(approvalKey(b)));
  const decided = view.approvals.filter((each) => !places.has(approvalKey(each)));
  return [h("h1", {}, "Approvals"),
    view.notes.map((note) => h("p.note", {}, shown(note))),
    view.read_only ? h("p.note", {}, shown(view.read_only)) : null,
    h("p.faint", {role: "status"}, waiting(view).length ? `${count(waiting(view).length)} waiting` : "No call waits for a person."),
    kept.length ? h("ol.approvals", {"aria-label": "Calls, the oldest first"}, kept.map((each) => card(each, view, decide))) : null,
    decided.length ? section("Decided", h("div.scroll", {tabindex: "0", role: "region", "aria-label": "Decided, table"}, h("table", {}, h("caption.hidden", {}, "Decided"),
      h("thead", {}, h("tr", {}, ["State", "Agent", "Tool", "Arguments", "Asked", "Note"].map((head) => h("th", {scope: "col"}, head)))),
      h("tbody", {}, decided.reverse().map(decidedLine))))) : null];
}

/** Forgets what has kept its place, when the page is left. */
export function leaveApprovals() {
  for (const each of [places, results]) each.clear();
}
