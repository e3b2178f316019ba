/** How many sandbox processes there may be: whoever deploys chooses how many codes are busy, and in how many projects. */
import { SandboxError } from "@millrace/engine";

export interface ProcessesMax {
  ofProject: number;
  all: number;
}

export interface Places {
  /**
   * Returns what gives the place back, once.
   * @throws SandboxError "unavailable" when there is none
   */
  take(project: string): () => void;
  /** How many more this project may have now. */
  left(project: string): number;
}

export function createPlaces(max: ProcessesMax): Places {
  const taken = new Map<string, number>();
  let all = 0;

  return {
    left: (project) => Math.min(max.ofProject - (taken.get(project) ?? 0), max.all - all),
    take(project) {
      const own = taken.get(project) ?? 0;
      if (own >= max.ofProject) throw full(`${own} sandbox processes of the project ${project} are busy already`);
      if (all >= max.all) throw full(`${all} sandbox processes are busy already`);
      taken.set(project, own + 1);
      all++;
      let isBack = false;
      return () => {
        if (isBack) return;
        isBack = true;
        all--;
        const left = (taken.get(project) as number) - 1;
        if (left === 0) taken.delete(project);
        else taken.set(project, left);
      };
    },
  };
}

function full(what: string): SandboxError {
  return new SandboxError("unavailable", `${what}, which is the most. What waits goes on when one of them has ended.`);
}
