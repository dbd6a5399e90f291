// The parsed template. `at` is an offset in the source and `text` the source's own spelling: error
// messages of Go show both.

import type { MoreFunctions } from "./functions.js";

export type Operand =
  | { readonly kind: "dot"; readonly at: number; readonly text: string }
  | { readonly kind: "nil"; readonly at: number; readonly text: string }
  | {
      readonly kind: "literal";
      readonly value: string | number | boolean;
      readonly at: number;
      readonly text: string;
    }
  | { readonly kind: "variable"; readonly name: string; readonly at: number; readonly text: string }
  | { readonly kind: "function"; readonly name: string; readonly at: number; readonly text: string }
  /** `.A.B` (of undefined), `$x.A`, `(pipe).A`. */
  | {
      readonly kind: "field";
      readonly of: Operand | undefined;
      readonly path: readonly string[];
      readonly at: number;
      readonly text: string;
    }
  | {
      readonly kind: "pipeline";
      readonly pipeline: Pipeline;
      readonly at: number;
      readonly text: string;
    };

export interface Command {
  readonly operands: readonly Operand[];
  readonly text: string;
}

export interface Pipeline {
  /** Variables that it sets: one, or two for `range $i, $v := …`. */
  readonly variables: readonly string[];
  readonly declares: boolean;
  readonly commands: readonly Command[];
}

export type Node =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "show"; readonly pipeline: Pipeline }
  | {
      readonly kind: "if" | "range" | "with";
      readonly pipeline: Pipeline;
      readonly body: readonly Node[];
      readonly otherwise: readonly Node[];
    };

export interface Template {
  readonly source: string;
  readonly nodes: readonly Node[];
  readonly functions: MoreFunctions;
}
