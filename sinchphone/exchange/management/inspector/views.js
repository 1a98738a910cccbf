// Everything beside calls: messages, texts, users, rooms, recordings, faults, and events of no call.

import { file, get, post, remove } from "./api.js";
import { clock, duration, empty, h, instant, name } from "./dom.js";
import { pretty } from "./ladder.js";

const MOST_EVENTS = 500;
const LOOK_MS = 2000; // at what tells nobody that it changed

const page = (view, title, ...tools) => {
  const body = h("div", { class: "body" });
  view.append(h("section", { class: "page" }, h("div", { class: "title" }, h("h1", {}, title), h("div", { class: "saves" }, tools)), body));
  return body;
};

const table = (heads, rows) =>
  h(
    "div",
    { class: "scroll", tabindex: "0" },
    h("table", {}, h("thead", {}, h("tr", {}, heads.map((head) => h("th", { scope: "col" }, head)))), h("tbody", {}, rows)),
  );

const cells = (...inner) => h("tr", {}, inner.map((one) => h("td", {}, one)));

/** A view that looks again every other second, and draws only what is new. */
function looking(look, draw) {
  let timer = null;
  let before = "";
  const again = async () => {
    const found = await look();
    const now = JSON.stringify(found);
    if (now !== before) draw(found);
    before = now;
  };
  const later = async () => {
    await again().catch(() => {});
    timer = setTimeout(later, LOOK_MS);
  };
  return { again, start: async () => { await again(); timer = setTimeout(later, LOOK_MS); }, stop: () => clearTimeout(timer) };
}

export function messages(view) {
  const body = page(view, "Messages");
  const isMessage = (event) => event.kind === "pubsub" && event.summary.startsWith("message") && event.source !== event.target;
  const textOf = (event) => {
    try {
      return JSON.parse(JSON.parse(event.body).bd).t;
    } catch {
      return event.summary.slice("message: ".length);
    }
  };
  return looking(
    async () => (await get("/trace/others")).events.filter(isMessage).reverse(),
    (found) =>
      body.replaceChildren(
        found.length
          ? h("ol", { class: "thread" }, found.map((one) =>
              h("li", { class: one.summary === "message delivered" ? "receipt" : "" },
                h("span", { class: "meta" }, h("time", {}, clock(one.at)), name(one.source), h("span", { class: "dim" }, "→"), name(one.target)),
                h("p", {}, one.summary === "message delivered" ? "delivered ✓" : textOf(one)))))
          : empty("No messages yet", "Send one: ", h("code", {}, "sinchphone send-message bob 'Back at three'"))),
  );
}

export function sms(view) {
  const clear = async () => { await remove("/sms"); await watching.again(); };
  const body = page(view, "SMS", h("button", { type: "button", onclick: clear }, "Forget all"));
  const watching = looking(
    async () => (await get("/sms")).messages.reverse(),
    (found) =>
      body.replaceChildren(
        found.length
          ? h("ol", { class: "thread" }, found.map((one) =>
              h("li", {}, h("span", { class: "meta" }, h("time", {}, instant(one.at)), name(one.from ?? "-"), h("span", { class: "dim" }, "→"), name(one.to)), h("p", {}, one.text))))
          : empty("No texts yet", "They are simulated here: ", h("code", {}, "sinchphone send-message +46700000001 'Hello'"))),
  );
  return watching;
}

export function users(view) {
  const body = page(view, "Users");
  const forget = async (id) => { await remove(`/users/${encodeURIComponent(id)}`); await watching.again(); };
  const watching = looking(
    async () => (await get("/users")).users,
    (found) =>
      body.replaceChildren(
        found.length
          ? table(["User", "Names", "Devices", ""], found.map((one) => {
              const listening = (one.devices ?? []).filter((device) => device.listening).length;
              const state = listening ? h("span", { class: "state alive" }, `${listening} listening`) : h("span", { class: "state ended" }, "away");
              return cells(name(one.userId), [one.email, one.number].filter(Boolean).map((each) => h("span", { class: "tag" }, each)), [`${(one.devices ?? []).length} `, state],
                h("button", { type: "button", onclick: () => forget(one.userId) }, "Forget"));
            }))
          : empty("Nobody has registered yet", "Whoever does is here: ", h("code", {}, "sinchphone listen --user bob"))),
  );
  return watching;
}

export function rooms(view) {
  const body = page(view, "Rooms");
  return looking(
    async () => (await get("/rooms")).rooms,
    (found) =>
      body.replaceChildren(
        found.length
          ? h("div", { class: "cards" }, found.map((one) =>
              h("article", { class: "card" }, h("h2", {}, name(one.id)), h("ul", {}, one.participants.map((who) =>
                h("li", {}, name(who.name), who.muted ? h("span", { class: "tag" }, "muted") : null, who.onhold ? h("span", { class: "tag" }, "on hold") : null,
                  h("span", { class: "dim" }, duration(who.seconds))))))))
          : empty("No room is open", "Open one: ", h("code", {}, "sinchphone conference standup"))),
  );
}

