/**
 * The flat form of a list, for hosts where a shell, awk, curl and openssl are all there is: one word
 * and its values a line, in a fixed order, single blanks, LF. Nothing is ever quoted or escaped,
 * since every value of a parsed list is free of blanks. What a line means: installers/posix/README.md.
 *
 * Its signature is made by a list key over exactly these bytes. They begin with a word, a blank and
 * a line feed follow: no signing input of a JWS (base64url and one dot) can ever be read as one.
 */
import { createPublicKey, sign, verify } from 'node:crypto';
import { decodeBase64Url, encodeBase64Url, encodeUtf8 } from '../bytes.ts';
import { ListError } from '../errors.ts';
import type { Manager, ManagerList, Root } from './model.ts';
import type { SigningKey } from './sign.ts';

/** Both as served: `/v1/list.txt` and `/v1/list.txt.sig`. */
export interface FlatForm {
  readonly text: Uint8Array;
  readonly signature: Uint8Array;
}

/** `hash`: the `sha256:` tag of the payload this list was read from; receipts name it. */
export function signFlat(list: ManagerList, hash: string, key: SigningKey): FlatForm {
  const text = renderFlat(list, hash);
  const signature = encodeBase64Url(sign(null, text, key.privateKey));
  return { text, signature: encodeUtf8(`pilotfish-signature 1\n${key.kid} ${signature}\n`) };
}

/**
 * Is this the flat form of this very list, signed by a list key of the root?
 * @throws ListError `list_invalid`, `unknown_key`, `threshold`
 */
export function checkFlat(
  { text, signature }: FlatForm,
  named: { readonly list: ManagerList; readonly hash: string },
  root: Root,
): void {
  if (!Buffer.from(renderFlat(named.list, named.hash)).equals(text)) {
    throw new ListError('list_invalid', `flat form: it is not that of list ${named.list.version}`);
  }
  const shape = /^pilotfish-signature 1\n([A-Za-z0-9_-]{43}) ([A-Za-z0-9_-]{86})\n$/;
  const [, kid = '', encoded = ''] = shape.exec(Buffer.from(signature).toString('latin1')) ?? [];
  const key = root.roles.list.kids.includes(kid) ? root.keys[kid] : undefined;
  if (key === undefined) {
    throw new ListError('unknown_key', 'flat form: it is signed by no list key of the root');
  }
  const publicKey = createPublicKey({ key: { ...key }, format: 'jwk' });
  const isSigned = verify(null, text, publicKey, decodeBase64Url(encoded) ?? new Uint8Array());
  if (!isSigned) throw new ListError('threshold', 'flat form: its signature does not fit');
}

/** The same list gives the same bytes, on every publisher. Times are whole seconds. */
export function renderFlat(list: ManagerList, hash: string): Uint8Array {
  const { rollout } = list;
  const lines = [
    'pilotfish-list 1',
    `org ${list.org}`,
    `root ${list.rootVersion}`,
    `epoch ${list.epoch}`,
    `term ${list.term}`,
    `version ${list.version}`,
    `group ${list.aud.group}`,
    `site ${list.aud.site}`,
    `issued ${Math.floor(list.issuedAtMs / 1_000)}`,
    `valid ${list.validFor}`,
    `hash ${hash}`,
    `spread ${list.client.spreadSec}`,
    ...(rollout === undefined ? [] : [`rollout ${rollout.id} ${rollout.salt} ${rollout.pct}`]),
    `managers ${list.managers.length}`,
    ...list.managers.map(managerLine),
    ...list.managers.flatMap(addressLines),
    ...(list.balancers ?? []).map(({ address, port }) => `balancer ${address} ${port}`),
    'end',
  ];
  return encodeUtf8(`${lines.join('\n')}\n`);
}

/** Only where there are any: a reader that does not know them refuses the list as a whole. */
function addressLines({ id, port: own, addresses = [] }: Manager): readonly string[] {
  return addresses.map(
    ({ zone, address, port = own }) => `address ${id} ${zone} ${address} ${port}`,
  );
}

function managerLine(manager: Manager): string {
  const { id, address, port, protocol, zone, prio, weight, state } = manager;
  return `manager ${id} ${address} ${port} ${protocol} ${zone} ${prio} ${weight} ${state}`;
}
