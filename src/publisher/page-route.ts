/** The web page: a few files that hold no data, for anybody; what they show comes by the API. */
import type { Server } from 'node:https';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';

export interface PageFile {
  /** `/` for the document itself; others carry a hash of their content. */
  readonly path: string;
  readonly type: string;
  readonly body: Buffer;
}

/** Of all files but the document. */
export const pageFolder = '/web/';

export type Page = readonly PageFile[];
export type PageReader = () => Promise<Page | undefined>;

/** Nothing but this publisher's own files and answers, no inline script or style, nobody's frame. */
const policy = [
  "default-src 'none'",
  ...["script-src 'self'", "style-src 'self'", "img-src 'self'", "connect-src 'self'"],
  ...["base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"],
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join('; ');

const headers = {
  'content-security-policy': policy,
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'permissions-policy': 'camera=(), geolocation=(), microphone=()',
} as const;

/** `read` is asked at every request; undefined: there is no page. */
export function addPageRoutes(app: FastifyInstance<Server>, read: PageReader): void {
  const answer = async (request: FastifyRequest, reply: FastifyReply) => {
    const page = await read();
    const file = page?.find(({ path }) => path === request.raw.url);
    if (file === undefined) return reply.callNotFound();
    const caching = file.path === '/' ? 'no-cache' : 'public, max-age=31536000, immutable';
    return reply.headers(headers).header('cache-control', caching).type(file.type).send(file.body);
  };
  for (const path of ['/', `${pageFolder}*`]) {
    app.get(path, (request, reply) => answer(request as FastifyRequest, reply as FastifyReply));
  }
}
