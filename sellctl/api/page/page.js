// The control page: sign-in, accounts, positions, working exits, events, and the halt. The token is kept in this module
// only. Elements are built with textContent, never from HTML text, and only what has changed is updated.

import { actions, showDetails } from "./dialogs.js";
import { $, amount, clock, counted, dollars, element, name, net, percent, profit, reconcile, row, seconds, setText, total, twoLines } from "./format.js";

const API = "/api/v1/sell";
const MAX_EVENTS = 100;
const REFRESH_EVERY = 15_000; // in addition to the refresh after each check
const RETRY_AFTER = [1_000, 2_000, 5_000, 10_000];
const STATES = { denied: "not sent", fault: "error", "not managed": "NOT MANAGED" };
const TARGETS = new Set(["take_profit", "roi_table", "scale_out"]); // whose triggers a long reaches from below
const TONES = { closing: "good", blocked: "warn", denied: "warn", fault: "bad", "no quote": "bad", "not managed": "warn" };

let session = null; // {token, role, stopper}
let status = null; // the last document of /status
let shown = null; // the position in the details dialog

// Whether the token allows what operators or only admins may do.
const mayOperate = () => Boolean(session) && ["operator", "admin"].includes(session.role);
const mayAdmin = () => Boolean(session) && session.role === "admin";

// --- sections --------------------------------------------------------------------------------------------------------

const POSITION = [["Position", ""], ["Quantity", "number"], ["Entry", "number"], ["Now, value", "number"],
  ["Gain, P&L", "number"], ["Triggers", ""], ["State", "wide"]];
const EXIT = [["Position", ""], ["Order", ""], ["Filled", "number"], ["Status", ""], ["Why", "wide"]];

const showPositions = (accounts) => {
  const held = accounts.flatMap((account) => rows(account).map((it) => ({ account: account.account, ...it })));
  const summed = (name) => accounts.reduce((sum, account) => sum + account.totals[name], 0);
  const [count, unprotected] = [summed("positions"), summed("not_managed")];
  setText($("positions-count"), count ? `(${count})` : "");
  setText($("not-managed-count"), unprotected ? `, ${unprotected} NOT MANAGED` : "");
  $("positions").hidden = !count;
  $("positions-empty").hidden = count > 0;
  reconcile($("positions").tBodies[0], held, (it) => `${it.account} ${it.symbol} ${it.side}`, row(POSITION), showPosition);
};

// The positions of an account; a structure is followed by its legs, which have no triggers when it is judged as one.
const rows = (account) => {
  const structureOf = new Map(account.structures.flatMap((it) => it.legs.map((leg) => [leg.symbol, it])));
  const holding = (symbol) => account.holdings.find((it) => it.symbol === symbol);
  const shown = new Set();
  return account.holdings.flatMap((it) => {
    const structure = structureOf.get(it.symbol);
    if (!structure) return [it];
    if (shown.has(structure.name)) return [];
    shown.add(structure.name);
    const legs = structure.legs.map((leg) => ({ ...holding(leg.symbol), isLeg: true }));
    return [whole(structure), ...legs.map((leg) => (structure.judged_as_one ? { ...leg, triggers: [] } : leg))];
  });
};

const whole = (structure) => ({
  ...structure,
  symbol: structure.name,
  title: structure.own_name || `${structure.underlying} ${structure.kind.replaceAll("_", " ")}`,
  qty: String(structure.units),
  sentence: [structure.sentence, outlook(structure)].filter(Boolean).join("; "),
});

const outlook = (structure) => {
  if (structure.most_profit === null || structure.most_loss === null) return "";
  const bound = (most, noun) => (most === "unlimited" ? `unlimited ${noun}` : `${amount(most)} ${noun} at most`);
  const evens = structure.breakevens.map(dollars).join(" and ");
  return [bound(structure.most_profit, "profit"), bound(structure.most_loss, "loss"), evens && `breakeven at ${evens}`].filter(Boolean).join(", ");
};