export function recordings(view) {
  const body = page(view, "Recordings");
  const path = (key) => `/recordings/${encodeURIComponent(key)}`;
  const urls = [];
  const list = h("div", { class: "cards" });
  let cards = new Map(); // what plays goes on playing when another one comes
  const play = async (key, place) => {
    const blob = await file(path(key));
    urls.push(URL.createObjectURL(blob));
    place.replaceChildren(h("audio", { controls: true, src: urls.at(-1) }));
    place.querySelector("audio").play().catch(() => {});
  };
  const card = (one) => {
    const place = h("div", { class: "player" });
    place.append(h("button", { type: "button", class: "primary", onclick: () => play(one.key, place) }, "▶ Play"));
    return h("article", { class: "card" }, h("h2", {}, name(one.key)), h("p", { class: "dim" }, `${instant(one.at)} · ${Math.ceil(one.size / 1024)} KiB`), place,
      h("button", { type: "button", onclick: () => drop(one.key) }, "Delete"));
  };
  const drop = async (key) => { await remove(path(key)); await watching.again(); };
  const watching = looking(
    async () => (await get("/recordings")).recordings,
    (found) => {
      const before = cards;
      cards = new Map(found.map((one) => [one.key, before.get(one.key) ?? card(one)]));
      for (const [key, gone] of before) if (!cards.has(key)) gone.remove();
      [...cards.values()].forEach((one, at) => { if (list.children[at] !== one) list.insertBefore(one, list.children[at] ?? null); });
      const none = empty("No recordings", "A backend makes them with ", h("code", {}, "startRecording"), " and ", h("code", {}, "record"), " in its SVAML.");
      const shown = found.length ? list : none;
      if (body.firstChild !== shown) body.replaceChildren(shown);
    },
  );
  return { ...watching, stop: () => { watching.stop(); urls.forEach((url) => URL.revokeObjectURL(url)); } };
}

export function faults(view) {
  const field = (label, attributes) => h("label", {}, label, h("input", attributes));
  const trouble = h("p", { class: "note", role: "alert", hidden: true });
  const form = h("form", { class: "form" },
    field("Path", { name: "path", required: true, value: "/calling/*", maxlength: 200 }),
    field("Status", { name: "status", type: "number", min: 400, max: 599, placeholder: "503" }),
    field("Delay (ms)", { name: "delayMs", type: "number", min: 0, max: 60000, placeholder: "0" }),
    field("Times", { name: "times", type: "number", min: 1, value: 1 }),
    h("label", { class: "check" }, h("input", { name: "drop", type: "checkbox" }), "drop the connection"),
    h("button", { class: "primary" }, "Add"));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const asked = { path: form.path.value, times: Number(form.times.value || 1), drop: form.drop.checked };
    if (form.status.value) asked.status = Number(form.status.value);
    if (form.delayMs.value) asked.delayMs = Number(form.delayMs.value);
    trouble.hidden = true;
    try {
      await post("/faults", asked);
    } catch (error) {
      trouble.textContent = error.message;
      trouble.hidden = false;
    }
    await watching.again();
  });
  const body = page(view, "Faults");
  const list = h("div");
  body.append(h("p", { class: "dim" }, "Have requests fail, wait or break off, so many times: see how your program takes it."), form, trouble, list);
  const end = async (id) => { await remove(`/faults/${encodeURIComponent(id)}`); await watching.again(); };
  const watching = looking(
    async () => (await get("/faults")).faults,
    (found) =>
      list.replaceChildren(
        found.length
          ? table(["Path", "What happens", "Times left", ""], found.map((one) =>
              cells(h("code", {}, one.path), [one.status, one.delayMs ? `after ${one.delayMs} ms` : null, one.drop ? "dropped" : null].filter(Boolean).join(", "),
                one.times ?? one.left ?? "", h("button", { type: "button", onclick: () => end(one.id) }, "End"))))
          : empty("All is well", "No faults are in force.")),
  );
  return watching;
}

export function events(view) {
  const body = page(view, "Events");
  const list = h("ol", { class: "events" });
  const hint = empty("Nothing happened yet", "Events of no call, and of all calls as they come.");
  body.append(hint, list);
  const line = (one) => {
    const made = h("li", { class: one.is_failure ? "failed" : "" },
      h("button", { type: "button", "aria-expanded": "false" }, h("time", {}, clock(one.at)), h("span", { class: `kind ${one.kind}` }, one.kind),
        h("span", { class: "who" }, name(one.source), h("span", { class: "dim" }, " → "), name(one.target)), h("span", { class: "what" }, one.summary)));
    const button = made.firstElementChild;
    button.addEventListener("click", () => {
      const opens = button.getAttribute("aria-expanded") !== "true";
      button.setAttribute("aria-expanded", opens);
      if (opens) made.append(h("pre", { tabindex: "0" }, one.body ? pretty(one.body) : "nothing more was said"));
      else made.lastElementChild.remove();
    });
    return made;
  };
  const add = (one) => {
    hint.hidden = true;
    list.prepend(line(one));
    while (list.childElementCount > MOST_EVENTS) list.lastElementChild.remove();
  };
  return { start: async () => (await get("/trace/others")).events.slice(-MOST_EVENTS).forEach(add), take: add, stop: () => {} };
}
