/** Elements and their replacement. Whatever an event holds becomes a text node, never markup. */

/**
 * Make an element.
 *
 * @param {string} name its tag.
 * @param {object} [given] attributes; a function is a listener, `variables` are CSS custom properties (a style attribute
 *   is what the content security policy refuses), null, undefined and false leave an attribute out.
 * @param {...any} children nodes, texts, or lists of them; null, undefined and false are left out.
 */
export function h(name, given = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(given ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") element.addEventListener(key, value);
    else if (key === "variables") for (const [property, of] of Object.entries(value)) element.style.setProperty(property, of);
    else element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Replace what is in a place; focus, writing, what was open or scrolled stay where their `data-key` is found again. */
export function replace(place, ...children) {
  const focused = place.contains(document.activeElement) ? document.activeElement : null;
  const open = new Map([...place.querySelectorAll("details[data-key]")].map((found) => [found.dataset.key, found.open]));
  const scrolled = new Map([...place.querySelectorAll(".scroll[data-key]")].map((found) => [found.dataset.key, found.scrollTop]));
  place.replaceChildren(...children.flat(Infinity).filter(Boolean));
  for (const found of place.querySelectorAll("details[data-key]")) found.open = open.get(found.dataset.key) ?? found.open;
  for (const found of place.querySelectorAll(".scroll[data-key]")) found.scrollTop = scrolled.get(found.dataset.key) ?? 0;
  if (focused?.dataset.key === undefined || focused.isConnected) return;
  const again = place.querySelector(`[data-key="${CSS.escape(focused.dataset.key)}"]`);
  if (again?.tagName === "INPUT") again.value = focused.value;
  again?.focus({ preventScroll: true });
}

/**
 * Keep a place as the server last answered it.
 *
 * @param {Element} place what is replaced.
 * @param {() => Promise<object>} load asks the server.
 * @param {(answer: object) => any} draw makes the nodes of an answer.
 * @param {() => void} [settle] is called when they are in place.
 * @returns {() => Promise<void>} what asks again, and draws where the answer has changed.
 */
export function answered(place, load, draw, settle) {
  let drawn;
  let asked = 0;
  let latest = 0;
  return async () => {
    const turn = ++asked;
    const answer = await load();
    const text = JSON.stringify(answer);
    if (turn < latest) return; // overtaken
    latest = turn;
    if (text !== drawn) {
      drawn = text;
      replace(place, draw(answer));
      settle?.();
    }
  };
}

/**
 * Make a table in a box of its own scrolling.
 *
 * @param {string} name what the table is, for those who do not see it.
 * @param {Array<string | {name: string, number?: boolean, short?: boolean}>} columns its head; what is short stays on a
 *   line.
 * @param {Array<Array<any>>} rows cells; the first of a row is its header.
 */
export function table(name, columns, rows) {
  const heads = columns.map((column) => (typeof column === "string" ? { name: column } : column));
  const align = (at) => (heads[at].number ? "number" : heads[at].short && "short");
  return h("div", { class: "scroll", role: "region", "aria-label": name, tabindex: 0, "data-key": `table ${name}` },
    h("table", {},
      h("thead", {}, h("tr", {}, heads.map((head, at) => h("th", { scope: "col", class: align(at) }, head.name)))),
      h("tbody", {}, rows.map((cells) =>
        h("tr", {}, cells.map((cell, at) => h(at ? "td" : "th", { scope: at ? null : "row", class: align(at) }, cell)))))));
}

/** Make a bar that is a share of its cell, beside whose number it stands. */
export function bar(share, kind = "") {
  return h("span", { class: `bar ${kind}`, "aria-hidden": "true", variables: { "--share": String(Math.max(0, Math.min(1, share || 0))) } });
}

/** Make what a view says where there is nothing to show. */
export function nothing(...words) {
  return h("p", { class: "nothing" }, words);
}

/** Make a section under a heading. */
export function section(title, ...children) {
  return h("section", {}, h("h2", {}, title), children);
}

/** Make a button that puts a text on the clipboard. */
export function copyButton(text) {
  const button = h("button", { type: "button", click: async () => {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
  } }, "Copy");
  return button;
}
