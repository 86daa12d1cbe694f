// SPDX-License-Identifier: GPL-2.0
/* kill largest process in subtree until freed 64MiB at most 4 */
#include "policy.h"

#define MOST	4
#define ENOUGH	((64L << 20) >> PAGE_SHIFT)

struct entry {
	long size;
	u64 start;
	long pid;
};

/* The best so far, the best one first; no references, so nothing has to be released */
struct {
	struct entry at[MOST];
} top SEC(".bss.top");

static __always_inline bool before(const struct entry *a, const struct entry *b)
{
	if (a->size != b->size || !FULL)
		return a->size > b->size;
	return a->start > b->start || (a->start == b->start && a->pid > b->pid);
}

static __always_inline void insert(const struct entry *new)
{
	int i;

#pragma unroll
	for (i = MOST - 1; i > 0; i--) {
		if (!before(new, &top.at[i - 1]))
			break;
		top.at[i] = top.at[i - 1];
	}
	top.at[i] = *new;
}

SEC("struct_ops.s/handle_out_of_memory")
int BPF_PROG(policy, struct oom_control *oc, struct bpf_struct_ops_link *link)
{
	struct cgroup_subsys_state *css;
	struct mem_cgroup *root, *memcg;
	struct signal_struct *signal;
	bool found;
	struct task_struct *t;
	struct cgroup *cgrp;
	struct entry new;
	long freed = 0;
	int err, i, ret = 0;

	if (oc->order == ORDER_SYSRQ)
		return 0;
	root = oom_root(oc);
	if (!root)
		return 0;
	begin_flight();
	for (i = 0; i < MOST; i++)
		top.at[i].size = NOTHING;
	bpf_rcu_read_lock();
	bpf_for_each(css, css, &root->css, BPF_CGROUP_ITER_DESCENDANTS_PRE) {
		cgrp = css->cgroup;
		if (is_empty(cgrp))
			continue;
		note_hidden_leaders(cgrp);
		memcg = bpf_get_mem_cgroup(css);
		if (!memcg)
			continue;
		bpf_for_each(css_task, t, &memcg->css, CSS_TASK_ITER_PROCS) {
			signal = t->signal;
			if (FULL && unlikely(leaving(t, signal))) {
				note_leaving();
				if (gone(signal))
					continue;
			}
			new.size = footprint(t);
			if (new.size < top.at[MOST - 1].size)
				continue;
			new.start = t->start_boottime;
			new.pid = t->tgid;
			if (!before(&new, &top.at[MOST - 1]) || unkillable(t, signal))
				continue;
			if (!FULL && leaving(t, signal))
				continue;
			insert(&new);
		}
		found = in_flight(memcg);
		bpf_put_mem_cgroup(memcg);
		if (found)
			break;
	}
	bpf_rcu_read_unlock();
	bpf_put_mem_cgroup(root);
	err = wait_for_victim(oc);
	if (unlikely(err != NOBODY))
		return err == WAITING;
	for (i = 0; i < MOST && freed < ENOUGH && top.at[i].size != NOTHING; i++) {
		t = bpf_task_from_pid(top.at[i].pid);
		if (!t)
			continue;
		/* The number may have been given to another one meanwhile */
		if (t->start_boottime == top.at[i].start && !bpf_oom_kill_process(oc, t, "until enough is freed")) {
			freed += top.at[i].size;
			ret = 1;
		}
		bpf_task_release(t);
	}
	return ret;
}

SEC(".struct_ops.link")
struct bpf_oom_ops ops = {
	.handle_out_of_memory = (void *)policy,
	.name = "until",
};
