// Two specs of an agent, compared: which were kept, and what became of the one in the other.
import {age, diffLine, h, headRow, section, shown} from "./dom.js";

function specName(number) {
  return number === "present" ? "the present spec" : `revision ${number}`;
}

function choose(id, word, view, chosen, go) {
  const options = ["present", ...view.revisions.map((each) => each.number)];
  return h("label", {for: id}, `${word} `, h("select", {id, onchange: (event) => go(id, event.target.value)},
    options.map((each) => h("option", {value: each, selected: each === chosen}, specName(each)))));
}

function keptLine(each, go) {
  const paths = each.differs.map(shown).join(", ") + (each.cut ? " and more" : "");
  const compare = () => h("button", {type: "button", "data-key": `compare ${each.number}`, onclick: () => go("older", each.number)}, "Compare", h("span.hidden", {}, ` revision ${each.number}`));
  return h("tr", {}, h("th", {scope: "row"}, `Revision ${each.number}`), h("td", {}, age(each.kept)),
    h("td.why", {}, each.differs.length ? h("code", {}, paths) : h("span.faint", {}, "nothing: this is the present spec")),
    h("td", {}, each.differs.length ? compare() : null));
}

function keptTable(view, go) {
  return h("div.scroll", {tabindex: "0", role: "region", "aria-label": "Revisions, table"}, h("table", {}, h("caption.hidden", {}, "Revisions"),
    h("thead", {}, headRow(["Revision", "Age", "Differs from the present spec in", ""])),
    h("tbody", {}, view.revisions.map((each) => keptLine(each, go)))));
}

/** The page. `go` shows it with another `older` or `newer`. */
export function revisionsPage(view, at, go) {
  const notes = view.notes.map((note) => h("p.note", {}, shown(note)));
  if (!view.revisions.length) return [notes, h("p.empty", {}, "No revision was kept yet: the operator keeps a spec once the agent is ready with it.")];
  const wanted = [view.older, view.newer].find((each) => each !== "present");
  return [notes, section("Revisions that were ready", keptTable(view, go)),
    section("Compare", h("div.bar", {}, choose("older", "From", view, view.older, go), choose("newer", "To", view, view.newer, go)),
      view.lines.length ? h("pre.diff", {tabindex: "0", "aria-label": `From ${specName(view.older)} to ${specName(view.newer)}`}, view.lines.map(([sign, text]) => diffLine(sign + text))) : h("p.empty", {}, "They are the same."),
      wanted ? h("p.faint", {}, `To return the agent to revision ${wanted}: `, h("code", {}, `agentberth rollback ${shown(at.name)} --to ${wanted} -n ${shown(at.namespace)}`)) : null)];
}
