"""A small bank that annotates its service functions once and emits twice: spans for tracing, events for PostHog."""
