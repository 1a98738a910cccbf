// A call as a ladder: a rail for each who takes part, an arrow for each message; what is in one unfolds below it.

import { duration, h, name } from "./dom.js";

const MOST_RAILS = 8;

/** Who takes part, in the order in which they appear, the exchange behind who speaks with it first. */
export function participants(events) {
  const found = [...new Set(events.flatMap((event) => [event.source, event.target]))];
  if (found[0] === "exchange" && found.length > 1) [found[0], found[1]] = [found[1], found[0]];
  return found.length <= MOST_RAILS ? found : [...found.slice(0, MOST_RAILS - 1), "others"];
}

export function ladder(events, open) {
  const rails = participants(events);
  const began = Math.min(...events.map((event) => event.at));
  const at = (who) => ((rails.includes(who) ? rails.indexOf(who) : rails.length - 1) + 0.5) / rails.length;
  const heads = rails.map((who) => h("div", { class: "head", title: who }, name(who)));
  const lines = rails.map((who) => h("i", { class: "rail", vars: { "--x": at(who) } }));
  const rows = events.map((event) => row(event, event.at - began, at(event.source), at(event.target), open));
  return h(
    "div",
    { class: "ladder", vars: { "--rails": rails.length } },
    h("div", { class: "heads" }, h("span", { class: "time" }), h("div", { class: "lanes" }, heads)),
    h("div", { class: "rows" }, h("div", { class: "rails", "aria-hidden": "true" }, lines), rows),
  );
}

function row(event, seconds, from, to, open) {
  const left = Math.min(from, to);
  const right = Math.max(from, to);
  const way = from === to ? "here" : from < to ? "right" : "left";
  const isOpen = open.has(event.seq);
  const said = h(
    "button",
    {
      class: `said ${event.kind} ${event.is_failure ? "failed" : ""} ${left > 0.6 ? "late" : ""}`,
      type: "button",
      "aria-expanded": isOpen,
      vars: { "--left": left, "--right": right },
      title: `${event.source} → ${event.target}: ${event.summary}`,
    },
    h("span", { class: "label" }, h("span", { class: "kind" }, event.kind), h("span", { class: "what" }, event.summary)),
    h("span", { class: `arrow ${way}`, "aria-hidden": "true" }),
  );
  const made = h("div", { class: "row" }, h("span", { class: "time" }, seconds.toFixed(3)), h("div", { class: "lanes" }, said));
  const unfold = () => made.append(details(event));
  if (isOpen) unfold();
  said.addEventListener("click", () => {
    const opens = said.getAttribute("aria-expanded") !== "true";
    said.setAttribute("aria-expanded", opens);
    if (opens) {
      open.add(event.seq);
      unfold();
    } else {
      open.delete(event.seq);
      made.querySelector(".details").remove();
    }
  });
  return made;
}

function details(event) {
  const route = event.route ? `${event.route.source} → ${event.route.target} (${event.route.transport})` : "";
  const when = new Date(event.at * 1000).toISOString();
  return h(
    "div",
    { class: "details" },
    h("p", {}, name(event.source), " → ", name(event.target), h("span", { class: "dim" }, [when, route].filter(Boolean).join(" · "))),
    event.body ? h("pre", { tabindex: "0" }, pretty(event.body)) : h("p", { class: "dim" }, "nothing more was said"),
  );
}

/** A body with its JSON indented, which stands alone or behind the head of an HTTP message. */
export function pretty(body) {
  const end = body.indexOf("\r\n\r\n");
  const [head, rest] = end < 0 || /^\s*[[{]/.test(body) ? ["", body] : [body.slice(0, end), body.slice(end + 4)];
  let shown = rest;
  try {
    shown = JSON.stringify(JSON.parse(rest, unfold), null, 2);
  } catch {
    // no JSON
  }
  return [head, shown].filter(Boolean).join("\n\n").replaceAll("\\r\\n", "\n    ").replaceAll("\r", "");
}

/** JSON that stands in a text of JSON. */
function unfold(_, value) {
  if (typeof value !== "string" || !/^\s*[[{]/.test(value)) return value;
  try {
    return JSON.parse(value);
  } catch {
    return value;
  }
}

export function summary(call) {
  const ended = call.endedAt !== null;
  const state = ended ? (call.ending || "ended") : "going on";
  return h(
    "span",
    { class: `state ${ended ? (call.ending ? "failed" : "ended") : "alive"}` },
    ended ? `${state} · ${duration(call.endedAt - call.beganAt)}` : state,
  );
}
