/**
 * 5.x agents speak TLS to one address, and that address's port carries enrollment too. The relay
 * passes TLS through untouched, so the agent's own verification is what keeps an impostor out while
 * the sidecar is dead, and the name that it verifies must be one that the managers can prove.
 * Source: agent-side.md 2.8 and 8.2 case 91.
 */
import { isIP } from 'node:net';
import { type RelayPermission, refuse } from './guard.ts';
import { isLoopback } from './loopback.ts';

export interface TlsFacts {
  /** `<ssl><verification_mode>`; `none` when there is no `<ssl>`. */
  readonly verification: 'none' | 'certificate' | 'full';
  /** What the agent dials: the host part of its endpoint. */
  readonly dialled: string;
  /** What this host resolves `dialled` to, in the order the agent would try. */
  readonly addresses: readonly string[];
  readonly managers: readonly {
    readonly id: string;
    /** Names and addresses its certificate is good for; `*.` matches one label. */
    readonly certificateNames: readonly string[];
  }[];
}

/** `usable`: the managers whose certificate the agent will accept under the name it dials. */
export type TlsPermission =
  | { readonly kind: 'allowed'; readonly usable: readonly string[] }
  | Extract<RelayPermission, { kind: 'refused' }>;

/** Values in, permission out; the addresses must be those of a host alias that starts with us. */
export function judgeTlsRelay(facts: TlsFacts): TlsPermission {
  const usable = facts.managers.filter((manager) => isAccepted(facts, manager.certificateNames));
  const refusal = judgeAlias(facts);
  if (refusal !== undefined) return refusal;
  if (usable.length > 0) return { kind: 'allowed', usable: usable.map(({ id }) => id) };
  const why = `no manager's certificate is good for the name ${facts.dialled}`;
  return refuse('name_not_verifiable', why);
}

type Refusal = Extract<RelayPermission, { kind: 'refused' }>;

/** What speaks against it before any certificate is looked at; undefined: nothing. */
export function judgeAlias({
  verification,
  dialled,
  addresses,
}: Omit<TlsFacts, 'managers'>): Refusal | undefined {
  if (verification === 'none') {
    return refuse(
      'unverified_tls',
      'the agent verifies no certificate: whoever listens there while the sidecar is dead gets its enrollment password; set verification_mode',
    );
  }
  const [first, ...others] = addresses;
  if (isIP(dialled) !== 0 || first === undefined || !isLoopback(first)) {
    return refuse(
      'name_not_verifiable',
      `the agent must keep dialling the managers' own host name, as an alias of the relay first on this host; it dials ${dialled}`,
    );
  }
  if (others.length === 0 || others.some(isLoopback)) {
    return refuse(
      'no_native_fallback',
      `the alias ${dialled} must name real managers after the relay, or a dead sidecar leaves the agent with nothing`,
    );
  }
  return undefined;
}

/**
 * Everything is as it should be, and still nobody is led: the file of a 5.x agent names one server,
 * so a list that changes would have to be written into the host's own alias, which is not ours.
 */
export function ledByRestart(dialled: string): Refusal {
  return refuse(
    'alias_not_kept',
    `${dialled} leads here and to managers behind us, but nothing keeps that alias in step with the list: use apply.mode: service`,
  );
}

/** `certificate` checks the authority only, `full` the name as well. */
function isAccepted({ verification, dialled }: TlsFacts, names: readonly string[]): boolean {
  return verification !== 'full' || names.some((name) => matchesName(name, dialled));
}

/** RFC 6125 6.4.3: a wildcard stands for exactly one whole label, the leftmost. */
function matchesName(pattern: string, name: string): boolean {
  const [wanted, given] = [pattern.toLowerCase(), name.toLowerCase().replace(/\.$/, '')];
  if (!wanted.startsWith('*.')) return wanted === given;
  const dot = given.indexOf('.');
  return dot > 0 && given.slice(dot) === wanted.slice(1) && wanted.split('.').length > 2;
}
