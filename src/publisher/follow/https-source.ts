/**
 * Another publisher, or any web server with the files of one, as a source: asked as a sidecar asks,
 * with a nonce, and held back until there is news. While a rollout goes on, it is also asked what a
 * host without any list gets.
 */
import { encodeBase64Url, sha256Tag } from '../../bytes.ts';
import type { Random } from '../../clock.ts';
import { PeerError } from '../../errors.ts';
import { parseEnvelope } from '../../list/envelope.ts';
import { listLimits } from '../../list/model.ts';
import { parseList } from '../../list/parse-list.ts';
import { verifyReceipt } from '../../list/receipt.ts';
import type { Followed, FollowSource, Look } from './follower.ts';
import type { Offer } from './offer.ts';

/** Port: one question over pinned TLS; absent for 404. Throws PeerError. */
export interface FetchPort {
  get(
    question: {
      readonly path: string;
      readonly wants: 'json' | 'text';
      readonly waitMs: number;
      readonly maxBytes: number;
      readonly etag?: string;
      readonly nonce?: string;
    },
    signal: AbortSignal,
  ): Promise<
    | { readonly kind: 'document'; readonly body: Uint8Array; readonly receipt?: string }
    | { readonly kind: 'unchanged'; readonly receipt?: string }
    | { readonly kind: 'absent' }
  >;
}

const waitSeconds = 50;
/** No list has this tag: whoever names one is no newcomer. */
const noTag = '"none"';
const maxFlatBytes = 16 * 1024;

export function buildHttpsSource(url: string, fetcher: FetchPort, random: Random): FollowSource {
  return {
    name: url,
    everyMs: 5_000, // a static server answers at once
    async look(known, signal): Promise<Look> {
      const nonce = encodeBase64Url(random.bytes(16));
      const waitMs = known.list === undefined ? 0 : waitSeconds * 1_000;
      const answer = await fetcher.get(
        {
          path: waitMs === 0 ? '/v1/list' : `/v1/list?wait=${waitSeconds}`,
          etag: known.list === undefined ? noTag : `"${known.list.hash}"`,
          ...{ nonce, waitMs, wants: 'json', maxBytes: listLimits.maxEnvelopeBytes },
        },
        signal,
      );
      if (answer.kind === 'absent') throw new PeerError('http_status', `${url}: no list`);
      const receipt = answer.receipt === undefined ? undefined : { compact: answer.receipt, nonce };
      if (answer.kind === 'document' && !isHeld(answer.body, known)) {
        const offer = await completeOffer(fetcher, answer.body, signal);
        return {
          kind: 'offer',
          offer: { ...offer, ...(receipt === undefined ? {} : { receipt }) },
        };
      }
      return { kind: 'nothing', ...(await freshnessOf(receipt, known)) };
    },
  };
}

/** A static server knows no tags of ours and sends the whole list every time. */
function isHeld(list: Uint8Array, known: Followed): boolean {
  return known.list?.hash === sha256Tag(parseEnvelope(list).payloadBytes);
}

/** `304` from a follower, or under load, says nothing about the writer. Throws ListError. */
async function freshnessOf(
  receipt: Parameters<typeof verifyReceipt>[0] | undefined,
  { list, root }: Followed,
): Promise<{ readonly freshAtMs?: number }> {
  if (receipt === undefined || list === undefined || root === undefined) return {};
  return { freshAtMs: (await verifyReceipt(receipt, list, root)).nowMs };
}

async function completeOffer(
  fetcher: FetchPort,
  list: Uint8Array,
  signal: AbortSignal,
): Promise<Offer> {
  const get = async (path: string, wants: 'json' | 'text') => {
    const maxBytes = wants === 'json' ? listLimits.maxEnvelopeBytes : maxFlatBytes;
    const answer = await fetcher.get({ path, wants, waitMs: 0, maxBytes }, signal);
    return answer.kind === 'document' ? answer.body : undefined;
  };
  const newcomers = hasRollout(list) ? await get('/v1/list', 'json') : undefined;
  const text = await get('/v1/list.txt', 'text');
  const signature = text === undefined ? undefined : await get('/v1/list.txt.sig', 'text');
  return {
    root: (version) => get(`/v1/root/${version}`, 'json'),
    list,
    ...(newcomers === undefined ? {} : { newcomers }),
    ...(text === undefined || signature === undefined ? {} : { flat: { text, signature } }),
  };
}

/** Of bytes that nobody has proven yet: it only decides whether one more question is asked. */
function hasRollout(list: Uint8Array): boolean {
  return parseList(parseEnvelope(list).payloadBytes).rollout !== undefined;
}
