// What @openfeature/ofrep-provider resolves through @openfeature/server-sdk, as one JSON document.
// Argument: {url, headers, questions: [{flag, type, default, context}], pause: milliseconds before the last}.
import { OFREPProvider } from '@openfeature/ofrep-provider';
import { OpenFeature } from '@openfeature/server-sdk';

const task = JSON.parse(process.argv[2]);
const answered = [];
const watched = async (request, options) => {
  const answer = await fetch(request, options);
  answered.push({ status: answer.status, retryAfter: answer.headers.get('retry-after') });
  return answer;
};
await OpenFeature.setProviderAndWait(
  new OFREPProvider({ baseUrl: task.url, headers: task.headers, fetchImplementation: watched }),
);
const client = OpenFeature.getClient();
const details = [];
for (const [position, { flag, type, default: fallback, context }] of task.questions.entries()) {
  if (task.pause && position === task.questions.length - 1) {
    await new Promise((resolve) => setTimeout(resolve, task.pause));
  }
  details.push(await client[`get${type}Details`](flag, fallback, context));
}
console.log(JSON.stringify({ details, answered }));
