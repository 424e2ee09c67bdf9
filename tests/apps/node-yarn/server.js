// Answers every request with what it was made from.
const fs = require("node:fs");
const http = require("node:http");
const greeting = require("greeting");

const commit = fs.readFileSync("COMMIT", "utf8").trim();

const server = http.createServer((_, response) => {
  response.setHeader("Content-Type", "text/plain");
  response.end(["one", commit, greeting.greet("Ada"), process.versions.node].join(" "));
});
server.listen(process.env.PORT, process.env.BIND_ADDRESS);
