import { connection } from "next/server";
import Chat from "./chat";

export default async function Page() {
  await connection(); // The variables are those of the running server, not of the build.
  return <Chat hearth={process.env.HEARTH_PUBLIC_URL ?? ""} model={process.env.CHAT_MODEL ?? "llama3.2:1b"} />;
}