const showPosition = (tr, it) => {
  const [what, qty, entry, now, gain, triggers, state] = tr.children;
  const called = it.title || it.contract || it.symbol;
  const more = called === it.symbol ? "" : it.symbol;
  if (!what.firstChild) {
    const button = element("button", "", "link");
    button.type = "button";
    button.setAttribute("aria-haspopup", "dialog");
    button.addEventListener("click", () => details(it.account, it.symbol));
    what.append(button, element("span", "", "small"));
  }
  twoLines(what, called, [more, it.account, left(it.days_left)].filter(Boolean).join(" · "));
  tr.classList.toggle("leg", Boolean(it.isLeg));
  setText(qty, it.side === "short" ? `\u2212${it.qty}` : it.qty);
  setText(entry, dollars(it.entry));
  twoLines(now, it.now === null ? "?" : `${dollars(it.now)} ${it.now_side}`, `value ${amount(it.market_value)}`);
  twoLines(gain, it.gain === null ? "unknown" : percent(it.gain), profit(it.open_pnl));
  gain.className = `number ${it.gain === null ? "warn" : Number(it.gain) < 0 ? "bad" : "good"}`;
  showTriggers(triggers, it);
  twoLines(state, STATES[it.state] || it.state, it.sentence);
  state.firstChild.className = `state ${TONES[it.state] || ""}`;
};

const left = (days) => (days === null ? "" : days === 0 ? "expires today" : days === 1 ? "expires tomorrow" : `${days} days left`);

// Whether the price is at or beyond a trigger: above a long's target, below its stop; mirrored for a short.
const isReached = (trigger, holding) => {
  if (trigger.reason === holding.reason) return true;
  if (trigger.distance === null) return false;
  const rises = TARGETS.has(trigger.reason) === (holding.side === "long");
  return rises ? Number(trigger.distance) <= 0 : Number(trigger.distance) >= 0;
};

const showTriggers = (cell, holding) => {
  const list = cell.firstChild || cell.appendChild(element("ul", "", "triggers"));
  list.setAttribute("role", "list");
  const away = (it) => (it.distance === null ? "" : `, ${percent(it.distance).replace(/^[+\u2212]/, "")} away`);
  const text = (it) => `${name(it.reason)} ${dollars(it.price)}${isReached(it, holding) ? ", reached" : away(it)}`;
  reconcile(list, holding.triggers, (it) => `${it.reason} ${it.price}`, () => element("li"), (node, it) => setText(node, text(it)));
};

const showExits = (accounts) => {
  const working = accounts.flatMap((account) => account.orders.filter((order) => order.by === "sellctl").map((order) => {
    const closed = closedBy(account, order);
    const symbol = order.symbol || (closed ? closed.symbol : order.legs.map((leg) => leg.symbol).join(" + "));
    const title = (closed && closed.title) || order.contract;
    return { ...order, account: account.account, symbol, title, why: closed ? closed.sentence : "" };
  }));
  setText($("exits-count"), working.length ? `(${working.length})` : "");
  $("exits").hidden = !working.length;
  $("exits-empty").hidden = working.length > 0;
  reconcile($("exits").tBodies[0], working, (it) => it.id, row(EXIT), showExit);
};

// What an order closes: a position, or the structure that has the legs of a multi-leg order.
const closedBy = (account, order) => {
  if (!order.legs.length) return account.holdings.find((it) => it.symbol === order.symbol);
  const symbols = new Set(order.legs.map((leg) => leg.symbol));
  const structure = account.structures.find((it) => it.legs.length === symbols.size && it.legs.every((leg) => symbols.has(leg.symbol)));
  return structure && whole(structure);
};

const showExit = (tr, it) => {
  const [what, order, filled, status, why] = tr.children;
  twoLines(what, it.title || it.symbol, [it.title && it.symbol, it.account].filter(Boolean).join(" · "));
  const price = it.limit_price === null ? it.type : `at ${it.legs.length ? net(it.limit_price) : dollars(it.limit_price)}`;
  setText(order, `${it.side || "multi-leg"} ${it.qty || "?"} ${price}`);
  setText(filled, `${it.filled_qty} of ${it.qty || "?"}`);
  setText(status, it.status.replaceAll("_", " "));
  setText(why, it.why);
};

const showAccounts = (accounts) => {
  const parts = [["strong"], ["span", "pill"], ["span", "small"], ["span", "small"], ["span", "state warn"], ["span", "error"]];
  const make = () => { const li = element("li"); li.append(...parts.map(([tag, style]) => element(tag, "", style))); return li; };
  reconcile($("accounts"), accounts, (it) => it.account, make, (li, it) => {
    const [title, mode, facts, money, unprotected, problem] = li.children;
    setText(title, it.account);
    setText(mode, it.mode === "live" ? "real money" : it.mode);
    mode.className = `pill ${it.mode}`;
    const counts = it.holdings === null ? "not updated yet" : `${counted(it.holdings, "position")}, ${it.leaving} closing, ${it.blocked} blocked`;
    const age = it.age_seconds === null ? "" : `, updated ${seconds(it.age_seconds)} ago`;
    setText(facts, counts + age);
    const totals = it.totals && it.totals.positions ? it.totals : null;
    const exempt = totals && totals.exempt ? `, ${totals.exempt} exempt` : "";
    const today = `Today ${profit(it.realised_today)} realised`;
    setText(money, totals ? `Open P&L ${total(totals.open_pnl, profit)}, value ${total(totals.market_value, amount)}${exempt}. ${today}` : today);
    setText(unprotected, totals && totals.not_managed ? `${totals.not_managed} NOT MANAGED` : "");
    setText(problem, it.problem);
  });
};

