/** Retention: of those who began in a period, how many came back in each period after. */

import { ask } from "../api.js";
import { answered, h, nothing, replace, table } from "../elements.js";
import { day, number, percent } from "../format.js";
import { choose, scope } from "../route.js";

export const retention = {
  title: "Retention",
  explains: "Of those who did the first thing in a period, the share that did the other in that period and in each one after.",
  show(place, { choices }) {
    const controls = {
      first: h("select"),
      returning: h("select"),
      period: h("select", {}, ["day", "week", "month"].map((name) => h("option", { value: name }, name))),
      periods: h("input", { type: "number", min: 2, max: 26, required: true }),
    };
    const chosen = { first: "user.signed_up", returning: "payment.completed", period: "week", periods: "8", ...Object.fromEntries(choices) };
    const found = h("div");
    let names = "";
    replace(place, h("form", { class: "controls", "aria-label": "Retention", submit: (event) => event.preventDefault() },
      h("label", {}, h("span", {}, "First"), controls.first),
      h("label", {}, h("span", {}, "Returning"), controls.returning),
      h("label", {}, h("span", {}, "Period"), controls.period),
      h("label", {}, h("span", {}, "Periods"), controls.periods)), found);
    const refresh = answered(found, () => ask("/retention", { ...scope(), first: chosen.first, returning: chosen.returning, period: chosen.period, periods: chosen.periods }),
      (answer) => draw(answer, chosen.period));
    offer([]);
    for (const [name, control] of Object.entries(controls)) {
      control.value = chosen[name];
      control.addEventListener("change", async () => {
        if (!control.checkValidity()) return;
        chosen[name] = control.value;
        choose({ [name]: control.value });
        await refresh();
      });
    }

    function offer(known) {
      for (const name of ["first", "returning"]) {
        const all = [...new Set([...known, chosen.first, chosen.returning])].sort();
        replace(controls[name], all.map((event) => h("option", { value: event }, event)));
        controls[name].value = chosen[name];
      }
    }

    return {
      async refresh() {
        const known = (await ask("/events", { limit: 1 })).names.map(({ event }) => event);
        if (known.join() !== names) {
          names = known.join();
          offer(known);
        }
        await refresh();
      },
    };
  },
};

function draw({ rows }, period) {
  if (rows.every((row) => row.size === 0)) return nothing("Nobody has done the first thing in this time.");
  const columns = Math.max(...rows.map((row) => row.returned.length));
  const name = `${period[0].toUpperCase()}${period.slice(1)}`;
  const heads = Array.from({ length: columns }, (_, at) => ({ name: `${name} ${at}`, number: true }));
  return h("div", { class: "heat" }, table("Retention", [`${name} of`, { name: "Persons", number: true }, ...heads], rows.map((row) => [
    day(row.start), number(row.size),
    ...Array.from({ length: columns }, (_, at) => (at < row.returned.length ? cell(row.returned[at], row.size) : "")),
  ])));
}

function cell(count, size) {
  if (size === 0) return h("span", { class: "cell" }, "–");
  return h("span", { class: "cell", variables: { "--share": String(count / size) } }, h("strong", {}, percent(count / size)), " ", h("small", {}, number(count)));
}
