/**
 * Secrets in the headers of a request: `{{secret:NAME}}`, and the spelling of the talk, as it is or as part of a URL.
 * Only values of headers are looked at; what was filled in is not looked at again.
 */
import { type HeaderList, isSecretError, type Secrets } from "@millrace/engine";

const native = String.raw`\{\{secret:([^{}\s]{1,255})\}\}`;
const blanks = String.raw`(?:\s|%20|\+)*`;
const quote = `(?:"|'|%22|%27)`;
/** getIterateSecret({secretKey: "name"}), each sign of it encoded or not. */
const spelledOut =
  String.raw`getIterateSecret(?:\(|%28)(\{|%7[bB])${blanks}secretKey${blanks}(?::|%3[aA])${blanks}` +
  String.raw`${quote}([\w.-]{1,255})${quote}${blanks}(?:\}|%7[dD])(?:\)|%29)`;
const placeholder = new RegExp(`${native}|${spelledOut}`, "g");

export interface SecretNeeds {
  project: string;
  secrets: Pick<Secrets, "reveal" | "list">;
  /** Where the request goes. */
  url: string;
}

/** Each value may go to this URL. Rejects with SecretError where one may not, or is not there. */
export async function fillHeaders(headers: HeaderList, { project, secrets, url }: SecretNeeds): Promise<HeaderList> {
  const values = new Map<string, string>();
  for (const name of headers.flatMap(([, value]) => namesIn(value))) {
    if (!values.has(name)) values.set(name, (await secrets.reveal(project, name, url)).trim());
  }
  if (values.size === 0) return headers;
  return headers.map(([name, value]) => [name, filled(value, values)]);
}

/**
 * The header that a configuration gives all requests of its code. It is left out where its secrets may not go, since
 * the code asks other hosts as well; a secret that is not there is an error all the same.
 */
export async function fillFixedHeader(header: readonly [string, string], needs: SecretNeeds): Promise<HeaderList> {
  try {
    return await fillHeaders([header], needs);
  } catch (error) {
    if (!isSecretError(error)) throw error;
    const known = new Set((await needs.secrets.list(needs.project)).map(({ name }) => name));
    if (namesIn(header[1]).every((name) => known.has(name))) return [];
    throw error;
  }
}

function namesIn(value: string): string[] {
  return [...value.matchAll(placeholder)].map(([, name, , spelled]) => (name ?? spelled) as string);
}

function filled(value: string, values: ReadonlyMap<string, string>): string {
  return value.replace(placeholder, (_, name?: string, brace?: string, spelled?: string) => {
    const secret = values.get((name ?? spelled) as string) as string;
    // Whoever decodes what stands around it decodes it as well.
    return brace?.startsWith("%") ? encodeURIComponent(secret) : secret;
  });
}
