/** The flags of `npm run package`. */
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { Signer } from './authenticode.ts';
import { root } from './bundles.ts';
import { type Target, targets } from './targets.ts';

export const help = `usage: npm run package -- [--all | --target NAME …] [options]

Builds pilotfish and pilotfish-publisher, each with Node.js inside, and the packages around them:
deb and rpm, MSI, tarball and pkg for macOS, CycloneDX SBOMs, SHA256SUMS. Same commit, same bytes: times
are the commit's (or SOURCE_DATE_EPOCH), nothing else varies.

  --all                every target: ${targets.map(({ name }) => name).join(', ')}
  --target NAME        one target, several times for several; without any: linux-x64
  --verify             build everything twice and compare
  --output DIR         where finished files go (default dist/package)
  --quick              little compression and no archives, for packages that a test installs
  --sums-key FILE      Ed25519 key (PEM) that signs SHA256SUMS
  --sign-cert FILE --sign-key FILE   Authenticode certificate and key (PEM) for exe and MSI

The single-executable files are made by Node's own --build-sea, not by @yao-pkg/pkg: pkg's classic
form downloads a patched Node from its makers' site, its --sea form wants a cache of its inner
layout filled by hand and then does what --build-sea does. Node itself is the registry's package of
package-lock.json, checked by its integrity, stripped of symbols and of its maker's signature.
Start-up snapshot and code cache stay off: the first does not end, the second differs in each build.
`;

export interface Options {
  readonly chosen: readonly Target[];
  readonly quick: boolean;
  readonly verify: boolean;
  readonly output: string;
  readonly sumsKey: string | undefined;
  readonly signer: Signer | undefined;
}

/** Undefined when the flags make no sense. */
export function readOptions(argv: readonly string[]): Options | undefined {
  const values = tryParse(argv);
  if (values === undefined) return undefined;
  const { 'sign-cert': certificate, 'sign-key': key } = values;
  if ((certificate === undefined) !== (key === undefined)) return undefined;
  const names = values.all ? targets.map(({ name }) => name) : (values.target ?? ['linux-x64']);
  if (!names.every((name) => targets.some((target) => target.name === name))) return undefined;
  return {
    chosen: targets.filter(({ name }) => names.includes(name)),
    quick: values.quick,
    verify: values.verify,
    output: values.output,
    sumsKey: values['sums-key'],
    signer: certificate === undefined || key === undefined ? undefined : { certificate, key },
  };
}

function tryParse(argv: readonly string[]) {
  try {
    return parseArgs({
      args: [...argv],
      options: {
        all: { type: 'boolean', default: false },
        target: { type: 'string', multiple: true },
        verify: { type: 'boolean', default: false },
        output: { type: 'string', default: join(root, 'dist/package') },
        quick: { type: 'boolean', default: false },
        'sums-key': { type: 'string' },
        'sign-cert': { type: 'string' },
        'sign-key': { type: 'string' },
      },
    }).values;
  } catch {
    return undefined;
  }
}
