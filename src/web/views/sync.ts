/** How far every node is behind its master, by class of file. */
import type { ManagerAnswer } from '../../publisher/api/answers.ts';
import type { View } from '../app.ts';
import { type Child, el, table } from '../dom.ts';
import { count, duration } from '../format.ts';
import { badge, empty, section } from '../parts.ts';

export const syncView: View = {
  title: () => 'Sync',
  render: ({ picture }) => [section('sync', 'Sync lag of every node', ...parts(picture.managers))],
};

function parts(managers: readonly ManagerAnswer[]): readonly Child[] {
  if (managers.every(({ ready }) => ready === undefined)) {
    return [
      empty(
        'No roster is kept.',
        'With roster.enabled in publisher.yml this publisher asks the cluster how far every node is.',
      ),
    ];
  }
  const isKnown = managers.some(({ lags }) => lags !== undefined);
  return [
    table(
      'Sync lag per node and class of files',
      [
        { name: 'Node', cell: ({ id, node }) => (node === id ? id : `${node} (${id})`) },
        { name: 'Role', cell: ({ role }) => role ?? '—' },
        { name: 'In step', cell: stepCell },
        { name: 'Keys', kind: 'number', cell: ({ lags }) => lagCell(lags?.keysMs) },
        { name: 'Groups', kind: 'number', cell: ({ lags }) => lagCell(lags?.groupsMs) },
        { name: 'Other files', kind: 'number', cell: ({ lags }) => lagCell(lags?.filesMs) },
        {
          ...({ name: 'Files behind', kind: 'number' } as const),
          cell: ({ lags }) => (lags === undefined ? '—' : count(lags.files)),
        },
        {
          ...({ name: 'Keys generation', kind: 'wide' } as const),
          cell: ({ lags }) =>
            lags === undefined ? '—' : `${lags.keysGeneration} of ${lags.newestKeysGeneration}`,
        },
      ],
      managers,
      ({ id }) => id,
    ),
    !isKnown &&
      el(
        'p',
        { class: 'quiet' },
        'Lags by class are known where our own node is the master; beside a stock master only whether a node is in step.',
      ),
  ];
}

function stepCell({ ready }: ManagerAnswer): Child {
  if (ready === undefined) return '—';
  if (ready.step === 'in_step') return badge('good', 'in step');
  return badge(ready.step === 'unknown' ? 'plain' : 'warn', ready.step);
}

function lagCell(ms: number | undefined): Child {
  if (ms === undefined) return '—';
  return ms === 0 ? '0 s' : badge(ms > 60_000 ? 'bad' : 'warn', duration(ms));
}
