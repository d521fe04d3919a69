// What @openfeature/ofrep-web-provider resolves through @openfeature/web-sdk, as one JSON document.
// Argument: {url, headers, context, poll, steps: [{resolve: [{flag, type, default}]} | {context} | {wait}]}.
import { OFREPWebProvider } from '@openfeature/ofrep-web-provider';
import { OpenFeature, ProviderEvents } from '@openfeature/web-sdk';

const task = JSON.parse(process.argv[2]);
const answered = [];
const events = [];
const watched = async (request, options) => {
  const asked = { ifNoneMatch: request.headers.get('if-none-match'), at: Date.now() };
  const answer = await fetch(request, options);
  answered.push({ ...asked, status: answer.status, etag: answer.headers.get('etag') });
  return answer;
};
for (const event of [ProviderEvents.ConfigurationChanged, ProviderEvents.Stale, ProviderEvents.Error]) {
  OpenFeature.addHandler(event, (details) => events.push({ event, flagsChanged: details?.flagsChanged }));
}
await OpenFeature.setContext(task.context ?? {});
let failure = null;
try {
  await OpenFeature.setProviderAndWait(
    new OFREPWebProvider({
      baseUrl: task.url,
      headers: task.headers,
      pollInterval: task.poll ?? 0,
      cacheMode: 'disabled',
      fetchImplementation: watched,
    }),
  );
} catch (error) {
  failure = error.code ?? error.name;
}
const client = OpenFeature.getClient();
const details = [];
for (const step of task.steps) {
  if (step.context) await OpenFeature.setContext(step.context);
  if (step.wait) await new Promise((resolve) => setTimeout(resolve, step.wait));
  for (const { flag, type, default: fallback } of step.resolve ?? []) {
    details.push(client[`get${type}Details`](flag, fallback));
  }
}
console.log(JSON.stringify({ details, answered, events, failure, status: client.providerStatus }));
process.exit(0);
