// Drives the official sinch-rtc package for the tests: commands come as JSON lines on standard input, what the SDK reports goes out
// as JSON lines on standard output. The package runs as published; what it expects of an older Node or of a browser is supplied here.
//
//   node driver.js MODULES OPTIONS
//
// MODULES is the folder that the packages are installed in, OPTIONS is JSON: {url, applicationKey, port, calling, progressTimeout, video}.

'use strict';

const path = require('path');
const Module = require('module');
const http = require('http');
const https = require('https');
const readline = require('readline');

const modules = process.argv[2];
const options = JSON.parse(process.argv[3]);
const load = Module.createRequire(path.join(modules, 'package.json'));

const tell = (event, more = {}) => process.stdout.write(JSON.stringify({ event, ...more }) + '\n');

// ---- The world that the package expects

const LOOPBACK = new Set(['127.0.0.1', 'localhost', '::1']);

/** Every request goes to this machine or nowhere. PubNub 3.16.5 passes "name:port" whole as the host name, with port 443. */
function confine(client, secure) {
  const request = client.request;
  client.request = function (target, ...rest) {
    if (target && typeof target === 'object' && typeof target.hostname === 'string') {
      const [, name, port] = /^(.*?)(?::(\d+))?$/.exec(target.hostname);
      target = { ...target, hostname: name, host: name, port: port || target.port };
    }
    const host = target.hostname || target.host || new URL(String(target)).hostname;
    if (!LOOPBACK.has(String(host).replace(/:\d+$/, ''))) {
      tell('refused', { host, secure });
      target = { ...target, hostname: '127.0.0.1', host: '127.0.0.1', port: 9 }; // the discard port: nobody listens
    }
    return request.call(this, target, ...rest);
  };
}
confine(http, false);
confine(https, true);

http.Agent.super_ = http.Agent.super_ || require('events').EventEmitter; // node 20: a class without super_

const wrtc = load('@roamhq/wrtc');

const { Camera, Eye } = require('./pictures.js');
const camera = options.video ? new Camera(wrtc, options.video) : null; // options.video: the number of its test pictures

class PeerConnection extends wrtc.RTCPeerConnection {
  constructor(configuration) {
    super({ ...configuration, iceServers: [] }); // the package's own STUN servers are on the internet
  }

  addStream(stream) {
    if (camera) this.addTrack(camera.video.createTrack(), stream);
    this.addTrack(microphone.track(), stream); // a source of wrtc's feeds the last connection that its track was added to, and no other
  }

  dispatchEvent(event) {
    event.currentTarget = event.currentTarget || this;
    return super.dispatchEvent(event);
  }
}
// The package shadows `navigator` with an object of its own that lacks these; every object inherits them here.
for (const [name, value] of Object.entries({ userAgent: 'Chrome/100', vendor: '' })) {
  Object.defineProperty(Object.prototype, name, { configurable: true, writable: true, enumerable: false, value });
}
globalThis.RTCPeerConnection = PeerConnection;
globalThis.RTCSessionDescription = wrtc.RTCSessionDescription;
globalThis.RTCIceCandidate = wrtc.RTCIceCandidate;

const resolve = Module._resolveFilename;
Module._resolveFilename = function (request, ...rest) {
  return request === 'wrtc' ? load.resolve('@roamhq/wrtc') : resolve.call(this, request, ...rest); // the package names wrtc's older name
};

process.on('unhandledRejection', (reason) => tell('problem', { text: String((reason && reason.message) || reason) }));
process.on('uncaughtException', (error) => tell('problem', { text: String(error.stack || error) }));
for (const name of ['log', 'info', 'debug', 'warn', 'error']) {
  console[name] = (...words) => process.stderr.write(words.map(String).join(' ') + '\n'); // standard output is ours
}

// ---- Sound

const RATE = 48000;
const FRAME = 480; // 10 ms

