// SPDX-License-Identifier: GPL-2.0
/* kill largest cgroup in leaves of cgroup where (any process in it where comm == "batch-*") */
#include "policy.h"

/* Letter by letter: nearly every name differs in its first ones */
static __always_inline bool wants(struct task_struct *t)
{
	return t->comm[0] == 'b' && t->comm[1] == 'a' && t->comm[2] == 't' && t->comm[3] == 'c' &&
	       t->comm[4] == 'h' && t->comm[5] == '-';
}

#define number_of(memcg, usage)	(usage)
#define spares(t)		false
#include "leaf.h"

SEC("struct_ops.s/handle_out_of_memory")
int BPF_PROG(policy, struct oom_control *oc, struct bpf_struct_ops_link *link)
{
	if (oc->order == ORDER_SYSRQ)
		return 0;
	return kill_largest_leaf(oc, "batch work");
}

SEC(".struct_ops.link")
struct bpf_oom_ops ops = {
	.handle_out_of_memory = (void *)policy,
	.name = "quantifier",
};
