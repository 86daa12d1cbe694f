" Colours of oom policies. Made from oom.pest; the test `editors` writes this.
if exists('b:current_syntax')
  finish
endif
syn case match
syn keyword oomClause avoid budget const default label mode never on param pick policy prefer rule state test
syn keyword oomControl else if then
syn keyword oomAction count defer kill notify raise_limit reclaim wait
syn keyword oomOperator and in not of or
syn keyword oomUnit cgroup process
syn keyword oomConstant false true
syn keyword oomModifier all any asc at by children cooldown desc every freed grace growth largest leaves most now oldest rate reason smallest stepwise subtree sum to until up where worst youngest
syn match oomModifier ~\%(\<\%(on\)\_s\+\)\@40<=\<usage\>~
syn match oomModifier ~\%(\<\%(on\)\_s\+\)\@40<=\<swap\>~
syn match oomModifier ~\%(\<\%(on\)\_s\+\)\@40<=\<limit\>~
syn match oomModifier ~\%(\<\%(on\)\_s\+\)\@40<=\<pressure\>~
syn match oomModifier ~\%(\<\%(on\)\_s\+\)\@40<=\<system\>~
syn match oomModifier ~\%(\<\%(on\|system\)\_s\+\)\@40<=\<oom\>~
syn match oomModifier ~\%(\<\%(pressure\)\_s\+\)\@40<=\<some\>~
syn match oomModifier ~\%(\<\%(pressure\)\_s\+\)\@40<=\<full\>~
syn match oomModifier ~\%(\<\%(some\|full\)\_s\+\)\@40<=\<avg10\>~
syn match oomModifier ~\%(\<\%(some\|full\)\_s\+\)\@40<=\<avg60\>~
syn match oomModifier ~\%(\<\%(some\|full\)\_s\+\)\@40<=\<avg300\>~
syn match oomModifier ~\%(\<\%(some\|full\)\_s\+\)\@40<=\<above\>~
syn match oomType ~\%(:\_s*\)\@40<=\<bool\>~
syn match oomType ~\%(:\_s*\)\@40<=\<bytes\>~
syn match oomType ~\%(:\_s*\)\@40<=\<percent\>~
syn match oomType ~\%(:\_s*\)\@40<=\<duration\>~
syn match oomModifier ~\%(:\_s*\)\@40<=\<counter\>~
syn match oomModifier ~\%(\<\%(trust\)\_s\+\)\@40<=\<root\>~
syn match oomModifier ~\%(\<\%(trust\)\_s\+\)\@40<=\<owner\>~
syn match oomModifier ~\<trust\>\%(\_s\+\%(root\|owner\|any\)\>\)\@=~
syn match oomModifier ~\<resets\>\%(\_s\+\%(after\)\>\)\@=~
syn match oomModifier ~\<per\>\%(\_s\+\%(\%(and\|asc\|at\|by\|desc\|else\|in\|now\|of\|or\|reason\|then\|to\|until\|up\|where\)\>\)\@![[:alnum:]_(-]\)\@=~
syn match oomModifier ~\<for\>\%(\_s\+\%(\%(and\|asc\|at\|by\|desc\|else\|in\|now\|of\|or\|reason\|then\|to\|until\|up\|where\)\>\)\@![[:alnum:]_(-]\)\@=~
syn match oomModifier ~\<after\>\%(\_s\+\%(\%(and\|asc\|at\|by\|desc\|else\|in\|now\|of\|or\|reason\|then\|to\|until\|up\|where\)\>\)\@![[:alnum:]_(-]\)\@=~
syn match oomModifier ~\<range\>\%(\_s\+\%(\%(and\|asc\|at\|by\|desc\|else\|in\|now\|of\|or\|reason\|then\|to\|until\|up\|where\)\>\)\@![[:alnum:]_(-]\)\@=~
syn match oomModifier ~\<has\>\%(\_s\+\%(\%(and\|asc\|at\|by\|desc\|else\|in\|now\|of\|or\|reason\|then\|to\|until\|up\|where\)\>\)\@![[:alnum:]_(-]\)\@=~
syn match oomModifier ~\%(\d\_s\+\)\@40<=\<kills\>~
syn match oomModifier ~\%(\<\%(not\)\_s\+\)\@40<=\<asked\>~
syn match oomModifier ~\<given\>\%(\_s*{\)\@=~
syn match oomModifier ~\<expect\>\%(\_s\+\%(candidates\|defer\|freed\|kill\|not\|notify\|raise_limit\|reason\|reclaim\|wait\)\>\)\@=~
syn match oomModifier ~\%(\<\%(kill\)\_s\+\)\@40<=\<nobody\>~
syn match oomModifier ~\%(\<\%(expect\)\_s\+\)\@40<=\<candidates\>\%(\_s*"\)\@=~
syn match oomModifier ~\<max\>\%(\_s\+\h[[:alnum:]_.]*\_s\+of\>\)\@=~
syn match oomModifier ~\<min\>\%(\_s\+\h[[:alnum:]_.]*\_s\+of\>\)\@=~
syn match oomDefinition ~\%(\<\%(const\|label\|mode\|param\|pick\|state\)\_s\+\)\@40<=\h\w*~
syn match oomClause ~\<define\>\%(\_s\+\h\w*\_s*=\)\@=~
syn match oomSign ~[-+*/<>=|]\|!=\|??\|\.\.~
syn match oomMember ~\.\@1<!\.\.\@!\s*\h\w*~
syn match oomNumber ~\<\d\%(\w\|\.\d\)*%\?~
syn match oomString ~"[^"]*\%("\|$\)~
syn match oomComment ~#.*$~
hi def link oomClause Statement
hi def link oomControl Conditional
hi def link oomAction Function
hi def link oomOperator Operator
hi def link oomUnit Structure
hi def link oomConstant Boolean
hi def link oomType Type
hi def link oomModifier Keyword
hi def link oomDefinition Identifier
hi def link oomSign Operator
hi def link oomMember Identifier
hi def link oomNumber Number
hi def link oomString String
hi def link oomComment Comment
let b:current_syntax = 'oom'
