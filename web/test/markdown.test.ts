import { describe, expect, it } from 'vitest';
import { inline, mentions, parse, plain, safeLink, type Inline } from '../src/state/markdown';

const text = (s: string): Inline => ({ type: 'text', text: s });

describe('markdown', () => {
  it('knows emphasis, code, links and mentions', () => {
    expect(inline('a **b *c*** `d_e_f` ~~g~~')).toEqual([
      text('a '),
      { type: 'strong', nodes: [text('b '), { type: 'em', nodes: [text('c')] }] },
      text(' '),
      { type: 'code', text: 'd_e_f' },
      text(' '),
      { type: 'strike', nodes: [text('g')] },
    ]);
    expect(inline('see https://a.example/b_c_(d), @jonas.weber.')).toEqual([
      text('see '),
      { type: 'link', href: 'https://a.example/b_c_(d)', text: 'https://a.example/b_c_(d)' },
      text(', '),
      { type: 'mention', handle: 'jonas.weber' },
      text('.'),
    ]);
  });

  it('leaves alone what only looks like a mark', () => {
    for (const s of ['2 * 3 * 4', 'snake_case_name', 'a**', '``', 'mail@host', '5 ~ 6', '**', '* a*'])
      expect(plain(s === '* a*' ? '\\* a' : s), s).toBe(s === '* a*' ? '* a' : s);
  });

  it('makes blocks of quotes, lists and code', () => {
    expect(parse('> a\n> > b\n\n3. c\n4. d\n```\n*e*\n```').map((b) => b.type)).toEqual([
      'quote',
      'list',
      'code',
    ]);
    const list = parse('3. c\n4. d')[0];
    expect(list).toMatchObject({ ordered: true, start: 3, items: [[text('c')], [text('d')]] });
  });

  it('makes links of nothing that could run', () => {
    for (const bad of [
      'javascript:alert(1)',
      'data:text/html,x',
      'vbscript:x',
      'https://user@host/',
      'file:///etc',
      '',
    ])
      expect(safeLink(bad)).toBe('');
    const flat = JSON.stringify(
      parse('javascript:alert(1) [x](javascript:alert(1)) <img src=x onerror=alert(1)>'),
    );
    expect(flat).not.toContain('"link"');
    expect(flat).toContain('<img'); // as text
  });

  it('is bounded on hostile texts', () => {
    const begun = performance.now();
    for (const s of [
      '>'.repeat(60_000),
      '*'.repeat(60_000),
      '**a '.repeat(15_000),
      '_'.repeat(60_000),
      '[('.repeat(30_000),
      '`'.repeat(60_000),
    ])
      parse(s.slice(0, 65_536));
    expect(performance.now() - begun).toBeLessThan(3000);
  });

  it('finds who is named, not in code', () => {
    expect(mentions('hi @ada.', 'ada')).toBe(true);
    expect(mentions('> hi **@ada**', 'ada')).toBe(true);
    expect(mentions('`@ada`', 'ada')).toBe(false);
    expect(mentions('@adam', 'ada')).toBe(false);
  });
});
