// SPDX-License-Identifier: GPL-2.0
/*
 * state grown: counter per cgroup resets after 1h
 * rule "grow": if grown < 3 then { raise_limit 25%  count grown }
 * rule "kill": kill largest process in subtree
 */
#include "largest_process.h"
#include "raise_limit.h"

#define HOUR	(3600UL * 1000000000UL)
#define TIMES	3

struct grown {
	long count;
	u64 since;
};

struct {
	__uint(type, BPF_MAP_TYPE_CGRP_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct grown);
} counters SEC(".maps");

/* In an RCU section, where the kernel makes it without waiting for memory */
static __always_inline bool grow(struct oom_control *oc)
{
	struct mem_cgroup *m = oc->memcg;
	struct grown *grown;
	struct bounds b;
	u64 now;

	if (!m)
		return false;
	now = bpf_ktime_get_boot_ns();
	bpf_rcu_read_lock();
	grown = bpf_cgrp_storage_get(&counters, m->css.cgroup, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (grown && grown->count > 0 && now - grown->since >= HOUR)
		grown->count = 0;
	if (!grown || grown->count >= TIMES) {
		bpf_rcu_read_unlock();
		return false;
	}
	bpf_rcu_read_unlock();

	b = bounds_of(m);
	if (!raise_by(oc, m, m->memory.max * PAGE_SIZE / 4, b.room, machine_pages()))
		return false;
	bpf_rcu_read_lock();
	grown = bpf_cgrp_storage_get(&counters, m->css.cgroup, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (grown && !grown->count++)
		grown->since = now;
	bpf_rcu_read_unlock();
	return true;
}

SEC("struct_ops.s/handle_out_of_memory")
int BPF_PROG(policy, struct oom_control *oc, struct bpf_struct_ops_link *link)
{
	if (oc->order == ORDER_SYSRQ)
		return 0;
	return grow(oc) || kill_largest_process(oc, "it has grown enough");
}

SEC(".struct_ops.link")
struct bpf_oom_ops ops = {
	.handle_out_of_memory = (void *)policy,
	.name = "grow_then_kill",
};
