/** The inspector's page: its views, the way between them, and what keeps them current. */

import { ask, listen, Unreachable } from "./api.js";
import { closeDetail } from "./detail.js";
import { h, replace } from "./elements.js";
import { plural } from "./format.js";
import { startKeys } from "./keys.js";
import { choose, here, href, RANGES } from "./route.js";
import { startTheme } from "./theme.js";
import { cohorts } from "./views/cohorts.js";
import { customers } from "./views/customers.js";
import { flags } from "./views/flags.js";
import { funnel } from "./views/funnel.js";
import { health } from "./views/health.js";
import { refused } from "./views/refused.js";
import { retention } from "./views/retention.js";
import { stream } from "./views/stream.js";
import { trends } from "./views/trends.js";

const VIEWS = { stream, customers, funnel, retention, trends, cohorts, flags, refused, health };
const SAID_EVERY = 10_000; // milliseconds: a live region that speaks at each event cannot be listened to

const at = (id) => document.getElementById(id);
let shown; // the view on the page: {refresh, every, keys?, arrived?}
let newest = 0;
let unsaid = 0;
let refreshing = false;
let again = false;

/** Put the view of the address on the page. */
async function show() {
  const route = here();
  const view = VIEWS[route.view];
  if (view === undefined) {
    history.replaceState(null, "", href("stream"));
    return show();
  }
  closeDetail();
  at("menu").setAttribute("aria-expanded", "false");
  document.title = `${view.title} · Inspector`;
  at("view").textContent = view.title;
  at("explains").textContent = view.explains;
  for (const link of document.querySelectorAll("#views a")) {
    if (link.dataset.view === route.view) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
    link.href = href(link.dataset.view);
  }
  at("range").value = route.choices.get("range") ?? "";
  at("scope").hidden = view.unscoped === true;
  const place = h("div", { class: `view ${route.view}`, "aria-busy": "true" });
  at("content").replaceChildren(place); // in place before it draws: a chart is as wide as it is
  shown = view.show(place, route);
  await refresh();
  place.removeAttribute("aria-busy");
}

/** Ask the server for what the view shows; trouble is said above it and ends by itself. */
async function refresh() {
  const asked = shown;
  try {
    await asked.refresh();
    if (asked === shown) trouble(null);
  } catch (error) {
    if (asked === shown) trouble(error);
  }
}

/** Refresh now, and not again before it is done and the view's pause is over: a slow server is not asked the faster. */
async function refreshSoon() {
  again = true;
  if (refreshing) return;
  refreshing = true;
  while (again) {
    again = false;
    await Promise.all([refresh(), new Promise((over) => setTimeout(over, shown.every ?? 1000))]);
  }
  refreshing = false;
}

function trouble(error) {
  const words = error instanceof Unreachable
    ? "The inspector does not answer. What you see is what it said last; this page tries again by itself."
    : error && `The inspector could not answer: ${error.message}`;
  if (at("trouble").textContent !== (words ?? "")) at("trouble").textContent = words ?? "";
  at("trouble").hidden = !error;
  if (error && !(error instanceof Unreachable)) return;
  connection(error ? "down" : "up");
}

function connection(state) {
  at("connection").dataset.state = state;
  replace(at("connection").querySelector(".word"), { up: "Live", down: "Not connected", waiting: "Connecting" }[state]);
}

async function projects() {
  const answer = await ask("/projects");
  const chosen = here().choices.get("project") ?? "";
  at("project-label").hidden = answer.projects.length < 2 && !chosen;
  replace(at("project"), h("option", { value: "" }, "All"),
    answer.projects.map(({ project, events }) => h("option", { value: project }, `${project} (${events})`)));
  at("project").value = chosen;
}

/** Say what arrived since the last time; it may have been a new project's. */
function say() {
  if (unsaid === 0) return;
  if (!document.hidden) at("said").textContent = `${plural(unsaid, "event")} arrived`;
  unsaid = 0;
  projects();
}

function start() {
  replace(document.querySelector("#views ol"), Object.entries(VIEWS).map(([name, view], index) =>
    h("li", {}, h("a", { href: href(name), "data-view": name }, view.title, h("kbd", { "aria-hidden": "true" }, String(index + 1))))));
  replace(at("range"), RANGES.map(([value, words]) => h("option", { value }, words)));
  for (const name of ["range", "project"]) {
    at(name).addEventListener("change", () => {
      choose({ [name]: at(name).value });
      show();
    });
  }
  at("menu").addEventListener("click", () => {
    at("menu").setAttribute("aria-expanded", String(at("menu").getAttribute("aria-expanded") !== "true"));
  });
  at("views").addEventListener("click", (event) => {
    if (event.target.closest("a")) at("view").focus(); // a view's name is what a screen reader says next
  });
  document.querySelector(".skip").addEventListener("click", (event) => {
    event.preventDefault(); // the address says where the page is
    at("view").focus();
  });
  addEventListener("hashchange", show);
  addEventListener("unhandledrejection", (event) => { // what somebody asked for by a control, and the server did not do
    event.preventDefault();
    trouble(event.reason);
  });
  startTheme(at("theme"));
  startKeys({ views: Object.keys(VIEWS), shown: () => shown });
  listen({
    up: () => { refreshSoon(); projects(); },
    down: () => trouble(new Unreachable()),
    flags: refreshSoon,
    arrived: ({ seq, count }) => {
      if (seq > newest) unsaid += count;
      newest = seq;
      shown.arrived?.(count);
      refreshSoon();
    },
  });
  setInterval(say, SAID_EVERY);
  show();
}

start();
