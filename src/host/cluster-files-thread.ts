/** Entry of the thread for files: takes messages, answers each. */
import { parentPort, workerData } from 'node:worker_threads';
import type { FilesSettings } from '../cluster/files/jobs.ts';
import { failureOf, type JobMessage, type JobReply, type Jobs } from './cluster-files-messages.ts';
import { FilesWorker } from './cluster-files-worker.ts';

interface ThreadData {
  readonly settings: FilesSettings;
  readonly generation: number;
}

const { settings, generation } = workerData as ThreadData;
let worker: FilesWorker | undefined;

type Answer = Jobs[JobMessage['kind']]['answer'];

/** The kind decides the type of `ask`; both come from our own adapter. */
async function perform({ kind, ask }: JobMessage): Promise<Answer> {
  worker ??= new FilesWorker(settings, generation);
  const job = worker[kind] as (ask: unknown) => Answer | Promise<Answer>;
  return job.call(worker, ask);
}

function transferOf(answer: Answer): ArrayBuffer[] {
  const isChunk = typeof answer === 'object' && answer !== null && 'bytes' in answer;
  return isChunk && answer.bytes instanceof Uint8Array ? [answer.bytes.buffer] : [];
}

parentPort?.on('message', (message: JobMessage) => {
  perform(message).then(
    (answer) => {
      const reply: JobReply = { id: message.id, kind: 'done', answer };
      parentPort?.postMessage(reply, transferOf(answer));
    },
    (error: unknown) => {
      const reply: JobReply = { id: message.id, kind: 'failed', failure: failureOf(error) };
      parentPort?.postMessage(reply);
    },
  );
});
