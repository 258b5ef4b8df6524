/** Another process of the publisher: appends to an audit log. */
import { openAudit } from '../../../src/host/audit-database.ts';

const [path = '', who = '', count = '0'] = process.argv.slice(2);
const log = openAudit(path);
for (let index = 0; index < Number(count); index += 1) {
  const facts = { atMs: index, who, role: 'admin', from: 'command line' };
  log.append({ ...facts, action: `step ${index}`, outcome: 'done' });
}
log.close();
