/** The registry as the operator names it. Apart from what uses it, since the command line is judged before that is loaded. */

/** @throws Error */
export function registryUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isWeb = url?.protocol === "https:" || url?.protocol === "http:";
  if (url === undefined || !isWeb || url.username !== "" || url.search !== "" || url.hash !== "") {
    throw new Error(`The npm registry is a URL such as https://registry.example.org; got "${text}".`);
  }
  return url.href;
}
