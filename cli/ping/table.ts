// A ping matrix as text: a row for who asks, a column for who answers.
import { align, LIST_SHAPE } from "../format/table.js";
import type { Cell, Matrix } from "./report.js";

// Choice: room between two matrices that stand beside each other.
const GUTTER = "     ";

/** `columns`: width of the window, beyond which there is a line for each row instead; 0: none. */
export function matrixLines(matrix: Matrix, columns: number): string[] {
  if (matrix.points.length === 0) return [`${matrix.title}: nothing on it`];
  const lines = gridLines(matrix);
  const width = Math.max(...lines.map((line) => [...line].length));
  return columns > 0 && width > columns ? rowLines(matrix) : lines;
}

function gridLines(matrix: Matrix): string[] {
  const header = [
    ["FROM \\ TO", ...matrix.points.map((point) => point.label)],
    ["", ...matrix.points.map((point) => point.address)],
  ];
  const rows = matrix.rows.map((from) => [
    `${from.label} ${from.address}`,
    ...matrix.points.map((to) => cellText(matrix.cell(from, to))),
  ]);
  const table = align([...header, ...rows].map((row) => row.join("\t")).join("\n"), LIST_SHAPE);
  return [
    `${matrix.title} (average round trip in ms)`,
    ...table.split("\n").map((line) => line.trimEnd()),
  ];
}

/** How each fares with all the others. */
function rowLines(matrix: Matrix): string[] {
  const rows = matrix.rows.map((from) => {
    const cells = matrix.points.flatMap((to) => {
      const cell = matrix.cell(from, to);
      return cell.kind === "self" ? [] : [{ to, cell }];
    });
    const measured = cells.flatMap(({ to, cell }) =>
      cell.kind === "measured" && cell.received > 0 ? [{ to, cell }] : [],
    );
    const sum = measured.reduce((total, { cell }) => total + cell.averageUs, 0);
    const worst = measured.toSorted((a, b) => b.cell.averageUs - a.cell.averageUs)[0];
    const lost = cells.filter(({ cell }) => cell.kind === "failed" || isLossy(cell)).length;
    return [
      `${from.label} ${from.address}`,
      `${measured.length}/${cells.length}`,
      measured.length === 0 ? "" : milliseconds(sum / measured.length),
      worst === undefined ? "" : `${milliseconds(worst.cell.averageUs)} ${worst.to.label}`,
      lost === 0 ? "" : `with ${lost}`,
    ];
  });
  const header = ["FROM", "ANSWERED", "AVERAGE", "SLOWEST", "LOSS"];
  const table = align([header, ...rows].map((row) => row.join("\t")).join("\n"), LIST_SHAPE);
  return [
    `${matrix.title} (average round trip in ms)`,
    ...table.split("\n").map((line) => line.trimEnd()),
  ];
}

function isLossy(cell: Cell): boolean {
  return cell.kind === "measured" && cell.received < cell.sent;
}

function cellText(cell: Cell): string {
  switch (cell.kind) {
    case "self":
      return "-";
    case "pending":
      return "…";
    case "failed":
      return "failed";
    case "measured": {
      if (cell.received === 0) return "lost";
      const average = milliseconds(cell.averageUs);
      if (cell.received >= cell.sent) return average;
      const loss = Math.round((1 - cell.received / cell.sent) * 100);
      return `${average} ${loss}% lost`;
    }
  }
}

/** Three significant digits are what a round trip is worth. */
function milliseconds(us: number): string {
  const ms = us / 1000;
  return ms >= 100 ? ms.toFixed(0) : ms >= 10 ? ms.toFixed(1) : ms.toFixed(2);
}

/** The second beside the first when both fit in `columns`, else below it. */
export function beside(
  left: readonly string[],
  right: readonly string[],
  columns: number,
): string[] {
  const width = Math.max(...left.map((line) => [...line].length));
  const wide = Math.max(...right.map((line) => [...line].length));
  if (width + GUTTER.length + wide > columns) return [...left, "", ...right];
  const height = Math.max(left.length, right.length);
  return Array.from({ length: height }, (_, i) =>
    `${pad(left[i] ?? "", width)}${GUTTER}${right[i] ?? ""}`.trimEnd(),
  );
}

function pad(line: string, width: number): string {
  return line + " ".repeat(width - [...line].length);
}
