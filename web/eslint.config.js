import svelte from 'eslint-plugin-svelte';
import parser from 'svelte-eslint-parser';
import ts from 'typescript-eslint';

/** Text between tags that a person would read belongs into the catalogue. */
const rawStrings = {
  meta: { type: 'problem', schema: [] },
  create(context) {
    const attributes = ['aria-label', 'aria-description', 'title', 'placeholder', 'alt', 'label'];
    const allowed = /^(huis|Ctrl K|Alt N|[^\p{L}]*)$/u;
    const told = (node, text) => {
      if (!allowed.test(text.trim()))
        context.report({ node, message: `"${text.trim()}" belongs into src/i18n` });
    };
    return {
      SvelteText(node) {
        if (node.parent.type !== 'SvelteStyleElement' && node.parent.type !== 'SvelteScriptElement')
          told(node, node.value);
      },
      SvelteAttribute(node) {
        if (!attributes.includes(node.key.name)) return;
        for (const v of node.value)
          if (v.type === 'SvelteLiteral' && !/^0000/.test(v.value)) told(v, v.value);
      },
    };
  },
};

/** The policy of the page forbids style attributes; style:name={…} sets them by script. */
const literalStyle = {
  meta: { type: 'problem', schema: [] },
  create: (context) => ({
    SvelteAttribute(node) {
      if (node.key.name === 'style')
        context.report({ node, message: 'a literal style attribute is refused by the page' });
    },
  }),
};

const huis = { rules: { 'raw-strings': rawStrings, 'literal-style': literalStyle } };

/** ui → state → core: what each folder may not import. */
const arrows = (folder, forbidden) => ({
  files: [`src/${folder}/**/*.{ts,svelte}`],
  rules: {
    'no-restricted-imports': [
      'error',
      {
        patterns: forbidden.map((f) => ({
          group: [`**/${f}/*`],
          message: `${folder} may not use ${f}`,
        })),
      },
    ],
  },
});

export default ts.config(
  {
    ignores: [
      'core/',
      'pack/',
      'dist/',
      'node_modules/',
      'src/i18n/gen/',
      'src/core/',
      'e2e/out/',
      'test/planted/',
    ],
  },
  ...ts.configs.recommended,
  ...svelte.configs.recommended,
  {
    files: ['**/*.svelte', '**/*.svelte.ts'],
    languageOptions: { parser, parserOptions: { parser: ts.parser, extraFileExtensions: ['.svelte'] } },
  },
  {
    files: ['src/**/*.{ts,svelte}'],
    plugins: { huis },
    rules: {
      'huis/raw-strings': 'error',
      'huis/literal-style': 'error',
      'svelte/no-at-html-tags': 'error',
      'svelte/no-navigation-without-resolve': 'off', // there is no SvelteKit here
      'svelte/prefer-svelte-reactivity': 'off',
      'svelte/no-useless-mustaches': 'off', // {' '} keeps a space that formatting would take
      'no-eval': 'error',
      'no-implied-eval': 'error',
      'no-new-func': 'error',
      'no-restricted-properties': [
        'error',
        { property: 'innerHTML', message: 'no HTML is made of strings' },
        { property: 'outerHTML', message: 'no HTML is made of strings' },
        { property: 'insertAdjacentHTML', message: 'no HTML is made of strings' },
        { property: 'write', object: 'document', message: 'no HTML is made of strings' },
      ],
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
    },
  },
  arrows('ui', ['core', 'pages']),
  arrows('pages', ['core']),
  arrows('state', ['pages', 'ui']),
  { files: ['src/state/core.ts'], rules: { 'no-restricted-imports': 'off' } },
);
