/** Delivery health: what arrived, how long it took, and what still waits in spools. */

import { ask, change } from "../api.js";
import { answered, h, nothing, replace, section, table } from "../elements.js";
import { duration, minute, number, size } from "../format.js";

export const health = {
  title: "Delivery",
  explains: "What arrived here, how long after it happened, and what still waits in spools.",
  unscoped: true,
  show(place) {
    const found = h("div");
    const sure = h("dialog", { "aria-labelledby": "sure" }, h("h2", { id: "sure" }, "Forget every event?"),
      h("p", {}, "What is stored here is deleted. Spools and flags stay."),
      h("form", { method: "dialog" }, h("button", { value: "clear", class: "danger" }, "Forget them"), h("button", { value: "" }, "Keep them")));
    const refresh = answered(found, () => ask("/health"), draw);
    sure.addEventListener("close", async () => {
      if (sure.returnValue !== "clear") return;
      await change("POST", "/clear");
      await refresh();
    });
    replace(place, found, sure, h("button", { type: "button", class: "danger", click: () => { sure.returnValue = ""; sure.showModal(); } }, "Forget every event"));
    return { refresh };
  },
};

function draw(answer) {
  const { latency } = answer;
  return [
    h("dl", { class: "tiles" }, [
      ["Received", number(answer.received)],
      ["Stored", number(answer.stored)],
      ["Came again", number(answer.resent)],
      ["Half within", duration(latency.median_seconds)],
      ["95 % within", duration(latency.p95_seconds)],
    ].map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value)))),
    section("Spools", answer.spools.length === 0 ? nothing("Nothing waits.")
      : table("Spools", ["Folder", "Tenant", { name: "Waiting", number: true }, { name: "Size", number: true }, "Since", "Held by", { name: "Dead letters", number: true }],
        answer.spools.map((spool) => [h("code", {}, spool.folder), spool.tenant ?? "", number(spool.events), size(spool.bytes), spool.oldest_at ? minute(spool.oldest_at) : "–", spool.held_by.map((pid) => `process ${pid}`).join(", ") || "nobody", number(spool.dead_letters)]))),
    section("Requests", answer.requests.length === 0 ? nothing("None yet.")
      : table("Requests", ["Path", { name: "Status", number: true }, { name: "Count", number: true }], answer.requests.map((row) => [row.path, row.status, number(row.count)]))),
  ];
}
