/** What is done with the one key of a server: values are sealed with it, and further secrets are made from it. */
import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createSecretKey,
  hkdfSync,
  type KeyObject,
  randomBytes,
} from "node:crypto";

export interface Vault {
  /** What tells this key from any other, and says nothing about it. */
  check: string;
  /** @param about what belongs to the value: it is not in the result, and opens it only if it is the same again */
  seal(about: readonly unknown[], value: string): string;
  /** @throws Error when one bit of it, of what belongs to it or of the key is another */
  open(about: readonly unknown[], sealed: string): string;
  /** 32 bytes. */
  derive(purpose: readonly string[]): Uint8Array;
}

const keyBytes = 32;
const nonceBytes = 12;
const tagBytes = 16;
const cipherName = "aes-256-gcm";

/** 64 hex characters, or 32 bytes as base64 of either alphabet. Undefined for anything else. */
export function parseKey(text: string): Buffer | undefined {
  const written = text.trim();
  if (/^[0-9a-f]{64}$/i.test(written)) return Buffer.from(written, "hex");
  if (/^(?:[A-Za-z0-9+/]{43}=?|[A-Za-z0-9_-]{43}=?)$/.test(written)) return Buffer.from(written, "base64");
  return undefined;
}

export function randomKey(): Buffer {
  return randomBytes(keyBytes);
}

/** The key itself is used for nothing but to make others, one for each use. */
export function createVault(key: Buffer): Vault {
  const keyFor = (use: string): KeyObject => createSecretKey(Buffer.from(hkdfSync("sha256", key, "", use, keyBytes)));
  const sealing = keyFor("millrace secrets 1: seal");
  const deriving = keyFor("millrace secrets 1: derive");
  const check = keyFor("millrace secrets 1: check").export().toString("base64");
  // As JSON, a list is never the same text as another list.
  const bytesOf = (list: readonly unknown[]) => Buffer.from(JSON.stringify(list));

  return {
    check,
    seal(about, value) {
      const nonce = randomBytes(nonceBytes);
      const cipher = createCipheriv(cipherName, sealing, nonce).setAAD(bytesOf(about));
      const sealed = [nonce, cipher.update(value, "utf8"), cipher.final(), cipher.getAuthTag()];
      return Buffer.concat(sealed).toString("base64");
    },
    open(about, sealed) {
      const bytes = Buffer.from(sealed, "base64");
      const end = bytes.length - tagBytes;
      const nonce = bytes.subarray(0, nonceBytes);
      const cipher = createDecipheriv(cipherName, sealing, nonce, { authTagLength: tagBytes });
      cipher.setAAD(bytesOf(about)).setAuthTag(bytes.subarray(end));
      return Buffer.concat([cipher.update(bytes.subarray(nonceBytes, end)), cipher.final()]).toString("utf8");
    },
    derive: (purpose) => new Uint8Array(createHmac("sha256", deriving).update(bytesOf(purpose)).digest()),
  };
}
