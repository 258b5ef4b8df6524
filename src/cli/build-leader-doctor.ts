/**
 * What `doctor` looks at of `leader:`: files of TLS and password, every member of etcd, whether what
 * publishers do there is allowed, who has the seat, what they left for each other. Writes nothing.
 */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { resolve } from 'node:path';
import { deadline } from '../clock.ts';
import { type Check, type Finding, fail, failure, ok, warn } from '../diagnosis/finding.ts';
import { judgeExpiry, judgeMode } from '../diagnosis/judge.ts';
import { PilotfishError } from '../errors.ts';
import { messageOf } from '../guards.ts';
import { readMode } from '../host/doctor-facts.ts';
import { readInstance } from '../host/publisher-instance.ts';
import { readBounded } from '../host/read-bounded.ts';
import { systemClock as clock } from '../host/system-clock.ts';
import type { Holder } from '../leader/engine.ts';
import type { EtcdDoor } from '../leader/etcd/client.ts';
import { createdAt, faultOf, get, parseJson, put } from '../leader/etcd/codec.ts';
import { buildEtcdEngine } from '../leader/etcd/etcd-engine.ts';
import { parseMemberStatus } from '../leader/etcd/member-status.ts';
import { comparePositions, renderPosition } from '../list/position.ts';
import { decodeRecord } from '../publisher/shared-state.ts';
import { isNamesake, type SeatOwner } from '../publisher/writer.ts';
import { type EtcdSection, type OpenedEtcd, openEtcdClient } from './build-etcd.ts';
import { leaderName } from './build-publisher-leader.ts';
import { openOffice } from './build-publisher-office.ts';
import { judgeMembers, type MemberSeen } from './judge-etcd.ts';
import type { PublisherConfig } from './publisher-config.ts';

interface Ground {
  readonly path: string;
  readonly config: PublisherConfig;
}

export function leaderChecks(ground: Ground): readonly Check[] {
  const { etcd, engine } = ground.config.leader;
  if (engine === 'file' || etcd === undefined) {
    const alone = ok('leader', 'engine file: this publisher writes, and it alone');
    return [{ name: 'leader', run: () => [alone] }];
  }
  return [
    { name: 'leader tls', run: () => checkFiles(ground.path, etcd) },
    { name: 'leader etcd', run: () => withEtcd(ground, (opened) => checkEtcd(ground, opened)) },
  ];
}

async function withEtcd(
  { path, config }: Ground,
  look: (opened: OpenedEtcd) => Promise<readonly Finding[]>,
): Promise<readonly Finding[]> {
  const opened = await openEtcdClient(path, config);
  try {
    return await look(opened);
  } finally {
    opened.door.close();
  }
}

async function checkEtcd(ground: Ground, opened: OpenedEtcd): Promise<readonly Finding[]> {
  const { endpoints } = opened.section;
  const seen = await Promise.all(endpoints.map((endpoint) => lookAt(opened.door, endpoint)));
  return [...judgeMembers(seen, ground.config.leader.ttl), ...(await checkSeat(ground, opened))];
}

const lookMs = 5_000;

/** Without a token: what it says of itself is for everybody whom its TLS lets in. */
async function lookAt(door: EtcdDoor, endpoint: string): Promise<MemberSeen> {
  const limit = deadline(clock, lookMs);
  const beganMs = clock.monotonicMs();
  try {
    const path = '/v3/maintenance/status';
    const answer = await door.post(endpoint, path, '{}', undefined, limit.signal);
    const tookMs = clock.monotonicMs() - beganMs;
    const { status: code, text, dateMs } = answer;
    const status = parseMemberStatus(parseJson(text));
    if (code !== 200 || status === undefined) {
      return { endpoint, answer: { kind: 'mute', why: faultOf(code, text).said } };
    }
    const skew = dateMs === undefined ? {} : { skewMs: skewOf(dateMs) };
    return { endpoint, answer: { kind: 'status', status, tookMs, ...skew } };
  } catch (thrown) {
    return { endpoint, answer: { kind: 'away', why: messageOf(thrown) } };
  } finally {
    limit.cancel();
  }
}

/** Its clock is told in whole seconds: half of one is nothing. */
function skewOf(dateMs: number): number {
  return clock.nowMs() - (dateMs + 500);
}

/** As a publisher that contends: read, may it write, who sits there, what did they leave. */
async function checkSeat(ground: Ground, opened: OpenedEtcd): Promise<readonly Finding[]> {
  const { config, path } = ground;
  const { client, prefix } = opened;
  const own = { name: leaderName(config), instance: await readInstance(path) };
  const { ttl: ttlMs, url = '' } = config.leader;
  const engine = buildEtcdEngine(client, { prefix, ttlMs, url, name: own.name });
  try {
    const look = await engine.look(0);
    // No key was ever made by revision 1: nothing is put, and yet it is asked whether we may.
    const never = `${prefix}doctor`;
    const [compare, success] = [[createdAt(never, 1)], [put(never, '')]];
    await client.call('kv/txn', { compare, success, failure: [get(never)] });
    const access = ok('leader access', `etcd lets us read and write ${prefix}, by a quorum`);
    const state = look.state === undefined ? [] : [await checkState(path, look.state.bytes)];
    return [access, judgeSeat(look.holder, own), ...state];
  } catch (thrown) {
    return [failure('leader access', thrown)];
  }
}

