// A link holds the policy and the machine in what stands behind the `#`, which no browser sends to any server.

const most = 100_000;

// The text behind the `#`; none if a link cannot hold as much.
export async function written(state) {
  const bytes = await through(new Blob([JSON.stringify(state)]), new CompressionStream("deflate-raw"), Infinity);
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  const code = btoa(text).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
  return code.length <= most ? code : null;
}

// What such a text holds; none if it is none.
export async function read(code) {
  if (!/^[A-Za-z0-9_-]+$/.test(code) || code.length > most) return null;
  try {
    const text = atob(code.replaceAll("-", "+").replaceAll("_", "/"));
    const blob = new Blob([Uint8Array.from(text, (letter) => letter.charCodeAt(0))]);
    const bytes = await through(blob, new DecompressionStream("deflate-raw"), 4 << 20);
    const state = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
    const isSound = typeof state.policy === "string" && typeof state.machine === "string"
      && (state.oom === null || typeof state.oom === "string");
    return isSound ? state : null;
  } catch {
    return null;
  }
}

// A few bytes may stand for many: more than so many are not read.
async function through(blob, stream, most) {
  const reader = blob.stream().pipeThrough(stream).getReader();
  const parts = [];
  let length = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    length += value.length;
    if (length > most) throw new Error("it is too large");
    parts.push(value);
  }
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}
