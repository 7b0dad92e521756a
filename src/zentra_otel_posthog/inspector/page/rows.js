/** Events in a list, as the stream and a customer's timeline have them. */

import { h } from "./elements.js";
import { closeDetail, openDetail } from "./detail.js";
import { clock, day, moment, outcome, summary } from "./format.js";

/** The button of one event, with all of it in its name. */
export function eventButton(event, { who }) {
  return h("button", { type: "button", class: "event", "data-key": `event ${event.seq}`, "data-seq": event.seq, "data-outcome": outcome(event), tabindex: -1 },
    h("time", { datetime: event.timestamp, title: `${day(event.timestamp)}, ${clock(event.timestamp)}` }, who ? moment(event.timestamp) : clock(event.timestamp)), " ",
    h("span", { class: "name" }, h("span", { class: "mark", "aria-hidden": "true" }), event.event), " ",
    who && [h("span", { class: "who" }, event.person), " "],
    h("span", { class: "what" }, summary(event)), " ",
    h("span", { class: "lib" }, event.lib ?? ""),
    event.resent > 0 && h("span", { class: "resent" }, ` resent ${event.resent}×`));
}

/**
 * Make a list of event buttons one stop of Tab, walked with j and k or the arrows, whose events open beside it.
 *
 * @param {Element} list what holds the buttons.
 * @param {(seq: number) => object} eventOf finds a button's event.
 * @returns {{keys: Record<string, () => void>, settle: () => void}} keys for the view, and what to call after the list
 *   has changed.
 */
export function walked(list, eventOf) {
  let open = null;
  const buttons = () => [...list.querySelectorAll("button.event")];
  const current = () => list.querySelector("button.event[tabindex='0']");

  function select(button) {
    if (current()) current().tabIndex = -1;
    button.tabIndex = 0;
  }

  function show(button, enter) {
    open = Number(button.dataset.seq);
    mark();
    openDetail(eventOf(open), {
      enter,
      close() {
        open = null;
        mark();
        current()?.focus();
      },
    });
  }

  function mark() {
    for (const button of buttons()) {
      if (Number(button.dataset.seq) === open) button.setAttribute("aria-current", "true");
      else button.removeAttribute("aria-current");
    }
  }

  function step(by) {
    const all = buttons();
    const from = all.indexOf(current());
    const started = open !== null || list.contains(document.activeElement);
    const next = all[started ? Math.max(0, Math.min(all.length - 1, from + by)) : Math.max(0, from)];
    if (!next) return;
    select(next);
    next.focus();
    next.scrollIntoView({ block: "nearest" });
    if (open !== null) show(next, false);
  }

  list.addEventListener("click", (event) => {
    const button = event.target.closest("button.event");
    if (!button) return;
    select(button);
    show(button, event.detail === 0); // from the keyboard: on into the event
  });
  return {
    keys: { j: () => step(1), k: () => step(-1), ArrowDown: () => step(1), ArrowUp: () => step(-1), Escape: closeDetail },
    settle() {
      if (!current() && buttons()[0]) select(buttons()[0]);
      mark();
    },
  };
}
