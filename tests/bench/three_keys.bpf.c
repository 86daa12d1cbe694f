// SPDX-License-Identifier: GPL-2.0
/* kill process in subtree by oom_score_adj, nr_threads, rss */
#include "policy.h"

struct {
	long adj, threads, rss;
} top SEC(".bss.top");

/* -1: missing, after everybody who has memory */
static __always_inline long rss_of(struct task_struct *t)
{
	struct mm_struct *mm = t->mm;

	return mm ? rss(mm) : -1;
}

/* Equal in all keys: the larger, the younger */
static __always_inline bool first_of_equals(struct task_struct *a, struct task_struct *b)
{
	long x = footprint(a), y = footprint(b);

	return x != y ? x > y : younger(a, b);
}

static __always_inline bool ranks_first(struct task_struct *t, struct signal_struct *signal, long adj,
					struct task_struct *best)
{
	long threads, size;

	if (adj < top.adj)
		return false;
	threads = signal->nr_threads;
	if (adj == top.adj && threads < top.threads)
		return false;
	size = rss_of(t);
	if (adj == top.adj && threads == top.threads) {
		if (size < top.rss)
			return false;
		if (size == top.rss && (!FULL || !best || !first_of_equals(t, best)))
			return false;
	}
	if (adj == OOM_SCORE_ADJ_MIN || t->flags & PF_KTHREAD || t->tgid == 1)
		return false;
	top.adj = adj;
	top.threads = threads;
	top.rss = size;
	return true;
}

SEC("struct_ops.s/handle_out_of_memory")
int BPF_PROG(policy, struct oom_control *oc, struct bpf_struct_ops_link *link)
{
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
	top.adj = NOTHING;
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
			if (unlikely(leaving(t, signal))) {
				note_leaving();
				if (gone(signal))
					continue;
			}
			if (!ranks_first(t, signal, signal->oom_score_adj, best))
				continue;
			t = bpf_task_acquire(t);
			if (!t)
				continue;
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
	err = bpf_oom_kill_process(oc, best, "most expendable");
	bpf_task_release(best);
	return !err;
}

SEC(".struct_ops.link")
struct bpf_oom_ops ops = {
	.handle_out_of_memory = (void *)policy,
	.name = "three_keys",
};
