/**
 * wazuh-db's text protocol without its socket (cluster-protocol.md 6.1): a length of four bytes,
 * little-endian, then text; an answer is a status, a space and a payload.
 */
import { WireError } from '../../errors.ts';
import { wazuhDbLimits } from '../../wazuh/wazuh-db.ts';
import { Gather } from '../wire/gather.ts';
import { type WdbAnswer, WdbError } from './wazuh-db.ts';

const headBytes = 4;
const answerForm = /^(ok|due|err)(?: ([\s\S]*))?$/;

/** Length and text. Throws `WireError` above what wazuh-db takes. */
export function encodeWdbText(text: string): Buffer {
  const bytes = Buffer.byteLength(text);
  if (bytes > wazuhDbLimits.messageBytes) {
    throw new WireError('wire_limit', `wazuh-db takes ${wazuhDbLimits.messageBytes} bytes at most`);
  }
  const frame = Buffer.allocUnsafe(headBytes + bytes);
  frame.writeUInt32LE(bytes, 0);
  frame.write(text, headBytes, 'utf8');
  return frame;
}

/** Joins a stream into texts; judges a length before it keeps a byte of that text. */
export class WdbFrames {
  readonly #parts = new Gather();

  /** The texts that became complete. Throws `WireError` for one that is too long. */
  push(chunk: Uint8Array): readonly string[] {
    this.#parts.append(chunk, Number.MAX_SAFE_INTEGER);
    let rest = this.#parts.take();
    const texts: string[] = [];
    for (;;) {
      if (rest.length < headBytes) break;
      const bytes = rest.readUInt32LE(0);
      if (bytes > wazuhDbLimits.messageBytes) {
        throw new WireError('wire_limit', `a database message of ${bytes} bytes was announced`);
      }
      if (rest.length < headBytes + bytes) break;
      texts.push(rest.toString('utf8', headBytes, headBytes + bytes));
      rest = rest.subarray(headBytes + bytes);
    }
    this.#parts.append(rest, Number.MAX_SAFE_INTEGER);
    return texts;
  }
}

/** Status and payload, framed; cut where wazuh-db cuts, by which its clients see that it was. */
export function encodeWdbAnswer({ status, payload }: WdbAnswer): Buffer {
  const text = Buffer.from(payload === '' ? status : `${status} ${payload}`);
  const body = text.subarray(0, wazuhDbLimits.messageBytes);
  const head = Buffer.alloc(headBytes);
  head.writeUInt32LE(body.length, 0);
  return Buffer.concat([head, body]);
}

/** Throws `WdbError` 2007 for what is none of the three. */
export function decodeWdbAnswer(text: string): WdbAnswer {
  const [, status, payload = ''] = answerForm.exec(text) ?? [];
  if (status === 'ok' || status === 'due' || status === 'err') return { status, payload };
  throw new WdbError(2007, text.slice(0, 64));
}
