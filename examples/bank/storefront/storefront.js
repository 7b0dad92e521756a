// The storefront: forms in, the bank's API, what it answers on the screen.

import * as analytics from "./analytics.js";

const CUSTOMER = "customer_id"; // in this tab's storage; it stands for a session cookie
const POLL = 1000; // milliseconds, while the bank rail has a payment
const NAIRA = new Intl.NumberFormat("en-NG", { style: "currency", currency: "NGN" });

const REASONS = {
  account_closed: "the account is closed",
  already_registered: "this e-mail address or phone number is registered already",
  bvn_malformed: "a BVN has 11 digits",
  do_not_honour: "the card's bank says no",
  expired_card: "the card has expired",
  insufficient_funds: "the balance is too low",
  invalid_card: "the card number is wrong",
  issuer_unavailable: "the card's bank does not answer",
  name_mismatch: "name and BVN do not belong together",
  rail_timeout: "the bank rail does not answer; nothing was taken",
  suspected_fraud: "the card's bank suspects a fraud",
  tier_limit_exceeded: "it is more than your tier allows",
  unknown_customer: "nobody has an account by this e-mail address",
  wallet_frozen: "the wallet is frozen",
  wrong_credential: "the password is wrong",
};
const SOURCES = { card: "Card number", bank: "Account number", wallet: "Wallet's phone number" };
const STATES = { pending: "Pending", completed: "Completed", failed: "Failed" };

const find = (id) => document.getElementById(id);
const naira = (minor) => NAIRA.format(minor / 100);
const because = (code) => REASONS[code] ?? (code ?? "no reason was given").replaceAll("_", " ");

let account = null; // as the bank last told it
let poll = null;
let begun = false; // to fill in the pay form

class Refused extends Error {}

async function ask(path, body) {
  await analytics.ready; // without it the first requests would carry no session
  const headers = { "Content-Type": "application/json", "X-Platform": "web" };
  const customer = sessionStorage.getItem(CUSTOMER);
  if (customer) headers["X-Customer-Id"] = customer;
  const options = body === undefined ? { headers } : { method: "POST", headers, body: JSON.stringify(body) };
  let answer;
  try {
    answer = await fetch(path, options);
  } catch {
    throw new Refused("The bank does not answer. Try again in a moment.");
  }
  if (answer.status === 204) return null;
  const said = await answer.json().catch(() => ({}));
  if (answer.ok) return said;
  throw new Refused(said.code ? `Not done: ${because(said.code)}.` : "Not done: the bank did not understand that.");
}

function say(text, tone = "") {
  find("said").textContent = text;
  find("said").dataset.tone = tone;
}

// Runs what a button stands for, once at a time. The button keeps the focus, so it is not disabled for real.
async function busy(button, label, work) {
  if (button.getAttribute("aria-disabled") === "true") return;
  const idle = button.textContent;
  button.textContent = label;
  button.setAttribute("aria-disabled", "true");
  try {
    await work();
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    say(error.message, "failed");
  } finally {
    button.textContent = idle;
    button.removeAttribute("aria-disabled");
    showAmount();
  }
}

function onSubmit(id, label, work) {
  const form = find(id);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    void busy(form.querySelector("[type=submit]"), label, () => work(form, Object.fromEntries(new FormData(form))));
  });
}

function onClick(id, label, work) {
  find(id).addEventListener("click", (event) => void busy(event.currentTarget, label, work));
}

async function enter(customerId, greeting) {
  sessionStorage.setItem(CUSTOMER, customerId);
  analytics.identify(customerId);
  await refresh();
  show();
  greet(greeting, "completed");
}

function show() {
  const known = account !== null;
  find("visitor").hidden = known;
  find("customer").hidden = find("log-out").hidden = !known;
}

// Says it and goes to the title of what is shown now: what had the focus is hidden.
function greet(text, tone) {
  document.querySelector("main > :not([hidden]) h1").focus();
  say(text, tone);
}

async function refresh() {
  const customer = sessionStorage.getItem(CUSTOMER);
  const answer = await ask("/account");
  if (sessionStorage.getItem(CUSTOMER) !== customer) return; // who asked has left
  account = answer;
  find("balance").textContent = naira(account.balance_minor);
  find("tier").textContent = account.tier.replace("tier_", "");
  find("limit").textContent = naira(account.payment_limit_minor);
  find("verification").hidden = account.tier !== "tier_1";
  find("no-payments").hidden = account.payments.length > 0;
  find("payments").replaceChildren(...account.payments.map(line));
  clearTimeout(poll);
  if (account.payments.some((payment) => payment.status === "pending")) poll = setTimeout(settled, POLL);
}

