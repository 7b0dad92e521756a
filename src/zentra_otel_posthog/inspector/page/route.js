/** Where the page is: view, subject and choices, all in the address, so that a reload or a link shows the same. */

const SCOPE = ["range", "project"]; // what every view keeps
const SECONDS = { "15m": 900, "1h": 3600, "24h": 86400, "7d": 604800, "30d": 2592000 };

export const RANGES = [["", "All"], ["15m", "Last 15 minutes"], ["1h", "Last hour"], ["24h", "Last 24 hours"], ["7d", "Last 7 days"], ["30d", "Last 30 days"]];

/** Read the address. */
export function here() {
  const [path, query] = location.hash.replace(/^#\/?/, "").split("?");
  const [view, subject] = path.split("/");
  return { view, subject: subject ? decodeURIComponent(subject) : null, choices: new URLSearchParams(query) };
}

/** Make the address of a view, of a subject in it, with choices beside those that every view keeps. */
export function href(view, subject = null, choices = {}) {
  const kept = Object.fromEntries([...here().choices].filter(([name]) => SCOPE.includes(name)));
  return write(view, subject, { ...kept, ...choices });
}

/** Change choices of the view in place: no new entry in the history. */
export function choose(changes) {
  const { view, subject, choices } = here();
  history.replaceState(null, "", write(view, subject, { ...Object.fromEntries(choices), ...changes }));
}

/** The API's parameters for what every view keeps. */
export function scope() {
  const { choices } = here();
  const seconds = SECONDS[choices.get("range")];
  return { project: choices.get("project"), from: seconds && new Date(Date.now() - seconds * 1000).toISOString() };
}

function write(view, subject, choices) {
  const query = new URLSearchParams(Object.entries(choices).filter(([, value]) => value)).toString();
  return `#/${view}${subject === null ? "" : `/${encodeURIComponent(subject)}`}${query && `?${query}`}`;
}
