/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A leaf of the domain dies: three of the ten policies end so. Whoever includes this has said before
 *
 *     number_of(memcg, usage)  by what leaves are compared, in bytes; never more than usage
 *     NUMBER_IS_UNRECLAIMABLE  a tie in it is one in unreclaimable, too
 *     spares(t)                a process that protects its leaf
 *     wants(t)                 at least one process like this has to be there
 */
#pragma once
#include "policy.h"

struct {
	unsigned long inner;	/* the cgroup above the one that was visited last: no leaf */
} walk SEC(".bss.walk");

/* Among equals: more that cannot be reclaimed, then younger */
static __noinline __attribute__((unused)) bool first_of_equals(struct mem_cgroup *a, struct mem_cgroup *b)
{
#ifndef NUMBER_IS_UNRECLAIMABLE
	long x = unreclaimable_of(a), y = unreclaimable_of(b);

	if (x != y)
		return x > y;
#endif
	return a->css.serial_nr > b->css.serial_nr;
}

static __always_inline bool wins(struct mem_cgroup *memcg, long *max, struct mem_cgroup *best)
{
	long usage = memcg->memory.usage.counter * PAGE_SIZE, number;

	/* What cannot win by all that it has is not asked for its statistics */
	if (usage < *max)
		return false;
	number = number_of(memcg, usage);
	if (number < *max)
		return false;
	if (unlikely(number == *max) && (!FULL || !best || !first_of_equals(memcg, best)))
		return false;
	*max = number;
	return true;
}

static __always_inline int kill_largest_leaf(struct oom_control *oc, const char *why)
{
	struct mem_cgroup *root, *memcg, *best = NULL, *old;
	struct cgroup_subsys_state *css;
	struct signal_struct *signal;
	long max = NOTHING, before;
	struct task_struct *t;
	struct cgroup *cgrp;
	bool inner, found, better, alive, wanted;
	int err, ret = 0;

	root = oom_root(oc);
	if (!root)
		return 0;
	begin_flight();
	walk.inner = 0;
	bpf_mem_cgroup_flush_stats(root);

	bpf_rcu_read_lock();
	/* Children before parents: whoever comes after its child is no leaf */
	bpf_for_each(css, css, &root->css, BPF_CGROUP_ITER_DESCENDANTS_POST) {
		if (!(css->flags & CSS_ONLINE))
			continue;
		inner = (unsigned long)css == walk.inner;
		walk.inner = (unsigned long)css->parent;
		cgrp = css->cgroup;
		if (is_empty(cgrp))
			continue;
		if (!FULL && (inner || usage_of(css) * (long)PAGE_SIZE <= max))
			continue;
		note_hidden_leaders(cgrp);
		memcg = bpf_get_mem_cgroup(css);
		if (!memcg)
			continue;
		before = max;
		better = !inner && wins(memcg, &max, best);
		if (!FULL && !better) {
			bpf_put_mem_cgroup(memcg);
			continue;
		}
		alive = wanted = false;
		bpf_for_each(css_task, t, &memcg->css, CSS_TASK_ITER_PROCS) {
			signal = t->signal;
			if (better) {
				if (unkillable(t, signal) || spares(t))
					better = false;
				wanted |= wants(t);
			}
			if (FULL && unlikely(leaving(t, signal))) {
				note_leaving();
				if (gone(signal))
					continue;
			}
			if (!FULL && leaving(t, signal))
				continue;
			alive = true;
		}
		found = in_flight(memcg);
		if (better && alive && wanted) {
			old = best;
			best = memcg;
			memcg = old;
		} else {
			max = before;
		}
		if (memcg)
			bpf_put_mem_cgroup(memcg);
		if (found)
			break;
	}
	bpf_rcu_read_unlock();
	bpf_put_mem_cgroup(root);
	err = wait_for_victim(oc);
	if (unlikely(err != NOBODY)) {
		if (best)
			bpf_put_mem_cgroup(best);
		return err == WAITING;
	}
	if (!best)
		return 0;
	bpf_for_each(css_task, t, &best->css, CSS_TASK_ITER_PROCS) {
		signal = t->signal;
		if (!(leaving(t, signal) && gone(signal)))
			ret |= !bpf_oom_kill_process(oc, t, why);
	}
	bpf_put_mem_cgroup(best);
	return ret;
}
