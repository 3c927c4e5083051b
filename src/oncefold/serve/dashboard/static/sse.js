// Server-sent events, read from pieces of text that may be cut anywhere.

export class EventText {
  constructor() {
    this.rest = "";
  }

  // The whole events that this piece ends, as { event, id, data }.
  *events(piece) {
    const blocks = (this.rest + piece).replace(/\r\n/g, "\n").split("\n\n");
    this.rest = blocks.pop();
    for (const block of blocks) {
      const found = { event: "message", id: null, data: [] };
      for (const line of block.split("\n")) take(line, found);
      if (found.data.length) yield { ...found, data: found.data.join("\n") };
    }
  }
}

function take(line, found) {
  const colon = line.indexOf(":");
  if (colon <= 0) return;
  const name = line.slice(0, colon), value = line.slice(colon + 1).replace(/^ /, "");
  if (name === "data") found.data.push(value);
  else if (name === "event" || name === "id") found[name] = value;
}