function judgeSeat(holder: Holder | undefined, own: SeatOwner): Finding {
  const check = 'leader seat';
  if (holder === undefined) {
    return warn(check, 'nobody has it: no list is signed', 'start `run` on a publisher');
  }
  const who = `${holder.name} (${holder.url || 'no url'})`;
  if (!isNamesake(holder, own)) return ok(check, `${who} has it`);
  const fix = 'set an own `leader.name` in each publisher.yml, and start it again';
  return fail(check, `another publisher is called as this one: ${who}`, fix);
}

/** What the writer left there, proven as a successor would, beside what lies here. */
async function checkState(path: string, bytes: Uint8Array): Promise<Finding> {
  const check = 'leader state';
  try {
    const office = await openOffice(path);
    try {
      const { root, listKey } = office.desk;
      const { newest } = await decodeRecord(bytes, root, { clock, listKey });
      const local = office.history.newest();
      const text = `list ${renderPosition(newest)} in etcd`;
      const order = local === undefined ? 1 : comparePositions(newest, local);
      if (order === 0 && local?.hash !== newest.hash) {
        return fail(check, `${text} is another one than here`, 'stop one writer; see `history`');
      }
      if (order >= 0) return ok(check, `${text}, proven by root ${root.version}`);
      return warn(
        check,
        `${text} is older than the one here`,
        'does another publisher use this prefix? `run` hands over the newer one when it leads',
      );
    } finally {
      office.close();
    }
  } catch (thrown) {
    if (!(thrown instanceof PilotfishError)) throw thrown;
    const seen = `${thrown.code} ${thrown.reason}: ${thrown.message}`;
    return fail(check, seen, 'are roots and list key here those of the other publishers?');
  }
}

async function checkFiles(
  path: string,
  { ca, cert, key, passwordFile, endpoints }: EtcdSection,
): Promise<readonly Finding[]> {
  const secrets = [key, passwordFile].filter((file) => file !== undefined);
  const modes = secrets.map(async (file) => {
    const judged = judgeMode(await readMode(resolve(path, file)), 'secret');
    return { ...judged, check: `leader ${judged.check}` };
  });
  const plain = endpoints.filter((url) => url.startsWith('http:') && !isLoopback(url));
  return [
    ...plain.map((url) =>
      warn(
        `leader tls ${url}`,
        'plain HTTP: whoever is on the way may take the seat',
        'TLS on etcd, https:// and leader.etcd.ca here',
      ),
    ),
    ...(await Promise.all(modes)),
    ...(ca === undefined ? [] : [await checkCertificate(path, ca, 'ca')]),
    ...(cert === undefined ? [] : await checkClient(path, cert, key)),
  ];
}

function isLoopback(url: string): boolean {
  return /^http:\/\/(?:127\.|localhost:|\[::1\])/.test(url);
}

const maxFileBytes = 64 * 1024;
const dayMs = 86_400_000;

async function readCertificate(path: string, file: string): Promise<X509Certificate | Error> {
  const at = resolve(path, file);
  const bytes = await readBounded(at, maxFileBytes);
  if (bytes === undefined) return new Error(`${at} does not exist, or may not be read`);
  try {
    return new X509Certificate(bytes);
  } catch (error) {
    return new Error(`${at}: ${messageOf(error)}`);
  }
}

async function checkCertificate(path: string, file: string, key: string): Promise<Finding> {
  const check = `leader tls ${file}`;
  const found = await readCertificate(path, file);
  if (found instanceof Error) return fail(check, found.message, `set leader.etcd.${key} to a PEM`);
  return judgeExpiry(check, file, {
    ...{ expiresAtMs: found.validToDate.getTime(), nowMs: clock.nowMs() },
    ...{ warnMs: 30 * dayMs, fix: 'put a new one in its place and start `run` again' },
  });
}

async function checkClient(
  path: string,
  cert: string,
  key: string | undefined,
): Promise<readonly Finding[]> {
  const expiry = await checkCertificate(path, cert, 'cert');
  const found = await readCertificate(path, cert);
  if (found instanceof Error || key === undefined) return [expiry];
  const named = /^CN=/m.test(found.subject);
  const common = warn(
    `leader tls ${cert}`,
    'it has a common name: etcd refuses it at its gateway when it has users',
    'make one without CN',
  );
  const bytes = await readBounded(resolve(path, key), maxFileBytes);
  const isPair = bytes !== undefined && fits(found, bytes);
  const wrong = fail(`leader tls ${key}`, `it is not the key of ${cert}`, 'set both to one pair');
  return [expiry, ...(named ? [common] : []), ...(isPair ? [] : [wrong])];
}

function fits(certificate: X509Certificate, pem: Buffer): boolean {
  try {
    return certificate.checkPrivateKey(createPrivateKey(pem));
  } catch {
    return false; // no key at all
  }
}
