/** `npm run package`: see `--help`. */
import { packageAll } from './package/main.ts';

process.exitCode = await packageAll(process.argv.slice(2), (line) => {
  process.stdout.write(`${line}\n`);
});
