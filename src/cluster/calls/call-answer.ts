/** Sending the result of a call to whoever asked over a link: a string, then its name. */
import { messageOf } from '../../guards.ts';
import type { Link } from '../link.ts';
import type { NodeLog } from '../tasks/node-log.ts';
import { expectOk, sendString } from '../upload.ts';
import { fault } from '../wire/fault.ts';
import { PayloadError } from '../wire/payload.ts';
import { type CallResult, encodeCallResult } from '../wire/result-json.ts';

/** Longest result that is kept in memory on its way. */
export const maxResultBytes = 128 * 1024 * 1024;

export interface CallAsker {
  readonly link: Link;
  /** The asker's own id of the call; echoed and nothing else. */
  readonly id: string;
  readonly log: NodeLog;
  readonly signal: AbortSignal;
}

/**
 * Run and answer; never rejects. A call that cannot even be read is answered by a result too: a
 * stock node cannot read the text that `dapi_err` brings.
 */
export async function answerCall(asker: CallAsker, run: () => Promise<CallResult>): Promise<void> {
  const { link, id, log, signal } = asker;
  try {
    const bytes = encode(await runSafely(run));
    const stringId = await sendString(link, bytes, { signal });
    expectOk(await link.request('callResult', { id, stringId }, { signal }), 'dapi_res');
  } catch (error) {
    if (!link.isOpen || signal.aborted) return;
    const text = messageOf(error);
    log.error(`Error in distributed API: ${text}`);
    link.request('callFailed', { id, text: text.slice(0, 1024) }).catch(() => undefined);
  }
}

export async function runSafely(run: () => Promise<CallResult>): Promise<CallResult> {
  try {
    return await run();
  } catch (error) {
    if (!(error instanceof PayloadError)) throw error;
    return { kind: 'fault', fault: fault(1000, error.message) };
  }
}

export function encode(result: CallResult): Buffer {
  const bytes = encodeCallResult(result);
  if (bytes.length <= maxResultBytes) return bytes;
  const why = `the answer has ${bytes.length} bytes; ask for less at once`;
  return encodeCallResult({ kind: 'fault', fault: fault(1000, why) });
}
