// Colours of policies in the book. Made from oom.pest; the test `editors` writes this.
'use strict'

var hljs = (() => {
  // An expression, and of each part that it reads the scope and the class.
  const rows = [
    ["#.*$",{"0":["comment.line.number-sign.oom","hljs-comment"]}],
    ["\"[^\"]*(?:\"|$)",{"0":["string.quoted.double.oom","hljs-string"]}],
    ["\\b[0-9](?:[A-Za-z0-9_]|\\.[0-9])*%?",{"0":["constant.numeric.oom","hljs-number"]}],
    ["(?<!\\.)\\.(?!\\.)\\s*([A-Za-z_]\\w*)",{"1":["variable.other.member.oom",""]}],
    ["\\b(const|label|mode|param|pick|state)\\s+([A-Za-z_]\\w*)",{"1":["keyword.declaration.oom","hljs-keyword"],"2":["variable.other.definition.oom","hljs-title"]}],
    ["\\b(define)\\s+([A-Za-z_]\\w*)(?=\\s*=(?!=))",{"1":["keyword.declaration.oom","hljs-keyword"],"2":["variable.other.definition.oom","hljs-title"]}],
    ["(?<=\\b(?:on)\\s+)\\busage\\b",{"0":["keyword.other.oom","hljs-keyword"]}],
    ["(?<=\\b(?:on)\\s+)\\bswap\\b",{"0":["keyword.other.oom","hljs-keyword"]}],
    ["(?<=\\b(?:on)\\s+)\\blimit\\b",{"0":["keyword.other.oom","hljs-keyword"]}],
    ["(?<=\\b(?:on)\\s+)\\bpressure\\b",{"0":["keyword.other.oom","hljs-keyword"]}],
    ["(?<=\\b(?:on)\\s+)\\bsystem\\b",{"0":["keyword.other.oom","hljs-keyword"]}],
    ["(?<=\\b(?:on|system)\\s+)\\boom\\b",{"0":["keyword.other.oom","hljs-keyword"]}],
    ["(?<=\\b(?:pressure)\\s+)\\bsome\\b",{"0":["keyword.other.oom","hljs-keyword"]}],
    ["(?<=\\b(?:pressure)\\s+)\\bfull\\b",{"0":["keyword.other.oom","hljs-keyword"]}],
    ["(?<=\\b(?:some|full)\\s+)\\bavg10\\b",{"0":["keyword.other.oom","hljs-keyword"]}],
    ["(?<=\\b(?:some|full)\\s+)\\bavg60\\b",{"0":["keyword.other.oom","hljs-keyword"]}],
    ["(?<=\\b(?:some|full)\\s+)\\bavg300\\b",{"0":["keyword.other.oom","hljs-keyword"]}],
    ["(?<=\\b(?:some|full)\\s+)\\babove\\b",{"0":["keyword.other.oom","hljs-keyword"]}],
    ["(?<=:\\s*)\\bbool\\b",{"0":["support.type.oom","hljs-type"]}],
    ["(?<=:\\s*)\\bbytes\\b",{"0":["support.type.oom","hljs-type"]}],
    ["(?<=:\\s*)\\bpercent\\b",{"0":["support.type.oom","hljs-type"]}],
    ["(?<=:\\s*)\\bduration\\b",{"0":["support.type.oom","hljs-type"]}],
    ["(?<=:\\s*)\\bcounter\\b",{"0":["keyword.other.oom","hljs-keyword"]}],
    ["(?<=\\b(?:trust)\\s+)\\broot\\b",{"0":["keyword.other.oom","hljs-keyword"]}],
    ["(?<=\\b(?:trust)\\s+)\\bowner\\b",{"0":["keyword.other.oom","hljs-keyword"]}],
    ["(?<!\\.)\\btrust\\b(?=\\s+(?:root|owner|any)\\b)",{"0":["keyword.other.oom","hljs-keyword"]}],
    ["(?<!\\.)\\bresets\\b(?=\\s+(?:after)\\b)",{"0":["keyword.other.oom","hljs-keyword"]}],
    ["(?<!\\.)\\bper\\b(?=\\s+(?!(?:and|asc|at|by|desc|else|in|now|of|or|reason|then|to|until|up|where)\\b)[A-Za-z0-9_(-])",{"0":["keyword.other.oom","hljs-keyword"]}],
    ["(?<!\\.)\\bfor\\b(?=\\s+(?!(?:and|asc|at|by|desc|else|in|now|of|or|reason|then|to|until|up|where)\\b)[A-Za-z0-9_(-])",{"0":["keyword.other.oom","hljs-keyword"]}],
    ["(?<!\\.)\\bafter\\b(?=\\s+(?!(?:and|asc|at|by|desc|else|in|now|of|or|reason|then|to|until|up|where)\\b)[A-Za-z0-9_(-])",{"0":["keyword.other.oom","hljs-keyword"]}],
    ["(?<!\\.)\\brange\\b(?=\\s+(?!(?:and|asc|at|by|desc|else|in|now|of|or|reason|then|to|until|up|where)\\b)[A-Za-z0-9_(-])",{"0":["keyword.other.oom","hljs-keyword"]}],
    ["(?<!\\.)\\bhas\\b(?=\\s+(?!(?:and|asc|at|by|desc|else|in|now|of|or|reason|then|to|until|up|where)\\b)[A-Za-z0-9_(-])",{"0":["keyword.other.oom","hljs-keyword"]}],
    ["(?<=[0-9]\\s+)\\bkills\\b",{"0":["keyword.other.oom","hljs-keyword"]}],
    ["(?<=\\b(?:not)\\s+)\\basked\\b",{"0":["keyword.other.oom","hljs-keyword"]}],
    ["(?<!\\.)\\bgiven\\b(?=\\s*\\{)",{"0":["keyword.other.oom","hljs-keyword"]}],
    ["(?<!\\.)\\bexpect\\b(?=\\s+(?:candidates|defer|freed|kill|not|notify|raise_limit|reason|reclaim|wait)\\b)",{"0":["keyword.other.oom","hljs-keyword"]}],
    ["(?<=\\b(?:kill)\\s+)\\bnobody\\b",{"0":["keyword.other.oom","hljs-keyword"]}],
    ["(?<=\\b(?:expect)\\s+)\\bcandidates\\b(?=\\s*\")",{"0":["keyword.other.oom","hljs-keyword"]}],
    ["(?<!\\.)\\bmax\\b(?=\\s+[A-Za-z_][\\w.]*\\s+of\\b)",{"0":["keyword.other.oom","hljs-keyword"]}],
    ["(?<!\\.)\\bmin\\b(?=\\s+[A-Za-z_][\\w.]*\\s+of\\b)",{"0":["keyword.other.oom","hljs-keyword"]}],
    ["\\b(?:avoid|budget|const|default|label|mode|never|on|param|pick|policy|prefer|rule|state|test)\\b",{"0":["keyword.declaration.oom","hljs-keyword"]}],
    ["\\b(?:else|if|then)\\b",{"0":["keyword.control.oom","hljs-keyword"]}],
    ["\\b(?:count|defer|kill|notify|raise_limit|reclaim|wait)\\b",{"0":["keyword.action.oom","hljs-keyword"]}],
    ["\\b(?:and|in|not|of|or)\\b",{"0":["keyword.operator.word.oom","hljs-keyword"]}],
    ["\\b(?:cgroup|process)\\b",{"0":["support.class.oom","hljs-type"]}],
    ["\\b(?:false|true)\\b",{"0":["constant.language.oom","hljs-literal"]}],
    ["\\b(?:all|any|asc|at|by|children|cooldown|desc|every|freed|grace|growth|largest|leaves|most|now|oldest|rate|reason|smallest|stepwise|subtree|sum|to|until|up|where|worst|youngest)\\b",{"0":["keyword.other.oom","hljs-keyword"]}],
    ["==|!=|<=|>=|\\?\\?|\\.\\.|[-+*/<>=|]",{"0":["keyword.operator.oom",""]}],
    ["\\b[A-Za-z_]\\w*",{"0":["variable.other.oom",""]}],
  ].map(([expression, parts]) => [new RegExp(expression, 'dy'), Object.entries(parts)])

  // Pieces of a line that have a scope: beginning, end, scope, class.
  function pieces(line) {
    const found = []
    let at = 0
    while (at < line.length) {
      let end = at + 1
      for (const [expression, parts] of rows) {
        expression.lastIndex = at
        const read = expression.exec(line)
        if (!read || expression.lastIndex === at) continue
        for (const [part, [scope, name]] of parts) found.push([...read.indices[part], scope, name])
        end = expression.lastIndex
        break
      }
      at = end
    }
    return found
  }

  function coloured(line) {
    const out = document.createDocumentFragment()
    let done = 0
    for (const [start, end, , name] of pieces(line)) {
      out.append(line.slice(done, start))
      const piece = document.createElement('span')
      piece.className = name
      piece.append(line.slice(start, end))
      out.append(name ? piece : piece.textContent)
      done = end
    }
    out.append(line.slice(done))
    return out
  }

  return {
    configure() {},
    highlightBlock(block) {
      if (!block.classList.contains('language-oom')) return
      const lines = block.textContent.split('\n')
      block.replaceChildren(...lines.flatMap((line, at) => (at ? ['\n', coloured(line)] : [coloured(line)])))
    },
    pieces,
  }
})()
