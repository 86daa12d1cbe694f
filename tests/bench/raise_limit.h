/* SPDX-License-Identifier: GPL-2.0 */
/* The action raise_limit, as two of the ten policies need it. */
#pragma once
#include "policy.h"

extern const void _totalram_pages __ksym __weak;

/* What the ancestors say, found in one walk upwards; in pages */
struct bounds {
	unsigned long limit;	/* the smallest limit, own included */
	unsigned long room;	/* what the ancestors have left */
};

static __always_inline struct bounds bounds_of(struct mem_cgroup *m)
{
	struct bounds b = { .limit = m->memory.max, .room = PAGE_COUNTER_MAX };
	struct cgroup_subsys_state *css;
	unsigned long max, used;
	struct mem_cgroup *a;

	bpf_rcu_read_lock();
	bpf_for_each(css, css, &m->css, BPF_CGROUP_ITER_ANCESTORS_UP) {
		if (css == &m->css)
			continue;
		a = memcg_of(css);
		max = a->memory.max;
		if (max >= PAGE_COUNTER_MAX)
			continue;
		used = a->memory.usage.counter;
		if (max < b.limit)
			b.limit = max;
		used = max > used ? max - used : 0;
		if (used < b.room)
			b.room = used;
	}
	bpf_rcu_read_unlock();
	return b;
}

/* 0 when it is not known */
static __always_inline unsigned long machine_pages(void)
{
	unsigned long pages = 0;

	if (&_totalram_pages)
		bpf_probe_read_kernel(&pages, sizeof(pages), &_totalram_pages);
	return pages;
}

/*
 * Not more than the ancestors have left: otherwise the next OOM would be theirs, and nobody would ask this policy. Less than a
 * hundredth is no progress.
 */
static __always_inline bool raise_by(struct oom_control *oc, struct mem_cgroup *m, unsigned long by,
				     unsigned long room, unsigned long machine)
{
	unsigned long own = m->memory.max * PAGE_SIZE, want = by;

	if (m->memory.max >= PAGE_COUNTER_MAX)
		return false;
	room *= PAGE_SIZE;
	machine *= PAGE_SIZE;
	if (want > room)
		want = room;
	want += own;
	if (machine && want > machine)
		want = machine;
	want &= -PAGE_SIZE;
	if (want <= own || want - own < (own + 99) / 100)
		return false;
	return !bpf_mem_cgroup_raise_max(oc, m, want);
}
