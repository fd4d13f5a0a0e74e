// A function for Apache OpenWhisk: it greets, and invokes the first of the functions in params.then, which goes on with the rest.
'use strict';

const { traced } = require('./tracing');

exports.main = traced(async (params, announce) => {
  const [next, ...then] = params.then ?? [];
  if (next) {
    await invoke(next, { name: params.name, then, ...announce(next) });
  }
  return { greeting: `Hello, ${params.name}!` };
});

// invoke invokes a function of the same namespace, and does not wait for its end. Its key is there with the annotation provide-api-key.
async function invoke(name, payload) {
  const url = `${process.env.__OW_API_HOST}/api/v1/namespaces/_/actions/${name}?blocking=false`;
  const answer = await fetch(url, {
    method: 'POST',
    headers: {
      authorization: `Basic ${Buffer.from(process.env.__OW_API_KEY).toString('base64')}`,
      'content-type': 'application/json',
    },
    body: JSON.stringify(payload),
  });
  if (!answer.ok) {
    throw new Error(`invoking ${name}: ${answer.status} ${await answer.text()}`);
  }
  await answer.body?.cancel();
}
