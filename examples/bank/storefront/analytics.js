// All that this page tells PostHog passes through here: page views, who the customer is by the bank's own id, and that
// somebody begins to pay. Nothing that is typed into a form does.

const DIST = "/storefront/node_modules/posthog-js/dist";

let posthog = null;

// Resolves when PostHog is there, or is known not to come: to a sentence that says why, or null.
export const ready = load().catch(() => "PostHog hears nothing of this page: posthog-js could not be loaded.");

async function load() {
  const answer = await fetch("/storefront/settings");
  const { key, host, missing } = await answer.json();
  if (missing) return missing;
  // Before the library itself, which would load it from PostHog's host. The build "no-external" loads nothing.
  await import(`${DIST}/tracing-headers.js`);
  ({ default: posthog } = await import(`${DIST}/module.no-external.js`));
  posthog.init(key, {
    api_host: host,
    // The bank's events then carry this browser's session.
    tracing_headers: [location.hostname],
    person_profiles: "identified_only",
    persistence: "localStorage",
    capture_pageview: true,
    capture_pageleave: true,
    // What would read the page: clicks with their elements' text, replays, inputs, errors.
    autocapture: false,
    rageclick: false,
    capture_dead_clicks: false,
    capture_heatmaps: false,
    capture_exceptions: false,
    capture_performance: false,
    disable_session_recording: true,
    disable_surveys: true,
    // A demo: whoever opens it wants to see it counted, a driven browser too.
    opt_out_useragent_filter: true,
  });
  return null;
}

// From here on the visitor is this customer; what the visitor did before becomes the customer's.
export function identify(customerId) {
  posthog?.identify(customerId);
}

// Nobody in particular again, for whoever uses this browser next.
export function forget() {
  posthog?.reset();
}

// Not at the click: what happens milliseconds before the bank's own events is theirs to tell. A browser's events are
// moved by how long they took to arrive, which may be more.
export function checkoutStarted(method) {
  posthog?.capture("checkout.started", { method, currency: "NGN" });
}
