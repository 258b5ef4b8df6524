/**
 * What a node of ours tells its master of its own manager: where agents of which zone dial it. It
 * travels as the payload of a keep-alive, which a stock master echoes as any other. Pure. What is
 * said is an input: the publisher judges it by the root and asks the address before anybody dials it.
 */
import {
  address,
  identifier,
  list,
  members,
  parseMembers,
  port,
  present,
} from '../../list/members.ts';
import { listLimits, type ZoneAddress } from '../../list/model.ts';
import { parseStrictJson } from '../../list/strict-json.ts';
import { addressesWord } from '../wire/command.ts';

const maxBytes = 4_096;
const rules = { what: 'addresses', reason: 'list_invalid', maxBytes } as const;

const document = members({
  addresses: list(
    members({ zone: identifier, address, port: port.optional() }),
    0,
    listLimits.maxZoneAddresses,
  ),
});

export function encodeSaid(addresses: readonly ZoneAddress[]): Buffer {
  return Buffer.concat([addressesWord, Buffer.from(JSON.stringify({ addresses }))]);
}

/** Throws ListError `list_invalid`, `duplicate_member`, `too_big`. */
export function parseSaid(payload: Uint8Array): readonly ZoneAddress[] {
  const json = payload.subarray(addressesWord.length);
  const { addresses } = parseMembers(document, parseStrictJson(json, rules), rules);
  const zones = new Set(addresses.map(({ zone }) => zone));
  return addresses.filter(({ zone }) => zones.delete(zone)).map(present);
}
