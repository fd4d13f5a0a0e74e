// Runs the function of this folder as OpenWhisk's runtime for Node.js does: loaded once, with the environment set before each run.
'use strict';

const fs = require('node:fs');
const readline = require('node:readline');

const { main } = require(__dirname);

const answer = (object) => fs.writeSync(3, `${JSON.stringify(object)}\n`);

(async () => {
  if (process.env.__OW_WAIT_FOR_ACK) {
    answer({ ok: true });
  }
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const { value, ...metadata } = JSON.parse(line);
    for (const [key, text] of Object.entries(metadata)) {
      process.env[`__OW_${key.toUpperCase()}`] = text;
    }
    try {
      answer(await main(value));
    } catch (error) {
      answer({ error: String(error) });
    }
  }
  // A container is killed while exports may still go on.
  process.exit(0);
})();
