/** Recipes whose platform is not here (Docker, Kubernetes, Windows, Puppet): what their text can show. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { globSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parseAllDocuments } from 'yaml';
import { readConfig } from '../../src/agent-config/servers.ts';
import { parseSidecarConfig } from '../../src/cli/sidecar-config.ts';
import { isJsonObject, type JsonObject } from '../../src/guards.ts';

const installers = fileURLToPath(new URL('../../installers/', import.meta.url));
const read = (name: string) => readFileSync(`${installers}${name}`, 'utf8');
const ran = (program: string, ...args: string[]) => {
  const { status, stdout, stderr } = spawnSync(program, args, { cwd: installers });
  return { status, out: `${stdout ?? ''}${stderr ?? ''}` };
};
const has = (program: string) => spawnSync(program, ['--version']).status === 0;

interface Container {
  readonly name: string;
  readonly spec: JsonObject;
  readonly pod: JsonObject;
}

const object = (value: unknown): JsonObject => (isJsonObject(value) ? value : {});
const objects = (value: unknown): readonly JsonObject[] =>
  Array.isArray(value) ? value.filter(isJsonObject) : [];

function containersOf(file: string): readonly Container[] {
  const documents = parseAllDocuments(read(file));
  for (const document of documents) assert.deepEqual(document.errors, [], file);
  return documents.flatMap((document) => {
    const value = object(document.toJS());
    assert.ok(typeof value.apiVersion === 'string' && typeof value.kind === 'string', file);
    const pod = object(object(object(value.spec).template).spec);
    const specs = [...objects(pod.initContainers), ...objects(pod.containers)];
    return specs.map((spec) => ({ name: `${file} ${String(spec.name)}`, spec, pod }));
  });
}

const containers = globSync('kubernetes/*.yaml', { cwd: installers }).flatMap(containersOf);

test('every container has a memory limit and mounts only volumes of its pod', () => {
  assert.ok(containers.length >= 5);
  for (const { name, spec, pod } of containers) {
    assert.ok(object(object(spec.resources).limits).memory, `${name}: no memory limit`);
    const volumes = new Set(objects(pod.volumes).map((volume) => volume.name));
    for (const mount of objects(spec.volumeMounts)) assert.ok(volumes.has(mount.name ?? ''), name);
    assert.equal(pod.automountServiceAccountToken, false, name);
    assert.doesNotMatch(
      String(spec.image),
      /:latest$|^[^:]+$/,
      `${name}: an image without a version`,
    );
  }
});

test('our own containers run as an ordinary user, without capabilities, on a read-only root', () => {
  const ours = containers.filter(({ spec }) => String(spec.image).includes('pilotfish'));
  assert.ok(ours.length >= 3);
  for (const { name, spec, pod } of ours) {
    const context = object(spec.securityContext);
    assert.equal(context.readOnlyRootFilesystem, true, name);
    assert.equal(context.allowPrivilegeEscalation, false, name);
    assert.deepEqual(object(context.capabilities).drop, ['ALL'], name);
    assert.equal(context.runAsNonRoot ?? object(pod.securityContext).runAsNonRoot, true, name);
  }
});

test("the pod's configuration passes the sidecar's own schema, and its relay is where the agent dials", () => {
  const config = parseSidecarConfig(read('kubernetes/pilotfish.yml'), 'pilotfish.yml');
  const conf = /<ossec_config>.*<\/ossec_config>/s.exec(read('kubernetes/agent-with-sidecar.yaml'));
  const reading = readConfig(Buffer.from(conf?.[0] ?? ''), '4');
  assert.equal(reading.kind, 'starts');
  const servers = reading.kind === 'starts' ? reading.servers : [];
  assert.deepEqual(
    servers.map(({ address, port }) => [address, port]),
    [[config.relay.address, config.relay.port]],
  );
  assert.equal(config.apply.mode, 'relay');
});

test('the image has no shell, is not root, and takes nothing secret with it', () => {
  const stages = read('docker/Dockerfile')
    .split(/^FROM /m)
    .slice(1);
  const last = stages.at(-1) ?? '';
  assert.match(last, /^\S*distroless\S*:nonroot\n/);
  assert.match(last, /^USER 65532:65532$/m);
  assert.doesNotMatch(last, /^RUN /m);
  for (const copied of read('docker/Dockerfile').matchAll(/^COPY (?:--from=\S+ )?(\S+)/gm)) {
    assert.match(
      copied[1] ?? '',
      /^(?:dist\/package\/\$\{PROGRAM\}_\*_\$\{TARGETARCH\}\.deb|\/out\/)$/,
    );
  }
});

test('YAML of the recipes passes yamllint', (t) => {
  if (!has('yamllint')) return t.skip('no yamllint');
  const rules =
    '{extends: default, rules: {line-length: {max: 130}, document-start: disable, comments: {min-spaces-from-content: 1}, octal-values: disable}}';
  const { status, out } = ran('yamllint', '--strict', '-d', rules, 'kubernetes');
  assert.equal(status, 0, out);
});

test('the Puppet class is valid, its metadata too', (t) => {
  if (!has('puppet')) return t.skip('no puppet');
  const { status, out } = ran('puppet', 'parser', 'validate', 'puppet/manifests/agent.pp');
  assert.equal(status, 0, out);
  JSON.parse(read('puppet/metadata.json'));
});

test('PowerShell recipes: the token only ever goes into the file, programs are named in full', () => {
  for (const name of globSync('intune/*.ps1', { cwd: installers })) {
    const text = read(name);
    const code = text.replaceAll(/^\s*#.*$/gm, '');
    assert.match(code, /\$ErrorActionPreference = 'Stop'/, name);
    assert.equal(
      (code.match(/[{(]/g) ?? []).length,
      (code.match(/[})]/g) ?? []).length,
      `${name}: brackets`,
    );
    assert.doesNotMatch(code, /Invoke-Expression|iex |DownloadString|-EncodedCommand/i, name);
    assert.doesNotMatch(code, /JOIN_TOKEN|\$env:\w*TOKEN/i, name);
    for (const [line] of code.matchAll(/^.*(?:msiexec|icacls).*$/gm)) {
      assert.match(line, /SystemRoot\\System32|failed/, `${name}: ${line}`);
    }
  }
});
