// Times, and how they are told: one table row a measurement, a median with its range.

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

export async function timed(action: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await action();
  return performance.now() - started;
}

export async function times(count: number, action: () => Promise<unknown>): Promise<number[]> {
  const ms: number[] = [];
  for (let i = 0; i < count; i++) ms.push(await timed(action));
  return ms;
}

export function heading(text: string): void {
  console.log(`\n| ${text} | ms, median (min-max) | runs |\n|---|---|---|`);
}

export function report(what: string, ms: readonly number[]): void {
  const format = (value: number) => (value < 100 ? value.toFixed(1) : value.toFixed(0));
  const range = `${format(Math.min(...ms))}-${format(Math.max(...ms))}`;
  console.log(`| ${what} | ${format(median(ms))} (${range}) | ${ms.length} |`);
}

/** `at` 0.99: what 99 of 100 are not above. */
export function quantile(values: ArrayLike<number>, at: number): number {
  const sorted = Array.from(values).sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * at))] ?? Number.NaN;
}
