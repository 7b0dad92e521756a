/** The stream: every event as it arrives, newest first. */

import { ask } from "../api.js";
import { h, nothing, replace } from "../elements.js";
import { number, plural } from "../format.js";
import { choose, scope } from "../route.js";
import { eventButton, walked } from "../rows.js";
import { settings } from "../settings.js";

const PAGE = 100; // events at a time
const TYPING = 150; // milliseconds after the last key before the filter is asked for

export const stream = {
  title: "Stream",
  explains: "Every event as it arrives, newest first.",
  show(place, { choices }) {
    const list = h("ol", { class: "events", "aria-label": "Events, newest first" });
    const rest = h("div", { class: "rest" });
    const pause = h("button", { type: "button", "aria-pressed": "false", click: toggle }, "Pause");
    const filters = {
      q: h("input", { type: "search", placeholder: "any text", autocomplete: "off", spellcheck: "false", value: choices.get("q") }),
      event: h("select"),
      distinct_id: h("input", { type: "text", placeholder: "distinct id", autocomplete: "off", spellcheck: "false", value: choices.get("distinct_id") }),
      lib: h("select"),
    };
    let events = [];
    let kept = PAGE; // how many stay on the page
    let bottom = false; // whether the oldest is on the page
    let paused = false;
    let waiting = 0;
    let typing;
    let asked = 0;
    const rows = walked(list, (seq) => events.find((event) => event.seq === seq));

    options(filters.event, [], choices.get("event"));
    options(filters.lib, [], choices.get("lib"));
    replace(place,
      h("form", { class: "controls", role: "search", "aria-label": "Filter", submit: (event) => event.preventDefault() },
        h("label", {}, h("span", {}, "Text"), filters.q),
        h("label", {}, h("span", {}, "Event"), filters.event),
        h("label", {}, h("span", {}, "Customer"), filters.distinct_id),
        h("label", {}, h("span", {}, "Library"), filters.lib),
        pause),
      h("div", { class: "list" }, list), rest);
    for (const control of Object.values(filters)) {
      control.addEventListener("input", () => {
        clearTimeout(typing);
        typing = setTimeout(filter, control.tagName === "SELECT" ? 0 : TYPING);
      });
    }

    const chosen = () => Object.fromEntries(Object.entries(filters).map(([name, control]) => [name, control.value.trim()]));
    const page = (parameters) => ask("/events", { ...scope(), ...chosen(), limit: PAGE, ...parameters });

    async function filter() {
      if (!place.isConnected) return; // gone to another view within the pause
      choose(chosen());
      await load(true);
    }

    /** Ask for what is new. The newest that is known is asked for again: without it the server has begun anew. */
    async function load(whole) {
      const turn = ++asked;
      const newest = whole ? undefined : events[0];
      const fresh = await page(newest ? { after: newest.seq - 1 } : {});
      if (turn !== asked) return;
      if (!newest || fresh.events.length === PAGE) {
        events = fresh.events;
        bottom = events.length < PAGE;
        kept = PAGE;
        replace(list, events.map((event) => row(event)));
      } else if (fresh.events.at(-1)?.uuid === newest.uuid) {
        const added = fresh.events.slice(0, -1);
        bottom &&= events.length + added.length <= kept;
        events = [...added, ...events].slice(0, kept);
        list.prepend(...added.map((event) => row(event, true)));
        while (list.children.length > events.length) list.lastChild.remove();
      } else {
        await load(true);
        return;
      }
      options(filters.event, fresh.names.map(({ event, count }) => [event, `${event} (${number(count)})`]), filters.event.value);
      options(filters.lib, fresh.libs.filter(Boolean).map((lib) => [lib, lib]), filters.lib.value);
      rows.settle();
      below(fresh.names.length === 0);
    }

    async function older() {
      const before = await page({ before: events.at(-1).seq });
      events.push(...before.events);
      bottom = before.events.length < PAGE;
      kept = Math.max(kept, events.length);
      list.append(...before.events.map((event) => row(event)));
      below(false);
    }

    function below(empty) {
      if (empty) replace(rest, settings());
      else if (events.length === 0) replace(rest, nothing("No event passes this filter."));
      else if (bottom) replace(rest, nothing(`${plural(events.length, "event")}.`));
      else replace(rest, h("button", { type: "button", "data-key": "older", click: older }, `${PAGE} older`));
    }

    function toggle() {
      paused = !paused;
      waiting = 0;
      pause.setAttribute("aria-pressed", String(paused));
      replace(pause, paused ? "Paused" : "Pause");
      if (!paused) load(false);
    }

    return {
      every: 150,
      keys: { ...rows.keys, p: toggle },
      arrived(count) {
        waiting += count;
        if (paused) replace(pause, `Paused, ${number(waiting)} new`);
      },
      refresh: async () => {
        if (!paused) await load(false);
      },
    };
  },
};

function row(event, fresh = false) {
  return h("li", { class: fresh && "fresh" }, eventButton(event, { who: true }));
}

/** Offer values with their words; what is chosen stays, offered or not. */
function options(select, pairs, value) {
  const text = JSON.stringify(pairs);
  if (select.dataset.drawn === text) return; // an open list would close
  select.dataset.drawn = text;
  const known = !value || pairs.some(([name]) => name === value);
  replace(select, h("option", { value: "" }, "all"), !known && h("option", { value }, value), pairs.map(([name, words]) => h("option", { value: name }, words)));
  select.value = value ?? "";
}
