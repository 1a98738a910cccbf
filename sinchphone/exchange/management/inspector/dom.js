// Elements out of texts: nothing that others wrote is ever read as HTML.

const HARMFUL = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff0-\ufffb]/g;

/** A text with what hides, turns or controls text made visible. */
export function plain(text) {
  return String(text ?? "").replace(HARMFUL, (one) => `\\u${one.codePointAt(0).toString(16).padStart(4, "0")}`);
}

/** An element: h("p", {class: "x", onclick: f}, "text", child). */
export function h(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === undefined || value === null) continue;
    if (key.startsWith("aria-")) {
      made.setAttribute(key, String(value));
      continue;
    }
    if (value === false) continue;
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (key === "vars") for (const [which, to] of Object.entries(value)) made.style.setProperty(which, to);
    else if (value === true) made.setAttribute(key, "");
    else made.setAttribute(key, String(value));
  }
  for (const child of children.flat()) {
    if (child === null || child === undefined || child === false) continue;
    made.append(child instanceof Node ? child : plain(child));
  }
  return made;
}

/** A name that others chose, which turns no text around it. */
export const name = (text) => h("bdi", { class: "name" }, text === "" ? "(nobody)" : text);

export const clock = (seconds) => new Date(seconds * 1000).toLocaleTimeString([], { hour12: false });

export const instant = (text) => {
  const at = new Date(text);
  return Number.isNaN(at.valueOf()) ? "" : at.toLocaleString([], { hour12: false });
};

export function duration(seconds) {
  if (seconds < 1) return `${Math.max(0, Math.round(seconds * 1000))} ms`;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  return `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")} min`;
}

export const empty = (title, ...hint) => h("div", { class: "empty" }, h("strong", {}, title), h("p", {}, ...hint));
