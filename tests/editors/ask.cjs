// Asks taplo's language server, the one inside editors, about one text as if it were a file of a config repo.
//
//   node ask.cjs <directory of @taplo/lsp> <config repo> <file> <text> <line> <character> [marks]
//
// Prints what it marks as wrong and what it proposes at the place, as JSON; with `marks` it waits until something is marked. The server is a library here: no process, no socket.
"use strict";
const fs = require("node:fs");
const path = require("node:path");
const { pathToFileURL, fileURLToPath } = require("node:url");

const [library, repo, file, text, line, character, marks] = process.argv.slice(2);
const { TaploLsp } = require(library);
const uri = pathToFileURL(path.join(repo, file)).href;
const patience = 20000;

function found(directory) {
  return fs.readdirSync(directory, { recursive: true }).map((name) => path.join(directory, name));
}

const environment = {
  now: () => new Date(),
  envVar: () => undefined,
  envVars: () => [],
  stdErrAtty: () => false,
  stdin: async () => new Uint8Array(),
  stdout: async (bytes) => bytes.length,
  stderr: async (bytes) => bytes.length,
  glob: () => found(repo).filter((name) => name.endsWith(".toml")),
  readFile: async (name) => fs.readFileSync(name),
  writeFile: async () => {},
  urlToFilePath: (url) => fileURLToPath(url),
  isAbsolute: (name) => path.isAbsolute(name),
  cwd: () => repo,
  findConfigFile: (from) => [".taplo.toml", "taplo.toml"].map((name) => path.join(from, name)).find(fs.existsSync),
};

const waiting = [];
let server;

function onMessage(message) {
  if (message.method && message.id !== undefined) {
    const result = message.method === "workspace/configuration" ? message.params.items.map(() => null) : null;
    server.send({ jsonrpc: "2.0", id: message.id, result });
  }
  for (const [index, [fits, resolve]] of waiting.entries()) {
    if (fits(message)) {
      waiting.splice(index, 1);
      resolve(message);
      return;
    }
  }
}

function until(fits) {
  return new Promise((resolve) => waiting.push([fits, resolve]));
}

function ask(id, method, params) {
  const answer = until((message) => message.id === id && !message.method);
  server.send({ jsonrpc: "2.0", id, method, params });
  return answer;
}

function tell(method, params) {
  server.send({ jsonrpc: "2.0", method, params });
}

async function main() {
  server = await TaploLsp.initialize(environment, { onMessage });
  const root = pathToFileURL(repo).href;
  await ask(1, "initialize", { processId: null, rootUri: root, capabilities: {}, workspaceFolders: [{ uri: root, name: "repo" }] });
  tell("initialized", {});
  const about = (message) => message.method === "textDocument/publishDiagnostics" && message.params.uri === uri;
  const marked = until((message) => about(message) && (!marks || message.params.diagnostics.length > 0));
  tell("textDocument/didOpen", { textDocument: { uri, languageId: "toml", version: 1, text } });
  const diagnostics = (await marked).params.diagnostics.map((it) => it.message);
  const position = { line: Number(line), character: Number(character) };
  const answer = await ask(2, "textDocument/completion", { textDocument: { uri }, position });
  const items = (answer.result?.items ?? answer.result ?? []).map((it) => ({
    label: it.label,
    documentation: it.documentation?.value ?? it.documentation ?? "",
  }));
  process.stdout.write(JSON.stringify({ diagnostics, items }));
  process.exit(0);
}

setTimeout(() => process.exit(3), patience).unref();
main().catch((error) => {
  process.stderr.write(`${error.stack}\n`);
  process.exit(1);
});
