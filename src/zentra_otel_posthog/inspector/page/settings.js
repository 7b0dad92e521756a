/** What to set, for whoever has sent nothing yet. */

import { copyButton, h } from "./elements.js";

export function settings() {
  const lines = `POSTHOG_HOST=${location.origin}\nPOSTHOG_API_KEY=phc_local`;
  return h("section", { class: "empty" },
    h("h2", {}, "No events yet"),
    h("p", {}, "Point an application, an official SDK or posthog-js here with two lines, and use it:"),
    h("div", { class: "lines" }, h("pre", {}, lines), copyButton(lines)),
    h("p", {}, "Or see a small bank and its customers: ", h("code", {}, "zentra-otel-posthog demo --inspect"), "."));
}
