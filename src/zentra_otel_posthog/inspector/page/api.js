/** The inspector's API, and the stream that says when there is something new. */

const ROOT = "/inspector/api";
const PATIENCE = 15_000; // milliseconds for an answer, of a server that may have been stopped
const RETRY = 2000; // milliseconds between two tries to reach a server that is gone

/** The server cannot be reached. */
export class Unreachable extends Error {}

/**
 * Ask for a path under the API.
 *
 * @param {string} path after the root.
 * @param {object} [parameters] of the query; empty ones are left out.
 */
export async function ask(path, parameters = {}) {
  const given = Object.entries(parameters).filter(([, value]) => value !== null && value !== undefined && value !== "");
  const query = new URLSearchParams(given).toString();
  return answer(await reach(`${ROOT}${path}${query && `?${query}`}`));
}

/** Change something; the header is what no page of another origin can send. */
export async function change(method, path, body) {
  const headers = { "X-Inspector": "1", ...(body && { "Content-Type": "application/json" }) };
  return answer(await reach(`${ROOT}${path}`, { method, headers, body: body && JSON.stringify(body) }));
}

async function reach(url, options) {
  try {
    return await fetch(url, { ...options, signal: AbortSignal.timeout(PATIENCE) });
  } catch {
    throw new Unreachable("the inspector does not answer");
  }
}

async function answer(response) {
  const body = await response.text();
  const parsed = response.headers.get("content-type")?.includes("json") && body ? JSON.parse(body) : null;
  if (!response.ok) throw new Error(parsed?.error ?? parsed?.detail ?? `the inspector answered ${response.status}`);
  return parsed;
}

/**
 * Listen to the stream for as long as the page is looked at.
 *
 * A hidden page lets go of it: a browser gives one host six connections, over all its tabs.
 *
 * @param {{arrived: (said: object) => void, flags: () => void, up: () => void, down: () => void}} listener
 */
export function listen(listener) {
  let source;
  let timer;
  const open = () => {
    clearTimeout(timer);
    source?.close();
    source = new EventSource(`${ROOT}/stream`);
    source.addEventListener("open", listener.up);
    source.addEventListener("arrived", (event) => listener.arrived(JSON.parse(event.data)));
    source.addEventListener("flags", listener.flags);
    source.addEventListener("error", () => {
      source.close();
      listener.down();
      timer = setTimeout(open, RETRY);
    });
  };
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) return open();
    clearTimeout(timer);
    source?.close();
  });
  addEventListener("pagehide", () => source?.close());
  open();
}
