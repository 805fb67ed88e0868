// Monitors a server that sends nothing: for how long, and whether it still responds.

import { serverState } from "./server.js";
import { SILENCE, silenceMessage } from "./stream.js";

const INTERVAL = 10; // seconds between two checks

/** Calls `onTick(seconds, message)` every second: the duration of the silence, and what is known about it, "" at first. */
export function watchSilence(onTick) {
  let since = performance.now();
  let server = "";
  let next = SILENCE;
  let checking = false;
  const tick = async () => {
    const seconds = Math.floor((performance.now() - since) / 1000);
    onTick(seconds, silenceMessage(seconds, server));
    if (seconds < next || checking) return;
    next = seconds + INTERVAL;
    checking = true;
    server = await serverState();
    checking = false;
  };
  const timer = setInterval(tick, 1000);
  tick();
  return {
    /** Something was received: the silence starts over. */
    reset() {
      since = performance.now();
      server = "";
      next = SILENCE;
    },
    end: () => clearInterval(timer),
  };
}
