// The dialogs of the control page: one position with its chart, and what is asked before anything is changed or sent.

import { drawChart } from "./chart.js";
import { $, amount, clock, dollars, element, name, percent, profit, setText } from "./format.js";

const OUTCOME_EVERY = 1_000; // milliseconds between two looks at what became of an exit
const OUTCOME_LOOKS = 60;

const post = (body) => ({ method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });

// --- asking ----------------------------------------------------------------------------------------------------------

let step = null; // what the dialog shows: {title, text, lines, fields, button, run}

const show = (next) => {
  step = next;
  setText($("ask-title"), step.title);
  setText($("ask-text"), step.text);
  setText($("ask-error"), "");
  const warnings = (step.warnings || []).map((line) => element("li", line, "warn"));
  $("ask-lines").replaceChildren(...(step.lines || []).map((line) => element("li", line)), ...warnings);
  $("ask-fields").replaceChildren(...(step.fields || []).flatMap(field));
  $("ask-confirm").hidden = !step.run;
  $("ask-confirm").disabled = false;
  setText($("ask-confirm"), step.button || "");
  $("ask-confirm").className = step.isSafe ? "primary" : "danger";
  setText($("ask-cancel"), step.run ? "Cancel" : "Done");
  if (!$("ask-dialog").open) $("ask-dialog").showModal();
  ($("ask-fields").querySelector("input") || $("ask-cancel")).focus();
};

const field = (it) => (it.isChoice ? choice(it) : textField(it));

// A box to tick; the label is beside it.
const choice = (it) => {
  const label = element("label", "", "choice");
  const input = element("input");
  Object.assign(input, { id: `ask-${it.key}`, name: it.key, type: "checkbox" });
  label.append(input, element("span", it.label));
  return [label];
};

const textField = (it) => {
  const label = element("label", it.label);
  label.htmlFor = `ask-${it.key}`;
  const input = element("input");
  Object.assign(input, { id: `ask-${it.key}`, name: it.key, maxLength: it.longest || 20, required: Boolean(it.required), autocomplete: "off" });
  return [label, input];
};

// Shows a step: the run of its button returns the next one, or an error is shown and the step stays.
const confirmed = async (event) => {
  event.preventDefault();
  if (!step || !step.run) return;
  const asked = step;
  const value = (it) => (it.type === "checkbox" ? it.checked : it.value.trim());
  const given = Object.fromEntries([...$("ask-fields").querySelectorAll("input")].map((it) => [it.name, value(it)]).filter(([, each]) => each));
  $("ask-confirm").disabled = true;
  setText($("ask-error"), "");
  try {
    const next = await asked.run(given);
    if (step === asked && $("ask-dialog").open) show(next);
  } catch (error) {
    if (step === asked) setText($("ask-error"), error.message);
  } finally {
    if (step === asked) $("ask-confirm").disabled = false;
  }
};

const done = (title, answer) => ({ title, text: answer.sentence });

// --- what can be asked -----------------------------------------------------------------------------------------------

