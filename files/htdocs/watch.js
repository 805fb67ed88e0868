// Watching a server that is quiet: how long it has been, and how the server is meanwhile.

import { serverState } from "./server.js";
import { QUIET, quietSentence } from "./stream.js";

const EVERY = 10; // seconds between two looks

/** Calls `tell(seconds, sentence)` each second: how long nothing was heard, and what is known about it, "" at first. */
export function watchQuiet(tell) {
  let since = performance.now();
  let server = "";
  let next = QUIET;
  let looking = false;
  const tick = async () => {
    const seconds = Math.floor((performance.now() - since) / 1000);
    tell(seconds, quietSentence(seconds, server));
    if (seconds < next || looking) return;
    next = seconds + EVERY;
    looking = true;
    server = await serverState();
    looking = false;
  };
  const timer = setInterval(tick, 1000);
  tick();
  return {
    /** Something was heard. */
    heard() {
      since = performance.now();
      server = "";
      next = QUIET;
    },
    end: () => clearInterval(timer),
  };
}
