/** Events as people read them: YAML, with the keys and the type coloured on a terminal. */
import { dump } from "js-yaml";

export function toYaml(value: unknown, colours: boolean): string {
  const text = dump(value, { lineWidth: -1, noRefs: true });
  return colours ? text.replace(/^(type: )(.*)$|^([\w-]+):(?=$| )/gm, colour) : text;
}

/** Only lines at the margin: deeper ones may be text of somebody's that looks like keys. */
function colour(line: string, typeKey: string | undefined, type: string, key: string): string {
  return typeKey === undefined ? `${cyan(key)}:${line.slice(key.length + 1)}` : `${cyan("type")}: ${bold(type)}`;
}

const cyan = (text: string): string => `\x1b[36m${text}\x1b[0m`;
const bold = (text: string): string => `\x1b[1;32m${text}\x1b[0m`;
