/** The funnel: of those who took the first step, how many took the next. */

import { ask } from "../api.js";
import { answered, bar, h, nothing, replace, section, table } from "../elements.js";
import { duration, number, percent, plural } from "../format.js";
import { choose, scope } from "../route.js";

const STEPS = ["payment.pending", "payment.completed"];
const MOST = 6;
const BREAKDOWNS = ["method", "currency", "platform", "user_tier", "channel", "tier", "reason"];

export const funnel = {
  title: "Funnel",
  explains: "Persons who took the steps in this order, within the window.",
  show(place, { choices }) {
    let steps = choices.get("steps")?.split(",") ?? STEPS;
    const chain = h("div", { class: "steps" });
    const breakdown = h("input", { type: "text", list: "breakdowns", value: choices.get("breakdown") ?? "method", autocomplete: "off", spellcheck: "false" });
    const days = h("input", { type: "number", min: 1, max: 365, value: choices.get("days") ?? 14, required: true });
    const found = h("div");
    let names = [];
    replace(place,
      h("form", { class: "controls", "aria-label": "Funnel", submit: (event) => event.preventDefault() }, chain,
        h("label", {}, h("span", {}, "Broken down by"), breakdown),
        h("datalist", { id: "breakdowns" }, BREAKDOWNS.map((name) => h("option", { value: name }))),
        h("label", {}, h("span", {}, "Days"), days)),
      found);
    const refresh = answered(found, () => ask("/funnel", { ...scope(), steps: steps.join(","), breakdown: breakdown.value.trim(), window_days: days.value }),
      (answer) => draw(answer, breakdown.value.trim()));
    for (const control of [breakdown, days]) control.addEventListener("change", changed);
    drawSteps();

    async function changed() {
      if (!days.checkValidity()) return;
      choose({ steps: steps.join(","), breakdown: breakdown.value.trim(), days: days.value });
      await refresh();
    }

    function drawSteps() {
      const offered = [...new Set([...names, ...steps])].sort();
      replace(chain,
        steps.map((step, at) => h("label", {}, h("span", {}, `Step ${at + 1}`),
          h("select", { "data-key": `step ${at}`, change: (event) => {
            steps = event.target.value ? steps.with(at, event.target.value) : steps.toSpliced(at, 1);
            drawSteps();
            changed();
          } }, steps.length > 2 && h("option", { value: "" }, "remove"), offered.map((name) => h("option", { value: name, selected: name === step }, name))))),
        steps.length < MOST && h("button", { type: "button", "data-key": "add", click: () => {
          steps = [...steps, offered.find((name) => !steps.includes(name)) ?? steps[0]];
          drawSteps();
          changed();
        } }, "Add step"));
    }

    return {
      async refresh() {
        const { names: fresh } = await ask("/events", { limit: 1 });
        const known = fresh.map(({ event }) => event);
        if (known.join() !== names.join()) {
          names = known;
          drawSteps();
        }
        await refresh();
      },
    };
  },
};

function draw({ steps, rows }, by) {
  const [all, ...parts] = rows;
  if (!all || all.counts[0] === 0) return nothing("Nobody has taken the first step in this time.");
  return [
    section("All together",
      h("ol", { class: "funnel-steps" }, steps.map((step, at) => h("li", {},
        h("span", { class: "name" }, step),
        bar(all.counts[at] / all.counts[0]),
        h("span", { class: "count" }, h("strong", {}, number(all.counts[at])), ` ${all.counts[at] === 1 ? "person" : "persons"}, ${percent(all.counts[at] / all.counts[0])}`),
        at > 0 && h("span", { class: "lost" }, `${number(all.counts[at - 1] - all.counts[at])} went no further`)))),
      h("p", {}, `${percent(all.conversion)} of ${plural(all.counts[0], "person", "persons")} went all the way; half of them within ${duration(all.median_seconds)}.`)),
    parts.length > 0 && section(`By ${by}`,
      table(`Funnel by ${by}`, [by, ...steps.map((step) => ({ name: step, number: true })), "Conversion", { name: "Median time", number: true }],
        parts.map((row) => [row.breakdown ?? "none", ...row.counts.map(number),
          h("span", { class: "with-bar" }, h("span", {}, percent(row.conversion)), bar(row.conversion)), duration(row.median_seconds)]))),
  ];
}
