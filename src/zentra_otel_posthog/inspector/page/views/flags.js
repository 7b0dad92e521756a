/** Flags: what /flags/ answers, switched here for a test. */

import { ask, change } from "../api.js";
import { answered, h, nothing, replace } from "../elements.js";
import { minute, plural } from "../format.js";

export const flags = {
  title: "Flags",
  explains: "What this server answers whoever asks for flags. A switch counts from the next answer on.",
  unscoped: true,
  show(place) {
    const found = h("div");
    const failed = h("p", { class: "failed-words", role: "alert" });
    const key = h("input", { type: "text", required: true, autocomplete: "off", spellcheck: "false", placeholder: "new-checkout" });
    const refresh = answered(found, () => ask("/flags"), draw);
    replace(place,
      h("form", { class: "controls", "aria-label": "Add a flag", submit: (event) => {
        event.preventDefault();
        put(key.value.trim(), { enabled: true, variant: null });
        key.value = "";
      } }, h("label", {}, h("span", {}, "Flag"), key), h("button", {}, "Add")),
      failed, found);

    async function put(name, body) {
      await attempt(() => change("PUT", `/flags/${encodeURIComponent(name)}`, body));
    }

    async function attempt(act) {
      try {
        await act();
        failed.textContent = "";
        await refresh();
      } catch (error) {
        failed.textContent = `Not changed: ${error.message}`;
      }
    }

    function draw({ flags: all }) {
      if (all.length === 0) return nothing("Nobody has asked for a flag yet. Add one, or ask with any SDK.");
      return h("ul", { class: "flags-list" }, all.map((flag) => h("li", {},
        h("button", { type: "button", role: "switch", "aria-checked": String(flag.enabled), "aria-label": flag.key, "data-key": `switch ${flag.key}`,
          click: () => put(flag.key, { enabled: !flag.enabled, variant: flag.variant }) }, h("span", { "aria-hidden": "true" })),
        h("div", { class: "flag" }, h("strong", {}, flag.key),
          h("small", {}, flag.asked ? `asked ${plural(flag.asked, "time")}, last ${minute(flag.last_answer_at)}` : "not asked for yet")),
        h("label", {}, h("span", {}, "Variant"),
          h("input", { type: "text", value: flag.variant, placeholder: "none", "aria-label": `Variant of ${flag.key}`, "data-key": `variant ${flag.key}`, autocomplete: "off", spellcheck: "false",
            change: (event) => put(flag.key, { enabled: flag.enabled, variant: event.target.value.trim() || null }) })),
        h("button", { type: "button", class: "quiet", "aria-label": `Remove ${flag.key}`, "data-key": `remove ${flag.key}`,
          click: () => attempt(() => change("DELETE", `/flags/${encodeURIComponent(flag.key)}`)) }, "Remove"))));
    }
    return { refresh };
  },
};