/** A microphone that hears one tone, with a track for each connection. */
const microphone = {
  sources: [],
  hz: 0,
  said: 0,
  start() {
    this.stream = new wrtc.MediaStream([this.track()]);
    let due = Date.now();
    setInterval(() => {
      for (; due <= Date.now(); due += 10) this.say();
    }, 10);
  },
  track() {
    this.sources.push(new wrtc.nonstandard.RTCAudioSource());
    return this.sources[this.sources.length - 1].createTrack();
  },
  say() {
    const samples = new Int16Array(FRAME);
    if (this.hz) for (let i = 0; i < FRAME; i++) samples[i] = 8000 * Math.sin((2 * Math.PI * this.hz * (this.said + i)) / RATE);
    this.said += FRAME;
    for (const source of this.sources) source.onData({ samples, sampleRate: RATE, bitsPerSample: 16, channelCount: 1, numberOfFrames: FRAME });
  },
};
microphone.start();

/** The share of a tone in the energy of what a call's stream brings, over the last second. */
class Ear {
  constructor(stream) {
    this.frames = [];
    this.rate = RATE;
    this.sink = new wrtc.nonstandard.RTCAudioSink(stream.getAudioTracks()[0]);
    this.sink.ondata = ({ samples, sampleRate, channelCount }) => {
      this.rate = sampleRate;
      const mono = channelCount === 1 ? Float64Array.from(samples) : Float64Array.from(samples.filter((_, i) => i % channelCount === 0));
      this.frames.push(mono);
      if (this.frames.length > 100) this.frames.shift();
    };
  }

  share(hz) {
    let re = 0, im = 0, energy = 0, at = 0;
    for (const frame of this.frames) {
      for (const sample of frame) {
        const angle = (2 * Math.PI * hz * at++) / this.rate;
        re += sample * Math.cos(angle);
        im += sample * Math.sin(angle);
        energy += sample * sample;
      }
    }
    return energy ? (2 * (re * re + im * im)) / (at * energy) : 0;
  }
}

// ---- The SDK

const SinchClient = load('sinch-rtc');

const client = new SinchClient({
  applicationKey: options.applicationKey,
  capabilities: { messaging: true, calling: options.calling !== false, multiCall: Boolean(options.multiCall), video: Boolean(options.video) },
  urlObj: {
    ...Object.fromEntries(['base', 'user', 'calling', 'messaging', 'portal', 'reporting', 'reporting_v2'].map((root) => [root, options.url + '/v1/'])),
    verification: options.url + '/verification/v1/', // as its own host has it
  },
  startActiveConnection: options.calling !== false,
  supportActiveConnection: true,
  progressTimeout: options.progressTimeout,
  onLogMessage: (note) => process.stderr.write(`${(performance.now() / 1000).toFixed(3)} sdk: ${note.message}\n`),
});

const calls = new Map();
const ears = new Map();
const eyes = new Map();

function look(call) {
  const [track] = calls.get(call).incomingStream ? calls.get(call).incomingStream.getVideoTracks() : [];
  if (track && !eyes.has(call)) eyes.set(call, new Eye(wrtc, track));
}

function follow(call) {
  calls.set(call.callId, call);
  const say = (event) => (one) =>
    tell(event, { call: (one || call).callId, cause: call.getEndCause && call.getEndCause(), error: call.error && call.error.message });
  call.addEventListener({
    onCallProgressing: say('progressing'),
    onCallEstablished: say('established'),
    onCallEnded: say('ended'),
    onRemoteTrack: () => ears.set(call.callId, new Ear(call.incomingStream)), // its argument is not the stream
  });
  return call;
}

const messages = client.getMessageClient();
messages.addEventListener({
  onIncomingMessage: (message) =>
    tell('message', {
      id: message.messageId,
      sender: message.senderId,
      recipients: message.recipientIds,
      text: message.textBody,
      headers: message.headers,
      own: Boolean(message.direction),
    }),
  onMessageDelivered: (receipt) => tell('receipt', { id: receipt.messageId, recipient: receipt.recipientId }),
});

