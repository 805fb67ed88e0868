"""Causes at Ollama, behind the proxy, and in the delivery of its answer."""

from __future__ import annotations

from hearth.doctor.causes.cause import Cause

OLLAMA_MISSING = Cause(
    "ollama-missing",
    "No Ollama container is running (500)",
    "The proxy can't resolve the name `ollama` on Docker's network: the container was removed or stopped, or the "
    "Docker engine, which resolves the names, is down.",
    "Deploy again. On the host, check `cd /opt/hearth && sudo docker compose ps --all` and `sudo docker logs --tail 50 "
    "hearth-ollama`.",
)
OLLAMA_DOWN = Cause(
    "ollama-down",
    "Ollama refuses connections (503)",
    "The proxy responds, but Ollama's container refuses its connections: it is just starting, or it keeps exiting and "
    "restarting.",
    "Wait half a minute. If the problem persists, `sudo docker logs --tail 50 hearth-ollama` on the host shows why; "
    "deploy again.",
)
OLLAMA_SILENT = Cause(
    "ollama-silent",
    "Ollama did not respond in time",
    "Ollama accepted the request, then sent nothing for as long as the proxy waits (`proxy_timeout`), or closed the "
    "connection: it exited, for example for lack of memory, or was stuck and restarted by Hearth's health check; or a "
    "model takes too long to load.",
    "Try again: a restarted Ollama responds. If the problem persists, check `sudo docker logs --tail 50 hearth-ollama` "
    "and `free -m` on the host. Use a smaller model, or keep models on an SSD (`ollama_models_dir`).",
)
ROUTE_MISSING = Cause(
    "route-missing",
    "There is no such route",
    "{path} is not forwarded (status {status}): it is not in the proxy's route table, or the responding server is not "
    "Hearth.",
    "Deploy again. If you changed `proxy_routes`, restore the path, or add it to `proxy_extra_routes`.",
)
BETWEEN_FAILS = Cause(
    "between-fails",
    "Another proxy responds in Hearth's place",
    "The response with status {status} came neither from Hearth's proxy nor from Ollama ({what}), but from another "
    "proxy, a VPN or a security program on the path to the host.",
    "Exclude the host in that program, or try from a device without it.",
)
SERVER_FAILED = Cause(
    "server-failed",
    "The server returned an error",
    "{path} returned status {status}: {what}.",
    "`sudo docker logs --tail 50 hearth-ollama` on the host shows details. Deploying again repairs drift.",
)
LENGTH_TAKEN = Cause(
    "length-taken",
    "The request lost its Content-Length (411)",
    "The doctor sent a Content-Length, but the proxy received none: something on the path to it changed the request to "
    "chunked encoding.",
    "Try without a VPN or web proxy.",
)
NO_MODELS = Cause(
    "no-models",
    "There is no model on the host",
    "Ollama runs, but has no models.",
    "Wait for a deploy that is still running, which may be pulling them; otherwise, add one to `ollama_models` and "
    "deploy again. Or on the host: `sudo docker exec hearth-ollama ollama pull llama3.2:1b`.",
)
MODEL_MISSING = Cause(
    "model-missing",
    "The host does not have that model",
    "{model} is not among the host's models: {models}.",
    "Use one that is on the host, or add {model} to `ollama_models` in the inventory and deploy again. A name without "
    "a tag means `:latest`.",
)
NOT_OLLAMA = Cause(
    "not-ollama",
    "Unexpected response, not from Ollama",
    "{path} returned {what}, which Ollama would not send.",
    "Deploy again, and try from another device: another program is behind that route, or something on the path to the "
    "host changes responses.",
)
MEMORY_SHORT = Cause(
    "memory-short",
    "The model needs more memory than is available",
    "Ollama reports: {what}. A model has to fit into memory as a whole, together with its context.",
    "Use a smaller model (`ollama_models`), a smaller `ollama_context_length`, or `ollama_max_loaded_models = 1`. If "
    "`ollama_memory_limit` is set, raise it. On the host, `free -m` shows how much memory is in use.",
)
RUNNER_DIED = Cause(
    "runner-died",
    "The model's process exited",
    "Ollama reports: {what}. Most often the system killed it for lack of memory; a damaged model file is another "
    'cause. "Timed out waiting": it was still loading after `ollama_load_timeout`.',
    "`sudo dmesg | grep -i oom` on the host shows whether it was memory: if so, use a smaller model. For a slow load, "
    "raise `ollama_load_timeout` and `proxy_timeout`. Otherwise remove the model and deploy again.",
)
MODEL_UNFIT = Cause(
    "model-unfit",
    "The model can't answer prompts",
    "Ollama reports: {what}. The model is for other uses (embeddings).",
    "Use another model: `--model NAME`.",
)
BUSY = Cause(
    "busy",
    "The concurrency limit is reached (503)",
    "`proxy_max_streams` responses were in flight, and no slot freed up within `proxy_queue_timeout` seconds, or this "
    "caller had `proxy_max_streams_per_caller` of them. The proxy asked to retry after {retry_after} s; the doctor "
    "did, with the same result.",
    "Try again later. If it persists for more than three minutes while nobody sends prompts, deploy again, or run "
    "`sudo docker restart hearth-ollama` on the host: both end an endless answer, and a stuck Ollama (unless Hearth's "
    "own health check has already restarted it).",
)
QUEUE_FULL = Cause(
    "queue-full",
    "Ollama's queue is full (503)",
    "More requests wait in Ollama's queue than `ollama_max_queue` allows.",
    "Try again later, or raise `ollama_num_parallel` if the host has memory for it. If nobody sends prompts, Ollama is "
    "stuck: deploy again.",
)
FIRST_TOKEN_NEVER = Cause(
    "first-token-never",
    "No answer within the doctor's patience",
    "The prompt was accepted, but no word of the answer arrived in {patience} s, and the model is not in memory yet. "
    "It is large enough to be still loading from a slow card, or waits for another model's answers, or the host swaps.",
    "Wait longer once, with `--patience 900`. If there is still no answer, Ollama is stuck: deploy again. "
    "`--inventory` distinguishes slow from stuck at once. If it is slow, use a smaller model, models on an SSD "
    '(`ollama_models_dir`), or `ollama_keep_alive = "-1"`.',
)
MODEL_DOES_NOT_ANSWER = Cause(
    "model-does-not-answer",
    "Ollama is stuck, or busy with other prompts",
    "No word of the answer arrived in {patience} s, and the model is not loading: {evidence}. Either Ollama is stuck, "
    "which a client that disconnects in the middle of an answer can cause (ollama#17131), and waiting does not help. "
    "Or it answers other users' prompts first, one after the other. From outside, both look the same.",
    "If nobody else sends prompts, it is stuck: deploy again, or run `sudo docker restart hearth-ollama` on the host, "
    "which takes some seconds. (Hearth's own health check does it within about two minutes while a prompt waits, "
    "unless it already did in the last ten minutes, or `ollama_heal_stuck = False`.) `--inventory` distinguishes the "
    'two. On the host, `sudo docker ps` shows "unhealthy" if it is stuck, and `top` shows a working `ollama` if it is '
    "busy.",
)
MODEL_SERVER_RESTARTED = Cause(
    "model-server-restarted",
    "Ollama lost the prompt, and works again",
    "After {seconds} s without an answer the connection was closed; Ollama answered the second attempt. It was stuck "
    "and Hearth's health check restarted it, or it exited by itself, for example for lack of memory.",
    "Nothing needs to be done now. If it happens again, `sudo docker logs hearth-ollama 2>&1 | grep ^hearth:` on the "
    "host lists each restart of a stuck Ollama; without such a line, see runner-died.",
    "warning",
)
FIRST_TOKEN_SLOW = Cause(
    "first-token-slow",
    "The first word takes long",
    "The first word took {first} s, of which Ollama spent {load} s on loading the model. The next answers start "
    "faster, until the model is unloaded (`ollama_keep_alive`).",
    '`ollama_keep_alive = "-1"` keeps it in memory. Models load faster from an SSD (`ollama_models_dir`), and smaller '
    "ones load faster too.",
    "warning",
)
STREAM_BUFFERED = Cause(
    "stream-buffered",
    "Something on the path buffers the answer",
    "By its timestamps, Ollama generated the answer over {duration} s, but chunks arrived up to {delay} s late, "
    "together. Hearth forwards each chunk at once; a VPN, a company's proxy, an antivirus program or a proxy of your "
    "own collects them first.{opt_via}",
    "Try from a device without a VPN; exclude the host from the antivirus program's web shield; in a proxy of your "
    "own, turn buffering off (nginx: `proxy_buffering off`).",
)
STREAM_CUT = Cause(
    "stream-cut",
    "The answer was cut off",
    '{chunks} chunks arrived, but not Ollama\'s last one (`"done": true`): {error}. Ollama exited during the answer '
    "(lack of memory, a restart), or something on the path ends long responses.",
    "Check `sudo docker logs --tail 50 hearth-ollama` and `sudo dmesg | grep -i oom` on the host. If they show "
    "nothing, try from a device without a VPN or proxy.",
)
CLOCK_SKEW = Cause(
    "clock-skew",
    "The clocks differ",
    "The host's clock is {skew} {direction} this machine's. A Pi's clock does not run while it is off; it is set from "
    "the network. With a wrong clock, certificates look invalid, and pulling images and models fails.",
    'Check which one is wrong. On the host: `timedatectl` ("System clock synchronized"), `sudo timedatectl set-ntp '
    "true`; a network that blocks NTP needs its own time server.",
    "warning",
)
