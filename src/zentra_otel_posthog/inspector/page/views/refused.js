/** Refused: what the sanitizer kept back and why, what was lost, and what this server did not take. */

import { ask } from "../api.js";
import { answered, h, nothing, section, table } from "../elements.js";
import { minute, number } from "../format.js";

const COUNT = { name: "Count", number: true };

export const refused = {
  title: "Refused",
  explains: "What did not leave applications, by the spools of the settings that the inspector runs with, and what this server did not take. Names and counts, never a value.",
  unscoped: true,
  show: (place) => ({ refresh: answered(place, () => ask("/refused"), draw) }),
};

function draw(answer) {
  return [
    part("Kept back by the sanitizer", answer.refused, ["Event", "Property", "Rule", COUNT], (row) => [row.event, row.property, row.rule, number(row.count)], "Nothing, as far as the spools here say."),
    part("Left without being declared", answer.undeclared, ["Event", "Property", COUNT], (row) => [row.event, row.property, number(row.count)], "Nothing, as far as the spools here say."),
    part("Lost", answer.lost, ["Reason", COUNT], (row) => [row.reason, number(row.count)], "Nothing, as far as the spools here say."),
    part("Refused by this server", answer.requests, ["When", "Path", { name: "Status", number: true }, "Reason"], (row) => [minute(row.at), row.path, row.status, row.reason], "Every request was taken."),
  ];
}

function part(title, rows, columns, cells, none) {
  return section(title, rows.length > 0 ? table(title, columns, rows.map(cells)) : nothing(none));
}
