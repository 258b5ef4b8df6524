/** The OpenAPI document, judged by a validator that is none of ours. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openApiDocument } from '../../../src/publisher/api/openapi.ts';

interface Judge {
  readonly version: string;
  validate(document: object): Promise<{ readonly valid: boolean; readonly errors?: unknown }>;
}

/** Named apart from its types: nothing else here needs the package. */
const judgeName: string = '@seriousme/openapi-schema-validator';

async function judge(document: object) {
  const { Validator } = (await import(judgeName)) as { readonly Validator: new () => Judge };
  const validator = new Validator();
  const { valid, errors } = await validator.validate(structuredClone(document));
  return { valid, errors, version: validator.version };
}

test('it is an OpenAPI 3.1 document', async () => {
  const { valid, errors, version } = await judge(openApiDocument('1.2.3'));
  assert.equal(version, '3.1');
  assert.ok(valid, JSON.stringify(errors, undefined, 1));
});

test('a parameter without a place, or an operation without answers, would be told', async () => {
  const document = JSON.parse(JSON.stringify(openApiDocument('1.2.3')));
  const drain = document.paths['/api/v1/drain'].post;
  delete drain.parameters[0].in;
  assert.equal((await judge(document)).valid, false);
  drain.parameters = [];
  drain.responses = 'none';
  assert.equal((await judge(document)).valid, false);
});
