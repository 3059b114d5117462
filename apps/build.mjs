/**
 * Builds the apps to dist/apps/ if their sources have changed. Prints nothing if it succeeds.
 * Fails if the compressed JavaScript of an app exceeds the budget.
 */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const MAX_JAVASCRIPT_BYTES = 180 * 1024;
const ROOT = fileURLToPath(new URL("..", import.meta.url));
const OUTPUT = join(ROOT, "dist/apps");
const STAMP = join(OUTPUT, ".checksum");
const INPUTS = ["apps", "generated/typescript/src", "package.json", "package-lock.json"];

const listFiles = (path) => {
  const entries = readdirSync(path, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name)).sort();
};

const apps = readdirSync(join(ROOT, "apps")).filter((name) => existsSync(join(ROOT, "apps", name, "index.html")));

const hash = createHash("sha256");
for (const input of INPUTS.map((name) => join(ROOT, name))) {
  for (const file of input.endsWith(".json") ? [input] : listFiles(input)) hash.update(file.slice(ROOT.length)).update(readFileSync(file));
}
const checksum = hash.digest("hex");
const isBuilt = apps.every((name) => existsSync(join(OUTPUT, name, "index.html")));
if (isBuilt && existsSync(STAMP) && readFileSync(STAMP, "utf8") === checksum) process.exit(0);

process.stderr.write("setup: building the apps\n");
const { build } = await import("vite");
mkdirSync(OUTPUT, { recursive: true });
rmSync(STAMP, { force: true });
for (const name of apps) {
  await build({ configFile: join(ROOT, "apps/vite.config.ts"), mode: name, logLevel: "error" });
  const scripts = listFiles(join(OUTPUT, name)).filter((file) => file.endsWith(".js"));
  const bytes = scripts.reduce((sum, file) => sum + gzipSync(readFileSync(file)).length, 0);
  if (bytes > MAX_JAVASCRIPT_BYTES) {
    process.stderr.write(`apps: ${name} has ${bytes} bytes of compressed JavaScript; at most ${MAX_JAVASCRIPT_BYTES} are allowed\n`);
    process.exit(1);
  }
}
writeFileSync(STAMP, checksum);
