/** Bodies that are one JSON document, as plain values (no wrapped members allowed). */
import type { JsonValue } from '../../guards.ts';
import type { Codec } from './payload.ts';
import { parsePlainJson } from './plain-json.ts';
import { pythonJson } from './python-json.ts';
import { decodeSyncResult, encodeSyncResult, type SyncResult } from './wazuh-json.ts';

export const jsonPayload: Codec<JsonValue> = {
  encode: (value) => Buffer.from(pythonJson(value), 'latin1'),
  decode: (bytes) => parsePlainJson(bytes),
};

export const syncResultPayload: Codec<SyncResult> = {
  encode: encodeSyncResult,
  decode: decodeSyncResult,
};
