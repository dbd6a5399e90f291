import { expect, test } from "vitest";
import { NLM_F_REQUEST } from "./constants.js";
import { dropsEverything } from "./foreign-chains.js";
import type { NetlinkMessage } from "./message.js";
import * as nft from "./nftables-constants.js";
import { NetlinkWriter } from "./writer.js";

/** A rule as a dump has it; an immediate carries its verdict. */
function rule(...names: readonly string[]): NetlinkMessage {
  const type = (nft.NFNL_SUBSYS_NFTABLES << 8) | nft.NFT_MSG_NEWRULE;
  const writer = new NetlinkWriter();
  writer.message(type, NLM_F_REQUEST, () => {
    writer.u32(2);
    writer.attributeText(nft.NFTA_RULE_TABLE, "filter");
    writer.nest(nft.NFTA_RULE_EXPRESSIONS, () => {
      for (const name of names) {
        const [expression = "", verdict] = name.split(" ");
        writer.nest(nft.NFTA_LIST_ELEM, () => {
          writer.attributeText(nft.NFTA_EXPR_NAME, expression);
          writer.nest(nft.NFTA_EXPR_DATA, () => {
            if (verdict === undefined) return;
            writer.nest(nft.NFTA_IMMEDIATE_DATA, () =>
              writer.nest(nft.NFTA_DATA_VERDICT, () =>
                writer.attributeU32be(
                  nft.NFTA_VERDICT_CODE,
                  verdict === "drop" ? nft.NF_DROP : nft.NF_ACCEPT,
                ),
              ),
            );
          });
        });
      }
    });
  });
  const bytes = writer.slice(0, writer.count, 1);
  return { type, flags: 0, sequence: 1, bytes, from: 16, to: bytes.length };
}

const cases: readonly [readonly string[], boolean][] = [
  [["reject"], true],
  [["counter", "reject"], true],
  [["counter", "log", "immediate drop"], true],
  [["immediate accept"], false],
  [["counter"], false],
  [["meta", "cmp", "reject"], false],
  [["meta", "cmp", "counter", "immediate drop"], false],
  [["match", "reject"], false],
  [[], false],
];
test.each(cases)("a last rule of %j: %s", (names, drops) => {
  expect(dropsEverything(rule(...names))).toBe(drops);
});

test("what is cut short is no rule that drops", () => {
  const whole = rule("counter", "immediate drop");
  for (let to = whole.from; to < whole.to; to++) {
    expect(dropsEverything({ ...whole, to }) ?? false).toBe(false);
  }
});
