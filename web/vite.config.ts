import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vitest/config';

// Names without hashes, so that the committed dist stays comparable; what a file
// holds is named by manifest.json (scripts/manifest.mjs).

/** The runtime's errors name pages of its site; here they keep their names alone. */
const noAddresses = {
  name: 'no-addresses',
  renderChunk: (code: string) => code.replaceAll(/https:\/\/svelte\.dev\/e\//g, 'svelte/'),
};

export default defineConfig({
  base: './',
  plugins: [svelte(), noAddresses],
  build: {
    target: 'es2022',
    outDir: 'dist',
    emptyOutDir: true,
    assetsInlineLimit: 0,
    cssCodeSplit: false,
    modulePreload: false,
    reportCompressedSize: false,
    sourcemap: false,
    rollupOptions: {
      input: { app: 'index.html', sw: 'src/sw.ts', worker: 'src/core/worker.ts' },
      output: {
        entryFileNames: '[name].js',
        chunkFileNames: '[name].js',
        assetFileNames: '[name][extname]',
      },
    },
  },
  test: { environment: 'happy-dom', include: ['test/**/*.test.ts', 'src/**/*.test.ts'] },
  resolve: process.env['VITEST'] ? { conditions: ['browser'] } : {},
});