// `call` sends a request, `refresh` reads everything again.
export const actions = (call, refresh) => {
  const send = async (path, body) => {
    const answer = await (await call(path, post(body))).json();
    refresh();
    return answer;
  };

  const close = (it) => show({
    title: `Close ${it.title}?`,
    text: "Nothing is sent before you have seen what it would bring.",
    fields: [
      { key: "qty", label: "Quantity, or a share such as 50% (empty: all)" },
      { key: "limit", label: "Worst price in dollars (empty: none)" },
    ],
    button: "Show what would be sent",
    isSafe: true,
    run: async (given) => proposed(it, await send("/close", { symbol: it.symbol, account: it.account, dry_run: true, ...given })),
  });

  const proposed = (it, proposal) => ({
    title: `Close ${it.title}?`,
    text: proposal.sentence,
    lines: [...proposal.exits.map(exitLine), ...proposal.warnings],
    button: "Close now",
    run: proposal.confirm && (async () => closed(it, await send("/close", { confirm: proposal.confirm }))),
  });

  const closed = (it, outcome) => {
    const next = { title: outcome.is_done ? `Closed ${it.title}` : `Closing ${it.title}`, text: outcome.sentence, lines: outcome.exits.map(outcomeLine) };
    if (outcome.is_pending) follow(it, outcome.id, next);
    return next;
  };

  // Looks what became of an exit until that is known, as long as its dialog is open.
  const follow = async (it, id, shown) => {
    for (let looks = 0; looks < OUTCOME_LOOKS; looks += 1) {
      await new Promise((wait) => { setTimeout(wait, OUTCOME_EVERY); });
      if (step !== shown) return;
      const outcome = await (await call(`/close/${id}`)).json();
      setText($("ask-text"), outcome.sentence);
      $("ask-lines").replaceChildren(...outcome.exits.map((each) => element("li", outcomeLine(each))));
      if (!outcome.is_pending) { setText($("ask-title"), outcome.is_done ? `Closed ${it.title}` : `Not closed: ${it.title}`); refresh(); return; }
    }
  };

  const setRules = (it) => show({
    title: `Set the rules of ${it.title}?`,
    text: "It replaces the same rule of its strategy until the position is closed. Nothing is set yet.",
    fields: [
      { key: "stop", label: "Stop, such as 25% or price 4.20", longest: 64 },
      { key: "target", label: "Target, written likewise", longest: 64 },
      { key: "trail", label: "Trailing stop, such as 10pt or 10%", longest: 64 },
      { key: "until", label: "Until, such as friday, 2026-12-04 or 15:30 ET", longest: 40 },
      { key: "breakeven", label: "Stop at the entry price (breakeven)", isChoice: true },
      { key: "clear", label: "Clear what is set by hand", isChoice: true },
    ],
    button: "Show changes",
    isSafe: true,
    run: async (given) => shownRules(it, await send("/set", { symbol: it.symbol, account: it.account, dry_run: true, ...given })),
  });

  const shownRules = (it, proposal) => ({
    title: `Set the rules of ${it.title}?`,
    text: proposal.overrides.map(changedRules).join(" "),
    lines: proposal.overrides.flatMap((each) => [...triggerLines(each), ...each.notes]),
    warnings: proposal.overrides.flatMap((each) => each.warnings),
    button: "Set them now",
    isSafe: !proposal.overrides.some((each) => each.warnings.length),
    run: async () => rulesSet(it, await send("/set", { confirm: proposal.confirm })),
  });

  const rulesSet = (it, answer) => {
    const now = answer.overrides.map((each) => `${each.account}: ${each.after || "nothing is set by hand"}.`).join(" ");
    if (answer.is_set) return { title: `Set for ${it.title}`, text: now };
    if (answer.problems.length) return { title: `Not set for ${it.title}`, text: answer.problems.join(" ") };
    return { title: `Being set for ${it.title}`, text: "The watcher has not answered yet; the position shows it when it is set." };
  };

  const exempt = (it) => show({
    title: `Leave ${it.title} alone?`,
    text: `From the next check on, no order is sent for ${it.symbol}, not even for a stop, in all accounts. Orders that are working at the broker stay there.`,
    fields: [{ key: "until", label: "Until, such as friday, 2026-12-04 or 15:30 ET (empty: until you manage it again)", longest: 40 }],
    button: "Leave it alone",
    run: async (given) => done("Exempted", await send("/exempt", { symbol: it.symbol, ...given })),
  });

  const manage = (it) => show({
    title: `Manage ${it.title} again?`,
    text: `From the next check on, its rules apply to ${it.symbol} again, also those that were suspended.`,
    button: "Manage it again",
    run: async () => done("Managed", await send("/manage", { symbol: it.symbol })),
  });

  const confirmCode = () => show({
    title: "Confirm a proposal",
    text: "An assistant gives a code with what it proposes. Nothing is done before you have seen it; the code is used up by that.",
    fields: [{ key: "code", label: "Code, such as 4QF7-0KMD-9XTA", longest: 64, required: true }],
    button: "Show what is proposed",
    isSafe: true,
    run: async (given) => shownProposal(await send("/confirm", given)),
  });

  const shownProposal = (it) => ({
    title: "Confirm a proposal",
    text: it.sentence,
    lines: [...it.proposed, ...it.exits.map(exitLine), ...it.overrides.flatMap((each) => [changedRules(each), ...triggerLines(each), ...each.notes])],
    warnings: it.warnings,
    button: "Confirm",
    run: it.confirm && (async () => confirmedProposal(await send("/confirm", { confirm: it.confirm }))),
  });

  const confirmedProposal = (answer) => {
    if (!answer.close) return { title: "Confirmed", text: answer.sentence };
    const [first] = answer.close.exits;
    return closed({ title: first.contract || first.symbol }, answer.close);
  };

  const runOnce = (accounts) => show({
    title: "Check all accounts now?",
    text: `What is due is closed at once: ${accounts}.`,
    button: "Check now",
    run: async () => {
      const answer = await (await call("/run-once", { method: "POST" })).json();
      refresh();
      const closing = answer.plans.flatMap((plan) => plan.holdings).filter((it) => it.state === "closing").length;
      const halted = answer.halted ? ` Halted: ${answer.halted}.` : "";
      return { title: "Checked", text: answer.finished ? `All accounts were checked. Closing: ${closing}.${halted}` : `The check is still running; events say what comes of it.${halted}` };
    },
  });

  const resume = (halted) => show({
    title: "Send orders again?",
    text: `Halted: ${halted}. When the halt is lifted, exits that are due are sent at once.`,
    fields: [{ key: "reason", label: "Why it is safe again", longest: 200, required: true }],
    button: "Lift the halt",
    run: async (given) => done("Resumed", await send("/resume", given)),
  });

  return { close, confirmCode, exempt, manage, runOnce, resume, set: setRules };
};

