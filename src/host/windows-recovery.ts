/**
 * What a killed or failed `ReplaceFileW` may leave, and the way out. It is not documented to be
 * atomic; its failures 1175 to 1177 leave defined states (trust-and-safety 3.2). Pure.
 *
 * | seen | left by | way out |
 * |---|---|---|
 * | target | 1175, 1176 with a backup name, or success | remove our leftovers |
 * | no target, backup | 1177, or a kill in the middle | backup becomes target |
 * | no target, no backup, our temp | 1176 without a backup name | newest kept generation |
 * | no target, nothing of ours | somebody else: an installer, an operator | not here: `restoreMissing` |
 */

export interface LeftBehind {
  readonly target: boolean;
  /** `pf-HEX.bak` and `pf-HEX.new` beside it, newest first. */
  readonly backups: readonly string[];
  readonly temps: readonly string[];
}

export type RecoveryStep =
  | { readonly kind: 'rename_to_target'; readonly name: string }
  | { readonly kind: 'write_newest_generation' }
  | { readonly kind: 'remove'; readonly name: string };

export const leftoverPattern = /^pf-[0-9a-f]{24}\.(new|bak)$/;

export function planRecovery(seen: LeftBehind): readonly RecoveryStep[] {
  const [newest, ...older] = seen.backups;
  const remove = (name: string): RecoveryStep => ({ kind: 'remove', name });
  if (seen.target) return [...seen.backups, ...seen.temps].map(remove);
  if (newest === undefined && seen.temps.length === 0) return [];
  const first: RecoveryStep =
    newest === undefined
      ? { kind: 'write_newest_generation' }
      : { kind: 'rename_to_target', name: newest };
  return [first, ...older.map(remove), ...seen.temps.map(remove)];
}
