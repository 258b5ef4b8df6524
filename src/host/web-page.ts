/**
 * The files of the web page. A built program carries them as text; from sources they are bundled
 * when somebody first asks for them, by the esbuild that builds the programs too.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type * as Esbuild from 'esbuild';
import { HostError } from '../errors.ts';
import { messageOf } from '../guards.ts';
import { type Page, type PageFile, pageFolder } from '../publisher/page-route.ts';

/** As esbuild and the folder `src/web` give them. */
export interface PageTexts {
  readonly html: string;
  readonly script: string;
  readonly style: string;
  readonly icon: string;
}

declare global {
  // Set by scripts/package/bundles.ts in the bundled publisher.
  var pilotfishPage: PageTexts | undefined;
}

/** Throws HostError `state_unreadable` from sources without their packages. */
export function readPage(): Promise<Page> {
  reading ??= openPage();
  return reading;
}

/** Once for all publishers of a process. */
let reading: Promise<Page> | undefined;

async function openPage(): Promise<Page> {
  return pageOf(globalThis.pilotfishPage ?? (await bundlePage()).texts);
}

/** Named by their content: a browser may keep them for ever, and never mixes two versions. */
function pageOf({ html, script, style, icon }: PageTexts): Page {
  const files = [
    named('app', 'js', 'text/javascript; charset=utf-8', script),
    named('app', 'css', 'text/css; charset=utf-8', style),
    named('icon', 'svg', 'image/svg+xml', icon),
  ];
  const [js, css, svg] = files;
  const document = html
    .replace('app.js', js?.path ?? '')
    .replace('app.css', css?.path ?? '')
    .replace('icon.svg', svg?.path ?? '');
  return [{ path: '/', type: 'text/html; charset=utf-8', body: Buffer.from(document) }, ...files];
}

function named(name: string, ending: string, type: string, text: string): PageFile {
  const hash = createHash('sha256').update(text).digest('hex').slice(0, 16);
  return { path: `${pageFolder}${name}-${hash}.${ending}`, type, body: Buffer.from(text) };
}

/** Also for the build, which wants to know what went in. */
export async function bundlePage(): Promise<{
  readonly texts: PageTexts;
  readonly inputs: readonly string[];
}> {
  const folder = new URL('../web/', import.meta.url);
  const read = (name: string): string => readFileSync(new URL(name, folder), 'utf8');
  // Not a literal: the bundled publisher must not carry, or look for, what builds it.
  const builder = ['esbuild'].join('');
  try {
    const { build, stop } = (await import(builder)) as typeof Esbuild;
    const { outputFiles, metafile } = await build({
      entryPoints: ['main.ts', 'style.css'].map((name) => fileURLToPath(new URL(name, folder))),
      outdir: 'web',
      bundle: true,
      write: false,
      metafile: true,
      format: 'iife',
      platform: 'browser',
      target: 'es2022',
      minify: true,
      legalComments: 'none',
      charset: 'utf8',
    });
    await stop(); // its helper process is not needed again
    const text = (ending: string): string =>
      outputFiles.find(({ path }) => path.endsWith(ending))?.text ?? '';
    const texts = {
      ...{ html: read('index.html'), icon: read('icon.svg') },
      ...{ script: text('.js'), style: text('.css') },
    };
    return { texts, inputs: Object.keys(metafile.inputs) };
  } catch (thrown) {
    const seen = `the web page: ${messageOf(thrown)}; run scripts/setup, or set \`api.page: false\``;
    throw new HostError('state_unreadable', seen, { cause: thrown });
  }
}
