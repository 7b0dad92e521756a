"""What a Python application does with PostHog's own SDK: ``send.py HOST KEY PERSON``. Prints the flag's answer."""

import sys

from posthog import Posthog

host, key, person = sys.argv[1:]
stranger = f"{person}_before"
client = Posthog(key, host=host)
client.capture("plan.opened", distinct_id=stranger, properties={"plan": "gold"})
client.alias(stranger, person)
client.set(distinct_id=person, properties={"tier": "gold"})
client.group_identify("tenant", "acme", {"size": 3})
flags = client.evaluate_flags(person)
sys.stdout.write(f"{flags.get_flag('new-checkout')}\n")
client.capture("plan.chosen", distinct_id=person, properties={"plan": "gold"}, groups={"tenant": "acme"}, flags=flags)
client.shutdown()
