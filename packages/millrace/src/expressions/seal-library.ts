/**
 * One process evaluates for everybody, so nothing that outlives an expression may be within its reach. JSONata's update
 * operator changes whatever its pattern finds, and finds functions too: `{} ~> |$sum|{"implementation": ...}|` would
 * replace `$sum` for all who come later, and with the same trick the tree behind `~>` between two functions. So what
 * JSONata shares between evaluations is frozen, and so are the objects of the language that an expression might get at.
 */
import jsonata from "jsonata";

/** Every function of JSONata; a test compares the list with the library. `$now` and `$millis` belong to an expression. */
const functionNames =
  "abs append assert average base64decode base64encode boolean ceil clone contains count decodeUrl " +
  "decodeUrlComponent distinct each encodeUrl encodeUrlComponent error eval exists filter floor formatBase " +
  "formatInteger formatNumber fromMillis join keys length lookup lowercase map match max merge min not number pad " +
  "parseInteger power random reduce replace reverse round shuffle sift single sort split spread sqrt string substring " +
  "substringAfter substringBefore sum toMillis trim type uppercase zip";

const intrinsics = [Array, Boolean, Date, Function, Map, Number, Promise, RegExp, Set, String, Symbol];

export async function sealLibrary(): Promise<void> {
  const names = functionNames.split(" ").map((name) => `$${name}`);
  for (const shared of await jsonata(`[${names.join()}]`).evaluate(null)) sealFunction(shared);

  const chained = (await jsonata("$sum ~> $count").evaluate(null)) as Lambda;
  deepFreeze(chained.body);
  deepFreeze(chained.arguments);
  deepFreeze(chained.environment.global);

  for (const intrinsic of intrinsics) {
    Object.freeze(intrinsic);
    Object.freeze(intrinsic.prototype);
  }
  // Frozen, it would keep everybody's objects from having a `toString` of their own by assignment.
  Object.seal(Object.prototype);
  for (const namespace of [Object, JSON, Math, Reflect]) Object.freeze(namespace);
}

/** What JSONata makes of `function(...) {...}`. */
interface Lambda {
  body: object;
  arguments: object;
  environment: { global: object };
}

/** Before each call JSONata notes on the function where it was called, for the message of an error. */
function sealFunction(shared: object): void {
  for (const key of Object.keys(shared)) {
    const value = (shared as Record<string, unknown>)[key];
    deepFreeze(value);
    Object.defineProperty(shared, key, { value, writable: false, configurable: false });
  }
  for (const note of ["token", "position"]) Object.defineProperty(shared, note, { writable: true });
  Object.preventExtensions(shared);
}

function deepFreeze(value: unknown): void {
  if ((typeof value !== "object" && typeof value !== "function") || value === null || Object.isFrozen(value)) return;
  Object.freeze(value);
  for (const key of Reflect.ownKeys(value)) deepFreeze((value as Record<PropertyKey, unknown>)[key]);
}
