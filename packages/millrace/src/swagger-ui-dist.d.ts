/** The package's main entry loads the whole UI, which is for browsers; this one only says where the files are. */
declare module "swagger-ui-dist/absolute-path.js" {
  export default function absolutePath(): string;
}
