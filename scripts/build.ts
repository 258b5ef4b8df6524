/** `npm run build`: the bundles in `dist/`, for those who bring their own Node. */
import { buildBundles, readStamp } from './package/bundles.ts';

for (const { path, bytes } of await buildBundles(readStamp())) {
  process.stdout.write(`${path}  ${(bytes / 1024).toFixed(0)} KiB\n`);
}
