/** Where the documents are: exact paths, all of them for reading. */
import { type Incoming, type Outgoing, toJson } from "../exchange.ts";
import { allow } from "../parameters.ts";
import { queryOf } from "../target.ts";
import { type Assets, assetNames, assetRoute, docsRoute, startRoute } from "./docs-page.ts";
import { eventIndexRoute } from "./event-pages.ts";
import { openApiDocument } from "./openapi.ts";

export type Route = (incoming: Incoming) => Promise<Outgoing> | Outgoing;

export function documentRoutes(assets: Assets | undefined): Record<string, Route> {
  const routes: Record<string, Route> = {
    "/openapi.json": openApiRoute,
    "/api/openapi.json": openApiRoute,
    "/api/docs": (incoming) => docsRoute(incoming, assets),
    "/apidocs": (incoming) => docsRoute(incoming, assets),
    "/api/docs/events": eventIndexRoute,
    "/api/docs/start.js": startRoute,
  };
  for (const name of assetNames) routes[`/api/docs/${name}`] = () => assetRoute(assets, name);
  return routes;
}

function openApiRoute(incoming: Incoming): Outgoing {
  allow(queryOf(incoming.url), []);
  return toJson(openApiDocument());
}
