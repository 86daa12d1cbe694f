// SPDX-License-Identifier: GPL-2.0
/*
 * kill largest cgroup in subtree stepwise
 *
 * One walk, children before parents. For each level below the domain it keeps the best child so far, and the unit that a
 * descent from that child ends in: a cgroup's unit is itself, or else what the level below has kept.
 */
#include "policy.h"

#define LEVELS	32

struct row {
	u64 unit;	/* 0: none */
	u64 child;
	long usage;
};

struct {
	unsigned long inner;	/* the cgroup above the one that was visited last: no leaf */
	struct row at[LEVELS + 1];
} rows SEC(".bss.rows");

/* One process of a group: the kernel takes the others along */
struct {
	struct task_struct __kptr *member;
} chosen SEC(".bss.chosen") __hidden;

/* A reference by id; null when it is gone */
static __always_inline struct mem_cgroup *memcg_by_id(u64 id)
{
	struct cgroup *cgrp = bpf_cgroup_from_id(id);
	struct mem_cgroup *memcg;

	if (!cgrp)
		return NULL;
	memcg = bpf_get_mem_cgroup(&cgrp->self);
	bpf_cgroup_release(cgrp);
	return memcg;
}

/* Seldom: two children with the same usage. More that cannot be reclaimed, then younger. */
__noinline bool first_of_equals(struct mem_cgroup *memcg __attribute__((btf_decl_tag("arg:trusted"))), u64 child)
{
	struct mem_cgroup *other = memcg_by_id(child);
	bool first = true;
	long x, y;

	if (!other)
		return true;
	x = unreclaimable_of(memcg);
	y = unreclaimable_of(other);
	first = x != y ? x > y : memcg->css.serial_nr > other->css.serial_nr;
	bpf_put_mem_cgroup(other);
	return first;
}

/*
 * Seldom: a cgroup with memory.oom.group and others below. It is no candidate when one of its processes must not die, or when
 * nobody is there. Keeps one who is.
 */
__noinline bool is_group_candidate(struct mem_cgroup *memcg __attribute__((btf_decl_tag("arg:trusted"))))
{
	struct cgroup_subsys_state *css;
	struct signal_struct *signal;
	struct task_struct *t, *old;
	struct mem_cgroup *below;
	bool spared = false, alive = false;

	bpf_rcu_read_lock();
	bpf_for_each(css, css, &memcg->css, BPF_CGROUP_ITER_DESCENDANTS_PRE) {
		below = bpf_get_mem_cgroup(css);
		if (!below)
			continue;
		bpf_for_each(css_task, t, &below->css, CSS_TASK_ITER_PROCS) {
			signal = t->signal;
			if (unkillable(t, signal)) {
				spared = true;
				break;
			}
			if (leaving(t, signal) && gone(signal))
				continue;
			t = bpf_task_acquire(t);
			if (!t)
				continue;
			alive = true;
			old = bpf_kptr_xchg(&chosen.member, t);
			if (old)
				bpf_task_release(old);
		}
		bpf_put_mem_cgroup(below);
		if (spared)
			break;
	}
	bpf_rcu_read_unlock();
	return alive && !spared;
}

/* Does it come before the best child of its level? */
static __always_inline bool beats_row(struct mem_cgroup *memcg, long usage, struct row *row)
{
	if (!row->unit || usage > row->usage)
		return true;
	return FULL && unlikely(usage == row->usage) && first_of_equals(memcg, row->child);
}

static __always_inline int kill_unit(struct oom_control *oc, u64 id)
{
	struct signal_struct *signal;
	struct mem_cgroup *unit;
	struct task_struct *t;
	int ret = 0;

	unit = memcg_by_id(id);
	if (!unit)
		return 0;
	if (unit->oom_group && is_group_candidate(unit)) {
		t = bpf_kptr_xchg(&chosen.member, NULL);
		if (t) {
			ret = !bpf_oom_kill_process(oc, t, "step by step");
			bpf_task_release(t);
		}
	} else {
		bpf_for_each(css_task, t, &unit->css, CSS_TASK_ITER_PROCS) {
			signal = t->signal;
			if (!(leaving(t, signal) && gone(signal)))
				ret |= !bpf_oom_kill_process(oc, t, "step by step");
		}
	}
	bpf_put_mem_cgroup(unit);
	return ret;
}

SEC("struct_ops.s/handle_out_of_memory")
int BPF_PROG(policy, struct oom_control *oc, struct bpf_struct_ops_link *link)
{
	bool inner, found, better, alive;
	struct cgroup_subsys_state *css;
	struct mem_cgroup *root, *memcg;
	struct signal_struct *signal;
	struct task_struct *t;
	struct cgroup *cgrp;
	u64 unit, level, id;
	struct row *row;
	long usage;
	int err, base;

	if (oc->order == ORDER_SYSRQ)
		return 0;
	root = oom_root(oc);
	if (!root)
		return 0;
	begin_flight();
	rows.inner = 0;
	for (err = 0; err <= LEVELS; err++)
		rows.at[err].unit = 0;
	base = root->css.cgroup->level;

	bpf_rcu_read_lock();
	bpf_for_each(css, css, &root->css, BPF_CGROUP_ITER_DESCENDANTS_POST) {
		if (!(css->flags & CSS_ONLINE))
			continue;
		inner = (unsigned long)css == rows.inner;
		rows.inner = (unsigned long)css->parent;
		cgrp = css->cgroup;
		level = cgrp->level - base;
		if (level >= LEVELS)
			continue;
		row = &rows.at[level];
		unit = rows.at[level + 1].unit;
		rows.at[level + 1].unit = 0;
		usage = usage_of(css);
		if (is_empty(cgrp)) {
			/* Nobody in it: inner, with what is below, or nothing */
			if (!inner || (!unit && !memcg_of(css)->oom_group))
				continue;
			if (!memcg_of(css)->oom_group && row->unit && usage < row->usage)
				continue;
		}
		if (!FULL && row->unit && usage <= row->usage)
			continue;
		note_hidden_leaders(cgrp);
		memcg = bpf_get_mem_cgroup(css);
		if (!memcg)
			continue;
		better = beats_row(memcg, usage, row);
		alive = false;
		bpf_for_each(css_task, t, &memcg->css, CSS_TASK_ITER_PROCS) {
			signal = t->signal;
			if (better && !inner && unkillable(t, signal))
				better = false;
			if (unlikely(leaving(t, signal))) {
				note_leaving();
				if (gone(signal))
					continue;
			}
			alive = true;
		}
		found = in_flight(memcg);
		id = cgrp->kn->id;
		if (!inner)
			unit = alive ? id : 0;
		else if (better && unlikely(memcg->oom_group))
			unit = is_group_candidate(memcg) ? id : 0;
		if (better && unit) {
			row->unit = unit;
			row->child = id;
			row->usage = usage;
		}
		bpf_put_mem_cgroup(memcg);
		if (found)
			break;
	}
	bpf_rcu_read_unlock();
	bpf_put_mem_cgroup(root);
	err = wait_for_victim(oc);
	if (unlikely(err != NOBODY))
		return err == WAITING;
	return rows.at[0].unit ? kill_unit(oc, rows.at[0].unit) : 0;
}

SEC(".struct_ops.link")
struct bpf_oom_ops ops = {
	.handle_out_of_memory = (void *)policy,
	.name = "stepwise",
};
