// What `skein ping` has heard so far. Pure: results go in, matrices come out.
import { at, items, type Json, number, text } from "../json.js";

export interface Point {
  /** Unique among the points of its matrix. */
  readonly key: string;
  readonly label: string;
  readonly address: string;
}

export type Cell =
  | { readonly kind: "self" }
  | { readonly kind: "pending" }
  | { readonly kind: "failed"; readonly why: string }
  | {
      readonly kind: "measured";
      readonly sent: number;
      readonly received: number;
      readonly averageUs: number;
    };

export interface Matrix {
  readonly title: string;
  readonly points: readonly Point[];
  cell(from: Point, to: Point): Cell;
}

export class PingReport {
  private readonly network: string;
  private readonly endpoints: readonly Point[];
  private readonly nodes: readonly Point[];
  private readonly cells = new Map<string, Cell>();

  /** `header` is the first line of the answer: who is on the network. */
  constructor(header: Json) {
    this.network = text(header, "Network", "Name") || text(header, "Network");
    const hostnames = new Map(
      items(header, "Nodes").map((node) => [text(node, "ID"), text(node, "Hostname")]),
    );
    this.nodes = items(header, "Nodes").map((node) => ({
      key: text(node, "ID"),
      label: text(node, "Hostname"),
      address: text(node, "Addr"),
    }));
    this.endpoints = items(header, "Endpoints").map((endpoint) => ({
      key: text(endpoint, "ID"),
      label: `${text(endpoint, "Name")}@${hostnames.get(text(endpoint, "NodeID")) ?? "?"}`,
      address: text(endpoint, "IPv4Address") || text(endpoint, "IPv6Address"),
    }));
  }

  add(result: Json): void {
    const from = text(result, "FromEndpoint") || text(result, "FromNode");
    const to = text(result, "ToEndpoint") || text(result, "ToNode");
    this.cells.set(pairKey(from, to), cellOf(result));
  }

  overlay(): Matrix {
    return this.matrix(`Network ${this.network}`, this.endpoints);
  }

  underlay(): Matrix {
    return this.matrix("Underlay", this.nodes);
  }

  /** Pairs that heard nothing, each as a sentence. */
  failures(): string[] {
    return [this.overlay(), this.underlay()].flatMap((matrix) =>
      matrix.points.flatMap((from) =>
        matrix.points.flatMap((to) => {
          const why = failureOf(matrix.cell(from, to));
          return why === undefined ? [] : [`${name(from)} → ${name(to)}: ${why}`];
        }),
      ),
    );
  }

  private matrix(title: string, points: readonly Point[]): Matrix {
    return {
      title,
      points,
      cell: (from, to) =>
        this.cells.get(pairKey(from.key, to.key)) ??
        (from.key === to.key ? { kind: "self" } : { kind: "pending" }),
    };
  }
}

function name(point: Point): string {
  return `${point.label} ${point.address}`;
}

function pairKey(from: string, to: string): string {
  return `${from} ${to}`;
}

function cellOf(result: Json): Cell {
  const received = number(result, "Received");
  const why = text(result, "Error");
  if (received === 0 && why !== "") return { kind: "failed", why };
  return {
    kind: "measured",
    sent: number(result, "Sent"),
    received,
    averageUs: Number(at(result, "RttAvgUs") ?? 0),
  };
}

function failureOf(cell: Cell): string | undefined {
  if (cell.kind === "failed") return cell.why;
  if (cell.kind === "measured" && cell.received === 0) {
    return `none of ${cell.sent} answered`;
  }
  return undefined;
}
