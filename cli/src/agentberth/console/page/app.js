// Which page is shown: by the address's fragment, drawn anew whenever the server says that something changed.
import {agentPage} from "./agent.js";
import {agentsPage} from "./agents.js";
import {approvalsPage, leaveApprovals, waiting} from "./approvals.js";
import {h, shown} from "./dom.js";
import {revisionsPage} from "./revisions.js";
import {timelinePage} from "./timeline.js";

const main = document.getElementById("main");
const live = document.getElementById("live");
const TABS = [["", "Overview"], ["timeline", "Timeline"], ["logs", "Logs"], ["revisions", "Revisions"]];
const report = globalThis.agentberthReport; // of a page that was written to a file
let drawing = false;
let outdated = false;
let about = null;

async function ask(path, options = {}) {
  if (report) {
    if (!(path in report)) throw new Error("this report does not have it");
    return report[path];
  }
  const answer = await fetch(path, options);
  const body = await answer.json().catch(() => ({error: `the console answers ${answer.status}`}));
  if (!answer.ok) throw new Error(body.error);
  return body;
}

function place() {
  const [path, query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const [kind, namespace, name, tab = ""] = path.split("/").map(decodeURIComponent);
  if (kind === "approvals") return {page: kind};
  return kind === "agents" && name ? {page: "agent", namespace, name, tab, query: new URLSearchParams(query)} : {page: "agents"};
}

function baseOf({namespace, name}) {
  return `#/agents/${encodeURIComponent(namespace)}/${encodeURIComponent(name)}`;
}

function heading(at) {
  return [h("nav.crumbs", {"aria-label": "Where you are"}, h("a", {href: "#/"}, "Agents"), " / ", h("span", {}, shown(at.namespace))),
    h("h1", {}, shown(at.name)),
    h("nav.tabs", {"aria-label": "Parts of this agent"}, TABS.filter(([tab]) => tab !== "revisions" || about.revisions).map(([tab, word]) =>
      h("a", {href: tab ? `${baseOf(at)}/${tab}` : baseOf(at), "aria-current": tab === at.tab ? "page" : null}, word)))];
}

async function logsPage(at, api) {
  const view = await ask(api);
  const chosen = at.query.get("container") ?? view.containers.at(-1)?.name ?? "";
  const pod = at.query.get("pod") ?? view.containers.at(-1)?.pod ?? "";
  const log = chosen ? await ask(`${api}/logs?${new URLSearchParams({container: chosen, pod})}`) : {lines: [], notes: []};
  return [h("nav.bar", {"aria-label": "Containers"}, view.containers.map((each) =>
    h("a.choice", {href: logOf(at, each), "aria-current": each.name === chosen && each.pod === pod ? "true" : null}, shown(each.name)))),
  log.notes.map((note) => h("p.note", {}, shown(note))),
  log.lines.length ? h("pre.log", {tabindex: "0", "aria-label": `Log of ${shown(chosen)}`}, log.lines.map(shown).join("\n")) : h("p.empty", {}, "Nothing was written.")];
}

function logOf(at, container) {
  return `${baseOf(at)}/logs?${new URLSearchParams({container: container.name, pod: container.pod})}`;
}

async function decide(approval, decision, note) {
  const path = `/api/approvals/${encodeURIComponent(approval.namespace)}/${encodeURIComponent(approval.name)}`;
  await ask(path, {method: "POST", headers: {"content-type": "application/json"}, body: JSON.stringify({hash: approval.hash, decision, note})});
}
decide.done = () => draw();

/** The approvals, and how many wait on every page's top. */
async function approvalsNow() {
  const view = await ask("/api/approvals").catch((error) => ({approvals: [], notes: [error.message], read_only: ""}));
  const found = waiting(view).length;
  const mark = document.getElementById("waiting");
  mark.hidden = !found;
  mark.textContent = found ? `${found} waiting` : "";
  return view;
}

async function content(at) {
  if (!about) {
    about = await ask("/api/about");
    document.getElementById("title").textContent = shown(about.title);
  }
  const approvals = await approvalsNow();
  if (at.page === "approvals") return approvalsPage(approvals, decide);
  leaveApprovals();
  if (at.page === "agents") {
    const {agents, notes} = await ask("/api/agents");
    return agentsPage(agents, notes);
  }
  const api = `/api/agents/${encodeURIComponent(at.namespace)}/${encodeURIComponent(at.name)}`;
  if (at.tab === "timeline") return [heading(at), timelinePage(await ask(`${api}/calls`))];
  if (at.tab === "revisions") return [heading(at), revisionsPage(await ask(`${api}/revisions?${at.query}`), at, (side, number) => {
    at.query.set(side, number);
    location.hash = `${baseOf(at)}/revisions?${at.query}`;
  })];
  if (at.tab === "logs") return [heading(at), await logsPage(at, api)];
  const asked = waiting(approvals).filter((each) => each.namespace === at.namespace && each.agent === at.name).length;
  return [heading(at), asked ? h("p.note", {}, h("a", {href: "#/approvals"}, asked === 1 ? "A call waits for approval" : `${asked} calls wait for approval`)) : null,
    agentPage(await ask(api), (container) => logOf(at, container))];
}

/** Draws the page, and once more if something changed meanwhile: changes that come quickly must not starve it. */
async function draw() {
  outdated = true;
  if (drawing) return;
  drawing = true;
  try {
    while (outdated) {
      outdated = false;
      await drawOnce();
    }
  } finally {
    drawing = false;
  }
}

/** What had the focus has it again. */
async function drawOnce() {
  const hash = location.hash;
  const at = place();
  document.title = at.page === "agents" ? "Agentberth" : `${at.name ? shown(at.name) : "Approvals"} – Agentberth`;
  for (const each of ["agents", "approvals"]) {
    const link = document.getElementById(`to-${each}`);
    if (each === at.page) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  let parts;
  try {
    parts = await content(at);
  } catch (error) {
    parts = [h("h1", {}, "This cannot be shown"), h("p.note", {role: "alert"}, shown(error.message))];
  }
  if (hash !== location.hash) return; // another page is wanted by now
  const page = h("div", {}, parts);
  if (main.firstChild?.innerHTML === page.innerHTML) return; // a selection and a pressed button outlive what changes nothing
  const {id, dataset} = document.activeElement ?? {};
  const key = dataset?.key;
  const scrolled = main.querySelector(".log")?.scrollTop;
  const logged = main.querySelector(".log");
  const atEnd = logged ? logged.scrollTop + logged.clientHeight >= logged.scrollHeight - 4 : true;
  const caret = document.activeElement?.selectionStart;
  main.replaceChildren(page);
  const again = key ? main.querySelector(`[data-key="${CSS.escape(key)}"]`) : id && id !== "main" ? document.getElementById(id) : null;
  again?.focus({preventScroll: true});
  if (again?.setSelectionRange && caret !== null && caret !== undefined && ["search", "text"].includes(again.type)) again.setSelectionRange(caret, caret);
  const log = main.querySelector(".log");
  if (log) log.scrollTop = atEnd ? log.scrollHeight : scrolled ?? 0;
}

function listen() {
  const events = new EventSource("/api/events");
  events.addEventListener("changed", () => { live.textContent = "live"; live.className = "live on"; draw(); });
  events.addEventListener("error", () => { live.textContent = "not connected"; live.className = "live off"; });
}

addEventListener("hashchange", () => { draw(); main.focus({preventScroll: true}); scrollTo(0, 0); });
draw();
if (report) live.textContent = "report";
else listen();
