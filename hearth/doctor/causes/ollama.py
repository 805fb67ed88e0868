"""Causes at Ollama, behind the proxy, and with the answer on its way back."""

from __future__ import annotations

from hearth.doctor.causes.cause import Cause

OLLAMA_MISSING = Cause(
    "ollama-missing",
    "There is no running Ollama container (500)",
    "The proxy does not find the name `ollama` on Docker's network: the container was removed or stopped, or the "
    "Docker engine is down, which knows the names.",
    "Deploy again. On the host: `cd /opt/hearth && sudo docker compose ps --all`, `sudo docker logs --tail 50 "
    "hearth-ollama`.",
)
OLLAMA_DOWN = Cause(
    "ollama-down",
    "Ollama does not take calls (503)",
    "The proxy is there and Ollama's container refuses its calls: it is just starting, or keeps ending and being "
    "started.",
    "Wait half a minute. If it stays: `sudo docker logs --tail 50 hearth-ollama` on the host says why; deploy again.",
)
OLLAMA_SILENT = Cause(
    "ollama-silent",
    "Ollama gave no answer in time",
    "Ollama took the call and gave nothing for the proxy's whole patience (`proxy_timeout`), or dropped it: it ended, "
    "for want of memory, say, or was stuck and Hearth's health check restarted it; or a model takes too long to load.",
    "Ask again: a restarted Ollama answers. If it stays: `sudo docker logs --tail 50 hearth-ollama` and `free -m` on "
    "the host. A smaller model, or models on an SSD (`ollama_models_dir`).",
)
ROUTE_MISSING = Cause(
    "route-missing",
    "There is no such route",
    "{path} is not passed on (status {status}): it is not in the proxy's table, or what answers is not Hearth.",
    "Deploy again; if you changed `proxy_routes`, put the path back, or add it to `proxy_extra_routes`.",
)
BETWEEN_FAILS = Cause(
    "between-fails",
    "Something between answers in Hearth's place",
    "Status {status} came with words that are neither the proxy's nor Ollama's ({what}): a proxy, VPN or security "
    "program between answered.",
    "Take the host out of that program's reach, or try from a device without it.",
)
SERVER_FAILED = Cause(
    "server-failed",
    "The server failed",
    "{path} gave status {status}: {what}.",
    "`sudo docker logs --tail 50 hearth-ollama` on the host says more. Deploying again repairs what differs from the "
    "settings.",
)
LENGTH_TAKEN = Cause(
    "length-taken",
    "The request's length got lost (411)",
    "The doctor sent a Content-Length, and the proxy saw none: something between turned the request into pieces.",
    "Try without a VPN or web proxy between.",
)
NO_MODELS = Cause(
    "no-models",
    "There is no model on the host",
    "Ollama runs and has no model to answer with.",
    "Name one in `ollama_models` and deploy again: it pulls it. Or on the host: `sudo docker exec hearth-ollama "
    "ollama pull llama3.2:1b`.",
)
MODEL_MISSING = Cause(
    "model-missing",
    "The host does not have that model",
    "{model} is not among the host's models: {models}.",
    "Ask one that is there, or add {model} to `ollama_models` in the inventory and deploy again. A name without a "
    "tag means `:latest`.",
)
NOT_OLLAMA = Cause(
    "not-ollama",
    "What answers is not Ollama's",
    "{path} gave {what}, which Ollama would not say.",
    "Something between changes the answers, or another program is behind that path. Try from another device; deploy "
    "again.",
)
MEMORY_SHORT = Cause(
    "memory-short",
    "The model needs more memory than there is",
    "Ollama says: {what}. Models are held in memory whole, with their context beside them.",
    "A smaller model (`ollama_models`), a smaller `ollama_context_length`, or `ollama_max_loaded_models = 1`. If "
    "`ollama_memory_limit` is set, raise it. On the host, `free -m` shows who has the memory.",
)
RUNNER_DIED = Cause(
    "runner-died",
    "The model's process ended",
    "Ollama says: {what}. Most often the system ended it for want of memory; a damaged model file does it as well. "
    '"Timed out waiting": it was still being loaded after `ollama_load_timeout`.',
    "`sudo dmesg | grep -i oom` on the host shows the former: take a smaller model. For a slow load, raise "
    "`ollama_load_timeout` and `proxy_timeout`. Else remove the model and deploy again.",
)
MODEL_UNFIT = Cause(
    "model-unfit",
    "The model can't answer questions",
    "Ollama says: {what}. It is a model for other uses (embeddings).",
    "Ask another model: `--model NAME`.",
)
BUSY = Cause(
    "busy",
    "All places are taken (503)",
    "As many answers as `proxy_max_streams` allows were running, and no place became free within `proxy_queue_timeout` "
    "seconds. The proxy asks to come back after {retry_after} s; the doctor did, and found it so again.",
    "Ask again later. If it stays for more than three minutes without anybody asking, deploy again, or `sudo docker "
    "restart hearth-ollama` on the host: both end an answer without end, and an Ollama that is stuck (until then "
    "Hearth's own check may have restarted that).",
)
QUEUE_FULL = Cause(
    "queue-full",
    "Ollama's queue is full (503)",
    "More questions wait at Ollama than `ollama_max_queue` allows.",
    "Ask again later, or raise `ollama_num_parallel` if the host has memory for it. If nobody asks, Ollama is stuck: "
    "deploy again.",
)
FIRST_TOKEN_NEVER = Cause(
    "first-token-never",
    "No answer within the doctor's patience",
    "The question was taken, and no word came in {patience} s; nor is the model in memory yet. It is large enough to "
    "be loading still, from a slow card, or waits for another model's answers, or the host swaps.",
    "Wait longer once, with `--patience 900`. If nothing comes then either, Ollama is stuck: deploy again. "
    "`--inventory` tells slow from stuck at once. Against slowness: a smaller model, models on an SSD "
    "(`ollama_models_dir`), "
    '`ollama_keep_alive = "-1"`.',
)
MODEL_DOES_NOT_ANSWER = Cause(
    "model-does-not-answer",
    "Ollama is stuck, or busy with other questions",
    "No word came in {patience} s, and the model is not being loaded: {evidence}. Either Ollama is stuck, as a "
    "client that leaves in mid-answer can leave it (ollama#17131), and then waiting does not help. Or it answers "
    "other people's questions first, one after the other. From outside these look the same.",
    "If nobody else asks, it is stuck: deploy again, or `sudo docker restart hearth-ollama` on the host, which takes "
    "some seconds. (Hearth's own check does it within about two minutes while a question waits, unless it did so in "
    "the ten minutes before, or `ollama_heal_stuck = False`.) `--inventory` tells which of the two it is; on the "
    "host, `sudo docker "
    'ps` has "unhealthy" for one that is stuck, and `top` shows `ollama` at work for one that is busy.',
)
MODEL_SERVER_RESTARTED = Cause(
    "model-server-restarted",
    "Ollama dropped the question, and answers now",
    "After {seconds} s without a word the question was dropped; asked once more, Ollama answered. It was stuck and "
    "Hearth's health check restarted it, or it ended by itself, for want of memory, say.",
    "Nothing is to be done now. If it comes again: `sudo docker logs hearth-ollama 2>&1 | grep ^hearth:` on the host "
    "has each restart of one that was stuck; without such a line, see runner-died.",
    "warning",
)
FIRST_TOKEN_SLOW = Cause(
    "first-token-slow",
    "The first word takes long",
    "{first} s passed before the first word; of these Ollama took {load} s to load the model. Afterwards it comes "
    "quicker, until the model leaves memory (`ollama_keep_alive`).",
    '`ollama_keep_alive = "-1"` keeps it in memory. Models on an SSD (`ollama_models_dir`) load quicker; smaller '
    "ones too.",
    "warning",
)
STREAM_BUFFERED = Cause(
    "stream-buffered",
    "Something between holds the answer back",
    "Ollama made its pieces over {made} s, by the times it wrote into them, and they came up to {held} s late, "
    "together: a VPN, a company's proxy, an antivirus program or a proxy of your own collects the answer before it "
    "passes it on.{opt_via}",
    "Hearth itself passes on each piece at once. Try from a device without VPN; take the host out of the antivirus "
    "program's web shield; in a proxy of your own switch buffering off (nginx: `proxy_buffering off`).",
)
STREAM_CUT = Cause(
    "stream-cut",
    "The answer was cut off",
    '{pieces} pieces came, and then the connection ended without Ollama\'s last one (`"done": true`): {error}. '
    "Ollama ended in the middle (want of memory, a restart), or something between ends long answers.",
    "`sudo docker logs --tail 50 hearth-ollama` and `sudo dmesg | grep -i oom` on the host. If these show nothing, "
    "try from a device without VPN or proxy.",
)
CLOCK_SKEW = Cause(
    "clock-skew",
    "The clocks differ",
    "The host's clock is {skew} {direction} this machine's. A Pi has no clock of its own when it is off, and sets it "
    "from the network. With a wrong clock certificates look invalid, and pulling images and models fails.",
    'See which one is wrong. On the host: `timedatectl` ("System clock synchronized"), `sudo timedatectl set-ntp '
    "true`; a network that blocks NTP needs a time server of its own.",
    "warning",
)
