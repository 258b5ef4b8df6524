/** What the members of etcd, asked one by one, add up to for `doctor`. Pure. */
import { type Finding, fail, ok, warn } from '../diagnosis/finding.ts';
import { compareVersions } from '../diagnosis/judge.ts';
import type { MemberStatus } from '../leader/etcd/member-status.ts';

/** One endpoint of `leader.etcd`. */
export interface MemberSeen {
  readonly endpoint: string;
  readonly answer:
    | {
        readonly kind: 'status';
        readonly status: MemberStatus;
        readonly tookMs: number;
        /** Our clock minus its own, to a second. */
        readonly skewMs?: number;
      }
    /** It answered, and said nothing of itself to us. */
    | { readonly kind: 'mute'; readonly why: string }
    | { readonly kind: 'away'; readonly why: string };
}

const oldest = '3.4.0';
/** etcd's own default quota is 2 GiB; ours is a few hundred KiB. */
const largeBytes = 1_600_000_000;

export function judgeMembers(seen: readonly MemberSeen[], ttlMs: number): readonly Finding[] {
  return [...seen.flatMap((one) => judgeMember(one, ttlMs)), ...judgeTogether(seen)];
}

function judgeMember({ endpoint, answer }: MemberSeen, ttlMs: number): readonly Finding[] {
  const check = `leader etcd ${endpoint}`;
  if (answer.kind === 'away') return [fail(check, answer.why, fixOfAway(answer.why))];
  if (answer.kind === 'mute') return [ok(check, `answers: ${answer.why}`)];
  const { status, tookMs } = answer;
  const told = status.troubles.map((trouble) => {
    const isFull = /NOSPACE/.test(trouble);
    const fix = isFull
      ? '`etcdctl compact`, `etcdctl defrag`, then `etcdctl alarm disarm`'
      : '`etcdctl endpoint status` and the log of that member';
    return fail(check, `it says: ${trouble}`, fix);
  });
  const age = compareVersions(status.version, oldest);
  const old =
    age === undefined || age < 0
      ? [fail(check, `is version ${status.version}`, `upgrade it to ${oldest} or newer`)]
      : [];
  const leaderless = status.hasLeader
    ? []
    : [fail(check, 'sees no leader of etcd', 'start its other members: more than half must run')];
  const slowMs = ttlMs / 20;
  const slow =
    tookMs > slowMs
      ? [
          warn(
            check,
            `answers in ${Math.round(tookMs)} ms, of a lease of ${ttlMs / 1_000} s`,
            'a faster disk or network for etcd, or a longer leader.ttl',
          ),
        ]
      : [];
  const large =
    status.dbBytes > largeBytes
      ? [warn(check, `keeps ${status.dbBytes} bytes`, '`etcdctl compact` and `etcdctl defrag`')]
      : [];
  const all = [...told, ...old, ...leaderless, ...slow, ...large];
  if (all.length > 0) return all;
  return [ok(check, `etcd ${status.version} answers in ${tookMs.toFixed(1)} ms`)];
}

function fixOfAway(why: string): string {
  if (/certificate|self-signed|altname|TLS|SSL/i.test(why)) {
    return 'is leader.etcd.ca the authority of its certificate, and is the host named in it?';
  }
  return 'does etcd run there (`etcdctl endpoint health`), is the port open from here?';
}

/** Members of two clusters would make two leaders; clocks that differ make lists from the future. */
function judgeTogether(seen: readonly MemberSeen[]): readonly Finding[] {
  const here = seen.flatMap(({ answer }) => (answer.kind === 'status' ? [answer] : []));
  const clusters = new Set(here.map(({ status }) => status.cluster));
  const mixed =
    clusters.size > 1
      ? [
          fail(
            'leader etcd',
            `the endpoints are of ${clusters.size} clusters: ${[...clusters].join(', ')}`,
            'name members of one cluster in leader.etcd.endpoints, the same for all publishers',
          ),
        ]
      : [];
  const lonely =
    seen.length === 1
      ? [
          warn(
            'leader etcd',
            'one endpoint: when it is away, no list is signed',
            'run three members of etcd and name them all in leader.etcd.endpoints',
          ),
        ]
      : [];
  return [...mixed, ...lonely, ...judgeSkew(here.flatMap(({ skewMs }) => skewMs ?? []))];
}

function judgeSkew(skewsMs: readonly number[]): readonly Finding[] {
  const check = 'leader clock';
  const worst = skewsMs.toSorted((left, right) => Math.abs(right) - Math.abs(left))[0];
  if (worst === undefined) return [];
  const seconds = Math.round(Math.abs(worst) / 1_000);
  const text = `${seconds} s ${worst < 0 ? 'behind' : 'ahead of'} a member of etcd`;
  const fix = 'set the clocks by NTP: a new leader signs with its own time';
  if (Math.abs(worst) >= 300_000) return [fail(check, text, fix)];
  if (Math.abs(worst) >= 5_000) return [warn(check, text, fix)];
  return [ok(check, `within ${Math.max(1, seconds)} s of the members of etcd`)];
}
