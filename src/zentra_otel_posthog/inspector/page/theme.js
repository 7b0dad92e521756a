/** Light or dark: as the system has it, or as chosen here. */

const KEY = "inspector theme";
const NEXT = { system: "dark", dark: "light", light: "system" };

/** Let a button go round the themes. */
export function startTheme(button) {
  const use = (theme) => {
    if (theme === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    button.textContent = `Theme: ${theme}`;
    button.dataset.theme = theme;
  };
  const kept = localStorage.getItem(KEY);
  use(kept in NEXT ? kept : "system");
  button.addEventListener("click", () => {
    const theme = NEXT[button.dataset.theme];
    localStorage.setItem(KEY, theme);
    use(theme);
  });
}
