/** How a node answers a program of its host later than at once (cluster-protocol.md 2.2.2, 2.2.3). */

import { messageOf } from '../../guards.ts';
import { encode, runSafely } from '../calls/call-answer.ts';
import { sendString } from '../upload.ts';
import type { CallResult } from '../wire/result-json.ts';
import type { LocalPeer } from './local-server.ts';

/** Longest answer that Wazuh's C daemons read. */
export const daemonAnswerBytes = 65_536;

/** A call's result as a string, then `dapi_res`. Never rejects. */
export async function answerCallLater(
  { link, log, signal }: LocalPeer,
  run: () => Promise<CallResult>,
): Promise<void> {
  try {
    const bytes = encode(await runSafely(run));
    await link.request('localCallDone', await sendString(link, bytes, { signal }), { signal });
  } catch (error) {
    if (!link.isOpen || signal.aborted) return;
    const text = messageOf(error);
    log.error(`Error in distributed API: ${text}`);
    link.request('localCallFailed', Buffer.from(text)).catch(() => undefined);
  }
}

/** `control_res`. Never rejects: a program that hung up does not wait. */
export async function answerControlLater({ link }: LocalPeer, payload: Uint8Array): Promise<void> {
  await link.request('controlDone', payload).catch(() => undefined);
}

/**
 * A daemon's answer as a request of our own: C daemons take the first frame they get for the
 * answer, look only at whether it begins with `err`, and hang up without a reply.
 */
export async function answerDaemonLater(
  { link }: LocalPeer,
  ask: () => Promise<Buffer>,
): Promise<void> {
  const answer = await ask().then(
    (bytes) => ({ isGood: true, bytes }),
    (error: unknown) => ({ isGood: false, bytes: Buffer.from(messageOf(error)) }),
  );
  const isGood = answer.isGood && answer.bytes.length <= daemonAnswerBytes;
  const bytes = answer.isGood && !isGood ? tooLong : answer.bytes;
  const command = isGood ? 'localDaemonAnswered' : 'localDaemonFailed';
  if (link.isOpen) await link.request(command, bytes).catch(() => undefined);
}

const tooLong = Buffer.from(
  `Error 1014 - Error communicating with socket: the answer has more than ${daemonAnswerBytes} bytes`,
);
