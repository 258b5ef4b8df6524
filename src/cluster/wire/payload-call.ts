/** Bodies of forwarded calls: the id of who waits, a space, what is for them. */
import { type Codec, joinOnce, splitOnce } from './payload.ts';

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
