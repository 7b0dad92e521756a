/** One event, in full. Beside the list on a wide screen, over it on a narrow one. */

import { copyButton, h, replace, table } from "./elements.js";
import { clock, day, duration, short, text } from "./format.js";
import { href } from "./route.js";

const NARROW = matchMedia("(max-width: 1000px)");

/** Show an event; `close` is called when it is closed, `enter` puts the focus into it. */
export function openDetail(event, { close, enter = false }) {
  const dialog = document.getElementById("detail");
  const payload = JSON.stringify(event, null, 2);
  const name = h("h2", { id: "detail-name", tabindex: -1 }, event.event);
  replace(dialog,
    h("div", { class: "bar-top" }, name, h("button", { type: "button", class: "quiet", click: () => dialog.close() }, "Close")),
    facts(event),
    values("Properties", event.properties),
    values("Person properties", { ...event.set_once, ...event.set }),
    values("Groups", event.groups),
    h("details", { "data-key": "payload" }, h("summary", {}, "Payload"), copyButton(payload),
      h("div", { class: "scroll", role: "region", "aria-label": "Payload", tabindex: 0 }, h("pre", {}, payload))));
  dialog.onclose = () => {
    replace(dialog);
    close();
  };
  if (!dialog.open) {
    if (NARROW.matches) dialog.showModal();
    else dialog.setAttribute("open", ""); // show() would take the focus from the list
  }
  if (enter || NARROW.matches) name.focus();
}

/** Close what is open. */
export function closeDetail() {
  document.getElementById("detail").close();
}

function facts(event) {
  const seconds = (new Date(event.received_at) - new Date(event.timestamp)) / 1000;
  const rows = [
    ["Person", h("a", { href: href("customers", event.person) }, event.person)],
    event.distinct_id !== event.person && ["Sent as", event.distinct_id],
    ["Happened", h("time", { datetime: event.timestamp }, `${day(event.timestamp)}, ${clock(event.timestamp)}`)],
    ["Received", `${duration(Math.abs(seconds))} ${seconds < 0 ? "before" : "later"}${event.resent ? `, and ${event.resent} more times` : ""}`],
    ["From", event.lib],
    event.trace_id && ["Trace", h("a", { href: href("stream", null, { q: event.trace_id }), title: event.trace_id }, short(event.trace_id, 16))],
    event.session_id && ["Session", h("a", { href: href("stream", null, { q: event.session_id }), title: event.session_id }, short(event.session_id, 18))],
    ["uuid", h("code", {}, event.uuid)],
    ["Project", event.project],
  ];
  return h("dl", { class: "facts" }, rows.filter(Boolean).map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value ?? "–"))));
}

function values(title, given) {
  const rows = Object.entries(given ?? {}).sort(([one], [other]) => one.startsWith("$") - other.startsWith("$") || one.localeCompare(other));
  return rows.length > 0 && h("section", {}, h("h3", {}, title), table(title, ["Name", "Value"], rows.map(([name, value]) => [name, text(value)])));
}
