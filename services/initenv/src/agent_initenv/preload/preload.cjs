// Loads the agent's glue code before its own code; written by agent-initenv, required through NODE_OPTIONS.
// `require` also loads an .mjs file from Node 20.19 and 22.12 on, unless it awaits at its top level.
// A glue error ends the process: an agent without its glue must not run.
'use strict';

const path = require('node:path');

const glue = path.resolve(__dirname, '@GLUE@');
try {
  require(glue);
} catch (error) {
  const text = error && error.stack ? error.stack : String(error);
  process.stderr.write(`${text}\nagentberth: the glue code ${glue} failed (above), so the agent is not started\n`);
  process.exit(1);
}
