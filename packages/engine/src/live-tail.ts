/**
 * The last commits of a stream, shared by everyone who reads it live. Readers hold a position, never a queue: whoever
 * is too slow for what is kept here reads the log instead, so a slow reader costs nothing and never waits for others.
 */
export interface Published {
  first: number;
  records: readonly string[];
}

const keptCharactersMax = 1024 * 1024;
/** Consumers are rarely behind, and there may be some on every stream. */
const keptForConsumersMax = 64 * 1024;

export class LiveTail {
  /** How many read along; nothing is kept while nobody does. */
  readers = 0;
  /** Consumers follow as well. */
  followed = false;
  /** Counts deletions: readers of an earlier life end. */
  life = 0;
  #kept: Published[] = [];
  #keptCharacters = 0;
  readonly #wakers: Set<() => void> = new Set();

  publish(first: number, records: readonly string[]): void {
    if (this.readers === 0 && !this.followed) {
      if (this.#kept.length > 0) this.#clear();
      return;
    }
    this.#kept.push({ first, records });
    this.#keptCharacters += charactersOf(records);
    const max = this.readers > 0 ? keptCharactersMax : keptForConsumersMax;
    while (this.#keptCharacters > max && this.#kept.length > 1) {
      this.#keptCharacters -= charactersOf((this.#kept.shift() as Published).records);
    }
    this.#wake();
  }

  /** After a reload: what came in between is in the log, not here. */
  reload(): void {
    this.#clear();
    this.#wake();
  }

  /** The stream was deleted. */
  end(): void {
    this.#clear();
    this.life++;
    this.#wake();
  }

  /** The kept commit that holds this offset, if it is still here. */
  at(offset: number): Published | undefined {
    let low = 0;
    let high = this.#kept.length - 1;
    while (low <= high) {
      const middle = (low + high) >> 1;
      const published = this.#kept[middle] as Published;
      if (offset < published.first) high = middle - 1;
      else if (offset >= published.first + published.records.length) low = middle + 1;
      else return published;
    }
    return undefined;
  }

  /** Calls `wake` at every change until it is taken back. */
  onChange(wake: () => void): () => void {
    this.#wakers.add(wake);
    return () => this.#wakers.delete(wake);
  }

  #wake(): void {
    for (const wake of this.#wakers) wake();
  }

  #clear(): void {
    this.#kept = [];
    this.#keptCharacters = 0;
  }
}

function charactersOf(records: readonly string[]): number {
  let characters = 0;
  for (const record of records) characters += record.length;
  return characters;
}
