/** Time and chance are ports of the engine. They stand in the protocol, because processors run elsewhere, too. */
export type { Clock, Random } from "@millrace/protocol";
