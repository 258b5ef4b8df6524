/** What etcd remembers of a prefix, revision by revision, read through a watch from the beginning. */
import type { StoreEvent, WrittenValue } from './judge.ts';

interface WatchEvent {
  readonly type?: string;
  readonly kv: {
    readonly key: string;
    readonly mod_revision: string;
    readonly value?: string;
  };
}

/** All changes up to now. Throws when etcd does not tell them within a minute. */
export async function readStoreEvents(url: string, prefix: string): Promise<readonly StoreEvent[]> {
  const base64 = (text: string): string => Buffer.from(text).toString('base64');
  const end = base64(`${prefix.slice(0, -1)}0`); // '0' follows '/'
  // A last change, so that the end of the stream is seen.
  const marker = base64(`${prefix}z`);
  await post(`${url}/v3/kv/put`, { key: marker, value: '' });
  const stop = AbortSignal.timeout(60_000);
  const create_request = { key: base64(prefix), range_end: end, start_revision: '1' };
  const response = await fetch(`${url}/v3/watch`, {
    method: 'POST',
    body: JSON.stringify({ create_request }),
    signal: stop,
  });
  const events: StoreEvent[] = [];
  let kept = '';
  for await (const part of response.body ?? []) {
    kept += Buffer.from(part).toString();
    const lines = kept.split('\n');
    kept = lines.pop() ?? '';
    for (const line of lines.filter((text) => text !== '')) {
      const { result } = JSON.parse(line) as { result: { events?: readonly WatchEvent[] } };
      for (const event of result.events ?? []) {
        if (event.kv.key === marker) return events;
        events.push(toEvent(event, base64(`${prefix}leader`)));
      }
    }
  }
  throw new Error('etcd ended the watch');
}

function toEvent({ type, kv }: WatchEvent, seat: string): StoreEvent {
  const revision = Number(kv.mod_revision);
  if (kv.key === seat) return { revision, kind: type === 'DELETE' ? 'seat_empty' : 'seat_taken' };
  const text = Buffer.from(kv.value ?? '', 'base64').toString();
  return { revision, kind: 'written', value: JSON.parse(text) as WrittenValue };
}

async function post(url: string, body: object): Promise<void> {
  const signal = AbortSignal.timeout(60_000);
  await (await fetch(url, { method: 'POST', body: JSON.stringify(body), signal })).text();
}
