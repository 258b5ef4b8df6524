/** Two pipes and nothing else: `node-pipe.ts LISTEN_PORT TARGET_PORT`. */
import { connect, createServer } from 'node:net';

const [listenPort, targetPort] = process.argv.slice(2).map(Number);
const server = createServer({ allowHalfOpen: true, noDelay: true }, (agent) => {
  const manager = connect({
    host: '127.0.0.1',
    port: targetPort ?? 0,
    allowHalfOpen: true,
    noDelay: true,
  });
  agent.on('error', () => manager.destroy()).pipe(manager);
  manager.on('error', () => agent.destroy()).pipe(agent);
});
server.listen(listenPort, '127.0.0.1', () => process.stdout.write('ready\n'));