const showStatus = () => {
  const market = status.market ? `Market ${status.market.phase}, ${clock(status.market.now)}.` : "";
  const next = status.next_look_in_seconds === null ? "" : ` Next check in ${seconds(status.next_look_in_seconds)}.`;
  const doing = status.state[0].toUpperCase() + status.state.slice(1);
  setText($("state"), `${doing}. ${market}`);
  setText($("foot"), `sellctl ${status.program}, ${counted(status.looks, "check")}.${next}`);
  const live = status.accounts.some((it) => it.mode === "live");
  $("mode").hidden = false;
  const simulated = status.accounts.some((it) => it.mode === "simulated");
  setText($("mode"), live ? "real money" : simulated ? "simulated" : "paper");
  $("mode").className = `pill ${live ? "live" : ""}`;
  const closing = status.accounts.reduce((sum, it) => sum + (it.leaving || 0), 0);
  document.title = `${status.halted ? "HALTED " : closing ? `${closing} closing ` : ""}sellctl`;
  const problems = [status.halted && `Halted: ${status.halted}. ${liftedBy()}`,
    status.fault && `The watcher ended with an error: ${status.fault}`, status.problem].filter(Boolean);
  $("banner").hidden = !problems.length;
  setText($("banner"), problems.join(" "));
  const readOnly = mayOperate() ? "" : "This token is read-only.";
  setButton("halt", !readOnly && !status.halted, readOnly || "New orders are halted already.");
  setButton("confirm-code", mayOperate(), readOnly);
  setButton("run-once", mayAdmin(), "Only an admin's token may do this.");
  $("resume").hidden = !(mayAdmin() && isLiftable());
  showAccounts(status.accounts);
};

const setButton = (id, isAllowed, why) => { $(id).disabled = !isAllowed; $(id).title = isAllowed ? "" : why; };
const isLiftable = () => ["api", "chat"].includes(status.halt_origin);
const liftedBy = () => (isLiftable() ? "An admin lifts the halt here, or sellctl resume on the machine." : "Only sellctl resume on the machine lifts the halt.");

const showEvent = (event) => {
  $("events-empty").hidden = true;
  const item = element("li", "", event.weight === "error" ? "bad" : event.weight === "warning" ? "warn" : "");
  const time = element("time", clock(event.at));
  time.dateTime = event.at;
  item.append(time, element("span", `${event.account ? `${event.account} ` : ""}${event.sentence}`));
  $("events").prepend(item);
  while ($("events").children.length > MAX_EVENTS) $("events").lastChild.remove();
};

// --- requests --------------------------------------------------------------------------------------------------------

class Unauthorized extends Error {}

const call = async (path, options = {}) => {
  const { token, stopper } = session;
  const headers = { Authorization: `Bearer ${token}`, ...(options.headers || {}) };
  const answer = await fetch(API + path, { ...options, headers, signal: stopper.signal, cache: "no-store", credentials: "omit" });
  if (answer.ok) return answer;
  const problem = await answer.json().catch(() => ({}));
  const message = typeof problem.detail === "string" ? problem.detail : `The server answered with status ${answer.status}.`;
  if (answer.status === 401) throw new Unauthorized(message);
  throw new Error(message);
};

const failed = (error) => {
  if (error.name === "AbortError" || !session) return;
  if (error instanceof Unauthorized) { signOut(error.message); return; }
  setText($("state"), `Not connected: ${error.message}`);
};

let refreshing = false;
let again = false;

const refresh = async () => {
  if (refreshing) { again = true; return; }
  refreshing = true;
  try {
    do {
      again = false;
      const [present, positions] = await Promise.all([call("/status"), call("/positions")].map(async (it) => (await it).json()));
      if (!session) return;
      status = present;
      showStatus();
      showPositions(positions.accounts);
      showExits(positions.accounts);
      if (shown && $("details-dialog").open) await details(shown.account, shown.symbol, true);
    } while (again && session);
  } catch (error) {
    failed(error);
  } finally {
    refreshing = false;
  }
};

