/* SPDX-License-Identifier: GPL-2.0 */
/* The largest process of the domain: three of the ten policies end so. */
#pragma once
#include "policy.h"

/* Walks the domain once and kills; gives what the handler returns */
static __always_inline int kill_largest_process(struct oom_control *oc, const char *why)
{
	struct task_struct *t, *best = NULL, *old;
	struct cgroup_subsys_state *css;
	struct mem_cgroup *root, *memcg;
	struct signal_struct *signal;
	long size, max = NOTHING;
	struct cgroup *cgrp;
	bool found;
	int err;

	root = oom_root(oc);
	if (!root)
		return 0;
	begin_flight();
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
			size = footprint(t);
			if (!beats(size, t, max, best) || unkillable(t, signal))
				continue;
			if (!FULL && leaving(t, signal))
				continue;
			t = bpf_task_acquire(t);
			if (!t)
				continue;
			max = size;
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
	err = bpf_oom_kill_process(oc, best, why);
	bpf_task_release(best);
	return !err;
}
