/** Sets the secret `counter` to the next number for ever, among forty others, and says each number when it is set. */
import { createFileSecrets } from "millrace";

const [directory, from] = process.argv.slice(2);
const hosts = ["api.example.com"];
const secrets = createFileSecrets({ directory });
process.stdout.write("begin\n");
if (from === "0") {
  for (let i = 0; i < 40; i++) await secrets.set("public", { name: `other-${i}`, value: "x".repeat(2_000), hosts });
}
for (let n = Number(from) + 1; ; n++) {
  await secrets.set("public", { name: "counter", value: String(n), hosts });
  process.stdout.write(`${n}\n`);
}
