// Whether a document keeps to the schema that flagd's own client for Node carries: `node flagd_schema.mjs FILE`.
import { readFileSync } from 'node:fs';
import { MemoryStorage } from '@openfeature/flagd-core';

const quiet = { debug() {}, info() {}, warn() {}, error() {} };
try {
  new MemoryStorage(quiet).setConfigurations(readFileSync(process.argv[2], 'utf8'), true);
} catch (error) {
  console.error(error.message);
  process.exit(1);
}
