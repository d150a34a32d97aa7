// What people write, as a tree: paragraphs, quotes, lists, code, and within them
// strong, emphasis, struck out, code, links and mentions. A text becomes nodes and
// nodes become elements; no HTML is ever made of it.

export type Inline =
  | { type: 'text'; text: string }
  | { type: 'code'; text: string }
  | { type: 'strong' | 'em' | 'strike'; nodes: Inline[] }
  | { type: 'link'; href: string; text: string }
  | { type: 'mention'; handle: string }
  | { type: 'break' };

export type Block =
  | { type: 'p'; nodes: Inline[] }
  | { type: 'quote'; blocks: Block[] }
  | { type: 'list'; ordered: boolean; start: number; items: Inline[][] }
  | { type: 'code'; text: string };

const maxDepth = 8; // of quotes and of emphasis: deeper is text

/** The blocks of a text. */
export function parse(text: string, depth = 0): Block[] {
  const lines = text.replace(/\r\n?/g, '\n').split('\n');
  const blocks: Block[] = [];
  let i = 0;
  while (i < lines.length) {
    const line = lines[i]!;
    if (line.trim() === '') i++;
    else if (/^```/.test(line)) i = codeBlock(lines, i, blocks);
    else if (depth < maxDepth && /^> ?/.test(line)) i = quoteBlock(lines, i, blocks, depth);
    else if (listMark(line)) i = listBlock(lines, i, blocks);
    else i = paragraph(lines, i, blocks, depth);
  }
  return blocks;
}

function codeBlock(lines: string[], from: number, out: Block[]): number {
  let end = from + 1;
  while (end < lines.length && !/^```\s*$/.test(lines[end]!)) end++;
  out.push({ type: 'code', text: lines.slice(from + 1, end).join('\n') });
  return end + 1;
}

function quoteBlock(lines: string[], from: number, out: Block[], depth: number): number {
  let end = from;
  while (end < lines.length && /^> ?/.test(lines[end]!)) end++;
  const inner = lines.slice(from, end).map((l) => l.replace(/^> ?/, ''));
  out.push({ type: 'quote', blocks: parse(inner.join('\n'), depth + 1) });
  return end;
}

function listMark(line: string): { ordered: boolean; start: number; rest: string } | null {
  const m = /^(?:([-*•])|(\d{1,9})[.)]) +(\S.*)$/.exec(line);
  return m ? { ordered: m[2] !== undefined, start: Number(m[2] ?? 1), rest: m[3]! } : null;
}

function listBlock(lines: string[], from: number, out: Block[]): number {
  const first = listMark(lines[from]!)!;
  const items: Inline[][] = [];
  let i = from;
  for (; i < lines.length; i++) {
    const mark = listMark(lines[i]!);
    if (!mark || mark.ordered !== first.ordered) break;
    items.push(inline(mark.rest));
  }
  out.push({ type: 'list', ordered: first.ordered, start: first.start, items });
  return i;
}

function paragraph(lines: string[], from: number, out: Block[], depth: number): number {
  const nodes: Inline[] = [];
  let i = from;
  for (; i < lines.length; i++) {
    const line = lines[i]!;
    if (line.trim() === '' || /^```/.test(line) || (i > from && listMark(line))) break;
    if (depth < maxDepth && i > from && /^> ?/.test(line)) break;
    if (i > from) nodes.push({ type: 'break' });
    nodes.push(...inline(line));
  }
  out.push({ type: 'p', nodes });
  return i;
}

const pairs = [
  ['**', 'strong'],
  ['__', 'strong'],
  ['~~', 'strike'],
  ['*', 'em'],
  ['_', 'em'],
] as const;

/** The inline nodes of one line. */
export function inline(line: string, depth = 0): Inline[] {
  const out: Inline[] = [];
  let text = '';
  const flush = () => {
    if (text) out.push({ type: 'text', text });
    text = '';
  };
  for (let i = 0; i < line.length;) {
    const found = depth < maxDepth ? token(line, i, depth) : null;
    if (found) {
      flush();
      out.push(found.node);
      i = found.end;
    } else if (line[i] === '\\' && /[\\*_~`@[\]]/.test(line[i + 1] ?? '')) {
      text += line[i + 1];
      i += 2;
    } else {
      text += line[i++];
    }
  }
  flush();
  return out;
}

interface Found {
  node: Inline;
  end: number;
}

