// SPDX-License-Identifier: GPL-2.0
/*
 * never kill process where comm in ["sshd", "systemd", "containerd"]
 * kill largest cgroup in leaves of cgroup by unreclaimable
 */
#include "policy.h"

/* Letter by letter: nearly every name differs in its first ones */
#define same(t, i, c)	((t)->comm[i] == (c))

static __always_inline bool is_sshd(struct task_struct *t)
{
	return same(t, 1, 's') && same(t, 2, 'h') && same(t, 3, 'd') && !t->comm[4];
}

static __always_inline bool is_systemd(struct task_struct *t)
{
	return same(t, 1, 'y') && same(t, 2, 's') && same(t, 3, 't') && same(t, 4, 'e') && same(t, 5, 'm') &&
	       same(t, 6, 'd') && !t->comm[7];
}

static __always_inline bool is_containerd(struct task_struct *t)
{
	return same(t, 1, 'o') && same(t, 2, 'n') && same(t, 3, 't') && same(t, 4, 'a') && same(t, 5, 'i') &&
	       same(t, 6, 'n') && same(t, 7, 'e') && same(t, 8, 'r') && same(t, 9, 'd') && !t->comm[10];
}

static __always_inline bool spares(struct task_struct *t)
{
	switch (t->comm[0]) {
	case 's':
		return is_sshd(t) || is_systemd(t);
	case 'c':
		return is_containerd(t);
	}
	return false;
}

#define number_of(memcg, usage)	unreclaimable_of(memcg)
#define NUMBER_IS_UNRECLAIMABLE
#define wants(t)		true
#include "leaf.h"

SEC("struct_ops.s/handle_out_of_memory")
int BPF_PROG(policy, struct oom_control *oc, struct bpf_struct_ops_link *link)
{
	if (oc->order == ORDER_SYSRQ)
		return 0;
	return kill_largest_leaf(oc, "whole workload");
}

SEC(".struct_ops.link")
struct bpf_oom_ops ops = {
	.handle_out_of_memory = (void *)policy,
	.name = "whole_workload",
};
