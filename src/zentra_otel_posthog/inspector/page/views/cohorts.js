/** Cohorts: how many customers are in each, and who. */

import { ask } from "../api.js";
import { answered, bar, h, nothing } from "../elements.js";
import { number, plural } from "../format.js";
import { href, scope } from "../route.js";

export const cohorts = {
  title: "Cohorts",
  explains: "The product's cohorts, counted on the events here.",
  show: (place) => ({ refresh: answered(place, () => ask("/cohorts", scope()), draw) }),
};

function draw({ cohorts: all }) {
  if (all.length === 0) return nothing("No cohorts are defined.");
  const largest = Math.max(...all.map((cohort) => cohort.size));
  return h("ul", { class: "cohorts-list" }, all.map((cohort) => h("li", {},
    h("div", { class: "line" }, h("h2", {}, cohort.name), h("strong", {}, number(cohort.size))),
    bar(cohort.size / largest),
    h("p", {}, cohort.description),
    cohort.persons.length > 0 && h("details", { "data-key": `cohort ${cohort.name}` },
      h("summary", {}, cohort.persons.length < cohort.size ? `The first ${cohort.persons.length}` : plural(cohort.size, "person", "persons")),
      h("ul", { class: "people" }, cohort.persons.map((person) => h("li", {}, h("a", { href: href("customers", person), "data-key": `${cohort.name} ${person}` }, person))))))));
}
