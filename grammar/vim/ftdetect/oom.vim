" Policies of oomc, and their tests.
autocmd BufRead,BufNewFile *.oom,*.oomt setfiletype oom