// Looks what became of the payments that the rail had.
async function settled() {
  const waiting = new Set(account.payments.filter((one) => one.status === "pending").map((one) => one.payment_id));
  try {
    await refresh();
  } catch {
    if (account) poll = setTimeout(settled, POLL);
  }
  const done = account?.payments.find((one) => waiting.has(one.payment_id) && one.status !== "pending");
  if (done) sayPayment(done);
}

function line(payment) {
  const item = document.createElement("li");
  const parts = [
    ["what", `${naira(payment.amount_minor)} by ${payment.method}`],
    [`state ${payment.status}`, STATES[payment.status]],
  ];
  if (payment.status === "failed") parts.push(["why", `Because ${because(payment.reason)}.`]);
  if (payment.status === "pending") parts.push(["why", "The bank rail has it."]);
  for (const [name, text] of parts) {
    const part = document.createElement("span");
    part.className = name;
    part.textContent = text;
    item.append(part);
  }
  return item;
}

function sayPayment(payment) {
  const amount = naira(payment.amount_minor);
  const told = {
    pending: `Payment of ${amount} pending: the bank rail has it.`,
    completed: `Payment of ${amount} completed.`,
    failed: `Payment of ${amount} failed: ${because(payment.reason)}.`,
  };
  say(told[payment.status], payment.status);
}

function amountMinor() {
  return Math.round(Number(find("pay").elements.amount.value) * 100);
}

function showAmount() {
  const button = find("pay-button");
  if (button.getAttribute("aria-disabled") !== "true") button.textContent = `Pay ${naira(amountMinor())}`;
}

function showMethod() {
  const form = find("pay").elements;
  find("source-label").textContent = SOURCES[form.method.value];
  find("get-card").hidden = form.method.value !== "card";
  form.source.value = "";
}

function begin() {
  if (!begun) analytics.checkoutStarted(find("pay").elements.method.value);
  begun = true;
}

function choose(method, source, amount) {
  const form = find("pay").elements;
  form.method.value = method;
  showMethod();
  form.source.value = source;
  begin();
  if (amount) form.amount.value = amount;
  showAmount();
  find("pay-button").focus();
}

const FAILURES = {
  card: () => choose("card", "5060990000000000", 2500),
  bank: () => choose("bank", "0000000000", 2500),
  funds: () => choose("wallet", "08030000000", Math.floor(account.balance_minor / 100) + 1),
  limit: () => choose("wallet", "08030000000", account.payment_limit_minor / 100 + 1),
};

onSubmit("sign-up", "Opening…", async (form, { name, email, phone, channel }) => {
  const { customer_id } = await ask("/customers", { name, email, phone, channel });
  form.reset();
  await enter(customer_id, "Welcome. Your account is open.");
});

onSubmit("log-in", "Checking…", async (form, { login, credential }) => {
  const { customer_id } = await ask("/sessions", { login, credential, method: "password", device_type: "desktop" });
  form.reset();
  await enter(customer_id, "You are logged in.");
});

onSubmit("verify", "Checking…", async (form, { bvn, passport }) => {
  const documents = [{ type: "passport", number: passport }];
  const { status, reason } = await ask("/kyc", { tier: "tier_2", bvn, documents });
  if (status !== "verified") throw new Refused(`Not verified: ${because(reason)}.`);
  form.reset();
  await refresh();
  say("Verified: you are in tier 2.", "completed");
});

onSubmit("pay", "Paying…", async (form, { method, source }) => {
  const amount_minor = amountMinor();
  begun = false;
  say("Paying…", "pending");
  const order = { method, amount_minor, currency: "NGN", source: source.replaceAll(" ", "") };
  const paid = await ask("/payments", order);
  sayPayment({ ...order, ...paid });
  await refresh();
});

onClick("deposit", "Adding…", async () => {
  await ask("/deposits", { amount_minor: 5_000_000 });
  await refresh();
  say("₦50,000 added.", "completed");
});

onClick("get-card", "Issuing…", async () => {
  const { pan } = await ask("/cards", { card_type: "virtual", tier: "classic" });
  choose("card", pan);
  say("Your virtual card is ready; its number is filled in.", "completed");
});

find("log-out").addEventListener("click", () => {
  sessionStorage.removeItem(CUSTOMER);
  analytics.forget();
  clearTimeout(poll);
  account = null;
  show();
  greet("You are logged out.");
});

find("pay").addEventListener("input", () => {
  showAmount();
  begin();
});
for (const method of find("pay").elements.method) method.addEventListener("change", showMethod);
for (const button of document.querySelectorAll("[data-failure]")) {
  button.addEventListener("click", () => FAILURES[button.dataset.failure]());
}

analytics.ready.then((missing) => {
  find("analytics").textContent = missing ?? "";
  find("analytics").hidden = !missing;
});
if (sessionStorage.getItem(CUSTOMER)) {
  // A customer that the bank has forgotten is a visitor again.
  await refresh().catch(() => sessionStorage.removeItem(CUSTOMER));
}
show();
showAmount();
