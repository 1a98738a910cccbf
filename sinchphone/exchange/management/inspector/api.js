// What is asked of the exchange, with the token that came in the address (behind #, where no server sees it).

const ROOT = "/__sinchphone";
const KEPT = "sinchphone token";

function takeToken() {
  const hash = location.hash.slice(1);
  if (/^[0-9a-f]{32,}$/.test(hash)) {
    sessionStorage.setItem(KEPT, hash);
    history.replaceState(null, "", `${location.pathname}#/calls`);
  }
  return sessionStorage.getItem(KEPT) ?? "";
}

let token = takeToken();

/** Take a token that is put behind # later on; whether there was one. */
export function retakeToken() {
  const before = token;
  token = takeToken();
  return token !== before;
}

export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

async function ask(path, options = {}) {
  const headers = { Authorization: `Bearer ${token}`, ...options.headers };
  const answer = await fetch(ROOT + path, { ...options, headers, cache: "no-store", credentials: "omit", redirect: "error" });
  if (!answer.ok) {
    let message = `the exchange answers ${answer.status}`;
    try {
      message = (await answer.json()).message ?? message;
    } catch {
      // it isn't JSON
    }
    throw new Refused(answer.status, message);
  }
  return answer;
}

export const get = async (path) => (await ask(path)).json();
export const file = async (path) => (await ask(path)).blob();
export const remove = (path) => ask(path, { method: "DELETE" });
export const post = async (path, members) =>
  (await ask(path, { method: "POST", body: JSON.stringify(members), headers: { "Content-Type": "application/json" } })).json();

/** Hand events on as they come, for ever; tell(true) once the exchange is there, tell(false) where it's gone. */
export async function follow(take, tell) {
  for (let pause = 500; ; pause = Math.min(pause * 2, 8000)) {
    try {
      const reader = (await ask("/trace/live")).body.pipeThrough(new TextDecoderStream()).getReader();
      tell(true);
      pause = 500;
      await read(reader, take);
    } catch (error) {
      if (error instanceof Refused && [401, 403].includes(error.status)) throw error;
    }
    tell(false);
    await new Promise((done) => setTimeout(done, pause));
  }
}

async function read(reader, take) {
  let left = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const parts = (left + value).split("\n\n");
    left = parts.pop();
    for (const part of parts) {
      if (part.startsWith("data: ")) take(JSON.parse(part.slice(6)));
    }
  }
}
