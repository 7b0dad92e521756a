/** Customers, and what one of them did: in the browser and behind it, side by side. */

import { ask } from "../api.js";
import { answered, h, nothing, replace, table } from "../elements.js";
import { day, duration, fromBrowser, minute, number, plural, short, text } from "../format.js";
import { choose, href, scope } from "../route.js";
import { eventButton, walked } from "../rows.js";
import { settings } from "../settings.js";

const LIMIT = 100;

export const customers = {
  title: "Customers",
  explains: "Persons, with the ids that were merged into each; open one for its timeline.",
  show: (place, route) => (route.subject === null ? everyone(place, route) : timeline(place, route.subject)),
};

function everyone(place, { choices }) {
  const query = h("input", { type: "search", placeholder: "id", autocomplete: "off", spellcheck: "false", value: choices.get("q") });
  const found = h("div");
  replace(place, h("form", { class: "controls", role: "search", "aria-label": "Filter", submit: (event) => event.preventDefault() },
    h("label", {}, h("span", {}, "Customer"), query)), found);
  const refresh = answered(found, () => ask("/customers", { ...scope(), q: query.value.trim(), limit: LIMIT }), draw);
  query.addEventListener("input", () => {
    choose({ q: query.value.trim() });
    refresh();
  });
  return { refresh };

  function draw({ customers: people }) {
    if (people.length === 0) return query.value ? nothing("No customer has such an id.") : settings();
    const several = new Set(people.map(({ project }) => project)).size > 1; // whose customers may have the same ids
    const rows = people.map((person) => [
      h("a", { href: href("customers", person.person, several ? { project: person.project } : {}), "data-key": `${person.project} ${person.person}` }, person.person),
      number(person.events), minute(person.first_seen), minute(person.last_seen),
      Object.entries(person.properties).filter(([key]) => !key.startsWith("$")).map(([key, value]) => `${key} ${text(value)}`).join(" · "),
    ]);
    return [table("Customers", ["Customer", { name: "Events", number: true }, { name: "First seen", short: true }, { name: "Last seen", short: true }, "Properties"], rows),
      people.length === LIMIT && nothing(`The ${LIMIT} seen last; filter for others.`)];
  }
}

function timeline(place, person) {
  const about = h("div", { class: "about" });
  const list = h("ol", { class: "timeline", "aria-label": "Events, oldest first" });
  const side = h("div", { class: "list" }, h("p", { class: "lanes", "aria-hidden": "true" }, h("span", {}, "Browser"), h("span", {}, "Backend")), list);
  let events = [];
  let linked = null;
  const rows = walked(list, (seq) => events.find((event) => event.seq === seq));
  replace(place, h("p", {}, h("a", { href: href("customers") }, "All customers")), about, side);
  list.addEventListener("click", (event) => {
    const chip = event.target.closest("button.trace");
    if (!chip) return;
    linked = chip.dataset.trace === linked ? null : chip.dataset.trace;
    settle();
  });

  function settle() {
    rows.settle();
    list.classList.toggle("linking", linked !== null);
    for (const chip of list.querySelectorAll("button.trace")) {
      chip.setAttribute("aria-pressed", String(chip.dataset.trace === linked));
      chip.closest("li").classList.toggle("linked", chip.dataset.trace === linked);
    }
  }

  function draw(answer) {
    events = answer.timeline;
    replace(about,
      h("h2", {}, answer.person),
      h("dl", { class: "facts wide" }, [
        ["Events", number(answer.events) + (events.length < answer.events ? `, the latest ${number(events.length)} below` : "")],
        ["Seen", `${minute(answer.first_seen)} to ${minute(answer.last_seen)}`],
        answer.distinct_ids.length > 1 && ["Also known as", answer.distinct_ids.filter((id) => id !== answer.person).join(", ")],
        ...Object.entries(answer.properties).filter(([key]) => !key.startsWith("$")).map(([key, value]) => [key, text(value)]),
      ].filter(Boolean).map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value)))));
    side.classList.toggle("one-sided", !events.some(fromBrowser));
    return moments(events);
  }
  return { refresh: answered(list, () => ask(`/customers/${encodeURIComponent(person)}`, scope()), draw, settle), keys: rows.keys };
}

function moments(events) {
  const traces = Map.groupBy(events.filter((event) => event.trace_id), (event) => event.trace_id);
  return events.map((event, index) => {
    const before = events[index - 1];
    const together = before?.trace_id && before.trace_id === event.trace_id;
    return [
      (!before || day(before.timestamp) !== day(event.timestamp)) && h("li", { class: "day" }, day(event.timestamp)),
      event.session_id && event.session_id !== before?.session_id && h("li", { class: "session" }, `Session ${short(event.session_id, 13)}`),
      h("li", { class: `moment ${fromBrowser(event) ? "browser" : "backend"} ${together ? "together" : ""}` },
        h("span", { class: "gap" }, before ? `+${duration((new Date(event.timestamp) - new Date(before.timestamp)) / 1000)}` : ""),
        h("div", {},
          h("span", { class: "side-name" }, fromBrowser(event) ? "Browser" : "Backend"),
          eventButton(event, { who: false }),
          traces.get(event.trace_id)?.length > 1 && chip(event.trace_id, traces.get(event.trace_id).length))),
    ];
  });
}

function chip(trace, count) {
  return h("button", { type: "button", class: "trace", "aria-pressed": "false", "data-trace": trace, "data-key": `trace ${trace}`, title: trace },
    `trace ${short(trace, 6)} · ${plural(count, "event")}`);
}
