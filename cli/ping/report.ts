// What `skein ping` has heard so far. Pure: results go in, matrices come out.
import { at, items, type Json, number, text } from "../json.js";

export interface Point {
  /** Unique among the points of its matrix. */
  readonly key: string;
  readonly nodeId: string;
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
  /** Nodes that told nothing at all, and why. */
  private readonly silent = new Map<string, string>();

  /** `header` is the first line of the answer: who is on the network. */
  constructor(header: Json) {
    this.network = text(header, "Network", "Name") || text(header, "Network");
    const nodes = items(header, "Nodes");
    const hostnames = new Map(nodes.map((node) => [text(node, "ID"), text(node, "Hostname")]));
    this.endpoints = items(header, "Endpoints").map((endpoint) => ({
      key: text(endpoint, "ID"),
      nodeId: text(endpoint, "NodeID"),
      label: `${text(endpoint, "Name")}@${hostnames.get(text(endpoint, "NodeID")) ?? "?"}`,
      address: withoutPrefix(text(endpoint, "IPv4Address") || text(endpoint, "IPv6Address")),
    }));
    // Only nodes that have the network take part; the header has every node of the swarm.
    const taking = new Set(this.endpoints.map((endpoint) => endpoint.nodeId));
    this.nodes = nodes
      .map((node) => ({
        key: text(node, "ID"),
        nodeId: text(node, "ID"),
        label: text(node, "Hostname"),
        address: text(node, "Addr"),
      }))
      .filter((node) => taking.has(node.key));
  }

  add(result: Json): void {
    const fromNode = text(result, "FromNode");
    if (text(result, "ToNode") === "") {
      this.silent.set(fromNode, text(result, "Error") || "the node did not report");
      return;
    }
    const from = text(result, "FromEndpoint") || fromNode;
    const to = text(result, "ToEndpoint") || text(result, "ToNode");
    this.cells.set(pairKey(from, to), cellOf(result));
  }

  overlay(): Matrix {
    return this.matrix(`Network ${this.network}`, this.endpoints);
  }

  underlay(): Matrix {
    return this.matrix("Underlay", this.nodes);
  }

  /** Once all has come: silent nodes and pairs that heard nothing, each as a sentence. */
  failures(): string[] {
    const nodes = [...this.silent].map(([id, why]) => {
      const node = this.nodes.find((one) => one.key === id);
      return `${node === undefined ? id : name(node)}: ${why}`;
    });
    const pairs = [this.overlay(), this.underlay()].flatMap((matrix) =>
      matrix.points.flatMap((from) =>
        this.silent.has(from.nodeId)
          ? []
          : matrix.points.flatMap((to) => {
              const why = failureOf(matrix.cell(from, to));
              return why === undefined ? [] : [`${name(from)} → ${name(to)}: ${why}`];
            }),
      ),
    );
    return [...nodes, ...pairs];
  }

  private matrix(title: string, points: readonly Point[]): Matrix {
    return { title, points, cell: (from, to) => this.cell(from, to) };
  }

  private cell(from: Point, to: Point): Cell {
    const known = this.cells.get(pairKey(from.key, to.key));
    if (known !== undefined) return known;
    if (from.key === to.key) return { kind: "self" };
    const why = this.silent.get(from.nodeId);
    return why === undefined ? { kind: "pending" } : { kind: "failed", why };
  }
}

function withoutPrefix(address: string): string {
  return address.split("/")[0] ?? "";
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
  if (cell.kind === "pending") return "not measured";
  if (cell.kind === "measured" && cell.received === 0) {
    return `none of ${cell.sent} answered`;
  }
  return undefined;
}
