// SPDX-License-Identifier: GPL-2.0
/*
 * label tier: count = 100 trust root
 * kill process in subtree by home.tier asc, footprint
 */
#include "policy.h"

#define DEFAULT_TIER	100

struct label_key {
	u64 cgroup;
	u64 label;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, struct label_key);
	__type(value, long);
	__uint(max_entries, 65536);
} labels SEC(".maps");

struct {
	unsigned long parent;	/* the cgroup whose tier is known: that of everything in it without a label */
	long inherited;
	struct label_key key;
} tiers SEC(".bss.tiers");

static __always_inline long *own_tier(struct cgroup_subsys_state *css)
{
	tiers.key.cgroup = css->cgroup->kn->id;
	return bpf_map_lookup_elem(&labels, &tiers.key);
}

/* Once per parent: its children come one after the other */
static __noinline long inherited_tier(struct mem_cgroup *memcg)
{
	struct cgroup_subsys_state *css;
	long *tier, found = DEFAULT_TIER;

	bpf_for_each(css, css, &memcg->css, BPF_CGROUP_ITER_ANCESTORS_UP) {
		tier = own_tier(css);
		if (tier) {
			found = *tier;
			break;
		}
	}
	return found;
}

static __always_inline long tier_of(struct cgroup_subsys_state *css, struct mem_cgroup *memcg)
{
	unsigned long parent = (unsigned long)css->parent;
	long *tier = own_tier(css);

	if (tier)
		return *tier;
	if (parent != tiers.parent) {
		tiers.parent = parent;
		tiers.inherited = inherited_tier(memcg);
	}
	return tiers.inherited;
}

SEC("struct_ops.s/handle_out_of_memory")
int BPF_PROG(policy, struct oom_control *oc, struct bpf_struct_ops_link *link)
{
	long size, tier, max = NOTHING, lowest = -NOTHING;
	struct task_struct *t, *best = NULL, *old;
	struct cgroup_subsys_state *css;
	struct mem_cgroup *root, *memcg;
	struct signal_struct *signal;
	struct cgroup *cgrp;
	bool found;
	int err;

	if (oc->order == ORDER_SYSRQ)
		return 0;
	root = oom_root(oc);
	if (!root)
		return 0;
	begin_flight();
	tiers.parent = 0;
	bpf_rcu_read_lock();
	bpf_for_each(css, css, &root->css, BPF_CGROUP_ITER_DESCENDANTS_PRE) {
		cgrp = css->cgroup;
		if (is_empty(cgrp))
			continue;
		note_hidden_leaders(cgrp);
		memcg = bpf_get_mem_cgroup(css);
		if (!memcg)
			continue;
		tier = tier_of(css, memcg);
		if (!FULL && tier > lowest) {
			bpf_put_mem_cgroup(memcg);
			continue;
		}
		bpf_for_each(css_task, t, &memcg->css, CSS_TASK_ITER_PROCS) {
			signal = t->signal;
			if (FULL && unlikely(leaving(t, signal))) {
				note_leaving();
				if (gone(signal))
					continue;
			}
			if (tier > lowest)
				continue;
			size = footprint(t);
			if (tier == lowest && !beats(size, t, max, best))
				continue;
			if (unkillable(t, signal) || (!FULL && leaving(t, signal)))
				continue;
			t = bpf_task_acquire(t);
			if (!t)
				continue;
			max = size;
			lowest = tier;
			old = best;
			best = t;
			if (old)
				bpf_task_release(old);
		}
		found = in_flight(memcg);
		bpf_put_mem_cgroup(memcg);
		if (found)
			break;
	}
	bpf_rcu_read_unlock();
	bpf_put_mem_cgroup(root);
	err = wait_for_victim(oc);
	if (unlikely(err != NOBODY)) {
		if (best)
			bpf_task_release(best);
		return err == WAITING;
	}
	if (!best)
		return 0;
	err = bpf_oom_kill_process(oc, best, "lowest tier");
	bpf_task_release(best);
	return !err;
}

SEC(".struct_ops.link")
struct bpf_oom_ops ops = {
	.handle_out_of_memory = (void *)policy,
	.name = "tiers",
};
