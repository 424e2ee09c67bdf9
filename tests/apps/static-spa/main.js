import ms from "ms";

document.title = `${ms("2 days")} ms`;
