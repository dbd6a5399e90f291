// What `skein ping` has heard so far. Pure: results go in, matrices come out.
import { at, items, type Json, number, strings, text } from "../json.js";

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
  /** Who asks. */
  readonly rows: readonly Point[];
  /** Who answers. */
  readonly points: readonly Point[];
  cell(from: Point, to: Point): Cell;
}

type Family = 4 | 6;

export class PingReport {
  private readonly network: string;
  private readonly endpoints: ReadonlyMap<Family, readonly Point[]>;
  private readonly nodes: readonly Point[];
  private readonly cells = new Map<string, Cell>();
  /** Nodes that were asked; empty: all. */
  private readonly asked: ReadonlySet<string>;
  /** Nodes that told nothing at all, and why. */
  private readonly silent = new Map<string, string>();

  /** `header` is the first line of the answer: who is on the network. */
  constructor(header: Json) {
    this.network = text(header, "Network", "Name") || text(header, "Network");
    const nodes = items(header, "Nodes");
    const hostnames = new Map(nodes.map((node) => [text(node, "ID"), text(node, "Hostname")]));
    this.asked = new Set(strings(header, "From"));
    const ends = items(header, "Endpoints");
    const pointsOf = (family: Family) =>
      ends.flatMap((endpoint): Point[] => {
        const address = withoutPrefix(text(endpoint, family === 4 ? "IPv4Address" : "IPv6Address"));
        if (address === "") return [];
        const nodeId = text(endpoint, "NodeID");
        const label = `${shortened(text(endpoint, "Name"))}@${hostnames.get(nodeId) ?? "?"}`;
        return [{ key: `${text(endpoint, "ID")} ${family}`, nodeId, label, address }];
      });
    this.endpoints = new Map([
      [4, pointsOf(4)],
      [6, pointsOf(6)],
    ]);
    // Only nodes that have the network take part; the header has every node of the swarm.
    const taking = new Set(ends.map((endpoint) => text(endpoint, "NodeID")));
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
    const fromEndpoint = text(result, "FromEndpoint");
    const family = text(result, "ToAddress").includes(":") ? 6 : 4;
    const from = fromEndpoint === "" ? fromNode : `${fromEndpoint} ${family}`;
    const toEndpoint = text(result, "ToEndpoint");
    const to = toEndpoint === "" ? text(result, "ToNode") : `${toEndpoint} ${family}`;
    this.cells.set(pairKey(from, to), cellOf(result));
  }

  /** One for each family that something on the network has an address of; one at least. */
  overlay(): readonly Matrix[] {
    const both = [...this.endpoints].filter(([, points]) => points.length > 0);
    if (both.length === 0) return [this.matrix(`Network ${this.network}`, [])];
    return both.map(([family, points]) => {
      const over = both.length > 1 ? ` over IPv${family}` : "";
      return this.matrix(`Network ${this.network}${over}`, points);
    });
  }

  underlay(): Matrix {
    return this.matrix("Underlay", this.nodes);
  }

  /**
   * Silent nodes and pairs that heard nothing, each as a sentence. `isOver`: all has come, and who is pending has
   * not been measured.
   */
  failures(isOver: boolean): string[] {
    const nodes = [...this.silent].map(([id, why]) => {
      const node = this.nodes.find((one) => one.key === id);
      return `${node === undefined ? id : name(node)}: ${why}`;
    });
    const pairs = [...this.overlay(), this.underlay()].flatMap((matrix) =>
      matrix.rows.flatMap((from) =>
        this.silent.has(from.nodeId)
          ? []
          : matrix.points.flatMap((to) => {
              const cell = matrix.cell(from, to);
              const why = cell.kind === "pending" && !isOver ? undefined : failureOf(cell);
              return why === undefined ? [] : [`${name(from)} → ${name(to)}: ${why}`];
            }),
      ),
    );
    return [...nodes, ...pairs];
  }

  private matrix(title: string, points: readonly Point[]): Matrix {
    const rows = points.filter(({ nodeId }) => this.asked.size === 0 || this.asked.has(nodeId));
    return { title, rows, points, cell: (from, to) => this.cell(from, to) };
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

/** Of SERVICE.SLOT.TASK, or SERVICE.NODE.TASK, without the ids: they are long, and the address tells tasks apart. */
function shortened(endpoint: string): string {
  return endpoint.replace(/(\.[a-z0-9]{25}){1,2}$/, "");
}