if (options.calling !== false) {
  client.getCallClient().localMediaStream = microphone.stream; // as if the microphone had been used before
  client.getCallClient().addEventListener({
    onIncomingCall: (call) => {
      follow(call);
      tell('incoming', { call: call.callId, from: call.fromId, headers: call.customHeaders });
    },
  });
}

const why = (error) => String((error && error.message) || (error && error.status) || error);

const verifications = new Map();

const commands = {
  verify({ number, method }) {
    const make = { sms: 'createSmsVerification', flashcall: 'createFlashCallVerification', callout: 'createCalloutVerification' }[method];
    const verification = client[make](number, 'of mine');
    verifications.set(method, verification);
    const done = verification.initiate();
    return method === 'callout'
      ? (tell('initiated', { method }), done.then(() => tell('verified', { method })))
      : done.then(() => tell('initiated', { method }));
  },
  report({ method, code }) {
    return verifications.get(method).verify(code).then((answer) => tell('verified', { method, status: answer.status }));
  },
  start: ({ credentials }) => client.start(credentials).then(() => tell('started', { user: client.user.userId })),
  create: ({ user }) => client.newUser(user).then((ticket) => tell('created', { ticket })),
  startNew: ({ user }) => client.newUser(user).then((ticket) => client.start(ticket)).then(() => tell('started', { user: client.user.userId })),
  send: ({ to, text, headers }) => {
    const message = messages.newMessage(to, text, headers);
    tell('sending', { id: message.messageId });
    return messages.send(message).then(() => tell('sent', { id: message.messageId }));
  },
  tone: ({ hz }) => { microphone.hz = hz; },
  callUser: ({ to, headers }) => tell('calling', { call: follow(client.getCallClient().callUser(to, headers)).callId }),
  callSip: ({ to, headers }) => tell('calling', { call: follow(client.getCallClient().callSip(to, headers)).callId }),
  callPhone: ({ to }) => tell('calling', { call: follow(client.getCallClient().callPhoneNumber(to)).callId }),
  callGroup: ({ name }) => {
    const peer = (call) => (call.fromId === client.user.userId ? call.toId : call.fromId);
    const say = (event) => (call) => {
      calls.set(call.callId, call);
      tell(event, { call: call.callId, peer: peer(call) });
    };
    const subscribe = client.mxp.subscribeNotificationChannel; // once it has announced itself; who comes before it is through isn't seen
    client.mxp.subscribeNotificationChannel = function (channel) {
      return subscribe.call(this, channel).then(() => tell('groupSubscribed'));
    };
    client.getCallClient().callGroup(name).addEventListener({
      onGroupLocalMediaAdded: () => tell('groupMedia'),
      onGroupRemoteCallAdded: say('groupAdded'),
      onGroupRemoteCallRemoved: say('groupRemoved'),
    });
  },
  answer: ({ call }) => calls.get(call).answer(),
  hangUp: ({ call }) => calls.get(call).hangup(),
  listen: ({ call, hz }) => {
    if (!ears.has(call) && calls.get(call).incomingStream) ears.set(call, new Ear(calls.get(call).incomingStream));
    setTimeout(() => tell('heard', { call, share: ears.has(call) ? ears.get(call).share(hz) : 0 }), 1500);
  },
  see: ({ call, source }) => {
    look(call);
    const eye = eyes.get(call);
    setTimeout(() => tell('seen', { call, pictures: eye && eye.seen[source] ? eye.seen[source].size : 0, frames: eye ? eye.frames : 0 }), 500);
  },
  terminate: () => { client.terminate(); tell('terminated'); },
  exit: () => process.exit(0),
};

readline.createInterface({ input: process.stdin }).on('line', (line) => {
  const { command, ...parameters } = JSON.parse(line);
  Promise.resolve()
    .then(() => commands[command](parameters))
    .catch((error) => tell('failed', { command, text: why(error) }));
}).on('close', () => process.exit(0));

tell('ready');
