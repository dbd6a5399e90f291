// Lines on a terminal that are drawn again in place.
import type { Output } from "../cli.js";

// Choice: faster than this nobody reads, and slow links feel it.
const REDRAW_MS = 100;

export class LiveArea {
  private shownLines = 0;
  private drawnAtMs = Number.NEGATIVE_INFINITY;

  constructor(private readonly out: Output) {}

  /** `lines` is asked only when it is time to draw: what is shown may cost more than what it shows. */
  show(lines: readonly string[] | (() => readonly string[])): void {
    const nowMs = performance.now();
    if (nowMs - this.drawnAtMs < REDRAW_MS) return;
    this.drawnAtMs = nowMs;
    const shown = typeof lines === "function" ? lines() : lines;
    // An area taller than the window cannot be drawn again: it is shown once, when it is done.
    if (shown.length < this.out.rows) this.draw(shown);
  }

  finish(lines: readonly string[]): void {
    this.draw(lines);
  }

  private draw(lines: readonly string[]): void {
    const up = this.shownLines === 0 ? "" : `\u001b[${this.shownLines}A`;
    // Wrapping would spoil the count of lines; \u001b[?7l has the terminal cut instead.
    const text = lines.map((line) => `\u001b[2K${line}\n`).join("");
    this.out.write(`${up}\r\u001b[?7l${text}\u001b[?7h\u001b[J`);
    this.shownLines = lines.length;
  }
}