const listen = async () => {
  const mine = session;
  let last = "0";
  for (let failures = 0; session === mine;) {
    try {
      const answer = await call("/events", { headers: { "Last-Event-ID": last } });
      failures = 0;
      await refresh();
      for await (const message of messages(answer.body)) {
        if (message.id) last = message.id;
        if (message.event === "event") showEvent(JSON.parse(message.data));
        refresh();
      }
    } catch (error) {
      failed(error);
    }
    await new Promise((done) => { setTimeout(done, RETRY_AFTER[Math.min(failures, RETRY_AFTER.length - 1)]); });
    failures += 1;
  }
};

async function* messages(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  for (let text = "";;) {
    const { value, done } = await reader.read();
    if (done) return;
    const frames = (text + value).split("\n\n");
    text = frames.pop();
    for (const frame of frames) {
      const fields = Object.fromEntries(frame.split("\n").map((line) => line.split(/: (.*)/s, 2)));
      if (fields.data) yield fields;
    }
  }
}

// --- one position ----------------------------------------------------------------------------------------------------

// Shows one position; `again` when its dialog is open already, and stays closed when it was closed meanwhile.
const details = async (account, symbol, again = false) => {
  const query = new URLSearchParams({ symbol, account });
  try {
    const answer = await (await call(`/explain?${query}`)).json();
    if (!session || !answer.positions.length || (again && !$("details-dialog").open)) return;
    shown = { account, symbol, title: answer.positions[0].title };
    showDetails(answer.positions[0], mayOperate());
  } catch (error) {
    $("details-dialog").close();
    failed(error);
  }
};

const ask = actions(call, () => refresh());

const accountsText = () => status.accounts.map((it) => `${it.account} (${it.mode.toUpperCase()})`).join(" and ");

for (const verb of ["close", "exempt", "manage", "set"]) {
  $(`details-${verb}`).addEventListener("click", () => { $("details-dialog").close(); ask[verb](shown); });
}

// --- signing in and out ----------------------------------------------------------------------------------------------

const roleIn = (token) => {
  try {
    return JSON.parse(atob(token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/"))).role;
  } catch {
    return ""; // the server reports what is wrong with it
  }
};

const signIn = async (event) => {
  event.preventDefault();
  const token = $("token").value.trim();
  $("token").value = "";
  setText($("sign-in-error"), "");
  session = { token, role: roleIn(token), stopper: new AbortController() };
  try {
    await call("/status");
  } catch (error) {
    session = null;
    setText($("sign-in-error"), error.message);
    $("token").focus();
    return;
  }
  $("sign-in").hidden = true;
  $("board").hidden = $("actions").hidden = false;
  $("main").focus();
  listen();
};

const signOut = (why = "") => {
  if (session) session.stopper.abort();
  session = null;
  $("sign-in").hidden = false;
  $("board").hidden = $("actions").hidden = $("banner").hidden = $("mode").hidden = true;
  for (const id of ["accounts", "events"]) $(id).replaceChildren();
  for (const id of ["positions", "exits"]) $(id).tBodies[0].replaceChildren();
  document.title = "sellctl";
  for (const dialog of document.querySelectorAll("dialog[open]")) dialog.close();
  setText($("state"), "Not signed in.");
  setText($("sign-in-error"), why);
  $("token").focus();
};

const halt = async (event) => {
  event.preventDefault();
  const body = JSON.stringify({ reason: $("reason").value.trim() });
  try {
    await call("/halt", { method: "POST", headers: { "Content-Type": "application/json" }, body });
  } catch (error) {
    setText($("halt-error"), `Not halted: ${error.message}`);
    return;
  }
  $("halt-dialog").close();
  refresh();
};

$("sign-in-form").addEventListener("submit", signIn);
$("sign-out").addEventListener("click", () => signOut());
$("halt").addEventListener("click", () => { setText($("halt-error"), ""); $("halt-dialog").showModal(); $("halt-cancel").focus(); });
$("halt-cancel").addEventListener("click", () => $("halt-dialog").close());
$("halt-form").addEventListener("submit", halt);
$("confirm-code").addEventListener("click", () => ask.confirmCode());
$("run-once").addEventListener("click", () => ask.runOnce(accountsText()));
$("resume").addEventListener("click", () => ask.resume(status.halted));
setInterval(() => { if (session) refresh(); }, REFRESH_EVERY);
$("token").focus();
