/** Who listens to something that has a name, such as a project. */

/** Adds a listener under a name. Returns how to take it away. */
export function listen(listeners: Map<string, Set<() => void>>, name: string, run: () => void): () => void {
  const own = listeners.get(name) ?? new Set();
  listeners.set(name, own.add(run));
  return () => {
    own.delete(run);
    if (own.size === 0) listeners.delete(name);
  };
}
