"""The settings' variables for ``opentelemetry-instrument``, which makes a flag of each name in here.

It takes names that begin with ``OTEL_`` only and drops ``OTEL_PYTHON_`` from the flag: ``--posthog_api_key`` sets
``OTEL_PYTHON_POSTHOG_API_KEY`` for the program that it starts, which wins over ``POSTHOG_API_KEY``.
"""

from zentra_otel_posthog import config

globals().update({name: name for name in config.flags()})
