"use client";

import { useState } from "react";
import { streamChat } from "./stream";

// `hearth` is Hearth's address as browsers reach it, or "" if this page is behind Hearth.
export default function Chat({ hearth, model }) {
  const [prompt, setPrompt] = useState("");
  const [answer, setAnswer] = useState("");
  const [title, setTitle] = useState("");
  const [error, setError] = useState("");
  const [isBusy, setBusy] = useState(false);

  async function send(event) {
    event.preventDefault();
    setBusy(true);
    setAnswer("");
    setTitle("");
    setError("");
    try {
      let text = "";
      for await (const piece of streamChat(hearth, model, [{ role: "user", content: prompt }])) {
        text += piece;
        setAnswer(text);
      }
      const response = await fetch("/title", {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ text }),
      });
      const result = await response.json();
      if (!response.ok) throw new Error(result.error);
      setTitle(result.title);
    } catch (problem) {
      setError(problem.message);
    } finally {
      setBusy(false);
    }
  }

  return (
    <main>
      <h1>{title || "Chat"}</h1>
      <form onSubmit={send}>
        <input aria-label="Prompt" value={prompt} onChange={(event) => setPrompt(event.target.value)} required />
        <button disabled={isBusy}>Send</button>
      </form>
      <p role="log">{answer}</p>
      {error && <p role="alert">{error}</p>}
    </main>
  );
}
