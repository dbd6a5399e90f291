// Columns of text, as Go's text/tabwriter lays them out with Docker's settings.

export interface TableShape {
  readonly minWidth: number;
  readonly padding: number;
}

/** docker/cli formatter: tabwriter.NewWriter(out, 10, 1, 3, ' ', 0). */
export const LIST_SHAPE: TableShape = { minWidth: 10, padding: 3 };
/** docker/cli version: tabwriter.NewWriter(out, 20, 1, 1, ' ', 0). */
export const VERSION_SHAPE: TableShape = { minWidth: 20, padding: 1 };

/**
 * Lines whose cells end with a tab; the rest of a line after its last tab is no cell. A column is as
 * wide as its widest cell in neighbouring lines that have it.
 */
export function align(text: string, shape: TableShape): string {
  const lines = text.split("\n").map((line) => line.split("\t"));
  const widths: number[][] = lines.map(() => []);
  layColumn(lines, widths, 0, lines.length, 0, shape);
  return lines
    .map((cells, row) =>
      cells.map((cell, i) => cell + " ".repeat(gap(cell, widths[row]?.[i]))).join(""),
    )
    .join("\n");
}

function gap(cell: string, width: number | undefined): number {
  return width === undefined ? 0 : Math.max(0, width - textWidth(cell));
}

/** tabwriter counts code points. */
function textWidth(text: string): number {
  return [...text].length;
}

function layColumn(
  lines: readonly (readonly string[])[],
  widths: number[][],
  from: number,
  to: number,
  column: number,
  shape: TableShape,
): void {
  for (let row = from; row < to; row++) {
    // The last piece of a line is no cell of a column.
    if (column >= cellsOf(lines, row)) continue;
    let end = row;
    let width = shape.minWidth;
    while (end < to && column < cellsOf(lines, end)) {
      width = Math.max(width, textWidth(lines[end]?.[column] ?? "") + shape.padding);
      end++;
    }
    for (let i = row; i < end; i++) widths[i]?.push(width);
    layColumn(lines, widths, row, end, column + 1, shape);
    row = end - 1;
  }
}

function cellsOf(lines: readonly (readonly string[])[], row: number): number {
  return (lines[row]?.length ?? 1) - 1;
}
