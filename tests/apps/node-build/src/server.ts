// Answers every request with what it was made from.
import * as fs from "node:fs";
import * as http from "node:http";

const ms: (text: string) => number = require("ms");
const { version }: { version: string } = require("ms/package.json");

const commit = fs.readFileSync("COMMIT", "utf8").trim();
const port: number = Number(process.env.PORT);

const server = http.createServer((_, response) => {
  response.setHeader("Content-Type", "text/plain");
  response.end(["one", commit, version, ms("2 days"), process.versions.node].join(" "));
});
server.listen(port, process.env.BIND_ADDRESS);
