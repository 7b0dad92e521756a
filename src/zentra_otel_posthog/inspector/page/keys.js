/** The keyboard. Keys without a modifier can be switched off, for those who dictate. */

const KEY = "inspector keys";

/**
 * Listen to keys.
 *
 * @param {{views: string[], shown: () => {keys?: Record<string, () => void>}}} page the views in the order of their
 *   digits, and the view on the page with the keys that it has itself.
 */
export function startKeys({ views, shown }) {
  const dialog = document.getElementById("shortcuts");
  const single = document.getElementById("single-keys");
  single.checked = localStorage.getItem(KEY) !== "off";
  single.addEventListener("change", () => localStorage.setItem(KEY, single.checked ? "on" : "off"));
  document.getElementById("keys").addEventListener("click", () => dialog.showModal());

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    const writing = event.target.closest("input:not([type=checkbox]), select, textarea");
    const act = event.key === "Escape"
      ? () => (writing ? writing.blur() : shown().keys?.Escape?.())
      : !writing && single.checked && !document.querySelector("dialog:modal") && keysOf(event.key);
    if (!act) return;
    if (event.key !== "Escape") event.preventDefault();
    act();
  });

  function keysOf(key) {
    if (/^[1-9]$/.test(key) && views[key - 1]) {
      return () => document.querySelector(`#views a[data-view=${views[key - 1]}]`).click();
    }
    if (key === "?") return () => dialog.showModal();
    if (key === "/") {
      const filter = document.querySelector("#content input[type=search]");
      return filter && (() => { filter.focus(); filter.select(); });
    }
    return shown().keys?.[key];
  }
}
