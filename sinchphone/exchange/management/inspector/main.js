// Which view is shown, by what stands behind # in the address; and events as they come.

import { Refused, follow, retakeToken } from "./api.js";
import { calls } from "./calls.js";
import { empty, h } from "./dom.js";
import { events, faults, messages, recordings, rooms, sms, users } from "./views.js";

const VIEWS = { calls, messages, sms, users, rooms, recordings, faults, events };
const TITLES = { sms: "SMS" };

const place = document.getElementById("view");
const live = document.getElementById("live");
let current = { stop: () => {} };

function nav(chosen) {
  const links = Object.keys(VIEWS).map((key) =>
    h("a", { href: `#/${key}`, "aria-current": key === chosen ? "page" : null }, TITLES[key] ?? key[0].toUpperCase() + key.slice(1)),
  );
  document.getElementById("nav").replaceChildren(...links);
  document.querySelector("nav [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
}

async function show() {
  if (retakeToken()) return location.reload();
  let parts = ["calls"];
  try {
    parts = location.hash.replace(/^#\/?/, "").split("/").map(decodeURIComponent);
  } catch {
    // no address of ours
  }
  const [key, ...rest] = Object.hasOwn(VIEWS, parts[0]) ? parts : ["calls"];
  nav(key);
  current.stop();
  place.replaceChildren();
  current = VIEWS[key](place, rest);
  try {
    await current.start();
  } catch (error) {
    fail(error);
  }
}

function fail(error) {
  const isDenied = error instanceof Refused && [401, 403].includes(error.status);
  place.replaceChildren(
    isDenied
      ? empty("This page needs the exchange's token", "Open the address that ", h("code", {}, "sinchphone exchange"), " printed: the token is in it.")
      : empty("That isn't there", error.message),
  );
}

function tell(isThere) {
  live.textContent = isThere ? "live" : "the exchange is gone";
  live.className = `live ${isThere ? "on" : "off"}`;
}

addEventListener("hashchange", show);
await show();
follow((event) => current.take?.(event), tell).catch((error) => {
  tell(false);
  live.textContent = "no access";
  fail(error);
});
