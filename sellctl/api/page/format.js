// Amounts, prices, times and elements of the control page. Elements are built with textContent, never from HTML text.

const NAMES = { take_profit: "target", stop_loss: "stop" };

export const $ = (id) => document.getElementById(id);

// --- texts -----------------------------------------------------------------------------------------------------------

// Two decimals, or up to four if these are not zero, as in the terminal; a price below half a cent in full.
export const dollars = (text) => {
  if (text === null) return "?";
  const value = Math.abs(Number(text));
  const digits = value === 0 || value >= 0.005 ? value.toFixed(4).replace(/0{1,2}$/, "") : text.replace("-", "");
  return `${Number(text) < 0 ? "\u2212" : ""}$${digits}`;
};

// A net price of a multi-leg order, as Alpaca writes it: a credit is below zero.
export const net = (text) => `${dollars(text.replace("-", ""))} ${Number(text) < 0 ? "credit" : "debit"}`;

export const percent = (text) => {
  if (text === null) return "?";
  const value = Number(text) * 100;
  return `${value > 0 ? "+" : value < 0 ? "\u2212" : ""}${Math.abs(value).toFixed(1)}%`;
};

// An amount in dollars and cents; a profit or loss always with its sign.
export const amount = (text) => {
  if (text === null) return "unknown";
  const digits = Math.abs(Number(text)).toLocaleString("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 2 });
  return `${Number(text) < 0 ? "\u2212" : ""}$${digits}`;
};
export const profit = (text) => (text !== null && Number(text) > 0 ? `+${amount(text)}` : amount(text));

// A total says of how many positions it is while some amounts are unknown.
export const total = (it, format) => format(it.dollars) + (it.known < it.of ? ` (${it.known} of ${it.of} known)` : "");

export const name = (reason) => NAMES[reason] || reason.replaceAll("_", " ");
export const counted = (count, noun) => `${count} ${noun}${count === 1 ? "" : "s"}`;
export const seconds = (value) => (value < 90 ? `${Math.round(value)} s` : `${Math.round(value / 60)} min`);

// Times are those of the exchange, as in the terminal.
const inNewYork = new Intl.DateTimeFormat("en-US", {
  timeZone: "America/New_York", hourCycle: "h23", hour: "2-digit", minute: "2-digit", second: "2-digit",
});
export const clock = (instant) => `${inNewYork.format(new Date(instant))} ET`;

// --- elements --------------------------------------------------------------------------------------------------------

export const setText = (node, text) => { if (node.textContent !== text) node.textContent = text; };

export const element = (tag, text = "", className = "") => {
  const node = document.createElement(tag);
  if (className) node.className = className;
  node.textContent = text;
  return node;
};

// Makes the children of `parent` those of `items`. Existing children are updated in place, so that nothing moves and
// screen readers don't read it again.
export const reconcile = (parent, items, key, make, update) => {
  const known = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  items.forEach((item, index) => {
    const id = key(item);
    const node = known.get(id) || make(item);
    known.delete(id);
    node.dataset.key = id;
    update(node, item);
    if (parent.children[index] !== node) parent.insertBefore(node, parent.children[index] || null);
  });
  known.forEach((node) => node.remove());
};

export const row = (columns) => () => {
  const tr = element("tr");
  tr.setAttribute("role", "row");
  columns.forEach(([label, className], index) => {
    const cell = element(index ? "td" : "th", "", className);
    cell.setAttribute("role", index ? "cell" : "rowheader");
    if (!index) cell.scope = "row";
    cell.dataset.label = label;
    tr.append(cell);
  });
  return tr;
};

export const twoLines = (cell, first, second) => {
  if (!cell.firstChild) cell.append(element("span"), element("span", "", "small"));
  setText(cell.firstChild, first);
  setText(cell.lastChild, second);
};
