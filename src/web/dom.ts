/**
 * Elements from values, and a tree brought in step with a newer one without losing focus, selection
 * or scroll. Whatever a stranger named goes in as text: there is no way to put markup in here.
 */

export type Child = Node | string | number | undefined | false;

/** `data-act` names what a click does (see main.ts); `key` tells apart children of one parent. */
export type Attributes = Readonly<Record<string, string | number | boolean | undefined>>;

export function el(
  tag: string,
  attributes: Attributes,
  ...children: readonly Child[]
): HTMLElement {
  return fill(document.createElement(tag), attributes, children);
}

const svgSpace = 'http://www.w3.org/2000/svg';

export function svg(
  tag: string,
  attributes: Attributes,
  ...children: readonly Child[]
): SVGElement {
  return fill(document.createElementNS(svgSpace, tag) as SVGElement, attributes, children);
}

function fill<Kind extends Element>(
  element: Kind,
  attributes: Attributes,
  children: readonly Child[],
): Kind {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === false) continue;
    element.setAttribute(name === 'key' ? 'data-key' : name, value === true ? '' : `${value}`);
  }
  for (const child of children) {
    if (child === undefined || child === false || child === '') continue;
    element.append(typeof child === 'number' ? `${child}` : child);
  }
  return element;
}

/** The children of `target` become those of `fresh`; what is alike stays the same node. */
export function patch(target: Element, fresh: Element): void {
  patchAttributes(target, fresh);
  if (target.hasAttribute('data-own')) return; // drawn by somebody else
  const old = [...target.childNodes];
  const keyed = new Map(old.flatMap((node) => (keyOf(node) === '' ? [] : [[keyOf(node), node]])));
  let at = 0;
  for (const next of [...fresh.childNodes]) {
    const key = keyOf(next);
    const here = key === '' ? old[at] : keyed.get(key);
    at += 1;
    const place = target.childNodes[at - 1] ?? null;
    if (here === undefined || !isAlike(here, next) || here.parentNode !== target) {
      target.insertBefore(next, place);
      continue;
    }
    if (here !== place) target.insertBefore(here, place);
    patchNode(here, next);
  }
  while (target.childNodes.length > at) target.lastChild?.remove();
}

function patchNode(here: Node, next: Node): void {
  if (here instanceof Element && next instanceof Element) patch(here, next);
  else if (here.nodeValue !== next.nodeValue) here.nodeValue = next.nodeValue;
}

function keyOf(node: Node): string {
  return node instanceof Element ? (node.getAttribute('data-key') ?? '') : '';
}

function isAlike(left: Node, right: Node): boolean {
  return left.nodeName === right.nodeName && keyOf(left) === keyOf(right);
}

function patchAttributes(target: Element, fresh: Element): void {
  for (const { name } of [...target.attributes]) {
    // The reader opened it, or drew in it.
    if (!fresh.hasAttribute(name) && name !== 'open' && name !== 'style') {
      target.removeAttribute(name);
    }
  }
  for (const { name, value } of [...fresh.attributes]) {
    if (target.getAttribute(name) !== value) target.setAttribute(name, value);
  }
}

export interface Column<Row> {
  readonly name: string;
  /** `number` is set to the right; `wide` is left out on a phone. */
  readonly kind?: 'number' | 'wide' | 'number wide';
  cell(row: Row): Child;
}

/** A table with its caption, that scrolls by itself where it is too wide. */
export function table<Row>(
  caption: string,
  columns: readonly Column<Row>[],
  rows: readonly Row[],
  keyFor: (row: Row) => string,
): HTMLElement {
  const head = columns.map(({ name, kind }) => el('th', { scope: 'col', class: kind }, name));
  const body = rows.map((row) =>
    el(
      'tr',
      { key: keyFor(row) },
      ...columns.map(({ cell, kind }, index) =>
        index === 0
          ? el('th', { scope: 'row', class: kind }, cell(row))
          : el('td', { class: kind }, cell(row)),
      ),
    ),
  );
  return scroller(
    caption,
    el(
      'table',
      {},
      el('caption', {}, caption),
      el('thead', {}, el('tr', {}, ...head)),
      el('tbody', {}, ...body),
    ),
  );
}

/** Can be scrolled by keyboard too. */
export function scroller(name: string, child: Child): HTMLElement {
  return el('div', { class: 'scroll', role: 'region', 'aria-label': name, tabindex: 0 }, child);
}
