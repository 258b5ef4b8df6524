/** How much one bundle may hold, learnt from how the last ones went (cluster-protocol.md 3.5). */
import type { Communication } from './cluster-json.ts';

export interface BundleTrip {
  /** The receiver gave up while the bundle was under way. */
  readonly isInterrupted: boolean;
  readonly sentBytes: number;
  /** From the first byte to the last; undefined: it was not sent to the end. */
  readonly sendingMs: number | undefined;
}

export interface ZipLimit {
  readonly limitBytes: number;
  readonly change: 'decreased' | 'increased' | 'same';
}

/** The limit of the next bundle. Only a bundle that arrived whole makes it grow. */
export function adaptZipLimit(
  limitBytes: number,
  trip: BundleTrip,
  rules: Communication,
): ZipLimit {
  const share = 1 - rules.zipLimitTolerance;
  if (trip.isInterrupted) {
    const decreased = Math.max(rules.minZipBytes, Math.floor(trip.sentBytes * share));
    return { limitBytes: decreased, change: 'decreased' };
  }
  const isQuick =
    trip.sendingMs !== undefined && trip.sendingMs < rules.receivingFileTimeoutMs * share;
  if (limitBytes >= rules.maxZipBytes || !isQuick) return { limitBytes, change: 'same' };
  const increased = Math.min(rules.maxZipBytes, Math.floor(limitBytes * 1.25));
  return { limitBytes: increased, change: 'increased' };
}

/** Stock's debug line; `MB` are MiB there. */
export function zipLimitText(limit: ZipLimit): string | undefined {
  if (limit.change === 'same') return undefined;
  const verb = limit.change === 'decreased' ? 'Decreasing' : 'Increasing';
  return `${verb} sync size limit to ${(limit.limitBytes / (1024 * 1024)).toFixed(2)} MB.`;
}
