/** The bundles that stock nodes uploaded to each other, out of the recordings. */
import { recordedFrames } from '../recording.ts';

export interface RecordedBundle {
  readonly recording: string;
  readonly dir: string;
  readonly bytes: Buffer;
}

export function recordedBundles(recording: string): readonly RecordedBundle[] {
  const uploads = new Map<string, { readonly dir: string; readonly parts: Buffer[] }>();
  for (const frame of recordedFrames(recording)) {
    if (!frame.isRequest || frame.payload === undefined) continue;
    const path = frame.payload.toString('latin1').split(' ', 1)[0] ?? '';
    const key = `${frame.conn} ${frame.dir} ${path}`;
    if (frame.command === 'new_file') uploads.set(key, { dir: frame.dir, parts: [] });
    if (frame.command !== 'file_upd') continue;
    uploads.get(key)?.parts.push(frame.payload.subarray(path.length + 1));
  }
  return [...uploads.values()].map(({ dir, parts }) => ({
    recording,
    dir,
    bytes: Buffer.concat(parts),
  }));
}
