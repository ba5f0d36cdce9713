// The list of agents. Only the rows that can be looked at are made: thousands of agents filter as quickly as ten.
import {age, badge, count, h, headRow, money, shown} from "./dom.js";

const SHOWN_ROWS = 100;
let filter = "";
let onlyUnready = false;
let more = SHOWN_ROWS;
let rows = [];

function phaseBadge(row) {
  const kind = row.ready ? "good" : row.phase === "Failed" ? "bad" : "warn";
  return badge(row.phase || "Unknown", kind);
}

function agentLine(row) {
  const href = `#/agents/${encodeURIComponent(row.namespace)}/${encodeURIComponent(row.name)}`;
  const why = row.ready ? "" : [row.reason, row.message].filter(Boolean).join(": ");
  return h("tr", {},
    h("th", {scope: "row"}, h("a", {href}, shown(row.name)), h("span.faint", {}, ` ${shown(row.namespace)}`)),
    h("td", {}, phaseBadge(row)),
    h("td", {}, shown(row.replicas)),
    h("td.why", {}, h("span", {}, shown(why)), row.cure && !row.ready ? h("span.cure", {}, `Try: ${shown(row.cure)}`) : null),
    h("td.number", {}, count(row.tokens)), row.usd === null && row.budget ? h("td.number", {}, shown(row.budget)) : h("td.number", {}, money(row.usd)),
    h("td", {}, age(row.created)));
}

function matching() {
  const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
  return rows.filter((row) => {
    if (onlyUnready && row.ready) return false;
    const text = `${row.namespace}/${row.name} ${row.phase} ${row.reason} ${row.message}`.toLowerCase();
    return words.every((word) => text.includes(word));
  });
}

/** The page of all agents. `again` draws it anew when the filter changes. */
export function agentsPage(agents, notes) {
  rows = agents;
  const list = h("div");
  const said = h("p.faint", {role: "status", id: "count"});
  const draw = () => {
    const found = matching();
    const heads = ["Name", "Status", "Ready", "Reason and cure", "#Tokens", "#Spent", "Age"];
    said.textContent = `${count(found.length)} of ${count(rows.length)} agents, ${count(rows.filter((row) => !row.ready).length)} not ready`;
    list.replaceChildren(
      found.length
        ? h("div.scroll", {tabindex: "0", role: "region", "aria-label": "Agents, table"}, h("table.agents", {}, h("caption.hidden", {}, "Agents"),
          h("thead", {}, headRow(heads)),
          h("tbody", {}, found.slice(0, more).map(agentLine))))
        : h("p.empty", {}, rows.length ? "No agent matches the filter." : "There are no agents here yet."),
      found.length > more ? h("button", {type: "button", onclick: () => { more += 500; draw(); }}, `Show ${Math.min(500, found.length - more)} more`) : "");
  };
  const search = h("input", {type: "search", id: "filter", placeholder: "Name, namespace, reason …", autocomplete: "off", value: filter,
    oninput: (event) => { filter = event.target.value; more = SHOWN_ROWS; draw(); }});
  const unready = h("input", {type: "checkbox", id: "unready", checked: onlyUnready,
    onchange: (event) => { onlyUnready = event.target.checked; more = SHOWN_ROWS; draw(); }});
  draw();
  return [h("h1", {}, "Agents"),
    notes.map((note) => h("p.note", {}, `The list is not up to date: ${shown(note)}`)),
    h("div.bar", {}, h("label", {for: "filter"}, "Filter"), search, h("label.check", {for: "unready"}, unready, " Not ready only")),
    said, list];
}
