// npm's web-push as a sender, and web-push-testing as a receiver, for the tests.
//
//   node web_push_driver.js MODULES keys                    prints a VAPID key pair
//   node web_push_driver.js MODULES send REQUEST            REQUEST is JSON: {subscription, keys, text, ttl}; prints the status
//   node web_push_driver.js MODULES receive PORT            serves until standard input ends

'use strict';

const http = require('http');
const path = require('path');
const Module = require('module');

const [, , modules, command, argument] = process.argv;
const load = Module.createRequire(path.join(modules, 'package.json'));

if (command === 'keys') {
  process.stdout.write(JSON.stringify(load('web-push').generateVAPIDKeys()));
} else if (command === 'send') {
  const { subscription, keys, text, ttl } = JSON.parse(argument);
  const details = load('web-push').generateRequestDetails(subscription, text, {
    TTL: ttl,
    vapidDetails: { subject: 'mailto:test@example.org', ...keys },
    contentEncoding: 'aes128gcm',
  });
  const request = http.request(details.endpoint, { method: details.method, headers: details.headers }, (answer) => {
    process.stdout.write(String(answer.statusCode));
    answer.resume();
  });
  request.end(details.body);
} else {
  const { PushApiModel } = load('web-push-testing/src/PushApiModel.js');
  const WebPushTestingServer = load('web-push-testing/src/server.js');
  new WebPushTestingServer(new PushApiModel(), Number(argument)).startServer();
  process.stdin.on('end', () => process.exit(0)).resume();
}
