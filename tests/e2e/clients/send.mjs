// What a Node application does with PostHog's own SDK: send.mjs HOST KEY PERSON. Prints the flag's answer.
import { PostHog } from "posthog-node";

const [host, key, person] = process.argv.slice(2);
const stranger = `${person}_before`;
const client = new PostHog(key, { host });
client.capture({ distinctId: stranger, event: "plan.opened", properties: { plan: "gold" } });
client.alias({ distinctId: stranger, alias: person });
client.identify({ distinctId: person, properties: { tier: "gold" } });
client.groupIdentify({ groupType: "tenant", groupKey: "acme", properties: { size: 3 } });
const flags = await client.evaluateFlags(person);
console.log(flags.getFlag("new-checkout"));
client.capture({ distinctId: person, event: "plan.chosen", properties: { plan: "gold" }, groups: { tenant: "acme" }, flags });
await client.shutdown();
