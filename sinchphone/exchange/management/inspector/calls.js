// Calls: the list, and one call's ladder beside it.

import { file, get } from "./api.js";
import { clock, empty, h, name } from "./dom.js";
import { ladder, summary } from "./ladder.js";

const KINDS = ["rest", "pubsub", "sip", "callback", "media", "call"];

export function calls(view, [chosen]) {
  const list = h("ul", { class: "list", "aria-label": "Calls" });
  const detail = h("section", { class: "detail" });
  view.append(h("div", { class: `split ${chosen ? "chosen" : ""}` }, h("section", { class: "side" }, h("h1", {}, "Calls"), list), detail));
  const hidden = new Set();
  const open = new Set();
  let events = [];
  let call = null;

  async function listAll() {
    const all = (await get("/trace/calls")).calls;
    list.replaceChildren(...all.map(entry));
    if (!all.length) list.replaceChildren(empty("No calls yet", "Make one: ", h("code", {}, "sinchphone call echo")));
    if (!chosen) detail.replaceChildren(empty("Choose a call", "Its ladder has all that was said: REST, messages, SIP, callbacks."));
  }

  const entry = (one) =>
    h(
      "li",
      {},
      h(
        "a",
        { href: `#/calls/${encodeURIComponent(one.id)}`, "aria-current": one.id === chosen ? "true" : null },
        h("span", { class: "who" }, name(one.caller), h("span", { class: "dim" }, " → "), name(one.callee)),
        h("span", { class: "meta" }, h("time", {}, clock(one.beganAt)), summary(one)),
      ),
    );

  async function show() {
    if (!chosen) return;
    const found = await get(`/trace/calls/${encodeURIComponent(chosen)}`);
    call = found.call;
    events = found.events;
    draw();
  }

  function draw() {
    const shown = events.filter((event) => !hidden.has(event.kind));
    const chips = KINDS.filter((kind) => events.some((event) => event.kind === kind)).map((kind) =>
      h(
        "button",
        { class: `chip ${kind}`, type: "button", "aria-pressed": !hidden.has(kind), onclick: () => toggle(kind) },
        kind,
        h("span", { class: "count" }, events.filter((event) => event.kind === kind).length),
      ),
    );
    detail.replaceChildren(
      h("a", { class: "back", href: "#/calls" }, "← Calls"),
      h("h2", {}, name(call.caller), h("span", { class: "dim" }, " → "), name(call.callee)),
      h("p", { class: "meta" }, h("time", {}, clock(call.beganAt)), summary(call), h("code", { class: "id" }, call.id)),
      h(
        "div",
        { class: "tools" },
        h("div", { class: "chips", role: "group", "aria-label": "Kinds of events" }, chips),
        h("div", { class: "saves" }, h("button", { type: "button", onclick: saveJson }, "JSON"), h("button", { type: "button", onclick: saveCapture }, "pcapng")),
      ),
      h("p", { class: "note", hidden: !call.leftOut }, `${call.leftOut} events of this call are kept no more.`),
      shown.length ? ladder(shown, open) : empty("Nothing to show", "All kinds of events are switched off."),
    );
  }

  function toggle(kind) {
    if (!hidden.delete(kind)) hidden.add(kind);
    draw();
  }

  const saveJson = () => save(new Blob([JSON.stringify({ call, events }, null, 1)], { type: "application/json" }), "json");
  const saveCapture = async () => save(await file(`/trace/calls/${encodeURIComponent(chosen)}/capture`), "pcapng");

  function save(blob, suffix) {
    const link = h("a", { href: URL.createObjectURL(blob), download: `call.${suffix}` });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }

  let waiting = null;
  let isDue = false; // more happened while we looked
  let isStale = false; // the call that is shown
  const look = async () => {
    const again = isStale;
    isDue = isStale = false;
    try {
      await listAll();
      if (again) await show();
    } catch {
      // the exchange is gone, or the call is: what was seen stays, and the bar says so
    }
    if (!Number.isNaN(waiting)) waiting = isDue ? setTimeout(look, 250) : null;
  };
  return {
    start: async () => {
      await listAll();
      await show();
    },
    take: (event) => {
      const isOurs = event.call !== null && event.call === chosen;
      if (event.kind !== "call" && !isOurs) return;
      isStale ||= isOurs;
      isDue = true;
      waiting ??= setTimeout(look, 250);
    },
    stop: () => {
      clearTimeout(waiting);
      waiting = NaN; // no look follows
    },
  };
}
