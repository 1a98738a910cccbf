// One end of a measured call by libwebrtc (npm: @roamhq/wrtc). Obeys the JSON lines that quality_peer.py describes.
// usage: node quality_peer.js HEARD.raw SAID.raw        WRTC is the path of the module
"use strict";
const fs = require("fs");
const wrtc = require(process.env.WRTC);

const [heardFile, saidFile] = process.argv.slice(2);
const BLOCK = 480;
const FRAME_MS = 20;
const tell = (what) => process.stdout.write(JSON.stringify(what) + "\n");
const now = () => Number(process.hrtime.bigint()) / 1e6;

const connection = new wrtc.RTCPeerConnection({ iceServers: [] });
const source = new wrtc.nonstandard.RTCAudioSource();
const heard = [];
connection.addTrack(source.createTrack());

connection.ontrack = ({ track }) => {
  new wrtc.nonstandard.RTCAudioSink(track).ondata = ({ samples, channelCount }) => {
    if (!heard.length) tell({ heard_at: now() });
    const frames = samples.length / channelCount; // 10 ms of 48 kHz; of less, and silence, before the first packet
    heard.push(Int16Array.from({ length: BLOCK }, (_, index) => samples[Math.floor((index * frames) / BLOCK) * channelCount]));
  };
};

// Two blocks of 10 ms at once: the same 20 ms at a time as everybody else hands over.
function speak() {
  const bytes = fs.readFileSync(saidFile);
  const sound = new Int16Array(bytes.buffer, bytes.byteOffset, bytes.length >> 1);
  const begun = now();
  let block = 0;
  tell({ said_at: begun });
  setInterval(() => {
    for (const due = 2 * Math.floor((now() - begun) / FRAME_MS) + 2; block < due; block++) {
      const samples = new Int16Array(BLOCK);
      samples.set(sound.subarray(block * BLOCK, (block + 1) * BLOCK));
      source.onData({ samples, sampleRate: 48000, bitsPerSample: 16, channelCount: 1, numberOfFrames: BLOCK });
      if (block === Math.floor(sound.length / BLOCK)) tell({ said: now() });
    }
  }, 2);
}

connection.onconnectionstatechange = () => {
  if (connection.connectionState === "connected" && !speak.begun) {
    speak.begun = true;
    speak();
  }
};

const gathered = () =>
  new Promise((resolve) => {
    const check = () => connection.iceGatheringState === "complete" && resolve();
    connection.addEventListener("icegatheringstatechange", check);
    check();
  });

async function describe(description) {
  await connection.setLocalDescription(description);
  await gathered();
  tell({ sdp: connection.localDescription.sdp });
}

const orders = {
  offer: async () => describe(await connection.createOffer()),
  answer: async ({ sdp }) => {
    await connection.setRemoteDescription({ type: "offer", sdp });
    await describe(await connection.createAnswer());
  },
  accept: ({ sdp }) => connection.setRemoteDescription({ type: "answer", sdp }),
  end: () => {
    fs.writeFileSync(heardFile, Buffer.concat(heard.map((block) => Buffer.from(block.buffer))));
    tell({ ended: {} });
    setTimeout(() => process.exit(0), 100);
  },
};

require("readline")
  .createInterface({ input: process.stdin })
  .on("line", async (line) => {
    const order = JSON.parse(line);
    try {
      await orders[order.do](order);
    } catch (error) {
      tell({ error: String(error) });
    }
  })
  .on("close", () => process.exit(0));
