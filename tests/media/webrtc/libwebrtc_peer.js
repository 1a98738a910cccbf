// libwebrtc as a peer. Orders come as JSON lines, what happens goes out the same way.
//   offer {restart, bundled: behind a section of video} · remote {type, sdp} · candidate {candidate} · listen {hz, seconds} · meet {times}
"use strict";
const wrtc = require("@roamhq/wrtc");
const { RTCAudioSource, RTCAudioSink } = wrtc.nonstandard;
const RATE = 48000, TICK = RATE / 100;
const toneHz = Number(process.argv[2] || 620);
const tell = (event) => process.stdout.write(JSON.stringify(event) + "\n");
const now = () => Number(process.hrtime.bigint()) / 1e6;

let heard = []; // samples of what came since somebody listens
let rate = RATE;

function tone(source) {
  let said = 0;
  const begun = now();
  return setInterval(() => {
    while (said * 10 < now() - begun) {
      const samples = new Int16Array(TICK);
      for (let i = 0; i < TICK; i++) samples[i] = 8000 * Math.sin((2 * Math.PI * toneHz * (said * TICK + i)) / RATE);
      said++;
      source.onData({ samples, sampleRate: RATE, bitsPerSample: 16, channelCount: 1, numberOfFrames: TICK });
    }
  }, 5);
}

function connection(bundled) {
  const pc = new wrtc.RTCPeerConnection({ iceServers: [], bundlePolicy: bundled ? "max-bundle" : "balanced" });
  if (bundled) pc.addTransceiver("video");
  const source = new RTCAudioSource();
  pc.addTrack(source.createTrack());
  return [pc, source];
}

let pc, ticking;
function open(bundled) {
  if (pc) return;
  let source;
  [pc, source] = connection(bundled);
  ticking = tone(source);
  pc.onicecandidate = (e) => e.candidate && e.candidate.candidate && tell({ event: "candidate", candidate: e.candidate.candidate });
  pc.onconnectionstatechange = () => tell({ event: "state", state: pc.connectionState });
  pc.oniceconnectionstatechange = () => tell({ event: "ice", state: pc.iceConnectionState });
  pc.ontrack = (e) => {
    const sink = new RTCAudioSink(e.track);
    sink.ondata = (d) => {
      if (heard.length < 10 * RATE) for (let i = 0; i < d.samples.length; i += d.channelCount) heard.push(d.samples[i]);
      rate = d.sampleRate;
    };
  };
}

// For each block of 20 ms whether the tone is in it: the longest stretch without, and the share of blocks with it.
function judge(hz) {
  const block = rate / 50;
  let longest = 0, run = 0, there = 0, blocks = 0;
  for (let at = 0; at + block <= heard.length; at += block) {
    let re = 0, im = 0, energy = 0;
    for (let i = 0; i < block; i++) {
      const x = heard[at + i], turn = (2 * Math.PI * hz * i) / rate;
      re += x * Math.cos(turn); im += x * Math.sin(turn); energy += x * x;
    }
    const share = energy ? (2 * (re * re + im * im)) / block / energy : 0;
    blocks++;
    if (share > 0.5) { there++; run = 0; } else longest = Math.max(longest, ++run);
  }
  return { gap_ms: longest * 20, share: blocks ? there / blocks : 0 };
}

// Two connections of this process: milliseconds from createOffer until both are connected.
async function meet() {
  const begun = now(), [a] = connection(), [b] = connection(), late = { a: [], b: [] };
  const add = (one, candidate) => one.addIceCandidate(candidate).catch(() => {}); // it may be closed again
  a.onicecandidate = (e) => e.candidate && (b.remoteDescription ? add(b, e.candidate) : late.b.push(e.candidate));
  b.onicecandidate = (e) => e.candidate && (a.remoteDescription ? add(a, e.candidate) : late.a.push(e.candidate));
  const both = [a, b].map((one) => new Promise((done) => { one.onconnectionstatechange = () => one.connectionState === "connected" && done(); }));
  const offer = await a.createOffer();
  await a.setLocalDescription(offer);
  await b.setRemoteDescription(offer);
  late.b.forEach((c) => add(b, c));
  const answer = await b.createAnswer();
  await b.setLocalDescription(answer);
  await a.setRemoteDescription(answer);
  late.a.forEach((c) => add(a, c));
  await Promise.all(both);
  const took = now() - begun;
  a.close(); b.close();
  return took;
}

const orders = {
  async offer({ restart, bundled }) {
    open(bundled);
    const offer = await pc.createOffer({ iceRestart: !!restart });
    await pc.setLocalDescription(offer);
    tell({ event: "description", type: "offer", sdp: offer.sdp });
  },
  async remote({ type, sdp }) {
    open();
    await pc.setRemoteDescription({ type, sdp });
    if (type === "offer") {
      const answer = await pc.createAnswer();
      await pc.setLocalDescription(answer);
      tell({ event: "description", type: "answer", sdp: answer.sdp });
    } else tell({ event: "taken" });
  },
  async candidate({ candidate }) { await pc.addIceCandidate({ candidate, sdpMid: "0", sdpMLineIndex: 0 }); },
  async listen({ hz, seconds }) {
    heard = [];
    setTimeout(() => tell({ event: "heard", ...judge(hz) }), 1000 * seconds);
  },
  async meet({ times }) {
    const took = [];
    for (let i = 0; i < times; i++) took.push(await meet());
    tell({ event: "met", took });
  },
};

require("readline").createInterface({ input: process.stdin }).on("line", async (line) => {
  const order = JSON.parse(line);
  try { await orders[order.order](order); } catch (error) { tell({ event: "error", order: order.order, reason: String(error) }); }
}).on("close", () => process.exit(0));
tell({ event: "ready" });
