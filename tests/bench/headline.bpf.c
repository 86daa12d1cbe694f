// SPDX-License-Identifier: GPL-2.0
/* if cgroup.usage > 90% then raise_limit 10% else kill largest in subtree */
#include "largest_process.h"
#include "raise_limit.h"

static __always_inline bool raise_limit(struct oom_control *oc)
{
	unsigned long machine, limit;
	struct mem_cgroup *m;
	struct bounds b;

	/* The root has no limit to raise */
	m = oc->memcg;
	if (!m)
		return false;
	b = bounds_of(m);
	machine = machine_pages();
	limit = machine && machine < b.limit ? machine : b.limit;
	if (limit >= PAGE_COUNTER_MAX || (unsigned long)m->memory.usage.counter * 10 <= limit * 9)
		return false;
	return raise_by(oc, m, m->memory.max * PAGE_SIZE / 10, b.room, machine);
}

SEC("struct_ops.s/handle_out_of_memory")
int BPF_PROG(policy, struct oom_control *oc, struct bpf_struct_ops_link *link)
{
	if (oc->order == ORDER_SYSRQ)
		return 0;
	return raise_limit(oc) || kill_largest_process(oc, "the limit cannot be raised");
}

SEC(".struct_ops.link")
struct bpf_oom_ops ops = {
	.handle_out_of_memory = (void *)policy,
	.name = "headline",
};
