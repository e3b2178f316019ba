/** What every way out says of a URL, before it is asked where it leads. */
import { OutboundError } from "@millrace/engine";

/** @throws OutboundError "refused" */
export function judgeOutboundUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined) throw new OutboundError("refused", "That is not a URL.");
  if (!/^https?:$/.test(url.protocol)) throw new OutboundError("refused", `Not over ${url.protocol}`);
  if (url.username === "" && url.password === "") return url;
  throw new OutboundError("refused", `The URL to ${url.host} has a user name or a password.`);
}
