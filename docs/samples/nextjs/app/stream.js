// The pieces of an answer, as they arrive. Ollama sends one JSON document per line, and a read may end within one.
export async function* streamChat(hearth, model, messages) {
  const response = await fetch(`${hearth}/api/chat`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ model, messages }),
  });
  if (!response.ok) throw new Error(`${response.status}: ${await response.text()}`);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  while (true) {
    const { value, done } = await reader.read();
    if (done) throw new Error("the answer was cut off");
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    for (const line of lines) {
      const part = JSON.parse(line);
      if (part.error) throw new Error(part.error);
      yield part.message.content;
      if (part.done) return;
    }
  }
}
