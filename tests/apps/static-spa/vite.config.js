import fs from "node:fs";
import ms from "ms";
import manifest from "ms/package.json" with { type: "json" };

const words = {
  COMMIT: fs.readFileSync("COMMIT", "utf8").trim(),
  MS: `${manifest.version} ${ms("2 days")}`,
  NODE: process.versions.node,
};

export default {
  plugins: [
    {
      name: "words",
      transformIndexHtml: (html) => html.replace(/%(\w+)%/g, (_, word) => words[word]),
    },
  ],
};
