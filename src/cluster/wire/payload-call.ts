/** Bodies of forwarded calls: the id of who waits, a space, what is for them. */
import { isJsonObject, type JsonValue } from '../../guards.ts';
import { type Codec, joinOnce, splitOnce } from './payload.ts';
import { parsePlainJson } from './plain-json.ts';
import { pythonJson } from './python-json.ts';

/** A body for whoever has this id; `body` is still bytes, to be parsed where it takes effect. */
export interface Addressed {
  readonly id: string;
  readonly body: Uint8Array;
}

export const addressedPayload: Codec<Addressed> = {
  encode: ({ id, body }) => joinOnce(id, body),
  decode: (bytes) => {
    const { head, rest } = splitOnce(bytes);
    return { id: head, body: rest };
  },
};

export interface AddressedString {
  readonly id: string;
  readonly stringId: string;
}

export const addressedStringPayload: Codec<AddressedString> = {
  encode: ({ id, stringId }) => Buffer.from(`${id} ${stringId}`, 'utf8'),
  decode: (bytes) => {
    const { head, rest } = splitOnce(bytes);
    return { id: head, stringId: rest.toString('utf8', 0, 256) };
  },
};

export interface AddressedText {
  readonly id: string;
  readonly text: string;
}

export const addressedTextPayload: Codec<AddressedText> = {
  encode: ({ id, text }) => Buffer.from(`${id} ${text}`, 'utf8'),
  decode: (bytes) => {
    const { head, rest } = splitOnce(bytes);
    return { id: head, text: rest.toString('utf8') };
  },
};

/** A question about the cluster itself. */
export interface ClusterQuestion {
  readonly about: 'nodes' | 'health';
  readonly arguments: JsonValue;
}

/** `get_nodes {…}` or `get_health […]`; without the word an object means nodes. */
export const clusterPayload: Codec<ClusterQuestion> = {
  encode: ({ about, arguments: value }) =>
    Buffer.from(`${about === 'nodes' ? 'get_nodes' : 'get_health'} ${pythonJson(value)}`, 'latin1'),
  decode: (bytes) => {
    const [head = ''] = /^get_(?:nodes|health)(?: |$)/.exec(bytes.toString('latin1', 0, 16)) ?? [];
    const word = head.trim();
    const rest = bytes.subarray(head.length);
    const nothing = word === 'get_nodes' ? {} : null;
    const value = rest.length > 0 ? parsePlainJson(rest) : nothing;
    const isNodes = word === '' ? isJsonObject(value) : word === 'get_nodes';
    return { about: isNodes ? 'nodes' : 'health', arguments: value };
  },
};
