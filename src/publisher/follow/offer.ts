/**
 * What a follower is offered, from wherever: a list with the roots under it, as bytes that prove
 * themselves. As one piece, a bundle, it lies on a follower's disk and travels between nodes.
 */
import * as z from 'zod';
import { decodeBase64Url, encodeBase64Url } from '../../bytes.ts';
import { ListError } from '../../errors.ts';
import type { FlatForm } from '../../list/flat.ts';
import { listLimits } from '../../list/model.ts';
import type { PollReceipt } from '../../list/receipt.ts';

export interface Offer {
  /** Envelope of root N; undefined where there is none. Throws PilotfishError. */
  root(version: number): Promise<Uint8Array | undefined>;
  readonly list: Uint8Array;
  /** While a rollout goes on: what hosts without any list get. */
  readonly newcomers?: Uint8Array;
  /** Of `newcomers`, else of `list`. */
  readonly flat?: FlatForm;
  readonly receipt?: PollReceipt;
}

/** An offer without its receipt, which is for one poll only. */
export interface Bundle extends Omit<Offer, 'root' | 'receipt'> {
  /** From the first one on, without a gap. */
  readonly roots: readonly Uint8Array[];
}

export const maxRoots = 1_000;
/** More than any list with its roots takes in years of weekly roots. */
export const maxBundleBytes = 8 * 1024 * 1024;
const maxFlatBytes = 16 * 1024;

const bytes = (maxBytes: number) =>
  z
    .string()
    .max(Math.ceil((maxBytes * 4) / 3))
    .transform((text, context) => {
      const read = decodeBase64Url(text);
      if (read !== undefined) return read;
      context.addIssue({ code: 'custom', message: 'expected base64url' });
      return z.NEVER;
    });

const envelope = bytes(listLimits.maxEnvelopeBytes);
const shape = z.strictObject({
  bundle: z.literal(1),
  roots: z.array(envelope).min(1).max(maxRoots),
  list: envelope,
  newcomers: envelope.optional(),
  flat: z.strictObject({ text: bytes(maxFlatBytes), signature: bytes(1_024) }).optional(),
});

export function encodeBundle({ roots, list, newcomers, flat }: Bundle): Buffer {
  return Buffer.from(
    JSON.stringify({
      bundle: 1,
      roots: roots.map(encodeBase64Url),
      list: encodeBase64Url(list),
      ...(newcomers === undefined ? {} : { newcomers: encodeBase64Url(newcomers) }),
      ...(flat === undefined
        ? {}
        : {
            flat: {
              text: encodeBase64Url(flat.text),
              signature: encodeBase64Url(flat.signature),
            },
          }),
    }),
  );
}

/** Nothing in it is proven. Throws ListError `too_big`, `envelope_syntax`. */
export function decodeBundle(text: Uint8Array): Bundle {
  if (text.length > maxBundleBytes) {
    throw new ListError('too_big', `bundle: ${text.length} bytes; allowed: ${maxBundleBytes}`);
  }
  const read = shape.safeParse(parseJson(text));
  if (!read.success) {
    const where = read.error.issues[0]?.path.join('.') ?? '';
    throw new ListError(
      'envelope_syntax',
      `bundle: ${where || 'it'} is damaged or of another form`,
    );
  }
  const { roots, list, newcomers, flat } = read.data;
  return {
    roots,
    list,
    ...(newcomers === undefined ? {} : { newcomers }),
    ...(flat === undefined ? {} : { flat }),
  };
}

function parseJson(text: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(text).toString('utf8'));
  } catch {
    return undefined;
  }
}

export function offerOf({ roots, ...rest }: Bundle): Offer {
  return { ...rest, root: async (version) => roots[version - 1] };
}
