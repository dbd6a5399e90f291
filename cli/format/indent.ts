// JSON text → the same JSON, indented. Works on the text, as Go's json.Indent does: numbers keep
// their spelling and keys their order, which a parse and stringify would not promise.

const STEP = "    ";

export function indentJson(json: string): string {
  let out = "";
  let depth = 0;
  const newline = () => `\n${STEP.repeat(depth)}`;
  for (const [token] of json.matchAll(/"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/g)) {
    switch (token) {
      case "{":
      case "[":
        depth++;
        out += token + newline();
        break;
      case "}":
      case "]": {
        depth--;
        const trimmed = out.trimEnd();
        const empty = trimmed.endsWith("{") || trimmed.endsWith("[");
        out = empty ? trimmed + token : out + newline() + token;
        break;
      }
      case ",":
        out += token + newline();
        break;
      case ":":
        out += ": ";
        break;
      default:
        out += token;
    }
  }
  return out;
}
