import assert from "node:assert/strict";
import fc from "fast-check";
import { describe, test } from "vitest";
import { render } from "./evaluate.js";
import { GoTime, type GoValue, TemplateError } from "./value.js";

const data: GoValue = {
  Name: "web",
  Count: 3,
  Float: 1.5,
  On: true,
  Off: false,
  None: null,
  Labels: { b: "2", a: "1" },
  List: ["x", "y", "z"],
  Rows: [{ N: 1 }, { N: 2 }],
  Empty: [],
  When: new GoTime("2026-11-21T03:06:45.271700Z"),
  "dotted.key": "d",
};

// What Go 1.24's text/template prints for the same.
const cases: readonly (readonly [template: string, want: string])[] = [
  ["plain", "plain"],
  ["{{.Name}}", "web"],
  ["a {{- .Name -}} b", "awebb"],
  ["{{/* no */}}x{{- /* no */ -}} y", "xy"],
  ["{{.Count}} {{.Float}} {{.On}} {{.None}}", "3 1.5 true <nil>"],
  ["{{.Labels}} {{.List}}", "map[a:1 b:2] [x y z]"],
  ['{{.Labels.a}} {{index .Labels "b"}} {{index .Labels "c"}}|', "1 2 <no value>|"],
  ['{{index . "dotted.key"}}', "d"],
  ["{{index .List 1}} {{(index .Rows 1).N}}", "y 2"],
  ["{{range .List}}[{{.}}]{{end}}", "[x][y][z]"],
  ["{{range $i, $v := .List}}{{if $i}},{{end}}{{$i}}={{$v}}{{end}}", "0=x,1=y,2=z"],
  ["{{range $k, $v := .Labels}}{{$k}}:{{$v}} {{end}}", "a:1 b:2 "],
  ["{{range $v := .List}}{{$v}}{{$.Name}}{{end}}", "xwebywebzweb"],
  ["{{range .Empty}}x{{else}}none{{end}}", "none"],
  ["{{range .None}}x{{else}}none{{end}}", "none"],
  ['{{printf "%9999999d" 1}}', "%!(BADWIDTH)"],
  ["{{if .On}}y{{else}}n{{end}}{{if .Off}}y{{else}}n{{end}}", "yn"],
  ["{{if .Off}}a{{else if .None}}b{{else if .On}}c{{else}}d{{end}}", "c"],
  ["{{with .Labels}}{{.a}}{{end}}{{with .None}}x{{else}}-{{end}}", "1-"],
  ["{{$x := 1}}{{$x = 2}}{{$x}}", "2"],
  ["{{$x := .Name}}{{range .Rows}}{{$x}}{{.N}}{{end}}", "web1web2"],
  ["{{json .Labels}} {{json .Name}} {{json .List}}", '{"b":"2","a":"1"} "web" ["x","y","z"]'],
  ["{{len .List}} {{len .Name}} {{len .Labels}}", "3 3 2"],
  [
    '{{printf "%s %q %d %t %v %5.1f|%-5s|%05d|%x" .Name .Name .Count .On .List .Float .Name .Count .Name}}',
    'web "web" 3 true [x y z]   1.5|web  |00003|776562',
  ],
  ['{{printf "%d%%" 5}} {{printf "%s"}} {{printf "x" 1}}', "5% %!s(MISSING) x%!(EXTRA int=1)"],
  ['{{.Name | upper | printf "%s-%s" "a"}}', "a-WEB"],
  ['{{join .List "+"}} {{len (split "a,b,c" ",")}}', "x+y+z 3"],
  ['{{title .Name}} {{lower "ABC"}} {{truncate .Name 2}}', "Web abc we"],
  ['{{eq .Name "web"}} {{eq .Count 1 2 3}} {{ne .On true}}', "true true false"],
  ['{{lt 1 2}}{{le 2 2}}{{gt "b" "a"}}{{ge 1 2}}', "truetruetruefalse"],
  ['{{and .On .Name}} {{or .Off "d"}} {{not .On}}', "web d false"],
  ["{{and .Off (index .List 9)}}", "false"],
  ["{{slice .List 1}} {{slice .Name 0 1}}", "[y z] w"],
  ['{{print 1 "a" true}} {{html "<a>"}}', "1 a true &lt;a&gt;"],
  ["{{.When}}", "2026-11-21 03:06:45.2717 +0000 UTC"],
  ["{{json .When}}", '"2026-11-21T03:06:45.271700Z"'],
  ['{{`raw \\n`}} {{"tab\\tbed"}}', "raw \\n tab\tbed"],
  ['{{ true }} {{ nil | printf "%v" }}', "true <nil>"],
];

describe("a template", () => {
  for (const [template, want] of cases) {
    test(template, () => assert.equal(render(template, data), want));
  }
});

const failures: readonly (readonly [template: string, message: string])[] = [
  ["{{.Name", "template: :1: unclosed action"],
  ["a\nb{{.Name", "template: :2: unclosed action"],
  ["{{}}", "template: :1: missing value for command"],
  ["{{if .On}}x", "template: :1: unexpected EOF"],
  ["x{{end}}", "template: :1: unexpected {{end}}"],
  ["x{{else}}", "template: :1: unexpected {{else}}"],
  ["{{nosuch}}", 'template: :1: function "nosuch" not defined'],
  ["{{$x}}", 'template: :1: undefined variable "$x"'],
  ['{{"a}}', "template: :1: unterminated quoted string"],
  ["{{.Nope}}", 'template: :1:2: executing "" at <.Nope>: map has no entry for key "Nope"'],
  [
    "{{.None.X}}",
    'template: :1:7: executing "" at <.None.X>: nil pointer evaluating interface {}.X',
  ],
  [
    "{{.Name.X}}",
    `template: :1:7: executing "" at <.Name.X>: can't evaluate field X in type interface {}`,
  ],
  [
    "{{index .List 7}}",
    'template: :1:2: executing "" at <index .List 7>: error calling index: index out of range: 7',
  ],
  ["{{len 3}}", 'template: :1:2: executing "" at <len 3>: error calling len: len of type int'],
];

describe("a bad template", () => {
  for (const [template, message] of failures) {
    test(template.replace("\n", "\\n"), () => {
      assert.throws(() => render(template, data), { name: "TemplateError", message });
    });
  }

  test("is a TemplateError, whatever it is", () => {
    const pieces = fc.constantFrom(
      ...'{{ }} {{- -}} .A .Name $ $x := | ( ) if else end range with " ` 1 and printf , = @ \n'.split(
        " ",
      ),
    );
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 12 }), (words) => {
        try {
          render(words.join(" "), data);
        } catch (error) {
          assert.ok(error instanceof TemplateError, String(error));
        }
      }),
      { numRuns: 2000 },
    );
  });
});
