/** An npm registry on loopback, with packages that a test makes: metadata and tarballs, good and bad. */
import { createHash } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { gzipSync } from "node:zlib";
import { Header } from "tar";

export interface MadePackage {
  name: string;
  version?: string;
  /** Of package.json, and of what the registry says. */
  manifest?: Record<string, unknown>;
  files?: Record<string, string>;
  /** Instead of the tarball of these files. */
  tarball?: Buffer;
  /** Instead of what belongs to the tarball. */
  dist?: Record<string, unknown>;
}

export interface NpmRegistry {
  url: string;
  /** Paths that were asked for, in order. */
  asked: string[];
  put(...packages: MadePackage[]): void;
  /** Answers itself, if it returns true. */
  intercept: (request: IncomingMessage, response: ServerResponse) => boolean;
  close(): Promise<void>;
}

export async function startRegistry(): Promise<NpmRegistry> {
  const metadata = new Map<string, { "dist-tags": Record<string, string>; versions: Record<string, unknown> }>();
  const tarballs = new Map<string, Buffer>();
  const server = createServer((request, response) => {
    const path = decodeURIComponent((request.url ?? "").slice(1));
    registry.asked.push(path);
    if (registry.intercept(request, response)) return;
    const found = tarballs.get(path) ?? (metadata.has(path) ? JSON.stringify(metadata.get(path)) : undefined);
    if (found === undefined) response.statusCode = 404;
    response.end(found ?? "{}");
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const registry: NpmRegistry = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    asked: [],
    intercept: () => false,
    put(...packages) {
      for (const { name, version = "1.0.0", manifest = {}, files = {}, tarball: own, dist } of packages) {
        const packageJson = JSON.stringify({ name, version, ...manifest });
        const tarball = own ?? tarballOf({ "package/package.json": packageJson, ...below("package/", files) });
        const path = `${name}/-/${name.replace(/.*\//, "")}-${version}.tgz`;
        tarballs.set(path, tarball);
        const integrity = `sha512-${createHash("sha512").update(tarball).digest("base64")}`;
        const said = { name, version, ...manifest, dist: { tarball: registry.url + path, integrity, ...dist } };
        const known = metadata.get(name);
        metadata.set(name, {
          "dist-tags": { latest: version },
          versions: { ...known?.versions, [version]: said },
        });
      }
    },
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
  return registry;
}

/** Names as they stand, however wrong. */
export function tarballOf(files: Record<string, string>, types: Record<string, "SymbolicLink"> = {}): Buffer {
  const blocks = Object.entries(files).flatMap(([path, text]) => {
    const type = types[path];
    const body = type === undefined ? Buffer.from(text) : Buffer.alloc(0);
    const header = Buffer.alloc(512);
    const linkpath = type === undefined ? {} : { linkpath: text };
    new Header({ path, mode: 0o644, size: body.length, type: type ?? "File", mtime: new Date(0), ...linkpath }).encode(
      header,
    );
    return [header, body, Buffer.alloc((512 - (body.length % 512)) % 512)];
  });
  return gzipSync(Buffer.concat([...blocks, Buffer.alloc(1_024)]));
}

function below(folder: string, files: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(files).map(([name, text]) => [folder + name, text]));
}
