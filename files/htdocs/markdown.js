// Converts a model's Markdown to elements, with createElement and text nodes only, so HTML in an answer stays text.

import { button, copy, element } from "./dom.js";

const FENCE = /^ {0,3}(`{3,}|~{3,})\s*([^\s`]*)[^`]*$/;
const HEADING = /^ {0,3}(#{1,6})\s+(.*?)\s*#*\s*$/;
const RULE = /^ {0,3}([-*_])(\s*\1){2,}\s*$/;
const QUOTE = /^ {0,3}> ?/;
const ITEM = /^(\s*)([-*+]|\d{1,9}[.)])(\s+|$)/;
const MATH = /^ {0,3}(?:(\$\$)|\\\[)\s*$/;
const STARTS = [FENCE, HEADING, RULE, QUOTE, ITEM, MATH];
// A line below a title: models also write --- below a sentence, and mean a rule.
const UNDERLINE = /^ {0,3}(?:(=+)|-{2,})\s*$/;
const TITLE = /^ {0,3}\S.{0,78}[^\s.,:;!?]\s*$/;
const DELIMITERS = /^ {0,3}\|?\s*:?-+:?\s*(?:\|\s*:?-+:?\s*)*\|?\s*$/;
const TASK = /^\[([ xX])\]\s+/;
// Children that are laid out together, and lines of a paragraph: the work for each addition must not grow with the answer.
const PART = 16;
const MAX_DEPTH = 6; // a model may nest without limit

const begins = (line) => STARTS.some((pattern) => pattern.test(line));

const isRow = (line) => line.includes("|") && !begins(line);

/**
 * Splits text into blocks, {kind, lines, from, …}, in order; `from` is the index of the block's first line. With `resumed`,
 * a list or table, the lines begin in it. Appended text changes the last blocks only.
 */
function blocks(lines, resumed) {
  const found = [];
  let at = 0;
  const take = (continues) => {
    const from = at;
    for (at++; at < lines.length && continues(lines[at]); at++);
    return lines.slice(from, at);
  };
  while (at < lines.length) {
    const line = lines[at];
    const from = at;
    const add = (kind, body, rest) => found.push({ kind, lines: body, from, ...rest });
    let match;
    const { kind, indent: known, start, columns } = (!at && resumed) || {};
    if (kind === "table") {
      add(kind, take(isRow), { columns });
    } else if (!line.trim()) {
      at++;
    } else if ((match = FENCE.exec(line))) {
      const [, fence, language] = match;
      const body = take((one) => !one.trim().startsWith(fence) || one.trim().replaceAll(fence[0], "")).slice(1);
      at++;
      add("code", body, { language });
    } else if ((match = MATH.exec(line))) {
      const end = match[1] ? "$$" : "\\]";
      const body = take((one) => one.trim() !== end).slice(1);
      at++;
      add("code", body, { language: "math" });
    } else if ((match = HEADING.exec(line))) {
      at++;
      add(`h${Math.min(6, match[1].length + 2)}`, [match[2]]);
    } else if (RULE.test(line)) {
      at++;
      add("hr", []);
    } else if (QUOTE.test(line)) {
      add("blockquote", take((one) => QUOTE.test(one)).map((one) => one.replace(QUOTE, "")));
    } else if ((match = ITEM.exec(line))) {
      const indent = known ?? match[1].length + 1;
      const ordered = /\d/.test(match[2]);
      // A list continues after blank lines if the next line is indented or is its next item.
      const members = take((one) => {
        const blank = !one.trim();
        const next = blank ? (lines[at + 1] ?? "") : one;
        const item = ITEM.exec(next);
        if (item && item[1].length <= indent) return /\d/.test(item[2]) === ordered && !RULE.test(next);
        return /^\s/.test(next) || (!blank && lines[at - 1].trim() && !begins(one));
      });
      add(ordered ? "ol" : "ul", members, { start: start ?? parseInt(match[2], 10), indent });
    } else {
      const more = found.at(-1)?.kind === "p" && Boolean(lines[from - 1].trim());
      const isTitle = !more && TITLE.test(line);
      const body = take((one) => one.trim() && !begins(one) && at - from < PART && !(at === from + 1 && isTitle && UNDERLINE.test(one)) && !isTable(lines, at - 1));
      if (body.length === 1 && isTitle && (match = UNDERLINE.exec(lines[at] ?? ""))) {
        at++;
        add(match[1] ? "h3" : "h4", [line.trim()]);
      } else if (isTable(lines, at - 1)) {
        at--;
        body.pop();
        if (body.length) add("p", body, { more });
        const head = at;
        found.push({ kind: "table", lines: take(isRow), from: head, columns: cells(lines[head + 1]) });
      } else {
        add("p", body, { more });
      }
    }
  }
  return found;
}

/** The cells of a table's line; an escaped | is kept as \0 until they are split. */
const cells = (line) => line.trim().replaceAll("\\|", "\0").replace(/^\||\|$/g, "").split("|").map((cell) => cell.trim().replaceAll("\0", "|"));

/** Whether the line at `at` is the head of a table: the next one has as many columns of dashes. */
function isTable(lines, at) {
  const [head, next] = [lines[at] ?? "", lines[at + 1] ?? ""];
  return head.includes("|") && next.includes("|") && DELIMITERS.test(next) && cells(head).length === cells(next).length;
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

// Views of blocks: {key, node, update(block), settle(block, end)}. A view is replaced when its key changes. `settle`, of lists and
// tables, returns how many of the block's lines before `end` are complete, if any: `update` gets the block without them from then on.

const keyOf = ({ kind, language, start, columns }) => [kind, language, start > 1 ? start : "", columns].join();

/**
 * An element with text that people or models write, in its own direction. Not within another one: browsers determine a
 * direction without the parts that have their own.
 */
const written = (tag, ...children) => Object.assign(element(tag, "", ...children), { dir: "auto" });

function flow({ kind, more }, depth) {
  const node = kind === "hr" || depth ? element(kind) : written(kind);
  if (more) node.className = "more";
  let shown = "";
  return {
    node,
    update({ lines }) {
      const text = lines.join("\n");
      const last = node.lastChild;
      const added = text.slice(shown.length);
      // Words after words, the usual case, are appended; everything else may change the nodes before it.
      const plain = last?.nodeType === Node.TEXT_NODE && text.startsWith(shown) && /^[\p{L}\p{N} ,.;'"\n-]*$/u.test(added) && /[\p{L}\p{N} ,.;\n]$/u.test(shown);
      if (plain && !/(?:\\\S*|https?:\S*)$/.test(shown.slice(-2000))) last.appendData(added);
      else if (text !== shown) node.replaceChildren(...inline(text));
      shown = text;
    },
  };
}

function code({ language }) {
  const text = document.createTextNode("");
  const bar = element("div", "muted", language || "text", button("Copy", (pressed) => copy(text.data, pressed), "small tool"));
  const box = element("pre", "", element("code", "", text));
  box.tabIndex = 0; // lets the keyboard scroll wide code
  return { node: element("div", "code", bar, box), update: ({ lines }) => extend(text, lines.join("\n")) };
}

/** Sets a text node's text; if it has only grown, the beginning is not touched. */
export function extend(node, text) {
  if (text.startsWith(node.data)) node.appendData(text.slice(node.data.length));
  else node.data = text;
}

/**
 * Puts a child at a position, in place of the one that is there. All but the first PART children are grouped, PART in each
 * group: the browser skips the groups that are out of view.
 */
function put(parent, at, child) {
  let group = parent;
  if (at >= PART) {
    const index = PART - 1 + Math.floor(at / PART);
    group = parent.childNodes[index] ?? parent.appendChild(Object.assign(element("div", "part"), { role: "none" }));
    at %= PART;
  }
  const old = group.childNodes[at];
  if (old) old.replaceWith(child);
  else group.append(child);
}

/** Removes a child that `put` placed. */
function takeOut(child) {
  const group = child.parentNode;
  child.remove();
  if (group.className === "part" && !group.hasChildNodes()) group.remove();
}

function quote(_, depth) {
  const node = Object.assign(depth ? element("blockquote") : written("blockquote"), { className: "muted" });
  const grow = growing(node, depth + 1);
  return { node, update: ({ lines }) => grow(lines.join("\n")) };
}

function list({ kind, start }, depth) {
  const node = element(kind);
  if (start > 1) node.start = start;
  const shown = []; // {text, task, item, grow} of each item that may still change
  let complete = 0; // how many are before them
  return {
    node,
    settle({ lines, indent }, end) {
      const isItem = (line) => (ITEM.exec(line)?.[1].length ?? Infinity) <= indent;
      const last = lines.slice(0, end).findLastIndex(isItem);
      const count = lines.slice(0, last).filter(isItem).length;
      shown.splice(0, count);
      complete += count;
      return last;
    },
    update({ lines, indent }) {
      const texts = items(lines, indent);
      // What began as an item can become a rule.
      for (const { item } of shown.splice(texts.length)) takeOut(item);
      texts.forEach((text, at) => {
        if (shown[at]?.text === text) return;
        const index = complete + at;
        const task = TASK.exec(text);
        if (!shown[at] || shown[at].task !== task?.[1]) {
          const item = written("li");
          if (task) {
            const box = Object.assign(element("input"), { type: "checkbox", disabled: true, checked: task[1] !== " " });
            item.append(box);
            item.className = "task";
          }
          put(node, index, item);
          if (index && index % PART === 0) {
            node.role = "list"; // also of the items in groups
            // Containment can make a browser count each group on its own.
            if (kind === "ol") item.value = start + index;
          }
          shown[at] = { task: task?.[1], item, grow: growing(item, depth + 1) };
        }
        shown[at].text = text;
        shown[at].grow(task ? text.slice(task[0].length) : text);
      });
    },
  };
}

function table({ columns }) {
  const [head, body] = [element("thead"), element("tbody")];
  const node = element("div", "table", element("table", "", head, body));
  node.tabIndex = 0; // lets the keyboard scroll a wide table
  const alignments = columns.map((dashes) => (dashes.endsWith(":") ? (dashes.startsWith(":") ? "center" : "end") : ""));
  const shown = []; // {line, row} of each line that may still change
  let complete = 0; // how many are before them
  return {
    node,
    settle({ lines }, end) {
      const count = Math.min(end, lines.length - 1);
      shown.splice(0, count);
      complete += count;
      return count;
    },
    update({ lines }) {
      lines.forEach((line, at) => {
        if (complete + at === 1 || shown[at]?.line === line) return;
        const texts = cells(line);
        const row = element("tr");
        for (let column = 0; column < columns.length; column++) {
          const cell = written(complete + at ? "td" : "th", ...inline(texts[column] ?? ""));
          if (alignments[column]) cell.className = alignments[column];
          row.append(cell);
        }
        if (shown[at]) shown[at].row.replaceWith(row);
        else (complete + at ? body : head).append(row);
        shown[at] = { line, row };
      });
    },
  };
}

const VIEWS = { code, blockquote: quote, ol: list, ul: list, table };

const TAGS = { "***": "strong", "**": "strong", __: "strong", "~~": "del", "*": "em", _: "em" };
// Formulas stay as they were written; no page of ours could typeset them without a large library.
const FORMULA = /\\\((?:.{1,2000}?)\\\)|\\\[(?:.{1,2000}?)\\\]|\$\$[^$]{1,2000}\$\$/.source;
// A word with a backslash before a letter or digit is a path, a regular expression or a command.
const PATH = /(?![*_~[(])[^\s`]{0,200}?\\[\p{L}\p{N}][^\s`]*/u.source;
// Without lookbehind, with which Safari before 16.4 would not parse this file at all.
const INLINE = new RegExp(
  [
    /(?<ticks>`+)(?<code>[^`](?:.{0,2000}?[^`])?)\k<ticks>(?!`)/,
    `(?<math>${FORMULA})`,
    `(?<before>^|[\\s("'])(?!${FORMULA})(?<literal>${PATH})`,
    /\\(?<escaped>[\\`{}[\]()#+\-.!|>$]|[*_~]+)/,
    // Also in **bold**text, as models write it.
    /\*\*(?![\s*_])(?<strong>(?:.{0,2000}?[^\s*_])??)\*\*(?!\*)/,
    /(?<mark>\*{1,3}|__?|~~)(?![\s*_])(?<marked>(?:.{0,2000}?[^\s*_])??)\k<mark>(?![\w*])/,
    /\[(?<label>[^[\]]{1,500})\]\((?<target>https?:\/\/[^\s()<>]{1,1500}(?:\([^\s()<>]{0,200}\)[^\s()<>]{0,500})?)\)/,
    /(?<bare>https?:\/\/[^\s<>"'`*|]{0,1500}[^\s<>"'`*|.,;:!?)\]])/,
    // Emphasis does not begin within a word, or after other marks.
    /(?<plain>[\w*_~][*_~]+)/,
  ].map((part) => part.source ?? part).join("|"),
  "gsu",
);

/** Converts emphasis, code and links to nodes. */
function inline(text, depth = 0) {
  const nodes = [];
  let end = 0;
  for (const match of depth > MAX_DEPTH ? [] : text.matchAll(INLINE)) {
    const { escaped, code: shown, math, before, literal, strong, mark, marked, label, target, bare, plain } = match.groups;
    if (plain) continue;
    nodes.push(text.slice(end, match.index));
    end = match.index + match[0].length;
    if (escaped) nodes.push(escaped);
    else if (literal) nodes.push(before + literal);
    else if (math) nodes.push(element("code", "", math));
    else if (shown) nodes.push(element("code", "", /^ .*\S.* $/s.test(shown) ? shown.slice(1, -1) : shown));
    else if (mark || strong) nodes.push(element(mark ? TAGS[mark] : "strong", "", ...inline(marked ?? strong, depth + 1)));
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
export function render(text) {
  const root = element("div");
  growing(root)(text);
  return [...root.childNodes];
}

/**
 * Shows growing text at the end of `root`. Complete blocks are neither parsed again nor touched, so they keep their
 * selection and focus, and the work for each addition depends on the last block only.
 */
export function growing(root, depth = 0) {
  const offset = root.childNodes.length; // of a task's box
  let views = []; // of the blocks that may still change
  let shown = "";
  let base = 0; // where the first of them begins
  let settled = offset; // its position
  let resumed = null; // that block, if it begins before `base`
  return (text) => {
    if (text === shown) return;
    if (!text.startsWith(shown)) {
      // Another text: start over.
      for (const node of [...root.childNodes].slice(offset)) node.remove();
      views = [];
      base = 0;
      settled = offset;
      resumed = null;
    }
    shown = text;
    const lines = text.slice(base).split("\n");
    const found = depth > MAX_DEPTH ? [{ kind: "p", lines, from: 0 }] : blocks(lines, resumed);
    found.forEach((block, at) => {
      if (views[at]?.key !== keyOf(block)) {
        for (const { node } of views.splice(at)) takeOut(node);
        const view = (VIEWS[block.kind] ?? flow)(block, depth);
        view.key = keyOf(block);
        views.push(view);
        put(root, settled + at, view.node);
      }
      views[at].update(block);
    });
    for (const { node } of views.splice(found.length)) takeOut(node);
    // The beginning of the next block, item or row is certain once two lines follow it.
    const end = lines.length - 3;
    const certain = Math.max(0, found.findLastIndex(({ from }) => from < end));
    views.splice(0, certain);
    settled += certain;
    const first = found[certain];
    if (!(first?.from < end)) return;
    const count = views[0].settle?.(first, end - first.from) ?? 0;
    if (certain || count) resumed = count ? first : null;
    base += lines.slice(0, first.from + count).reduce((sum, line) => sum + line.length + 1, 0);
  };
}
