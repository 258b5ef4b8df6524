/** `doctor` of a publisher under `leader:`, and two publishers of one name, with Debian's etcd. */
import assert from 'node:assert/strict';
import { chmodSync, cpSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { eventually, freePort } from '../fakes/processes.ts';
import { makeCertificates } from '../leader/etcd-certificates.ts';
import { EtcdServers, missingEtcd } from '../leader/etcd-fixture.ts';
import { scratchDirectory } from '../publisher/fixture.ts';
import { initPublisherDirectory, TestPublisher } from './publisher-fixture.ts';

const skip = missingEtcd() ?? false;

interface Told {
  readonly check: string;
  readonly level: string;
  readonly text: string;
  readonly fix?: string;
}

/** What `doctor` says of the leader. */
async function examine(publisher: TestPublisher): Promise<readonly Told[]> {
  const { findings } = await publisher.json('doctor');
  return findings.filter(({ check }: Told) => check.startsWith('leader'));
}

const amiss = (told: readonly Told[]): readonly Told[] =>
  told.filter(({ level }) => level === 'warn' || level === 'fail');

function section(lines: readonly string[]): string {
  return ['leader:', '  engine: etcd', '  ttl: 12s', ...lines, 'managers:'].join('\n');
}

async function etcd(t: TestContext): Promise<EtcdServers> {
  const servers = new EtcdServers();
  t.after(() => servers.stop());
  return servers;
}

test('two publishers of one name: commands at the one that stands by are refused, and told of', {
  skip,
}, async (t) => {
  const servers = await (await etcd(t)).start();
  const a = await initPublisherDirectory(t);
  const port = await freePort('127.0.0.1');
  const b = new TestPublisher(join(scratchDirectory(t), 'b'), port, []);
  t.after(() => b.stop());
  const twins = section(['  name: twin', '  etcd:', `    endpoints: [${servers.urls.join(', ')}]`]);
  a.edit('managers:', twins);
  await a.start();
  const isLeading = async (one: TestPublisher): Promise<boolean> =>
    (await one.json('status')).running?.leader?.leads === true;
  await eventually('the first one leads', () => isLeading(a));
  // A whole copy, as of a machine that was cloned: keys, settings, the id of the first one.
  cpSync(a.directory, b.directory, {
    recursive: true,
    filter: (path) => !/\.sock$|\/run\b/.test(path),
  });
  b.edit(`127.0.0.1:${a.port}`, `127.0.0.1:${port}`);
  const never = await b.run('drain', '10-0-0-1');
  assert.equal(never.exit, 1);
  assert.match(never.err, /E050 not_leader: this publisher stands by; .*twin as well leads/);
  await b.start();
  const refused = await b.run('drain', '10-0-0-1');
  assert.equal(refused.exit, 1);
  assert.match(refused.err, /E050 .*called twin as well.*give each an own `leader\.name`/);
  await eventually('it is told', async () =>
    /leader\.name: another publisher is called twin/.test((await b.run('status')).out),
  );
  const [twin] = amiss(await examine(b)).filter(({ check }) => check === 'leader seat');
  assert.equal(twin?.level, 'fail');
  assert.match(twin?.fix ?? '', /own `leader\.name`/);

  // The one that leads is taken for what it is, and its commands are done.
  const leading = await examine(a);
  assert.deepEqual(
    amiss(leading).map(({ text }) => text),
    ['one endpoint: when it is away, no list is signed'],
  );
  assert.match(
    leading.find(({ check }) => check === 'leader state')?.text ?? '',
    /proven by root 1/,
  );
  assert.equal((await a.run('drain', '10-0-0-1')).exit, 0);
  await a.stop();
  await eventually('the second one leads', () => isLeading(b));
  assert.equal((await b.run('undrain', '10-0-0-1')).exit, 0);
  assert.doesNotMatch((await b.run('status')).out, /leader\.name/);
});

test('TLS, password, rights: each finding says what to do', { skip }, async (t) => {
  const servers = await etcd(t);
  const { serverArgs, client } = makeCertificates(servers.folder);
  await servers.start(1, { tls: { ...client, serverArgs } });
  await addUsers(servers, client);
  const at = (name: string): string => join(servers.folder, name);
  writeFileSync(at('password'), 'secret\n', { mode: 0o600 });
  writeFileSync(at('guess'), 'guess\n', { mode: 0o600 });
  const publisher = await initPublisherDirectory(t);
  const full = {
    endpoints: [...servers.urls],
    ...{ ca: at('ca.crt'), cert: at('client.crt'), key: at('client.key') },
    ...{ user: 'writer', passwordFile: at('password') },
  };
  let before = 'managers:';
  const ask = async (change: object) => {
    const text = section([`  etcd: ${JSON.stringify({ ...full, ...change })}`]);
    publisher.edit(before, text);
    before = text;
    return amiss(await examine(publisher)).filter(({ text: seen }) => !/^one endpoint/.test(seen));
  };
  const only = (told: readonly Told[], check: RegExp): Told => {
    const [found] = told.filter((one) => check.test(one.check));
    assert.ok(found, JSON.stringify(told));
    return found;
  };
  // All is well but that nobody runs.
  const [empty, ...none] = await ask({});
  assert.deepEqual(none, []);
  assert.match(`${empty?.text} ${empty?.fix}`, /nobody has it.*start `run`/);

  assert.match(
    only(await ask({ passwordFile: at('guess') }), /access/).text,
    /E052 leader_refused/,
  );
  assert.match(only(await ask({ user: 'reader' }), /access/).text, /E052 .*permission denied/);
  const gone = `https://127.0.0.1:${await freePort('127.0.0.1')}`;
  assert.match(
    only(await ask({ endpoints: [gone, ...servers.urls] }), /etcd/).text,
    /ECONNREFUSED/,
  );
  const foreign = at('named.crt');
  const untrusted = await ask({ ca: foreign });
  assert.match(only(untrusted, /etcd https/).fix ?? '', /leader\.etcd\.ca/);
  const other = await ask({ cert: foreign });
  assert.match(other.map(({ text }) => text).join(), /not the key of.*common name/);
  chmodSync(at('password'), 0o644);
  assert.match(only(await ask({}), /mode/).fix ?? '', /chmod go-rwx/);
  const missing = await ask({ ca: at('nowhere.crt') });
  assert.match(only(missing, /tls/).text, /nowhere\.crt does not exist/);
});

async function addUsers(
  servers: EtcdServers,
  client: Parameters<EtcdServers['door']>[0],
): Promise<void> {
  const admin = servers.client({ door: servers.door(client ?? {}) });
  const encode = (text: string): string => Buffer.from(text).toString('base64');
  const range = { key: encode('/pilotfish/acme/'), range_end: encode('/pilotfish/acme0') };
  for (const [name, permType] of [
    ['writer', 'READWRITE'],
    ['reader', 'READ'],
  ] as const) {
    await admin.call('auth/user/add', { name, password: 'secret' });
    await admin.call('auth/role/add', { name });
    await admin.call('auth/role/grant', { name, perm: { permType, ...range } });
    await admin.call('auth/user/grant', { user: name, role: name });
  }
  await admin.call('auth/user/add', { name: 'root', password: 'secret' });
  await admin.call('auth/role/add', { name: 'root' });
  await admin.call('auth/user/grant', { user: 'root', role: 'root' });
  await admin.call('auth/enable', {});
}

test('a publisher that is alone has nothing to lose its seat to', async (t) => {
  const told = await examine(await initPublisherDirectory(t));
  assert.deepEqual(
    told.map(({ level, text }) => [level, text]),
    [['ok', 'engine file: this publisher writes, and it alone']],
  );
});
