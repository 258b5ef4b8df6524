/** `<node> <cluster> <type> <version>`, single spaces (cluster-protocol.md 1.8). */
import { decodeUtf8 } from '../../bytes.ts';
import { type Codec, PayloadError } from './payload.ts';

export interface Hello {
  readonly node: string;
  readonly cluster: string;
  readonly type: string;
  readonly version: string;
}

const longest = 1024;

export const helloPayload: Codec<Hello> = {
  encode: ({ node, cluster, type, version }) =>
    Buffer.from(`${node} ${cluster} ${type} ${version}`, 'utf8'),
  decode: (bytes) => {
    const text = bytes.length > longest ? undefined : decodeUtf8(bytes);
    if (text === undefined) throw new PayloadError('hello is too long or not UTF-8');
    const [node, cluster, type, version, ...more] = text.split(' ');
    if (more.length > 0) throw new PayloadError('too many values to unpack (expected 4)');
    if (
      node === undefined ||
      cluster === undefined ||
      type === undefined ||
      version === undefined
    ) {
      const got = text.split(' ').length;
      throw new PayloadError(`not enough values to unpack (expected 4, got ${got})`);
    }
    return { node, cluster, type, version };
  },
};
