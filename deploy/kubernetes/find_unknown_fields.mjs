// Reads custom resources as JSON from standard input and prints their fields that the types of kubernetes-models do not have, one line each.
// The schemas of kubernetes-models permit further fields; the compiler of TypeScript reports them in literals.
import { readFileSync } from "node:fs";
import ts from "typescript";

const PACKAGES = {
  "cert-manager.io/v1": "@kubernetes-models/cert-manager/cert-manager.io/v1",
  "gateway.networking.k8s.io/v1": "@kubernetes-models/gateway-api/gateway.networking.k8s.io/v1",
  "monitoring.coreos.com/v1": "@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1",
  "postgresql.cnpg.io/v1": "@kubernetes-models/cloudnative-pg/postgresql.cnpg.io/v1",
};
const OPTIONS = {
  module: ts.ModuleKind.NodeNext,
  moduleResolution: ts.ModuleResolutionKind.NodeNext,
  noEmit: true,
  skipLibCheck: true,
  strict: true,
  target: ts.ScriptTarget.ES2022,
  types: [],
};
const UNKNOWN_PROPERTY_CODES = [2353, 2561];
const FILE = new URL("resources.ts", import.meta.url).pathname;

const objects = JSON.parse(readFileSync(0, "utf8"));
const lines = objects.map(
  (object, number) =>
    `import { type I${object.kind} as T${number} } from "${PACKAGES[object.apiVersion]}"; ` +
    `export const o${number}: T${number} = ${JSON.stringify(object)};`,
);
const host = ts.createCompilerHost(OPTIONS);
const { getSourceFile, fileExists } = host;
host.getSourceFile = (name, ...rest) =>
  name === FILE
    ? ts.createSourceFile(name, lines.join("\n"), OPTIONS.target)
    : getSourceFile.call(host, name, ...rest);
host.fileExists = (name) => name === FILE || fileExists.call(host, name);
const program = ts.createProgram([FILE], OPTIONS, host);
for (const diagnostic of program.getSemanticDiagnostics(program.getSourceFile(FILE))) {
  if (UNKNOWN_PROPERTY_CODES.includes(diagnostic.code)) {
    const { line } = diagnostic.file.getLineAndCharacterOfPosition(diagnostic.start);
    const { kind, metadata } = objects[line];
    console.log(`${kind} ${metadata.name}: ${ts.flattenDiagnosticMessageText(diagnostic.messageText, " ")}`);
  }
}
