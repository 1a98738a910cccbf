// Drives Sinch's server SDK for Node (@sinch/sdk-core) for the tests: calls of its methods come as JSON lines, results go out as JSON lines.
//
//   node server_sdk_driver.js MODULES OPTIONS        OPTIONS is JSON: {url, key, secret}
//
//   {"call": "voice.callouts.tts", "arguments": [{…}]} -> {"result": …} or {"error": "…"}

'use strict';

const path = require('path');
const Module = require('module');
const readline = require('readline');

const load = Module.createRequire(path.join(process.argv[2], 'package.json'));
const options = JSON.parse(process.argv[3]);
const { SinchClient, VerificationCallbackWebhooks, VoiceCallbackWebhooks } = load('@sinch/sdk-core');

console.log = console.info = console.debug = console.error; // what the SDK says goes beside
const credentials = { applicationKey: options.key, applicationSecret: options.secret };
const client = new SinchClient(credentials);
client.webhooks = { voice: new VoiceCallbackWebhooks(credentials), verification: new VerificationCallbackWebhooks(credentials) };
client.voice.setHostname(options.url);
client.voice.setApplicationsManagementHostname(options.url);
client.verification.setHostname(options.url);

async function answer(line) {
  const { call, arguments: given } = JSON.parse(line);
  const names = call.split('.');
  const method = names.pop();
  try {
    const api = names.reduce((object, name) => object[name], client);
    return { result: (await api[method](...given)) ?? null };
  } catch (error) {
    return { error: String(error.message || error), data: error.data ?? null, status: error.statusCode ?? null };
  }
}

readline.createInterface({ input: process.stdin }).on('line', async (line) => {
  process.stdout.write(JSON.stringify(await answer(line)) + '\n');
});
