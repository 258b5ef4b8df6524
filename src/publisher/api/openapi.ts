/** The OpenAPI 3.1 document of the table of operations; schemas come from zod. Pure. */
import * as z from 'zod';
import type { Operation } from './operation.ts';
import { operations } from './operations.ts';
import { streamPath, streamSummary } from './stream.ts';

export const apiPrefix = '/api/v1/';

export function openApiDocument(version: string): object {
  const paths: Record<string, object> = {};
  for (const operation of operations) {
    paths[`${apiPrefix}${operation.path}`] = {
      [operation.method.toLowerCase()]: operationObject(operation),
    };
  }
  paths[`${apiPrefix}${streamPath}`] = { get: streamObject };
  return {
    openapi: '3.1.0',
    info: {
      title: 'Pilotfish publisher',
      version,
      description:
        'Read and operate a fleet of Wazuh agents. Tokens: `pilotfish-publisher api-token create`.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/' }],
    security: [{ token: [] }],
    components: {
      securitySchemes: {
        token: { type: 'http', scheme: 'bearer', bearerFormat: 'pfa1.ID.SECRET' },
      },
      schemas: { ApiError: z.toJSONSchema(errorAnswer) },
    },
    paths,
  };
}

export const errorAnswer = z.object({
  error: z.object({ name: z.string(), message: z.string(), code: z.string().optional() }),
});

function operationObject(operation: Operation): object {
  const { path, role, summary, query, answer } = operation;
  return {
    operationId: path.replace(/\W+(\w)/g, (_, letter: string) => letter.toUpperCase()),
    summary,
    description: `Needs the role ${role}.`,
    parameters: parametersOf(query),
    responses: {
      200: {
        description: 'done',
        content: { 'application/json': { schema: withoutDialect(z.toJSONSchema(answer)) } },
      },
      ...refusalsObject(),
    },
  };
}

function refusalsObject(): object {
  return Object.fromEntries(
    Object.entries(refusals).map(([status, description]) => [status, refusal(description)]),
  );
}

const refusals = {
  400: 'a parameter is wrong, or the change makes no sense now',
  401: 'no token, or a forged, revoked or expired one',
  403: 'the role of the token is too low',
  409: 'another operator decided something meanwhile (E047): look again; or another publisher signs, or knows, this, which the message names: ask that one',
  429: 'too many requests; Retry-After says when',
  503: 'overloaded, or the disk or etcd refuses',
} as const;

function refusal(description: string): object {
  const schema = { $ref: '#/components/schemas/ApiError' };
  return { description, content: { 'application/json': { schema } } };
}

function parametersOf(query: z.ZodObject): readonly object[] {
  const { properties = {}, required = [] } = z.toJSONSchema(query, { io: 'input' });
  return Object.entries(properties).map(([name, schema]) => {
    const description = typeof schema === 'object' ? schema.description : undefined;
    return {
      name,
      in: 'query',
      required: required.includes(name),
      ...(description === undefined ? {} : { description }),
      schema,
    };
  });
}

function withoutDialect({ $schema: _, ...schema }: Record<string, unknown>): object {
  return schema;
}

const streamObject = {
  operationId: streamPath,
  summary: streamSummary,
  description:
    'Needs the role read. Server-sent events `overview` (as that operation answers) and `end`.',
  parameters: [],
  responses: {
    200: {
      description: 'a stream that ends after a quarter of an hour',
      content: { 'text/event-stream': { schema: { type: 'string' } } },
    },
    ...refusalsObject(),
  },
};
