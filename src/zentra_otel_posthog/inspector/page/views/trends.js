/** Trends: payments, their failures, who was active, and what was moved. */

import { ask } from "../api.js";
import { answered, bar, h, nothing, replace, section, table } from "../elements.js";
import { amount, day, minute, number, percent } from "../format.js";
import { choose, scope } from "../route.js";

const ENOUGH = 4; // buckets that make a trend; with fewer, "auto" takes a finer interval
const SERIES = [["payment.completed", "Completed"], ["payment.failed", "Failed"], ["payment.pending", "Pending"]];

export const trends = {
  title: "Trends",
  explains: "Payments and their failures over time, and who was active.",
  show(place, { choices }) {
    const interval = h("select", {}, ["auto", "minute", "hour", "day"].map((name) => h("option", { value: name }, name)));
    interval.value = choices.get("interval") ?? "auto";
    const found = h("div");
    replace(place, h("form", { class: "controls", "aria-label": "Trends", submit: (event) => event.preventDefault() },
      h("label", {}, h("span", {}, "Interval"), interval)), found);
    const refresh = answered(found, load, draw);
    interval.addEventListener("change", async () => {
      choose({ interval: interval.value });
      await refresh();
    });

    async function load() {
      const charts_width = Math.round(found.clientWidth);
      const tried = interval.value === "auto" ? ["day", "hour", "minute"] : [interval.value];
      let answer;
      for (const name of tried) {
        answer = { interval: name, ...await ask("/trends", { ...scope(), interval: name, charts_width }) };
        if (answer.buckets.length >= ENOUGH) break;
      }
      return answer;
    }
    return { refresh };
  },
};

function draw(answer) {
  const { buckets, series, failure_rate: rates } = answer;
  if (buckets.length === 0) return nothing("No payments in this time.");
  const total = (name) => series[name].reduce((sum, count) => sum + count, 0);
  const [completed, failed] = [total("payment.completed"), total("payment.failed")];
  const at = answer.interval === "day" ? day : minute;
  return [
    h("dl", { class: "tiles" }, [
      ["Completed", number(completed)],
      ["Failed", number(failed)],
      ["Failure rate", completed + failed ? percent(failed / (completed + failed)) : "–"],
      ...Object.entries(answer.volume).map(([currency, amounts]) => [`Volume ${currency}`, amount(amounts.reduce((sum, minor) => sum + minor, 0), currency)]),
    ].map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", { class: value.length > 10 ? "long" : null }, value)))),
    chart(answer, "payments", "Payments", `${number(completed)} completed and ${number(failed)} failed over ${buckets.length} buckets`, SERIES.slice(0, 2)),
    chart(answer, "failure_rate", "Failure rate", `at last ${percent(rates.findLast((rate) => rate !== null))}`),
    chart(answer, "active_users", "Active users", `at most ${number(Math.max(...series.active_users))} in a bucket`),
    h("details", { "data-key": "numbers" }, h("summary", {}, "The charts as a table"),
      table("Trends", ["From", ...SERIES.map(([, name]) => ({ name, number: true })), { name: "Failure rate", number: true }, { name: "Active users", number: true }],
        buckets.map((bucket, index) => [at(bucket), ...SERIES.map(([name]) => number(series[name][index])), percent(rates[index]), number(series.active_users[index])]).reverse())),
    h("div", { class: "pair" },
      section("Failure rate by method", table("Failure rate by method", ["Method", "Failure rate"],
        Object.entries(answer.failure_rate_by_method).sort(([, one], [, other]) => other - one).map(([method, rate]) => [method, h("span", { class: "with-bar" }, h("span", {}, percent(rate)), bar(rate, "failed"))]))),
      section("Why payments fail", table("Why payments fail", ["Reason", { name: "Payments", number: true }],
        answer.reasons.map(({ reason, count }) => [reason, number(count)])))),
  ];
}

function chart(answer, name, title, words, legend = []) {
  const drawn = answer.charts?.[name];
  if (!drawn) return null;
  const svg = document.importNode(new DOMParser().parseFromString(drawn, "image/svg+xml").documentElement, true);
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", `${title}: ${words}. The table below has the numbers.`);
  return h("figure", { class: `chart ${name}` },
    h("figcaption", {}, h("h2", {}, title),
      legend.length > 0 && h("p", { class: "legend" }, legend.map(([, word]) => h("span", { class: word.toLowerCase() }, word)))),
    svg);
}
