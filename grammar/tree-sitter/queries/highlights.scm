; Made from ../oom.pest: the test `editors` writes this.
; Of two that match, the later one holds.

(comment) @comment
(string) @string
(number) @number
(name) @variable
(segment) @property

[
  "budget"
  "const"
  "default"
  "define"
  "label"
  "mode"
  "never"
  "on"
  "param"
  "pick"
  "policy"
  "rule"
  "state"
  "test"
] @keyword

[
  "else"
  "if"
  "then"
] @keyword.conditional

[
  "count"
  "kill"
  "notify"
  "raise_limit"
  "reclaim"
] @keyword.function

[
  "and"
  "in"
  "not"
  "of"
  "or"
] @keyword.operator

[
  "above"
  "after"
  "asked"
  "at"
  "by"
  "candidates"
  "children"
  "cooldown"
  "counter"
  "expect"
  "for"
  "freed"
  "given"
  "grace"
  "growth"
  "has"
  "in"
  "kills"
  "leaves"
  "most"
  "nobody"
  "oom"
  "per"
  "pressure"
  "range"
  "rate"
  "reason"
  "resets"
  "swap"
  "to"
  "trust"
  "until"
  "up"
  "usage"
  "where"
] @keyword.modifier

(class _ @keyword)
(wait) @keyword.function
(defer) @keyword.function
(unit _ @type.builtin)
(anchor) @type.builtin
(boolean _ @boolean)
(type_name _ @type)
(now) @keyword.modifier
(stepwise) @keyword.modifier
(rank _ @keyword.modifier)
(direction _ @keyword.modifier)
(truster _ @keyword.modifier)
(stall _ @keyword.modifier)
(average _ @keyword.modifier)
(usage) @keyword.modifier
(swap) @keyword.modifier
(limit) @keyword.modifier
(system) @keyword.modifier
(subtree) @keyword.modifier
(fold _ @keyword.modifier)
(quant _ @keyword.modifier)

[
  "!="
  "*"
  "+"
  "-"
  "/"
  "<"
  "<="
  "="
  "=="
  ">"
  ">="
  "??"
] @operator
(binary operator: "or" @keyword.operator)
(binary operator: "and" @keyword.operator)
(unary operator: "not" @keyword.operator)
(binary operator: "in" @keyword.operator)
(binary operator: "of" @keyword.operator)