const exitLine = (it) => {
  const what = `${it.account} (${it.mode.toUpperCase()}): ${it.qty} of ${it.held} ${it.contract || it.symbol}`;
  const bring = `estimated proceeds ${amount(it.proceeds)}, P&L ${profit(it.pnl)}`;
  return it.is_possible ? `${what}, ${bring}` : `${what}: ${it.sentence}`;
};

const changedRules = (it) => `${it.account} (${it.mode.toUpperCase()}): from ${it.before || "nothing set by hand"} to ${it.after || "nothing set by hand"}.`;

// A line per rule with a price: what it was, and what it becomes.
const triggerLines = (it) => {
  const prices = [it.triggers_before, it.triggers].map((triggers) => new Map(triggers.map((each) => [each.reason, atPrice(each)])));
  const reasons = new Set(prices.flatMap((of) => [...of.keys()]));
  return [...reasons].map((reason) => {
    const [was, becomes] = prices.map((of) => of.get(reason) || "none");
    return was === becomes ? `${name(reason)} stays ${was}` : `${name(reason)} from ${was} to ${becomes}`;
  });
};

const atPrice = (it) => `${dollars(it.price)}${it.distance === null ? "" : ` (${percent(it.distance)})`}`;

const outcomeLine = (it) => `${it.account} (${it.mode.toUpperCase()}): ${it.contract || it.symbol}: ${it.sentence}`;

// --- one position ----------------------------------------------------------------------------------------------------

let redraw = () => {};

// Fills the dialog of one position. `may` says whether the token allows to act.
export const showDetails = (it, may) => {
  const position = it.holding || it.structure;
  const symbol = position.symbol || position.name;
  setText($("details-title"), it.title);
  setText($("details-where"), [symbol, `${it.account} (${it.mode.toUpperCase()})`].filter((each) => each !== it.title).join(" · "));
  const saysItself = position.sentence.toLowerCase().startsWith(position.state); // "NOT MANAGED: ..."
  setText($("details-text"), saysItself ? position.sentence : `${position.state}: ${position.sentence}`);
  setText($("details-set-by-hand"), position.set_by_hand ? `Set by hand: ${position.set_by_hand}` : "");
  $("details-rules").replaceChildren(...it.rules.map((rule) => element("li", rule)));
  const isExempt = position.state === "exempt";
  $("details-close").hidden = $("details-set").hidden = !may;
  $("details-exempt").hidden = !may || isExempt;
  $("details-manage").hidden = !may || !isExempt;
  if (!$("details-dialog").open) $("details-dialog").showModal();
  setText($("details-note"), it.prices_note);
  $("chart").toggleAttribute("hidden", Boolean(it.prices_note));
  if (it.prices_note) { redraw = () => {}; return; }
  const title = `Price of ${it.title} since ${clock(it.prices[0].at)}`;
  redraw = () => drawChart($("chart"), $("details-chart").clientWidth, title, it.prices, it.levels);
  redraw();
};

$("ask-form").addEventListener("submit", confirmed);
$("ask-cancel").addEventListener("click", () => $("ask-dialog").close());
$("ask-dialog").addEventListener("close", () => { step = null; });
window.addEventListener("resize", () => { if ($("details-dialog").open) redraw(); });
$("details-back").addEventListener("click", () => $("details-dialog").close());