function token(line: string, i: number, depth: number): Found | null {
  const c = line[i]!;
  if (c === '`') return code(line, i);
  if (c === '*' || c === '_' || c === '~') return emphasis(line, i, depth);
  if (c === 'h') return address(line, i);
  if (c === '@') return mention(line, i);
  return null;
}

function code(line: string, i: number): Found | null {
  const end = line.indexOf('`', i + 1);
  if (end <= i + 1) return null;
  return { node: { type: 'code', text: line.slice(i + 1, end) }, end: end + 1 };
}

const wordBefore = (line: string, i: number): boolean => i > 0 && /[\p{L}\p{N}]/u.test(line[i - 1]!);

function emphasis(line: string, i: number, depth: number): Found | null {
  for (const [mark, type] of pairs) {
    if (!line.startsWith(mark, i)) continue;
    if (mark.startsWith('_') && wordBefore(line, i)) return null;
    const from = i + mark.length;
    const end = closing(line, mark, from);
    if (end < 0) continue;
    return { node: { type, nodes: inline(line.slice(from, end), depth + 1) }, end: end + mark.length };
  }
  return null;
}

const emphasisWithin = 1000; // characters: what a hostile text can make us look through

/** Where a mark closes: not after a space, at the end of a run, not within a word for underscores. */
function closing(line: string, mark: string, from: number): number {
  if (/\s/.test(line[from] ?? ' ')) return -1;
  const near = line.slice(0, from + emphasisWithin);
  for (let end = near.indexOf(mark, from + 1); end > 0; end = near.indexOf(mark, end + 1)) {
    while (near[end + mark.length] === mark[0]) end++;
    const inWord = mark.startsWith('_') && /[\p{L}\p{N}]/u.test(line[end + mark.length] ?? '');
    if (!/\s/.test(line[end - 1]!) && !inWord) return end;
  }
  return -1;
}

const addressForm = /^https?:\/\/[^\s<>"'`]+/;

function address(line: string, i: number): Found | null {
  if (wordBefore(line, i)) return null;
  const m = addressForm.exec(line.slice(i, i + 2048));
  if (!m) return null;
  let text = m[0].replace(/[.,;:!?…»]+$/, '');
  while (text.endsWith(')') && !text.includes('(')) text = text.slice(0, -1);
  const href = safeLink(text);
  return href ? { node: { type: 'link', href, text }, end: i + text.length } : null;
}

/** The address if it is one a browser may be sent to, else ''. */
export function safeLink(text: string): string {
  try {
    const u = new URL(text);
    return (u.protocol === 'https:' || u.protocol === 'http:') && u.username === '' ? u.href : '';
  } catch {
    return '';
  }
}

const mentionForm = /^@([a-z0-9][a-z0-9.-]{0,30}[a-z0-9])/;

function mention(line: string, i: number): Found | null {
  const m = wordBefore(line, i) ? null : mentionForm.exec(line.slice(i, i + 34));
  return m ? { node: { type: 'mention', handle: m[1]! }, end: i + m[0].length } : null;
}

/** Whether a text names a person. */
export function mentions(text: string, handle: string): boolean {
  const inNodes = (nodes: Inline[]): boolean =>
    nodes.some((n) => (n.type === 'mention' ? n.handle === handle : 'nodes' in n && inNodes(n.nodes)));
  const inBlocks = (blocks: Block[]): boolean =>
    blocks.some((b) => {
      if (b.type === 'p') return inNodes(b.nodes);
      if (b.type === 'quote') return inBlocks(b.blocks);
      return b.type === 'list' && b.items.some(inNodes);
    });
  return text.includes('@' + handle) && inBlocks(parse(text));
}

/** The text without its marks, in one line. */
export function plain(text: string): string {
  const nodes = (list: Inline[]): string =>
    list
      .map((n) => {
        if (n.type === 'break') return ' ';
        if (n.type === 'mention') return '@' + n.handle;
        return 'nodes' in n ? nodes(n.nodes) : n.text;
      })
      .join('');
  const block = (b: Block): string => {
    if (b.type === 'p') return nodes(b.nodes);
    if (b.type === 'quote') return b.blocks.map(block).join(' ');
    if (b.type === 'list') return b.items.map(nodes).join(' · ');
    return b.text.replace(/\s+/g, ' ');
  };
  return parse(text.slice(0, 2000)).map(block).join(' ').trim();
}
