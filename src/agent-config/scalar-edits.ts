/** Edits beside the list: keepalive tuning of 4.x and 5.x, and the enrollment target when asked. */
import { ConfigError } from '../errors.ts';
import { normalAddress, storedAddress } from './address.ts';
import type { Edit } from './bytes-edit.ts';
import type { Dialect } from './dialect.ts';
import { contentOf, type Element } from './element.ts';
import { ownSections, type Readable } from './entries.ts';
import { setContent } from './kept-entry.ts';
import { endsLine, layoutOf, visibleEnd } from './layout.ts';
import { homeSection } from './list-edits.ts';
import type { LoadedServer } from './loaded.ts';
import { toInt } from './values.ts';
import type { Retarget, Target, Tuning } from './wish.ts';

interface ScalarTask {
  readonly bytes: Uint8Array;
  readonly dialect: Dialect;
  readonly reading: Readable;
  readonly entries: readonly LoadedServer[];
  readonly targets: readonly Target[];
}

const DEFAULT_NOTIFY_SEC = 20;
const DEFAULT_RECONNECT_SEC = 60;

/** `notify_time` and `time-reconnect`, the latter only in 4.x: 5.x ignores it. */
export function tuningEdits(task: ScalarTask, tuning: Tuning): readonly Edit[] {
  const { notifyTime, timeReconnect } = tuning;
  if (task.dialect === '4') refuseQuickReconnect(task.reading, tuning);
  return [
    ...scalarEdits(task, 'notify_time', notifyTime),
    ...(task.dialect === '4' ? scalarEdits(task, 'time-reconnect', timeReconnect) : []),
  ];
}

/** An agent replaces a reconnect time that is not above the keepalive time by three of those. */
function refuseQuickReconnect(reading: Readable, tuning: Tuning): void {
  if (tuning.notifyTime === undefined && tuning.timeReconnect === undefined) return;
  const notify = tuning.notifyTime ?? (reading.notifyTime || DEFAULT_NOTIFY_SEC);
  const reconnect = tuning.timeReconnect ?? (reading.timeReconnect || DEFAULT_RECONNECT_SEC);
  if (reconnect > notify) return;
  throw new ConfigError(
    'config_invalid',
    `tuning: time-reconnect would be ${reconnect} s, it must be above notify_time, ${notify} s`,
  );
}

function scalarEdits(task: ScalarTask, name: string, value: number | undefined): readonly Edit[] {
  if (value === undefined) return [];
  const sections = ownSections(task.reading, task.dialect);
  const last = sections
    .flatMap(({ children }) => children)
    .findLast((child) => child.name === name);
  if (last !== undefined) {
    const isSame = toInt(contentOf(task.bytes, last)) === value;
    return isSame ? [] : [setContent(task.bytes, last, String(value))];
  }
  return insertScalar(task, sections, `<${name}>${value}</${name}>`);
}

/** Behind the last entry of the section that holds the list, else right after the opening tag. */
function insertScalar(
  task: ScalarTask,
  sections: readonly Element[],
  rendered: string,
): readonly Edit[] {
  const section = homeSection(task) ?? sections[0];
  if (section === undefined) return [];
  const neighbour = task.entries.findLast((entry) => entry.section === section)?.element;
  const layout = layoutOf(task.bytes, section, neighbour);
  const at = neighbour === undefined ? section.openEnd : visibleEnd(task.bytes, neighbour);
  const line = layout.eol + layout.indent;
  const tail = endsLine(task.bytes, at) ? '' : line;
  return [{ start: at, end: at, text: Buffer.from(line + rendered + tail, 'latin1') }];
}

/** Every `manager_address` that names a manager which left the list. 5.x ignores that element. */
export function enrollmentEdits(task: ScalarTask, retarget: Retarget): readonly Edit[] {
  if (task.dialect === '5') return [];
  const gone = new Set(retarget.gone.map(normalAddress));
  return ownSections(task.reading, task.dialect)
    .flatMap(({ children }) => children.filter((child) => child.name === 'enrollment'))
    .flatMap(({ children }) => children.filter((child) => child.name === 'manager_address'))
    .filter((element) => {
      const stored = storedAddress(contentOf(task.bytes, element));
      return stored !== undefined && gone.has(normalAddress(stored));
    })
    .map((element) => setContent(task.bytes, element, retarget.to));
}
