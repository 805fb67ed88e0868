// On the server: the key is in its environment, and no browser gets it. HEARTH_API is Hearth's address as this server
// reaches it, up to /v1: of the local models (http://pi:85/v1), or of a provider (http://pi:85/openai/v1).
export async function POST(request) {
  const { text } = await request.json();
  const response = await fetch(`${process.env.HEARTH_API}/chat/completions`, {
    method: "POST",
    headers: { "Content-Type": "application/json", Authorization: `Bearer ${process.env.HEARTH_KEY}` },
    body: JSON.stringify({
      model: process.env.TITLE_MODEL ?? "llama3.2:1b",
      messages: [{ role: "user", content: `A title of at most five words for this text:\n\n${text}` }],
    }),
  });
  const answer = await response.json();
  if (!response.ok) return Response.json({ error: answer.error.message }, { status: 502 });
  return Response.json({ title: answer.choices[0].message.content });
}
