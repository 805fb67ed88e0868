// Converts a model's Markdown to elements, with createElement and text nodes only, so HTML in an answer stays text.

import { button, copy, element } from "./dom.js";

const FENCE = /^ {0,3}(`{3,}|~{3,})\s*([^\s`]*)[^`]*$/;
const HEADING = /^ {0,3}(#{1,6})\s+(.*?)\s*#*\s*$/;
const RULE = /^ {0,3}([-*_])(\s*\1){2,}\s*$/;
const QUOTE = /^ {0,3}> ?/;
const ITEM = /^(\s*)([-*+]|\d{1,9}[.)])(\s+|$)/;
const STARTS = [FENCE, HEADING, RULE, QUOTE, ITEM];
const MAX_DEPTH = 6; // a model may nest without limit

/** Splits text into blocks, {kind, lines, …}, in order. Appended text changes the last blocks only. */
export function blocks(text) {
  const lines = text.split("\n");
  const found = [];
  let at = 0;
  const take = (continues) => {
    const from = at;
    for (at++; at < lines.length && continues(lines[at]); at++);
    return lines.slice(from, at);
  };
  while (at < lines.length) {
    const line = lines[at];
    let match;
    if (!line.trim()) {
      at++;
    } else if ((match = FENCE.exec(line))) {
      const [, fence, language] = match;
      const body = take((one) => !one.trim().startsWith(fence) || one.trim().replaceAll(fence[0], "")).slice(1);
      at++;
      found.push({ kind: "code", language, lines: body });
    } else if ((match = HEADING.exec(line))) {
      at++;
      found.push({ kind: `h${Math.min(6, match[1].length + 2)}`, lines: [match[2]] });
    } else if (RULE.test(line)) {
      at++;
      found.push({ kind: "hr", lines: [] });
    } else if (QUOTE.test(line)) {
      found.push({ kind: "blockquote", lines: take((one) => QUOTE.test(one)).map((one) => one.replace(QUOTE, "")) });
    } else if ((match = ITEM.exec(line))) {
      const indent = match[1].length + 1;
      const ordered = /\d/.test(match[2]);
      // A list continues after blank lines if the next line is indented or is its next item.
      const members = take((one) => {
        const blank = !one.trim();
        const next = blank ? (lines[at + 1] ?? "") : one;
        const item = ITEM.exec(next);
        if (item && item[1].length <= indent) return /\d/.test(item[2]) === ordered && !RULE.test(next);
        return /^\s/.test(next) || (!blank && lines[at - 1].trim() && !STARTS.some((pattern) => pattern.test(one)));
      });
      found.push({ kind: ordered ? "ol" : "ul", start: parseInt(match[2], 10), indent, lines: members });
    } else {
      found.push({ kind: "p", lines: take((one) => one.trim() && !STARTS.some((pattern) => pattern.test(one))) });
    }
  }
  return found;
}

function build({ kind, lines, language, start, indent }, depth) {
  const text = lines.join("\n");
  if (kind === "code") {
    const bar = element("div", "muted", language || "text", button("Copy", (pressed) => copy(text, pressed), "small tool"));
    const box = element("pre", "", element("code", "", text));
    box.tabIndex = 0; // lets the keyboard scroll wide code
    return element("div", "code", bar, box);
  }
  if (kind === "blockquote") return element(kind, "muted", ...render(text, depth + 1));
  if (kind === "ol" || kind === "ul") {
    const list = element(kind, "", ...items(lines, indent).map((item) => element("li", "", ...tight(render(item, depth + 1)))));
    if (start > 1) list.start = start;
    return list;
  }
  return element(kind, "", ...inline(text));
}

/** The text of each list item, without marker and indentation. */
function items(lines, indent) {
  const found = [];
  let width = 0;
  for (const line of lines) {
    const [all, space] = ITEM.exec(line) ?? [];
    if (all && space.length <= indent) {
      width = Math.min(all.length, indent + 4);
      found.push([line.slice(all.length)]);
    } else {
      found.at(-1).push(line.slice(Math.min(width, line.search(/\S|$/))));
    }
  }
  return found.map((item) => item.join("\n"));
}

/** Shows an item's first paragraph on the same line as the marker. */
const tight = ([first, ...rest]) => (first?.tagName === "P" ? [...first.childNodes, ...rest] : first ? [first, ...rest] : []);

const TAGS = { "***": "strong", "**": "strong", __: "strong", "~~": "del", "*": "em", _: "em" };
const INLINE = new RegExp(
  [
    /\\(?<escaped>[\\`*_{}[\]()#+\-.!~|>])/,
    /(?<ticks>`+)(?<code>[^`](?:.{0,2000}?[^`])?)\k<ticks>(?!`)/,
    /(?<![\w*_~])(?<mark>\*{1,3}|__?|~~)(?![\s*_])(?<marked>(?:.{0,2000}?[^\s*_])??)\k<mark>(?![\w*])/,
    /\[(?<label>[^[\]]{1,500})\]\((?<target>https?:\/\/[^\s()<>]{1,1500}(?:\([^\s()<>]{0,200}\)[^\s()<>]{0,500})?)\)/,
    /(?<bare>https?:\/\/[^\s<>"'`*|]{0,1500}[^\s<>"'`*|.,;:!?)\]])/,
  ].map((part) => part.source).join("|"),
  "gs",
);

/** Converts emphasis, code and links to nodes. */
function inline(text, depth = 0) {
  const nodes = [];
  let end = 0;
  for (const match of depth > MAX_DEPTH ? [] : text.matchAll(INLINE)) {
    const { escaped, code, mark, marked, label, target, bare } = match.groups;
    nodes.push(text.slice(end, match.index));
    end = match.index + match[0].length;
    if (escaped) nodes.push(escaped);
    else if (code) nodes.push(element("code", "", /^ .*\S.* $/s.test(code) ? code.slice(1, -1) : code));
    else if (mark) nodes.push(element(TAGS[mark], "", ...inline(marked, depth + 1)));
    else nodes.push(...link(target ?? bare, label, match[0]));
  }
  return [...nodes, text.slice(end)].filter((node) => node !== "");
}

/** A link that opens in a new tab without a referrer. Its target is always visible. */
function link(address, label, source) {
  const node = Object.assign(element("a", "", label ?? address), { href: address, target: "_blank", rel: "noopener noreferrer" });
  if (!node.host) return [source]; // not a valid address
  return label && label !== address ? [node, element("span", "muted", ` (${node.host})`)] : [node];
}

/** Converts text to elements. */
export function render(text, depth = 0) {
  return depth > MAX_DEPTH ? [element("p", "", text)] : blocks(text).map((block) => build(block, depth));
}

/** Shows growing text in `root`. Complete blocks are not replaced, and keep their selection and focus. */
export function growing(root) {
  let known = [];
  return (text) => {
    const found = blocks(text);
    const keys = found.map((block) => JSON.stringify(block));
    let unchanged = 0;
    while (unchanged < keys.length && keys[unchanged] === known[unchanged]) unchanged++;
    while (root.childNodes.length > unchanged) root.lastChild.remove();
    root.append(...found.slice(unchanged).map((block) => build(block, 0)));
    known = keys;
  };
}
