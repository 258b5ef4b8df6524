/**
 * The document around agents' data on the cluster channel (cluster-protocol.md 3.7). Stock runs
 * whatever command the envelope names; here it must name the one command of its kind.
 */
import { isJsonObject, type JsonObject, type JsonValue } from '../../guards.ts';
import { PayloadError } from '../wire/payload.ts';
import { parsePlainJson, parsePlainObject } from '../wire/plain-json.ts';
import { pythonJson } from '../wire/python-json.ts';
import { membersOf } from './json-ranges.ts';

const groupsCommand = 'global set-agent-groups';
const groupsPayload = { mode: 'override', sync_status: 'synced' } as const;
const infoCommand = 'global sync-agent-info-set';
const mostPages = 65_536;

/** `pages` as the database gave them. */
export function encodeGroupsEnvelope(pages: readonly string[]): Buffer {
  const envelope = { set_data_command: groupsCommand, payload: groupsPayload, chunks: pages };
  return Buffer.from(pythonJson(envelope), 'latin1');
}

/** The pages, unread. Throws `PayloadError`. */
export function decodeGroupsEnvelope(bytes: Buffer): readonly string[] {
  const { set_data_command: command, payload, chunks } = parsePlainObject(bytes);
  if (command !== groupsCommand || !isGroupsPayload(payload)) throw wrongCommand();
  if (!Array.isArray(chunks) || chunks.length > mostPages) throw new PayloadError('no chunks');
  return (chunks as readonly JsonValue[]).map((chunk) => {
    if (typeof chunk === 'string') return chunk;
    throw new PayloadError('a chunk that is not a text');
  });
}

function isGroupsPayload(value: JsonValue | undefined): value is JsonObject {
  return (
    isJsonObject(value) &&
    Object.keys(value).length === 2 &&
    value.mode === groupsPayload.mode &&
    value.sync_status === groupsPayload.sync_status
  );
}

/** `body`: JSON of an object, as the database gave it. */
export function encodeInfoEnvelope(body: string): Buffer {
  return Buffer.from(`{"set_data_command": "${infoCommand}", "payload": {}, "chunks": ${body}}`);
}

/** Where the body begins in `bytes`. Throws `PayloadError`. */
export function decodeInfoEnvelope(bytes: Buffer): number {
  let start: number | undefined;
  let isCommand = false;
  for (const member of membersOf(bytes)) {
    if (member.key === 'set_data_command') {
      if (member.end - member.start > 64) throw wrongCommand();
      isCommand = parsePlainJson(bytes.subarray(member.start, member.end)) === infoCommand;
    } else if (member.key === 'chunks') {
      start = member.start;
    }
  }
  if (!isCommand) throw wrongCommand();
  if (start === undefined) throw new PayloadError('no chunks');
  return start;
}

function wrongCommand(): PayloadError {
  return new PayloadError('the data is for another command');
}
