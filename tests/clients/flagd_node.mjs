// Decisions of the published flagd provider for Node, in process, from a file. Standard input:
// {"document": path, "flags": [[key, type]…], "contexts": […]}. Standard output: for each context,
// for each flag [value, variant, reason, error code].
import { readFileSync, writeSync } from 'node:fs';
import { FlagdProvider } from '@openfeature/flagd-provider';
import { OpenFeature } from '@openfeature/server-sdk';

const asked = JSON.parse(readFileSync(0, 'utf8'));
await OpenFeature.setProviderAndWait(
  new FlagdProvider({ resolverType: 'in-process', offlineFlagSourcePath: asked.document }),
);
const client = OpenFeature.getClient();
const calls = {
  boolean: (flag, context) => client.getBooleanDetails(flag, true, context),
  string: (flag, context) => client.getStringDetails(flag, 'caller', context),
  integer: (flag, context) => client.getNumberDetails(flag, 123456789, context),
  float: (flag, context) => client.getNumberDetails(flag, 0.123, context),
  object: (flag, context) => client.getObjectDetails(flag, { caller: 1 }, context),
};
const answers = [];
for (const context of asked.contexts) {
  const row = [];
  for (const [flag, kind] of asked.flags) {
    const { value, variant, reason, errorCode, errorMessage } = await calls[kind](flag, context);
    row.push([value, variant ?? null, reason, errorCode ? `${errorCode}: ${errorMessage}` : null]);
  }
  answers.push(row);
}
const text = Buffer.from(JSON.stringify(answers));
for (let sent = 0; sent < text.length; ) {
  try {
    sent += writeSync(1, text, sent);
  } catch (error) {
    if (error.code !== 'EAGAIN') throw error;
  }
}
process.exit(0);
