// Two specs of an agent, compared: which were kept, and what became of the one in the other.
import {age, h, section, shown} from "./dom.js";

const SIGNS = {"-": ["removed", "\u2212"], "+": ["added", "+"], "@": ["gap", "\u22ef"], " ": ["same", ""]};

function specName(number) {
  return number === "present" ? "the present spec" : `revision ${number}`;
}

function choose(id, word, view, chosen, go) {
  const options = ["present", ...view.revisions.map((each) => each.number)];
  return h("label", {for: id}, `${word} `, h("select", {id, onchange: (event) => go(id, event.target.value)},
    options.map((each) => h("option", {value: each, selected: each === chosen}, specName(each)))));
}

function specLine([sign, text]) {
  const [kind, mark] = SIGNS[sign] ?? SIGNS[" "];
  const spoken = {removed: "removed: ", added: "added: "}[kind];
  return h(`span.line.${kind}`, {}, h("span.sign", {"aria-hidden": "true"}, mark), spoken ? h("span.hidden", {}, spoken) : null, shown(text));
}

function keptLine(each, go) {
  const paths = each.differs.map(shown).join(", ") + (each.cut ? " and more" : "");
  return h("tr", {}, h("th", {scope: "row"}, `Revision ${each.number}`), h("td", {}, age(each.kept)), h("td.why", {}, each.differs.length ? h("code", {}, paths) : "the present spec"),
    h("td", {}, each.differs.length ? h("button", {type: "button", "data-key": `compare ${each.number}`, onclick: () => go("older", each.number)}, "Compare", h("span.hidden", {}, ` revision ${each.number}`)) : null));
}

/** The page. `go` shows it with another `older` or `newer`. */
export function revisionsPage(view, go) {
  if (!view.revisions.length) return [view.notes.map((note) => h("p.note", {}, shown(note))), h("p.empty", {}, "No revision was kept yet: the operator keeps a spec once the agent is ready with it.")];
  return [view.notes.map((note) => h("p.note", {}, shown(note))),
    section("Kept", h("div.scroll", {tabindex: "0", role: "region", "aria-label": "Revisions, table"}, h("table", {}, h("caption.hidden", {}, "Revisions"),
      h("thead", {}, h("tr", {}, ["Revision", "Age", "Differs from the present spec in", ""].map((head) => h(head ? "th" : "td", head ? {scope: "col"} : {}, head)))),
      h("tbody", {}, view.revisions.map((each) => keptLine(each, go)))))),
    section("Compare", h("div.bar", {}, choose("older", "From", view, view.older, go), choose("newer", "to", view, view.newer, go)),
      view.lines.length ? h("pre.diff", {tabindex: "0", "aria-label": `From ${specName(view.older)} to ${specName(view.newer)}`}, view.lines.map(specLine)) : h("p.empty", {}, "They are the same."),
      h("p.faint", {}, "agentberth rollback returns an agent to a revision."))];
}
