/** Bodies of strings, files and tasks: an id or path, a space, the rest (cluster-protocol.md 3). */
import { type Fault, fault } from './fault.ts';
import { type Codec, joinOnce, PayloadError, splitOnce } from './payload.ts';
import { decodeFault, encodeFault } from './wazuh-json.ts';

export interface StringPart {
  readonly stringId: string;
  readonly bytes: Uint8Array;
}

export const stringPartPayload: Codec<StringPart> = {
  encode: ({ stringId, bytes }) => joinOnce(stringId, bytes),
  decode: (bytes) => {
    const { head, rest } = splitOnce(bytes);
    return { stringId: head, bytes: rest };
  },
};

export interface FilePart {
  /** The peer's name of the transfer: looked up, never joined to a directory. */
  readonly path: string;
  readonly bytes: Uint8Array;
}

export const filePartPayload: Codec<FilePart> = {
  encode: ({ path, bytes }) => joinOnce(path, bytes),
  decode: (bytes) => {
    const { head, rest } = splitOnce(bytes);
    return { path: head, bytes: rest };
  },
};

export interface FileEnd {
  readonly path: string;
  /** SHA-256 of what was sent, 32 bytes. */
  readonly digest: Uint8Array;
}

export const fileEndPayload: Codec<FileEnd> = {
  encode: ({ path, digest }) => joinOnce(path, digest),
  decode: (bytes) => {
    const { head, rest } = splitOnce(bytes);
    return { path: head, digest: rest };
  },
};

export interface TaskFile {
  readonly taskId: string;
  readonly path: string;
}

export const taskFilePayload: Codec<TaskFile> = {
  encode: ({ taskId, path }) => Buffer.from(`${taskId} ${path}`, 'utf8'),
  decode: (bytes) => {
    const { head, rest } = splitOnce(bytes);
    if (rest.length > 4096) throw new PayloadError('the path is longer than 4096 bytes');
    return { taskId: head, path: rest.toString('utf8') };
  },
};

export interface TaskFault {
  /** Undefined: the peer knows no task, on the wire the word `None`. */
  readonly taskId: string | undefined;
  readonly fault: Fault;
}

export const taskFaultPayload: Codec<TaskFault> = {
  encode: ({ taskId, fault: value }) => joinOnce(taskId ?? 'None', encodeFault(value)),
  decode: (bytes) => {
    const { head, rest } = splitOnce(bytes);
    const value = rest.length > 65_536 ? fault(3000, 'an error report above 64 KiB') : undefined;
    return { taskId: head === 'None' ? undefined : head, fault: value ?? decodeFault(rest) };
  },
};
