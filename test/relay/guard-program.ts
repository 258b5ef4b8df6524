/** A guard on the enrollment port that is no sidecar: `guard-program.ts ADDRESS PORT`. */
import { holdPort } from '../../src/host/relay-guard.ts';
import { endWithInput, report } from '../fakes/life-line.ts';

const [address = '', port] = process.argv.slice(2);
await holdPort({ address, port: Number(port) });
endWithInput(() => process.exit(0));
report({ event: 'mode' });
