// Configuration of one app; its name is the mode: `vite --config apps/vite.config.ts --mode shop`.
import { fileURLToPath } from "node:url";

import { defineConfig } from "vite";

import { readContract } from "./console/read-contract";

const resolvePath = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

export default defineConfig(({ mode }) => ({
  root: resolvePath(`./${mode}`),
  base: `/${mode}/`,
  publicDir: false,
  define: mode === "console" ? { CONTRACT: JSON.stringify(readContract()) } : {},
  resolve: { alias: { "@delivery/client": resolvePath("../generated/typescript/src/index.ts") } },
  // The content security policy of the edge permits no data URLs of scripts and styles.
  build: { outDir: resolvePath(`../dist/apps/${mode}`), emptyOutDir: true, assetsInlineLimit: 0, modulePreload: { polyfill: false } },
  server: { port: 5173, strictPort: true },
}));
