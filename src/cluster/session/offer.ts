/**
 * How two of our own nodes find each other without a stock node noticing (issue 5): the worker
 * sends one `echo` right after hello. A stock master returns the same bytes. Ours answers with
 * its own nonce and a MAC, and both derive one key per direction from the cluster key, both
 * nonces and both names. What follows is `link-mac.ts`.
 */
import { createHmac, hkdfSync, type KeyObject, timingSafeEqual } from 'node:crypto';
import { decodeBase64Url, encodeBase64Url } from '../../bytes.ts';

const offerWord = 'pilotfish-offer/1';
const answerWord = 'pilotfish-answer/1';
const nonceBytes = 32;
const longestBytes = 1024;
const featurePattern = /^[a-z0-9-]{1,32}$/;
const namePattern = /^[A-Za-z0-9_-]{1,64}$/;

export interface Offer {
  readonly nonce: Uint8Array;
  readonly features: readonly string[];
}

/** Keys of the two directions; 32 bytes each. */
export interface LinkKeys {
  readonly workerToMaster: Uint8Array;
  readonly masterToWorker: Uint8Array;
}

/** Who speaks: both names are bound into every key. */
export interface LinkNames {
  readonly worker: string;
  readonly master: string;
}

/**
 * The fencing token of the master's role travels as a feature, `master-TOKEN`: an older program
 * shares no such feature and ignores it. Of a master its own, of a worker the greatest it has seen.
 */
const tokenPattern = /^master-(\d{1,15})$/;

export function tokenFeature(token: number): string {
  return `master-${token}`;
}

/** Undefined: none is told. */
export function masterTokenOf(features: Iterable<string>): number | undefined {
  for (const feature of features) {
    const [, token] = tokenPattern.exec(feature) ?? [];
    if (token !== undefined) return Number(token);
  }
  return undefined;
}

export type OfferAnswer =
  /** The same bytes came back. */
  | { readonly kind: 'stock' }
  | { readonly kind: 'ours'; readonly keys: LinkKeys; readonly features: ReadonlySet<string> }
  | { readonly kind: 'invalid'; readonly reason: string };

/** `nonce`: 32 unpredictable bytes. */
export function encodeOffer(offer: Offer): Buffer {
  return Buffer.from(`${offerWord} ${encodeBase64Url(offer.nonce)} ${featureText(offer.features)}`);
}

/** Undefined: an ordinary echo. */
export function decodeOffer(payload: Uint8Array): Offer | undefined {
  if (payload.length > longestBytes) return undefined;
  const [word, nonceText = '', list, ...more] = Buffer.from(payload).toString('latin1').split(' ');
  const nonce = decodeBase64Url(nonceText);
  const features = readFeatures(list);
  if (word !== offerWord || more.length > 0 || nonce?.length !== nonceBytes) return undefined;
  return features === undefined ? undefined : { nonce, features };
}

/** The master's side: the payload of its answer, and what both will use from then on. */
export function answerOffer(
  clusterKey: KeyObject,
  offerBytes: Uint8Array,
  theirs: Offer,
  own: Offer & LinkNames,
): { readonly payload: Buffer; readonly keys: LinkKeys; readonly features: ReadonlySet<string> } {
  const body = `${answerWord} ${encodeBase64Url(own.nonce)} ${own.master} ${featureText(own.features)}`;
  const derive = deriver(clusterKey, [theirs.nonce, own.nonce], own);
  const mac = answerMac(derive('answer'), offerBytes, body);
  return {
    payload: Buffer.from(`${body} ${encodeBase64Url(mac)}`),
    keys: linkKeys(derive),
    features: agreed(own.features, theirs.features),
  };
}

/** The worker's side: what came back for `own`, whose encoding was `offerBytes`. */
export function readOfferAnswer(
  clusterKey: KeyObject,
  offerBytes: Uint8Array,
  own: Offer & Pick<LinkNames, 'worker'>,
  answer: Buffer,
): OfferAnswer {
  if (answer.equals(offerBytes)) return { kind: 'stock' };
  if (answer.length > longestBytes) return { kind: 'invalid', reason: 'the answer is too long' };
  const text = answer.toString('latin1');
  const [word, nonceText = '', master = '', list, macText = '', ...more] = text.split(' ');
  const nonce = decodeBase64Url(nonceText);
  const features = readFeatures(list);
  const mac = decodeBase64Url(macText);
  const isWellFormed = word === answerWord && more.length === 0 && namePattern.test(master);
  if (!isWellFormed || nonce?.length !== nonceBytes || features === undefined) {
    return { kind: 'invalid', reason: 'neither the same bytes nor an answer of ours' };
  }
  const derive = deriver(clusterKey, [own.nonce, nonce], { worker: own.worker, master });
  const expected = answerMac(derive('answer'), offerBytes, text.slice(0, text.lastIndexOf(' ')));
  if (mac?.length !== expected.length || !timingSafeEqual(expected, mac)) {
    return { kind: 'invalid', reason: 'the MAC of the answer is wrong' };
  }
  return { kind: 'ours', keys: linkKeys(derive), features: agreed(own.features, features) };
}

type Derive = (direction: string) => Uint8Array;

/** HKDF-SHA256 (RFC 5869): the cluster key, salted by both nonces, bound to names and direction. */
function deriver(
  clusterKey: KeyObject,
  nonces: readonly [Uint8Array, Uint8Array],
  names: LinkNames,
): Derive {
  const salt = Buffer.concat(nonces);
  return (direction) => {
    const info = `${offerWord}\n${names.worker}\n${names.master}\n${direction}`;
    return new Uint8Array(hkdfSync('sha256', clusterKey, salt, info, 32));
  };
}

function linkKeys(derive: Derive): LinkKeys {
  return {
    workerToMaster: derive('worker-to-master'),
    masterToWorker: derive('master-to-worker'),
  };
}

function answerMac(key: Uint8Array, offerBytes: Uint8Array, body: string): Buffer {
  return createHmac('sha256', key).update(offerBytes).update('\n').update(body).digest();
}

function featureText(features: readonly string[]): string {
  return features.length === 0 ? '-' : features.join(',');
}

function readFeatures(text: string | undefined): readonly string[] | undefined {
  if (text === '-') return [];
  const features = text?.split(',') ?? [];
  const isFine = features.length > 0 && features.length <= 16;
  return isFine && features.every((name) => featurePattern.test(name)) ? features : undefined;
}

/** What both can do, and the token that the other one told. */
function agreed(own: readonly string[], theirs: readonly string[]): ReadonlySet<string> {
  const known = new Set(own);
  return new Set(theirs.filter((name) => known.has(name) || tokenPattern.test(name)));
}
