/** Next: the file `app/hook/route.js` of an application. */
import { hook } from "./hook.mjs";

export async function POST(request) {
  return hook(request);
}
