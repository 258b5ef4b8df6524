/**
 * The MSI, by wixl (msitools), then what wixl cannot say, written into its tables: an order that
 * runs the teardown before files go, upgrades in both directions, secure properties, a summary
 * without chance. wixl ignores SOURCE_DATE_EPOCH, so the clock is held by faketime.
 */
import { createHash } from 'node:crypto';
import { copyFileSync, mkdirSync, renameSync, rmSync, utimesSync } from 'node:fs';
import { basename, join } from 'node:path';
import { type Signer, signAuthenticode } from './authenticode.ts';
import { root, type Stamp } from './bundles.ts';
import { run } from './run.ts';

export interface MsiRequest {
  /** The finished pilotfish.exe. */
  readonly binary: string;
  readonly outputFolder: string;
  readonly stamp: Stamp;
  /** Undefined: nothing is signed. */
  readonly signer: Signer | undefined;
}

/** As in pilotfish.wxs; never changes. */
const upgradeCode = '{6E1B7C0A-5B8C-4F0B-9B64-0E1D5F6A2C31}';

export const publicProperties = [
  'JOIN_TOKEN',
  'PUBLISHER_URLS',
  'ZONE',
  'APPLY_MODE',
  'MAINTENANCE_WINDOW',
  'PROXY',
] as const;

/** Path of the package. */
export function buildMsi({ binary, outputFolder, stamp, signer }: MsiRequest): string {
  const work = join(outputFolder, 'msi');
  mkdirSync(work, { recursive: true });
  copyFileSync(binary, join(work, 'pilotfish.exe'));
  compileServiceHost(join(work, 'pilotfish-service.exe'));
  if (signer !== undefined) {
    for (const name of ['pilotfish.exe', 'pilotfish-service.exe']) {
      signAuthenticode(join(work, name), signer, stamp.epoch);
    }
  }
  const made = packMsi(work, stamp);
  if (signer !== undefined) signAuthenticode(made, signer, stamp.epoch);
  const output = join(outputFolder, basename(made));
  renameSync(made, output);
  rmSync(work, { recursive: true });
  return output;
}

/** Around `pilotfish.exe` and `pilotfish-service.exe` in `folder`; path of the package there. */
export function packMsi(folder: string, stamp: Stamp): string {
  const file = `pilotfish-${stamp.version}-x64.msi`;
  // Times of the files go into the cabinet; faketime would shift them by the age of the build.
  for (const name of ['pilotfish.exe', 'pilotfish-service.exe']) {
    utimesSync(join(folder, name), stamp.epoch, stamp.epoch);
  }
  const env = { NO_FAKE_STAT: '1', TZ: 'UTC' };
  run(['faketime', '-f', clockOf(stamp), 'wixl', ...wixlWords(stamp, file)], { cwd: folder, env });
  mendTables(join(folder, file), stamp);
  return join(folder, file);
}

export function compileServiceHost(output: string): void {
  const flags = [
    '-O2',
    '-s',
    '-municode',
    '-static',
    '-Wall',
    '-Wextra',
    '-Wl,--no-insert-timestamp',
  ];
  const source = join(root, 'installers/windows/service-host.c');
  const libraries = ['-ladvapi32', '-lshell32'];
  run(['x86_64-w64-mingw32-gcc', ...flags, '-o', output, source, ...libraries]);
}

function clockOf({ epoch }: Stamp): string {
  return new Date(epoch * 1000).toISOString().slice(0, 19).replace('T', ' ');
}

function wixlWords(stamp: Stamp, file: string): readonly string[] {
  const values = { ProductCode: productCodeOf(stamp), Version: stamp.version };
  const defines = Object.entries(values).flatMap(([name, value]) => ['-D', `${name}=${value}`]);
  const source = join(root, 'installers/windows/pilotfish.wxs');
  return ['-a', 'x64', ...defines, '-o', file, source];
}

/** Another build is another product; the same build is the same one, and is repaired. */
function productCodeOf({ version, commit }: Stamp): string {
  return uuidOf(`product ${version} ${commit}`);
}

function uuidOf(text: string): string {
  const hex = createHash('sha256').update(`pilotfish ${text}`).digest('hex').toUpperCase();
  return [hex.slice(0, 8), hex.slice(8, 12), `4${hex.slice(13, 16)}`, `8${hex.slice(17, 20)}`]
    .concat(hex.slice(20, 32))
    .join('-');
}

function mendTables(path: string, stamp: Stamp): void {
  const secure = ['WIX_UPGRADE_DETECTED', ...publicProperties].join(';');
  const queries = [
    `UPDATE Property SET Value='${secure}' WHERE Property='SecureCustomProperties'`,
    // Behind StopServices, before DeleteServices and RemoveFiles.
    `UPDATE InstallExecuteSequence SET Sequence=1950 WHERE Action='TearDown'`,
    // The old product leaves first, and comes back if the new one fails.
    `UPDATE InstallExecuteSequence SET Sequence=1501 WHERE Action='RemoveExistingProducts'`,
    // Every version from 0.0.0 on (256: it included), older or newer; 1 migrates features.
    'DELETE FROM Upgrade',
    `INSERT INTO Upgrade (UpgradeCode, VersionMin, Attributes, ActionProperty) VALUES ('${upgradeCode}', '0.0.0', 257, 'WIX_UPGRADE_DETECTED')`,
    `DELETE FROM LaunchCondition WHERE Condition='NOT WIX_DOWNGRADE_DETECTED'`,
  ];
  for (const query of queries) run(['msibuild', path, '-q', query]);
  const summary = [
    'Pilotfish',
    'Pilotfish contributors',
    'x64;1033',
    `{${uuidOf(`package ${stamp.version} ${stamp.commit}`)}}`,
  ];
  run(['faketime', '-f', clockOf(stamp), 'msibuild', path, '-s', ...summary]);
}
