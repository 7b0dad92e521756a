/** Times, numbers and events in words. */

const NUMBER = new Intl.NumberFormat();
const PERCENT = new Intl.NumberFormat(undefined, { style: "percent", maximumFractionDigits: 1 });
const CLOCK = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3, hourCycle: "h23" });
const DAY = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", year: "numeric" });
const MINUTE = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", hourCycle: "h23" });

const PLAIN = new Set(["method", "reason", "channel", "tier", "destination", "platform"]); // values that speak for themselves

export const number = (value) => NUMBER.format(value);
export const percent = (share) => (share === null || share === undefined ? "–" : PERCENT.format(share));
export const clock = (at) => CLOCK.format(new Date(at));
export const day = (at) => DAY.format(new Date(at));
export const minute = (at) => MINUTE.format(new Date(at));
export const moment = (at) => (day(at) === day(Date.now()) ? clock(at) : minute(at));
export const plural = (count, one, many = `${one}s`) => `${number(count)} ${count === 1 ? one : many}`;

/** A duration of so many seconds. */
export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  for (const [unit, of] of [["s", 1], ["min", 60], ["h", 3600]]) {
    if (seconds < of * (unit === "h" ? 48 : 60)) return `${NUMBER.format(Number((seconds / of).toPrecision(seconds / of < 10 ? 2 : 3)))} ${unit}`;
  }
  return plural(Math.round(seconds / 86400), "day");
}

export function size(bytes) {
  for (const [unit, of] of [["B", 1], ["KiB", 1024], ["MiB", 1024 ** 2]]) {
    if (bytes < of * 1024) return `${NUMBER.format(Number((bytes / of).toPrecision(3)))} ${unit}`;
  }
  return `${NUMBER.format(Number((bytes / 1024 ** 3).toPrecision(3)))} GiB`;
}

/** An amount in a currency's minor units, as a number of its major ones; one of no known currency stays as it is. */
export function amount(minor, currency) {
  try {
    const digits = new Intl.NumberFormat(undefined, { style: "currency", currency }).resolvedOptions().maximumFractionDigits;
    return (minor / 10 ** digits).toLocaleString(undefined, { minimumFractionDigits: digits, maximumFractionDigits: digits });
  } catch {
    return number(minor);
  }
}

/** What a property's value says, on one line. */
export function text(value) {
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** An event's own properties in a line: the amount first, what every event may carry last, PostHog's not at all. */
export function summary(event) {
  const { amount_minor: minor, currency, platform, user_tier, ...rest } = event.properties ?? {};
  const words = [...Object.entries(rest), ["platform", platform], ["user_tier", user_tier]]
    .filter(([key, value]) => value !== undefined && !key.startsWith("$"))
    .map(([key, value]) => (PLAIN.has(key) ? text(value) : `${key} ${text(value)}`));
  if (typeof minor === "number") words.unshift(`${currency ?? ""} ${amount(minor, currency)}`.trim());
  else if (rest.$current_url) words.unshift(text(rest.$current_url));
  return words.slice(0, 5).join(" · ");
}

/** How an event went, by its name: completed, pending, failed, or other. */
export function outcome(event) {
  return /\.(completed|pending|failed)$/.exec(event.event)?.[1] ?? "other";
}

/** Whether a browser or a phone sent an event, rather than a server. */
export function fromBrowser(event) {
  return /^(web|js|posthog-js|posthog-(ios|android|flutter|react-native))/.test(event.lib ?? "");
}

/** The beginning of an id, enough to tell two apart. */
export function short(id, length = 8) {
  return id.length > length + 2 ? `${id.slice(0, length)}…` : id;
}
