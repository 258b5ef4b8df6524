/** A directory like the agent's, with a state directory beside it, for tests of the file protocol. */
import assert from 'node:assert/strict';
import { chmod, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ConfigFile } from '../../src/applier/config-file.ts';
import { PilotfishError, type ReasonName } from '../../src/errors.ts';
import { openBackupStore } from '../../src/host/backup-store.ts';
import { type FileAttributes, gnuAttributes } from '../../src/host/file-attributes.ts';
import { systemClock, systemRandom } from '../../src/host/system-clock.ts';
import { openUnixConfigFile, type UnixConfigFileOptions } from '../../src/host/unix-config-file.ts';

export const oldText =
  '<ossec_config>\n  <client><server><address>10.0.0.1</address></server></client>\n</ossec_config>\n';
export const newText =
  '<ossec_config>\n  <client><server><address>10.0.0.2</address></server></client>\n</ossec_config>\n';

/** For assert.rejects: our error, of that reason, with a message that says it. */
export const failsWith =
  (reason: ReasonName, pattern = /./) =>
  (error: unknown): boolean => {
    assert.ok(error instanceof PilotfishError, String(error));
    assert.equal(error.reason, reason);
    assert.match(error.message, pattern);
    return true;
  };

export interface ConfigFixture {
  readonly directory: string;
  readonly path: string;
  readonly stateDirectory: string;
  open(options?: Partial<UnixConfigFileOptions>): ConfigFile;
  /** Names in the agent's directory. */
  names(): Promise<readonly string[]>;
}

export async function withConfig(
  body: (fixture: ConfigFixture) => Promise<void>,
  parent: string = tmpdir(),
): Promise<void> {
  const root = await mkdtemp(join(parent, 'pf-conf-'));
  const directory = join(root, 'etc');
  const path = join(directory, 'ossec.conf');
  const stateDirectory = join(root, 'state');
  await mkdir(directory);
  await mkdir(stateDirectory, { mode: 0o700 });
  await writeFile(path, oldText);
  await chmod(path, 0o660);
  const attributes: FileAttributes = gnuAttributes;
  try {
    await body({
      directory,
      path,
      stateDirectory,
      names: () => readdir(directory),
      open: (options = {}) =>
        openUnixConfigFile({
          path,
          stateDirectory,
          maxBytes: 8 * 1024 * 1024,
          onLostAttributes: 'refuse',
          attributes,
          backups: openBackupStore(join(stateDirectory, 'backups')),
          clock: systemClock,
          random: systemRandom,
          ...options,
        }),
    });
  } finally {
    await rm(root, { recursive: true, maxRetries: 9 });
  }
}
