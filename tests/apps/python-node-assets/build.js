// Makes what the Python app shows.
const fs = require("node:fs");
const greeting = require("greeting");

fs.mkdirSync("assets", { recursive: true });
fs.writeFileSync("assets/greeting.txt", greeting.greet("assets"));
