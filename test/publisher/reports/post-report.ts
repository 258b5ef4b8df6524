/** A signed report over the wire, to a publisher that runs. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { request } from 'node:https';
import { join } from 'node:path';
import type { AgentReport } from '../../../src/list/agent-report.ts';
import type { TestPublisher } from '../../cli/publisher-fixture.ts';
import { eventually } from '../../fakes/processes.ts';
import { signedReport } from './report-fixture.ts';

/** Until it is taken: a publisher whose process is busy sheds reports (503), which come again. */
export async function postReport(publisher: TestPublisher, report: AgentReport): Promise<void> {
  await eventually('the report is taken', async () => {
    const status = await postOnce(publisher, report);
    assert.ok(status === 200 || status === 503, `${status}`);
    return status === 200;
  });
}

function postOnce({ directory, port }: TestPublisher, report: AgentReport) {
  const { promise, resolve, reject } = Promise.withResolvers<number | undefined>();
  const { body, mac } = signedReport(report);
  const ca = readFileSync(join(directory, 'ca.crt'));
  const headers = {
    ...{ 'content-type': 'application/json', 'content-length': body.length },
    ...{ 'pf-agent': report.agent, 'pf-mac': mac },
  };
  const sent = request({
    ...{ host: '127.0.0.1', port, path: '/v1/report', method: 'POST' },
    ...{ ca, headers, agent: false },
  });
  sent.on('error', reject);
  sent.on('response', (response) => resolve(response.resume().statusCode));
  sent.end(body);
  return promise;
}
