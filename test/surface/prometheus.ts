/** Reads the text format of Prometheus, strictly: what this refuses, a scraper would. */
export interface Family {
  type: string;
  help: string;
  /** By the whole name with its labels, such as `a_total{code="x"}`. */
  samples: Map<string, number>;
}

const sampleLine =
  /^([a-z_:][a-z0-9_:]*)(\{[a-z_]+="(?:[^"\\\n]|\\["\\n])*"(?:,[a-z_]+="(?:[^"\\\n]|\\["\\n])*")*\})? (\S+)$/i;

export function parseMetrics(text: string): Map<string, Family> {
  const families = new Map<string, Family>();
  let current: [name: string, family: Family] | undefined;
  if (!text.endsWith("\n")) throw new Error("the last line does not end");
  for (const line of text.slice(0, -1).split("\n")) {
    const help = /^# HELP (\S+) (.+)$/.exec(line);
    const type = /^# TYPE (\S+) (counter|gauge|histogram)$/.exec(line);
    const sample = sampleLine.exec(line);
    if (help) {
      const name = help[1] as string;
      if (families.has(name)) throw new Error(`${name} is there twice`);
      const family = { type: "", help: help[2] as string, samples: new Map() };
      current = [name, family];
      families.set(name, family);
    } else if (type && current !== undefined && current[0] === type[1]) {
      current[1].type = type[2] as string;
    } else if (sample && current !== undefined && belongs(sample[1] as string, current)) {
      const value = sample[3] === "+Inf" ? Number.POSITIVE_INFINITY : Number(sample[3]);
      if (Number.isNaN(value)) throw new Error(`no number: ${line}`);
      const id = `${sample[1]}${sample[2] ?? ""}`;
      if (current[1].samples.has(id)) throw new Error(`${id} is there twice`);
      current[1].samples.set(id, value);
    } else throw new Error(`not understood: ${line}`);
  }
  return families;
}

function belongs(sample: string, [name, { type }]: [string, Family]): boolean {
  if (type === "histogram") return [`${name}_bucket`, `${name}_sum`, `${name}_count`].includes(sample);
  return type !== "" && sample === name;
}

/** The value of a metric that has one sample. */
export function metricValue(families: Map<string, Family>, name: string): number {
  for (const { samples } of families.values()) {
    const value = samples.get(name);
    if (value !== undefined) return value;
  }
  throw new Error(`there is no ${name}`);
}
